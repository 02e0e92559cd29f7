/* An automatic fit: the normal, mixtures of normals, flows; then their mixture. */
#include "automatic/search.h"
#include "ranks/ranks.h"
#include "training/clock.h"

#include <weir/environment.h>
#include <weir/memory.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double least_of_normal = .001, worth = .01, most_of_one = .3;

double nf__search_left(const nf__search *s)
{
    return s->o.seconds - (s->now - s->opened);
}

/* The mixture of all that is done, whose score is told on the way. */
static ad_status take_stock(nf__search *s, double *weight, double *mixed, double *standard_error, ad_error *error)
{
    ad_status status = nf__stack(s, least_of_normal, worth, weight, mixed, error);
    if (status == AD_OK) s->nll = nf__score(s, mixed, standard_error);
    return status;
}

/* More and more normals, until two in a row were no better, between the data and `last`. They may take `share` of the
 * time. */
static ad_status try_mixtures(nf__search *s, const char *last, double share, nf_automatic_report *report,
                              ad_error *error)
{
    static const size_t count[] = {2, 3, 4, 6, 8, 12, 16, 24, 32};
    double best = INFINITY, expected = 0;
    ad_status status = nf__search_look(s, error);
    const double until = nf__search_left(s) - share * s->o.seconds;
    for (size_t i = 0, worse = 0; i < sizeof count / sizeof *count && worse < 2 && !status && !s->stopped; i++) {
        char formula[64];
        size_t index;
        /* A normal of fewer rows than this knows its few rows by heart. */
        if (s->fold[0].n_train < 5 * count[i] || nf__search_left(s) - expected < until) break;
        snprintf(formula, sizeof formula, "gaussian_mixture(components=%zu):%s", count[i], last);
        status = nf__try(s, &(nf__suggestion){.formula = formula, .seed = s->o.seed}, &index, error);
        if (status != AD_OK) break;
        expected = 2 * s->candidate[index].seconds; /* EM takes longer for more of them, and more rounds, too */
        const bool better = s->candidate[index].nll < best;
        worse = better ? 0 : worse + 1;
        if (better) best = s->candidate[index].nll;
        if (better && (!report->best_mixture || best < s->candidate[report->best_mixture].nll))
            report->best_mixture = index;
        status = nf__search_look(s, error);
    }
    return status;
}

/* What the data set at once. */
static ad_status try_normals(nf__search *s, nf_automatic_report *report, ad_error *error)
{
    enum { ENOUGH_FOR_MARGINALS = 50 };
    size_t index;
    ad_status status = nf__try(s, &(nf__suggestion){.formula = "whiten", .seed = s->o.seed}, &index, error);
    if (status != AD_OK) return status;
    if (s->candidate[0].failed)
        return ad_error_set(error, AD_ERROR_NUMERIC, "the rows have no finite mean and covariance");
    if (s->fold[0].n_train >= ENOUGH_FOR_MARGINALS) {
        status = nf__try(s, &(nf__suggestion){.formula = "whiten-marginal", .seed = s->o.seed}, &index, error);
        if (status == AD_OK) status = try_mixtures(s, "marginal", .15, report, error);
    }
    return status == AD_OK ? try_mixtures(s, "whiten", .15, report, error) : status;
}

static ad_status try_flows(nf__search *s, nf_automatic_report *report, double *weight, double *mixed, ad_error *error)
{
    nf__suggestion suggestion;
    size_t planned = 0, index;
    bool (*suggest)(const nf__search *, size_t, nf__suggestion *) = s->o.formula ? nf__suggest_settings : nf__suggest;
    if (s->rows < nf__fewest_rows_of_a_flow() && !s->o.formula) return AD_OK;
    while (suggest(s, planned, &suggestion)) planned++;
    s->planned = s->n_candidate + planned;
    ad_status status = nf__search_look(s, error);
    for (size_t i = 0; i < planned && status == AD_OK && !s->stopped; i++) {
        if (nf__search_left(s) < .02 * s->o.seconds) {
            report->out_of_time = true;
            break;
        }
        suggest(s, i, &suggestion);
        /* Where time is short, a few that are trained are worth more than many that are not. */
        const double left = nf__search_left(s), part = fmax(left / (double)(planned - i), most_of_one * s->o.seconds);
        suggestion.seconds = fmin(part, left) / (double)s->n_fold;
        status = nf__try(s, &suggestion, &index, error);
        if (status == AD_OK && !s->candidate[index].failed) status = take_stock(s, weight, mixed, NULL, error);
        if (status == AD_OK) status = nf__search_look(s, error);
    }
    return status;
}

