/* The epochs of a fit: steps, what comes after the last of them, and when to stop. */
#include "training/clock.h"
#include "training/fit.h"
#include "training/matching.h"
#include "training/stream.h"

#include <math.h>
#include <string.h>

/* What the step made of the parameters that it updates takes their place. */
static void apply_updates(nf__training *t)
{
    for (size_t i = 0; i < t->n_updated; i++)
        memcpy((char *)nf_flow_parameters(t->flow) + t->updated[i].offset, (char *)t->update + t->updated[i].offset,
               t->updated[i].bytes);
}

void nf__keep_best(nf__training *t, double nll)
{
    t->report->best_nll = nll;
    t->report->best_epoch = t->now.best_epoch = t->now.epoch;
    nf__loop_keep(&t->loop, nf_flow_parameters(t->flow));
}

static ad_status diverged(nf__training *t, size_t step, const char *how, ad_error *error)
{
    t->report->outcome = NF_DIVERGED;
    t->report->diverged_step = step;
    return ad_error_set(
        error, AD_ERROR_NUMERIC,
        "training diverged at step %zu (epoch %zu): %s; the best weights so far are kept; try a smaller "
        "learning rate (it was %g) or a smaller clip",
        step, t->now.epoch + 1, how, nf_optimizer_settings(t->loop.optimizer)->learning_rate);
}

static ad_status run_step(void *context, const ad_run *run, ad_error *error)
{
    return ad_plan_run(((nf__training *)context)->step_plan, run, error);
}

/* With what made the first NaN. */
static ad_status diverged_in(nf__training *t, const ad_run *run, double loss, ad_error *error)
{
    char how[800];
    nf__loop_explain(&t->loop, loss, run_step, t, run, how);
    return diverged(t, t->now.step + 1, how, error);
}

/* Far above where it began, clipped steps may wander on finite values for ever. */
static bool lost(double loss, double first)
{
    return !(loss < 1000 * (1 + fabs(first)));
}

/* A row far from all others that nobody has seen before, of those that are read when they are needed, is no sign of
 * weights that have gone astray: their batch was as unlikely under the best ones, and that is no longer unheard of. */
static ad_status expect_far_rows(nf__training *t, size_t batch, double loss, ad_error *error)
{
    if (!t->stream || !isfinite(loss) || !lost(loss, t->first_nll)) return AD_OK;
    void *weights = ad_alloc_aligned(nf__parameter_bytes(t->flow), 1);
    double best;
    if (!weights) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to look at a batch again");
    memcpy(weights, nf_flow_parameters(t->flow), nf__parameter_bytes(t->flow));
    nf__loop_restore(&t->loop);
    const ad_status status = nf__loss_of(t, NF__EPOCH, nf__batch_begin(&t->batches, batch),
                                         nf__batch_rows(&t->batches, batch), &best, error);
    memcpy(nf_flow_parameters(t->flow), weights, nf__parameter_bytes(t->flow));
    ad_free_aligned(weights);
    if (!status && isfinite(best)) t->first_nll = fmax(t->first_nll, fabs(best));
    return status;
}

/* A validation loss that was huge from the beginning, for one row, is as good as another to choose by. */
static bool may_be_best(const nf__training *t, double nll)
{
    if (t->n_val == 0) return !lost(nll, t->first_nll);
    return nll < t->report->best_nll && (!isfinite(t->first_val) || !lost(nll, fmax(t->first_val, t->first_nll)));
}

ad_status nf__take_statistics(nf__training *t, ad_error *error)
{
    enum { MOST_ROWS = 32768 }; /* known to within 1 % */
    if (!t->statistics_plan) return AD_OK;
    const size_t rows = t->n_train < MOST_ROWS ? t->n_train : MOST_ROWS;
    ad_run run = {.rows = rows, .pool = t->o.pool};
    nf__show(t, NF__TRAINING, 0, &run);
    ad_status status = ad_plan_run(t->statistics_plan, &run, error);
    if (status == AD_OK) apply_updates(t);
    return status;
}

