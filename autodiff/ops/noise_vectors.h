/* What makes noise: vectors of float64, and of integers in their place; the product of the integers' low halves; and
 * SLEEF's variants without FMA, which give the same bits for any vector length, with errors of at most 3.5 ulp. */
#ifndef WEIR_AUTODIFF_OPS_NOISE_VECTORS_H
#define WEIR_AUTODIFF_OPS_NOISE_VECTORS_H

#include "ops/vector_math.h"

typedef uint64_t noise_integers __attribute__((vector_size(sizeof(sleef_wide))));
#if defined __AVX512F__
typedef Sleef___m512d_2 noise_pair;
#define noise_multiply(x, constant) (noise_integers) _mm512_mul_epu32((__m512i)(x), _mm512_set1_epi64(constant))
#define noise_log                   Sleef_cinz_logd8_u35avx512fnofma
#define noise_sincospi              Sleef_cinz_sincospid8_u35avx512fnofma
#elif defined __AVX2__
typedef Sleef___m256d_2 noise_pair;
#define noise_multiply(x, constant) (noise_integers) _mm256_mul_epu32((__m256i)(x), _mm256_set1_epi64x(constant))
#define noise_log                   Sleef_cinz_logd4_u35avx
#define noise_sincospi              Sleef_cinz_sincospid4_u35avx
#elif defined AD_NEON
typedef Sleef_float64x2_t_2 noise_pair;
#define noise_multiply(x, constant) (noise_integers) vmull_n_u32(vmovn_u64((uint64x2_t)(x)), constant)
#define noise_log                   Sleef_cinz_logd2_u35advsimdnofma
#define noise_sincospi              Sleef_cinz_sincospid2_u35advsimdnofma
#else
typedef Sleef_double_2 noise_pair;
#define noise_multiply(x, constant) (((x)&UINT32_MAX) * (constant))
#define noise_log                   Sleef_cinz_logd1_u35purec
#define noise_sincospi              Sleef_cinz_sincospid1_u35purec
#endif

#endif
