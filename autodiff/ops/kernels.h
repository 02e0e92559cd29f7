/* What the op files share. Each of them is compiled once for each instruction set and dtype, with -DAD_ISA=avx512
 * (avx2, neon, portable) and -DAD_REAL_BITS=32 (64), and defines its own copy of its descriptors. */
#ifndef WEIR_AUTODIFF_OPS_KERNELS_H
#define WEIR_AUTODIFF_OPS_KERNELS_H

#include "plan/elements.h"

#include <weir/op.h>

#include <assert.h>
#include <string.h>
#include <tgmath.h>
#if defined __AVX2__
#include <immintrin.h>
#endif

#if AD_REAL_BITS == 32
typedef float real;
#define AD_DTYPE AD_F32
#else
typedef double real;
#define AD_DTYPE AD_F64
#endif

#define AD_JOIN(name, isa, bits)          name##_##isa##_f##bits
#define AD_JOIN_EXPANDED(name, isa, bits) AD_JOIN(name, isa, bits)
/* ad__op_exp -> ad__op_exp_avx512_f32 */
#define AD_NAME(name) AD_JOIN_EXPANDED(name, AD_ISA, AD_REAL_BITS)

#define AD_DEFINE_OP(name)                                                                                             \
    extern const ad_op AD_NAME(ad__op_##name);                                                                         \
    const ad_op AD_NAME(ad__op_##name)

#define AD_SAMPLES(...)                                                                                                \
    .sample = (const ad_sample[]){__VA_ARGS__}, .n_sample = sizeof((ad_sample[]){__VA_ARGS__}) / sizeof(ad_sample)
/* One sample argument: its shape, AD_DIMS(3, 4) or AD_NO_DIMS, and its range. */
#define AD_DIMS(...)                                                                                                   \
    {                                                                                                                  \
        .rank = (int)(sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t)), .dim = { __VA_ARGS__ }                        \
    }
#define AD_NO_DIMS                                                                                                     \
    {                                                                                                                  \
        .rank = 0                                                                                                      \
    }
#define AD_ATTRIBUTES(...)                                                                                             \
    .attribute = (const double[]){__VA_ARGS__}, .n_attribute = sizeof((double[]){__VA_ARGS__}) / sizeof(double)

/* The loop's iterations are independent, though the result may be one of the arguments. */
#define AD_SIMD _Pragma("omp simd")

/* The head of what an elementwise op says to be fused, and where its descriptor says so. */
#define AD_ELEMENT(name)                                                                                               \
    static ad__element name##_element(ad__elements *list, const ad__element *in, const double *attribute)
#define AD_FUSED_BY_ELEMENT(name)                                                                                      \
    .fusing[AD_DTYPE] = &(const ad__fusing)                                                                            \
    {                                                                                                                  \
        .element = name##_element                                                                                      \
    }
#define AD_FUSED_BY_FUNCTION(name)                                                                                     \
    .fusing[AD_DTYPE] = &(const ad__fusing)                                                                            \
    {                                                                                                                  \
        .element = name##_element, .is_function = true                                                                 \
    }
/* The same of other ops; `accepts` may be NULL. */
#define AD_FUSED_CALL(name) static void name##_fused(const ad__fused_call *call)
#define AD_FUSED_BY_CALL(name, accept)                                                                                 \
    .fusing[AD_DTYPE] = &(const ad__fusing)                                                                            \
    {                                                                                                                  \
        .call = name##_fused, .accepts = accept                                                                        \
    }

static inline const real *real_in(const ad_tile *tile, int i)
{
    return tile->in[i].data;
}

/* Consecutive numbers that one element of a tensor takes in a tile. */
static inline size_t rows_of(const ad_tensor *tensor, const ad_tile *tile)
{
    return tensor->per_row ? tile->rows : 1;
}

#endif
