/* Flows: densities against NumPy and against their own samples; the same bits however rows are evaluated. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include "scratch.h"

#include <math.h>

/* ---- Against NumPy ------------------------------------------------------------------------------------------- */

static nf_table golden_table(const char *name)
{
    nf_table table;
    ASSERT_OK(nf_table_read(golden_path(name).text, &table, &error));
    return table;
}

/* As golden/maf.py computed them. */
START_TEST(log_prob_equals_numpy)
{
    nf_table points = golden_table("maf_points.csv"), expected = golden_table("maf_log_prob.csv");
    ck_assert_uint_eq(expected.columns, 5);
    ck_assert_uint_ge(expected.rows, 20);
    double *log_prob = malloc(points.rows * sizeof *log_prob);
    for (size_t c = 0; c < expected.columns; c++) {
        char name[64];
        snprintf(name, sizeof name, "maf_%s.safetensors", expected.names[c]);
        nf_flow *flow = nf_load(golden_path(name).text, NULL, &error);
        ck_assert_msg(flow != NULL, "%s", error.message);
        ASSERT_OK(nf_log_prob(flow, points.values, NULL, points.rows, log_prob, NULL, &error));
        for (size_t r = 0; r < points.rows; r++)
            ck_assert_double_eq_tol(log_prob[r], expected.values[r * expected.columns + c], 1e-10);
        nf_flow_free(flow);
    }
    free(log_prob);
    nf_table_free(&points);
    nf_table_free(&expected);
}
END_TEST

/* ---- Densities in the plane ---------------------------------------------------------------------------------- */

typedef struct {
    const char *formula;
    ad_dtype dtype;
    bool moons; /* trained on them, for a moment; else random */
    double low, high;
} target;

static const target targets[] = {
    {"(maf(32,32)-flip)*2-standardize", AD_F32, true, -3, 4},
    {"(maf(16,16,activation=tanh)-flip)*2-loc-scale", AD_F64, false, -20, 20},
};

static nf_flow *flow_of(const target *t)
{
    enum { N = 4000 };
    if (!t->moons) return moved_flow(t->formula, 2, t->dtype);
    nf_flow *flow = nf_flow_parse(t->formula, 2, 0, t->dtype, 1, &error);
    double *x = malloc(2 * N * sizeof *x);
    nf_moons(N, 0.1, 1, x, NULL);
    ASSERT_OK(nf_fit(flow, x, N, &(nf_fit_options){.epochs = 12, .batch = 64}, NULL, &error));
    free(x);
    return flow;
}

enum { CELLS = 1200, BINS = 40, CELLS_IN_BIN = CELLS / BINS };

typedef struct {
    double width;                         /* of a cell */
    double total, mean[2], product[2][2]; /* Σ p, Σ p x_i, Σ p x_i x_j */
    double square_of_product[2][2];       /* Σ p (x_i x_j)² */
    double bin[BINS][BINS];               /* probability */
} grid;

/* By the midpoint rule. */
static void integrate(nf_flow *flow, const target *t, grid *g)
{
    double(*x)[2] = malloc(CELLS * sizeof *x), log_prob[CELLS];
    *g = (grid){.width = (t->high - t->low) / CELLS};
    for (int i = 0; i < CELLS; i++) {
        for (int j = 0; j < CELLS; j++) {
            x[j][0] = t->low + (i + 0.5) * g->width;
            x[j][1] = t->low + (j + 0.5) * g->width;
        }
        ASSERT_OK(nf_log_prob(flow, x[0], NULL, CELLS, log_prob, NULL, &error));
        for (int j = 0; j < CELLS; j++) {
            double p = exp(log_prob[j]) * g->width * g->width;
            g->total += p;
            g->bin[i / CELLS_IN_BIN][j / CELLS_IN_BIN] += p;
            for (int a = 0; a < 2; a++) {
                g->mean[a] += p * x[j][a];
                for (int b = 0; b < 2; b++) {
                    g->product[a][b] += p * x[j][a] * x[j][b];
                    g->square_of_product[a][b] += p * x[j][a] * x[j][b] * x[j][a] * x[j][b];
                }
            }
        }
    }
    free(x);
}

