/* The picture of any number of columns: each by itself, and each two of them. */
#include "pictures/pairs_picture.h"
#include "pictures/gnuplot.h"
#include "pictures/loss_panel.h"
#include "pictures/panels.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = 50, MOST_BARS = 40, MOST_LABELS = 12, LABEL_BYTES = 7 };

/* A column as it is shown. */
struct axis {
    struct range range;
    bool whole; /* whole numbers, or labels, */
    bool bars;  /* so few that each has a bar */
    size_t bins;
    char *const *labels; /* of 0, 1, …; NULL: numbers */
};

/* ---- Numbers -------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* All that is there of the data, and of the samples most: a single one far out would leave the others no room. */
static struct range span_of(const nf_table *table, size_t column, double tail, double *room)
{
    size_t count = 0;
    for (size_t r = 0; r < table->rows; r++) {
        double value = table->values[r * table->columns + column];
        if (isfinite(value)) room[count++] = value;
    }
    if (count == 0) return (struct range){INFINITY, -INFINITY};
    qsort(room, count, sizeof *room, compare);
    size_t cut = (size_t)(tail * (double)count);
    return (struct range){room[cut], room[count - 1 - cut]};
}

static bool is_whole(const nf_table *table, size_t column)
{
    for (size_t r = 0; r < table->rows; r++) {
        double value = table->values[r * table->columns + column];
        if (isfinite(value) && value != floor(value)) return false;
    }
    return true;
}

static struct axis axis_of(const struct picture *picture, size_t column, double *room)
{
    const nf_table *data = picture->data, *samples = picture->samples, *first = data ? data : samples;
    struct range span = span_of(samples, column, data ? 0.001 : 0, room);
    if (data) {
        struct range all = span_of(data, column, 0, room);
        span = (struct range){fmin(span.low, all.low), fmax(span.high, all.high)};
    }
    struct axis axis = {.labels = first->labels ? first->labels[column] : NULL};
    axis.whole = is_whole(first, column);
    axis.bars = axis.whole && span.high - span.low < MOST_BARS;
    axis.range = with_margin(span);
    axis.bins = BINS;
    if (axis.whole && span.low <= span.high) {
        /* A bin has as many values as the next. */
        double low = floor(span.low), values = ceil(span.high) - low + 1, width = ceil(values / BINS);
        axis.bins = (size_t)ceil(values / width);
        axis.range = (struct range){low - 0.5, low - 0.5 + width * (double)axis.bins};
    }
    return axis;
}

/* ---- Blocks of data --------------------------------------------------------------------------------------------- */

/* A number from 0 to 1 that is the same in each picture of the same table. */
static double scattered(size_t row, size_t column)
{
    uint64_t bits = (row * 31 + column + 1) * UINT64_C(0x9e3779b97f4a7c15);
    bits ^= bits >> 29;
    bits *= UINT64_C(0xbf58476d1ce4e5b9);
    return (double)(bits >> 11) * 0x1p-53;
}

/* Of a column that has few values points lie about each of them, or they would hide one another. */
static void write_point(FILE *script, const nf_table *table, size_t row, const struct axis *axes, const char *colour)
{
    for (size_t c = 0; c < table->columns; c++) {
        double value = table->values[row * table->columns + c];
        if (axes[c].whole && value == floor(value)) value += 0.6 * (scattered(row, c) - 0.5);
        fprintf(script, "%.15g ", value);
    }
    fprintf(script, "%ld\n", strtol(colour + 1, NULL, 16)); /* without its # */
}

/* Samples and data by turns, evenly taken. */
static void write_points(FILE *script, const struct picture *picture, const struct axis *axes)
{
    const nf_table *data = picture->data, *samples = picture->samples;
    size_t columns = samples->columns, most = columns > 4 ? 2 * PANEL_POINTS / columns : PANEL_POINTS;
    size_t count = samples->rows < most ? samples->rows : most;
    if (data && data->rows < count) count = data->rows;
    fprintf(script, "$points << EOD\n");
    for (size_t i = 0; i < count; i++) {
        double part = (double)i / (double)count;
        write_point(script, samples, (size_t)(part * (double)samples->rows), axes, sample_colour);
        if (data) write_point(script, data, (size_t)(part * (double)data->rows), axes, data_colour);
    }
    fprintf(script, "EOD\n");
}

