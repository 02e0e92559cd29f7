/* What is set from data: bijectors and base distributions with a fit, alone and in a flow. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include "scratch.h"

#include <math.h>

/* Points (rows, dim) and the last column, of a golden table. */
static double *points_of(const char *name, size_t *rows, size_t *dim, double **expected)
{
    nf_table table;
    ASSERT_OK(nf_table_read(golden_path(name).text, &table, &error));
    *rows = table.rows;
    *dim = table.columns - 1;
    double *x = malloc(table.rows * *dim * sizeof *x);
    *expected = malloc(table.rows * sizeof **expected);
    for (size_t r = 0; r < table.rows; r++) {
        memcpy(x + r * *dim, table.values + r * table.columns, *dim * sizeof *x);
        (*expected)[r] = table.values[r * table.columns + *dim];
    }
    nf_table_free(&table);
    return x;
}

static nf_flow *flow_parsed(const char *formula, size_t dim)
{
    nf_flow *flow = nf_flow_parse(formula, dim, 0, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

/* ---- whiten ------------------------------------------------------------------------------------------------------ */

/* Log p of each row under the normal that is fitted to them all: golden/whiten.py. */
START_TEST(whitens)
{
    static const char *const tables[] = {"whiten_many.csv", "whiten_some.csv", "whiten_few.csv", "whiten_two.csv",
                                         "whiten_same.csv"};
    for (size_t i = 0; i < COUNT(tables); i++) {
        size_t rows, dim;
        double *expected, *x = points_of(tables[i], &rows, &dim, &expected), *log_prob = malloc(rows * sizeof *x);
        nf_flow *flow = flow_parsed("whiten", dim);
        ASSERT_OK(nf_flow_fit_data(flow, x, NULL, rows, &error));
        ASSERT_OK(nf_log_prob(flow, x, NULL, rows, log_prob, NULL, &error));
        for (size_t r = 0; r < rows; r++)
            ck_assert_msg(fabs(log_prob[r] - expected[r]) < 1e-8 * fmax(1, fabs(expected[r])),
                          "%s:%zu: %.12g, expected %.12g", tables[i], r + 2, log_prob[r], expected[r]);
        nf_flow_free(flow);
        free(log_prob);
        free(expected);
        free(x);
    }
}
END_TEST

/* A constant column keeps a variance of 1, and the mean and covariance of what is drawn are those of the data. */
START_TEST(whitens_in_its_place)
{
    enum { N = 500 };
    double x[N][3], *z = normals(N * 3, 1, 9), mean[3], covariance[9], back[9];
    for (size_t r = 0; r < N; r++) {
        x[r][0] = 1e6 + 50 * z[3 * r];
        x[r][1] = 0.1;
        x[r][2] = 1e-4 * (z[3 * r] + z[3 * r + 1]);
    }
    ASSERT_OK(nf_shrunk_covariance(x[0], N, 3, mean, covariance, &error));
    ck_assert_double_eq(covariance[4], 1);
    ck_assert_double_eq(covariance[1], 0);
    nf_bijector *bijector = parsed("whiten(spread=2)", 3, 0);
    ASSERT_OK(nf_bijector_fit(bijector, x[0], NULL, N, &error));
    nf_flow *flow = nf_flow_new(NULL, bijector, AD_F64, &error);
    const double unit[4][3] = {{0}, {0.5}, {0, 0.5}, {0, 0, 0.5}};
    double column[4][3];
    ASSERT_OK(nf_transform(flow, false, unit[0], NULL, 4, column[0], NULL, NULL, &error));
    memset(back, 0, sizeof back);
    for (size_t k = 1; k < 4; k++)
        for (size_t i = 0; i < 3; i++)
            for (size_t j = 0; j < 3; j++)
                back[3 * i + j] += (column[k][i] - column[0][i]) * (column[k][j] - column[0][j]);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_double_eq_tol(column[0][i] / mean[i], 1, 1e-12);
        for (size_t j = 0; j < 3; j++)
            ck_assert_double_eq_tol(
                (back[3 * i + j] - covariance[3 * i + j]) / sqrt(covariance[4 * i] * covariance[4 * j]), 0, 1e-9);
    }
    nf_flow_free(flow);
    free(z);
    x[7][2] = INFINITY;
    bijector = parsed("whiten", 3, 0);
    ASSERT_FAILS(nf_bijector_fit(bijector, x[0], NULL, N, &error), AD_ERROR_NUMERIC, "whiten: column 3");
    ck_assert_int_eq(nf_bijector_fit(bijector, x[0], NULL, 0, &error), AD_ERROR_NUMERIC);
    nf_bijector_free(bijector);
}
END_TEST

/* ---- on ---------------------------------------------------------------------------------------------------------- */

/* Features 3 and 1 go through exp and a shift of their own, 2 and 4 stay: by hand, there and back. */
START_TEST(on_maps_what_it_lists)
{
    enum { D = 4 };
    nf_bijector *bijector = parsed("on([3,1],loc-on([2],exp))", D, 0);
    memcpy(nf_parameter_value(bijector->child[0]->child[0]->child[0], "loc"), (double[]){10, 0.5}, 2 * sizeof(double));
    nf_flow *flow = nf_flow_new(NULL, bijector, AD_F64, &error);
    const double z[D] = {-1, 2, 3, INFINITY}, x[D] = {exp(-0.5), 2, 13, INFINITY};
    double got[D], log_det;
    ASSERT_OK(nf_transform(flow, false, z, NULL, 1, got, &log_det, NULL, &error));
    for (size_t i = 0; i < D; i++) ck_assert(got[i] == x[i] || fabs(got[i] - x[i]) < 1e-14);
    ck_assert_double_eq_tol(log_det, -0.5, 1e-14);
    ASSERT_OK(nf_transform(flow, true, x, NULL, 1, got, &log_det, NULL, &error));
    for (size_t i = 0; i < D; i++) ck_assert(got[i] == z[i] || fabs(got[i] - z[i]) < 1e-14);
    ck_assert_double_eq_tol(log_det, 0.5, 1e-14);
    nf_flow_free(flow);
}
END_TEST

/* What is fitted sees its columns, as the steps behind it leave them; and a context reaches what is inside. */
START_TEST(on_fits_and_passes_the_context)
{
    enum { N = 400, D = 3 };
    double *z = normals(N * D, 1, 3), *x = malloc(N * D * sizeof *x), mean, sd;
    for (size_t i = 0; i < N * D; i++) x[i] = i % D == 1 ? exp(3 + 0.5 * z[i]) : 7 + z[i];
    nf_bijector *bijector = parsed("on([3],standardize)-on([2],standardize-exp)", D, 0);
    ASSERT_OK(nf_bijector_fit(bijector, x, NULL, N, &error));
    const nf_bijector *last = bijector->child[0], *other = bijector->child[1]->child[0]->child[0];
    ck_assert(nf_column_moments(z, N, D, 1, &mean, &sd));
    ck_assert_double_eq_tol(*nf_parameter_value(other, "mean"), 3 + 0.5 * mean, 1e-12);
    ck_assert_double_eq_tol(*nf_parameter_value(other, "scale"), sd, 1e-12);
    ck_assert(nf_column_moments(x, N, D, 2, &mean, &sd));
    ck_assert_double_eq_tol(*nf_parameter_value(last->child[0], "mean"), mean, 1e-12);
    nf_bijector_free(bijector);

    nf_flow *flow = nf_flow_parse("on([1,3],maf(4))", D, 2, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    file_path path = scratch_path("on.safetensors");
    ASSERT_OK(nf_save(flow, NULL, path.text, &error));
    nf_flow *back = nf_load(path.text, NULL, &error);
    ck_assert_msg(back != NULL, "%s", error.message);
    const double contexts[2][2] = {{1, 2}, {-3, 1}};
    double out[2][D], again[D];
    for (size_t i = 0; i < 2; i++) ASSERT_OK(nf_transform(flow, false, z, contexts[i], 1, out[i], NULL, NULL, &error));
    ck_assert_double_ne(out[0][0], out[1][0]);
    ck_assert_double_eq(out[0][1], z[1]);
    ASSERT_OK(nf_transform(back, false, z, contexts[1], 1, again, NULL, NULL, &error));
    ck_assert_mem_eq(again, out[1], sizeof again);
    nf_flow_free(back);
    nf_flow_free(flow);
    free(x);
    free(z);
}
END_TEST

START_TEST(on_from_code)
{
    const size_t list[] = {3, 0}, far[] = {4, 0};
    nf_bijector *made = nf_on(4, list, 2, parsed("maf(4)", 2, 1), &error);
    char *formula = nf_formula(made);
    ck_assert_str_eq(formula, "on([4,1],maf(4))");
    ad_free(formula);
    nf_bijector *chain = nf_chain((nf_bijector *[]){nf_invert(made, &error), parsed("loc", 4, 1)}, 2, &error);
    ck_assert_msg(chain != NULL, "%s", error.message);
    nf_bijector_free(chain);
    ck_assert_ptr_null(nf_on(4, far, 2, parsed("loc", 2, 1), &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "no feature 5, an event has 4");
    ck_assert_ptr_null(nf_on(4, list, 2, parsed("loc", 3, 1), &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "as many features as its map has, 3, got 2");
    ck_assert_ptr_null(nf_on(4, NULL, 2, parsed("loc", 2, 1), NULL));
    ck_assert_ptr_null(nf_on(4, list, 2, NULL, &error));
    ASSERT_FAILS(
        nf_register(&(const nf_bijector_type){.name = "on", .forward = nf_bijector_types()[0]->forward}, &error),
        AD_ERROR_ARGUMENT, "the name is taken");
}
END_TEST

/* ---- marginal ---------------------------------------------------------------------------------------------------- */

/* Of a skewed column, whole numbers and a heavy-tailed one, near and up to 1000 scales away: golden/marginal.py, whose
 * integrals are finer. */
START_TEST(marginal_equals_scipy)
{
    nf_table table;
    ASSERT_OK(nf_table_read(golden_path("marginal_rows.csv").text, &table, &error));
    size_t rows, dim;
    double *expected, *x = points_of("marginal_points.csv", &rows, &dim, &expected), *got = malloc(rows * sizeof *got);
    nf_flow *flow = flow_parsed("marginal", dim);
    ASSERT_OK(nf_flow_fit_data(flow, table.values, NULL, table.rows, &error));
    ASSERT_OK(nf_log_prob(flow, x, NULL, rows, got, NULL, &error));
    for (size_t r = 0; r < rows; r++) ck_assert_double_eq_tol(got[r], expected[r], 1e-3);

    /* in other units, and turned around, it is the same density */
    for (size_t i = 0; i < table.rows * dim; i++) table.values[i] = 7 - 1e3 * table.values[i];
    for (size_t i = 0; i < rows * dim; i++) x[i] = 7 - 1e3 * x[i];
    ASSERT_OK(nf_flow_fit_data(flow, table.values, NULL, table.rows, &error));
    ASSERT_OK(nf_log_prob(flow, x, NULL, rows, got, NULL, &error));
    for (size_t r = 0; r < rows; r++) ck_assert_double_eq_tol(got[r] + (double)dim * log(1e3), expected[r], 1e-3);
    nf_flow_free(flow);
    free(got);
    free(expected);
    free(x);
    nf_table_free(&table);
}
END_TEST

/* Data that are normal by themselves stay as they are, and what is seen is a standard normal then. */
START_TEST(marginal_of_a_normal)
{
    enum { N = 4000 };
    double *x = normals(N, 3, 11), *z = malloc(N * sizeof *z), mean, sd;
    nf_flow *flow = flow_parsed("marginal", 1);
    for (size_t r = 0; r < N; r++) x[r] += 50;
    ASSERT_OK(nf_flow_fit_data(flow, x, NULL, N, &error));
    ASSERT_OK(nf_transform(flow, true, x, NULL, N, z, NULL, NULL, &error));
    ck_assert(nf_column_moments(z, N, 1, 0, &mean, &sd));
    ck_assert_double_eq_tol(mean, 0, 0.01);
    ck_assert_double_eq_tol(sd, 1, 0.01);
    for (size_t r = 0; r < N; r++) /* one in 60 is in a tail */
        if (fabs(z[r]) < 2) ck_assert_double_eq_tol(z[r], (x[r] - 50) / 3, 0.1);
    nf_flow_free(flow);
    free(z);
    free(x);
}
END_TEST

/* One row to twelve, values that repeat, a constant, and values as large and small as may be: rows that were seen are
 * likely, and others, far away, are not absurd. */
START_TEST(marginal_of_few_rows)
{
    static const double columns[][12] = {{3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3},
                                         {0, 1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0},
                                         {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5},
                                         {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
                                         {1e9, 1e9 + 1, 1e9 + 2, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9},
                                         {1e-30, 2e-30, 5e-30, 1e-30, 2e-30, 0, 3e-30, 0, 7e-30, 0, 0, 0},
                                         {1, -1e20, 1e20, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
    for (size_t c = 0; c < COUNT(columns); c++)
        for (size_t rows = 1; rows <= 12; rows++) {
            nf_flow *flow = flow_parsed("marginal(bins=5)", 1);
            ASSERT_OK(nf_flow_fit_data(flow, columns[c], NULL, rows, &error));
            const double scale = *nf_parameter_value(nf_flow_bijector(flow)->child[0], "scale");
            double log_prob[12], far = columns[c][0] + 1000 * scale, of_far, back;
            ASSERT_OK(nf_log_prob(flow, columns[c], NULL, rows, log_prob, NULL, &error));
            for (size_t r = 0; r < rows; r++) {
                double in_units = log_prob[r] + log(scale);
                ck_assert_msg(in_units > -100 && in_units < 8, "column %zu, %zu rows: row %zu has log p %g", c + 1,
                              rows, r + 1, in_units);
            }
            ASSERT_OK(nf_log_prob(flow, &far, NULL, 1, &of_far, NULL, &error));
            ck_assert_msg(of_far + log(scale) > -60, "column %zu, %zu rows: %g", c + 1, rows, of_far + log(scale));
            ASSERT_OK(nf_transform(flow, true, &far, NULL, 1, &back, NULL, NULL, &error));
            ck_assert_msg(back > 1 && back < 15, "column %zu, %zu rows: %g", c + 1, rows, back);
            nf_flow_free(flow);
        }
    const double wrong[] = {1, 2, NAN, 3};
    nf_flow *flow = flow_parsed("marginal", 2);
    ASSERT_FAILS(nf_flow_fit_data(flow, wrong, NULL, 2, &error), AD_ERROR_NUMERIC, "marginal: column 1");
    nf_flow_free(flow);
}
END_TEST

/* Fixed, there is nothing to train; learned, there is, and every shape of a tail that it can get to is one. */
START_TEST(marginal_is_fixed_or_learned)
{
    nf_flow *fixed = flow_parsed("marginal(bins=4)", 2), *learned = flow_parsed("marginal(bins=4,learned=yes)", 2);
    ck_assert_uint_eq(nf_flow_trained_elements(fixed), 0);
    ck_assert_uint_eq(nf_flow_trained_elements(learned), 2 * (1 + 4 + 5 + 2));
    enum { N = 300 };
    double *x = normals(2 * N, 1, 12), before, after;
    for (size_t i = 0; i < 2 * N; i++) x[i] = exp(x[i]);
    const nf_fit_options options = {.epochs = 30, .val_fraction = -1};
    ASSERT_OK(nf_flow_fit_data(fixed, x, NULL, N, &error));
    ASSERT_OK(nf_nll(fixed, x, NULL, N, &before, NULL, NULL, &error));
    ASSERT_OK(nf_fit(learned, x, N, &options, NULL, &error));
    ASSERT_OK(nf_nll(learned, x, NULL, N, &after, NULL, NULL, &error));
    ck_assert_double_lt(after, before - 0.002);
    nf_flow_free(learned);
    nf_flow_free(fixed);
    free(x);
}
END_TEST

/* ---- gaussian_mixture -------------------------------------------------------------------------------------------- */

START_TEST(mixture_equals_scipy)
{
    enum { K = 4, D = 3 };
    size_t rows, dim;
    double *expected, *x = points_of("gaussian_mixture_points.csv", &rows, &dim, &expected), got;
    nf_flow *flow = flow_parsed("gaussian_mixture(components=4):loc", D);
    nf_bijector *base = nf_flow_base(flow);
    double *coefficient = nf_parameter_value(base, "coefficient");
    for (size_t k = 0; k < K; k++) {
        nf_parameter_value(base, "logit")[k] = 0.7 * (double)k;
        for (size_t i = 0; i < D; i++) {
            nf_parameter_value(base, "loc")[k * D + i] = (double)k - 0.4 * (double)i;
            nf_parameter_value(base, "log_scale")[k * D + i] = 0.2 * (double)k - 0.3 * (double)i;
            for (size_t j = 0; j < i; j++) *coefficient++ = 0.3 - 0.2 * (double)k + 0.1 * (double)i - 0.3 * (double)j;
        }
    }
    nf_flow_push(flow);
    for (size_t r = 0; r < rows; r++) {
        ASSERT_OK(nf_log_prob(flow, x + r * D, NULL, 1, &got, NULL, &error));
        ck_assert_double_eq_tol(got, expected[r], 1e-11 * fmax(1, fabs(expected[r])));
    }
    nf_flow_free(flow);
    free(expected);
    free(x);
}
END_TEST

/* With next to no prior it is the mixture of largest likelihood, which scikit-learn finds too. */
START_TEST(mixture_is_fitted)
{
    size_t rows, dim;
    double *expected, *x = points_of("gaussian_mixture_rows.csv", &rows, &dim, &expected), mean = 0, expected_mean = 0;
    double *got = malloc(rows * sizeof *got), *again = malloc(rows * sizeof *again);
    nf_flow *flow = flow_parsed("gaussian_mixture(components=3,prior=1e-4):standardize", dim);
    ASSERT_OK(nf_flow_fit_data(flow, x, NULL, rows, &error));
    ASSERT_OK(nf_log_prob(flow, x, NULL, rows, got, NULL, &error));
    for (size_t r = 0; r < rows; r++) {
        ck_assert_double_eq_tol(got[r], expected[r], 0.05);
        mean += got[r] / (double)rows;
        expected_mean += expected[r] / (double)rows;
    }
    ck_assert_double_eq_tol(mean, expected_mean, 1e-4);
    ASSERT_OK(nf_flow_fit_data(flow, x, NULL, rows, &error)); /* the same, whatever it was before */
    ASSERT_OK(nf_log_prob(flow, x, NULL, rows, again, NULL, &error));
    ck_assert_mem_eq(got, again, rows * sizeof *got);
    nf_flow_free(flow);

    /* wherever it stands in the chain, and in whatever units, it is the same density */
    flow = flow_parsed("gaussian_mixture(components=3,prior=1e-4):affine-whiten(spread=3)", dim);
    ASSERT_OK(nf_flow_fit_data(flow, x, NULL, rows, &error));
    ASSERT_OK(nf_log_prob(flow, x, NULL, rows, again, NULL, &error));
    for (size_t r = 0; r < rows; r++) ck_assert_double_eq_tol(got[r], again[r], 0.05);
    nf_flow_free(flow);
    free(again);
    free(got);
    free(expected);
    free(x);
}
END_TEST

/* Fewer rows than columns, fewer rows than normals, a constant column, one row: a proper density. */
START_TEST(mixture_of_few_rows)
{
    enum { MOST = 12, D = 11 };
    double *x = normals(MOST * D, 3, 5), log_prob[MOST], drawn[D];
    for (size_t r = 0; r < MOST; r++) x[r * D + 4] = 7;
    static const char *const formulas[] = {"gaussian_mixture:standardize", "gaussian_mixture(components=1):standardize",
                                           "gaussian_mixture(components=5):whiten"};
    for (size_t i = 0; i < COUNT(formulas); i++)
        for (size_t rows = 1; rows <= MOST; rows++) {
            nf_flow *flow = flow_parsed(formulas[i], D);
            ASSERT_OK(nf_flow_fit_data(flow, x, NULL, rows, &error));
            ASSERT_OK(nf_log_prob(flow, x, NULL, MOST, log_prob, NULL, &error));
            for (size_t r = 0; r < MOST; r++)
                ck_assert_msg(isfinite(log_prob[r]) && log_prob[r] < 10 && (r >= rows || log_prob[r] > -60),
                              "%s, %zu rows: row %zu has log p %g", formulas[i], rows, r + 1, log_prob[r]);
            ASSERT_OK(nf_sample(flow, NULL, 1, 1, drawn, NULL, NULL, &error));
            for (size_t d = 0; d < D; d++) ck_assert(isfinite(drawn[d]));
            nf_flow_free(flow);
        }
    nf_flow *flow = flow_parsed(formulas[0], D);
    ASSERT_FAILS(nf_flow_fit_data(flow, x, NULL, 0, &error), AD_ERROR_NUMERIC, "column 1");
    ck_assert_int_eq(nf_flow_fit_data(flow, NULL, NULL, 1, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_flow_fit_data(NULL, x, NULL, 1, NULL), AD_ERROR_ARGUMENT);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* nf_fit() begins with it. */
START_TEST(training_starts_from_the_fit)
{
    size_t rows, dim;
    double *expected, *x = points_of("gaussian_mixture_rows.csv", &rows, &dim, &expected);
    const nf_fit_options options = {.epochs = 1, .optimizer.learning_rate = 1e-9, .val_fraction = -1};
    nf_flow *fitted = flow_parsed("gaussian_mixture(components=3):standardize", dim);
    nf_flow *trained = flow_parsed("gaussian_mixture(components=3):standardize", dim);
    double a, b;
    ASSERT_OK(nf_flow_fit_data(fitted, x, NULL, rows, &error));
    ASSERT_OK(nf_fit(trained, x, rows, &options, NULL, &error));
    ASSERT_OK(nf_nll(fitted, x, NULL, rows, &a, NULL, NULL, &error));
    ASSERT_OK(nf_nll(trained, x, NULL, rows, &b, NULL, NULL, &error));
    ck_assert_double_eq_tol(a, b, 1e-5);
    nf_flow_free(fitted);
    nf_flow_free(trained);
    free(expected);
    free(x);
}
END_TEST

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

/* Whichever allocation fails, that is what is said. */
START_TEST(memory_runs_out)
{
    enum { N = 15, D = 3 };
    double *x = normals(N * D, 1, 4), log_prob[N];
    size_t allowed = 0;
    do {
        error = (ad_error){AD_OK, ""};
        memory_limit(allowed++);
        nf_flow *flow =
            nf_flow_parse("gaussian_mixture(components=2):on([3,1],whiten)-marginal(bins=3)", D, 0, AD_F64, 1, &error);
        ad_status status = flow ? nf_flow_fit_data(flow, x, NULL, N, &error) : error.status;
        if (status == AD_OK) status = nf_log_prob(flow, x, NULL, N, log_prob, NULL, &error);
        memory_unlimited();
        ck_assert_msg(status == (memory.denied ? AD_ERROR_MEMORY : AD_OK), "%zu allocations: %s", allowed - 1,
                      error.message);
        nf_flow_free(flow);
    } while (memory.denied);
    ck_assert_uint_gt(allowed, 100);
    free(x);
}
END_TEST

Suite *fitted_suite(void)
{
    Suite *suite = suite_create("fitted");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, scratch_begin, scratch_end);
    tcase_add_test(all, whitens);
    tcase_add_test(all, whitens_in_its_place);
    tcase_add_test(all, on_maps_what_it_lists);
    tcase_add_test(all, on_fits_and_passes_the_context);
    tcase_add_test(all, on_from_code);
    tcase_add_test(all, marginal_equals_scipy);
    tcase_add_test(all, marginal_of_a_normal);
    tcase_add_test(all, marginal_of_few_rows);
    tcase_add_test(all, marginal_is_fixed_or_learned);
    tcase_add_test(all, mixture_equals_scipy);
    tcase_add_test(all, mixture_is_fitted);
    tcase_add_test(all, mixture_of_few_rows);
    tcase_add_test(all, training_starts_from_the_fit);
    tcase_add_test(all, memory_runs_out);
    suite_add_tcase(suite, all);
    return suite;
}