/* A mean of n draws is within 5 standard errors. */
static void assert_mean(double got, double mean, double mean_square, double n)
{
    ck_assert_double_eq_tol(got, mean, 5 * sqrt((mean_square - mean * mean) / n));
}

static void assert_moments(const grid *g, const double (*x)[2], size_t n)
{
    for (int a = 0; a < 2; a++) {
        double mean = 0;
        for (size_t r = 0; r < n; r++) mean += x[r][a] / (double)n;
        assert_mean(mean, g->mean[a], g->product[a][a], (double)n);
        for (int b = 0; b <= a; b++) {
            double product = 0;
            for (size_t r = 0; r < n; r++) product += x[r][a] * x[r][b] / (double)n;
            assert_mean(product, g->product[a][b], g->square_of_product[a][b], (double)n);
        }
    }
}

/* Pearson's χ²; bins that expect fewer than 10, and all outside, are one. */
static void assert_histogram(const grid *g, const target *t, const double (*x)[2], size_t n)
{
    static double count[BINS][BINS];
    memset(count, 0, sizeof count);
    for (size_t r = 0; r < n; r++) {
        double i = floor((x[r][0] - t->low) / g->width / CELLS_IN_BIN);
        double j = floor((x[r][1] - t->low) / g->width / CELLS_IN_BIN);
        if (i >= 0 && i < BINS && j >= 0 && j < BINS) count[(int)i][(int)j]++;
    }
    double chi_square = 0, rest = (double)n, rest_expected = (double)n, freedom = 0;
    for (int i = 0; i < BINS; i++)
        for (int j = 0; j < BINS; j++) {
            double expected = g->bin[i][j] * (double)n;
            if (expected < 10) continue;
            chi_square += (count[i][j] - expected) * (count[i][j] - expected) / expected;
            freedom++;
            rest -= count[i][j];
            rest_expected -= expected;
        }
    ck_assert_double_gt(freedom, 50);
    ck_assert_double_gt(rest_expected, 10);
    chi_square += (rest - rest_expected) * (rest - rest_expected) / rest_expected;
    double score = (chi_square - freedom) / sqrt(2 * freedom);
    ck_assert_msg(fabs(score) < 5, "chi-square %g with %g degrees of freedom", chi_square, freedom);
}

START_TEST(samples_follow_the_density)
{
    enum { N = 100000 };
    const target *t = &targets[_i];
    nf_flow *flow = flow_of(t);
    static grid g;
    integrate(flow, t, &g);
    ck_assert_double_eq_tol(g.total, 1, 1e-3);

    double(*x)[2] = malloc(N * sizeof *x), *with = malloc(N * sizeof *with), *of = malloc(N * sizeof *of);
    ASSERT_OK(nf_sample(flow, NULL, N, 5, x[0], with, NULL, &error));
    assert_moments(&g, (const double(*)[2])x, N);
    assert_histogram(&g, t, (const double(*)[2])x, N);
    ASSERT_OK(nf_log_prob(flow, x[0], NULL, N, of, NULL, &error));
    double bound = t->dtype == AD_F32 ? 1e-4 : 1e-10;
    for (size_t r = 0; r < N; r++) ck_assert_double_eq_tol(with[r], of[r], bound);
    free(x);
    free(with);
    free(of);
    nf_flow_free(flow);
}
END_TEST

/* ---- The same bits ------------------------------------------------------------------------------------------- */

static const struct {
    const char *formula;
    size_t dim;
} models[] = {
    {"(maf(128,128)-flip)*2-standardize", 2},
    {"maf(40,activation=tanh)-permute(seed=1)-invert(maf(13,11,activation=silu))-scale", 7},
    {"loc-maf(5)-scale", 1},
};

/* All that can be computed of a few rows. */
typedef struct {
    double *log_prob, *sample, *sample_log_prob, *image[2], *log_det[2];
} results;

