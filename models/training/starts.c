/* Several starts: the likelihood of a flow has many local optima, and which one training ends in is decided early. So
 * train from several initial weights for a tenth of the epochs, and go on with the best. Where the time is limited,
 * each is tried as if the others took their share of it, and what goes on has what is left. */
#include "training/fit.h"

#include <math.h>
#include <string.h>

/* All that training goes on from. */
typedef struct {
    void *parameters, *moments, *best, *average;
    nf_progress now, *history;
    double spent;
    size_t history_room;
    double best_nll;
    size_t best_epoch;
} snapshot;

static bool open_snapshot(const nf__training *t, snapshot *s)
{
    size_t bytes = nf__parameter_bytes(t->flow);
    *s = (snapshot){.parameters = ad_alloc(bytes, 1),
                    .moments = ad_alloc(nf_optimizer_state_size(t->loop.optimizer), 1),
                    .best = ad_alloc(bytes, 1),
                    .average = ad_alloc(t->average ? nf__trained_bytes(t->flow) : 0, 1)};
    return s->parameters && s->moments && s->best && s->average;
}

static void close_snapshot(snapshot *s)
{
    ad_free(s->history);
    ad_free(s->average);
    ad_free(s->best);
    ad_free(s->moments);
    ad_free(s->parameters);
}

/* Copy between the training and the snapshot, either way. */
static void copy(nf__training *t, snapshot *s, bool back)
{
    const struct {
        void *training, *kept;
        size_t bytes;
    } part[] = {
        {nf_flow_parameters(t->flow), s->parameters, nf__parameter_bytes(t->flow)},
        {t->loop.best, s->best, nf__parameter_bytes(t->flow)},
        {t->average, s->average, t->average ? nf__trained_bytes(t->flow) : 0},
        {&t->now, &s->now, sizeof s->now},
        {&t->report->best_nll, &s->best_nll, sizeof s->best_nll},
        {&t->report->best_epoch, &s->best_epoch, sizeof s->best_epoch},
    };
    const size_t rows = t->now.rows; /* all starts count */
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (part[i].bytes > 0)
            memcpy(back ? part[i].training : part[i].kept, back ? part[i].kept : part[i].training, part[i].bytes);
    if (back)
        nf_optimizer_restore(t->loop.optimizer, s->moments);
    else
        nf_optimizer_save(t->loop.optimizer, s->moments);
    t->now.rows = rows;
}

static void exchange_history(nf__training *t, snapshot *s)
{
    nf_progress *history = t->report->history;
    size_t room = t->history_room;
    t->report->history = s->history;
    t->history_room = s->history_room;
    s->history = history;
    s->history_room = room;
}

/* The time for one start; 0: no limit. */
static double slice(const nf__training *t)
{
    return t->o.seconds * fmin(0.1, 0.5 / (double)t->o.starts);
}

/* The first start is from the flow's own weights. */
static ad_status begin(nf__training *t, snapshot *initial, size_t start, ad_error *error)
{
    const double seconds = t->o.seconds, others = (double)(t->o.starts - 1) * slice(t);
    copy(t, initial, true);
    t->now.start = start + 1;
    ad_status status = nf__agree(t->o.pool, NULL, &t->began, error);
    if (start == 0) t->before = t->began - t->loop.opened;
    t->seconds = seconds > 0 ? fmax(seconds - t->before - others, slice(t)) : 0;
    t->until = slice(t);
    t->time_over = false;
    t->report->outcome = NF_FINISHED;
    if (start == 0 || status != AD_OK) return status;
    nf_initialize(nf_flow_bijector(t->flow), t->o.seed + start);
    nf_flow_push(t->flow);
    status = nf__fit_bijectors(t, error);
    if (t->average) memcpy(t->average, nf_flow_parameters(t->flow), nf__trained_bytes(t->flow));
    return status;
}

/* Of the averaged weights after the last epoch; without averages single epochs scatter, and the mean over their second
 * half has to do. */
static double score(const nf__training *t)
{
    double sum = 0;
    size_t first = t->average ? t->now.epoch - 1 : t->now.epoch / 2;
    for (size_t i = first; i < t->now.epoch; i++)
        sum += t->n_val ? t->report->history[i].val_nll : t->report->history[i].train_nll;
    return sum / (double)(t->now.epoch - first);
}

ad_status nf__choose_start(nf__training *t, bool *stop, ad_error *error)
{
    if (t->o.starts == 1) return AD_OK;
    const size_t epochs = t->now.start_epochs;
    snapshot initial, best;
    bool room = open_snapshot(t, &initial);
    room &= open_snapshot(t, &best);
    ad_status status = room ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for several starts");
    double best_score = INFINITY;
    if (room) copy(t, &initial, false);
    for (size_t start = 0; start < t->o.starts && !*stop && (status == AD_OK || status == AD_ERROR_NUMERIC); start++) {
        status = begin(t, &initial, start, error);
        if (status == AD_OK) status = nf__train_until(t, epochs, stop, error);
        bool complete = status == AD_OK && (t->now.epoch == epochs || t->time_over);
        if (!complete || !(score(t) < best_score)) continue;
        best_score = score(t);
        copy(t, &best, false);
        best.spent = t->loop.now - t->began;
        exchange_history(t, &best);
    }
    if (best_score < INFINITY) { /* a start that diverged doesn't matter then */
        copy(t, &best, true);
        exchange_history(t, &best);
        if (status == AD_ERROR_NUMERIC) status = AD_OK;
        if (!*stop) t->report->outcome = NF_FINISHED;
        t->began = t->loop.now - best.spent;
        if (t->o.seconds > 0) t->seconds = t->until = t->o.seconds - (t->began - t->loop.opened);
        t->time_over = false;
    }
    close_snapshot(&best);
    close_snapshot(&initial);
    return status;
}
