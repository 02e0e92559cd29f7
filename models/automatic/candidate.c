/* Candidates: each is fitted to every fold's rows and scored on those that were held out. */
#include "automatic/search.h"
#include "ranks/ranks.h"
#include "training/clock.h"
#include "training/fit.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

/* Of rows that have weights: fewer than a training has, for mixtures of normals take their time. */
enum { FEWEST_DRAWS = 2000 };

ad_status nf__search_look(nf__search *s, ad_error *error)
{
    const nf__memory *m = &s->memory;
    const bool stopped = s->stopped;
    if (m->recalls) {
        s->now = s->opened + m->attempt[s->n_candidate].began;
        return AD_OK;
    }
    s->stopped = s->stopped || (s->o.interrupted && s->o.interrupted(s->o.context));
    ad_status status = nf__agree(s->o.pool, &s->stopped, &s->now, error);
    /* A training that is interrupted has written where it stands. */
    if (!status && s->stopped && !stopped) nf__checkpoint_write(s->o.checkpoint, s->o.pool);
    return status;
}

/* What a fit's callbacks are called with. */
typedef struct {
    nf__search *search;
    const nf__fold *fold;
} work;

static bool interrupted(void *context)
{
    const nf__search *s = ((const work *)context)->search;
    return s->o.interrupted && s->o.interrupted(s->o.context);
}

/* That a part of the candidate in work is done. */
static void tell(nf__search *s, double part)
{
    const size_t done = s->n_candidate, planned = s->planned > done ? s->planned : done + 1;
    if (!s->o.progress) return;
    s->o.progress(s->o.context, &(nf_automatic_progress){.formula = s->suggestion[done].formula,
                                                         .candidate = done + 1,
                                                         .candidates = planned,
                                                         .fraction = ((double)done + part) / (double)planned,
                                                         .nll = s->nll,
                                                         .seconds = nf__clock() - s->started});
}

static bool progress(void *context, const nf_progress *now)
{
    const work *w = context;
    const size_t fold = (size_t)(w->fold - w->search->fold);
    tell(w->search, (double)(fold * now->epochs + now->epoch) / (double)(w->search->n_fold * now->epochs));
    return true;
}

/* The caller's rows anew, scaled. The numbers are a fold's. */
static void redraw(void *context, size_t epoch, const uint32_t *row, size_t rows, double *x)
{
    const work *w = context;
    const nf__search *s = w->search;
    enum { BLOCK = 256 };
    uint32_t number[BLOCK];
    for (size_t first = 0; first < rows; first += BLOCK) {
        const size_t n = rows - first < BLOCK ? rows - first : BLOCK;
        double *to = x + first * s->dim;
        for (size_t i = 0; i < n; i++) number[i] = w->fold->train[row[first + i]];
        s->o.redraw(s->o.context, epoch, number, n, to);
        for (size_t i = 0; i < n * s->dim; i++) to[i] = (to[i] - s->mean[i % s->dim]) / s->scale[i % s->dim];
    }
}

static ad_status train(nf__search *s, const nf__fold *f, const nf__suggestion *what, nf_flow *flow, ad_error *error)
{
    work w = {s, f};
    nf_fit_report report;
    const nf_fit_options options = {
        .epochs = what->epochs,
        .batch = what->batch,
        .optimizer = {.name = what->weight_decay > 0 ? "adamw(beta2=0.98)" : "adam",
                      .learning_rate = what->learning_rate,
                      .weight_decay = what->weight_decay},
        .ema = what->ema,
        .patience = (long)(what->epochs / 4 + 5),
        .row_context = f->context,
        .row_weights = f->weights,
        .val_x = f->held_x,
        .val_context = f->held_context,
        .val_weights = f->held_weights,
        .val_rows = f->n_held,
        .seconds = what->seconds,
        .redraw = s->o.redraw ? redraw : NULL,
        .seed = what->seed,
        .pool = s->o.pool,
        .progress = progress,
        .interrupted = interrupted,
        .context = &w,
        .checkpoint = s->o.checkpoint,
    };
    ad_status status = nf_fit(flow, f->x, f->n_train, &options, &report, error);
    ad_free(report.history);
    /* On whichever rank it was. */
    s->stopped = s->stopped || report.outcome == NF_STOPPED_BY_CALLER;
    /* The best weights before it went wrong, or was interrupted, are as good as any. */
    const bool ended = status == AD_ERROR_NUMERIC || report.outcome == NF_STOPPED_BY_CALLER;
    return ended && report.best_epoch > 0 ? AD_OK : status;
}

static nf_flow *fit_fold(nf__search *s, const nf__fold *f, const nf__suggestion *what, double *log_prob,
                         ad_error *error)
{
    nf_flow *flow =
        nf_flow_parse(what->formula, s->dim, s->context, s->o.dtype, what->seed + (uint64_t)(f - s->fold), error);
    if (!flow) return NULL;
    ad_status status = what->epochs
                           ? train(s, f, what, flow, error)
                           : nf__fit_rows(flow, f->x, f->context, f->weights, NULL, f->n_train, FEWEST_DRAWS, error);
    if (status == AD_OK) status = nf_log_prob(flow, f->held_x, f->held_context, f->n_held, log_prob, s->o.pool, error);
    for (size_t r = 0; r < f->n_held; r++) log_prob[r] += s->held_offset[f->first + r];
    for (size_t r = 0; r < f->n_held && status == AD_OK; r++)
        if (isnan(log_prob[r])) status = ad_error_set(error, AD_ERROR_NUMERIC, "a log-density is NaN");
    if (status == AD_OK) return flow;
    nf_flow_free(flow);
    return NULL;
}

