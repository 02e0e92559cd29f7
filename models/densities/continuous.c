/* Densities of one number. */
#include "densities/support.h"

#define LOG_SQRT_2PI 0.918938533204672741780329736406
#define LOG_PI       1.144729885849400174143427351353
#define LOG_2        0.693147180559945309417232121458

static ad_var standardized(ad_var x, ad_var location, ad_var scale)
{
    return ad_div(ad_sub(x, location), scale);
}

/* ---- On the real line ------------------------------------------------------------------------------------------- */

ad_var nf_log_normal_each(ad_var x, ad_var mean, ad_var sd)
{
    ad_var squares = ad_mul_scalar(ad_square(standardized(x, mean, sd)), -0.5);
    return ad_add_scalar(ad_sub(squares, ad_log(sd)), -LOG_SQRT_2PI);
}

/* Γ((df+1)/2) / (Γ(df/2) √π) is 1 / B(df/2, 1/2), in which nothing cancels where df is large. */
ad_var nf_log_student_t_each(ad_var x, ad_var df, ad_var location, ad_var scale)
{
    ad_var half = ad_mul_scalar(df, 0.5), z = standardized(x, location, scale);
    ad_var constant = ad_add(ad_lbeta(half, ad_scalar(x.tape, 0.5)), ad_mul_scalar(ad_log(df), 0.5));
    ad_var tail = ad_mul(ad_add_scalar(half, 0.5), ad_log1p(ad_div(ad_square(z), df)));
    return ad_neg(ad_add(tail, ad_add(constant, ad_log(scale))));
}

ad_var nf_log_cauchy_each(ad_var x, ad_var location, ad_var scale)
{
    ad_var tail = ad_log1p(ad_square(standardized(x, location, scale)));
    return ad_neg(ad_add(tail, ad_add_scalar(ad_log(scale), LOG_PI)));
}

ad_var nf_log_laplace_each(ad_var x, ad_var location, ad_var scale)
{
    ad_var distance = ad_abs(standardized(x, location, scale));
    return ad_neg(ad_add(distance, ad_add_scalar(ad_log(scale), LOG_2)));
}

/* Symmetric in z: with |z|, nothing overflows. */
ad_var nf_log_logistic_each(ad_var x, ad_var location, ad_var scale)
{
    ad_var z = ad_abs(standardized(x, location, scale));
    return ad_neg(ad_add(ad_add(z, ad_mul_scalar(ad_softplus(ad_neg(z)), 2)), ad_log(scale)));
}

/* ---- On the positive numbers ------------------------------------------------------------------------------------ */

ad_var nf_log_lognormal_each(ad_var x, ad_var mean, ad_var sd)
{
    ad_var outside = ad_greater_equal(ad_scalar(x.tape, 0), x), log_x = ad_log(kept(outside, x, 1));
    return supported(outside, ad_sub(nf_log_normal_each(log_x, mean, sd), log_x));
}

ad_var nf_log_half_normal_each(ad_var x, ad_var sd)
{
    ad_var zero = ad_scalar(x.tape, 0);
    return supported(below(x, 0), ad_add_scalar(nf_log_normal_each(x, zero, sd), LOG_2));
}

ad_var nf_log_half_cauchy_each(ad_var x, ad_var scale)
{
    ad_var zero = ad_scalar(x.tape, 0);
    return supported(below(x, 0), ad_add_scalar(nf_log_cauchy_each(x, zero, scale), LOG_2));
}

ad_var nf_log_exponential_each(ad_var x, ad_var rate)
{
    return supported(below(x, 0), ad_sub(ad_log(rate), ad_mul(rate, x)));
}

ad_var nf_log_gamma_each(ad_var x, ad_var shape, ad_var rate)
{
    ad_var outside = below(x, 0), inside = kept(outside, x, 1);
    ad_var constant = ad_sub(ad_mul(shape, ad_log(rate)), ad_lgamma(positive(shape)));
    ad_var power = times_log(ad_add_scalar(shape, -1), inside);
    return supported(outside, ad_add(constant, ad_sub(power, ad_mul(rate, inside))));
}

ad_var nf_log_inverse_gamma_each(ad_var x, ad_var shape, ad_var scale)
{
    ad_var outside = ad_greater_equal(ad_scalar(x.tape, 0), x), inside = kept(outside, x, 1);
    ad_var constant = ad_sub(ad_mul(shape, ad_log(scale)), ad_lgamma(positive(shape)));
    ad_var power = ad_mul(ad_add_scalar(shape, 1), ad_log(inside));
    return supported(outside, ad_sub(constant, ad_add(power, ad_div(scale, inside))));
}

ad_var nf_log_chi_square_each(ad_var x, ad_var df)
{
    return nf_log_gamma_each(x, ad_mul_scalar(df, 0.5), ad_scalar(x.tape, 0.5));
}

ad_var nf_log_weibull_each(ad_var x, ad_var shape, ad_var scale)
{
    ad_var outside = below(x, 0), z = ad_div(kept(outside, x, 1), scale);
    ad_var power = times_log(ad_add_scalar(shape, -1), z), constant = ad_sub(ad_log(shape), ad_log(scale));
    return supported(outside, ad_add(constant, ad_sub(power, ad_pow(z, shape))));
}

/* ---- On intervals ----------------------------------------------------------------------------------------------- */

ad_var nf_log_beta_each(ad_var x, ad_var a, ad_var b)
{
    ad_var outside = either(below(x, 0), above(x, 1)), inside = kept(outside, x, 0.5);
    ad_var constant = ad_lbeta(positive(a), positive(b));
    ad_var left = times_log(ad_add_scalar(a, -1), inside);
    ad_var right = times_log_1_minus(ad_add_scalar(b, -1), inside);
    return supported(outside, ad_sub(ad_add(left, right), constant));
}

/* x times 0, so that NaN is NaN. */
ad_var nf_log_uniform_each(ad_var x, ad_var low, ad_var high)
{
    ad_var outside = either(ad_greater(low, x), ad_greater(x, high));
    ad_var density = ad_neg(ad_log(positive(ad_sub(high, low))));
    return supported(outside, ad_add(density, ad_mul_scalar(kept(outside, x, 0), 0)));
}

NF_SUM_2(normal)
NF_SUM_3(student_t)
NF_SUM_2(cauchy)
NF_SUM_2(laplace)
NF_SUM_2(logistic)
NF_SUM_2(lognormal)
NF_SUM_1(half_normal)
NF_SUM_1(half_cauchy)
NF_SUM_1(exponential)
NF_SUM_2(gamma)
NF_SUM_2(inverse_gamma)
NF_SUM_1(chi_square)
NF_SUM_2(weibull)
NF_SUM_2(beta)
NF_SUM_2(uniform)
