/* tanh: x = tanh z, dx/dz = 1 / cosh² z, so log|det J| = 2 Σ log 2 - z - softplus(-2z).
 * Inverse: z = (log(1 + x) - log(1 - x)) / 2, for -1 < x < 1; log|det J| = -Σ log(1 + x) + log(1 - x). */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at;
    ad_var log_cosh = ad_add_scalar(ad_add(z, ad_softplus(ad_mul_scalar(z, -2))), -log(2));
    *log_det = ad_mul_scalar(ad_sum(log_cosh), -2);
    return ad_tanh(z);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    (void)at;
    ad_var outside, inside = nf_into_support(x, -1, 1, 0, &outside);
    ad_var log_above = ad_log1p(inside), log_below = ad_log1p(ad_neg(inside));
    *log_det = nf_log_det_on_support(ad_neg(ad_add(log_above, log_below)), outside);
    return ad_mul_scalar(ad_sub(log_above, log_below), 0.5);
}

const nf_bijector_type nf__type_tanh = {
    .name = "tanh",
    .help = "x = tanh z, in (-1, 1)",
    .forward = forward,
    .inverse = inverse,
    .low = -1,
    .high = 1,
};