static bool make_room(nf__search *s)
{
    if (s->n_candidate < s->room) return true;
    const size_t room = 2 * s->room + 16;
    nf__suggestion *suggestion = ad_realloc(s->suggestion, room, sizeof *suggestion);
    if (suggestion) s->suggestion = suggestion;
    nf_candidate *candidate = ad_realloc(s->candidate, room, sizeof *candidate);
    if (candidate) s->candidate = candidate;
    double **log_prob = ad_realloc(s->log_prob, room, sizeof *log_prob);
    if (log_prob) s->log_prob = log_prob;
    nf_flow **flow = ad_realloc(s->flow, room, s->n_fold * sizeof *flow);
    if (flow) s->flow = flow;
    nf__attempt *attempt = ad_realloc(s->attempt, room, sizeof *attempt);
    if (attempt) s->attempt = attempt;
    if (!attempt || !suggestion || !candidate || !log_prob || !flow) return false;
    s->room = room;
    return true;
}

/* Room for candidate n_candidate, with nothing in it but what it is to be. */
static ad_status open_candidate(nf__search *s, const nf__suggestion *suggestion, ad_error *error)
{
    const size_t i = s->n_candidate;
    char *formula = make_room(s) ? ad_strdup(suggestion->formula) : NULL;
    double *log_prob = formula ? ad_alloc(s->n_held, sizeof *log_prob) : NULL;
    if (!log_prob) {
        ad_free(formula);
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for one more candidate");
    }
    s->suggestion[i] = *suggestion;
    s->suggestion[i].formula = formula;
    s->log_prob[i] = log_prob;
    memset(s->flow + i * s->n_fold, 0, s->n_fold * sizeof(nf_flow *));
    s->candidate[i] = (nf_candidate){.formula = formula,
                                     .nll = NAN,
                                     .standard_error = NAN,
                                     .epochs = suggestion->epochs,
                                     .batch = suggestion->batch,
                                     .learning_rate = suggestion->learning_rate,
                                     .ema = suggestion->ema,
                                     .weight_decay = suggestion->weight_decay,
                                     .failed = true};
    s->attempt[i] = (nf__attempt){.formula = nf__hash_text(formula), .limit = suggestion->seconds};
    s->fold_in_work = 0;
    return AD_OK;
}

/* From the fold in work on. */
static ad_status fit_folds(nf__search *s, ad_error *error)
{
    const size_t i = s->n_candidate;
    nf_candidate *c = &s->candidate[i];
    bool whole = true;
    ad_status status = AD_OK;
    s->in_work = true;
    for (; s->fold_in_work < s->n_fold && whole; s->fold_in_work++) {
        const size_t f = s->fold_in_work;
        nf_flow **flow = &s->flow[i * s->n_fold + f];
        *flow = fit_fold(s, &s->fold[f], &s->suggestion[i], s->log_prob[i] + s->fold[f].first, error);
        whole = *flow;
        /* What fails by its numbers is out of the race; a formula that can't be or memory that isn't there is told. */
        if (!whole && error->status != AD_ERROR_NUMERIC) status = error->status;
        if (s->stopped && f + 1 < s->n_fold) whole = false;
    }
    s->in_work = false;
    c->failed = !whole;
    if (whole) c->nll = nf__score(s, s->log_prob[i], &c->standard_error);
    return status;
}

/* Between two looks at the clock. */
static ad_status fit_candidate(nf__search *s, ad_error *error)
{
    nf__attempt *attempt = &s->attempt[s->n_candidate];
    double now;
    ad_status status = nf__agree(s->o.pool, NULL, &now, error);
    if (attempt->began == 0) attempt->began = now - s->opened;
    if (status == AD_OK) status = fit_folds(s, error);
    if (status == AD_OK) status = nf__agree(s->o.pool, NULL, &now, error);
    s->candidate[s->n_candidate].seconds = now - s->opened - attempt->began;
    return status;
}

ad_status nf__try(nf__search *s, const nf__suggestion *suggestion, size_t *index, ad_error *error)
{
    bool done;
    ad_status status = open_candidate(s, suggestion, error);
    if (status != AD_OK) return status;
    *index = s->n_candidate;
    tell(s, 0);
    status = nf__recall(s, &done, error);
    if (status == AD_OK && !done) status = fit_candidate(s, error);
    s->n_candidate++; /* whatever came of it is the search's to release */
    if (!s->memory.recalls && !s->stopped && nf__checkpoint_is_due(s->o.checkpoint))
        nf__checkpoint_write(s->o.checkpoint, s->o.pool);
    return status;
}

nf_flow *nf__refit(nf__search *s, const char *formula, ad_error *error)
{
    const size_t reach = s->row[s->rows - 1] + 1;
    nf_flow *flow = nf_flow_parse(formula, s->dim, s->context, s->o.dtype, s->o.seed, error);
    double *x = flow ? ad_alloc(reach, s->dim * sizeof *x) : NULL;
    ad_status status = flow && x ? AD_OK : error->status;
    if (flow && !x) status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows", s->rows);
    for (size_t i = 0; x && i < s->rows * s->dim; i++) {
        const size_t d = i % s->dim, at = s->row[i / s->dim] * s->dim + d;
        x[at] = (s->given[at] - s->mean[d]) / s->scale[d];
    }
    if (status == AD_OK)
        status = nf__fit_rows(flow, x, s->o.row_context, s->o.row_weights, s->row, s->rows, FEWEST_DRAWS, error);
    ad_free(x);
    if (status == AD_OK) return flow;
    nf_flow_free(flow);
    return NULL;
}
