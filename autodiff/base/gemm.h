/* Products of matrices. */
#ifndef WEIR_AUTODIFF_BASE_GEMM_H
#define WEIR_AUTODIFF_BASE_GEMM_H

#include <weir/error.h>

#include <stdbool.h>
#include <stddef.h>

/* C (m,n) = beta * C + A (m,k) B (k,n), beta 0 or 1, column-major: element (i,j) of A at a[i + j * lda], likewise B and
 * C, or b[j + i * ldb] where transpose_b. If m is a multiple of 16, as with rows of a tile, each element of C has bits
 * that depend on its own row of A and column of B alone, not on m or n or its position. They never fail: kernels that
 * can't be made for lack of memory are done without, and BLIS has what ad__gemm_enter() has seen to. From any thread.
 */
void ad__gemm_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                  bool transpose_b, float beta, float *c, size_t ldc);
void ad__gemm_f64(size_t m, size_t n, size_t k, const double *a, size_t lda, const double *b, size_t ldb,
                  bool transpose_b, double beta, double *c, size_t ldc);
/* Initialise what is behind it, once, before the first product. AD_ERROR_ARGUMENT where WEIR_ISA names no instruction
 * set of this CPU; AD_ERROR_MEMORY where there isn't enough. */
ad_status ad__gemm_start(ad_error *error);
/* From here to ad__gemm_leave() so many more threads may multiply at a time; AD_ERROR_MEMORY, and none may, where there
 * is no memory for the buffers that this takes. From any thread, once ad__gemm_start() has succeeded. */
ad_status ad__gemm_enter(int threads, ad_error *error);
void ad__gemm_leave(int threads);

#endif
