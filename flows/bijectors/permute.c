/* permute: x_i = z_p(i) for a fixed permutation p, random by its seed, or order=[p(1),p(2),…]. log|det J| = 0. */
#include <weir/bijector.h>
#include <weir/features.h>

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
    .circular = true,
};
