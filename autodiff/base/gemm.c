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
 * way borrows a set of buffers. So before products can be under way in more threads than ever, it is seen whether there
 * is memory for their sets, and then BLIS is led to fill its pools: by products within products, each of which borrows
 * a set while those around it have theirs. The microkernel, which multiplies what lies in the buffers, is an argument
 * of a product, and ours starts the next one. */

/* Products within each other, so that their frames (21 KiB each) leave room on any stack. With more threads than that
 * BLIS may still allocate, and abort, while they run. */
enum { MOST_SETS = 128 };

static struct {
    pthread_mutex_t mutex;
    atomic_int sets;  /* in the pools: so many products may be under way */
    atomic_int taken; /* by runs that are under way, one for each of their threads */
    bool started;
} buffers = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static cntx_t nesting; /* BLIS's own context, but for the microkernel; under the mutex, as is the next one */
static int to_nest;

static void nest_product(void)
{
    if (to_nest == 0) return;
    to_nest--;
    rntm_t runtime = blis_runtime();
    double one = 1, a = 1, b = 1, c = 0;
    bli_dgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, 1, 1, 1, &one, &a, 1, 1, &b, 1, 1, &one, &c, 1, 1, &nesting,
                 &runtime);
}

static void nesting_kernel(dim_t m, dim_t n, dim_t k, double *alpha, double *a, double *b, double *beta, double *c,
                           inc_t rs_c, inc_t cs_c, auxinfo_t *data, cntx_t *context)
{
    (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)b, (void)beta, (void)c, (void)rs_c, (void)cs_c;
    (void)data, (void)context;
    nest_product();
}

static size_t buffer_bytes(packbuf_t kind)
{
    return bli_pool_block_size(bli_pba_pool((dim_t)bli_packbuf_index(kind), bli_pba_query()));
}

/* Other products may have all sets that there are. */
static ad_status fill_pools(int sets, ad_error *error)
{
    enum { REST = 64 << 10 }; /* of a set: what describes it */
    const size_t bytes = buffer_bytes(BLIS_BUFFER_FOR_A_BLOCK) + buffer_bytes(BLIS_BUFFER_FOR_B_PANEL) + REST;
    void *probe = malloc((size_t)sets * bytes);
    if (!probe)
        return ad_error_set(error, AD_ERROR_MEMORY,
                            "out of memory for the buffers of matrix products in %d threads, %zu MiB each; use fewer",
                            sets, bytes >> 20);
    free(probe);
    to_nest = sets;
    nest_product();
    atomic_store(&buffers.sets, sets);
    return AD_OK;
}

ad_status ad__gemm_enter(int threads, ad_error *error)
{
    const int taken = atomic_fetch_add(&buffers.taken, threads) + threads;
    const int wanted = taken < MOST_SETS ? taken : MOST_SETS;
    ad_status status = AD_OK;
    if (wanted <= atomic_load(&buffers.sets)) return AD_OK;
    pthread_mutex_lock(&buffers.mutex);
    if (wanted > atomic_load(&buffers.sets)) status = fill_pools(wanted, error);
    pthread_mutex_unlock(&buffers.mutex);
    if (status != AD_OK) ad__gemm_leave(threads);
    return status;
}

void ad__gemm_leave(int threads)
{
    atomic_fetch_sub(&buffers.taken, threads);
}

static ad_status start(ad_error *error)
{
    enum { FIRST = 48 << 20 }; /* bytes: more than BLIS takes as it starts; their number isn't known before */
    void *probe = malloc(FIRST);
    if (!probe) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the buffers of matrix products");
    free(probe);
    isa = ad__isa_of_cpu();
#ifdef AD_HAVE_LIBXSMM
    libxsmm_init();
    if (isa == AD_ISA_avx2) libxsmm_set_target_archid(LIBXSMM_X86_AVX2);
#endif
    bli_init();
    nesting = *bli_gks_query_cntx();
    bli_func_set_dt((void_fp)nesting_kernel, BLIS_DOUBLE, bli_cntx_get_l3_nat_ukrs(BLIS_GEMM_UKR, &nesting));
    bli_func_set_dt((void_fp)nesting_kernel, BLIS_DOUBLE, bli_cntx_get_l3_vir_ukrs(BLIS_GEMM_UKR, &nesting));
    return fill_pools(1, error);
}

ad_status ad__gemm_start(ad_error *error)
{
    pthread_mutex_lock(&buffers.mutex);
    ad_status status = buffers.started ? AD_OK : start(error);
    buffers.started = status == AD_OK;
    pthread_mutex_unlock(&buffers.mutex);
    return status;
}

const char *ad_gemm_name(void)
{
#ifdef AD_HAVE_LIBXSMM
    if (ad__isa_of_cpu() != AD_ISA_portable) return "libxsmm+blis";
#endif
    return "blis";
}
