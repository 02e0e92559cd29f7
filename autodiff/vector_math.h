/* exp, log and the like on arrays, by SLEEF for the instruction set this is compiled for. Errors are at most 1 ulp;
 * tanh: 3.5 ulp, at a quarter of the price. NaN, infinities and signed zeros come out as from libm, but
 * log1p is infinite from 1e38 on (1e307 in float64). A number's result doesn't depend on its place in the array. */
#ifndef WEIR_VECTOR_MATH_H
#define WEIR_VECTOR_MATH_H

#include "kernels.h"

#if defined __AVX2__
#include <immintrin.h>
#endif
#include <sleef.h>

/* SLEEF's type and names: Sleef_expf16_u10avx512f. Its sin and cos choose a method for all of a vector, by the largest
 * number in it; those named Sleef_finz_sinf16_u10avx512f choose for each number. */
#if defined __AVX512F__ && AD_REAL_BITS == 32
typedef __m512 sleef_vector;
#define AD_SLEEF(name, accuracy)      Sleef_##name##f16_##accuracy##avx512f
#define AD_SLEEF_EACH(name, accuracy) Sleef_finz_##name##f16_##accuracy##avx512f
#elif defined __AVX512F__
typedef __m512d sleef_vector;
#define AD_SLEEF(name, accuracy)      Sleef_##name##d8_##accuracy##avx512f
#define AD_SLEEF_EACH(name, accuracy) Sleef_finz_##name##d8_##accuracy##avx512f
#elif defined __AVX2__ && AD_REAL_BITS == 32
typedef __m256 sleef_vector;
#define AD_SLEEF(name, accuracy)      Sleef_##name##f8_##accuracy##avx2
#define AD_SLEEF_EACH(name, accuracy) Sleef_finz_##name##f8_##accuracy##avx2
#elif defined __AVX2__
typedef __m256d sleef_vector;
#define AD_SLEEF(name, accuracy)      Sleef_##name##d4_##accuracy##avx2
#define AD_SLEEF_EACH(name, accuracy) Sleef_finz_##name##d4_##accuracy##avx2
#elif AD_REAL_BITS == 32
typedef float sleef_vector;
#define AD_SLEEF(name, accuracy) Sleef_##name##f_##accuracy
#define AD_SLEEF_EACH            AD_SLEEF
#else
typedef double sleef_vector;
#define AD_SLEEF(name, accuracy) Sleef_##name##_##accuracy
#define AD_SLEEF_EACH            AD_SLEEF
#endif

enum { AD_LANES = sizeof(sleef_vector) / sizeof(real) };

/* void vector_exp(n, x, y): y_i = exp(x_i); y may be x. The last numbers go through a padded copy. */
#define AD_VECTOR_FUNCTION(name, sleef, accuracy)                                                                      \
    static inline void vector_##name(size_t n, const real *x, real *y)                                                 \
    {                                                                                                                  \
        sleef_vector v;                                                                                                \
        size_t i = 0;                                                                                                  \
        for (; i + AD_LANES <= n; i += AD_LANES) {                                                                     \
            memcpy(&v, x + i, sizeof v);                                                                               \
            v = sleef(name, accuracy)(v);                                                                              \
            memcpy(y + i, &v, sizeof v);                                                                               \
        }                                                                                                              \
        if (i == n) return;                                                                                            \
        memset(&v, 0, sizeof v);                                                                                       \
        memcpy(&v, x + i, (n - i) * sizeof(real));                                                                     \
        v = sleef(name, accuracy)(v);                                                                                  \
        memcpy(y + i, &v, (n - i) * sizeof(real));                                                                     \
    }

AD_VECTOR_FUNCTION(exp, AD_SLEEF, u10)
AD_VECTOR_FUNCTION(log, AD_SLEEF, u10)
AD_VECTOR_FUNCTION(log1p, AD_SLEEF, u10)
AD_VECTOR_FUNCTION(expm1, AD_SLEEF, u10)
AD_VECTOR_FUNCTION(tanh, AD_SLEEF, u35)
AD_VECTOR_FUNCTION(sin, AD_SLEEF_EACH, u10)
AD_VECTOR_FUNCTION(cos, AD_SLEEF_EACH, u10)

#endif
