/* The one file that includes BLIS. It goes by a mutex of its own, which a fork() while another thread multiplies would
 * leave locked in the child: so products hold a gate that fork() waits for. */
#include "base/blis.h"

#include <blis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Shared by products, which are short, and taken by fork(), which comes first. */
static pthread_rwlock_t gate = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

/* One thread, and never the path for small matrices, whose bits differ with m and n. */
static rntm_t runtime_of_product(void)
{
    rntm_t runtime = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_num_threads(1, &runtime);
    bli_rntm_disable_l3_sup(&runtime);
    return runtime;
}

void ad__blis_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                  bool transpose_b, float beta, float *c, size_t ldc)
{
    rntm_t runtime = runtime_of_product();
    float one = 1;
    pthread_rwlock_rdlock(&gate);
    bli_sgemm_ex(BLIS_NO_TRANSPOSE, transpose_b ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, (dim_t)m, (dim_t)n, (dim_t)k,
                 &one, (float *)a, 1, (inc_t)lda, (float *)b, 1, (inc_t)ldb, &beta, c, 1, (inc_t)ldc, NULL, &runtime);
    pthread_rwlock_unlock(&gate);
}

void ad__blis_f64(size_t m, size_t n, size_t k, const double *a, size_t lda, const double *b, size_t ldb,
                  bool transpose_b, double beta, double *c, size_t ldc)
{
    rntm_t runtime = runtime_of_product();
    double one = 1;
    pthread_rwlock_rdlock(&gate);
    bli_dgemm_ex(BLIS_NO_TRANSPOSE, transpose_b ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, (dim_t)m, (dim_t)n, (dim_t)k,
                 &one, (double *)a, 1, (inc_t)lda, (double *)b, 1, (inc_t)ldb, &beta, c, 1, (inc_t)ldc, NULL, &runtime);
    pthread_rwlock_unlock(&gate);
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

ad_status ad__blis_enter(int threads, ad_error *error)
{
    const int wanted = atomic_fetch_add(&products.taken, threads) + threads;
    ad_status status = AD_OK;
    if (wanted <= atomic_load(&products.granted)) return AD_OK;
    pthread_mutex_lock(&products.mutex);
    const int more = wanted - atomic_load(&products.granted);
    if (more > 0) status = see_memory(more, error);
    if (more > 0 && status == AD_OK) atomic_store(&products.granted, wanted);
    pthread_mutex_unlock(&products.mutex);
    if (status != AD_OK) ad__blis_leave(threads);
    return status;
}

void ad__blis_leave(int threads)
{
    atomic_fetch_sub(&products.taken, threads);
}

/* ---- Start ------------------------------------------------------------------------------------------------------ */

static void before_fork(void)
{
    pthread_mutex_lock(&products.mutex);
    pthread_rwlock_wrlock(&gate);
}

static void after_fork(void)
{
    pthread_rwlock_unlock(&gate);
    pthread_mutex_unlock(&products.mutex);
}

/* Threads that wait at the gate aren't in the child, where it must not count them. */
static void after_fork_in_child(void)
{
    gate = (pthread_rwlock_t)PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
    pthread_mutex_unlock(&products.mutex);
}

static ad_status start(ad_error *error)
{
    enum { FIRST = 48 << 20 }; /* bytes: more than BLIS takes as it starts; their number isn't known before */
    static bool heeds_forks;
    heeds_forks = heeds_forks || pthread_atfork(before_fork, after_fork, after_fork_in_child) == 0;
    if (!heeds_forks || !there_is(FIRST))
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the buffers of matrix products");
    bli_init();
    /* The first product fills the pools for one. */
    double one = 1, product = 0;
    ad__blis_f64(1, 1, 1, &one, 1, &one, 1, false, 0, &product, 1);
    atomic_store(&products.granted, 1);
    return AD_OK;
}

ad_status ad__blis_start(ad_error *error)
{
    pthread_mutex_lock(&products.mutex);
    ad_status status = products.started ? AD_OK : start(error);
    products.started = status == AD_OK;
    pthread_mutex_unlock(&products.mutex);
    return status;
}
