/* Axes: how the values of a column are laid along one. */
#include "pictures/axis.h"
#include "pictures/gnuplot.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BARS = 40, MOST_LABELS = 12, LABEL_LETTERS = 8 };

/* ---- What it spans ---------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* The finite values of a column, in order. */
struct values {
    double *sorted;
    size_t count;
};

static ad_status values_of(const nf_table *table, size_t column, struct values *values, ad_error *error)
{
    *values = (struct values){0};
    if (!table) return AD_OK;
    values->sorted = ad_alloc(table->rows, sizeof *values->sorted);
    if (!values->sorted)
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a picture of %zu rows", table->rows);
    for (size_t r = 0; r < table->rows; r++) {
        double value = table->values[r * table->columns + column];
        if (isfinite(value)) values->sorted[values->count++] = value;
    }
    qsort(values->sorted, values->count, sizeof *values->sorted, ascending);
    return AD_OK;
}

static double quantile(const struct values *values, double part)
{
    return values->sorted[(size_t)(part * (double)(values->count - 1))];
}

static bool all_whole(const struct values *values)
{
    for (size_t i = 0; i < values->count; i++)
        if (values->sorted[i] != floor(values->sorted[i])) return false;
    return true;
}

/* Most of a column would be a single bin, as of a log-normal of σ = 1.5 and above, and none of it is at or below 0. */
static bool in_decades(const struct values *values)
{
    return values->count > 0 && values->sorted[0] > 0 && quantile(values, 0.99) / 30 > quantile(values, 0.5);
}

/* The power of ten that the middle half of a column reaches, if its tails take twenty times as much: of Cauchy's, and
 * claims that are 0 or large. 0: they don't, or 0 is far from all. */
static double bend_of(const struct values *values)
{
    if (values->count == 0) return 0;
    const double half = quantile(values, 0.75) - quantile(values, 0.25), middle = fabs(quantile(values, 0.5));
    const double most = quantile(values, 0.99) - quantile(values, 0.01);
    return half > 0 && isfinite(most) && most > 20 * half && middle < 2 * half ? pow(10, floor(log10(half / 2))) : 0;
}

/* Without tails, each of which would make the axis more than twice as long. */
static struct range bulk_of(const struct axis *axis, const struct values *values)
{
    static const double tails[] = {0.01, 0.005, 0.001, 0};
    struct range bulk = {INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof tails / sizeof *tails && values->count > 0; i++) {
        size_t cut = (size_t)(tails[i] * (double)values->count);
        struct range wider = {axis_position(axis, values->sorted[cut]),
                              axis_position(axis, values->sorted[values->count - 1 - cut])};
        bool longer = wider.high - wider.low > 2 * (bulk.high - bulk.low);
        if (i > 0 && longer && bulk.low < bulk.high && !axis->bars) break;
        bulk = wider;
    }
    return bulk;
}

/* Samples that are far from all data are those of a flow that doesn't fit, and would leave the data no room: there is a
 * quarter of it for them on either side, or as much of the whole as nine tenths of them take. */
static struct range join(struct range data, struct range samples, struct range most_samples)
{
    if (!(data.low <= data.high)) return samples;
    if (!(samples.low <= samples.high)) return data;
    const double width = data.low < data.high ? data.high - data.low : INFINITY;
    const double below = fmax(width / 4, fmin(width, data.low - most_samples.low));
    const double above = fmax(width / 4, fmin(width, most_samples.high - data.high));
    return (struct range){fmin(data.low, fmax(samples.low, data.low - below)),
                          fmax(data.high, fmin(samples.high, data.high + above))};
}

static double part_inside(const struct axis *axis, const struct values *values)
{
    size_t inside = 0;
    for (size_t i = 0; i < values->count; i++) {
        double position = axis_position(axis, values->sorted[i]);
        inside += position >= axis->range.low && position <= axis->range.high;
    }
    return values->count > 0 ? (double)inside / (double)values->count : 1;
}

static void lay(struct axis *axis, const struct values *data, const struct values *samples)
{
    const struct values *first = data->count > 0 ? data : samples;
    axis->whole = all_whole(first);
    axis->bars = axis->whole && first->count > 0 && first->sorted[first->count - 1] - first->sorted[0] < MOST_BARS;
    axis->decades = !axis->whole && in_decades(first) && (samples->count == 0 || samples->sorted[0] > 0);
    if (!axis->whole && !axis->decades) axis->bend = bend_of(first);
    struct range most = {0, 0};
    if (samples->count > 0)
        most =
            (struct range){axis_position(axis, quantile(samples, 0.05)), axis_position(axis, quantile(samples, 0.95))};
    struct range span = join(bulk_of(axis, data), bulk_of(axis, samples), most);
    axis->range = with_margin(span);
    axis->bins = MOST_BINS;
    axis->binned = span.low < span.high ? span : axis->range;
    if (axis->whole && span.low <= span.high) {
        /* A bin has as many values as the next. */
        double low = floor(span.low), values = ceil(span.high) - low + 1, width = ceil(values / MOST_BINS);
        axis->bins = (size_t)ceil(values / width);
        axis->binned = axis->range = (struct range){low - 0.5, low - 0.5 + width * (double)axis->bins};
    }
    axis->shown = fmin(part_inside(axis, data), part_inside(axis, samples));
}

