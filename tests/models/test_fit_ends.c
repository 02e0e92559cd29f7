/* How a fit ends, and several starts. */
#include "models/training_tools.h"

/* ---- How a fit ends -------------------------------------------------------------------------------------------- */

/* What a fit showed while it ran: the weights when they were the best, and the last. */
typedef struct {
    nf_flow *flow;
    void *best, *last;
    size_t epochs, polls, stop_after_epochs, stop_after_polls;
} witness;

static bool see_epoch(void *context, const nf_progress *progress)
{
    witness *w = context;
    ck_assert_uint_eq(progress->epoch, ++w->epochs);
    ck_assert_double_ge(progress->seconds, 0);
    if (progress->best_epoch == progress->epoch) memcpy(w->best, nf_flow_parameters(w->flow), parameter_bytes(w->flow));
    return w->epochs != w->stop_after_epochs;
}

static bool see_step(void *context)
{
    witness *w = context;
    memcpy(w->last, nf_flow_parameters(w->flow), parameter_bytes(w->flow));
    return ++w->polls == w->stop_after_polls;
}

/* So much freedom and so few rows that the validation loss soon rises. */
static nf_fit_report overfit(witness *w, nf_fit_options o)
{
    enum { N_HERE = 60 };
    w->flow = new_flow("(maf(32,32)-flip)*2", 2, AD_F32);
    w->best = malloc(parameter_bytes(w->flow));
    w->last = malloc(parameter_bytes(w->flow));
    o.optimizer.name = "adam";
    o.epochs = 200;
    o.batch = 10;
    o.optimizer.learning_rate = 0.01;
    o.val_fraction = 0.5;
    o.progress = see_epoch;
    o.interrupted = see_step;
    o.context = w;
    double *x = normals(2 * N_HERE, 1, 7);
    nf_fit_report report;
    ASSERT_OK(nf_fit(w->flow, x, N_HERE, &o, &report, &error));
    free(x);
    /* the history tells which epoch was the best */
    ck_assert_uint_eq(report.last.epoch, w->epochs);
    size_t best = 0;
    for (size_t e = 0; e < report.last.epoch; e++) {
        const nf_progress *now = &report.history[e];
        ck_assert_uint_eq(now->epoch, e + 1);
        ck_assert_uint_eq(now->epochs, 200);
        ck_assert_uint_eq(now->step, 3 * (e + 1));
        ck_assert_uint_eq(now->rows, 30 * (e + 1));
        if (now->val_nll < report.history[best].val_nll) best = e;
        ck_assert_uint_eq(now->best_epoch, best + 1);
    }
    if (report.last.epoch > 0) {
        ck_assert_uint_eq(report.best_epoch, best + 1);
        ck_assert_double_eq(report.best_nll, report.history[best].val_nll);
    }
    ad_free(report.history);
    return report;
}

static void assert_kept(witness *w, const void *weights)
{
    ck_assert_mem_eq(nf_flow_parameters(w->flow), weights, parameter_bytes(w->flow));
    /* and the bijectors' own copies follow */
    double first = *nf_parameter_value(nf_flow_bijector(w->flow)->child[0], "weight0");
    ck_assert_double_eq(first, *(const float *)weights);
    nf_flow_free(w->flow);
    free(w->best);
    free(w->last);
}

START_TEST(patience_runs_out)
{
    witness w = {0};
    nf_fit_report report = overfit(&w, (nf_fit_options){.patience = 4});
    ck_assert_int_eq(report.outcome, NF_STOPPED_EARLY);
    ck_assert_uint_eq(report.last.epoch, report.best_epoch + 4);
    ck_assert_uint_lt(report.last.epoch, 200);
    assert_kept(&w, w.best);
}
END_TEST

START_TEST(best_weights_are_kept)
{
    witness w = {0};
    nf_fit_report report = overfit(&w, (nf_fit_options){0});
    ck_assert_int_eq(report.outcome, NF_FINISHED);
    ck_assert_uint_eq(report.last.epoch, 200);
    ck_assert_uint_lt(report.best_epoch, 200);
    ck_assert_uint_eq(w.polls, 600);
    assert_kept(&w, w.best);
}
END_TEST

/* Of as many epochs as there can be: nothing is made for them in advance. */
START_TEST(epochs_without_end)
{
    double *x = normals(2 * ROWS, 1, 7);
    for (size_t starts = 1; starts <= 2; starts++)
        for (int e = 0; e < 2; e++) {
            witness w = {.flow = new_flow("scale-loc", 2, AD_F32), .stop_after_epochs = 100};
            w.best = malloc(parameter_bytes(w.flow));
            nf_fit_options o = {
                .epochs = e ? SIZE_MAX : 1000000000, .starts = starts, .progress = see_epoch, .context = &w};
            nf_fit_report report;
            ASSERT_OK(nf_fit(w.flow, x, ROWS, &o, &report, &error));
            ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
            ck_assert_uint_eq(report.last.epoch, 100);
            ck_assert_uint_eq(report.history[99].epoch, 100);
            ad_free(report.history);
            nf_flow_free(w.flow);
            free(w.best);
        }
    free(x);
}
END_TEST

