/* Kernels that multiply matrices, made by LIBXSMM's generator of code for this CPU. */
#ifndef WEIR_AUTODIFF_BASE_KERNELS_H
#define WEIR_AUTODIFF_BASE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

/* C (m,n) = beta * C + A (m,k) B (k,n), as in base/gemm.h: of these sizes and no other. */
typedef struct {
    size_t m, n, k, lda, ldb, ldc;
    bool f64, transpose_b, adds; /* beta is 1 */
} ad__product;

typedef void (*ad__kernel_f32)(const float *a, const float *b, float *c);
typedef void (*ad__kernel_f64)(const double *a, const double *b, double *c);

typedef union {
    void *code; /* NULL: there is none */
    ad__kernel_f32 f32;
    ad__kernel_f64 f64;
} ad__kernel;

/* The kernel of a product: made when it is first asked for, and kept for good. None where there is no memory for it, or
 * the system allows no new code. From any thread, and after a fork() at any moment: nothing is locked. */
ad__kernel ad__kernel_of(const ad__product *product);

#endif