/* Into density[i]: that of bin i. What lies outside of the axis counts as well. Returns the part that is missing. */
static double count_bins(const nf_table *table, size_t column, const struct axis *axis, double *density)
{
    double low = axis->range.low, width = (axis->range.high - low) / (double)axis->bins;
    size_t missing = 0;
    for (size_t i = 0; i < axis->bins; i++) density[i] = 0;
    for (size_t r = 0; r < table->rows; r++) {
        double value = table->values[r * table->columns + column], bin = floor((value - low) / width);
        if (isnan(value)) missing++;
        if (bin >= 0 && bin < (double)axis->bins) density[(size_t)bin] += 1 / ((double)table->rows * width);
    }
    return (double)missing / (double)table->rows;
}

struct histogram {
    double missing_data, missing_samples;
};

/* Lines of the centre of a bin, data, samples. */
static struct histogram write_histogram(FILE *script, const struct picture *picture, size_t column,
                                        const struct axis *axis)
{
    double data[BINS] = {0}, samples[BINS];
    struct histogram histogram = {0};
    if (picture->data) histogram.missing_data = count_bins(picture->data, column, axis, data);
    histogram.missing_samples = count_bins(picture->samples, column, axis, samples);
    double width = (axis->range.high - axis->range.low) / (double)axis->bins;
    fprintf(script, "$histogram%zu << EOD\n", column);
    for (size_t i = 0; i < axis->bins; i++)
        fprintf(script, "%.15g %.8g %.8g\n", axis->range.low + width * ((double)i + 0.5), data[i], samples[i]);
    fprintf(script, "EOD\n");
    return histogram;
}

/* ---- Panels ----------------------------------------------------------------------------------------------------- */

/* "50k" for large numbers, where that tells them apart. */
static const char *tic_text(double value, double largest, double step, char text[static 32])
{
    bool short_form = largest >= 1e4 && largest / step < 100 && step >= 100;
    if (short_form) return report_rate(value, text);
    snprintf(text, 32, "%g", value);
    return text;
}

/* Numbers that take much room have fewer tics. */
static void set_number_tics(FILE *script, const char *axis_name, const struct axis *axis, size_t shown)
{
    const double offset = tic_offset(axis->range);
    const struct range range = {axis->range.low - offset, axis->range.high - offset};
    double largest = fmax(fabs(range.low), fabs(range.high)), step = tic_step(range, shown > 4 ? 3 : 5);
    char text[32];
    if (strlen(tic_text(ceil(range.low / step) * step, largest, step, text)) > 5) step = tic_step(range, 2);
    fprintf(script, "set %stics norotate (", axis_name);
    const char *separator = "";
    /* A label at the very end would run into the next panel's. */
    double end = *axis_name == 'x' && shown > 1 ? range.high - 0.06 * (range.high - range.low) : range.high;
    for (double i = ceil(range.low / step); i <= end / step; i++) {
        double value = i * step + 0.0; /* never -0 */
        fprintf(script, "%s'%s' %.15g", separator, tic_text(value, largest, step, text), offset + value);
        separator = ", ";
    }
    fprintf(script, ")\n");
}

/* What there is room for, of whole letters. */
static void shorten(const char *label, char text[static LABEL_BYTES + 8])
{
    size_t length = strlen(label);
    bool cut = length > LABEL_BYTES + 2;
    if (cut)
        for (length = LABEL_BYTES; length > 0 && (label[length] & 0xc0) == 0x80;) length--;
    snprintf(text, LABEL_BYTES + 8, "%.*s%s", (int)length, label, cut ? "…" : "");
}

static void set_tics(FILE *script, const char *axis_name, const struct axis *axis, size_t shown)
{
    if (!axis->labels) {
        set_number_tics(script, axis_name, axis, shown);
        return;
    }
    size_t count = axis->bins, stride = (count + MOST_LABELS - 1) / MOST_LABELS;
    long low = (long)ceil(axis->range.low);
    fprintf(script, "set %stics %s noenhanced font ',11' (", axis_name,
            *axis_name == 'x' ? "rotate by -40" : "norotate");
    for (size_t i = 0; i < count; i += stride) {
        char text[LABEL_BYTES + 8];
        long label = low + (long)i;
        shorten(label >= 0 ? axis->labels[label] : "", text);
        fprintf(script, "%s", i > 0 ? ", " : "");
        gnuplot_quote(script, text);
        fprintf(script, " %ld", label);
    }
    fprintf(script, ")\n");
}