/* The last step of an epoch, before its weights can be the best. Where no validation tells, the last batch does. */
static ad_status check_epoch(nf__training *t, ad_error *error)
{
    char how[64];
    double loss = NAN;
    const size_t last = t->batches.many + t->batches.others - 1;
    if (!ad_all_finite(nf_flow_dtype(t->flow), nf_flow_parameters(t->flow), nf_flow_trained_elements(t->flow)))
        return diverged(t, t->now.step, "its weights are not finite", error);
    if (t->n_val > 0) {
        if (isnan(t->now.val_nll)) return diverged(t, t->now.step, "the validation loss is NaN", error);
        return AD_OK;
    }
    ad_status status =
        nf__loss_of(t, NF__EPOCH, nf__batch_begin(&t->batches, last), nf__batch_rows(&t->batches, last), &loss, error);
    if (status == AD_OK) status = expect_far_rows(t, last, loss, error);
    if (status != AD_OK || !lost(loss, t->first_nll)) return status;
    snprintf(how, sizeof how, "loss %g after it", loss);
    return diverged(t, t->now.step, how, error);
}

enum { SHUFFLED_AT_ONCE = 2048 };

/* The order of the rows of this epoch, from part * SHUFFLED_AT_ONCE of this rank's share on. */
static void shuffle_part(void *context, size_t part, int worker)
{
    (void)worker;
    nf__training *t = context;
    const nf__share share = nf__share_of(t->o.pool, t->n_train);
    const size_t begin = share.first + part * SHUFFLED_AT_ONCE, end = begin + SHUFFLED_AT_ONCE;
    const ad_permutation shuffled = ad_permutation_of(t->o.seed, NF__SHUFFLE_STREAM + t->now.epoch, t->n_train);
    for (size_t i = begin; i < end && i < share.end; i++) t->order[i] = t->train[ad_permutation_image(&shuffled, i)];
}

/* Rows that are read as they are needed have no list. */
static ad_status shuffle(nf__training *t, ad_error *error)
{
    if (t->stream) return AD_OK;
    const nf__share share = nf__share_of(t->o.pool, t->n_train);
    ad_pool_run(t->o.pool, (share.end - share.first + SHUFFLED_AT_ONCE - 1) / SHUFFLED_AT_ONCE, shuffle_part, t);
    return nf__gather(t->o.pool, t->order, t->n_train, sizeof *t->order, error);
}

/* How much of the time is over, when the loop last asked, as a part of what it is to be with the end of the epoch and
 * of all. Where epochs are planned, and so steps have a part of their own that is over, the time counts from its tenth
 * on: a first step that takes longer than others is no sign that time is short, and where there is enough, no bit
 * depends on the clock. */
static double part_of_time(nf__training *t)
{
    if (t->seconds == 0) return 0;
    const double spent = t->loop.now - t->began + t->closing + t->reporting;
    t->time_over = spent >= t->until;
    const double free = t->o.epochs == SIZE_MAX ? 0 : 0.1;
    return fmax(0, fmin(1, (spent / t->seconds - free) / (1 - free)));
}

/* One pass over the training rows. *stop: the caller wants no more. */
static ad_status run_epoch(nf__training *t, bool *stop, ad_error *error)
{
    size_t steps = t->batches.many + t->batches.others;
    size_t planned = t->o.epochs > SIZE_MAX / steps ? SIZE_MAX : steps * t->o.epochs;
    nf__epoch *epoch = &t->epoch;
    double part;
    ad_status status = nf__agree(t->o.pool, NULL, &t->loop.now, error);
    part = part_of_time(t);
    if (!status) status = shuffle(t, error);
    for (size_t s = epoch->steps; s < steps && !status && !*stop && !(t->time_over && s > 0); s++) {
        const size_t rows = nf__batch_rows(&t->batches, s);
        ad_run run = {.rows = rows, .seed = t->o.seed, .step = t->now.step, .pool = t->o.pool};
        nf__show(t, NF__EPOCH, nf__batch_begin(&t->batches, s), &run);
        status = nf__pair(t, &run, error);
        if (status == AD_OK) status = ad_plan_run(t->step_plan, &run, error);
        if (status != AD_OK) return status;
        const double loss = ad_element(nf_flow_dtype(t->flow), &t->step_loss, 0);
        if (t->now.step == 0) t->first_nll = fmax(t->first_nll, fabs(loss));
        status = expect_far_rows(t, s, loss, error);
        if (status != AD_OK) return status;
        t->now.learning_rate = nf__loop_rate(&t->loop, t->now.step, planned, part, t->adapted.scale);
        status = lost(loss, t->first_nll) ? AD_ERROR_NUMERIC
                                          : nf__loop_step(&t->loop, t->average, nf__average_part(t), error);
        if (status == AD_ERROR_NUMERIC) return diverged_in(t, &run, loss, error);
        if (status != AD_OK) return status;
        apply_updates(t);
        t->now.step++;
        *epoch = (nf__epoch){s + 1, epoch->rows + rows, epoch->loss + loss * (double)rows};
        const double minimised = ad_element(nf_flow_dtype(t->flow), t->o.prior ? &t->minimised : &t->step_loss, 0);
        status = nf__loop_ask(&t->loop, t->now.step, minimised, stop, error);
        part = part_of_time(t);
        if (status == AD_OK) nf__loop_checkpoint(&t->loop, t->o.checkpoint, *stop);
    }
    t->now.rows += epoch->rows;
    t->now.train_nll = epoch->loss / (double)epoch->rows;
    *epoch = (nf__epoch){0};
    return status;
}

