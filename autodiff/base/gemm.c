/* Matrix products: by LIBXSMM's kernels where the machine has them, and by BLIS elsewhere. */
#include "base/blis.h"
#include "base/cpu.h"
#include "base/gemm.h"

#include <weir/op.h>

#include <math.h>
#include <string.h>

static bool has_kernels(void)
{
#ifdef AD_HAVE_LIBXSMM
    return ad__isa_of_cpu() != AD_ISA_portable;
#else
    return false;
#endif
}

#ifdef AD_HAVE_LIBXSMM
#include "base/kernels.h"

/* Rows of C computed together; and of A's columns as many at a time as leave such a panel of A in the L1 cache while
 * all columns of C use it. A sum that is interrupted goes on from C, in the same order: it has the same bits. */
static size_t panel_of(size_t m)
{
    enum { PANEL = 64 };
    return m < PANEL ? m : PANEL;
}

static size_t depth_of(size_t m, size_t k, size_t size)
{
    enum { PANEL_BYTES = 16 << 10 };
    const size_t depth = PANEL_BYTES / (panel_of(m) * size);
    return k < depth ? k : depth;
}

/* Where there is no kernel: the same sums in the same order, but slowly. */
#define DEFINE_PRODUCT(real, suffix, fused)                                                                            \
    __attribute__((target("avx2,fma"))) static void plain_##suffix(const ad__product *p, const real *a, const real *b, \
                                                                   real *c)                                            \
    {                                                                                                                  \
        const size_t step_k = p->transpose_b ? p->ldb : 1, step_j = p->transpose_b ? 1 : p->ldb;                       \
        for (size_t j = 0; j < p->n; j++) {                                                                            \
            real *sum = c + j * p->ldc;                                                                                \
            if (!p->adds) memset(sum, 0, p->m * sizeof *sum);                                                          \
            for (size_t k = 0; k < p->k; k++)                                                                          \
                for (size_t i = 0; i < p->m; i++)                                                                      \
                    sum[i] = fused(a[k * p->lda + i], b[k * step_k + j * step_j], sum[i]);                             \
        }                                                                                                              \
    }                                                                                                                  \
    /* Of columns of A that are taken at once. */                                                                      \
    static void multiply_panels_##suffix(ad__product p, const real *a, const real *b, real *c)                         \
    {                                                                                                                  \
        const size_t m = p.m;                                                                                          \
        ad__kernel kernel = {NULL};                                                                                    \
        for (size_t i = 0; i < m; i += p.m) {                                                                          \
            const size_t height = panel_of(m - i);                                                                     \
            if (i == 0 || p.m != height) {                                                                             \
                p.m = height;                                                                                          \
                kernel = ad__kernel_of(&p);                                                                            \
            }                                                                                                          \
            if (kernel.code)                                                                                           \
                kernel.suffix(a + i, b, c + i);                                                                        \
            else                                                                                                       \
                plain_##suffix(&p, a + i, b, c + i);                                                                   \
        }                                                                                                              \
    }                                                                                                                  \
    static void multiply_##suffix(ad__product p, const real *a, const real *b, real *c)                                \
    {                                                                                                                  \
        const size_t k = p.k, step_k = p.transpose_b ? p.ldb : 1;                                                      \
        for (size_t at = 0; at < k; at += p.k) {                                                                       \
            p.k = depth_of(p.m, k - at, sizeof(real));                                                                 \
            multiply_panels_##suffix(p, a + at * p.lda, b + at * step_k, c);                                           \
            p.adds = true;                                                                                             \
        }                                                                                                              \
    }
DEFINE_PRODUCT(float, f32, fmaf)
DEFINE_PRODUCT(double, f64, fma)

#endif

void ad__gemm_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                  bool transpose_b, float beta, float *c, size_t ldc)
{
    if (m == 0 || n == 0) return;
    if (k == 0) {
        for (size_t j = 0; j < n && beta == 0; j++) memset(c + j * ldc, 0, m * sizeof *c);
        return;
    }
#ifdef AD_HAVE_LIBXSMM
    if (has_kernels()) {
        multiply_f32((ad__product){m, n, k, lda, ldb, ldc, false, transpose_b, beta != 0}, a, b, c);
        return;
    }
#endif
    ad__blis_f32(m, n, k, a, lda, b, ldb, transpose_b, beta, c, ldc);
}

void ad__gemm_f64(size_t m, size_t n, size_t k, const double *a, size_t lda, const double *b, size_t ldb,
                  bool transpose_b, double beta, double *c, size_t ldc)
{
    if (m == 0 || n == 0) return;
    if (k == 0) {
        for (size_t j = 0; j < n && beta == 0; j++) memset(c + j * ldc, 0, m * sizeof *c);
        return;
    }
#ifdef AD_HAVE_LIBXSMM
    if (has_kernels()) {
        multiply_f64((ad__product){m, n, k, lda, ldb, ldc, true, transpose_b, beta != 0}, a, b, c);
        return;
    }
#endif
    ad__blis_f64(m, n, k, a, lda, b, ldb, transpose_b, beta, c, ldc);
}

ad_status ad__gemm_start(ad_error *error)
{
    ad_status status = ad__isa_check(error);
    return status || has_kernels() ? status : ad__blis_start(error);
}

ad_status ad__gemm_enter(int threads, ad_error *error)
{
    return has_kernels() ? AD_OK : ad__blis_enter(threads, error);
}

void ad__gemm_leave(int threads)
{
    if (!has_kernels()) ad__blis_leave(threads);
}

const char *ad_gemm_name(void)
{
    return has_kernels() ? "libxsmm" : "blis";
}
