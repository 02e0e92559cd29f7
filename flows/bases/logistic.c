/* logistic: independent logistic variables of scale 1 (Johnson, Kotz & Balakrishnan 1995, "Continuous univariate
 * distributions", vol. 2, eq. 23.6),
 *
 *     log p(z) = Σ_d -z_d - 2 log(1 + e^{-z_d}) = Σ_d -|z_d| - 2 softplus(-|z_d|),
 *
 * each drawn as the logarithm of a ratio of two exponential ones, which is exact in both tails, as log u - log(1 - u)
 * of one uniform number isn't. */
#include <weir/bijector.h>

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    (void)at;
    ad_var size = ad_abs(z);
    return ad_neg(ad_sum(ad_add(size, ad_mul_scalar(ad_softplus(ad_neg(size)), 2))));
}

static ad_var log_exponential(const nf_scope *at, unsigned stream)
{
    return ad_log(ad_neg(ad_log(ad_uniform(at->tape, AD_SHAPE(at->self->dim), stream))));
}

static ad_var sample(const nf_scope *at)
{
    return ad_sub(log_exponential(at, 0), log_exponential(at, 1));
}

const nf_bijector_type nf__type_logistic = {
    .name = "logistic",
    .help = "the logistic distribution of scale 1 in each feature",
    .log_prob = log_prob,
    .sample = sample,
};
