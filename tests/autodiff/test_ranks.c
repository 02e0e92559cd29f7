/* Runs on several ranks: the bits of one, and how much is sent. */
#include "autodiff/engine.h"
#include "ranks.h"

enum { D = 6, OUTPUTS = 7, LEAVES = 4 };

/* Sums in a wider type, large ones and small ones, a second pass, noise, and what is stored of rows in both passes. */
static void record(problem *p, size_t hidden, ad_var y[OUTPUTS])
{
    const ad_var x = bind_random(p, true, AD_SHAPE(D), -2, 2);
    const ad_var w = bind_random(p, false, AD_SHAPE(hidden, D), -1, 1);
    const ad_var v = bind_random(p, false, AD_SHAPE(D, hidden), -0.1, 0.1),
                 b = bind_random(p, false, AD_SHAPE(hidden), -1, 1);
    const ad_var h = ad_tanh(ad_add(ad_matmul(w, x), b));
    const ad_var z = ad_add(ad_matmul(v, h), ad_normal(p->tape, AD_SHAPE(D), 1));
    const ad_var centred = ad_sub(z, ad_div(ad_sum_rows(z), ad_row_count(p->tape)));
    y[0] = z;
    y[1] = ad_sum_rows(ad_logsumexp(centred));
    y[2] = centred;
    ad_grad(y[1], p->leaf, LEAVES, y + 3);
}

/* A plan of its own on each rank, and what came of it. */
typedef struct {
    const problem *p;
    const ad_var *y;
    ad_dtype dtype;
    int threads;
    bool poisoned; /* of a rank of two, the other's half of the rows is NaN */
    struct {
        char *value[OUTPUTS];
        double squares;
        ad_error error;
    } rank[9];
} job;

static size_t bytes_of(const job *j, ad_var v)
{
    return extent_of(j->p, v) * ad_dtype_size(j->dtype);
}

static void run_rank(const ad_communicator *c, void *context)
{
    job *j = context;
    const int rank = c ? c->rank : 8;
    ad_error *error = &j->rank[rank].error;
    void *leaf[LEAVES];
    *error = (ad_error){AD_OK, ""};
    ad_plan *plan = ad_plan_new(j->y, OUTPUTS, &(ad_plan_options){.dtype = j->dtype, .tile_rows = 16}, error);
    for (int i = 0; i < LEAVES; i++) {
        const size_t n = extent_of(j->p, j->p->leaf[i]), half = i == 0 && j->poisoned && c ? n / 2 : 0;
        leaf[i] = malloc(bytes_of(j, j->p->leaf[i]));
        for (size_t k = 0; k < n; k++)
            ad_set_element(j->dtype, leaf[i], k, half && (k < half) == (rank == 1) ? NAN : j->p->value[i][k]);
        ad_plan_set_input(plan, j->p->leaf[i], leaf[i]);
    }
    for (int i = 0; i < OUTPUTS; i++) {
        j->rank[rank].value[i] = malloc(bytes_of(j, j->y[i]));
        ad_plan_set_output(plan, i, j->rank[rank].value[i]);
    }
    ad_plan_set_squares(plan, 4, &j->rank[rank].squares);
    ad_pool *pool = ad_pool_new(j->threads, NULL);
    ad_pool_set_communicator(pool, c, NULL);
    ad_run run = j->p->run;
    run.pool = pool;
    for (int again = 0; again < 2 && plan && !error->status; again++) ad_plan_run(plan, &run, error);
    ad_pool_free(pool);
    ad_plan_free(plan);
    for (int i = 0; i < LEAVES; i++) free(leaf[i]);
}

