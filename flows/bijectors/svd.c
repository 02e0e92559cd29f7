/* svd: x = U diag(s) Vᵀ z (Zhang, Lei & Dhillon 2018, "Stabilizing gradients for deep neural networks via efficient SVD
 * parameterization", section 3; SVDLinear in nflows): U and V orthogonal, products of D Householder reflections, or of
 * D + 1 if D is odd, and s > 0. log|det J| = Σ log s_i, and the inverse is V diag(1/s) Uᵀ: no solve.
 *
 * Parameters: u and v, as in nf_near_reflections(); s = softplus(ρ). At the start U = V = 1 and s = 1. */
#include <weir/bijector.h>
#include <weir/features.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t n = self->dim, reflections = n + n % 2;
    const nf_parameter_spec spec[] = {
        {.name = "u", .shape = AD_SHAPE(reflections, n)},
        {.name = "s", .shape = AD_SHAPE(n), .value = 1, .constraint = NF_POSITIVE},
        {.name = "v", .shape = AD_SHAPE(reflections, n)},
    };
    ad_status status = AD_OK;
    for (size_t i = 0; i < 3 && status == AD_OK; i++) status = nf_declare(self, &spec[i], error);
    return status;
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var s = nf_param(at, "s"), u = nf_near_reflections(nf_param(at, "u"));
    ad_var v = nf_near_reflections(nf_param(at, "v"));
    *log_det = ad_sum(ad_log(s));
    return ad_matmul(u, ad_mul(s, ad_matmul(ad_transpose(v), z)));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var s = nf_param(at, "s"), u = nf_near_reflections(nf_param(at, "u"));
    ad_var v = nf_near_reflections(nf_param(at, "v"));
    *log_det = ad_neg(ad_sum(ad_log(s)));
    return ad_matmul(v, ad_div(ad_matmul(ad_transpose(u), x), s));
}

const nf_bijector_type nf__type_svd = {
    .name = "svd",
    .help = "x = U diag(s) V' z, U and V products of reflections, s > 0",
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
