/* flip: x_i = z_(D+1-i), its own inverse. log|det J| = 0. */
#include <weir/bijector.h>
#include <weir/features.h>

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
    .circular = true,
};
