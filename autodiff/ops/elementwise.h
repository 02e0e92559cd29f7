/* Ops that work element by element, on arguments that broadcast against each other: they give loops, and the plan finds
 * the runs of numbers to call them on. */
#ifndef WEIR_AUTODIFF_OPS_ELEMENTWISE_H
#define WEIR_AUTODIFF_OPS_ELEMENTWISE_H

#include "ops/kernels.h"

/* The head of an op's loop. */
#define AD_LOOP(name)                                                                                                  \
    static void name##_loop(size_t n, const void *const in[], const size_t stride[], void *to, const double *attribute)

/* Define the loop of an op from an expression in a (and b), reals. */
#define AD_UNARY(name, expression)                                                                                     \
    AD_LOOP(name)                                                                                                      \
    {                                                                                                                  \
        real *out = to;                                                                                                \
        (void)stride, (void)attribute;                                                                                 \
        const real *x = in[0];                                                                                         \
        AD_SIMD for (size_t i = 0; i < n; i++)                                                                         \
        {                                                                                                              \
            const real a = x[i];                                                                                       \
            out[i] = (expression);                                                                                     \
        }                                                                                                              \
    }

#define AD_BINARY(name, expression)                                                                                    \
    static inline real name##_of(real a, real b)                                                                       \
    {                                                                                                                  \
        return expression;                                                                                             \
    }                                                                                                                  \
    AD_LOOP(name)                                                                                                      \
    {                                                                                                                  \
        real *out = to;                                                                                                \
        (void)attribute;                                                                                               \
        const real *x = in[0], *y = in[1];                                                                             \
        if (stride[0] == 0) {                                                                                          \
            const real a = *x;                                                                                         \
            AD_SIMD for (size_t i = 0; i < n; i++) out[i] = name##_of(a, y[i]);                                        \
        } else if (stride[1] == 0) {                                                                                   \
            const real b = *y;                                                                                         \
            AD_SIMD for (size_t i = 0; i < n; i++) out[i] = name##_of(x[i], b);                                        \
        } else {                                                                                                       \
            AD_SIMD for (size_t i = 0; i < n; i++) out[i] = name##_of(x[i], y[i]);                                     \
        }                                                                                                              \
    }

/* Arguments that broadcast against each other in every way. */
#define AD_BINARY_SAMPLES(low_a, high_a, low_b, high_b)                                                                \
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(4), low_a, high_a}, {AD_DIMS(4), low_b, high_b}}},                          \
               {.n_in = 2, .in = {{AD_DIMS(3, 1), low_a, high_a}, {AD_DIMS(4), low_b, high_b}}},                       \
               {.n_in = 2, .in = {{AD_NO_DIMS, low_a, high_a}, {AD_DIMS(2, 3), low_b, high_b}}},                       \
               {.n_in = 2, .in = {{AD_DIMS(2, 1, 3), low_a, high_a}, {AD_DIMS(4, 1), low_b, high_b}}},                 \
               {.n_in = 2, .in = {{AD_DIMS(2, 3), low_a, high_a}, {AD_DIMS(1, 3), low_b, high_b}}})

#define AD_UNARY_SAMPLES(low, high)                                                                                    \
    {.n_in = 1, .in = {{AD_DIMS(5), low, high}}},                                                                      \
    {                                                                                                                  \
        .n_in = 1, .in = { {AD_DIMS(2, 3), low, high} }                                                                \
    }

#endif
