/* Which map suits measured values: the one that makes them most like a normal, by likelihood. With the mean m and the
 * variance s² of g(x), the density of x is that of N(m, s²) at g(x) times g'(x), and the mean log of it over n values
 * is
 *
 *     -log s - (1 + log 2π)/2 + mean log g'(x). */
#include "columns/learn.h"

#include <weir/memory.h>

#include <math.h>

static void moments(const nf__map *map, const double *values, size_t n, double *mean, double *sd)
{
    double log_slope, sum = 0, squares = 0;
    /* Around the middle one, for a small spread far from 0. */
    const double middle = nf__map_to(map, values[n / 2], &log_slope);
    for (size_t i = 0; i < n; i++) sum += nf__map_to(map, values[i], &log_slope) - middle;
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double distance = nf__map_to(map, values[i], &log_slope) - middle - *mean;
        squares += distance * distance;
    }
    *mean += middle;
    *sd = sqrt(squares / (double)n);
}

/* log of that density of each value, but for the constant. */
static void log_densities(const nf__map *map, const double *values, size_t n, double *log_density)
{
    double mean, sd, log_slope;
    moments(map, values, n, &mean, &sd);
    for (size_t i = 0; i < n; i++) {
        double z = (nf__map_to(map, values[i], &log_slope) - mean) / sd;
        log_density[i] = log_slope - log(sd) - z * z / 2;
    }
}

/* How much larger the mean of a is than that of b, and its standard error. */
static double gain_of(const double *a, const double *b, size_t n, double *standard_error)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) mean += (a[i] - b[i]) / (double)n;
    for (size_t i = 0; i < n; i++) squares += (a[i] - b[i] - mean) * (a[i] - b[i] - mean);
    *standard_error = sqrt(squares / ((double)n * fmax((double)n - 1, 1)));
    return mean;
}

/* Pull values at closed ends in, half the way to the nearest of the others. */
static void close_ends(nf__map *map, const double *values, size_t n, bool low, bool high)
{
    size_t first = 0, last = n;
    while (first < n && values[first] <= map->low) first++;
    while (last > 0 && values[last - 1] >= map->high) last--;
    const double width = map->high - map->low;
    const double inner = first < n ? values[first] : isfinite(width) ? map->low + width / 2 : map->low + 1;
    const double outer = last > 0 ? values[last - 1] : map->high - width / 2;
    if (low) map->pull_low = (inner - map->low) / 2;
    if (high) map->pull_high = (map->high - outer) / 2;
}

/* ---- Choosing -------------------------------------------------------------------------------------------------- */

enum { MOST_CANDIDATES = 5, LEAST_POSITIVE = 10, LEAST_BOUNDED = 50 };

/* Maps for positive values: by logarithm, or so only near 0, or nearer. */
static size_t positive_maps(nf__map *candidates, double low, const double *values, size_t n)
{
    const double median = values[n / 2] - low;
    candidates[0] = nf__map_of(low, INFINITY, 0);
    candidates[1] = nf__map_of(low, INFINITY, median);
    candidates[2] = nf__map_of(low, INFINITY, median / 8);
    return median > 0 ? 3 : 1;
}

/* Maps that are worth a try where nothing is told; of integers x + u. */
static size_t guesses(nf__map *candidates, const nf__column *column, const double *values, size_t n)
{
    const double least = values[0], most = values[n - 1];
    if (n < LEAST_POSITIVE || least < 0) return 0;
    size_t count = positive_maps(
        candidates, column->face.atoms && column->face.kind == NF_COLUMN_INTEGER ? column->face.atom[0] + 1 : 0, values,
        n);
    if (n < LEAST_BOUNDED || column->face.kind == NF_COLUMN_INTEGER) return count;
    if (most <= 1 && most > 0.8) candidates[count++] = nf__map_of(0, 1, 0);
    if (most <= 100 && most > 95 && least < 5) candidates[count++] = nf__map_of(0, 100, 0);
    return count;
}

/* The best of the candidates, of which an earlier one is as good where a later one gains less than .02 nats a row;
 * *gain over values as they are. */
static ad_status best_map(const nf__map *candidates, size_t count, const double *values, size_t n, nf__map *best,
                          double *gain, double *standard_error, ad_error *error)
{
    double *plain = ad_alloc(2 * n + 1, sizeof *plain), *mapped = plain ? plain + n : NULL;
    *gain = -INFINITY;
    if (!plain) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a column of %zu values", n);
    const nf__map identity = nf__map_of(-INFINITY, INFINITY, 0);
    log_densities(&identity, values, n, plain);
    for (size_t i = 0; i < count; i++) {
        double its_error;
        log_densities(&candidates[i], values, n, mapped);
        double its_gain = gain_of(mapped, plain, n, &its_error);
        if (!(its_gain > *gain + 0.02)) continue;
        *gain = its_gain;
        *standard_error = its_error;
        *best = candidates[i];
    }
    ad_free(plain);
    return AD_OK;
}