ad_status axis_of(const struct picture *picture, size_t column, struct axis *axis, ad_error *error)
{
    const nf_table *data = picture->data, *samples = picture->samples;
    struct values of_data, of_samples = {0};
    *axis = (struct axis){.labels = samples->labels ? samples->labels[column] : NULL};
    ad_status status = values_of(data, column, &of_data, error);
    if (!status) status = values_of(samples, column, &of_samples, error);
    if (!status) lay(axis, &of_data, &of_samples);
    ad_free(of_samples.sorted);
    ad_free(of_data.sorted);
    return status;
}

double axis_position(const struct axis *axis, double value)
{
    if (axis->bend > 0) return asinh(value / (2 * axis->bend)) / M_LN10;
    if (!axis->decades) return value;
    return value > 0 ? log10(value) : NAN;
}

double axis_value(const struct axis *axis, double position)
{
    if (axis->bend > 0) return 2 * axis->bend * sinh(M_LN10 * position);
    return axis->decades ? pow(10, position) : position;
}

double axis_stretch(const struct axis *axis, double position)
{
    if (axis->bend > 0) return 2 * axis->bend * M_LN10 * cosh(M_LN10 * position);
    return axis->decades ? M_LN10 * pow(10, position) : 1;
}

bool axis_is_plain(const struct axis *axis)
{
    return !axis->decades && axis->bend == 0;
}

/* ---- Tics ------------------------------------------------------------------------------------------------------- */

static bool begins_letter(char byte)
{
    return (byte & 0xc0) != 0x80;
}

/* What there is room for, of whole letters: the beginning and the end, since names may differ in either. Returns text.
 */
static const char *shorten(const char *label, size_t letters, char text[static 160])
{
    const char *head = label, *tail = label + strlen(label);
    size_t count = 0, half = (letters < 36 ? letters : 36) / 2;
    for (const char *at = label; *at; at++) count += begins_letter(*at);
    if (count <= 2 * half) half = count;
    for (size_t i = 0; i < half && *head; i++) do
            head++;
        while (!begins_letter(*head));
    for (size_t i = 1; i < half && tail > head; i++) do
            tail--;
        while (!begins_letter(*tail));
    snprintf(text, 160, "%.*s%s%s", (int)(head - label), label, *head ? "…" : "", *head ? tail : "");
    return text;
}

/* "50k" for large numbers, where that tells them apart. */
static const char *tic_text(double value, double largest, double step, char text[static 32])
{
    bool short_form = largest >= 1e4 && largest < 1e15 && largest / step < 100 && step >= 100;
    if (short_form) return report_rate(value, text);
    snprintf(text, 32, "%g", value);
    return text;
}

/* How many labels so many letters have room for, with a blank between them. */
static int most_tics(int letters, size_t length)
{
    enum { LEAST = 2, MOST = 7 };
    const int count = letters / (int)(length + 1);
    return count < LEAST ? LEAST : count > MOST ? MOST : count;
}

/* A power of ten that tics are in units of, where they would have exponents. */
static double unit_of(double largest)
{
    return largest >= 1e15 || largest < 1e-4 ? pow(10, floor(log10(largest))) : 1;
}

/* Of labels at the ends of a range. */
static size_t longest_label(struct range range, double largest, double step)
{
    char text[32];
    const size_t first = strlen(tic_text(ceil(range.low / step) * step, largest, step, text));
    const size_t last = strlen(tic_text(floor(range.high / step) * step, largest, step, text));
    return first > last ? first : last;
}

/* Numbers that take much room have fewer tics, but two where there can be. Along x a label at the very end would run
 * into the next panel's, which is 6 % of a panel away. */
