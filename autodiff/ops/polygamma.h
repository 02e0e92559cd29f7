/* The polygamma functions ψ_n, derivatives of log Γ, on arrays of doubles. */
#ifndef WEIR_AUTODIFF_OPS_POLYGAMMA_H
#define WEIR_AUTODIFF_OPS_POLYGAMMA_H

#include "ops/wide.h"
#include "tape/record.h"

AD_WIDE_FUNCTION(sinpi, u05)
AD_WIDE_FUNCTION(cospi, u05)

#define PI 3.14159265358979323846

enum { TERMS = 10, BEGIN = 10 }; /* of the asymptotic series, which is used from BEGIN + order on: to 1e-17 */

/* B_2k */
static const double bernoulli[TERMS] = {1.0 / 6,       -1.0 / 30, 1.0 / 42,      -1.0 / 30,     5.0 / 66,
                                        -691.0 / 2730, 7.0 / 6,   -3617.0 / 510, 43867.0 / 798, -174611.0 / 330};

/* s_i = Σ_k B_2k (2k + order - 1)! / ((2k)! x_i^2k): what ψ has beside its first terms, for large x. */
static inline void asymptotic_series(const double *x, int order, double *s)
{
    double c[TERMS + 1] = {0}, inverse_square[WIDE];
    for (int k = 1; k <= TERMS; k++) {
        c[k] = bernoulli[k - 1];
        if (order == 0) c[k] /= 2 * k;
        for (int j = 1; j < order; j++) c[k] *= 2 * k + j;
    }
    AD_SIMD for (size_t i = 0; i < WIDE; i++) inverse_square[i] = 1 / (x[i] * x[i]);
    polynomial(inverse_square, c, TERMS + 1, s);
}

static inline double factorial(int n)
{
    double product = 1;
    for (int k = 2; k <= n; k++) product *= k;
    return product;
}

/* y_i = x_i^-power */
static inline void inverse_power(const double *x, int power, double *y)
{
    double inverse[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] = inverse[i] = 1 / x[i];
    for (int k = 1; k < power; k++) AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] *= inverse[i];
}

/* Move each x to BEGIN + order or beyond: recurred_i = Σ x^-(order+1) of those that it passes. */
static inline void recur(double *x, int order, double *recurred)
{
    double term[WIDE];
    const double begin = BEGIN + order;
    for (size_t i = 0; i < WIDE; i++) recurred[i] = 0;
    for (int step = 0; step < BEGIN + order; step++) {
        inverse_power(x, order + 1, term);
        AD_SIMD for (size_t i = 0; i < WIDE; i++)
        {
            recurred[i] += x[i] < begin ? term[i] : 0;
            x[i] += x[i] < begin ? 1 : 0;
        }
    }
}

/* ψ on [1, 2], where it has a root, by the ratio of polynomials of Boost.Math 1.84 (digamma.hpp, John Maddock, Boost
 * Software License): the root is three numbers, so that nothing of x - root is lost. */
static inline void digamma_near_root(const double *x, double *y)
{
    static const double numerator[] = {0.25479851061131551,  -0.32555031186804491,  -0.65031853770896507,
                                       -0.28919126444774784, -0.045251321448739056, -0.0020713321167745952};
    static const double denominator[] = {1.0,
                                         2.0767117023730469,
                                         1.4606242909763515,
                                         0.43593529692665969,
                                         0.054151797245674225,
                                         0.0021284987017821144,
                                         -0.55789841321675513e-6};
    const double factor = 0.99558162689208984, unit = 1.0 / 1073741824;
    double from_1[WIDE], over[WIDE], under[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++) from_1[i] = x[i] - 1;
    polynomial(from_1, numerator, 6, over);
    polynomial(from_1, denominator, 7, under);
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        double from_root = x[i] - 1569415565 * unit;
        from_root -= 381566830 * unit * unit;
        from_root -= 0.9016312093258695918615325266959189453125e-19;
        y[i] = from_root * factor + from_root * (over[i] / under[i]);
    }
}

static inline void digamma_above_0(const double *x, double *y)
{
    double moved[WIDE], recurred[WIDE], series[WIDE], near[WIDE], log_x[WIDE];
    digamma_near_root(x, near);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) moved[i] = x[i];
    recur(moved, 0, recurred);
    asymptotic_series(moved, 0, series);
    wide_log(moved, log_x);
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        const double beyond = log_x[i] - 0.5 / moved[i] - series[i] - recurred[i];
        y[i] = x[i] >= 1 && x[i] <= 2 ? near[i] : beyond;
    }
}

static inline void polygamma_above_0(const double *x, int order, double *y)
{
    const double sign = order % 2 ? 1 : -1, first = factorial(order - 1), second = factorial(order);
    double moved[WIDE], recurred[WIDE], series[WIDE], power[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++) moved[i] = x[i];
    recur(moved, order, recurred);
    asymptotic_series(moved, order, series);
    inverse_power(moved, order, power);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] =
        sign * (power[i] * (first + 0.5 * second / moved[i] + series[i]) + second * recurred[i]);
}

/* The derivative of π cot(πx), which is π^(order+1) P(cot πx): P_0(c) = c, and P_(n+1) = -(1 + c²) P_n'. The terms of
 * P all have one sign, so nothing cancels. */
static inline void cotangent_derivative(const double *x, int order, double *y)
{
    double c[AD__MOST_POLYGAMMA + 2] = {0, 1}, fraction[WIDE], sine[WIDE], cotangent[WIDE], scale = PI;
    for (int k = 0; k < order; k++) {
        double next[AD__MOST_POLYGAMMA + 2] = {0};
        for (int j = 1; j <= k + 1; j++) {
            next[j - 1] -= j * c[j];
            next[j + 1] -= j * c[j];
        }
        memcpy(c, next, sizeof c);
        scale *= PI;
    }
    AD_SIMD for (size_t i = 0; i < WIDE; i++) fraction[i] = x[i] - rint(x[i]);
    wide_sinpi(fraction, sine);
    wide_cospi(fraction, cotangent);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) cotangent[i] /= sine[i];
    polynomial(cotangent, c, (size_t)order + 2, y);
    /* At a pole, even derivatives have no limit, odd ones have the same from both sides. */
    const double pole = order % 2 ? -INFINITY : NAN;
    AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] = fraction[i] == 0 ? pole : scale * y[i];
}

/* Below 0 by reflection: ψ_n(x) = (-1)^n ψ_n(1 - x) - dⁿ/dxⁿ π cot(πx). */
static inline void polygamma_of(const double *x, int order, double *y)
{
    double positive[WIDE], reflected[WIDE];
    bool below = false;
    for (size_t i = 0; i < WIDE; i++) {
        positive[i] = x[i] < 0 ? 1 - x[i] : x[i];
        below |= x[i] < 0;
    }
    if (order == 0)
        digamma_above_0(positive, y);
    else
        polygamma_above_0(positive, order, y);
    if (!below) return;
    cotangent_derivative(x, order, reflected);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] = x[i] < 0 ? (order % 2 ? -y[i] : y[i]) - reflected[i] : y[i];
}

#endif
