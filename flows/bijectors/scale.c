/* scale: x = z * softplus(ρ), log|det J| = Σ log softplus(ρ). PyMC3's parameterisation; starts at softplus(ρ) = 1. */
#include <weir/bijector.h>

#include <math.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec rho = {.name = "rho", .shape = AD_SHAPE(self->dim), .value = log(expm1(1.0))};
    return nf_declare(self, &rho, error);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var scale = ad_softplus(nf_param(at, "rho"));
    *log_det = ad_sum(ad_log(scale));
    return ad_mul(z, scale);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var scale = ad_softplus(nf_param(at, "rho"));
    *log_det = ad_neg(ad_sum(ad_log(scale)));
    return ad_div(x, scale);
}

const nf_bijector_type nf__type_scale = {
    .name = "scale",
    .help = "x = z * softplus(rho)",
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
