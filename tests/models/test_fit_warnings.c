/* What a fit says of the rows, the flow and the context, where something is not as the user thinks. */
#include "models/training_tools.h"

/* ---- Single rows --------------------------------------------------------------------------------------------- */

/* One validation row so far away that its loss is all that there is: the best weights are kept all the same. */
START_TEST(a_far_row_is_named)
{
    enum { VAL = 50 };
    double *x = normals(2 * ROWS, 1, 4), *val = normals(2 * VAL, 1, 5);
    val[2 * 30] = 1e4;
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = new_flow("affine-standardize", 2, dtype);
        nf_fit_report report;
        nf_fit_options o = {.epochs = 5, .val_x = val, .val_rows = VAL};
        ASSERT_OK(nf_fit(flow, x, ROWS, &o, &report, &error));
        ck_assert_uint_ge(report.best_epoch, 1);
        ck_assert(report.best_nll > 1e5 && report.best_nll < 1e7);
        for (size_t e = 0; e < 5; e++) ck_assert_double_ge(report.history[e].val_nll, report.best_nll);
        ck_assert_uint_eq(report.val.far, 1);
        ck_assert_uint_eq(report.val.worst_row, 31);
        double log_prob;
        ASSERT_OK(nf_log_prob(flow, val + 2 * 30, NULL, 1, &log_prob, NULL, &error));
        ck_assert_double_eq_tol(report.val.worst / log_prob, 1, dtype == AD_F32 ? 1e-5 : 1e-12);
        ck_assert_uint_eq(report.train.far, 0);
        ck_assert_double_gt(report.train.worst, -20);
        ck_assert_ptr_nonnull(
            strstr(report.warning, "1 validation row is far below the others: log p of row 31 of val_x"));
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(val);
    free(x);
}
END_TEST

/* A far row among those that are trained on is no divergence; its number is that of the caller's rows. */
START_TEST(a_far_training_row_is_named)
{
    double *x = normals(2 * ROWS, 1, 4);
    x[2 * 16 + 1] = -1e4;
    nf_flow *flow = new_flow("loc", 2, AD_F64);
    nf_fit_report report;
    ASSERT_OK(nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 2, .batch = 4, .val_fraction = -1}, &report, &error));
    ck_assert_uint_eq(report.train.worst_row, 17);
    ck_assert_uint_eq(report.train.far, 1);
    ck_assert(isnan(report.val.worst));
    ck_assert_ptr_nonnull(strstr(report.warning, "1 training row is far below the others: log p of row 17 is -5e+07"));
    ad_free(report.history);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* Nobody can choose by an infinite loss: the last weights are kept, and that is said. */
START_TEST(no_finite_validation_loss)
{
    double *x = normals(ROWS, 1, 4);
    static const double val[] = {0.5, 2};
    for (int i = 0; i < ROWS; i++) x[i] = 1 / (1 + exp(-x[i]));
    nf_flow *flow = new_flow("scale-loc-sigmoid", 1, AD_F64);
    double before = parameter_at(flow, 1);
    nf_fit_report report;
    ASSERT_OK(nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 3, .val_x = val, .val_rows = 2}, &report, &error));
    ck_assert_uint_eq(report.best_epoch, 0);
    ck_assert_double_ne(parameter_at(flow, 1), before);
    ck_assert_uint_eq(report.val.worst_row, 2);
    ck_assert_double_eq(report.val.worst, -INFINITY);
    ck_assert_ptr_nonnull(strstr(report.warning, "the validation loss was finite after no epoch"));
    ad_free(report.history);
    nf_flow_free(flow);
    free(x);
}
END_TEST

START_TEST(good_fits_have_no_warning)
{
    double *x = normals(2 * ROWS, 1, 4);
    nf_flow *flow = new_flow("(maf(8)-flip)*2-standardize", 2, AD_F32);
    nf_fit_report report;
    ASSERT_OK(nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 3}, &report, &error));
    ck_assert_str_eq(report.warning, "");
    double *log_prob = malloc(ROWS * sizeof *log_prob), worst = 0;
    ASSERT_OK(nf_log_prob(flow, x, NULL, ROWS, log_prob, NULL, &error));
    for (int i = 0; i < ROWS; i++) worst = fmin(worst, log_prob[i]);
    ck_assert_double_eq_tol(fmin(report.train.worst, report.val.worst), worst, 1e-5);
    ck_assert(report.train.median > report.train.worst && report.val.median > report.val.worst);
    free(log_prob);
    ad_free(report.history);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* ---- Rows outside of the support ----------------------------------------------------------------------------- */

