/* Pools, and those that are shared: by threads, by jobs that use the pool that they run in, and by processes. */
#include "autodiff/engine.h"
#include "sanitized.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, JOBS = 23, ROUNDS = 200 };

static void count_job(void *context, size_t i, int worker)
{
    (void)worker;
    __atomic_fetch_add(&((int *)context)[i], 1, __ATOMIC_RELAXED);
}

/* All jobs are done, once each time. */
static bool all_are(const int *done, int times)
{
    for (int i = 0; i < JOBS; i++)
        if (done[i] != times) return false;
    return true;
}

static bool works(ad_pool *pool)
{
    int done[JOBS] = {0};
    ad_pool_run(pool, JOBS, count_job, done);
    return all_are(done, 1);
}

START_TEST(pools)
{
    ad_error error;
    ck_assert_ptr_null(ad_pool_new(-1, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "got -1");
    ck_assert_ptr_null(ad_pool_new(5000, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "got 5000");
    ck_assert_int_eq(ad_pool_threads(NULL), 1);
    ad_pool_free(NULL);
    for (int threads = 0; threads <= 8; threads++) {
        ad_pool *pool = ad_pool_new(threads, NULL);
        ck_assert_int_ge(ad_pool_threads(pool), 1);
        for (size_t jobs = 0; jobs < 300; jobs = 2 * jobs + 1) {
            int done[300] = {0};
            ad_pool_run(pool, jobs, count_job, done);
            for (size_t i = 0; i < COUNT(done); i++) ck_assert_int_eq(done[i], i < jobs);
        }
        ad_pool_free(pool);
    }
}
END_TEST

/* ---- Threads and jobs ------------------------------------------------------------------------------------------- */

typedef struct {
    ad_pool *pool;
    int failures;
} caller;

static void *use(void *argument)
{
    caller *c = argument;
    for (int i = 0; i < ROUNDS; i++) c->failures += !works(c->pool);
    return NULL;
}

START_TEST(threads_share_a_pool)
{
    ad_pool *pool = ad_pool_new(3, NULL);
    pthread_t thread[THREADS];
    caller each[THREADS];
    for (int k = 0; k < THREADS; k++) {
        each[k] = (caller){.pool = pool};
        ck_assert_int_eq(pthread_create(&thread[k], NULL, use, &each[k]), 0);
    }
    for (int k = 0; k < THREADS; k++) {
        pthread_join(thread[k], NULL);
        ck_assert_int_eq(each[k].failures, 0);
    }
    ad_pool_free(pool);
}
END_TEST

static void use_again(void *context, size_t i, int worker)
{
    (void)worker;
    caller *each = context;
    each[i].failures += !works(each[i].pool);
}

START_TEST(a_job_uses_its_own_pool)
{
    ad_pool *pool = ad_pool_new(3, NULL);
    caller each[JOBS];
    for (int i = 0; i < JOBS; i++) each[i] = (caller){.pool = pool};
    for (int round = 0; round < ROUNDS; round++) ad_pool_run(pool, JOBS, use_again, each);
    for (int i = 0; i < JOBS; i++) ck_assert_int_eq(each[i].failures, 0);
    ad_pool_free(pool);
}
END_TEST

/* A large frame in each of a pool's threads, where the default stack is small. */
static void take_stack(void *context, size_t i, int worker)
{
    volatile char frame[1 << 20];
    for (size_t k = 0; worker > 0 && k < sizeof frame; k += 1024) frame[k] = 1;
    count_job(context, i, worker);
}

START_TEST(threads_have_stack)
{
    pthread_attr_t small;
    int done[JOBS] = {0};
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 1 << 17);
    ck_assert_int_eq(pthread_setattr_default_np(&small), 0);
    ad_pool *pool = ad_pool_new(3, NULL);
    for (int round = 0; round < ROUNDS; round++) ad_pool_run(pool, JOBS, take_stack, done);
    ck_assert(all_are(done, ROUNDS));
    ad_pool_free(pool);
    pthread_attr_destroy(&small);
}
END_TEST

/* ---- Processes -------------------------------------------------------------------------------------------------- */

/* The thread sanitizer ends children that start threads. */
enum { OF_CHILD = SANITIZED ? 1 : 3 };

/* What a child does with its parent's pool, and with one of its own; 0 if all is well. */
static int use_in_child(ad_pool *inherited)
{
    if (!works(inherited)) return __LINE__;
    ad_pool *own = ad_pool_new(OF_CHILD, NULL);
    for (int i = 0; i < ROUNDS; i++)
        if (!works(own) || !works(inherited)) return __LINE__;
    ad_pool_free(inherited);
    if (!works(own)) return __LINE__;
    ad_pool_free(own);
    return 0;
}

/* In a child process. */
static void assert_a_child_can(int (*act)(ad_pool *), ad_pool *pool)
{
    int status;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        const int line = act(pool);
        if (line) fprintf(stderr, "line %d\n", line);
        _exit(line ? 1 : 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

static int use_in_grandchild(ad_pool *pool)
{
    int status;
    ad_pool *own = ad_pool_new(OF_CHILD, NULL);
    if (!works(own)) return __LINE__;
    const pid_t child = fork();
    if (child == 0) _exit(use_in_child(own) || use_in_child(pool));
    if (waitpid(child, &status, 0) != child || status != 0) return __LINE__;
    if (!works(own)) return __LINE__;
    ad_pool_free(own);
    return 0;
}

START_TEST(a_child_has_no_threads_of_its_parent)
{
    ad_pool *pool = ad_pool_new(3, NULL);
    ck_assert(works(pool));
    assert_a_child_can(use_in_child, pool);
    assert_a_child_can(use_in_grandchild, pool);
    ck_assert(works(pool));
    ad_pool_free(pool);
}
END_TEST

/* A job that lasts until it is let go. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t change;
    bool began, ends;
} job = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};

static void set(bool *flag)
{
    pthread_mutex_lock(&job.mutex);
    *flag = true;
    pthread_cond_broadcast(&job.change);
    pthread_mutex_unlock(&job.mutex);
}

static void wait_for(const bool *flag)
{
    pthread_mutex_lock(&job.mutex);
    while (!*flag) pthread_cond_wait(&job.change, &job.mutex);
    pthread_mutex_unlock(&job.mutex);
}

static void last(void *context, size_t i, int worker)
{
    set(&job.began);
    wait_for(&job.ends);
    count_job(context, i, worker);
}

static void *run_what_lasts(void *argument)
{
    static int done[JOBS];
    ad_pool_run(argument, JOBS, last, done);
    return all_are(done, 1) ? argument : NULL;
}

/* And whoever comes meanwhile isn't kept waiting. */
START_TEST(a_child_of_a_moment_when_the_pool_works)
{
    pthread_t thread;
    void *pool = ad_pool_new(3, NULL), *result;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_what_lasts, pool), 0);
    wait_for(&job.began);
    ck_assert(works(pool));
    assert_a_child_can(use_in_child, pool);
    set(&job.ends);
    pthread_join(thread, &result);
    ck_assert_ptr_eq(result, pool);
    ck_assert(works(pool));
    ad_pool_free(pool);
}
END_TEST

/* ---- Products of matrices, whose libraries have locks --------------------------------------------------------------
 */

enum { SIDE = 24, ROWS = 300 };
static double x[ROWS * SIDE], w[SIDE * SIDE];

/* Σ tanh(W x) over all rows; NAN where it fails. */
static double multiply(ad_pool *pool)
{
    double sum = NAN;
    ad_tape *tape = ad_tape_new();
    ad_var in = ad_input(tape, "x", AD_SHAPE(SIDE)), weight = ad_param(tape, "w", AD_SHAPE(SIDE, SIDE));
    ad_var y = ad_sum_rows(ad_sum(ad_tanh(ad_matmul(weight, in))));
    ad_plan *plan = ad_plan_new(&y, 1, &(ad_plan_options){AD_F64, 64}, NULL);
    ad_tape_free(tape);
    ad_plan_set_input(plan, in, x);
    ad_plan_set_input(plan, weight, w);
    ad_plan_set_output(plan, 0, &sum);
    if (ad_plan_run(plan, &(ad_run){.rows = ROWS, .pool = pool}, NULL) != AD_OK) sum = NAN;
    ad_plan_free(plan);
    return sum;
}

static atomic_bool enough;
static double expected;

static void *keep_multiplying(void *pool)
{
    bool good = true;
    while (!atomic_load(&enough)) good = multiply(pool) == expected && good;
    return good ? pool : NULL;
}

static int multiply_in_child(ad_pool *pool)
{
    if (multiply(pool) != expected || multiply(NULL) != expected) return __LINE__;
    ad_pool_free(pool);
    return 0;
}

START_TEST(children_multiply)
{
    enum { CHILDREN = 30 };
    for (size_t i = 0; i < COUNT(x); i++) x[i] = sin((double)i);
    for (size_t i = 0; i < COUNT(w); i++) w[i] = cos((double)i);
    pthread_t thread[2];
    void *pool = ad_pool_new(3, NULL), *result;
    expected = multiply(NULL);
    ck_assert(isfinite(expected));
    for (int k = 0; k < 2; k++) ck_assert_int_eq(pthread_create(&thread[k], NULL, keep_multiplying, pool), 0);
    for (int i = 0; i < CHILDREN; i++) assert_a_child_can(multiply_in_child, pool);
    atomic_store(&enough, true);
    for (int k = 0; k < 2; k++) {
        pthread_join(thread[k], &result);
        ck_assert_ptr_eq(result, pool);
    }
    ad_pool_free(pool);
}
END_TEST

/* ---- Plans --------------------------------------------------------------------------------------------------------
 */

/* An op that runs the plan that it is a part of. */
static struct {
    ad_plan *plan;
    ad_error error;
} inner;

static void run_plan(const ad_tile *tile)
{
    memcpy(tile->out.data, tile->in[0].data, tile->rows * sizeof(double));
    ad_plan_run(inner.plan, &(ad_run){.rows = 5}, &inner.error);
}

START_TEST(a_plan_runs_once_at_a_time)
{
    static const ad_op op = {.name = "run_plan", .n_in = 1, .flags = AD_OP_ELEMENTWISE, .evaluate = {NULL, run_plan}};
    problem p = problem_new(5, 1);
    ad_var in = bind_random(&p, true, AD_SCALAR, -1, 1), y = ad_apply(&op, &in, 1, NULL, 0, p.tape);
    double out[5];
    inner.plan = ad_plan_new(&y, 1, &(ad_plan_options){.dtype = AD_F64}, NULL);
    ad_plan_set_input(inner.plan, in, p.value[0]);
    ad_plan_set_output(inner.plan, 0, out);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(ad_plan_run(inner.plan, &p.run, NULL), AD_OK);
        assert_message(&inner.error, AD_ERROR_ARGUMENT, "this plan is running");
        ck_assert_mem_eq(out, p.value[0], sizeof out);
        inner.error.status = AD_OK;
    }
    ad_plan_free(inner.plan);
    problem_free(&p);
}
END_TEST

Suite *pool_suite(void)
{
    Suite *suite = suite_create("pool");
    TCase *tcase = tcase_create("pool");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, pools);
    tcase_add_test(tcase, threads_share_a_pool);
    tcase_add_test(tcase, a_job_uses_its_own_pool);
    tcase_add_test(tcase, threads_have_stack);
    tcase_add_test(tcase, a_child_has_no_threads_of_its_parent);
    tcase_add_test(tcase, a_child_of_a_moment_when_the_pool_works);
    /* The address sanitizer's own allocator may be locked in a child, for ever. */
    if (!SANITIZED) tcase_add_test(tcase, children_multiply);
    tcase_add_test(tcase, a_plan_runs_once_at_a_time);
    suite_add_tcase(suite, tcase);
    return suite;
}
