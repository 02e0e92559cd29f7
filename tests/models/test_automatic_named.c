/* Fitting without settings: a flow that is named, for which the training alone is chosen; and the search for others. */
#include "models/training_tools.h"

#include <string.h>

enum { DIM = 2, FEW_ROWS = 300, HELD = 200 };

/* Rows of the two features, far from zero and of different scales. */
static double *rows_of(size_t rows, uint64_t seed)
{
    double *x = normals(rows * DIM, 1, seed);
    for (size_t r = 0; r < rows; r++) {
        x[r * DIM] = 1000 + 20 * x[r * DIM];
        x[r * DIM + 1] = .01 * x[r * DIM + 1] + .0001 * (x[r * DIM] - 1000);
    }
    return x;
}

static const struct {
    const char *formula, *result;
    size_t context;
} named[] = {
    {"maf(4)-flip-maf(4)", "maf(4)-flip-maf(4)-standardize", 0},
    {"student:affine", "student:affine-standardize", 0},
    {"whiten", "whiten-standardize", 0},
    {"(rqs(4)-lu)*2-standardize", "(rqs(4)-lu)*2-standardize*2", 0},
    {"maf(4)", "maf(4)-standardize", 1},
};

/* The result is the flow of this name, in the rows' own units: its score of the held-out rows is what was told. */
START_TEST(one_flow)
{
    double *x = rows_of(FEW_ROWS, 1), *held = rows_of(HELD, 2), *given = normals(FEW_ROWS, 1, 3),
           *held_given = normals(HELD, 1, 4);
    const size_t context = named[_i].context;
    nf_automatic_report report;
    double nll, standard_error;
    nf_flow *flow = nf_fit_automatic(x, FEW_ROWS, DIM, context,
                                     &(nf_automatic_options){.formula = named[_i].formula,
                                                             .row_context = context ? given : NULL,
                                                             .val_x = held,
                                                             .val_context = context ? held_given : NULL,
                                                             .val_rows = HELD,
                                                             .dtype = AD_F64,
                                                             .seed = 5},
                                     &report, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    char *formula = nf_flow_formula(flow, false);
    ck_assert_str_eq(formula, named[_i].result);
    ASSERT_OK(nf_nll(flow, held, context ? held_given : NULL, HELD, &nll, &standard_error, NULL, &error));
    ck_assert_double_eq_tol(report.nll, nll, 1e-9);
    ck_assert_double_eq_tol(report.standard_error, standard_error, 1e-9);
    ck_assert_uint_ne(report.best_flow, 0);
    for (size_t k = 0; k < report.n_candidate; k++)
        ck_assert_double_eq(report.candidate[k].weight, k == report.best_flow ? 1 : 0);
    ad_free(formula);
    nf_automatic_report_free(&report);
    nf_flow_free(flow);
    free(held_given);
    free(given);
    free(held);
    free(x);
}
END_TEST

START_TEST(named_mistakes)
{
    static const struct {
        const char *formula, *message;
        ad_status status;
    } mistakes[] = {{"maf(4)-", "the formula ends here", AD_ERROR_ARGUMENT},
                    {"mav(4)", "mav", AD_ERROR_ARGUMENT},
                    {"maf(4)-exp", "'maf(4)-exp' has no finite score", AD_ERROR_NUMERIC}};
    double *x = rows_of(FEW_ROWS, 1);
    nf_automatic_report report;
    nf_flow *flow = nf_fit_automatic(x, FEW_ROWS, DIM, 0, &(nf_automatic_options){.formula = mistakes[_i].formula},
                                     &report, &error);
    ck_assert_ptr_null(flow);
    ck_assert_int_eq(error.status, mistakes[_i].status);
    ck_assert_msg(strstr(error.message, mistakes[_i].message) != NULL, "%s", error.message);
    nf_automatic_report_free(&report);
    free(x);
}
END_TEST

/* However far the search gets, there is a mixture in the end, of candidates that it knows how to write. */
START_TEST(tuning)
{
    double *x = rows_of(FEW_ROWS, 1);
    nf_automatic_report report;
    nf_flow *flow = nf_fit_automatic(x, FEW_ROWS, DIM, 0,
                                     &(nf_automatic_options){.tune = true, .seconds = 2, .seed = 3}, &report, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    double sum = 0;
    for (size_t k = 0; k < report.n_candidate; k++) {
        nf_flow *again = nf_flow_parse(report.candidate[k].formula, DIM, 0, AD_F32, 1, &error);
        ck_assert_msg(again != NULL, "%s", error.message);
        nf_flow_free(again);
        sum += report.candidate[k].weight;
    }
    ck_assert_double_eq_tol(sum, 1, 1e-9);
    nf_automatic_report_free(&report);
    nf_flow_free(flow);
    free(x);
}
END_TEST

Suite *automatic_named_suite(void);

Suite *automatic_named_suite(void)
{
    Suite *suite = suite_create("automatic_named");
    TCase *tests = tcase_create("automatic_named");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, one_flow, 0, COUNT(named));
    tcase_add_loop_test(tests, named_mistakes, 0, 3);
    tcase_add_test(tests, tuning);
    suite_add_tcase(suite, tests);
    return suite;
}
