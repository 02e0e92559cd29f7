/* A pool of threads. Jobs are small (a tile takes some 50 µs), so workers spin a little before they sleep. */
#include "base/observed.h"

#include <weir/communicator.h>
#include <weir/environment.h>
#include <weir/memory.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { SPINS = 4000 };

/* How often this process was forked from another that had made pools. */
static atomic_uint forks;
static bool counts_forks;

static void count_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

static void start_counting(void)
{
    counts_forks = pthread_atfork(NULL, NULL, count_fork) == 0;
}

struct ad_pool {
    int threads, started;
    unsigned born;      /* after so many forks: after more, its threads are another process's */
    atomic_bool in_use; /* by one caller at a time */
    bool spin;          /* pointless where threads outnumber cores */
    pthread_t *thread;
    struct worker_start *start;
    pthread_mutex_t mutex; /* guards sleeping: who sleeps says so, and looks once more, under it */
    pthread_cond_t work, done;
    atomic_int sleepers; /* workers that wait for `work` */
    atomic_bool waits;   /* the caller, for `done` */
    atomic_bool stop;
    char apart[64];     /* workers look at it while they spin, which would slow down who writes beside it */
    atomic_size_t left; /* jobs that nobody has taken; who takes one may read what follows until it is done */
    char further[64];
    atomic_size_t pending; /* jobs that aren't done */
    size_t jobs;
    void (*job)(void *context, size_t i, int worker);
    void *context;
    const ad__pool_observer *observer;   /* or NULL */
    const ad_communicator *communicator; /* or NULL */
};

/* What a thread begins with. */
typedef struct worker_start {
    ad_pool *pool;
    int index;
} worker_start;

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static bool take_job(ad_pool *pool, size_t *left)
{
    *left = atomic_load(&pool->left);
    while (*left > 0)
        if (atomic_compare_exchange_weak(&pool->left, left, *left - 1)) return true;
    return false;
}

/* The caller goes on when jobs are done, whether or not all workers have woken up: those that come late find none. */
static void take_jobs(ad_pool *pool, int worker)
{
    size_t left;
    while (take_job(pool, &left)) {
        pool->job(pool->context, pool->jobs - left, worker);
        if (atomic_fetch_sub(&pool->pending, 1) > 1 || !atomic_load(&pool->waits)) continue;
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->mutex);
    }
}

static bool is_inherited(const ad_pool *pool)
{
    return pool->born != atomic_load(&forks);
}

static bool has_work(const ad_pool *pool)
{
    return atomic_load(&pool->left) > 0 || atomic_load(&pool->stop);
}

static void wait_for_work(ad_pool *pool)
{
    for (int i = 0; pool->spin && i < SPINS; i++) {
        if (has_work(pool)) return;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_work(pool)) pthread_cond_wait(&pool->work, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *argument)
{
    const worker_start *start = argument;
    ad_pool *pool = start->pool;
    for (;;) {
        wait_for_work(pool);
        if (atomic_load(&pool->stop)) return NULL;
        const ad_environment environment = ad_environment_enter();
        take_jobs(pool, start->index);
        ad_environment_leave(&environment);
    }
}

static int usable_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* Whatever the limit on stacks, there is one that suffices for jobs. */
static int start_thread(pthread_t *thread, worker_start *start)
{
    enum { ENOUGH = 2 << 20 };
    pthread_attr_t attributes;
    size_t stack = 0;
    int failure = pthread_attr_init(&attributes);
    if (failure) return failure;
    pthread_attr_getstacksize(&attributes, &stack);
    if (stack < ENOUGH) failure = pthread_attr_setstacksize(&attributes, ENOUGH);
    if (!failure) failure = pthread_create(thread, &attributes, work, start);
    pthread_attr_destroy(&attributes);
    return failure;
}

/* Without its threads. */
static ad_pool *make(int threads, ad_error *error)
{
    enum { MOST = 1024 };
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (threads < 0 || threads > MOST) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "threads: expected 1 … %d, or 0 for one each core; got %d", MOST,
                     threads);
        return NULL;
    }
    pthread_once(&once, start_counting);
    int cores = usable_cores();
    if (threads == 0) threads = cores;
    ad_pool *pool = ad_alloc(1, sizeof *pool);
    pthread_t *thread = ad_alloc((size_t)threads, sizeof *thread);
    worker_start *start = ad_alloc((size_t)threads, sizeof *start);
    if (!pool || !thread || !start || !counts_forks) {
        ad_free(pool);
        ad_free(thread);
        ad_free(start);
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a pool of %d threads", threads);
        return NULL;
    }
    pool->threads = threads;
    pool->born = atomic_load(&forks);
    pool->spin = threads <= cores;
    pool->thread = thread;
    pool->start = start;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    return pool;
}

