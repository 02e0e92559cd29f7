/* normal: N(0, I), the base distribution of a flow that names none. log p(z) = -|z|²/2 - D log(2π)/2. */
#include <weir/bijector.h>

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    const double log_two_pi = 1.8378770664093454836;
    return ad_add_scalar(ad_mul_scalar(ad_sum(ad_square(z)), -0.5), -0.5 * (double)at->self->dim * log_two_pi);
}

static ad_var sample(const nf_scope *at)
{
    return ad_normal(at->tape, AD_SHAPE(at->self->dim), 0);
}

const nf_bijector_type nf__type_normal = {
    .name = "normal",
    .help = "N(0, I)",
    .log_prob = log_prob,
    .sample = sample,
};
