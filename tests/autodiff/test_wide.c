/* Runs on more threads than there are lanes: see plan/wide.h. A pool that only takes itself for one of so many threads
 * tells how many jobs they would have. */
#include "autodiff/engine.h"
#include "base/observed.h"

/* ---- A network like those of flows ------------------------------------------------------------------------------- */

enum { D = 43, HIDDEN = 200, FEW = 3, LEAVES = 6, RESULTS = 4 + LEAVES };

/* Products with known zeros, of few rows and of many, whose results aren't all multiples of a vector. */
static void results_of(problem *p, ad_var result[RESULTS])
{
    static const size_t row_end[] = {30, 130, 200}, begin[] = {0, 0, 5}, end[] = {10, 20, 40};
    const ad_var x = bind_random(p, true, AD_SHAPE(D), -2, 2);
    const ad_var w1 = bind_random(p, false, AD_SHAPE(HIDDEN, D), -0.2, 0.2);
    const ad_var w2 = bind_random(p, false, AD_SHAPE(HIDDEN, HIDDEN), -0.2, 0.2);
    const ad_var w3 = bind_random(p, false, AD_SHAPE(FEW, HIDDEN), -0.2, 0.2);
    const ad_var b = bind_random(p, false, AD_SHAPE(HIDDEN), -1, 1), c = bind_random(p, false, AD_SCALAR, -1, 1);
    const ad_blocks blocks = {3, row_end, begin, end};
    const ad_var h = ad_tanh(ad_add(ad_matmul_blocks(w1, x, &blocks), b));
    const ad_var g = ad_tanh(ad_add(ad_matmul(w2, h), b)),
                 y = ad_add(ad_matmul(w3, g), ad_normal(p->tape, AD_SHAPE(FEW), 1));
    const ad_var centred = ad_sub(y, ad_div(ad_sum_rows(y), ad_row_count(p->tape)));
    result[0] = y;
    result[1] = ad_sum_rows(ad_sum(ad_square(y)));
    result[2] = ad_sum_rows(ad_mul(c, ad_exp(centred))); /* in a second pass */
    result[3] = ad_logsumexp(centred);
    ad_grad(ad_add(ad_sum(result[2]), result[1]), p->leaf, LEAVES, result + 4);
}

static void check_bits(problem *p, ad_pool *pool, double *expected[RESULTS], const ad_var y[RESULTS], ad_dtype dtype)
{
    double *value[RESULTS];
    p->run.pool = pool;
    evaluate(p, y, RESULTS, dtype, value);
    p->run.pool = NULL;
    for (int k = 0; k < RESULTS; k++)
        ck_assert_msg(memcmp(value[k], expected[k], extent_of(p, y[k]) * sizeof(double)) == 0,
                      "%s, %zu rows in tiles of %zu, %d threads: result %d differs", ad_dtype_name(dtype), p->run.rows,
                      p->tile_rows, ad_pool_threads(pool), k);
}

/* ---- Pools that count
 * ------------------------------------------------------------------------------------------------ */

typedef struct {
    size_t runs, jobs[64], done;
} counter;

static void begins(void *context, size_t jobs)
{
    counter *c = context;
    if (c->runs < COUNT(c->jobs)) c->jobs[c->runs++] = jobs;
}

static void job_done(void *context)
{
    ((counter *)context)->done++;
}

START_TEST(bits_are_those_of_one_thread)
{
    static const size_t rows[] = {16, 100, 128, 129, 300, 1000, 4200, 20000};
    static const size_t tile_rows[] = {0, 48, 0, 128};
    static const int threads[] = {2, 3, 5, 8, 16, 64};
    counter count = {0};
    const ad__pool_observer observer = {begins, job_done, &count};
    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        const ad_dtype dtype = i % 2 ? AD_F64 : AD_F32;
        problem p = problem_new(rows[i / 2], i);
        /* Lanes of two and three tiles, and those that are kept in turns: together they would take too much memory. */
        p.tile_rows = rows[i / 2] == 4200 ? 128 : rows[i / 2] == 20000 ? 1024 : tile_rows[i % COUNT(tile_rows)];
        p.run.seed = 3;
        p.run.first_row = 7;
        ad_var y[RESULTS];
        double *expected[RESULTS];
        results_of(&p, y);
        evaluate(&p, y, RESULTS, dtype, expected);
        for (size_t t = rows[i / 2] < 20000 ? 0 : COUNT(threads) - 1; t < COUNT(threads); t++) {
            ad_pool *pool = ad__pool_observed(threads[t], &observer, NULL);
            check_bits(&p, pool, expected, y, dtype);
            ad_pool_free(pool);
        }
        ad_pool *pool = ad_pool_new(8, NULL);
        check_bits(&p, pool, expected, y, dtype);
        ad_pool_free(pool);
        problem_free(&p);
    }
}
END_TEST

