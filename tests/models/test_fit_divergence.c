/* Fits that diverge, and data that no flow explains. */
#include "models/training_tools.h"

START_TEST(diverges)
{
    enum { N_HERE = 500 };
    double *x = normals(2 * N_HERE, 1, 8), nll;
    static const double rates[] = {1e6, 1e30, 1e300};
    for (int i = 0; i < 2 * 2 * 2 * 3; i++) {
        nf_flow *flow = new_flow("(maf(16)-flip)*2", 2, i & 1 ? AD_F64 : AD_F32);
        nf_fit_options o = {.optimizer.name = i & 2 ? "sgd" : "adam",
                            .val_fraction = i & 4 ? -1 : 0.1,
                            .optimizer.learning_rate = rates[i / 8],
                            .optimizer.clip = -1,
                            .epochs = 50,
                            .batch = 100};
        nf_fit_report report;
        char step[40];
        error = (ad_error){AD_OK, ""};
        ad_status status = nf_fit(flow, x, N_HERE, &o, &report, &error);
        ck_assert_msg(status == AD_ERROR_NUMERIC, "case %d: %d", i, status);
        ck_assert_int_eq(report.outcome, NF_DIVERGED);
        ck_assert_uint_gt(report.diverged_step, 1);
        snprintf(step, sizeof step, "at step %zu (epoch %zu)", report.diverged_step, report.last.epoch + 1);
        ASSERT_FAILS(status, AD_ERROR_NUMERIC, step);
        ASSERT_FAILS(status, AD_ERROR_NUMERIC, "smaller learning rate");
        for (size_t p = 0; p < nf_flow_trained_elements(flow); p++) ck_assert(isfinite(parameter_at(flow, p)));
        ASSERT_OK(nf_nll(flow, x, NULL, N_HERE, &nll, NULL, NULL, &error));
        ck_assert_msg(isfinite(nll), "case %d: nll %g", i, nll);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

/* In the one step of the last epoch, after which there is no loss to tell. */
START_TEST(diverges_at_the_end)
{
    double *x = normals(2 * ROWS, 1, 8);
    for (int i = 0; i < 4; i++) {
        nf_flow *flow = new_flow("maf(16)-scale", 2, AD_F32);
        nf_fit_options o = {.optimizer.name = i & 2 ? "sgd" : "adam",
                            .val_fraction = i & 1 ? -1 : 0.1,
                            .optimizer.learning_rate = 1e300,
                            .optimizer.clip = -1,
                            .epochs = 1,
                            .batch = ROWS};
        double before = parameter_at(flow, 0);
        ASSERT_FAILS(nf_fit(flow, x, ROWS, &o, NULL, &error), AD_ERROR_NUMERIC, "at step 1 (epoch 1)");
        ck_assert_double_eq(parameter_at(flow, 0), before);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

/* One step per epoch and no validation: the loss of an epoch is of the weights before its step, which may be a leap to
 * finite weights that are far worse. Those are never the best. */
START_TEST(a_leap_is_not_kept)
{
    double *x = normals(2 * ROWS, 1, 8), before, after;
    for (int i = 0; i < 2 * ROWS; i++) x[i] += 1;
    for (int i = 0; i < 4; i++) {
        nf_flow *flow = new_flow("loc", 2, i & 1 ? AD_F64 : AD_F32);
        nf_fit_options o = {DESCENT, ALL_ROWS, STEADY, .optimizer.learning_rate = 1e4, .epochs = i & 2 ? 1 : 20};
        nf_fit_report report;
        ASSERT_OK(nf_nll(flow, x, NULL, ROWS, &before, NULL, NULL, &error));
        ASSERT_FAILS(nf_fit(flow, x, ROWS, &o, &report, &error), AD_ERROR_NUMERIC, "at step 1 (epoch 1)");
        ASSERT_OK(nf_nll(flow, x, NULL, ROWS, &after, NULL, NULL, &error));
        ck_assert_int_eq(report.outcome, NF_DIVERGED);
        ck_assert_uint_eq(report.best_epoch, 0);
        ck_assert_double_eq(after, before);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

/* Where the initial flow has density 0, no learning rate helps. */
START_TEST(data_outside_the_support)
{
    static const char *const formulas[] = {"loc-sigmoid", "uniform(0,1):loc"};
    double *x = normals(2 * ROWS, 1, 9), nll, standard_error;
    for (size_t i = 0; i < 2 * COUNT(formulas); i++) {
        nf_flow *flow = new_flow(formulas[i / 2], 2, i & 1 ? AD_F64 : AD_F32);
        nf_fit_report report;
        ASSERT_FAILS(nf_fit(flow, x, ROWS, NULL, &report, &error), AD_ERROR_NUMERIC, "have density 0");
        ck_assert_int_eq(report.outcome, NF_DIVERGED);
        ck_assert_uint_eq(report.diverged_step, 1);
        ad_free(report.history);
        ASSERT_OK(nf_nll(flow, x, NULL, ROWS, &nll, &standard_error, NULL, &error));
        ck_assert_double_eq(nll, INFINITY);
        ck_assert(isnan(standard_error));
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

Suite *fit_divergence_suite(void);

Suite *fit_divergence_suite(void)
{
    Suite *suite = suite_create("fit_divergence");
    TCase *tests = tcase_create("fit divergence");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, diverges);
    tcase_add_test(tests, diverges_at_the_end);
    tcase_add_test(tests, a_leap_is_not_kept);
    tcase_add_test(tests, data_outside_the_support);
    suite_add_tcase(suite, tests);
    return suite;
}
