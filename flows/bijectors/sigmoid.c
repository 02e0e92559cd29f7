/* sigmoid: x = 1 / (1 + e^-z), dx/dz = x (1 - x), so log|det J| = -Σ softplus(z) + softplus(-z).
 * Inverse: z = log x - log(1 - x), for 0 < x < 1; log|det J| = -Σ log x + log(1 - x). */
#include <weir/bijector.h>
#include <weir/features.h>

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at;
    *log_det = ad_neg(ad_sum(ad_add(ad_softplus(z), ad_softplus(ad_neg(z)))));
    return ad_sigmoid(z);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    (void)at;
    ad_var outside, inside = nf_into_support(x, 0, 1, 0.5, &outside);
    ad_var log_x = ad_log(inside), log_rest = ad_log1p(ad_neg(inside));
    *log_det = nf_log_det_on_support(ad_neg(ad_add(log_x, log_rest)), outside);
    return ad_sub(log_x, log_rest);
}

const nf_bijector_type nf__type_sigmoid = {
    .name = "sigmoid",
    .help = "x = 1 / (1 + e^-z), in (0, 1)",
    .forward = forward,
    .inverse = inverse,
    .low = 0,
    .high = 1,
};
