/* exp, log and the like on arrays, by SLEEF for the instruction set this is compiled for. Errors are at most 1 ulp;
 * tanh: 3.5 ulp (2.6 in float32), at a quarter of the price. NaN, infinities and signed zeros come out as from libm,
 * but vector_log1p() is infinite from 1e38 on (1e307 in float64). A number's result doesn't depend on its place in the
 * array. */
#ifndef WEIR_AUTODIFF_OPS_VECTOR_MATH_H
#define WEIR_AUTODIFF_OPS_VECTOR_MATH_H

#include "ops/kernels.h"

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
#elif defined AD_NEON && AD_REAL_BITS == 32
typedef float32x4_t sleef_vector;
#define AD_SLEEF(name, accuracy)      Sleef_##name##f4_##accuracy##advsimd
#define AD_SLEEF_EACH(name, accuracy) Sleef_finz_##name##f4_##accuracy##advsimd
#elif defined AD_NEON
typedef float64x2_t sleef_vector;
#define AD_SLEEF(name, accuracy)      Sleef_##name##d2_##accuracy##advsimd
#define AD_SLEEF_EACH(name, accuracy) Sleef_finz_##name##d2_##accuracy##advsimd
#elif AD_REAL_BITS == 32
typedef float sleef_vector;
#define AD_SLEEF(name, accuracy) Sleef_##name##f_##accuracy
#define AD_SLEEF_EACH            AD_SLEEF
#else
typedef double sleef_vector;
#define AD_SLEEF(name, accuracy) Sleef_##name##_##accuracy
#define AD_SLEEF_EACH            AD_SLEEF
#endif

/* Vectors of double in either dtype, and the names of functions of them. */
#if AD_REAL_BITS == 64
typedef sleef_vector sleef_wide;
#define AD_SLEEF_WIDE AD_SLEEF
#elif defined __AVX512F__
typedef __m512d sleef_wide;
#define AD_SLEEF_WIDE(name, accuracy) Sleef_##name##d8_##accuracy##avx512f
#elif defined __AVX2__
typedef __m256d sleef_wide;
#define AD_SLEEF_WIDE(name, accuracy) Sleef_##name##d4_##accuracy##avx2
#elif defined AD_NEON
typedef float64x2_t sleef_wide;
#define AD_SLEEF_WIDE(name, accuracy) Sleef_##name##d2_##accuracy##advsimd
#else
typedef double sleef_wide;
#define AD_SLEEF_WIDE(name, accuracy) Sleef_##name##_##accuracy
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
        const size_t rest = n % AD_LANES;                                                                              \
        if (rest == 0) return;                                                                                         \
        memset(&v, 0, sizeof v);                                                                                       \
        memcpy(&v, x + i, rest * sizeof(real));                                                                        \
        v = sleef(name, accuracy)(v);                                                                                  \
        memcpy(y + i, &v, rest * sizeof(real));                                                                        \
    }

AD_VECTOR_FUNCTION(exp, AD_SLEEF, u10)
AD_VECTOR_FUNCTION(log1p, AD_SLEEF, u10)
AD_VECTOR_FUNCTION(expm1, AD_SLEEF, u10)
AD_VECTOR_FUNCTION(sin, AD_SLEEF_EACH, u10)
AD_VECTOR_FUNCTION(cos, AD_SLEEF_EACH, u10)
AD_VECTOR_FUNCTION(erf, AD_SLEEF, u10)
AD_VECTOR_FUNCTION(erfc, AD_SLEEF, u15)
AD_VECTOR_FUNCTION(lgamma, AD_SLEEF, u10)

#if AD_REAL_BITS == 64
AD_VECTOR_FUNCTION(log, AD_SLEEF, u10)
AD_VECTOR_FUNCTION(tanh, AD_SLEEF, u35)
#else

static inline float multiply_add(float a, float b, float c)
{
#if defined __FMA__ || defined __ARM_FEATURE_FMA
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* e / (e + 2) with e = expm1(2|x|) = 2ⁿ expm1(r) + 2ⁿ - 1, r = 2|x| - n log 2, and the sign of x. expm1 on |r| <=
 * log(2)/2 is a minimax polynomial (relative error 1.3e-8). Off by 2.6 ulp at most, tried on every float; never beyond
 * ±1. */
static inline float tanh_of(float x)
{
    const float round = 0x1.8p23f, most = 18.04f; /* from there on, 1 */
    const float twice = 2 * fabsf(x), y = twice > most ? most : twice;
    const float shifted = multiply_add(y, 0x1.715476p0f, round); /* n in its last bits */
    const float n = shifted - round;
    const float r = multiply_add(n, -0x1.0bfbe8p-15f, multiply_add(n, -0x1.62ep-1f, y));
    float q = multiply_add(r, 0x1.6d98f8p-10f, 0x1.1227f0p-7f);
    q = multiply_add(q, r, 0x1.555486p-5f);
    q = multiply_add(q, r, 0x1.5554b0p-3f);
    q = multiply_add(q, r, 0.5f);
    const float p = multiply_add(r * r, q, r);
    uint32_t bits;
    float power;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    memcpy(&power, &bits, sizeof bits);
    const float e = multiply_add(power, p, power - 1);
    return copysignf(e / (e + 2), x);
}

static inline void vector_tanh(size_t n, const real *x, real *y)
{
    AD_SIMD for (size_t i = 0; i < n; i++) y[i] = tanh_of(x[i]);
}

/* x = 2ᵏ (1 + f) with 3/4 <= 1 + f < 3/2, and log x = k log 2 + f - f²/2 + f³ p(f) with a minimax polynomial p
 * (relative error of the log 5e-9), its coefficients from the highest one on, down to that of f². Off by .98 ulp at
 * most, tried on every float. */
static const float log_coefficient[] = {-0x1.7140b6p-5f, 0x1.ac90bap-4f,  -0x1.0d8a8ep-3f,
                                        0x1.28847cp-3f,  -0x1.54efdcp-3f, 0x1.9969b0p-3f,
                                        -0x1.000040p-2f, 0x1.5555a4p-2f,  -0.5f};
enum { LOG_COEFFICIENTS = sizeof log_coefficient / sizeof *log_coefficient };

static inline float log_of(float x)
{
    const bool is_tiny = x < 0x1p-126f;
    const float y = is_tiny ? x * 0x1p23f : x;
    uint32_t bits;
    float m;
    memcpy(&bits, &y, sizeof bits);
    const uint32_t from_3_4 = bits - 0x3f400000u; /* the bits of 3/4 */
    const float k = (float)((int32_t)from_3_4 >> 23) - (is_tiny ? 23.0f : 0.0f);
    bits -= from_3_4 & 0xff800000u;
    memcpy(&m, &bits, sizeof m);
    const float f = m - 1;
    float q = log_coefficient[0];
    for (int i = 1; i < LOG_COEFFICIENTS; i++) q = multiply_add(q, f, log_coefficient[i]);
    const float rest = multiply_add(f * f, q, k * -0x1.bd0106p-13f);
    const float log_x = multiply_add(k, 0x1.63p-1f, f + rest);
    return x > 0 ? x < INFINITY ? log_x : x : x == 0 ? -INFINITY : NAN;
}

static inline void vector_log(size_t n, const real *x, real *y)
{
    AD_SIMD for (size_t i = 0; i < n; i++) y[i] = log_of(x[i]);
}

#endif

#endif
