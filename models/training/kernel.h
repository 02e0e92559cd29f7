/* What optimizers.c is made of. It is compiled once for each instruction set and dtype, with -DAD_ISA=avx512 (avx2,
 * neon, portable) and -DAD_REAL_BITS=32 (64). */
#ifndef WEIR_MODELS_TRAINING_KERNEL_H
#define WEIR_MODELS_TRAINING_KERNEL_H

#include <tgmath.h>

#if AD_REAL_BITS == 32
typedef float real;
#else
typedef double real;
#endif

#define AD_JOIN(name, isa, bits)          name##_##isa##_f##bits
#define AD_JOIN_EXPANDED(name, isa, bits) AD_JOIN(name, isa, bits)
/* nf__optimizers -> nf__optimizers_avx512_f32 */
#define AD_NAME(name) AD_JOIN_EXPANDED(name, AD_ISA, AD_REAL_BITS)

/* The loop's iterations are independent. */
#define AD_SIMD _Pragma("omp simd")

#endif
