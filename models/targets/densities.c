/* Pieces that log-densities of targets are made of. */
#include <weir/densities.h>

ad_var nf_element(ad_var v, size_t i)
{
    return ad_reshape(ad_slice(v, 0, i, i + 1), AD_SCALAR);
}

ad_var nf_log_add_exp(ad_var a, ad_var b)
{
    return ad_add(a, ad_softplus(ad_sub(b, a)));
}

ad_var nf_log_normal(ad_var x, ad_var mean, ad_var sd)
{
    const double log_sqrt_2pi = 0.918938533204672741780329736406;
    ad_var squares = ad_mul_scalar(ad_square(ad_div(ad_sub(x, mean), sd)), -0.5);
    return ad_sum(ad_add_scalar(ad_sub(squares, ad_log(sd)), -log_sqrt_2pi));
}
