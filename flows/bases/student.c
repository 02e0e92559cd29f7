/* student: independent Student's t with ν = df degrees of freedom in each feature,
 *
 *     log p(z) = Σ_d  log Γ((ν+1)/2) - log Γ(ν/2) - log(νπ)/2 - (ν+1)/2 log(1 + z_d²/ν).
 *
 * Drawn by Bailey (1994, "Polar generation of random variates with the t-distribution"), from two uniforms:
 *
 *     z = √(ν (u^(-2/ν) - 1)) cos 2πv. */
#include <weir/bijector.h>

#include <math.h>

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    const double pi = 3.14159265358979323846, smallest = 1e-18;
    double df = nf_argument_value(at->self, "df");
    /* log(1 + z²/ν) = softplus(2 log|z| - log ν): no square that could overflow */
    ad_var size = ad_maximum(ad_abs(z), ad_scalar(z.tape, smallest));
    ad_var each = ad_softplus(ad_add_scalar(ad_mul_scalar(ad_log(size), 2), -log(df)));
    int sign; /* lgamma() would leave it in a variable that all threads share */
    double constant = lgamma_r((df + 1) / 2, &sign) - lgamma_r(df / 2, &sign) - 0.5 * log(df * pi);
    return ad_add_scalar(ad_mul_scalar(ad_sum(each), -(df + 1) / 2), (double)at->self->dim * constant);
}

static ad_var sample(const nf_scope *at)
{
    const double two_pi = 6.28318530717958647692;
    double df = nf_argument_value(at->self, "df");
    ad_shape shape = AD_SHAPE(at->self->dim);
    ad_var u = ad_uniform(at->tape, shape, 0), v = ad_uniform(at->tape, shape, 1);
    ad_var radius = ad_sqrt(ad_mul_scalar(ad_expm1(ad_mul_scalar(ad_log(u), -2 / df)), df));
    return ad_mul(radius, ad_cos(ad_mul_scalar(v, two_pi)));
}

static const nf_argument arguments[] = {
    {"df", NF_NUMBER, 3, 0.5, 1e6, NULL, "degrees of freedom"},
    {0},
};

const nf_bijector_type nf__type_student = {
    .name = "student",
    .help = "Student's t with df degrees of freedom in each feature",
    .argument = arguments,
    .log_prob = log_prob,
    .sample = sample,
};
