/* flip: x_i = z_(D+1-i), its own inverse. log|det J| = 0. */
#include "core/internal.h"

#include <weir/bijector.h>

ad_var nf_reverse(ad_var v)
{
    size_t dim = ad_shape_size(ad_shape_of(v)), *index = ad_alloc(dim, sizeof *index);
    if (!index) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory to reverse %zu features", dim);
        return v;
    }
    for (size_t i = 0; i < dim; i++) index[i] = dim - 1 - i;
    ad_var y = ad_gather(v, index, dim);
    ad_free(index);
    return y;
}

static ad_var either(const nf_scope *at, ad_var v, ad_var *log_det)
{
    (void)at;
    *log_det = ad_scalar(v.tape, 0);
    return nf_reverse(v);
}

const nf_bijector_type nf__type_flip = {
    .name = "flip",
    .help = "x_i = z_(D+1-i)",
    .forward = either,
    .inverse = either,
};
