/* Automatic fits and evaluations on several ranks. */
#include "models/rank_tools.h"

enum { DIM = 2 };

typedef struct {
    size_t rows, held; /* which of its own to validate with; 0: folds */
    nf_automatic_options o;
    size_t interrupted; /* on the last rank: when it is asked so often; 0: never */
} automatic_case;

static ad_status fit(const void *what, ad_pool *pool, int rank, int ranks, outcome *o)
{
    const automatic_case *c = what;
    stopper stop = {rank == ranks - 1, c->interrupted, 0};
    nf_automatic_options options = c->o;
    nf_automatic_report report = {0};
    double *x = calloc(c->rows, DIM * sizeof *x);
    for (size_t i = 0; i < c->rows * DIM; i++) x[i] = ad_random_normal(1, 0, i) + (double)(i / DIM % 3 == 0) * 4;
    options.pool = pool;
    options.seed = 2;
    options.val_rows = c->held;
    options.val_x = c->held ? x + (c->rows - c->held) * DIM : NULL;
    options.interrupted = c->interrupted ? stops_now : NULL;
    options.context = &stop;
    nf_flow *flow = nf_fit_automatic(x, c->rows - c->held, DIM, 0, &options, &report, &o->error);
    const ad_status status = flow ? AD_OK : o->error.status;
    NOTE(o, report.nll);
    NOTE(o, report.best_flow);
    NOTE(o, report.best_mixture);
    NOTE(o, report.stopped);
    NOTE(o, report.out_of_time);
    NOTE(o, report.scores.worst);
    for (size_t k = 0; k < report.n_candidate; k++) {
        const nf_candidate *one = &report.candidate[k];
        note(o, one->formula, strlen(one->formula));
        NOTE(o, one->nll);
        NOTE(o, one->weight);
        NOTE(o, one->failed);
    }
    if (flow) note_flow(o, flow);
    nf_flow_free(flow);
    nf_automatic_report_free(&report);
    free(x);
    return status;
}

/* Without an end of its time, one with a flow of its own, one that a clock ends, and those that a rank stops: before a
 * flow is trained, and while it is. */
static const automatic_case cases[] = {
    {50, 0, {.seconds = 1e6}, 0},    {300, 50, {.seconds = 1e6, .formula = "affine-loc"}, 40},
    {700, 100, {.seconds = 0.4}, 0}, {700, 100, {.seconds = 0.3, .tune = true}, 0},
    {250, 0, {.seconds = 1e6}, 2},   {160, 50, {.seconds = 1e6}, 15},
};

START_TEST(automatic_fits_agree)
{
    assert_ranks_succeed(fit, &cases[_i], _i == 2 || _i == 3);
}
END_TEST

START_TEST(they_fail_alike)
{
    const automatic_case c = {300, 50, {.seconds = 1e6, .formula = "affine-loc"}, 1};
    outcome alone = assert_ranks_agree(fit, &c, false);
    ck_assert_int_eq(alone.status, AD_ERROR_INTERRUPTED);
    free(alone.bytes);
}
END_TEST

/* ---- Evaluations ------------------------------------------------------------------------------------------------- */

static ad_status evaluate(const void *what, ad_pool *pool, int rank, int ranks, outcome *o)
{
    (void)rank;
    (void)ranks;
    const size_t rows = *(const size_t *)what;
    double *x = calloc(rows, (DIM + 2) * sizeof *x), *log_prob = x + rows * DIM, *context = log_prob + rows, nll, off;
    nf_flow *flow = nf_flow_parse("student:(rqs(8)-flip)*2-standardize", DIM, 1, AD_F32, 3, &o->error);
    for (size_t r = 0; r < rows; r++) context[r] = ad_random_uniform(3, 0, r);
    ad_status status = nf_sample(flow, context, rows, 9, x, log_prob, pool, &o->error);
    note(o, x, rows * DIM * sizeof *x);
    note(o, log_prob, rows * sizeof *log_prob);
    if (!status) status = nf_log_prob(flow, x, context, rows, log_prob, pool, &o->error);
    note(o, log_prob, rows * sizeof *log_prob);
    if (!status && rows) status = nf_nll(flow, x, context, rows, &nll, &off, pool, &o->error);
    if (!status && rows) {
        NOTE(o, nll);
        NOTE(o, off);
    }
    if (!status) status = nf_transform(flow, true, x, context, rows, x, log_prob, pool, &o->error);
    note(o, x, rows * DIM * sizeof *x);
    note(o, log_prob, rows * sizeof *log_prob);
    nf_flow_free(flow);
    free(x);
    return status;
}

START_TEST(evaluations_have_the_same_bits)
{
    static const size_t rows[] = {0, 1, 3, 100, 5000, 70000};
    for (size_t i = 0; i < COUNT(rows); i++) {
        outcome alone = assert_ranks_agree(evaluate, &rows[i], false);
        ck_assert_msg(alone.status == AD_OK, "%s", alone.error.message);
        free(alone.bytes);
    }
}
END_TEST

Suite *ranks_automatic_suite(void)
{
    Suite *suite = suite_create("ranks_automatic");
    TCase *tcase = tcase_create("ranks_automatic");
    tcase_add_loop_test(tcase, automatic_fits_agree, 0, COUNT(cases));
    tcase_add_test(tcase, they_fail_alike);
    tcase_add_test(tcase, evaluations_have_the_same_bits);
    suite_add_tcase(suite, tcase);
    return suite;
}
