/* Options of a fit: weights, validation rows of their own, a limit on the time, rows made anew, a plateau. */
#include "models/training_tools.h"

/* ---- Weights ------------------------------------------------------------------------------------------------- */

/* Whole weights are the same as rows that are there so often, in training and in validation. */
START_TEST(weights_repeat_rows)
{
    static const double weight[] = {2, 0, 1, 3, 0, 1, 1, 4}, val_weight[] = {0, 3, 1};
    double *x = normals(2 * COUNT(weight), 1, 4), *val = normals(2 * COUNT(val_weight), 1, 5), often[2 * 20],
           seen[2 * 4];
    size_t n = 0, m = 0, again = 0;
    for (size_t i = 0; i < COUNT(weight); i++)
        for (int k = 0; k < (int)weight[i]; k++) memcpy(often + 2 * n++, x + 2 * i, 2 * sizeof *x);
    for (size_t i = 0; i < COUNT(val_weight); i++)
        for (int k = 0; k < (int)val_weight[i]; k++) memcpy(seen + 2 * m++, val + 2 * i, 2 * sizeof *val);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *weighted = new_flow("maf(4)-scale-loc", 2, dtype), *repeated = new_flow("maf(4)-scale-loc", 2, dtype);
        nf_fit_options o = {ALL_ROWS, .epochs = 5, .optimizer.learning_rate = 0.1, .val_x = val};
        nf_fit_report with, without;
        o.row_weights = weight;
        o.val_weights = val_weight;
        o.val_rows = COUNT(val_weight);
        ASSERT_OK(nf_fit(weighted, x, COUNT(weight), &o, &with, &error));
        o.row_weights = o.val_weights = NULL;
        o.val_x = seen;
        o.val_rows = m;
        ASSERT_OK(nf_fit(repeated, often, n, &o, &without, &error));
        ck_assert_uint_eq(with.train_rows, 6);
        ck_assert_uint_eq(with.val_rows, 2);
        const double tolerance = dtype == AD_F32 ? 1e-4 : 1e-12;
        for (size_t e = 0; e < 5; e++) {
            ck_assert_double_eq_tol(with.history[e].val_nll, without.history[e].val_nll, tolerance);
            ck_assert_double_eq_tol(with.history[e].train_nll, without.history[e].train_nll, tolerance);
            again += with.history[e].val_nll != with.history[0].val_nll;
        }
        for (size_t i = 0; i < nf_flow_trained_elements(weighted); i++)
            ck_assert_double_eq_tol(parameter_at(weighted, i), parameter_at(repeated, i), tolerance);
        ad_free(with.history);
        ad_free(without.history);
        nf_flow_free(weighted);
        nf_flow_free(repeated);
    }
    ck_assert_uint_gt(again, 0);
    free(val);
    free(x);
}
END_TEST

/* Small steps add up: each row has moved loc by its own weight over the mean weight, whatever batch it was in. */
START_TEST(weighted_batches_are_unbiased)
{
    enum { N_HERE = 6 };
    static const double weight[N_HERE] = {1, 2, 3, 0.5, 5, 0.5}; /* 2 on average */
    static double axes[N_HERE][N_HERE];
    const double rate = 1e-7;
    for (int j = 0; j < N_HERE; j++) axes[j][j] = 1;
    for (uint64_t seed = 0; seed < 5; seed++) {
        nf_flow *flow = new_flow("loc", N_HERE, AD_F64);
        nf_fit_options o = {DESCENT,
                            STEADY,
                            .optimizer.learning_rate = rate,
                            .epochs = 1,
                            .batch = 2,
                            .val_fraction = -1,
                            .row_weights = weight,
                            .seed = seed};
        ASSERT_OK(nf_fit(flow, axes[0], N_HERE, &o, NULL, &error));
        for (size_t j = 0; j < N_HERE; j++)
            ck_assert_double_eq_tol(parameter_at(flow, j) / rate, weight[j] / 2 / 2, 1e-5);
        nf_flow_free(flow);
    }
}
END_TEST

