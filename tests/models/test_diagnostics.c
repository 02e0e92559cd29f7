/* Convergence diagnostics against ArviZ (tests/golden/diagnostics.py), and where they have no answer. */
#include <weir/diagnostics.h>
#include <weir/data.h>
#include "flows/flow_tools.h"
#include "scratch.h"

#include <math.h>

enum { FIGURES = sizeof(nf_summary) / sizeof(double) };

static const double *figures_of(const nf_summary *summary)
{
    return &summary->mean;
}

static nf_table table_of(const char *format, int n)
{
    char name[64];
    nf_table table;
    snprintf(name, sizeof name, format, n);
    ASSERT_OK(nf_table_read(golden_path(name).text, &table, &error));
    return table;
}

static const struct {
    int chains, n;
} shapes[] = {{4, 101}, {1, 60}, {3, 40}, {2, 4}};

START_TEST(agrees_with_arviz)
{
    size_t chains = (size_t)shapes[_i].chains, n = (size_t)shapes[_i].n;
    nf_table draws = table_of("diagnostics_%d_draws.npy", shapes[_i].n);
    nf_table expected = table_of("diagnostics_%d.csv", shapes[_i].n);
    ck_assert_uint_eq(draws.rows, chains * n);
    ck_assert_uint_eq(expected.rows, draws.columns);
    ck_assert_uint_eq(expected.columns, FIGURES);
    nf_summary summary[16];
    ad_pool *pool = ad_pool_new(2, &error);
    ASSERT_OK(nf_summarize(draws.values, chains, n, draws.columns, summary, pool, &error));
    for (size_t i = 0; i < draws.columns; i++)
        for (size_t k = 0; k < FIGURES; k++) {
            double got = figures_of(&summary[i])[k], want = expected.values[i * FIGURES + k];
            ck_assert_msg(fabs(got - want) <= 1e-10 * fmax(1, fabs(want)), "parameter %zu, %s: %.15g, not %.15g", i,
                          expected.names[k], got, want);
        }
    ad_pool_free(pool);
    nf_table_free(&draws);
    nf_table_free(&expected);
}
END_TEST

START_TEST(constant_draws_have_no_diagnostics)
{
    double draws[40];
    for (int i = 0; i < 40; i++) draws[i] = 0.1;
    nf_summary s;
    ASSERT_OK(nf_summarize(draws, 2, 20, 1, &s, NULL, &error));
    ck_assert_double_eq_tol(s.mean, 0.1, 1e-15);
    ck_assert_double_eq_tol(s.sd, 0, 1e-15);
    ck_assert_double_eq(s.median, 0.1);
    ck_assert(isnan(s.rhat) && isnan(s.ess_bulk) && isnan(s.ess_tail) && isnan(s.mcse_mean) && isnan(s.mcse_sd));
}
END_TEST

START_TEST(chains_stuck_at_different_places_never_agree)
{
    double draws[40];
    for (int i = 0; i < 40; i++) draws[i] = i / 20;
    nf_summary s;
    ASSERT_OK(nf_summarize(draws, 2, 20, 1, &s, NULL, &error));
    ck_assert(!(s.rhat < 10));
}
END_TEST

START_TEST(draws_that_are_not_finite)
{
    double draws[20] = {[7] = NAN};
    nf_summary s;
    ASSERT_OK(nf_summarize(draws, 2, 10, 1, &s, NULL, &error));
    for (int k = 0; k < FIGURES; k++) ck_assert(isnan(figures_of(&s)[k]));
}
END_TEST

START_TEST(few_draws)
{
    double draws[6] = {1, 2, 4, 5, 7, 9};
    nf_summary s;
    ASSERT_OK(nf_summarize(draws, 2, 3, 1, &s, NULL, &error));
    ck_assert_double_eq_tol(s.mean, 28. / 6, 1e-14);
    ck_assert_double_eq(s.median, 4.5);
    ck_assert(isnan(s.rhat) && isnan(s.ess_bulk) && isnan(s.mcse_mean));
    ASSERT_FAILS(nf_summarize(draws, 2, 1, 1, &s, NULL, &error), AD_ERROR_ARGUMENT, "2 draws");
    ASSERT_FAILS(nf_summarize(draws, 0, 3, 1, &s, NULL, &error), AD_ERROR_ARGUMENT, "0 chains");
}
END_TEST

START_TEST(without_memory)
{
    double draws[20] = {0};
    nf_summary s;
    size_t allowed = 0;
    do {
        memory_limit(allowed++);
        ad_status status = nf_summarize(draws, 2, 10, 1, &s, NULL, &error);
        ck_assert_int_eq(status, memory.denied ? AD_ERROR_MEMORY : AD_OK);
    } while (memory.denied);
    memory_unlimited();
    ck_assert_uint_gt(allowed, 2);
}
END_TEST

Suite *diagnostics_suite(void);

Suite *diagnostics_suite(void)
{
    Suite *suite = suite_create("diagnostics");
    TCase *values = tcase_create("values");
    tcase_add_loop_test(values, agrees_with_arviz, 0, COUNT(shapes));
    suite_add_tcase(suite, values);
    TCase *edges = tcase_create("edges");
    tcase_add_test(edges, constant_draws_have_no_diagnostics);
    tcase_add_test(edges, chains_stuck_at_different_places_never_agree);
    tcase_add_test(edges, draws_that_are_not_finite);
    tcase_add_test(edges, few_draws);
    tcase_add_test(edges, without_memory);
    suite_add_tcase(suite, edges);
    return suite;
}