ad_pool *ad_pool_new(int threads, ad_error *error)
{
    ad_pool *pool = make(threads, error);
    for (int i = 1; pool && i < pool->threads; i++) {
        pool->start[i] = (worker_start){pool, i};
        if (start_thread(&pool->thread[i], &pool->start[i]) != 0) {
            ad_error_set(error, AD_ERROR_MEMORY, "can't start thread %d of %d; ask for fewer", i + 1, pool->threads);
            ad_pool_free(pool);
            return NULL;
        }
        pool->started = i;
    }
    return pool;
}

ad_pool *ad__pool_observed(int threads, const ad__pool_observer *observer, ad_error *error)
{
    ad_pool *pool = make(threads, error);
    if (pool) pool->observer = observer;
    return pool;
}

static void stop(ad_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 1; i <= pool->started; i++) pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
}

void ad_pool_free(ad_pool *pool)
{
    if (!pool) return;
    if (!is_inherited(pool)) stop(pool);
    ad_free(pool->start);
    ad_free(pool->thread);
    ad_free(pool);
}

int ad_pool_threads(const ad_pool *pool)
{
    return pool ? pool->threads : 1;
}

static bool is_complete(const ad_communicator *c)
{
    return c->name && c->rank >= 0 && c->rank < c->size && c->local_size >= 1 && c->local_size <= c->size &&
           c->exchange && c->gather && c->broadcast && c->barrier && c->abort;
}

ad_status ad_pool_set_communicator(ad_pool *pool, const ad_communicator *communicator, ad_error *error)
{
    if (!pool) return ad_error_set(error, AD_ERROR_ARGUMENT, "communicator: there is no pool");
    if (communicator && !is_complete(communicator))
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "communicator '%s': expected a name, all functions, and 0 <= rank < size; got rank %d of %d, "
            "%d of them on this machine",
            communicator->name ? communicator->name : "", communicator->rank, communicator->size,
            communicator->local_size);
    pool->communicator = communicator;
    return AD_OK;
}

const ad_communicator *ad_pool_communicator(const ad_pool *pool)
{
    return pool ? pool->communicator : NULL;
}

/* The caller's and the workers' parts of the jobs. */
static void run_together(ad_pool *pool)
{
    atomic_store(&pool->pending, pool->jobs);
    atomic_store(&pool->left, pool->jobs);
    if (atomic_load(&pool->sleepers) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->mutex);
    }
    take_jobs(pool, 0);
    for (int i = 0; pool->spin && i < SPINS && atomic_load(&pool->pending) > 0; i++) pause_briefly();
    if (atomic_load(&pool->pending) == 0) return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->waits, true);
    while (atomic_load(&pool->pending) > 0) pthread_cond_wait(&pool->done, &pool->mutex);
    atomic_store(&pool->waits, false);
    pthread_mutex_unlock(&pool->mutex);
}

static void run_observed(const ad_pool *pool)
{
    const ad__pool_observer *observer = pool->observer;
    observer->begins(observer->context, pool->jobs);
    for (size_t i = 0; i < pool->jobs; i++) {
        pool->job(pool->context, i, 0);
        observer->job_done(observer->context);
    }
}

/* Is the pool the caller's now? Not while it works for another, perhaps for one that this call is a part of. */
static bool take(ad_pool *pool)
{
    return pool && pool->threads > 1 && !is_inherited(pool) && !atomic_exchange(&pool->in_use, true);
}

void ad_pool_run(ad_pool *pool, size_t jobs, void (*job)(void *context, size_t i, int worker), void *context)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!job) return;
    if (jobs <= 1 || !take(pool)) {
        for (size_t i = 0; i < jobs; i++) job(context, i, 0);
        return;
    }
    pool->job = job;
    pool->context = context;
    pool->jobs = jobs;
    if (pool->observer)
        run_observed(pool);
    else
        run_together(pool);
    atomic_store(&pool->in_use, false);
}
