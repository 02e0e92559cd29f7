/* diagonal_normal: N(loc, diag scale²), both learned, starting from N(0, I):
 *
 *     log p(z) = Σ_d -u_d²/2 - log scale_d - log(2π)/2,      u = (z - loc) / scale. */
#include <weir/bijector.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec loc = {.name = "loc", .shape = AD_SHAPE(self->dim)};
    nf_parameter_spec scale = {.name = "scale", .shape = AD_SHAPE(self->dim), .value = 1, .constraint = NF_POSITIVE};
    ad_status status = nf_declare(self, &loc, error);
    return status == AD_OK ? nf_declare(self, &scale, error) : status;
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    const double log_two_pi = 1.8378770664093454836;
    ad_var scale = nf_param(at, "scale"), u = ad_div(ad_sub(z, nf_param(at, "loc")), scale);
    ad_var each = ad_add(ad_mul_scalar(ad_square(u), 0.5), ad_log(scale));
    return ad_add_scalar(ad_neg(ad_sum(each)), -0.5 * (double)at->self->dim * log_two_pi);
}

static ad_var sample(const nf_scope *at)
{
    ad_var u = ad_normal(at->tape, AD_SHAPE(at->self->dim), 0);
    return ad_add(ad_mul(u, nf_param(at, "scale")), nf_param(at, "loc"));
}

const nf_bijector_type nf__type_diagonal_normal = {
    .name = "diagonal_normal",
    .help = "N(loc, diag(scale²)), learned",
    .build = build,
    .log_prob = log_prob,
    .sample = sample,
};
