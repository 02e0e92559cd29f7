/* Rows of unusually low density, beside those that the flow was fitted to. */
#include "outliers.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Finer where outliers are. */
static const double parts[] = {0,   0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15,
                               0.2, 0.3,    0.4,    0.5,    0.6,   0.7,   0.8,   0.9,  0.95, 0.99, 1};
enum { PARTS = sizeof parts / sizeof *parts };

/* A NaN has no place in an order; where it comes up it is lowest of all. */
static double sortable(double log_prob)
{
    return isnan(log_prob) ? -INFINITY : log_prob;
}

static int compare(const void *a, const void *b)
{
    double left = sortable(*(const double *)a), right = sortable(*(const double *)b);
    return (left > right) - (left < right);
}

json_t *outliers_quantiles(double *log_prob, size_t rows)
{
    if (rows == 0) return NULL;
    qsort(log_prob, rows, sizeof *log_prob, compare);
    json_t *part = json_array(), *value = json_array();
    for (size_t i = 0; i < PARTS; i++) {
        double at = parts[i] * (double)(rows - 1), below = floor(at);
        size_t r = (size_t)below, next = r + 1 < rows ? r + 1 : r;
        double here = log_prob[r], there = log_prob[next];
        json_array_append_new(part, json_real(parts[i]));
        /* Between two that are infinite there is nothing to interpolate. */
        json_array_append_new(value, report_number(at > below ? here + (at - below) * (there - here) : here));
    }
    return json_pack("{s:o, s:o}", "part", part, "log_prob", value);
}

/* How many of 100 rows of the fit have a lower log-density: interpolated; NaN where that isn't on record. */
static double percentile(const json_t *quantiles, double log_prob)
{
    const json_t *part = json_object_get(quantiles, "part"), *value = json_object_get(quantiles, "log_prob");
    size_t count = json_array_size(part);
    if (count == 0 || json_array_size(value) != count) return NAN;
    double below = 0, low = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        const json_t *number = json_array_get(value, i);
        /* What isn't finite is null there. */
        double high = json_is_number(number) ? json_number_value(number) : -INFINITY;
        double at = json_number_value(json_array_get(part, i));
        if (!(log_prob > high)) {
            double share = high > low && isfinite(low) ? (sortable(log_prob) - low) / (high - low) : 0;
            return 100 * (below + share * (at - below));
        }
        below = at;
        low = high;
    }
    return 100;
}

ad_status outliers_begin(struct outliers *outliers, size_t most, ad_error *error)
{
    *outliers = (struct outliers){.most = most, .found = ad_alloc(most, sizeof *outliers->found)};
    return outliers->found ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu outliers", most);
}

void outliers_end(struct outliers *outliers)
{
    ad_free(outliers->found);
    *outliers = (struct outliers){0};
}

void outliers_see(struct outliers *outliers, const double *log_prob, size_t first, size_t rows)
{
    struct outlier *found = outliers->found;
    for (size_t r = 0; r < rows && outliers->most > 0; r++) {
        const bool full = outliers->count == outliers->most;
        double value = sortable(log_prob[r]);
        if (full && value >= sortable(found[outliers->count - 1].log_prob)) continue;
        size_t at = full ? outliers->count - 1 : outliers->count++;
        for (; at > 0 && sortable(found[at - 1].log_prob) > value; at--) found[at] = found[at - 1];
        found[at] = (struct outlier){first + r, log_prob[r]};
    }
}

json_t *outliers_lowest(const struct outliers *outliers, const json_t *quantiles)
{
    json_t *lowest = json_array();
    for (size_t i = 0; i < outliers->count; i++) {
        const struct outlier *outlier = &outliers->found[i];
        json_array_append_new(lowest, json_pack("{s:I, s:o, s:o}", "row", (json_int_t)outlier->row + 1, "log_prob",
                                                report_number(outlier->log_prob), "percentile",
                                                report_number(percentile(quantiles, outlier->log_prob))));
    }
    return lowest;
}

/* "below all", "0.31 %" */
static const char *in_words(double percent, char buffer[static 32])
{
    if (isnan(percent))
        snprintf(buffer, 32, "-");
    else if (percent <= 0)
        snprintf(buffer, 32, "below all");
    else
        snprintf(buffer, 32, "%.2f %%", percent);
    return buffer;
}

void outliers_print(const json_t *lowest, FILE *to)
{
    const json_t *outlier;
    size_t i;
    if (json_array_size(lowest) == 0) return;
    fprintf(to, "%-11s %10s %14s  %s\n", "lowest", "row", "log p", "percentile in the fit");
    json_array_foreach(lowest, i, outlier)
    {
        char percent[32], nats[32] = "-inf";
        double log_prob = report_number_of(outlier, "log_prob");
        if (!isnan(log_prob)) snprintf(nats, sizeof nats, "%.4f", log_prob);
        fprintf(to, "%-11s %10lld %14s  %s\n", "", report_count_of(outlier, "row"), nats,
                in_words(report_number_of(outlier, "percentile"), percent));
    }
}
