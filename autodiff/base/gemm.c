/* Matrix products, by LIBXSMM where the machine has it and by BLIS elsewhere. The one file that includes either. */
#include "base/cpu.h"
#include "base/gemm.h"

#include <weir/op.h>

#include <blis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef AD_HAVE_LIBXSMM
#include <immintrin.h>
#include <libxsmm.h>
#endif

static ad__isa isa; /* once started */

/* ---- BLIS ---------------------------------------------------------------------------------------------------- */

/* One thread, and never the path for small matrices, whose bits differ with m and n. */
static rntm_t blis_runtime(void)
{
    rntm_t runtime;
    bli_rntm_init(&runtime);
    bli_rntm_set_num_threads(1, &runtime);
    bli_rntm_disable_l3_sup(&runtime);
    return runtime;
}

static void blis_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                     bool transpose_b, float beta, float *c, size_t ldc)
{
    rntm_t runtime = blis_runtime();
    float one = 1;
    bli_sgemm_ex(BLIS_NO_TRANSPOSE, transpose_b ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, (dim_t)m, (dim_t)n, (dim_t)k,
                 &one, (float *)a, 1, (inc_t)lda, (float *)b, 1, (inc_t)ldb, &beta, c, 1, (inc_t)ldc, NULL, &runtime);
}

static void blis_f64(size_t m, size_t n, size_t k, const double *a, size_t lda, const double *b, size_t ldb,
                     bool transpose_b, double beta, double *c, size_t ldc)
{
    rntm_t runtime = blis_runtime();
    double one = 1;
    bli_dgemm_ex(BLIS_NO_TRANSPOSE, transpose_b ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, (dim_t)m, (dim_t)n, (dim_t)k,
                 &one, (double *)a, 1, (inc_t)lda, (double *)b, 1, (inc_t)ldb, &beta, c, 1, (inc_t)ldc, NULL, &runtime);
}

/* ---- LIBXSMM ------------------------------------------------------------------------------------------------- */

#ifdef AD_HAVE_LIBXSMM

/* Its kernels add up each element of C in the order of k, by fused multiply-adds: the same bits wherever the element
 * lies. But AVX-512 kernels for a single vector of rows and few columns split the sum to hide latency. So 16 floats on
 * their own are added up here, and m is cut into panels of which none is one vector. */
__attribute__((target("avx512f"))) static void one_vector_f32(size_t n, size_t k, const float *a, size_t lda,
                                                              const float *b, size_t ldb, bool transpose_b, float beta,
                                                              float *c, size_t ldc)
{
    const size_t step_p = transpose_b ? ldb : 1, step_j = transpose_b ? 1 : ldb;
    for (size_t j = 0; j < n; j++) {
        __m512 sum = beta == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(c + j * ldc);
        for (size_t p = 0; p < k; p++)
            sum = _mm512_fmadd_ps(_mm512_loadu_ps(a + p * lda), _mm512_set1_ps(b[p * step_p + j * step_j]), sum);
        _mm512_storeu_ps(c + j * ldc, sum);
    }
}

/* Rows of C computed together; no more, so that a panel of A stays in the cache. */
static size_t panel(size_t m)
{
    enum { PANEL = 64 };
    return m == PANEL + 16 ? 48 : m < PANEL ? m : PANEL;
}

static bool is_one_vector_f32(size_t m, size_t n)
{
    return m == 16 && n < 16 && isa == AD_ISA_avx512;
}

static void libxsmm_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                        bool transpose_b, float beta, float *c, size_t ldc)
{
    const libxsmm_blasint ld[] = {(libxsmm_blasint)lda, (libxsmm_blasint)ldb, (libxsmm_blasint)ldc};
    const int flags = transpose_b ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
    const float one = 1;
    libxsmm_smmfunction kernel = NULL;
    for (size_t i = 0, height, last = 0; i < m; i += height, last = height) {
        height = panel(m - i);
        if (height != last)
            kernel = libxsmm_smmdispatch((libxsmm_blasint)height, (libxsmm_blasint)n, (libxsmm_blasint)k, &ld[0],
                                         &ld[1], &ld[2], &one, &beta, &flags, NULL);
        if (kernel)
            kernel(a + i, b, c + i);
        else
            blis_f32(height, n, k, a + i, lda, b, ldb, transpose_b, beta, c + i, ldc);
    }
}

static void libxsmm_f64(size_t m, size_t n, size_t k, const double *a, size_t lda, const double *b, size_t ldb,
                        bool transpose_b, double beta, double *c, size_t ldc)
{
    const libxsmm_blasint ld[] = {(libxsmm_blasint)lda, (libxsmm_blasint)ldb, (libxsmm_blasint)ldc};
    const int flags = transpose_b ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
    const double one = 1;
    libxsmm_dmmfunction kernel = NULL;
    for (size_t i = 0, height, last = 0; i < m; i += height, last = height) {
        height = panel(m - i);
        if (height != last)
            kernel = libxsmm_dmmdispatch((libxsmm_blasint)height, (libxsmm_blasint)n, (libxsmm_blasint)k, &ld[0],
                                         &ld[1], &ld[2], &one, &beta, &flags, NULL);
        if (kernel)
            kernel(a + i, b, c + i);
        else
            blis_f64(height, n, k, a + i, lda, b, ldb, transpose_b, beta, c + i, ldc);
    }
}

