/* Pareto smoothed importance sampling against ArviZ, and what it means. */
#include "flows/flow_tools.h"
#include <weir/models.h>

#include <check.h>
#include <math.h>
#include <stdio.h>

enum { MOST = 1000 };

static double log_sum_exp(const double *x, size_t n)
{
    double largest = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, x[i]);
    for (size_t i = 0; i < n; i++) sum += exp(x[i] - largest);
    return largest + log(sum);
}

static const char *const cases[] = {"light", "normal", "wide", "pareto", "heavy", "shifted", "few", "short", "zeros"};

START_TEST(agrees_with_arviz)
{
    char path[512];
    snprintf(path, sizeof path, "%s/psis/%s.csv", WEIR_GOLDEN_DIR, cases[_i]);
    FILE *golden = fopen(path, "r");
    ck_assert_msg(golden != NULL, "%s", path);
    double expected_khat, khat, x[MOST], expected[MOST];
    size_t n = 0;
    ck_assert_int_eq(fscanf(golden, "%lf\n", &expected_khat), 1);
    while (n < MOST && fscanf(golden, "%lf,%lf\n", &x[n], &expected[n]) == 2) n++;
    fclose(golden);
    ck_assert_uint_ge(n, 12);
    ASSERT_OK(nf_psis(x, n, &khat, &error));
    if (isinf(expected_khat))
        ck_assert_double_eq(khat, INFINITY);
    else
        ck_assert_double_eq_tol(khat, expected_khat, 1e-9);
    double total = log_sum_exp(x, n);
    for (size_t i = 0; i < n; i++)
        if (isinf(expected[i]))
            ck_assert_double_eq(x[i], -INFINITY);
        else
            ck_assert_double_eq_tol(x[i] - total, expected[i], 1e-9);
}
END_TEST

/* Ratios of a Pareto with tail index 1/k have shape k. */
START_TEST(finds_the_shape)
{
    enum { N = 200000 };
    static const double shapes[] = {0.3, 0.6, 0.9, 1.2};
    double *x = malloc(N * sizeof *x), khat;
    for (size_t i = 0; i < N; i++) x[i] = -shapes[_i] * log(ad_random_uniform(3, (uint64_t)_i, i));
    ASSERT_OK(nf_psis(x, N, &khat, &error));
    ck_assert_double_eq_tol(khat, shapes[_i], 0.12); /* 3 standard errors (1 + k) / √1342 */
    free(x);
}
END_TEST

START_TEST(edges)
{
    double khat, equal[100], nothing[100], bad[3] = {0, NAN, 1}, worse[3] = {0, INFINITY, 1};
    for (int i = 0; i < 100; i++) {
        equal[i] = 5;
        nothing[i] = -INFINITY;
    }
    ASSERT_OK(nf_psis(equal, 100, &khat, &error));
    ck_assert_double_eq(khat, 0);
    ck_assert_double_eq(equal[99], 5);
    ASSERT_OK(nf_psis(nothing, 100, &khat, &error));
    ck_assert_double_eq(khat, INFINITY);
    ck_assert_double_eq(nothing[99], -INFINITY);
    ASSERT_OK(nf_psis(equal, 0, &khat, &error));
    ASSERT_FAILS(nf_psis(bad, 3, &khat, &error), AD_ERROR_NUMERIC, "weight 2 of 3");
    ASSERT_FAILS(nf_psis(worse, 3, &khat, &error), AD_ERROR_NUMERIC, "weight 2 of 3");
}
END_TEST

Suite *psis_suite(void)
{
    Suite *suite = suite_create("psis");
    TCase *tcase = tcase_create("psis");
    tcase_add_loop_test(tcase, agrees_with_arviz, 0, (int)COUNT(cases));
    tcase_add_loop_test(tcase, finds_the_shape, 0, 4);
    tcase_add_test(tcase, edges);
    suite_add_tcase(suite, tcase);
    return suite;
}