START_TEST(what_a_flow_does_not_reach_is_named)
{
    static const struct {
        const char *formula;
        double x; /* of row 4, among numbers between 0 and 1 */
        const char *message;
    } cases[] = {
        {"maf(4)-sigmoid", 0,
         "row 4 has density 0 under the initial flow: it comes to term 2 of the flow, sigmoid, as (0"},
        {"maf(4)-sigmoid-loc", 1.5, "it comes to term 2 of the flow, sigmoid, as (1.5"},
        {"maf(4)-exp-scale-loc", -0.5, "it comes to term 2 of the flow, exp, as (-0.5"},
        {"uniform(0,1):loc", 3, "it comes to the base distribution, uniform, as (3"},
    };
    double x[2 * 8];
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        for (int k = 0; k < 16; k++) x[k] = 0.1 + 0.05 * k;
        x[2 * 3] = cases[i / 2].x;
        nf_flow *flow = new_flow(cases[i / 2].formula, 2, i & 1 ? AD_F64 : AD_F32);
        nf_fit_report report;
        ASSERT_FAILS(nf_fit(flow, x, 8, &(nf_fit_options){.val_fraction = -1}, &report, &error), AD_ERROR_NUMERIC,
                     cases[i / 2].message);
        ck_assert_int_eq(report.outcome, NF_DIVERGED);
        ck_assert_uint_eq(report.diverged_step, 1);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    nf_flow *flow = new_flow("sigmoid-standardize", 1, AD_F64);
    static const double inside[] = {0.2, 0.3, 0.8, 0.9};
    ASSERT_FAILS(nf_fit(flow, inside, 4, &(nf_fit_options){.val_fraction = -1}, NULL, &error), AD_ERROR_NUMERIC,
                 "row 1 and 1 other have density 0");
    nf_flow_free(flow);
}
END_TEST

/* ---- Contexts ------------------------------------------------------------------------------------------------- */

START_TEST(a_context_is_to_be_seen)
{
    static const struct {
        const char *formula;
        bool sees;
    } cases[] = {{"planar*4", false},     {"loc-scale", false},     {"maf(4)", true},
                 {"planar-rqs(4)", true}, {"realnvp(4)-loc", true}, {"rqsar(4)", true}};
    double *x = normals(2 * ROWS, 1, 4), *c = normals(ROWS, 1, 5);
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_flow *flow = nf_flow_parse(cases[i].formula, 2, 1, AD_F32, 1, &error);
        ck_assert_msg(flow != NULL, "%s", error.message);
        ad_status status = nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 1, .row_context = c}, NULL, &error);
        if (cases[i].sees)
            ASSERT_OK(status);
        else
            ASSERT_FAILS(status, AD_ERROR_ARGUMENT, "sees the context, of 1 numbers a row");
        nf_flow_free(flow);
    }
    free(c);
    free(x);
}
END_TEST

/* ---- Features that can only be as the base ------------------------------------------------------------------- */

START_TEST(affine_features_are_told)
{
    static const struct {
        const char *formula;
        size_t dim, context;
        const char *columns; /* NULL: none */
    } cases[] = {
        {"(maf(4,4)-flip)*3-standardize", 1, 0, "column 1 can only be as the base distribution, normal"},
        {"(maf(4)-flip)*2", 1, 1,
         "column 1 can only be as the base distribution, normal, shifted and scaled by the context"},
        {"maf(4)", 2, 0, "column 2 can only be"},
        {"maf(4)-flip", 3, 0, "column 1 can only be"},
        {"student(df=5):scale-loc", 2, 0, "column 1, 2 can only be as the base distribution, student"},
        {"(maf(4)-flip)*2", 2, 0, NULL},
        {"rqsar(4)", 1, 0, NULL},
        {"rqsar(4)-maf(4)", 1, 0, NULL},
        {"affine", 2, 0, NULL},
        {"(rqs(4)-flip)*2-standardize", 2, 0, NULL},
        {"sigmoid-loc", 1, 0, NULL},
        {"planar", 1, 0, NULL},
    };
    double *x = normals(3 * ROWS, 1, 4), *c = normals(ROWS, 1, 5);
    for (int i = 0; i < 3 * ROWS; i++) x[i] = 1 / (1 + exp(-x[i]));
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_flow *flow = nf_flow_parse(cases[i].formula, cases[i].dim, cases[i].context, AD_F64, 1, &error);
        ck_assert_msg(flow != NULL, "%s", error.message);
        nf_fit_report report;
        ASSERT_OK(nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 1, .row_context = c}, &report, &error));
        const char *told = strstr(report.warning, "column");
        ck_assert_msg(cases[i].columns ? strstr(report.warning, cases[i].columns) != NULL : told == NULL, "%s: %s",
                      cases[i].formula, report.warning);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(c);
    free(x);
}
END_TEST

Suite *fit_warnings_suite(void);

Suite *fit_warnings_suite(void)
{
    Suite *suite = suite_create("fit_warnings");
    TCase *tests = tcase_create("fit warnings");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_far_row_is_named);
    tcase_add_test(tests, a_far_training_row_is_named);
    tcase_add_test(tests, no_finite_validation_loss);
    tcase_add_test(tests, good_fits_have_no_warning);
    tcase_add_test(tests, what_a_flow_does_not_reach_is_named);
    tcase_add_test(tests, a_context_is_to_be_seen);
    tcase_add_test(tests, affine_features_are_told);
    suite_add_tcase(suite, tests);
    return suite;
}
