/* Fitting without settings: what its options mean, what is refused, and that the same seed gives the same bits. */
#include "models/training_tools.h"

enum { DIM = 2, FEW = 40, SOME = 130, POINTS = 30 };

/* A fit, and what it makes of points at random. */
typedef struct {
    nf_automatic_report report;
    double log_prob[POINTS];
} outcome;

static outcome fit(const double *x, size_t rows, size_t context, const nf_automatic_options *options)
{
    outcome o;
    double *points = normals(POINTS * DIM, 2, 77), given[POINTS] = {0};
    nf_flow *flow = nf_fit_automatic(x, rows, DIM, context, options, &o.report, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    ASSERT_OK(nf_log_prob(flow, points, context ? given : NULL, POINTS, o.log_prob, NULL, &error));
    nf_flow_free(flow);
    free(points);
    return o;
}

static void assert_same(outcome *a, outcome *b)
{
    ck_assert_mem_eq(a->log_prob, b->log_prob, sizeof a->log_prob);
    ck_assert_uint_eq(a->report.n_candidate, b->report.n_candidate);
    ck_assert_mem_eq(&a->report.nll, &b->report.nll, sizeof a->report.nll);
    for (size_t k = 0; k < a->report.n_candidate; k++) {
        ck_assert_str_eq(a->report.candidate[k].formula, b->report.candidate[k].formula);
        ck_assert_double_eq(a->report.candidate[k].weight, b->report.candidate[k].weight);
        ck_assert_mem_eq(&a->report.candidate[k].nll, &b->report.candidate[k].nll, sizeof(double));
    }
    nf_automatic_report_free(&a->report);
    nf_automatic_report_free(&b->report);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------ */

/* Among them rows that don't count, of numbers that would be seen. */
START_TEST(rows_of_weight_0_change_nothing)
{
    enum { BOTH = SOME + 20 };
    double *x = normals(SOME * DIM, 1, 1), with[BOTH][DIM], weight[SOME], all[BOTH], shift[SOME], shifts[BOTH];
    for (size_t r = 0, n = 0; r < BOTH; r++) {
        bool counts = r % 7 != 3 || n + BOTH - r == SOME;
        memcpy(with[r], counts ? x + n * DIM : (const double[]){500, -900}, sizeof with[r]);
        all[r] = counts ? 1 + (double)(n % 3) : 0;
        shifts[r] = counts ? .01 * (double)n : 1e6;
        if (!counts) continue;
        weight[n] = all[r];
        shift[n++] = shifts[r];
    }
    outcome a =
        fit(x, SOME, 0,
            &(nf_automatic_options){.row_weights = weight, .row_log_weights = shift, .seed = 2, .seconds = 1e6});
    outcome b = fit(with[0], BOTH, 0,
                    &(nf_automatic_options){.row_weights = all, .row_log_weights = shifts, .seed = 2, .seconds = 1e6});
    ck_assert_uint_eq(b.report.held, SOME);
    ck_assert_uint_ne(b.report.best_flow, 0);
    assert_same(&a, &b);
    /* Held-out rows of their own, too. */
    const double val[][DIM] = {{0, 1}, {1, 0}, {-1, 1}}, two[][DIM] = {{0, 1}, {-1, 1}};
    a = fit(x, FEW, 0, &(nf_automatic_options){.val_x = val[0], .val_rows = 3, .val_weights = (double[]){2, 0, 1}});
    b = fit(x, FEW, 0, &(nf_automatic_options){.val_x = two[0], .val_rows = 2, .val_weights = (double[]){2, 1}});
    ck_assert_uint_eq(a.report.held, 2);
    assert_same(&a, &b);
    free(x);
}
END_TEST

/* Half of the rows, far off, weigh next to nothing: the density is that of the other half. */
START_TEST(weights_reach_every_candidate)
{
    double *x = normals(2 * FEW * DIM, 1, 4), weight[2 * FEW];
    for (size_t r = 0; r < 2 * FEW; r++) {
        weight[r] = r % 2 ? 1e-5 : 3;
        x[r * DIM] += r % 2 ? 12 : 0;
    }
    outcome o = fit(x, 2 * FEW, 0, &(nf_automatic_options){.row_weights = weight, .dtype = AD_F64});
    const double entropy = log(2 * acos(-1)) + 1;
    ck_assert_double_lt(fabs(o.report.nll - entropy), 4 * o.report.standard_error);
    ck_assert_double_lt(fabs(o.report.candidate[0].nll - entropy), 4 * o.report.candidate[0].standard_error);
    nf_automatic_report_free(&o.report);
    free(x);
}
END_TEST

/* What is added to rows' log p is told, and changes no weight. */
START_TEST(log_weights_shift_scores)
{
    double *x = normals(FEW * DIM, 1, 5), shift[FEW], mean = 0;
    for (size_t r = 0; r < FEW; r++) mean += (shift[r] = 3 + (double)(r % 5)) / FEW;
    outcome a = fit(x, FEW, 0, &(nf_automatic_options){.seed = 1});
    outcome b = fit(x, FEW, 0, &(nf_automatic_options){.seed = 1, .row_log_weights = shift});
    ck_assert_double_eq_tol(b.report.nll, a.report.nll - mean, 1e-6);
    for (size_t k = 0; k < a.report.n_candidate; k++) {
        ck_assert_double_eq_tol(b.report.candidate[k].nll, a.report.candidate[k].nll - mean, 1e-9);
        ck_assert_double_eq_tol(b.report.candidate[k].weight, a.report.candidate[k].weight, 1e-4);
    }
    nf_automatic_report_free(&a.report);
    nf_automatic_report_free(&b.report);
    free(x);
}
END_TEST

/* The score is that of the rows to validate with, which the model has not seen: its own nf_nll() of them. */
START_TEST(own_held_out_rows)
{
    enum { HELD = 50 };
    double *x = normals(FEW * DIM, 1, 5), *val = normals(HELD * DIM, 1, 6), nll, deviation;
    nf_automatic_report report;
    const nf_automatic_options options = {.val_x = val, .val_rows = HELD, .dtype = AD_F64};
    val[17 * DIM] = 400;
    nf_flow *flow = nf_fit_automatic(x, FEW, DIM, 0, &options, &report, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    ASSERT_OK(nf_nll(flow, val, NULL, HELD, &nll, &deviation, NULL, &error));
    ck_assert_double_eq_tol(report.nll, nll, 1e-9 * fabs(nll));
    ck_assert_double_eq_tol(report.standard_error, deviation, 1e-6 * deviation);
    ck_assert_uint_eq(report.held, HELD);
    ck_assert_uint_eq(report.folds, 1);
    ck_assert_uint_eq(report.scores.far, 1);
    ck_assert_uint_eq(report.scores.worst_row, 18);
    ck_assert_double_eq(report.scores.mean, -report.nll);
    ck_assert_double_eq(report.scores.standard_error, report.standard_error);
    nf_flow_free(flow);
    nf_automatic_report_free(&report);
    free(val);
    free(x);
}
END_TEST

/* x_2 follows the context, which flows see and a normal doesn't. */
START_TEST(conditional)
{
    double *x = normals(3 * SOME * DIM, 1, 8), given[3 * SOME];
    for (size_t r = 0; r < 3 * SOME; r++) {
        given[r] = 2 * ad_random_normal(8, 1, r);
        x[r * DIM + 1] = 3 * given[r] + .3 * x[r * DIM + 1];
    }
    outcome o = fit(x, 3 * SOME, 1, &(nf_automatic_options){.row_context = given, .seconds = 1e6});
    const double entropy = log(2 * acos(-1)) + 1 + log(.3);
    ck_assert_uint_ne(o.report.best_flow, 0);
    ck_assert_double_lt(o.report.nll, o.report.candidate[0].nll - 1.5);
    ck_assert_double_lt(o.report.nll, entropy + 1);
    nf_automatic_report_free(&o.report);
    free(x);
}
END_TEST

/* ---- Bits ------------------------------------------------------------------------------------------------------ */

START_TEST(same_bits)
{
    double *x = normals(SOME * DIM, 1, 9);
    for (size_t r = 0; r < SOME; r++) x[r * DIM + 1] += x[r * DIM] * x[r * DIM];
    ad_pool *pool = ad_pool_new(2, &error);
    ck_assert_ptr_nonnull(pool);
    nf_automatic_options options = {.seed = 4, .seconds = 1e6};
    outcome first = fit(x, SOME, 0, &options);
    options.pool = pool;
    outcome again = fit(x, SOME, 0, &options);
    ck_assert_uint_ne(first.report.best_flow, 0);
    ck_assert(!first.report.stopped && !first.report.out_of_time);
    assert_same(&first, &again);
    options.seed = 5;
    first = fit(x, SOME, 0, &options);
    ck_assert_mem_ne(first.log_prob, again.log_prob, sizeof first.log_prob);
    nf_automatic_report_free(&first.report);
    ad_pool_free(pool);
    free(x);
}
END_TEST

/* ---- Ends ------------------------------------------------------------------------------------------------------ */

typedef struct {
    size_t polls, most, told;
    double fraction;
} watched;

static bool enough(void *context)
{
    watched *w = context;
    return w->polls++ >= w->most;
}

static void watch(void *context, const nf_automatic_progress *now)
{
    watched *w = context;
    ck_assert_uint_ge(now->candidate, 1);
    ck_assert_uint_le(now->candidate, now->candidates);
    ck_assert_ptr_nonnull(now->formula);
    ck_assert(now->fraction >= 0 && now->fraction <= 1);
    w->told++;
}

/* Wherever it is stopped there is a density, of what was done. */
START_TEST(interrupted)
{
    static const size_t polls[] = {0, 1, 3, 8, 40, 100};
    double *x = normals(SOME * DIM, 1, 9);
    for (size_t i = 0; i < COUNT(polls); i++) {
        watched w = {.most = polls[i]};
        const nf_automatic_options options = {
            .seed = 4, .dtype = AD_F64, .interrupted = enough, .progress = watch, .context = &w};
        outcome o = fit(x, SOME, 0, &options);
        ck_assert(o.report.stopped);
        ck_assert(isfinite(o.report.nll));
        for (size_t r = 0; r < POINTS; r++) ck_assert(isfinite(o.log_prob[r]));
        if (polls[i] == 100) ck_assert_uint_gt(w.told, 0);
        nf_automatic_report_free(&o.report);
    }
    free(x);
}
END_TEST

/* There is a density in no time at all. */
START_TEST(little_time)
{
    double *x = normals(20 * SOME * DIM, 1, 9);
    outcome o = fit(x, 20 * SOME, 0, &(nf_automatic_options){.seconds = 1e-9});
    ck_assert(isfinite(o.report.nll));
    ck_assert(o.report.out_of_time);
    ck_assert(!o.report.stopped);
    nf_automatic_report_free(&o.report);
    o = fit(x, 20 * SOME, 0, &(nf_automatic_options){.seconds = .01});
    ck_assert(isfinite(o.report.nll));
    nf_automatic_report_free(&o.report);
    free(x);
}
END_TEST

/* ---- Refused --------------------------------------------------------------------------------------------------- */

static void assert_refused(const double *x, size_t rows, size_t dim, size_t context, const nf_automatic_options *o,
                           const char *part)
{
    nf_automatic_report report;
    ck_assert_ptr_null(nf_fit_automatic(x, rows, dim, context, o, &report, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, part);
    ck_assert(isnan(report.nll));
    nf_automatic_report_free(&report);
    ck_assert_ptr_null(nf_fit_automatic(x, rows, dim, context, o, NULL, NULL));
}

START_TEST(refusals)
{
    double x[] = {1, 2, 3, 4, 5, 6.5}, bad[] = {1, 2, 3, NAN, 5, 6}, endless[] = {1, INFINITY, 3, 3, 5, 6};
    double negative[] = {1, -1, 1}, none[] = {0, 0, 0}, one[] = {0, 1, 0}, unknown[] = {1, NAN, 1};
    const nf_automatic_options all = {0};
    assert_refused(bad, 3, 2, 0, &all, "row 2, column 2 is not finite");
    assert_refused(endless, 3, 2, 0, &all, "row 1, column 2 is not finite");
    assert_refused(x, 1, 2, 0, &all, "expected from 2");
    assert_refused(x, 0, 2, 0, NULL, "expected from 2");
    assert_refused(NULL, 3, 2, 0, &all, "expected from 2");
    assert_refused(x, 3, 0, 0, &all, "1 feature or more");
    assert_refused(x, 3, 2, 1, &all, "expected a context of 1");
    assert_refused(x, 3, 2, 1, &(nf_automatic_options){.row_context = unknown}, "context of row 2");
    assert_refused(x, 3, 2, 1, &(nf_automatic_options){.row_context = x, .val_x = x, .val_rows = 3}, "held-out rows");
    assert_refused(x, 3, 2, 0, &(nf_automatic_options){.row_weights = negative}, "row_weights: expected 0 or more");
    assert_refused(x, 3, 2, 0, &(nf_automatic_options){.row_weights = unknown}, "row_weights: expected 0 or more");
    assert_refused(x, 3, 2, 0, &(nf_automatic_options){.row_weights = none}, "positive sum");
    assert_refused(x, 3, 2, 0, &(nf_automatic_options){.row_weights = one}, "2 rows or more whose weight isn't 0");
    assert_refused(x, 3, 2, 0, &(nf_automatic_options){.val_x = bad, .val_rows = 3}, "held-out row 2, column 2");
    assert_refused(x, 3, 2, 0, &(nf_automatic_options){.val_x = x}, "val_x and val_rows");
    assert_refused(x, 3, 2, 0, &(nf_automatic_options){.val_rows = 3}, "val_x and val_rows");
    assert_refused(x, 3, 2, 0, &(nf_automatic_options){.val_x = x, .val_rows = 3, .val_weights = none}, "val_weights");
    nf_automatic_report_free(NULL);
    nf_flow *flow = nf_fit_automatic(x, 3, 2, 0, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(flow);
    nf_flow_free(flow);
}
END_TEST

/* Each of the first allocations that fails, and ever fewer of the others. */
START_TEST(memory_runs_out)
{
    double *x = normals(SOME * DIM, 1, 3);
    const size_t rows = _i ? SOME : 12;
    bool denied = true;
    for (size_t allowed = 0; denied; allowed += 1 + allowed / (_i ? 6 : 40)) {
        watched w = {.most = 30};
        const nf_automatic_options options = {.interrupted = _i ? enough : NULL, .context = &w};
        nf_automatic_report report;
        memory_limit(allowed);
        nf_flow *flow = nf_fit_automatic(x, rows, DIM, 0, &options, &report, &error);
        denied = memory.denied;
        ck_assert_msg(denied ? !flow && error.status == AD_ERROR_MEMORY : flow != NULL, "after %zu: %d: %s", allowed,
                      (int)error.status, error.message);
        nf_flow_free(flow);
        nf_automatic_report_free(&report);
    }
    memory_unlimited();
    free(x);
}
END_TEST

Suite *automatic_options_suite(void);

Suite *automatic_options_suite(void)
{
    Suite *suite = suite_create("automatic_options");
    TCase *tests = tcase_create("automatic options");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, rows_of_weight_0_change_nothing);
    tcase_add_test(tests, weights_reach_every_candidate);
    tcase_add_test(tests, log_weights_shift_scores);
    tcase_add_test(tests, own_held_out_rows);
    tcase_add_test(tests, conditional);
    tcase_add_test(tests, same_bits);
    tcase_add_test(tests, interrupted);
    tcase_add_test(tests, little_time);
    tcase_add_test(tests, refusals);
    tcase_add_loop_test(tests, memory_runs_out, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
