/* Matrix products by BLIS, and what it needs to start. */
#ifndef WEIR_AUTODIFF_BASE_BLIS_H
#define WEIR_AUTODIFF_BASE_BLIS_H

#include <weir/error.h>

/* As ad__gemm_f32() and so on of base/gemm.h. */
void ad__blis_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                  bool transpose_b, float beta, float *c, size_t ldc);
void ad__blis_f64(size_t m, size_t n, size_t k, const double *a, size_t lda, const double *b, size_t ldb,
                  bool transpose_b, double beta, double *c, size_t ldc);

/* Likewise; products are only for who has started BLIS. */
ad_status ad__blis_start(ad_error *error);
ad_status ad__blis_enter(int threads, ad_error *error);
void ad__blis_leave(int threads);

#endif
