/* What is set from data: bijectors and base distributions with a fit, alone and in a flow. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include "scratch.h"

#include <math.h>

/* ---- whiten ------------------------------------------------------------------------------------------------------ */

/* Log p of each row under the normal that is fitted to them all: golden/whiten.py. */
START_TEST(whitens)
{
    static const char *const tables[] = {"whiten_many.csv", "whiten_few.csv", "whiten_two.csv", "whiten_same.csv"};
    for (size_t i = 0; i < COUNT(tables); i++) {
        nf_table table;
        ASSERT_OK(nf_table_read(golden_path(tables[i]).text, &table, &error));
        const size_t dim = table.columns - 1;
        double *x = malloc(table.rows * dim * sizeof *x), *log_prob = malloc(table.rows * sizeof *log_prob);
        for (size_t r = 0; r < table.rows; r++) memcpy(x + r * dim, table.values + r * table.columns, dim * sizeof *x);
        nf_bijector *bijector = parsed("whiten", dim, 0);
        ASSERT_OK(nf_bijector_fit(bijector, x, NULL, table.rows, &error));
        nf_flow *flow = nf_flow_new(NULL, bijector, AD_F64, &error);
        ASSERT_OK(nf_log_prob(flow, x, NULL, table.rows, log_prob, NULL, &error));
        for (size_t r = 0; r < table.rows; r++) {
            double expected = table.values[r * table.columns + dim];
            ck_assert_msg(fabs(log_prob[r] - expected) < 1e-8 * fmax(1, fabs(expected)),
                          "%s:%zu: %.12g, expected %.12g", tables[i], r + 2, log_prob[r], expected);
        }
        nf_flow_free(flow);
        free(log_prob);
        free(x);
        nf_table_free(&table);
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

Suite *fitted_suite(void)
{
    Suite *suite = suite_create("fitted");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, whitens);
    tcase_add_test(all, whitens_in_its_place);
    suite_add_tcase(suite, all);
    return suite;
}
