/* Whole numbers in a small range: how probable each is. A count is a poor estimate of that where rows are few, so
 * counts n_k are shrunk to their smoothed distribution g,
 *
 *     p_k = (n_k + α g_k) / (n + α),
 *
 * which is the posterior mean under a Dirichlet prior around g; α is the one with the largest leave-one-out likelihood.
 */
#include "columns/learn.h"

#include <weir/memory.h>

#include <math.h>

/* ---- Smoothing ------------------------------------------------------------------------------------------------- */

/* Silverman 1986, equation 3.31. */
static double bandwidth_of(const double *sorted, size_t n)
{
    double mean = 0, square = 0;
    for (size_t i = 0; i < n; i++) mean += sorted[i] / (double)n;
    for (size_t i = 0; i < n; i++) square += (sorted[i] - mean) * (sorted[i] - mean);
    double sd = sqrt(square / (double)n), quartiles = sorted[3 * (n - 1) / 4] - sorted[(n - 1) / 4];
    if (quartiles > 0) sd = fmin(sd, quartiles / 1.34);
    return fmax(0.9 * sd * pow((double)n, -0.2), 0.4);
}

/* Each of the counts spread over its neighbours, none beyond the range: smooth (cells), of sum 1; self: what a row adds
 * to its own cell. */
static void smooth_counts(const double *count, size_t cells, double n, double width, double *smooth, double *self)
{
    for (size_t k = 0; k < cells; k++) smooth[k] = 0;
    for (size_t k = 0; k < cells; k++) {
        if (count[k] == 0) continue;
        double total = 0;
        for (size_t j = 0; j < cells; j++) {
            double distance = ((double)j - (double)k) / width;
            total += exp(-distance * distance / 2);
        }
        self[k] = 1 / total;
        for (size_t j = 0; j < cells; j++) {
            double distance = ((double)j - (double)k) / width;
            smooth[j] += count[k] / n * exp(-distance * distance / 2) / total;
        }
    }
}

/* Mean log probability of each row, from the others. */
static double leave_one_out(const double *count, const double *smooth, const double *self, size_t cells, double n,
                            double alpha)
{
    double sum = 0;
    for (size_t k = 0; k < cells; k++) {
        if (count[k] == 0) continue;
        double others = fmax(n * smooth[k] - self[k], 0) / (n - 1);
        sum += count[k] * log(fmax(count[k] - 1 + alpha * others, 1e-300) / (n - 1 + alpha));
    }
    return sum / n;
}

/* Probabilities p (cells) of the range that the counts are of. */
static ad_status estimate(const double *count, size_t cells, const double *sorted, size_t n, double *p, ad_error *error)
{
    double *smooth = ad_alloc(2 * cells, sizeof *smooth), *self = smooth ? smooth + cells : NULL;
    if (!smooth) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu values", cells);
    const double rows = (double)n, least = 0.1 / (rows + 1); /* of all cells, to leave none impossible */
    smooth_counts(count, cells, rows, bandwidth_of(sorted, n), smooth, self);
    double best = -INFINITY, alpha = 1;
    for (int e = -2; e <= 20; e++) {
        double likelihood = leave_one_out(count, smooth, self, cells, rows, ldexp(1, e));
        if (likelihood <= best) continue;
        best = likelihood;
        alpha = ldexp(1, e);
    }
    for (size_t k = 0; k < cells; k++)
        p[k] = (1 - least) * (count[k] + alpha * smooth[k]) / (rows + alpha) + least / (double)cells;
    ad_free(smooth);
    return AD_OK;
}

/* ---- Cells ----------------------------------------------------------------------------------------------------- */

/* How many values there may be beyond an end of the data, where `room` could be: as many as there are within it, unless
 * the data pile up at their end. Two values are all there are. */
static size_t beyond(const nf__sample *sample, size_t at_end, double room)
{
    const double rows = (double)sample->present, share = (double)at_end / rows;
    double span = sample->value[sample->distinct - 1] - sample->value[0] + 1;
    if (sample->distinct <= 2 || (at_end >= 5 && share >= 0.01)) return 0;
    return (size_t)fmin(room, span);
}

/* p (count values), farther and farther from the data, of total probability `mass`, which is 2^-16 of the first at the
 * last of many: a value that is far out is possible, but a flow that isn't exact in its tails seldom makes one. */
static void put_tail(double *p, size_t count, int direction, double mass)
{
    double total = 0, ratio = exp2(-16.0 / (double)(count + 8));
    for (size_t i = 0; i < count; i++) total += pow(ratio, (double)i);
    for (size_t i = 0; i < count; i++) *(p + direction * (ptrdiff_t)i) = mass * pow(ratio, (double)i) / total;
}

ad_status nf__learn_steps(nf__column *column, const nf__sample *sample, const nf__given *given, ad_error *error)
{
    const double least = sample->value[0], most = sample->value[sample->distinct - 1], rows = (double)sample->present;
    const bool told = given->request == NF__INTEGER;
    const bool told_low = told && isfinite(given->low), told_high = told && isfinite(given->high);
    /* Ends that are told are there; where they aren't, what isn't negative stays so. */
    double room = told_low ? least - given->low : least >= 0 ? least : INFINITY;
    size_t below = told_low ? (size_t)room : beyond(sample, sample->count[0], room);
    size_t above =
        told_high ? (size_t)(given->high - most) : beyond(sample, sample->count[sample->distinct - 1], INFINITY);
    const size_t inner = (size_t)(most - least) + 1, values = below + inner + above;
    const size_t missing = sample->table->rows - sample->present, cells = values + (size_t)(missing > 0);
    double *p = ad_alloc(cells + inner, sizeof *p), *count = p ? p + cells : NULL;
    if (!p) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu values", cells);
    for (size_t i = 0; i < sample->distinct; i++) count[(size_t)(sample->value[i] - least)] = (double)sample->count[i];
    ad_status status = estimate(count, inner, sample->sorted, sample->present, p + below, error);
    const size_t tails = (size_t)(below > 0) + (size_t)(above > 0);
    const double outside = tails ? 1 / (rows + 1) : 0, all = rows / (double)sample->table->rows;
    for (size_t k = 0; k < inner; k++) p[below + k] *= 1 - outside;
    if (below) put_tail(p + below - 1, below, -1, outside / (double)tails);
    if (above) put_tail(p + below + inner, above, 1, outside / (double)tails);
    for (size_t k = 0; k < values; k++) p[k] *= all;
    if (missing) p[values] = 1 - all;
    column->discrete = true;
    column->can_miss = missing > 0;
    column->first = least - (double)below;
    column->face.low = column->first;
    column->face.high = most + (double)above;
    if (!status) status = nf__cells_make(p, cells, &column->cells, error);
    ad_free(p);
    return status;
}
