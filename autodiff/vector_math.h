/* exp, log and the like on arrays, by SLEEF for the instruction set this is compiled for. Errors are at most 1 ulp;
 * tanh: 3.5 ulp, at a quarter of the price. NaN, infinities and signed zeros come out as from libm. A number's result
 * doesn't depend on its place in the array. */
#ifndef WEIR_VECTOR_MATH_H
#define WEIR_VECTOR_MATH_H

#include "kernels.h"

#if defined __AVX2__
#include <immintrin.h>
#endif
#include <sleef.h>

/* SLEEF's type and names: Sleef_expf16_u10avx512f. */
#if defined __AVX512F__ && AD_REAL_BITS == 32
typedef __m512 sleef_vector;
#define AD_SLEEF(name, accuracy) Sleef_##name##f16_##accuracy##avx512f
#elif defined __AVX512F__
typedef __m512d sleef_vector;
#define AD_SLEEF(name, accuracy) Sleef_##name##d8_##accuracy##avx512f
#elif defined __AVX2__ && AD_REAL_BITS == 32
typedef __m256 sleef_vector;
#define AD_SLEEF(name, accuracy) Sleef_##name##f8_##accuracy##avx2
#elif defined __AVX2__
typedef __m256d sleef_vector;
#define AD_SLEEF(name, accuracy) Sleef_##name##d4_##accuracy##avx2
#elif AD_REAL_BITS == 32
typedef float sleef_vector;
#define AD_SLEEF(name, accuracy) Sleef_##name##f_##accuracy
#else
typedef double sleef_vector;
#define AD_SLEEF(name, accuracy) Sleef_##name##_##accuracy
#endif

enum { AD_LANES = sizeof(sleef_vector) / sizeof(real) };

/* void vector_exp(n, x, y): y_i = exp(x_i); y may be x. The last numbers go through a padded copy. */
#define AD_VECTOR_FUNCTION(name, accuracy)                                                                             \
    static inline void vector_##name(size_t n, const real *x, real *y)                                                 \
    {                                                                                                                  \
        sleef_vector v;                                                                                                \
        size_t i = 0;                                                                                                  \
        for (; i + AD_LANES <= n; i += AD_LANES) {                                                                     \
            memcpy(&v, x + i, sizeof v);                                                                               \
            v = AD_SLEEF(name, accuracy)(v);                                                                           \
            memcpy(y + i, &v, sizeof v);                                                                               \
        }                                                                                                              \
        if (i == n) return;                                                                                            \
        memset(&v, 0, sizeof v);                                                                                       \
        memcpy(&v, x + i, (n - i) * sizeof(real));                                                                     \
        v = AD_SLEEF(name, accuracy)(v);                                                                               \
        memcpy(y + i, &v, (n - i) * sizeof(real));                                                                     \
    }

AD_VECTOR_FUNCTION(exp, u10)
AD_VECTOR_FUNCTION(log, u10)
AD_VECTOR_FUNCTION(log1p, u10)
AD_VECTOR_FUNCTION(expm1, u10)
AD_VECTOR_FUNCTION(tanh, u35)
AD_VECTOR_FUNCTION(sin, u10)
AD_VECTOR_FUNCTION(cos, u10)

#endif
