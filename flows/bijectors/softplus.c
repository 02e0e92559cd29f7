/* softplus: x = log(1 + e^z), dx/dz = 1 / (1 + e^-z), so log|det J| = -Σ softplus(-z).
 * Inverse: z = log(e^x - 1) = x + log(1 - e^-x), for x > 0; log|det J| = -Σ log(1 - e^-x). */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at;
    *log_det = ad_neg(ad_sum(ad_softplus(ad_neg(z))));
    return ad_softplus(z);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    (void)at;
    ad_var outside, inside = nf_into_support(x, 0, INFINITY, 1, &outside);
    ad_var log_slope = ad_log(ad_neg(ad_expm1(ad_neg(inside)))); /* of the forward map */
    *log_det = nf_log_det_on_support(ad_neg(log_slope), outside);
    return ad_add(inside, log_slope);
}

const nf_bijector_type nf__type_softplus = {
    .name = "softplus",
    .help = "x = log(1 + e^z), positive",
    .forward = forward,
    .inverse = inverse,
    .low = 0,
    .high = INFINITY,
};