static void set_number_tics(FILE *script, const char *axis_name, const struct axis *axis, int letters)
{
    const double offset = tic_offset(axis->range);
    const double most = fmax(fabs(axis->range.low - offset), fabs(axis->range.high - offset)), unit = unit_of(most);
    const struct range range = {(axis->range.low - offset) / unit, (axis->range.high - offset) / unit};
    const double largest = most / unit, width = range.high - range.low;
    double step = tic_step(range, most_tics(letters, 1)), first = 0, last = -1;
    const size_t length = longest_label(range, largest, step);
    for (int tics = most_tics(letters, length); last <= first && tics < 10; tics++) {
        step = tic_step(range, tics);
        if (axis->whole) step = fmax(step, 1 / unit);
        const double label = (double)longest_label(range, largest, step) / letters;
        const double out = *axis_name == 'x' ? fmax(0, label / 2 - 0.03) * width : 0;
        first = ceil((range.low + out) / step);
        last = floor((range.high - out) / step);
    }
    if (unit != 1) fprintf(script, "%soffset = %soffset.' / %g'\n", axis_name, axis_name, unit);
    fprintf(script, "set %stics norotate (", axis_name);
    for (double i = first; i <= last; i++) {
        char text[32];
        const double value = i * step + 0.0; /* never -0 */
        fprintf(script, "%s'%s' %.15g", i > first ? ", " : "", tic_text(value, largest, step, text),
                offset + value * unit);
    }
    fprintf(script, ")\n");
}

static void set_decade_tics(FILE *script, const char *axis_name, struct range range, int letters)
{
    const double step = ceil((range.high - range.low) / most_tics(letters, strlen("1e-3")));
    fprintf(script, "set %stics norotate (", axis_name);
    const char *separator = "";
    for (double k = ceil(range.low / step) * step; k <= range.high; k += step) {
        fprintf(script, "%stens(%.0f) %.0f", separator, k, k);
        separator = ", ";
    }
    fprintf(script, ")\n");
}

/* 0 and, on both sides, powers of ten above the bend. */
static void set_bent_tics(FILE *script, const char *axis_name, const struct axis *axis, int letters)
{
    const int first = (int)lround(log10(axis->bend)) + 1;
    const double reach = fmax(fabs(axis->range.low), fabs(axis->range.high));
    const int most = (most_tics(letters, strlen("-1e3")) - 1) / 2, stride = 1 + (int)reach / (most > 0 ? most : 1);
    fprintf(script, "set %stics norotate ('0' 0", axis_name);
    for (int k = first; k < first + (int)reach; k += stride) {
        const double position = axis_position(axis, pow(10, k));
        if (position < axis->range.high) fprintf(script, ", tens(%d) %.6g", k, position);
        if (-position > axis->range.low) fprintf(script, ", '-'.tens(%d) %.6g", k, -position);
    }
    fprintf(script, ")\n");
}

static void set_labels(FILE *script, const char *axis_name, const struct axis *axis)
{
    const size_t low = (size_t)fmax(0, ceil(axis->range.low)), end = (size_t)fmax(0, ceil(axis->range.high));
    const size_t stride = (end - low + MOST_LABELS - 1) / MOST_LABELS;
    fprintf(script, "set %stics %s noenhanced (", axis_name, *axis_name == 'x' ? "rotate by -40" : "norotate");
    for (size_t i = 0; i < end && axis->labels[i]; i++) {
        char text[160];
        if (i < low || (i - low) % stride > 0) continue;
        fprintf(script, "%s", i > low ? ", " : "");
        gnuplot_quote(script, shorten(axis->labels[i], LABEL_LETTERS, text));
        fprintf(script, " %zu", i);
    }
    fprintf(script, ") font tiny\n");
}

static void set_tics(FILE *script, const char *axis_name, const struct axis *axis, int letters)
{
    if (axis->labels)
        set_labels(script, axis_name, axis);
    else if (axis->bend > 0)
        set_bent_tics(script, axis_name, axis, letters);
    else if (axis->decades)
        set_decade_tics(script, axis_name, axis->range, letters);
    else
        set_number_tics(script, axis_name, axis, letters);
}

void axes_set(FILE *script, const struct axis *x, const struct axis *y, int letters)
{
    panel_ranges(script, x->range, y->range);
    set_tics(script, "x", x, letters);
    set_tics(script, "y", y, letters);
}

const char *axis_note(const struct axis *axis, char text[static 32])
{
    /* Rounded down: 100 % is all. */
    *text = '\0';
    if (axis->shown < 1) snprintf(text, 32, " (%.1f %% shown)", floor(1000 * axis->shown) / 10);
    return text;
}

void axis_label(FILE *script, const char *axis_name, char **names, size_t column, size_t letters, const char *note,
                bool numbered)
{
    char number[32], text[160], whole[200];
    const char *name = panel_feature(names, column, number);
    const char *cut = shorten(name, letters, text);
    if (numbered && strcmp(cut, name) != 0) {
        const size_t less = (size_t)snprintf(whole, sizeof whole, "%zu: ", column + 1);
        snprintf(whole + less, sizeof whole - less, "%s", shorten(name, letters > less + 2 ? letters - less : 2, text));
        cut = whole;
    }
    panel_label(script, axis_name, cut, note);
}

bool axis_names_alike(char **names, size_t count, size_t letters)
{
    char one[160], other[160];
    for (size_t i = 1; names && i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(shorten(names[i], letters, one), shorten(names[j], letters, other)) == 0) return true;
    return false;
}
