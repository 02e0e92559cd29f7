/* laplace: independent Laplace variables of scale 1 (Johnson, Kotz & Balakrishnan 1995, "Continuous univariate
 * distributions", vol. 2, eq. 24.1),
 *
 *     log p(z) = Σ_d -|z_d| - log 2,
 *
 * each drawn as the difference of two exponential ones, which is exact in both tails. */
#include <weir/bijector.h>

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    const double log_two = 0.69314718055994530942;
    return ad_add_scalar(ad_neg(ad_sum(ad_abs(z))), -(double)at->self->dim * log_two);
}

static ad_var sample(const nf_scope *at)
{
    const ad_shape shape = AD_SHAPE(at->self->dim);
    return ad_sub(ad_log(ad_uniform(at->tape, shape, 0)), ad_log(ad_uniform(at->tape, shape, 1)));
}

const nf_bijector_type nf__type_laplace = {
    .name = "laplace",
    .help = "Laplace's distribution of scale 1 in each feature",
    .log_prob = log_prob,
    .sample = sample,
};
