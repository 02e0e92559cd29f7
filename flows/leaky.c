/* leaky: a leaky ReLU with a learned slope s > 0, x = z where z > 0, else s z; log|det J| = Σ log s where z <= 0. One
 * slope for all features, as in ProbFlow's chains of affine maps, or one for each.
 *
 * s = softplus(ρ), at the start 0.5 or, with a spread, from ρ ~ N(0, spread²). At the kink value, gradient and log-det
 * are those of the left side. */
#include "internal.h"

enum { ONE, EACH };

static ad_status build(nf_bijector *self, ad_error *error)
{
    size_t count = nf_argument_value(self, "slopes") == EACH ? self->dim : 1;
    nf_parameter_spec slope = {.name = "slope", .shape = AD_SHAPE(count), .value = 0.5, .constraint = NF_POSITIVE};
    double spread = nf_argument_value(self, "spread");
    if (spread > 0) {
        slope.init = NF_INIT_NORMAL;
        slope.value = spread;
    }
    return nf_declare(self, &slope, error);
}

/* v where it is positive, else factor v. */
static ad_var bend(ad_var v, ad_var factor, ad_var *log_det)
{
    ad_var zero = ad_scalar(v.tape, 0), above = ad_greater(v, zero);
    *log_det = ad_sum(ad_where(above, zero, ad_log(factor)));
    return ad_where(above, v, ad_mul(factor, v));
}

static ad_var forward(const nf_bijector *self, ad_var z, ad_var *log_det)
{
    return bend(z, nf_param(self, "slope"), log_det);
}

static ad_var inverse(const nf_bijector *self, ad_var x, ad_var *log_det)
{
    return bend(x, ad_div(ad_scalar(x.tape, 1), nf_param(self, "slope")), log_det);
}

static const nf_argument arguments[] = {
    {"slopes", NF_CHOICE, ONE, 0, 0, "one|each", "one slope for all features, or one for each"},
    {"spread", NF_NUMBER, 0, 0, 10, NULL,
     "standard deviation of rho at the start, slope = softplus(rho); 0: slope 0.5"},
    {0},
};

const nf_bijector_type nf_type_leaky = {
    .name = "leaky",
    .help = "x = z where z > 0, else slope * z",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