static void check(const job *j, int size)
{
    for (int rank = 0; rank < size; rank++) {
        ck_assert_msg(j->rank[rank].error.status == AD_OK, "%s", j->rank[rank].error.message);
        ck_assert(j->rank[rank].squares == j->rank[8].squares);
        for (int i = 0; i < OUTPUTS; i++)
            ck_assert_msg(memcmp(j->rank[rank].value[i], j->rank[8].value[i], bytes_of(j, j->y[i])) == 0,
                          "%s, %zu rows, rank %d of %d, %d threads: result %d differs", ad_dtype_name(j->dtype),
                          j->p->run.rows, rank, size, j->threads, i);
    }
}

static void release(job *j, int first, int end)
{
    for (int rank = first; rank < end; rank++)
        for (int i = 0; i < OUTPUTS; i++) free(j->rank[rank].value[i]);
}

START_TEST(bits_are_those_of_one_rank)
{
    static const size_t rows[] = {1, 16, 17, 40, 100, 256, 300, 1000, 1041, 5000, 20000};
    static const size_t hidden[] = {3, 200, 2000};
    static const int sizes[] = {1, 2, 3, 4, 5, 8};
    for (size_t i = 0; i < COUNT(rows) * COUNT(hidden); i++) {
        const size_t width = hidden[i / COUNT(rows)];
        if (width * rows[i % COUNT(rows)] > 2000000) continue;
        problem p = problem_new(rows[i % COUNT(rows)], i);
        ad_var y[OUTPUTS];
        record(&p, width, y);
        p.run.seed = 5;
        job j = {.p = &p, .y = y, .dtype = i % 2 ? AD_F64 : AD_F32, .threads = 1};
        run_rank(NULL, &j);
        for (size_t s = 0; s < COUNT(sizes); s++) {
            j.threads = 1 + (int)(i + s) % 3;
            on_ranks(sizes[s], run_rank, &j);
            check(&j, sizes[s]);
            release(&j, 0, sizes[s]);
        }
        release(&j, 8, 9);
        problem_free(&p);
    }
}
END_TEST

/* Of 256 rows in tiles of 16 there are 16 lanes: eight each. */
START_TEST(other_ranks_rows_are_not_read)
{
    problem p = problem_new(256, 1);
    ad_var y[OUTPUTS];
    record(&p, 50, y);
    job j = {.p = &p, .y = y, .dtype = AD_F64, .threads = 2, .poisoned = true};
    run_rank(NULL, &j);
    on_ranks(2, run_rank, &j);
    check(&j, 2);
    release(&j, 0, 2);
    release(&j, 8, 9);
    problem_free(&p);
}
END_TEST

/* Per rank 2 P (S - 1) / S of P bytes of sums; and of what is stored of rows, those of the others. */
START_TEST(bytes_are_the_fewest)
{
    enum { ROWS = 256, HIDDEN = 2000 };
    for (int size = 2; size <= 8; size *= 2) {
        problem p = problem_new(ROWS, 1);
        ad_var y[OUTPUTS];
        record(&p, HIDDEN, y);
        job j = {.p = &p, .y = y, .dtype = AD_F64, .threads = 1};
        run_rank(NULL, &j);
        const ranks_seen seen = on_ranks(size, run_rank, &j);
        const double sums = (2 * HIDDEN * D + HIDDEN + 1) * sizeof(double), rows = 3.0 * ROWS * D * sizeof(double);
        const double least = 2 * (size - 1) * (2 * sums + rows); /* of two runs */
        ck_assert_msg((double)seen.bytes >= least && (double)seen.bytes < 1.05 * least, "%d ranks: %zu bytes, not %g",
                      size, seen.bytes, least);
        release(&j, 0, size);
        release(&j, 8, 9);
        problem_free(&p);
    }
}
END_TEST

Suite *ranks_suite(void)
{
    Suite *suite = suite_create("ranks");
    TCase *ranks = tcase_create("ranks");
    tcase_add_test(ranks, bits_are_those_of_one_rank);
    tcase_add_test(ranks, other_ranks_rows_are_not_read);
    tcase_add_test(ranks, bytes_are_the_fewest);
    tcase_set_timeout(ranks, 60);
    suite_add_tcase(suite, ranks);
    return suite;
}
