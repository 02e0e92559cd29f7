/* exp: x = e^z, log|det J| = Σ z. Inverse: log x, for x > 0. */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

/* e^z, without overflow: from just below the logarithm of the dtype's largest number on it is constant. */
static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at;
    ad_var largest = ad_inside(ad_scalar(z.tape, INFINITY), 0, INFINITY);
    *log_det = ad_sum(z);
    return ad_exp(ad_minimum(z, ad_mul_scalar(ad_log(largest), 1 - 1e-6)));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    (void)at;
    ad_var outside, z = ad_log(nf_into_support(x, 0, INFINITY, 1, &outside));
    *log_det = nf_log_det_on_support(ad_neg(z), outside);
    return z;
}

const nf_bijector_type nf__type_exp = {
    .name = "exp",
    .help = "x = e^z, positive",
    .forward = forward,
    .inverse = inverse,
    .low = 0,
    .high = INFINITY,
};