/* What a normal with the mean and variance of the values has beyond the map's ends. */
static double share_outside(const nf__map *map, const double *values, size_t n)
{
    const nf__map identity = nf__map_of(-INFINITY, INFINITY, 0);
    double mean, sd;
    moments(&identity, values, n, &mean, &sd);
    double outside = erfc((mean - map->low) / sd * M_SQRT1_2) / 2;
    if (isfinite(map->high)) outside += erfc((map->high - mean) / sd * M_SQRT1_2) / 2;
    return outside;
}

/* Is the map worth it? Where it gains, or costs little and keeps samples inside; those of counts, at any cost. */
static bool is_better(const nf__map *map, double gain, double standard_error, bool whole, const double *values,
                      size_t n)
{
    if (!isfinite(gain)) return false;
    if (gain > 0.05 && gain > 2 * standard_error) return true;
    double outside = share_outside(map, values, n);
    return whole ? outside > 1e-4 : outside > 0.01 && gain > -0.05;
}

static ad_status guess(nf__column *column, const double *values, size_t n, ad_error *error)
{
    nf__map candidates[MOST_CANDIDATES], best;
    double gain, standard_error = 0;
    size_t count = guesses(candidates, column, values, n);
    column->map = best = nf__map_of(-INFINITY, INFINITY, 0);
    for (size_t i = 0; i < count; i++)
        close_ends(&candidates[i], values, n, values[0] <= candidates[i].low, values[n - 1] >= candidates[i].high);
    ad_status status = best_map(candidates, count, values, n, &best, &gain, &standard_error, error);
    const bool whole = column->face.kind == NF_COLUMN_INTEGER;
    if (!status && is_better(&best, gain, standard_error, whole, values, n)) column->map = best;
    return status;
}

/* Within the ends that are told; high is the first that is beyond them. */
static ad_status take_told(nf__column *column, const double *values, size_t n, double low, double high,
                           const nf__given *given, ad_error *error)
{
    nf__map candidates[MOST_CANDIDATES] = {nf__map_of(low, high, 0)};
    double gain, standard_error;
    size_t count = isfinite(low) && !isfinite(high) ? positive_maps(candidates, low, values, n) : 1;
    for (size_t i = 0; i < count; i++) close_ends(&candidates[i], values, n, given->closed_low, given->closed_high);
    column->map = candidates[0];
    return count > 1 ? best_map(candidates, count, values, n, &column->map, &gain, &standard_error, error) : AD_OK;
}

ad_status nf__learn_map(nf__column *column, const double *values, size_t n, const nf__given *given, bool context,
                        ad_error *error)
{
    const bool whole = column->face.kind == NF_COLUMN_INTEGER;
    ad_status status;
    if (given->request == NF__INTERVAL || (given->request == NF__INTEGER && isfinite(given->low))) {
        double low = given->low;
        if (whole && column->face.atoms) low = fmax(low, column->face.atom[0] + 1);
        nf__given ends = *given;
        /* Atoms at an end leave the others inside. */
        for (size_t a = 0; a < column->face.atoms; a++) {
            if (column->face.atom[a] == given->low) ends.closed_low = false;
            if (column->face.atom[a] == given->high) ends.closed_high = false;
        }
        if (whole) ends.closed_low = ends.closed_high = false;
        status = take_told(column, values, n, low, whole ? given->high + 1 : given->high, &ends, error);
    } else
        status = guess(column, values, n, error);
    if (!status) nf__learn_moments(column, values, n, context);
    return status;
}

/* ---- Offset and moments ---------------------------------------------------------------------------------------- */

void nf__learn_moments(nf__column *column, const double *values, size_t n, bool context)
{
    nf__map *map = &column->map;
    double mean, sd, log_slope;
    moments(map, values, n, &mean, &sd);
    if (!(sd > 0)) sd = 1;
    if (context) {
        map->offset = mean;
        map->scale = sd;
        column->fill_sd = 1;
        return;
    }
    double reach = fmax(fabs(nf__map_to(map, values[0], &log_slope)), fabs(nf__map_to(map, values[n - 1], &log_slope)));
    /* Neighbours in float32 may be a millionth of the standard deviation apart: a number of few digits, from which
     * differences are exact, is taken off. */
    if (reach * 0x1p-23 > 1e-6 * sd) map->offset = ldexp(round(ldexp(mean, -ilogb(sd))), ilogb(sd));
    column->fill_mean = mean - map->offset;
    column->fill_sd = sd;
}