static results evaluate(nf_flow *flow, const double *x, size_t rows, ad_pool *pool)
{
    size_t dim = nf_flow_dim(flow);
    results all = {.log_prob = malloc(rows * sizeof(double)),
                   .sample = malloc(rows * dim * sizeof(double)),
                   .sample_log_prob = malloc(rows * sizeof(double))};
    ASSERT_OK(nf_log_prob(flow, x, NULL, rows, all.log_prob, pool, &error));
    ASSERT_OK(nf_sample(flow, NULL, rows, 3, all.sample, all.sample_log_prob, pool, &error));
    for (int inverse = 0; inverse < 2; inverse++) {
        all.image[inverse] = malloc(rows * dim * sizeof(double));
        all.log_det[inverse] = malloc(rows * sizeof(double));
        ASSERT_OK(nf_transform(flow, inverse, x, NULL, rows, all.image[inverse], all.log_det[inverse], pool, &error));
    }
    return all;
}

static void results_free(results *all)
{
    free(all->log_prob);
    free(all->sample);
    free(all->sample_log_prob);
    for (int inverse = 0; inverse < 2; inverse++) {
        free(all->image[inverse]);
        free(all->log_det[inverse]);
    }
}

/* Rows first … first+rows-1 of `all` are `some`; samples are compared only where both begin at row 0. */
static void assert_same_rows(const results *all, size_t first, const results *some, size_t rows, size_t dim)
{
    size_t vector = rows * dim * sizeof(double), scalar = rows * sizeof(double);
    ck_assert_mem_eq(all->log_prob + first, some->log_prob, scalar);
    for (int inverse = 0; inverse < 2; inverse++) {
        ck_assert_mem_eq(all->image[inverse] + first * dim, some->image[inverse], vector);
        ck_assert_mem_eq(all->log_det[inverse] + first, some->log_det[inverse], scalar);
    }
    if (first > 0) return;
    ck_assert_mem_eq(all->sample, some->sample, vector);
    ck_assert_mem_eq(all->sample_log_prob, some->sample_log_prob, scalar);
}

/* For every model in both dtypes. */
static nf_flow *model_number(int i)
{
    return moved_flow(models[i / 2].formula, models[i / 2].dim, i % 2 ? AD_F64 : AD_F32);
}

START_TEST(a_row_alone_as_in_a_batch)
{
    enum { ROWS = 150 };
    nf_flow *flow = model_number(_i);
    size_t dim = nf_flow_dim(flow);
    double *x = normals(ROWS * dim, 1, 9);
    results all = evaluate(flow, x, ROWS, NULL);
    static const size_t parts[][2] = {{0, 1}, {0, 17}, {0, 149}, {1, 149}, {7, 16}, {15, 33}, {40, 64}};
    for (size_t i = 0; i < COUNT(parts) + ROWS; i++) {
        size_t first = i < ROWS ? i : parts[i - ROWS][0], rows = i < ROWS ? 1 : parts[i - ROWS][1];
        results some = evaluate(flow, x + first * dim, rows, NULL);
        assert_same_rows(&all, first, &some, rows, dim);
        results_free(&some);
    }
    results_free(&all);
    free(x);
    nf_flow_free(flow);
}
END_TEST

START_TEST(any_number_of_threads)
{
    enum { ROWS = 5000 };
    nf_flow *flow = model_number(_i);
    size_t dim = nf_flow_dim(flow);
    double *x = normals(ROWS * dim, 1, 10);
    results one = evaluate(flow, x, ROWS, NULL);
    static const int threads[] = {1, 2, 3, 8};
    for (size_t i = 0; i < COUNT(threads); i++) {
        ad_pool *pool = ad_pool_new(threads[i], &error);
        ck_assert_msg(pool != NULL, "%s", error.message);
        results some = evaluate(flow, x, ROWS, pool);
        assert_same_rows(&one, 0, &some, ROWS, dim);
        results_free(&some);
        ad_pool_free(pool);
    }
    results_free(&one);
    free(x);
    nf_flow_free(flow);
}
END_TEST