static void find_best_flow(const nf__search *s, nf_automatic_report *report)
{
    for (size_t k = 1; k < s->n_candidate; k++) {
        const nf_candidate *c = &s->candidate[k];
        if (c->epochs == 0 || c->failed) continue;
        if (!report->best_flow || c->nll < s->candidate[report->best_flow].nll) report->best_flow = k;
    }
}

/* In place of a mixture. */
static ad_status choose_best_flow(nf__search *s, nf_automatic_report *report, double *weight, double *mixed,
                                  ad_error *error)
{
    const size_t best = report->best_flow;
    if (!best && s->stopped)
        return ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted before '%s' was trained", s->o.formula);
    if (!best)
        return ad_error_set(error, AD_ERROR_NUMERIC,
                            "'%s' has no finite score: it diverges, or held-out rows have density 0 under it",
                            s->o.formula);
    for (size_t k = 0; k < s->n_candidate; k++) weight[k] = k == best;
    memcpy(mixed, s->log_prob[best], s->n_held * sizeof *mixed);
    s->nll = nf__score(s, mixed, &report->standard_error);
    return AD_OK;
}

/* One that its data set is set by all of them; of a trained one there is a flow for each fold, each of which is a
 * member with its part of the weight. */
static nf_flow *assemble(nf__search *s, const double *weight, ad_error *error)
{
    const size_t most = s->n_candidate * s->n_fold;
    nf_flow **member = ad_alloc(most, sizeof *member), *result = NULL;
    double *share = ad_alloc(most, sizeof *share);
    size_t count = 0;
    bool good = member && share;
    if (!good) ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a mixture of %zu flows", most);
    for (size_t k = 0; k < s->n_candidate && good; k++) {
        if (weight[k] == 0) continue;
        const bool is_trained = s->candidate[k].epochs > 0;
        for (size_t f = 0; f < (is_trained ? s->n_fold : 1) && good; f++) {
            nf_flow **fitted = &s->flow[k * s->n_fold + f];
            share[count] = is_trained ? weight[k] / (double)s->n_fold : weight[k];
            member[count] = is_trained ? *fitted : nf__refit(s, s->candidate[k].formula, error);
            if (is_trained) *fitted = NULL;
            good = member[count++];
        }
    }
    if (good) {
        result = nf_flow_mixture(member, share, count, s->last, error);
        s->last = NULL;
    } else {
        for (size_t i = 0; i < count; i++) nf_flow_free(member[i]);
    }
    ad_free(share);
    ad_free(member);
    return result;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ad_status describe(nf__search *s, const double *mixed, nf_automatic_report *report, ad_error *error)
{
    double *sorted = ad_alloc(s->n_held, sizeof *sorted);
    if (!sorted) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the scores of %zu rows", s->n_held);
    memcpy(sorted, mixed, s->n_held * sizeof *sorted);
    qsort(sorted, s->n_held, sizeof *sorted, ascending);
    report->scores = (nf_row_scores){
        .median = sorted[s->n_held / 2], .worst = INFINITY, .mean = -s->nll, .standard_error = report->standard_error};
    ad_free(sorted);
    const double far = report->scores.median - 30 - (double)s->dim;
    for (size_t f = 0; f < s->n_fold; f++)
        for (size_t r = 0; r < s->fold[f].n_held; r++) {
            double log_prob = mixed[s->fold[f].first + r];
            report->scores.far += log_prob < far;
            if (log_prob >= report->scores.worst) continue;
            report->scores.worst = log_prob;
            report->scores.worst_row = s->fold[f].held[r] + 1;
        }
    return AD_OK;
}

static nf_flow *run(nf__search *s, nf_automatic_report *report, ad_error *error)
{
    double *weight = ad_alloc(NF__MOST_CANDIDATES, sizeof *weight), *mixed = ad_alloc(s->n_held, sizeof *mixed);
    nf_flow *result = NULL;
    ad_status status = weight && mixed ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for scores");
    if (status == AD_OK) status = try_normals(s, report, error);
    if (status == AD_OK) status = try_flows(s, report, weight, mixed, error);
    if (status == AD_OK && s->o.tune && !s->o.formula && s->rows >= nf__fewest_rows_of_a_flow())
        status = nf__tune(s, error);
    find_best_flow(s, report);
    if (status == AD_OK && s->o.formula)
        status = choose_best_flow(s, report, weight, mixed, error);
    else if (status == AD_OK)
        status = take_stock(s, weight, mixed, &report->standard_error, error);
    if (status == AD_OK) status = describe(s, mixed, report, error);
    if (status == AD_OK)
        result = s->o.formula ? nf__unscaled(s, s->flow[report->best_flow], error) : assemble(s, weight, error);
    for (size_t k = 0; k < s->n_candidate && result; k++) s->candidate[k].weight = weight[k];
    report->nll = s->nll;
    ad_free(mixed);
    ad_free(weight);
    return result;
}

nf_flow *nf_fit_automatic(const double *x, size_t rows, size_t dim, size_t context, const nf_automatic_options *options,
                          nf_automatic_report *report, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (report) *report = (nf_automatic_report){0};
    ad_error own;
    nf_automatic_report unwanted;
    nf__search s = {.o = options ? *options : (nf_automatic_options){0},
                    .rows = rows,
                    .given_rows = rows,
                    .dim = dim,
                    .context = context,
                    .given = x,
                    .planned = 20, /* normals and mixtures of them, at most */
                    .started = nf__clock(),
                    .nll = NAN};
    nf_flow *result = NULL;
    if (!error) error = &own;
    if (!report) report = &unwanted;
    *report = (nf_automatic_report){.nll = NAN, .standard_error = NAN};
    if (s.o.seconds <= 0) s.o.seconds = 60;
    ad_status status = nf__agree(s.o.pool, NULL, &s.opened, error);
    s.now = s.opened;
    if (status == AD_OK) status = nf__folds_make(&s, error);
    bool resumed;
    if (status == AD_OK)
        status = nf__checkpoint_enter(s.o.checkpoint, "automatic", nf__list_search, &s, &resumed, error);
    if (status == AD_OK) result = run(&s, report, error);
    nf__checkpoint_leave(s.o.checkpoint, &s);
    report->candidate = s.candidate;
    report->n_candidate = s.n_candidate;
    report->held = s.n_held;
    report->folds = s.n_fold;
    report->stopped = s.stopped;
    report->seconds = nf__clock() - s.started;
    for (size_t k = 0; k < s.n_candidate; k++) {
        for (size_t f = 0; f < s.n_fold; f++) nf_flow_free(s.flow[k * s.n_fold + f]);
        ad_free(s.log_prob[k]);
    }
    nf__memory_free(&s.memory);
    ad_free(s.attempt);
    ad_free(s.suggestion);
    ad_free(s.log_prob);
    ad_free(s.flow);
    nf__folds_free(&s);
    nf_bijector_free(s.last);
    if (report == &unwanted) nf_automatic_report_free(report);
    return result;
}

void nf_automatic_report_free(nf_automatic_report *report)
{
    for (size_t k = 0; report && k < report->n_candidate; k++) ad_free(report->candidate[k].formula);
    if (!report) return;
    ad_free(report->candidate);
    report->candidate = NULL;
    report->n_candidate = 0;
}
