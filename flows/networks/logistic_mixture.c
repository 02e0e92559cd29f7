/* logistic_mixture: the distribution function of a mixture of logistic distributions, its logit, and an affine map (Ho
 * et al. 2019, "Flow++", eq. 11 to 15):
 *
 *     z = μ + exp(α) logit(Σ_k π_k sigmoid((x - m_k) exp(-s_k))),      π = softmax(u),      |α|, |s_k| < bound,
 *
 * smoothly, as in affine.c. Parameters: μ, that of α, then K of π, of m and of s. */
#include "sigmoids.h"

#include <weir/features.h>
#include <weir/transformer.h>

static size_t components_of(const nf_choice *self)
{
    return (size_t)nf_choice_value(self, "components");
}

static size_t parameters_of(const nf_choice *self)
{
    return 2 + 3 * components_of(self);
}

static ad_var bounded(const nf_choice *self, ad_var u)
{
    const double bound = nf_choice_value(self, "bound");
    return ad_mul_scalar(ad_tanh(ad_mul_scalar(u, 1 / bound)), bound);
}

static ad_var inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    const size_t k = components_of(self);
    ad_var alpha = bounded(self, nf_row(parameters, 1)), u = ad_slice(parameters, 0, 2, 2 + k);
    ad_var mean = ad_slice(parameters, 0, 2 + k, 2 + 2 * k);
    ad_var s = bounded(self, ad_slice(parameters, 0, 2 + 2 * k, 2 + 3 * k));
    ad_var v = ad_mul(ad_sub(x, mean), ad_exp(ad_neg(s)));
    *log_derivative = alpha;
    ad_var y = nf__sigmoids_logit(ad_sub(u, ad_logsumexp_axis(u, 0)), v, ad_neg(s), log_derivative);
    return ad_add(ad_mul(y, ad_exp(alpha)), nf_row(parameters, 0));
}

const nf_transformer_type nf__transformer_logistic_mixture = {
    .name = "logistic_mixture",
    .help = "z = mu + exp(alpha) logit(distribution function of a mixture of logistics) (Ho et al. 2019)",
    .argument =
        (const nf_argument[]){{"components", NF_COUNT, 8, 1, 256, NULL, "of the mixture"}, NF_AFFINE_ARGUMENTS, {0}},
    .parameters = parameters_of,
    .inverse = inverse,
};