/* Axes of column `across` against column `row`, labelled at the left and at the foot of the corner. */
static void set_axes(FILE *script, size_t row, size_t across, size_t shown, const struct axis *axes, char **names)
{
    panel_ranges(script, axes[across].range, axes[row].range);
    set_tics(script, "x", &axes[across], shown);
    set_tics(script, "y", &axes[row], shown);
    if (row == shown - 1)
        panel_label(script, "x", names, across);
    else
        fprintf(script, "unset xtics; unset xlabel\n");
    if (row == across)
        fprintf(script, "set yrange [0:*]; set offsets 0, 0, graph 0.05, 0; unset ytics; unset ylabel\n");
    else if (across == 0)
        panel_label(script, "y", names, row);
    else
        fprintf(script, "unset ytics; unset ylabel\n");
}

static void draw_histogram(FILE *script, const struct picture *picture, size_t column, const struct axis *axis,
                           struct histogram histogram)
{
    bool crowded = picture->samples->columns > 4;
    if (histogram.missing_data > 0 || histogram.missing_samples > 0) {
        char data[32] = "";
        if (picture->data) snprintf(data, sizeof data, "%.1f %%, ", 100 * histogram.missing_data);
        fprintf(script,
                "set label 'missing %s%.1f %%' at graph 0.97, graph 0.9 right font ',%d'\n"
                "set offsets 0, 0, graph 0.25, 0\n",
                data, 100 * histogram.missing_samples, crowded ? 10 : 13);
    }
    const char *separator = "plot ";
    for (int layer = picture->data ? 0 : 1; layer < 2; layer++) {
        const char *colour = layer == 0 ? data_colour : sample_colour, *title = layer == 0 ? "data" : "samples";
        if (axis->bars)
            fprintf(script, "%s$histogram%zu using ($1%+.3g):%d:(0.38) with boxes fs solid 0.6 lc rgb '%s' title '%s'",
                    separator, column, picture->data ? 0.2 * (2 * layer - 1) : 0, layer + 2, colour, title);
        else
            fprintf(script, "%s$histogram%zu using 1:%d with histeps lw 2 lc rgb '%s' title '%s'", separator, column,
                    layer + 2, colour, title);
        separator = ", ";
    }
    fprintf(script, "\n");
}

static void draw_panels(FILE *script, const struct picture *picture, const struct axis *axes,
                        const struct histogram *histograms, bool loss)
{
    size_t shown = picture->samples->columns;
    double width = (shown > 1 ? 0.905 : 0.44) / (double)shown, height = 0.84 / (double)shown, top = 0.92;
    for (size_t row = 0; row < shown; row++) {
        for (size_t column = 0; column <= row; column++) {
            struct box box = {0.075 + width * (double)column, 0, 0, top - height * (double)row};
            box.right = box.left + 0.94 * width;
            box.bottom = box.top - 0.94 * height;
            panel_begin(script, box, "");
            set_axes(script, row, column, shown, axes, picture->samples->names);
            if (shown == 1) fprintf(script, "set ytics auto; set ylabel 'density'\n");
            if (row == 0)
                fprintf(script, shown > 2 ? "set key left at graph 1.05, graph 0.95\n" : "set key top right\n");
            if (row == column) {
                draw_histogram(script, picture, row, &axes[row], histograms[row]);
                continue;
            }
            fprintf(script, "plot $points using %zu:%zu:%zu with points pt 7 ps dot / 2 lc rgb variable notitle\n",
                    column + 1, row + 1, shown + 1);
        }
    }
    /* What the corner leaves free. */
    size_t free_from = shown > 3 ? (shown + 1) / 2 : shown > 2 ? 2 : 1;
    struct box box = {0.155 + width * (double)free_from, 0.98, 0.08, top};
    if (shown > 1) box.bottom = top - height * (double)free_from + 0.07;
    if (shown == 1) box.left = 0.6;
    if (loss) loss_draw(script, box, picture->record);
}

ad_status pairs_draw(FILE *script, const struct picture *picture, const char *title, bool loss, ad_error *error)
{
    struct axis axes[PAIRS_MOST];
    struct histogram histograms[PAIRS_MOST];
    size_t shown = picture->samples->columns, rows = picture->samples->rows;
    if (picture->data && picture->data->rows > rows) rows = picture->data->rows;
    double *room = ad_alloc(rows, sizeof *room);
    if (!room) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a picture of %zu rows", rows);
    for (size_t c = 0; c < shown; c++) {
        axes[c] = axis_of(picture, c, room);
        histograms[c] = write_histogram(script, picture, c, &axes[c]);
    }
    ad_free(room);
    write_points(script, picture, axes);
    panels_title(script, title);
    draw_panels(script, picture, axes, histograms, loss);
    return AD_OK;
}
