/* deep_sigmoidal: layers of mixtures of sigmoids (Huang et al. 2018, "Neural autoregressive flows", eq. 8), each
 *
 *     y = logit(Σ_k w_k sigmoid(a_k x + b_k)),      w = softmax(u),      a_k = m + softplus(u'_k + u_1),      m = 1e-3,
 *
 * the first of x, the last one's y is z. Beyond all its steps a layer is a line of slope the least a_k. Where
 * parameters are 0, it is the identity. They are, of each layer, K of w, of a and of b. */
#include "sigmoids.h"
#include "spline.h"

static size_t units_of(const nf_choice *self)
{
    return (size_t)nf_choice_value(self, "units");
}

static size_t layers_of(const nf_choice *self)
{
    return (size_t)nf_choice_value(self, "layers");
}

static size_t parameters_of(const nf_choice *self)
{
    return 3 * units_of(self) * layers_of(self);
}

static ad_var inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    const size_t k = units_of(self);
    *log_derivative = ad_mul_scalar(x, 0);
    for (size_t layer = 0; layer < layers_of(self); layer++) {
        const size_t first = 3 * k * layer;
        ad_var u = ad_slice(parameters, 0, first, first + k);
        ad_var a = nf__spline_positive(ad_slice(parameters, 0, first + k, first + 2 * k));
        ad_var b = ad_slice(parameters, 0, first + 2 * k, first + 3 * k);
        ad_var log_weight = ad_sub(u, ad_logsumexp_axis(u, 0));
        x = nf__sigmoids_logit(log_weight, ad_add(ad_mul(a, x), b), ad_log(a), log_derivative);
    }
    return x;
}

const nf_transformer_type nf__transformer_deep_sigmoidal = {
    .name = "deep_sigmoidal",
    .help = "z = logit of a mixture of sigmoids of x, in layers (Huang et al. 2018)",
    .argument = (const nf_argument[]){{"units", NF_COUNT, 8, 1, 256, NULL, "of a layer"},
                                      {"layers", NF_COUNT, 2, 1, 16, NULL, "one after the other"},
                                      {0}},
    .parameters = parameters_of,
    .inverse = inverse,
};
