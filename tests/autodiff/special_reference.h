/* For tests: special functions in long double, by the plainest ways to compute them. */
#ifndef WEIR_TESTS_SPECIAL_REFERENCE_H
#define WEIR_TESTS_SPECIAL_REFERENCE_H

#include <math.h>

#define SQRT_HALF_L    0.70710678118654752440084436210484904L
#define LOG_SQRT_2PI_L 0.91893853320467274178032973640561764L

static inline long double log_ndtr_of(long double x)
{
    return x > 0 ? log1pl(-0.5L * erfcl(x * SQRT_HALF_L)) : logl(0.5L * erfcl(-x * SQRT_HALF_L));
}

/* log Φ, h = φ/Φ or h' = -h (x + h), which is exact enough for x > -20. */
static inline long double log_ndtr_derivative(long double x, int order)
{
    const long double h = expl(-0.5L * x * x - LOG_SQRT_2PI_L - log_ndtr_of(x));
    return order == 0 ? log_ndtr_of(x) : order == 1 ? h : -h * (x + h);
}

/* The x with f(x) = y, of an increasing f, by bisection. */
static inline long double inverse_of(long double (*f)(long double), long double y)
{
    long double low = -60, high = 60;
    for (int i = 0; i < 80; i++) {
        long double middle = 0.5L * (low + high);
        *(f(middle) < y ? &low : &high) = middle;
    }
    return 0.5L * (low + high);
}

static inline long double ndtr_of(long double x)
{
    return 0.5L * erfcl(-x * SQRT_HALF_L);
}

static inline long double ndtri_of(long double p)
{
    return inverse_of(ndtr_of, p);
}

static inline long double ndtri_exp_of(long double x)
{
    return inverse_of(log_ndtr_of, x);
}

static inline long double erfinv_of(long double x)
{
    return inverse_of(erfl, x);
}

/* The derivative of digamma of an order: from x + 60 or more by Stirling's series, and down by the recurrence. */
static inline long double polygamma_of(long double x, int order)
{
    static const long double bernoulli[] = {1.0L / 6,  -1.0L / 30,     1.0L / 42, -1.0L / 30,
                                            5.0L / 66, -691.0L / 2730, 7.0L / 6,  -3617.0L / 510};
    const long double sign = order % 2 ? 1 : -1;
    long double factorial = 1, below = 0;
    for (int k = 2; k <= order; k++) factorial *= k;
    for (; x < 60; x++) below += factorial / powl(x, order + 1);
    long double series = order == 0 ? 0.5L / x - logl(x) : factorial / order / powl(x, order);
    if (order > 0) series += 0.5L * factorial / powl(x, order + 1);
    for (int k = 1; k <= 8; k++) /* (2k + order - 1)! / (2k)! */
        series += bernoulli[k - 1] * expl(lgammal(2 * k + order) - lgammal(2 * k + 1)) / powl(x, 2 * k + order);
    return sign * (series + below);
}

static inline long double lbeta_of(long double a, long double b)
{
    return lgammal(a) + lgammal(b) - lgammal(a + b);
}

static inline long double lbeta_slope_of(long double a, long double b)
{
    return polygamma_of(a, 0) - polygamma_of(a + b, 0);
}

#endif