/* Rows are evaluated 65536 at a time. */
START_TEST(chunks)
{
    enum { CHUNK = 65536, MOST = 2 * CHUNK + 1 };
    nf_flow *flow = moved_flow("maf(4)-loc", 2, AD_F32);
    double *x = normals(2 * MOST, 1, 11);
    results all = evaluate(flow, x, MOST, NULL);
    static const size_t parts[][2] = {{0, CHUNK - 1}, {0, CHUNK},           {0, CHUNK + 1}, {CHUNK - 5, 10},
                                      {CHUNK, CHUNK}, {2 * CHUNK - 20, 21}, {1, 2 * CHUNK}, {2 * CHUNK, 1}};
    for (size_t i = 0; i < COUNT(parts); i++) {
        results some = evaluate(flow, x + 2 * parts[i][0], parts[i][1], NULL);
        assert_same_rows(&all, parts[i][0], &some, parts[i][1], 2);
        results_free(&some);
    }
    /* no number is drawn twice */
    ck_assert_mem_ne(all.sample, all.sample + 2 * CHUNK, 2 * sizeof(double));
    results_free(&all);
    free(x);
    nf_flow_free(flow);
}
END_TEST

/* ---- The rest of the contract -------------------------------------------------------------------------------- */

START_TEST(seeds)
{
    nf_flow *flow = moved_flow("maf(4)", 2, AD_F64);
    double a[20], b[20];
    ASSERT_OK(nf_sample(flow, NULL, 10, 1, a, NULL, NULL, &error));
    ASSERT_OK(nf_sample(flow, NULL, 10, 1, b, NULL, NULL, &error));
    ck_assert_mem_eq(a, b, sizeof a);
    ASSERT_OK(nf_sample(flow, NULL, 10, (uint64_t)1 << 32 | 1, b, NULL, NULL, &error));
    for (int i = 0; i < 20; i++) ck_assert_double_ne(a[i], b[i]);
    nf_flow_free(flow);
}
END_TEST

/* One array, the trained ones first; the bijectors' own copies follow on request. */
START_TEST(parameters)
{
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = nf_flow_parse("standardize-loc", 2, 0, dtype, 0, &error);
        ck_assert_uint_eq(nf_flow_trained_elements(flow), 2);
        ck_assert_uint_eq(nf_flow_fixed_elements(flow), 4);
        ck_assert_uint_eq(nf_flow_trained_parameters(flow), 1);
        ck_assert_int_eq(nf_flow_dtype(flow), dtype);
        double x[2] = {0.25, 0}, log_prob, z[2];
        ASSERT_OK(nf_log_prob(flow, x, NULL, 1, &log_prob, NULL, &error));
        ck_assert_double_eq_tol(log_prob, -0.5 * 0.0625 - log(2 * acos(-1)), 1e-6);
        void *all = nf_flow_parameters(flow); /* loc, mean, scale */
        for (int i = 0; i < 6; i++)
            if (dtype == AD_F32)
                ((float *)all)[i] = (float)(i + 1);
            else
                ((double *)all)[i] = i + 1;
        ASSERT_OK(nf_transform(flow, true, x, NULL, 1, z, NULL, NULL, &error));
        for (int j = 0; j < 2; j++) ck_assert_double_eq_tol(z[j], (x[j] - (1 + j) - (3 + j)) / (5 + j), 1e-6);
        const nf_bijector *const *child = (const nf_bijector *const *)nf_flow_bijector(flow)->child;
        ck_assert_double_eq(nf_parameter_value(child[0], "scale")[1], 1);
        nf_flow_pull(flow);
        ck_assert_double_eq(nf_parameter_value(child[0], "scale")[1], 6);
        ck_assert_double_eq(nf_parameter_value(child[1], "loc")[0], 1);
        nf_parameter_value(child[1], "loc")[0] = -1;
        nf_flow_push(flow);
        ASSERT_OK(nf_transform(flow, true, x, NULL, 1, z, NULL, NULL, &error));
        ck_assert_double_eq_tol(z[0], (0.25 + 1 - 3) / 5, 1e-6);
        nf_flow_free(flow);
    }
}
END_TEST