/* A batch that is two tiles has jobs for many threads, and so have its sums; and as many as it has tiles for two. */
START_TEST(few_rows_have_jobs_for_all_threads)
{
    enum { ROWS = 256, THREADS = 16 };
    problem p = problem_new(ROWS, 1);
    p.tile_rows = 128;
    ad_var y[RESULTS];
    double *value[RESULTS];
    results_of(&p, y);
    for (int wide = 0; wide < 2; wide++) {
        counter count = {0};
        const ad__pool_observer observer = {begins, job_done, &count};
        p.run.pool = ad__pool_observed(wide ? THREADS : 2, &observer, NULL);
        evaluate(&p, y, RESULTS, AD_F32, value);
        size_t all = 0, wide_runs = 0;
        for (size_t r = 0; r < count.runs; r++) {
            all += count.jobs[r];
            wide_runs += count.jobs[r] >= THREADS;
        }
        ck_assert_uint_eq(count.done, all);
        ck_assert(wide ? wide_runs >= 3 : wide_runs == 0); /* pieces of several passes, and sums of the largest */
        ck_assert_uint_eq(count.jobs[0], wide ? THREADS : 2);
        ad_pool_free(p.run.pool);
    }
    problem_free(&p);
}
END_TEST

START_TEST(rows_without_sums_have_jobs_for_all_threads)
{
    enum { ROWS = 256, THREADS = 16 };
    problem p = problem_new(ROWS, 1);
    p.tile_rows = 128;
    ad_var y[RESULTS];
    results_of(&p, y);
    const double *alone = value_of(&p, y[0], AD_F32);
    counter count = {0};
    const ad__pool_observer observer = {begins, job_done, &count};
    p.run.pool = ad__pool_observed(THREADS, &observer, NULL);
    ck_assert_mem_eq(value_of(&p, y[0], AD_F32), alone, ROWS * FEW * sizeof *alone);
    ck_assert_uint_eq(count.runs, 1);
    ck_assert_uint_eq(count.jobs[0], THREADS);
    ad_pool_free(p.run.pool);
    problem_free(&p);
}
END_TEST

/* ---- Memory
 * ---------------------------------------------------------------------------------------------------------- */

static size_t allocations, largest;

static void *count_allocate(size_t bytes)
{
    allocations++;
    if (bytes > largest) largest = bytes;
    return malloc(bytes);
}

static void *count_reallocate(void *old, size_t bytes)
{
    allocations++;
    return realloc(old, bytes);
}

/* The first run has room for those of fewer rows, which may be wide where it wasn't. */
START_TEST(runs_of_fewer_rows_allocate_nothing)
{
    enum { ROWS = 5000, THREADS = 16 };
    counter count = {0};
    const ad__pool_observer observer = {begins, job_done, &count};
    problem p = problem_new(ROWS, 1);
    p.tile_rows = 128;
    ad_var y[RESULTS];
    ad_error error;
    results_of(&p, y);
    ad_set_allocator(&(ad_allocator){count_allocate, count_reallocate, free});
    ad_pool *pool = ad__pool_observed(THREADS, &observer, &error);
    ad_plan *plan = ad_plan_new(y + 1, 1, &(ad_plan_options){.dtype = AD_F64, .tile_rows = 128}, &error);
    for (int i = 0; i < p.n_leaf; i++) ad_plan_set_input(plan, p.leaf[i], p.value[i]);
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = ROWS, .pool = pool}, &error), AD_OK);
    const size_t before = allocations;
    for (size_t rows = 1; rows <= ROWS; rows = rows * 3 / 2 + 1)
        ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = rows, .pool = pool}, &error), AD_OK);
    ck_assert_uint_eq(allocations, before);
    ck_assert_uint_le(largest, (64 << 20) + 4096);
    ad_plan_free(plan);
    ad_pool_free(pool);
    ad_set_allocator(NULL);
    problem_free(&p);
}
END_TEST

Suite *wide_suite(void)
{
    Suite *suite = suite_create("wide");
    TCase *wide = tcase_create("wide");
    tcase_set_timeout(wide, 120);
    tcase_add_test(wide, bits_are_those_of_one_thread);
    tcase_add_test(wide, few_rows_have_jobs_for_all_threads);
    tcase_add_test(wide, rows_without_sums_have_jobs_for_all_threads);
    tcase_add_test(wide, runs_of_fewer_rows_allocate_nothing);
    suite_add_tcase(suite, wide);
    return suite;
}
