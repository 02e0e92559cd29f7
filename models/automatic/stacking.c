/* Stacking: the weights of a mixture that held-out rows are most likely under, by EM. The mixture's log-likelihood is
 * concave in them, so that EM comes to the best there are. */
#include "automatic/search.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

enum { ROUNDS = 500 };

double nf__score(const nf__search *s, const double *log_prob, double *standard_error)
{
    double mean = 0, squares = 0;
    for (size_t r = 0; r < s->n_held; r++) mean -= s->held_weight[r] * log_prob[r];
    for (size_t r = 0; r < s->n_held; r++) {
        double part = s->held_weight[r] * (-log_prob[r] - mean);
        squares += part * part;
    }
    double n = (double)s->n_held;
    if (standard_error) *standard_error = n > 1 ? sqrt(squares * n / (n - 1)) : NAN;
    return mean;
}

/* log Σ_k w_k p_k of a row. */
static double mixed_at(const nf__search *s, const double *weight, size_t row)
{
    double most = -INFINITY, sum = 0;
    for (size_t k = 0; k < s->n_candidate; k++)
        if (weight[k] > 0) most = fmax(most, s->log_prob[k][row]);
    if (!isfinite(most)) return most;
    for (size_t k = 0; k < s->n_candidate; k++)
        if (weight[k] > 0) sum += weight[k] * exp(s->log_prob[k][row] - most);
    return most + log(sum);
}

/* One step of EM from weight to next: the mean share of each in what it explains of a row. */
static void step(const nf__search *s, const double *weight, double *next)
{
    for (size_t k = 0; k < s->n_candidate; k++) next[k] = 0;
    for (size_t r = 0; r < s->n_held; r++) {
        double mixed = mixed_at(s, weight, r);
        if (!isfinite(mixed)) continue;
        for (size_t k = 0; k < s->n_candidate; k++)
            if (weight[k] > 0) next[k] += s->held_weight[r] * weight[k] * exp(s->log_prob[k][r] - mixed);
    }
}

/* With a sum of 1, where the first is `least` or more. */
static void normalize(double *weight, size_t count, double least)
{
    double others = 0;
    for (size_t k = 1; k < count; k++) others += weight[k];
    double sum = weight[0] + others;
    weight[0] = others > 0 ? fmax(weight[0] / sum, least) : 1;
    for (size_t k = 1; k < count; k++) weight[k] *= others > 0 ? (1 - weight[0]) / others : 0;
}

static void maximize(const nf__search *s, double least, double *weight, double *next)
{
    for (size_t round = 0; round < ROUNDS; round++) {
        double moved = 0;
        step(s, weight, next);
        normalize(next, s->n_candidate, least);
        for (size_t k = 0; k < s->n_candidate; k++) moved = fmax(moved, fabs(next[k] - weight[k]));
        memcpy(weight, next, s->n_candidate * sizeof *weight);
        if (moved < 1e-6) return;
    }
}

ad_status nf__stack(const nf__search *s, double least, double worth, double *weight, double *mixed, ad_error *error)
{
    double *next = ad_alloc(s->n_candidate, sizeof *next);
    if (!next) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the weights of a mixture");
    size_t good = 0;
    for (size_t k = 0; k < s->n_candidate; k++) good += !s->candidate[k].failed;
    for (size_t k = 0; k < s->n_candidate; k++) weight[k] = s->candidate[k].failed ? 0 : 1.0 / (double)good;
    maximize(s, least, weight, next);
    /* Those that aren't worth their cost go, the least of them first, for without it others may be worth more. */
    for (;;) {
        size_t worst = 0;
        for (size_t k = 1; k < s->n_candidate; k++)
            if (weight[k] > 0 && weight[k] < worth && (worst == 0 || weight[k] < weight[worst])) worst = k;
        if (worst == 0) break;
        weight[worst] = 0;
        normalize(weight, s->n_candidate, least);
        maximize(s, least, weight, next);
    }
    for (size_t r = 0; r < s->n_held; r++) mixed[r] = mixed_at(s, weight, r);
    ad_free(next);
    return AD_OK;
}