START_TEST(stopped_after_an_epoch)
{
    witness w = {.stop_after_epochs = 3};
    nf_fit_report report = overfit(&w, (nf_fit_options){0});
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert_uint_eq(report.last.epoch, 3);
    assert_kept(&w, w.best);
}
END_TEST

START_TEST(interrupted_between_steps)
{
    witness w = {.stop_after_polls = 3 * 100 + 2}; /* in the epoch after the 100th */
    nf_fit_report report = overfit(&w, (nf_fit_options){0});
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert_uint_eq(report.last.epoch, 100);
    ck_assert_uint_eq(report.last.step, 302);
    assert_kept(&w, w.best);
}
END_TEST

START_TEST(interrupted_in_the_first_epoch)
{
    witness w = {.stop_after_polls = 2};
    nf_fit_report report = overfit(&w, (nf_fit_options){0});
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert_uint_eq(report.last.epoch, 0);
    ck_assert_uint_eq(report.best_epoch, 0);
    ck_assert_uint_eq(report.last.step, 2);
    assert_kept(&w, w.last);
}
END_TEST

/* ---- Several starts ---------------------------------------------------------------------------------------------- */

enum { STARTS = 3, EPOCHS = 20, TRIED = 2, SEEN = STARTS * TRIED + EPOCHS - TRIED };

typedef struct {
    nf_progress seen[SEEN];
    size_t count;
    double ema;
} diary;

static bool write_down(void *context, const nf_progress *progress)
{
    diary *d = context;
    ck_assert_uint_lt(d->count, SEEN);
    d->seen[d->count++] = *progress;
    return true;
}

static nf_flow *trained_from(size_t starts, uint64_t weights, uint64_t seed, diary *d)
{
    enum { N_HERE = 300 };
    nf_flow *flow = new_flow("(maf(8)-flip)*2-standardize", 2, AD_F32);
    nf_initialize(nf_flow_bijector(flow), weights);
    nf_flow_push(flow);
    double *x = malloc(2 * N_HERE * sizeof *x);
    nf_moons(N_HERE, 0.1, 1, x, NULL);
    nf_fit_options o = {
        .epochs = EPOCHS, .starts = starts, .ema = d->ema, .seed = seed, .progress = write_down, .context = d};
    nf_fit_report report;
    ASSERT_OK(nf_fit(flow, x, N_HERE, &o, &report, &error));
    ck_assert_uint_eq(report.last.epoch, EPOCHS);
    ck_assert_uint_eq(report.last.step, EPOCHS * ((report.train_rows + 127) / 128));
    ck_assert_uint_eq(report.last.rows, d->count * report.train_rows);
    for (size_t e = TRIED; e < EPOCHS; e++)
        ck_assert_double_eq(report.history[e].val_nll, d->seen[d->count - EPOCHS + e].val_nll);
    ad_free(report.history);
    free(x);
    return flow;
}

/* The best after a tenth of the epochs is trained on, as if it had been the only one. */
START_TEST(the_best_start_wins)
{
    size_t won[STARTS] = {0};
    for (uint64_t seed = 100; seed < 106; seed++) {
        diary several = {.ema = _i ? 0.95 : 0}, alone = several;
        nf_flow *flow = trained_from(STARTS, 1, seed, &several);
        ck_assert_uint_eq(several.count, SEEN);
        size_t best = 0;
        for (size_t i = 0; i < SEEN; i++) {
            const nf_progress *now = &several.seen[i];
            size_t start = i < STARTS * TRIED ? i / TRIED : best;
            ck_assert_uint_eq(now->start, start + 1);
            ck_assert_uint_eq(now->starts, STARTS);
            ck_assert_uint_eq(now->start_epochs, TRIED);
            ck_assert_uint_eq(now->epoch, i < STARTS * TRIED ? i % TRIED + 1 : i - STARTS * TRIED + TRIED + 1);
            bool last_of_start = i < STARTS * TRIED && i % TRIED == TRIED - 1;
            if (last_of_start && now->val_nll < several.seen[best * TRIED + TRIED - 1].val_nll) best = start;
        }
        nf_flow *other = trained_from(1, best == 0 ? 1 : seed + best, seed, &alone);
        ck_assert_uint_eq(alone.count, EPOCHS);
        for (size_t e = 0; e < TRIED; e++)
            ck_assert_double_eq(alone.seen[e].val_nll, several.seen[best * TRIED + e].val_nll);
        ck_assert_mem_eq(nf_flow_parameters(flow), nf_flow_parameters(other), parameter_bytes(flow));
        won[best]++;
        nf_flow_free(flow);
        nf_flow_free(other);
    }
    ck_assert(won[0] < 6 && won[STARTS - 1] < 6); /* no place wins always */
}
END_TEST

Suite *fit_ends_suite(void);

Suite *fit_ends_suite(void)
{
    Suite *suite = suite_create("fit_ends");
    TCase *tests = tcase_create("fit ends");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, patience_runs_out);
    tcase_add_test(tests, best_weights_are_kept);
    tcase_add_test(tests, epochs_without_end);
    tcase_add_test(tests, stopped_after_an_epoch);
    tcase_add_test(tests, interrupted_between_steps);
    tcase_add_test(tests, interrupted_in_the_first_epoch);
    tcase_add_loop_test(tests, the_best_start_wins, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
