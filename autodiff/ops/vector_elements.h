/* Functions of vector_math.h as elements: the same operations in the same order. */
#ifndef WEIR_AUTODIFF_OPS_VECTOR_ELEMENTS_H
#define WEIR_AUTODIFF_OPS_VECTOR_ELEMENTS_H

#include "ops/vector_math.h"
#include "plan/elements.h"

#if AD_REAL_BITS == 64

static inline ad__element element_of_log(ad__elements *list, ad__element x)
{
    return ad__element_call(list, (ad__function *)AD_SLEEF(log, u10), x);
}

static inline ad__element element_of_tanh(ad__elements *list, ad__element x)
{
    return ad__element_call(list, (ad__function *)AD_SLEEF(tanh, u35), x);
}

#else

static inline ad__element fma_by(ad__elements *list, ad__element a, double b, double c)
{
    return ad__element_fma(list, a, ad__element_constant(list, b), ad__element_constant(list, c));
}

static inline ad__element element_of_log(ad__elements *list, ad__element x)
{
    const ad__element zero = ad__element_constant(list, 0), infinity = ad__element_constant(list, INFINITY);
    const ad__element least = ad__element_constant(list, 0x1p-126);
    const ad__element scaled = ad__element_mul(list, x, ad__element_constant(list, 0x1p23));
    const ad__element y = ad__element_choose(list, AD_LESS, x, least, scaled, x);
    const ad__element shift = ad__element_choose(list, AD_LESS, x, least, ad__element_constant(list, 23), zero);
    ad__element k, m;
    ad__element_split(list, y, &k, &m);
    k = ad__element_sub(list, k, shift);
    const ad__element f = ad__element_sub(list, m, ad__element_constant(list, 1));
    ad__element q = fma_by(list, f, (double)log_coefficient[0], (double)log_coefficient[1]);
    for (int i = 2; i < LOG_COEFFICIENTS; i++)
        q = ad__element_fma(list, q, f, ad__element_constant(list, (double)log_coefficient[i]));
    const ad__element low = ad__element_mul(list, k, ad__element_constant(list, -0x1.bd0106p-13));
    const ad__element rest = ad__element_fma(list, ad__element_mul(list, f, f), q, low);
    const ad__element log_x =
        ad__element_fma(list, k, ad__element_constant(list, 0x1.63p-1), ad__element_add(list, f, rest));
    const ad__element none = ad__element_choose(list, AD_EQUAL, x, zero, ad__element_constant(list, -INFINITY),
                                                ad__element_constant(list, NAN));
    const ad__element finite = ad__element_choose(list, AD_LESS, x, infinity, log_x, x);
    return ad__element_choose(list, AD_GREATER, x, zero, finite, none);
}

static inline ad__element element_of_tanh(ad__elements *list, ad__element x)
{
    static const double coefficient[] = {0x1.1227f0p-7, 0x1.555486p-5, 0x1.5554b0p-3, 0.5};
    const ad__element most = ad__element_constant(list, 18.04), round = ad__element_constant(list, 0x1.8p23);
    const ad__element one = ad__element_constant(list, 1), two = ad__element_constant(list, 2);
    const ad__element twice = ad__element_mul(list, two, ad__element_abs(list, x));
    const ad__element y = ad__element_choose(list, AD_GREATER, twice, most, most, twice);
    const ad__element shifted = ad__element_fma(list, y, ad__element_constant(list, 0x1.715476p0), round);
    const ad__element n = ad__element_sub(list, shifted, round);
    const ad__element high = ad__element_fma(list, n, ad__element_constant(list, -0x1.62ep-1), y);
    const ad__element r = ad__element_fma(list, n, ad__element_constant(list, -0x1.0bfbe8p-15), high);
    ad__element q = fma_by(list, r, 0x1.6d98f8p-10, coefficient[0]);
    for (int i = 1; i < 4; i++) q = ad__element_fma(list, q, r, ad__element_constant(list, coefficient[i]));
    const ad__element p = ad__element_fma(list, ad__element_mul(list, r, r), q, r);
    const ad__element power = ad__element_power_of_two(list, shifted);
    const ad__element e = ad__element_fma(list, power, p, ad__element_sub(list, power, one));
    return ad__element_copysign(list, ad__element_div(list, e, ad__element_add(list, e, two)), x);
}

#endif

#endif