/* Rows that bijectors see are drawn evenly: of weights 1 and 3, one and three of four. */
START_TEST(bijectors_see_weighted_rows)
{
    static const double x[] = {0, 8, 0, 8}, weight[] = {1, 3, 1, 3};
    nf_flow *flow = new_flow("standardize", 1, AD_F64);
    nf_fit_options o = {.epochs = 1, .val_fraction = -1, .row_weights = weight};
    ASSERT_OK(nf_fit(flow, x, 4, &o, NULL, &error));
    ck_assert_double_eq_tol(*nf_parameter_value(nf_flow_bijector(flow)->child[0], "mean"), 6, 1e-3);
    nf_flow_free(flow);
}
END_TEST

START_TEST(options_of_rows_are_checked)
{
    static const double negative[] = {1, -1, 1, 1}, none[4] = {0}, endless[] = {1, 1, INFINITY, 1},
                        ones[] = {1, 1, 1, 1}, broken[] = {0, NAN, 0, 0};
    static const struct {
        nf_fit_options o;
        const char *message;
    } cases[] = {
        {{.row_weights = negative}, "row_weights: expected 0 or more of row 2, got -1"},
        {{.row_weights = none}, "row_weights: expected a positive sum"},
        {{.row_weights = endless}, "row_weights: expected 0 or more of row 3, got inf"},
        {{.row_weights = broken}, "row_weights: expected 0 or more of row 2, got nan"},
        {{.val_x = ones, .val_rows = 2, .val_weights = none}, "val_weights: expected a positive sum"},
        {{.val_x = ones}, "expected val_x and val_rows"},
        {{.val_rows = 2}, "expected val_x and val_rows"},
        {{.val_weights = ones}, "expected val_x and val_rows"},
        {{.val_x = broken, .val_rows = 2}, "validation row 1, column 2 is not finite"},
        {{.seconds = -1}, "seconds"},
        {{.seconds = NAN}, "seconds"},
        {{.seconds = INFINITY}, "seconds"},
        {{.schedule = "plateau(0)"}, "patience"},
    };
    double *x = normals(2 * 4, 1, 10);
    nf_flow *flow = new_flow("loc", 2, AD_F32);
    for (size_t i = 0; i < COUNT(cases); i++)
        ASSERT_FAILS(nf_fit(flow, x, 4, &cases[i].o, NULL, &error), AD_ERROR_ARGUMENT, cases[i].message);
    nf_flow_free(flow);
    flow = nf_flow_parse("maf(4)", 2, 1, AD_F32, 1, &error);
    nf_fit_options o = {.row_context = ones, .val_x = ones, .val_rows = 2};
    ASSERT_FAILS(nf_fit(flow, x, 4, &o, NULL, &error), AD_ERROR_ARGUMENT, "expected val_context, of 1 numbers");
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* ---- Validation rows of their own ---------------------------------------------------------------------------- */

/* The weights that are kept have the score, of just those rows; all others are trained on. */
START_TEST(validates_on_rows_of_their_own)
{
    enum { VAL = 30 };
    double *x = normals(2 * ROWS, 1, 4), *val = normals(2 * VAL, 2, 5), *c = normals(ROWS, 1, 6),
           *d = normals(VAL, 1, 7), nll;
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = nf_flow_parse("(maf(8)-flip)*2", 2, 1, dtype, 1, &error);
        nf_fit_options o = {.epochs = 20,
                            .batch = 16,
                            .optimizer.learning_rate = 0.02,
                            .row_context = c,
                            .val_x = val,
                            .val_context = d,
                            .val_rows = VAL};
        nf_fit_report report;
        ASSERT_OK(nf_fit(flow, x, ROWS, &o, &report, &error));
        ck_assert_uint_eq(report.train_rows, ROWS);
        ck_assert_uint_eq(report.val_rows, VAL);
        ASSERT_OK(nf_nll(flow, val, d, VAL, &nll, NULL, NULL, &error));
        ck_assert_double_eq_tol(report.best_nll, nll, dtype == AD_F32 ? 1e-5 : 1e-12);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(d);
    free(c);
    free(val);
    free(x);
}
END_TEST

/* ---- A limit on the time ------------------------------------------------------------------------------------- */

static nf_fit_report timed(nf_fit_options o, nf_flow **flow)
{
    double *x = normals(2 * ROWS, 1, 4);
    nf_fit_report report;
    *flow = new_flow("maf(8)-flip", 2, AD_F64);
    o.batch = 8;
    ASSERT_OK(nf_fit(*flow, x, ROWS, &o, &report, &error));
    ck_assert_int_eq(report.outcome, NF_FINISHED);
    free(x);
    return report;
}

/* One step is always made, the epoch that it begins counts, and the rate has come to its end. */
START_TEST(time_is_over_at_once)
{
    nf_flow *flow;
    nf_fit_report report = timed((nf_fit_options){.seconds = 1e-9}, &flow);
    ck_assert_uint_eq(report.last.step, 1);
    ck_assert_uint_eq(report.last.epoch, 1);
    ck_assert_uint_eq(report.last.rows, 8);
    ck_assert_uint_eq(report.best_epoch, 1);
    ck_assert_double_lt(report.last.learning_rate, 1e-15);
    ck_assert(report.last.epochs == SIZE_MAX);
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

/* The epochs are over long before the time: as if it had no limit. */
START_TEST(time_enough)
{
    nf_flow *flow, *other;
    nf_fit_report report = timed((nf_fit_options){.epochs = 5, .seconds = 1e9, .starts = 2}, &flow);
    ck_assert_uint_eq(report.last.epoch, 5);
    ad_free(report.history);
    report = timed((nf_fit_options){.epochs = 5, .starts = 2}, &other);
    ck_assert_mem_eq(nf_flow_parameters(flow), nf_flow_parameters(other), parameter_bytes(flow));
    ad_free(report.history);
    nf_flow_free(other);
    nf_flow_free(flow);
}
END_TEST

/* However slow the machine is. What other starts leave of their share comes on top, and raises the rate. */
START_TEST(rates_follow_the_time)
{
    for (size_t starts = 1; starts <= 3; starts += 2) {
        nf_flow *flow;
        nf_fit_report report = timed((nf_fit_options){.seconds = 0.03, .starts = starts, .schedule = "linear"}, &flow);
        ck_assert_uint_ge(report.last.epoch, 1);
        for (size_t e = 1; e < report.last.epoch && starts == 1; e++)
            ck_assert_double_lt(report.history[e].learning_rate, report.history[e - 1].learning_rate);
        ad_free(report.history);
        nf_flow_free(flow);
    }
}
END_TEST

/* ---- Defaults of flow matching -------------------------------------------------------------------------------- */

/* What isn't told is a rate of 0.02 and an average of 0.999; less than none of the average is none. The first averages
 * are shorter, whatever they are told to be, hence so many steps. */
START_TEST(matching_has_defaults_of_its_own)
{
    static const struct {
        double rate, ema;
        bool as_default;
    } cases[] = {{0, 0, true}, {2e-2, 0.999, true}, {2e-2, 0.99, false}, {2e-2, -1, false}, {2e-3, 0.999, false}};
    double *x = normals(2 * ROWS, 1, 4);
    nf_flow *flow[COUNT(cases)];
    for (size_t i = 0; i < COUNT(cases); i++) {
        flow[i] = new_flow("cnf(4)", 2, AD_F64);
        nf_fit_options o = {.epochs = 40,
                            .batch = 1,
                            .val_fraction = -1,
                            .optimizer.learning_rate = cases[i].rate,
                            .ema = cases[i].ema,
                            .objective = NF_FLOW_MATCHING};
        ASSERT_OK(nf_fit(flow[i], x, ROWS, &o, NULL, &error));
        const int differs = memcmp(nf_flow_parameters(flow[0]), nf_flow_parameters(flow[i]), parameter_bytes(flow[0]));
        ck_assert_msg((differs == 0) == cases[i].as_default, "rate %g, average %g", cases[i].rate, cases[i].ema);
    }
    for (size_t i = 0; i < COUNT(cases); i++) nf_flow_free(flow[i]);
    free(x);
}
END_TEST

/* ---- Rows made anew ------------------------------------------------------------------------------------------ */

static void number_rows(void *context, size_t epoch, const uint32_t *row, size_t rows, double *x)
{
    ck_assert_ptr_eq(context, &error);
    for (size_t i = 0; i < rows; i++) x[i] = row[i] + 100 * (double)epoch;
}

/* In plain descent on all rows, loc goes towards their mean. */
START_TEST(rows_are_made_anew)
{
    enum { EPOCHS_HERE = 4, MANY = 5000 };
    double *x = calloc(MANY, sizeof *x), loc = 0;
    static const double val[] = {1, 2, 3};
    ad_pool *pool = ad_pool_new(3, &error);
    for (int i = 0; i < 2; i++) {
        nf_flow *flow = new_flow("loc", 1, AD_F64);
        nf_fit_report report;
        nf_fit_options o = {
            DESCENT,      STEADY,        .optimizer.learning_rate = 0.25, .batch = SIZE_MAX, .epochs = EPOCHS_HERE,
            .val_x = val, .val_rows = 3, .redraw = number_rows,           .context = &error, .pool = i ? pool : NULL};
        ASSERT_OK(nf_fit(flow, x, MANY, &o, &report, &error));
        loc = 0;
        for (size_t e = 1; e <= EPOCHS_HERE; e++) {
            loc += 0.25 * ((MANY - 1) / 2.0 + 100 * (double)e - loc);
            double nll = 0.5 * log(2 * acos(-1));
            for (int k = 0; k < 3; k++) nll += (val[k] - loc) * (val[k] - loc) / 6;
            ck_assert_double_eq_tol(report.history[e - 1].val_nll / nll, 1, 1e-12);
        }
        ad_free(report.history);
        nf_flow_free(flow);
    }
    ad_pool_free(pool);
    free(x);
}
END_TEST

/* ---- A plateau ------------------------------------------------------------------------------------------------ */

/* The weights stay where they are, and so does the loss, to the last bit: all rows are equal, for their order changes. */
START_TEST(a_plateau_ends_training)
{
    double *x = normals(2 * ROWS, 1, 4);
    for (size_t i = 2; i < 2 * ROWS; i++) x[i] = x[i - 2];
    for (int i = 0; i < 2; i++) {
        nf_flow *flow = new_flow("loc", 2, AD_F64);
        nf_fit_report report;
        nf_fit_options o = {DESCENT, .optimizer.learning_rate = 1e-30, .batch = SIZE_MAX, .val_fraction = i ? -1 : 0.5,
                            .schedule = "plateau(patience=3, factor=0.5, end=0.25)"};
        ASSERT_OK(nf_fit(flow, x, ROWS, &o, &report, &error));
        ck_assert_int_eq(report.outcome, NF_STOPPED_EARLY);
        ck_assert_uint_eq(report.last.epoch, 10);
        for (size_t e = 0; e < 10; e++)
            ck_assert_double_eq(report.history[e].learning_rate, 1e-30 * (e < 4 ? 1 : e < 7 ? 0.5 : 0.25));
        ad_free(report.history);
        nf_flow_free(flow);
    }
    nf_flow *flow = new_flow("loc", 2, AD_F64);
    nf_target *target = nf_target_parse("pot1", &error);
    ASSERT_FAILS(nf_vi(flow, target, &(nf_vi_options){.schedule = "plateau"}, NULL, &error), AD_ERROR_ARGUMENT,
                 "plateau goes by a validation loss");
    nf_target_free(target);
    nf_flow_free(flow);
    free(x);
}
END_TEST

Suite *fit_options_suite(void);

Suite *fit_options_suite(void)
{
    Suite *suite = suite_create("fit_options");
    TCase *tests = tcase_create("fit options");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, weights_repeat_rows);
    tcase_add_test(tests, weighted_batches_are_unbiased);
    tcase_add_test(tests, bijectors_see_weighted_rows);
    tcase_add_test(tests, options_of_rows_are_checked);
    tcase_add_test(tests, validates_on_rows_of_their_own);
    tcase_add_test(tests, time_is_over_at_once);
    tcase_add_test(tests, time_enough);
    tcase_add_test(tests, rates_follow_the_time);
    tcase_add_test(tests, matching_has_defaults_of_its_own);
    tcase_add_test(tests, rows_are_made_anew);
    tcase_add_test(tests, a_plateau_ends_training);
    suite_add_tcase(suite, tests);
    return suite;
}