#endif

/* ---- The choice ---------------------------------------------------------------------------------------------- */

void ad__gemm_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                  bool transpose_b, float beta, float *c, size_t ldc)
{
    if (m == 0 || n == 0) return;
    if (k == 0) {
        for (size_t j = 0; j < n && beta == 0; j++) memset(c + j * ldc, 0, m * sizeof *c);
        return;
    }
#ifdef AD_HAVE_LIBXSMM
    if (is_one_vector_f32(m, n)) {
        one_vector_f32(n, k, a, lda, b, ldb, transpose_b, beta, c, ldc);
        return;
    }
    if (isa != AD_ISA_portable) {
        libxsmm_f32(m, n, k, a, lda, b, ldb, transpose_b, beta, c, ldc);
        return;
    }
#endif
    blis_f32(m, n, k, a, lda, b, ldb, transpose_b, beta, c, ldc);
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
    if (isa != AD_ISA_portable) {
        libxsmm_f64(m, n, k, a, lda, b, ldb, transpose_b, beta, c, ldc);
        return;
    }
#endif
    blis_f64(m, n, k, a, lda, b, ldb, transpose_b, beta, c, ldc);
}

/* ---- Memory -------------------------------------------------------------------------------------------------- */

/* BLIS aborts when memory runs out. What it has once allocated it keeps, in pools from which each product that is under
 * way borrows buffers. So before products can be under way in more threads than ever, it is seen whether there is
 * memory for their buffers. Other threads of the program may still take it before BLIS does: of that there is no
 * telling. */
static struct {
    pthread_mutex_t mutex;
    atomic_int granted; /* so many products may be under way */
    atomic_int taken;   /* by runs that are under way, one for each of their threads */
    bool started;
} products = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static size_t buffer_bytes(packbuf_t kind)
{
    return bli_pool_block_size(bli_pba_pool((dim_t)bli_packbuf_index(kind), bli_pba_query()));
}

/* Volatile, so that compilers don't take memory that isn't used for memory that isn't needed. */
static bool there_is(size_t bytes)
{
    void *volatile probe = malloc(bytes);
    const bool there = probe;
    free(probe);
    return there;
}

static ad_status see_memory(int more, ad_error *error)
{
    enum { REST = 64 << 10 }; /* what describes the buffers of a product */
    const size_t bytes = buffer_bytes(BLIS_BUFFER_FOR_A_BLOCK) + buffer_bytes(BLIS_BUFFER_FOR_B_PANEL) + REST;
    if (there_is((size_t)more * bytes)) return AD_OK;
    return ad_error_set(error, AD_ERROR_MEMORY,
                        "out of memory for the buffers of matrix products in %d more threads, %zu MiB each; use fewer",
                        more, bytes >> 20);
}

ad_status ad__gemm_enter(int threads, ad_error *error)
{
    const int wanted = atomic_fetch_add(&products.taken, threads) + threads;
    ad_status status = AD_OK;
    if (wanted <= atomic_load(&products.granted)) return AD_OK;
    pthread_mutex_lock(&products.mutex);
    const int more = wanted - atomic_load(&products.granted);
    if (more > 0) status = see_memory(more, error);
    if (more > 0 && status == AD_OK) atomic_store(&products.granted, wanted);
    pthread_mutex_unlock(&products.mutex);
    if (status != AD_OK) ad__gemm_leave(threads);
    return status;
}

void ad__gemm_leave(int threads)
{
    atomic_fetch_sub(&products.taken, threads);
}

static ad_status start(ad_error *error)
{
    enum { FIRST = 48 << 20 }; /* bytes: more than BLIS takes as it starts; their number isn't known before */
    if (!there_is(FIRST))
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the buffers of matrix products");
    isa = ad__isa_of_cpu();
#ifdef AD_HAVE_LIBXSMM
    libxsmm_init();
    if (isa == AD_ISA_avx2) libxsmm_set_target_archid(LIBXSMM_X86_AVX2);
#endif
    bli_init();
    /* The first product fills the pools for one. */
    double one = 1, product = 0;
    blis_f64(1, 1, 1, &one, 1, &one, 1, false, 0, &product, 1);
    atomic_store(&products.granted, 1);
    return AD_OK;
}

ad_status ad__gemm_start(ad_error *error)
{
    pthread_mutex_lock(&products.mutex);
    ad_status status = products.started ? AD_OK : start(error);
    products.started = status == AD_OK;
    pthread_mutex_unlock(&products.mutex);
    return status;
}

const char *ad_gemm_name(void)
{
#ifdef AD_HAVE_LIBXSMM
    if (ad__isa_of_cpu() != AD_ISA_portable) return "libxsmm+blis";
#endif
    return "blis";
}
