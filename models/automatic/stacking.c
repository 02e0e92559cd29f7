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

/* Densities of the held-out rows, each row's divided by its largest, so that none of them overflows: what EM goes by.
 */
typedef struct {
    size_t count, rows;
    double *density; /* [row][count] */
    double *most;    /* [row]: the logarithm of what they were divided by */
} densities;

static bool take_densities(const nf__search *s, densities *d)
{
    *d = (densities){.count = s->n_candidate, .rows = s->n_held};
    d->density = ad_alloc(d->rows, d->count * sizeof *d->density);
    d->most = ad_alloc(d->rows, sizeof *d->most);
    if (!d->density || !d->most) return false;
    for (size_t r = 0; r < d->rows; r++) {
        d->most[r] = -INFINITY;
        for (size_t k = 0; k < d->count; k++)
            if (!s->candidate[k].failed) d->most[r] = fmax(d->most[r], s->log_prob[k][r]);
        for (size_t k = 0; k < d->count; k++) {
            const bool counts = !s->candidate[k].failed && isfinite(d->most[r]);
            d->density[r * d->count + k] = counts ? exp(s->log_prob[k][r] - d->most[r]) : 0;
        }
    }
    return true;
}

static void free_densities(densities *d)
{
    ad_free(d->density);
    ad_free(d->most);
}

static double mixed_at(const densities *d, const double *weight, size_t row)
{
    double sum = 0;
    for (size_t k = 0; k < d->count; k++) sum += weight[k] * d->density[row * d->count + k];
    return sum;
}

/* One step of EM from weight to next: the mean share of each in what it explains of a row. */
static void step(const nf__search *s, const densities *d, const double *weight, double *next)
{
    for (size_t k = 0; k < d->count; k++) next[k] = 0;
    for (size_t r = 0; r < d->rows; r++) {
        const double mixed = mixed_at(d, weight, r), part = mixed > 0 ? s->held_weight[r] / mixed : 0;
        for (size_t k = 0; k < d->count; k++) next[k] += part * weight[k] * d->density[r * d->count + k];
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

static void maximize(const nf__search *s, const densities *d, double least, double *weight, double *next)
{
    for (size_t round = 0; round < ROUNDS; round++) {
        double moved = 0;
        step(s, d, weight, next);
        normalize(next, d->count, least);
        for (size_t k = 0; k < d->count; k++) moved = fmax(moved, fabs(next[k] - weight[k]));
        memcpy(weight, next, d->count * sizeof *weight);
        if (moved < 1e-6) return;
    }
}

/* Those that aren't worth their cost go, the least of them first, for without it others may be worth more; but at once
 * all that are next to nothing. False: none has gone. */
static bool prune(const densities *d, double worth, double *weight)
{
    size_t worst = 0;
    for (size_t k = 1; k < d->count; k++)
        if (weight[k] > 0 && weight[k] < worth && (worst == 0 || weight[k] < weight[worst])) worst = k;
    if (worst == 0) return false;
    for (size_t k = 1; k < d->count; k++)
        if (k == worst || weight[k] < worth / 100) weight[k] = 0;
    return true;
}

ad_status nf__stack(const nf__search *s, double least, double worth, double *weight, double *mixed, ad_error *error)
{
    densities d;
    double *next = ad_alloc(s->n_candidate, sizeof *next);
    ad_status status = AD_OK;
    if (!take_densities(s, &d) || !next)
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the weights of a mixture");
    if (status == AD_OK) {
        size_t good = 0;
        for (size_t k = 0; k < s->n_candidate; k++) good += !s->candidate[k].failed;
        for (size_t k = 0; k < s->n_candidate; k++) weight[k] = s->candidate[k].failed ? 0 : 1.0 / (double)good;
        do {
            normalize(weight, d.count, least);
            maximize(s, &d, least, weight, next);
        } while (prune(&d, worth, weight));
        for (size_t r = 0; r < s->n_held; r++) mixed[r] = d.most[r] + log(mixed_at(&d, weight, r));
    }
    ad_free(next);
    free_densities(&d);
    return status;
}