/* Events without any base probability left, and no events. */
START_TEST(extremes)
{
    nf_flow *flow = moved_flow("maf(4)-standardize", 2, AD_F32);
    double x[][2] = {{1e30, 0}, {INFINITY, 0}, {NAN, 0}, {0, 0}}, log_prob[4], nll, standard_error;
    ASSERT_OK(nf_log_prob(flow, x[0], NULL, 4, log_prob, NULL, &error));
    ck_assert_double_eq(log_prob[0], -INFINITY);
    ck_assert(!(log_prob[1] > -1e30)); /* -infinity, or NaN from ∞ - ∞ */
    ck_assert_double_nan(log_prob[2]);
    ck_assert(isfinite(log_prob[3]));
    ASSERT_OK(nf_log_prob(flow, NULL, NULL, 0, NULL, NULL, &error));
    ASSERT_OK(nf_sample(flow, NULL, 0, 1, NULL, NULL, NULL, &error));
    ASSERT_OK(nf_nll(flow, x[3], NULL, 1, &nll, &standard_error, NULL, &error));
    ck_assert_double_eq(nll, -log_prob[3]);
    ck_assert_double_nan(standard_error);
    ASSERT_FAILS(nf_nll(flow, NULL, NULL, 0, &nll, NULL, NULL, &error), AD_ERROR_ARGUMENT, "at least 1 row");
    nf_flow_free(flow);
}
END_TEST

START_TEST(nll)
{
    enum { ROWS = 500 };
    nf_flow *flow = moved_flow("maf(4)-loc", 2, AD_F64);
    double *x = normals(2 * ROWS, 1, 12), log_prob[ROWS], got, got_error, mean = 0, squares = 0;
    ASSERT_OK(nf_log_prob(flow, x, NULL, ROWS, log_prob, NULL, &error));
    for (int r = 0; r < ROWS; r++) mean -= log_prob[r] / ROWS;
    for (int r = 0; r < ROWS; r++) squares += (log_prob[r] + mean) * (log_prob[r] + mean);
    ASSERT_OK(nf_nll(flow, x, NULL, ROWS, &got, &got_error, NULL, &error));
    ck_assert_double_eq_tol(got, mean, 1e-12);
    ck_assert_double_eq_tol(got_error, sqrt(squares / (ROWS - 1) / ROWS), 1e-12);
    free(x);
    nf_flow_free(flow);
}
END_TEST

START_TEST(memory_runs_out)
{
    double x[] = {1, 2, 3, 4}, log_prob[2], sample[4];
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(allowed);
        nf_flow *flow = nf_flow_parse("maf(3)-permute(seed=1)-scale", 2, 0, AD_F32, 0, &error);
        ad_status status = flow ? nf_log_prob(flow, x, NULL, 2, log_prob, NULL, &error) : error.status;
        if (status == AD_OK) status = nf_sample(flow, NULL, 2, 0, sample, NULL, NULL, &error);
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu: %d: %s", allowed, status,
                      error.message);
        nf_flow_free(flow);
    }
}
END_TEST

Suite *flow_suite(void)
{
    Suite *suite = suite_create("flow");
    TCase *density = tcase_create("density");
    tcase_set_timeout(density, 120);
    tcase_add_test(density, log_prob_equals_numpy);
    tcase_add_loop_test(density, samples_follow_the_density, 0, COUNT(targets));
    suite_add_tcase(suite, density);
    TCase *bits = tcase_create("bits");
    tcase_set_timeout(bits, 120);
    tcase_add_loop_test(bits, a_row_alone_as_in_a_batch, 0, 2 * COUNT(models));
    tcase_add_loop_test(bits, any_number_of_threads, 0, 2 * COUNT(models));
    tcase_add_test(bits, chunks);
    suite_add_tcase(suite, bits);
    TCase *contract = tcase_create("contract");
    tcase_set_timeout(contract, 60);
    tcase_add_test(contract, seeds);
    tcase_add_test(contract, parameters);
    tcase_add_test(contract, extremes);
    tcase_add_test(contract, nll);
    tcase_add_test(contract, memory_runs_out);
    suite_add_tcase(suite, contract);
    return suite;
}
