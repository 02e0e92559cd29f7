/* The curves of an inference, as panels of a gnuplot script. */
#include "pictures/inference_picture.h"
#include "inference.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>

static const struct {
    const char *key, *title, *label;
    double left_out; /* part of the points */
    bool logarithmic;
} curves[] = {
    [INFERENCE_LOSS] = {"loss", "Loss", "nats", 0.05},
    [INFERENCE_GRADIENT] = {"gradient_norm", "Gradient", "norm, before clipping", 0, true},
    [INFERENCE_PARAMETERS] = {"parameter_norm", "Parameters", "norm", 0},
};
enum { CURVES = sizeof curves / sizeof *curves };

size_t inference_history(FILE *script, const json_t *record)
{
    const json_t *history = json_object_get(record, "history"), *iteration = json_object_get(history, "iteration");
    size_t count = json_array_size(iteration);
    if (count == 0) return 0;
    fprintf(script, "$history << EOD\n");
    for (size_t i = 0; i < count; i++) {
        fprintf(script, "%lld", json_integer_value(json_array_get(iteration, i)));
        for (size_t k = 0; k < CURVES; k++) {
            const json_t *value = json_array_get(json_object_get(history, curves[k].key), i);
            fprintf(script, " %.8g", json_is_number(value) ? json_number_value(value) : NAN);
        }
        fprintf(script, "\n");
    }
    fprintf(script, "EOD\n");
    return count;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Points of the history before the target is the whole one, whose losses are not to be compared with later ones. */
static size_t annealed_points(const json_t *record)
{
    const json_t *beta = json_object_get(json_object_get(record, "history"), "beta");
    size_t last = json_array_size(beta);
    double end = last ? json_number_value(json_array_get(beta, last - 1)) : 1;
    while (last > 0 && json_number_value(json_array_get(beta, last - 1)) == end) last--;
    return last;
}

/* What most of a curve spans, from a point on; the largest part of it, at the beginning often, may leave the picture.
 */
static struct range curve_range(const json_t *values, size_t first, double left_out)
{
    size_t count = json_array_size(values), n = 0;
    double *sorted = ad_alloc(count, sizeof *sorted);
    struct range range = {INFINITY, -INFINITY};
    for (size_t i = first; sorted && i < count; i++)
        if (json_is_number(json_array_get(values, i))) sorted[n++] = json_number_value(json_array_get(values, i));
    if (n > 0) {
        qsort(sorted, n, sizeof *sorted, ascending);
        range = (struct range){sorted[0], sorted[n - 1 - (size_t)(left_out * (double)n)]};
    }
    ad_free(sorted);
    return range;
}

static void shade_annealing(FILE *script, const json_t *record, const char *label)
{
    size_t points = annealed_points(record);
    if (points == 0) return;
    const json_t *iteration = json_object_get(json_object_get(record, "history"), "iteration");
    double end = json_number_value(json_array_get(iteration, points - 1));
    fprintf(script,
            "set object 1 rectangle from graph 0, graph 0 to %.10g, graph 1 fc rgb shade fs noborder behind\n"
            "set label 1 '%s' at %.10g, graph 0.5 center textcolor rgb faint\n",
            end, label, end / 2);
}

/* A quarter more on both sides of a range above 0, within what a logarithmic axis can show. */
static struct range with_quarter(struct range range)
{
    return (struct range){fmin(fmax(range.low / 1.25, 1e-300), 1e299), fmax(fmin(range.high * 1.25, 1e300), 1e-299)};
}

/* At 1, 2 and 5 times each power of ten, or at these alone where there are many, or at every so manieth. */
static void set_logarithmic(FILE *script, struct range range)
{
    static const double digits[] = {1, 2, 5};
    enum { MOST_TICS = 10 };
    const int first = (int)floor(log10(range.low)), last = (int)floor(log10(range.high));
    const int stride = 1 + (last - first) / MOST_TICS;
    const char *separator = "";
    size_t shown = last - first > 3 ? 1 : 3;
    fprintf(script, "set logscale y; set ytics (");
    for (int power = first; power <= last; power += stride)
        for (size_t i = 0; i < shown; i++) {
            double tic = digits[i] * pow(10, power);
            if (tic < range.low || tic > range.high) continue;
            fprintf(script, "%s%.3g", separator, tic);
            separator = ", ";
        }
    fprintf(script, ")\n");
}

void inference_curve(FILE *script, struct box box, const json_t *record, enum inference_curve curve)
{
    double last = report_number_of(record, "average_loss"), best = best_loss(record);
    const json_t *values = json_object_get(json_object_get(record, "history"), curves[curve].key);
    size_t annealed = curve == INFERENCE_LOSS ? annealed_points(record) : 0;
    struct range range = curve_range(values, annealed < json_array_size(values) ? annealed : 0, curves[curve].left_out);
    bool bound = curve == INFERENCE_LOSS && !isnan(best);
    if (bound) range.low = fmin(range.low, best);
    char title[128];
    int length = snprintf(title, sizeof title, "%s", curves[curve].title);
    if (curve == INFERENCE_LOSS)
        length += snprintf(title + length, sizeof title - (size_t)length, ": %.4f in the end", last);
    if (bound) snprintf(title + length, sizeof title - (size_t)length, ", %.4f possible (dashed)", best);
    panel_begin(script, box, title);
    struct range time = range_of_count(report_count_of(record, "iterations"));
    bool logarithmic = curves[curve].logarithmic && range.low > 0 && range.high >= range.low;
    range = logarithmic ? with_quarter(range) : with_margin(range);
    panel_ranges(script, time, range);
    shade_annealing(script, record, curve == INFERENCE_LOSS ? "β grows" : "");
    panel_tics(script, "x", time);
    panel_label(script, "x", "iteration", "");
    panel_label(script, "y", curves[curve].label, "");
    if (logarithmic) set_logarithmic(script, range);
    fprintf(script, "plot $history using 1:%d with lines lw 2 lc rgb data_colour notitle", (int)curve + 2);
    if (bound) fprintf(script, ", %.8g with lines dt 2 lw 2 lc rgb sample_colour notitle", best);
    fprintf(script, "\n");
}
