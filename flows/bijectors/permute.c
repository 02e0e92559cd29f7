/* permute: x_i = z_p(i) for a fixed permutation p, random by its seed, or order=[p(1),p(2),…]. log|det J| = 0. */
#include "core/internal.h"

#include <weir/bijector.h>

ad_var nf_permute(ad_var v, uint64_t seed, bool inverse)
{
    size_t dim = ad_shape_size(ad_shape_of(v)), *index = ad_alloc(dim, sizeof *index);
    if (!index) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for a permutation of %zu features", dim);
        return v;
    }
    for (size_t i = 0; i < dim; i++) {
        size_t image = ad_random_permutation(seed, 0, dim, i);
        if (inverse)
            index[image] = i;
        else
            index[i] = image;
    }
    ad_var y = ad_gather(v, index, dim);
    ad_free(index);
    return y;
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    if (!self->feature || self->n_feature == self->dim) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "permute: the order lists %zu of %zu features", self->n_feature,
                        self->dim);
}

static ad_var permute(const nf_bijector *self, ad_var v, bool inverse)
{
    if (!self->feature) return nf_permute(v, (uint64_t)nf_argument_value(self, "seed"), inverse);
    return inverse ? ad_scatter(v, self->feature, self->dim, self->dim) : ad_gather(v, self->feature, self->dim);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    *log_det = ad_scalar(z.tape, 0);
    return permute(at->self, z, false);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    *log_det = ad_scalar(x.tape, 0);
    return permute(at->self, x, true);
}

static const nf_argument arguments[] = {
    {"seed", NF_COUNT, 0, 0, 9007199254740992.0, NULL, "which permutation"},
    {"order", NF_FEATURES, 0, 0, 0, "random", "p(1), p(2) …"},
    {0},
};

const nf_bijector_type nf__type_permute = {
    .name = "permute",
    .help = "x_i = z_p(i), p random by seed, or any",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