static ad_status validate(nf__training *t, ad_error *error)
{
    t->now.val_nll = NAN;
    return t->n_val > 0 ? nf__loss_of(t, NF__VALIDATION, 0, t->n_val, &t->now.val_nll, error) : AD_OK;
}

/* The history grows as epochs are done: those planned may never be. */
static ad_status make_room(nf__training *t, ad_error *error)
{
    if (t->now.epoch < t->history_room) return AD_OK;
    size_t room = 2 * t->history_room + 64;
    nf_progress *history = ad_realloc(t->report->history, room, sizeof *history);
    if (!history) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the history of %zu epochs", room);
    t->report->history = history;
    t->history_room = room;
    return AD_OK;
}

/* With the weights that are judged and kept: where averages are wanted, those. */
static ad_status end_epoch(nf__training *t, ad_error *error)
{
    ad_status status = nf__take_statistics(t, error);
    if (status == AD_OK) status = validate(t, error);
    if (status == AD_OK) status = check_epoch(t, error);
    if (status == AD_OK && t->stream) status = nf__stream_check(t->stream, error);
    if (status != AD_OK) return status;
    t->now.epoch++;
    t->now.seconds = nf__clock() - t->loop.started;
    double nll = t->n_val ? t->now.val_nll : t->now.train_nll;
    /* A mean over the epoch, of weights that were moving, doesn't tell which were best at an epoch's end: the last are.
     */
    if (may_be_best(t, nll)) nf__keep_best(t, nll);
    t->report->history[t->now.epoch - 1] = t->now;
    return AD_OK;
}

/* False: the schedule is at its end. */
static bool adapt_rate(nf__training *t)
{
    const nf_schedule *schedule = &t->loop.schedule;
    nf__adapted *a = &t->adapted;
    if (!schedule->type->adapt) return true;
    const double nll = t->n_val ? t->now.val_nll : t->now.train_nll, before = a->scale;
    if (nll < a->best) {
        a->best = nll;
        a->since = t->now.epoch;
    }
    a->scale = schedule->type->adapt(schedule->type, schedule->argument, t->now.epoch - a->since, before);
    if (a->scale != before) a->since = t->now.epoch;
    return a->scale > 0;
}

static bool out_of_patience(const nf__training *t)
{
    return t->o.patience > 0 && t->now.epoch - t->report->best_epoch >= (size_t)t->o.patience;
}

/* An epoch's end, and how long it took. */
static ad_status close_epoch(nf__training *t, bool *stop, ad_error *error)
{
    const double closes = t->loop.now;
    ad_status status = end_epoch(t, error);
    if (status != AD_OK) return status;
    status = nf__agree(t->o.pool, NULL, &t->loop.now, error);
    t->closing = fmax(t->closing, t->loop.now - closes);
    part_of_time(t);
    if (status != AD_OK) return status;
    *stop = t->o.progress && !t->o.progress(t->o.context, &t->now);
    return nf__agree(t->o.pool, stop, NULL, error);
}

ad_status nf__train_until(nf__training *t, size_t epochs, bool *stop, ad_error *error)
{
    nf_outcome *outcome = &t->report->outcome;
    while (t->now.epoch < epochs && !*stop && !t->time_over) {
        ad_status status = make_room(t, error);
        if (status == AD_OK) status = nf__redraw(t, error);
        if (status == AD_OK) status = run_epoch(t, stop, error);
        if (*stop) *outcome = NF_STOPPED_BY_CALLER;
        if (*stop || status != AD_OK) return status;
        if (t->average) nf__exchange_average(t);
        status = close_epoch(t, stop, error);
        if (*stop) {
            *outcome = NF_STOPPED_BY_CALLER;
        } else if (status == AD_OK && epochs == t->o.epochs && (out_of_patience(t) || !adapt_rate(t))) {
            *outcome = NF_STOPPED_EARLY;
            *stop = true;
        }
        if (t->average) nf__exchange_average(t);
        if (status != AD_OK) return status;
    }
    return AD_OK;
}
