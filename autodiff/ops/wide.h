/* Elementwise ops that are computed in double in either dtype: an op gives a function of arrays of doubles, and what is
 * here converts. So float32 loses nothing in the recurrences and cancellations of a special function, and there is one
 * function to get right. */
#ifndef WEIR_AUTODIFF_OPS_WIDE_H
#define WEIR_AUTODIFF_OPS_WIDE_H

#include "ops/elementwise.h"
#include "ops/vector_math.h"

/* So many numbers are computed at a time; copies of the last fill up what is left at the end. */
enum { WIDE = 32 };

/* WIDE elements of out from as many of each argument. */
typedef void wide_function(const double *const in[], double *out, const double *attribute);

static inline void in_doubles(size_t n, const void *const in[], const size_t stride[], int n_in, real *out,
                              const double *attribute, wide_function *f)
{
    double wide[2][WIDE], result[WIDE];
    const double *const arguments[] = {wide[0], wide[1]};
    for (size_t begin = 0; begin < n; begin += WIDE) {
        const size_t count = n - begin < WIDE ? n - begin : WIDE;
        for (int k = 0; k < n_in; k++)
            for (size_t i = 0; i < WIDE; i++)
                wide[k][i] = (double)((const real *)in[k])[stride[k] ? begin + (i < count ? i : count - 1) : 0];
        f(arguments, result, attribute);
        for (size_t i = 0; i < count; i++) out[begin + i] = (real)result[i];
    }
}

/* Define the loop of an op of one or two arguments from NAME_wide(). */
#define AD_WIDE_OP(name, n_in)                                                                                         \
    AD_LOOP(name)                                                                                                      \
    {                                                                                                                  \
        in_doubles(n, in, stride, n_in, to, attribute, name##_wide);                                                   \
    }

/* y_i = f(x_i); y may be x. */
#define AD_WIDE_FUNCTION(name, accuracy)                                                                               \
    static inline void wide_##name(const double *x, double *y)                                                         \
    {                                                                                                                  \
        sleef_wide v;                                                                                                  \
        for (size_t i = 0; i < WIDE; i += sizeof v / sizeof *x) {                                                      \
            memcpy(&v, x + i, sizeof v);                                                                               \
            v = AD_SLEEF_WIDE(name, accuracy)(v);                                                                      \
            memcpy(y + i, &v, sizeof v);                                                                               \
        }                                                                                                              \
    }
AD_WIDE_FUNCTION(exp, u10)
AD_WIDE_FUNCTION(log, u10)
AD_WIDE_FUNCTION(log1p, u10)
AD_WIDE_FUNCTION(expm1, u10)
AD_WIDE_FUNCTION(erfc, u15)
AD_WIDE_FUNCTION(lgamma, u10)

/* y_i = Σ_k c_k x_i^k, k < count. */
static inline void polynomial(const double *x, const double *c, size_t count, double *y)
{
    for (size_t i = 0; i < WIDE; i++) y[i] = c[count - 1];
    for (size_t k = count - 1; k-- > 0;) AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] = y[i] * x[i] + c[k];
}

#endif
