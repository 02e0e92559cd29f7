/* Several starts: the likelihood of a flow has many local optima, and which one training ends in is decided early. So
 * train from several initial weights for a tenth of the epochs, and go on with the best. Where the time is limited,
 * each is tried as if the others took their share of it, and what goes on has what is left. */
#include "training/fit.h"

#include <math.h>
#include <string.h>

/* The time for one start; 0: no limit. */
static double slice(const nf__training *t)
{
    return t->o.seconds * fmin(0.1, 0.5 / (double)t->o.starts);
}

/* All starts count for the rows that were seen. */
static ad_status put_back(nf__training *t, nf__state *state, ad_error *error)
{
    const size_t rows = t->now.rows;
    ad_status status = nf__state_restore(state, nf__list_training, t, error);
    t->now.rows = rows;
    return status;
}

/* The first start is from the flow's own weights. */
static ad_status begin(nf__training *t, size_t start, ad_error *error)
{
    const double seconds = t->o.seconds, others = (double)(t->o.starts - 1) * slice(t);
    if (put_back(t, &t->trials.initial, error) != AD_OK) return error->status;
    t->trials.start = start;
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

/* A start that was the best so far. */
static ad_status keep(nf__training *t, double its_score, ad_error *error)
{
    t->trials.best_score = its_score;
    t->trials.best_spent = t->loop.now - t->began;
    return nf__state_fill(&t->trials.best, NF__STATE_COPIES, nf__list_training, t, error);
}

/* To the best, which is trained on. */
static ad_status choose(nf__training *t, bool stopped, ad_error *error)
{
    ad_status status = put_back(t, &t->trials.best, error);
    if (!stopped) t->report->outcome = NF_FINISHED;
    t->began = t->loop.now - t->trials.best_spent;
    if (t->o.seconds > 0) t->seconds = t->until = t->o.seconds - (t->began - t->loop.opened);
    t->time_over = false;
    return status;
}

static ad_status try_starts(nf__training *t, bool *stop, ad_error *error)
{
    nf__trials *trials = &t->trials;
    const size_t epochs = t->now.start_epochs;
    ad_status status = AD_OK;
    for (size_t start = trials->start; start < t->o.starts && !*stop; start++) {
        if (!trials->under_way) status = begin(t, start, error);
        trials->under_way = true;
        if (status == AD_OK) status = nf__train_until(t, epochs, stop, error);
        trials->under_way = false;
        const bool complete = status == AD_OK && (t->now.epoch == epochs || t->time_over);
        if (complete && score(t) < trials->best_score) status = keep(t, score(t), error);
        if (status != AD_OK && status != AD_ERROR_NUMERIC) break;
    }
    return status;
}

ad_status nf__choose_start(nf__training *t, bool *stop, ad_error *error)
{
    nf__trials *trials = &t->trials;
    if (t->o.starts == 1 || trials->over) return AD_OK;
    ad_status status = AD_OK;
    if (!trials->under_way) {
        trials->best_score = INFINITY;
        status = nf__state_fill(&trials->initial, NF__STATE_COPIES, nf__list_training, t, error);
    }
    if (status == AD_OK) status = try_starts(t, stop, error);
    /* A start that diverged doesn't matter then. */
    if (trials->best_score < INFINITY && (status == AD_OK || status == AD_ERROR_NUMERIC))
        status = choose(t, *stop, error);
    trials->over = true;
    nf__state_free(&trials->initial);
    nf__state_free(&trials->best);
    return status;
}
