/* The picture of any number of columns: each by itself, and each two of them. */
#include "pictures/pairs_picture.h"
#include "pictures/axis.h"
#include "pictures/loss_panel.h"

#include <math.h>

enum { DIGIT = 13 };            /* its width, in pixels */
enum { CROWD = 4, NARROW = 8 }; /* columns from which on there is less room for each, and the canvas grows */

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
static void write_point(FILE *script, const nf_table *table, size_t row, const struct axis *axes, int is_data)
{
    for (size_t c = 0; c < table->columns; c++) {
        double value = table->values[row * table->columns + c];
        if (axes[c].whole && value == floor(value)) value += 0.6 * (scattered(row, c) - 0.5);
        fprintf(script, "%.15g ", axis_position(&axes[c], value));
    }
    fprintf(script, "%d\n", is_data);
}

/* Samples and data by turns, evenly taken. */
static void write_points(FILE *script, const struct picture *picture, const struct axis *axes)
{
    const nf_table *data = picture->data, *samples = picture->samples;
    size_t columns = samples->columns, panels = columns * (columns - 1) / 2;
    size_t most = panels > 6 ? 6 * PANEL_POINTS / panels : PANEL_POINTS;
    size_t count = samples->rows < most ? samples->rows : most;
    if (data && data->rows < count) count = data->rows;
    fprintf(script, "$points << EOD\n");
    for (size_t i = 0; i < count; i++) {
        double part = (double)i / (double)count;
        write_point(script, samples, (size_t)(part * (double)samples->rows), axes, 0);
        if (data) write_point(script, data, (size_t)(part * (double)data->rows), axes, 1);
    }
    fprintf(script, "EOD\n");
}

/* Into density[i]: that of bin i. What lies outside of the bins counts as well. Returns the part that is missing. */
static double count_bins(const nf_table *table, size_t column, const struct axis *axis, double *density)
{
    double low = axis->binned.low, width = (axis->binned.high - low) / (double)axis->bins;
    size_t missing = 0;
    for (size_t i = 0; i < axis->bins; i++) density[i] = 0;
    for (size_t r = 0; r < table->rows; r++) {
        double value = table->values[r * table->columns + column], position = axis_position(axis, value);
        double bin = position == axis->binned.high ? (double)axis->bins - 1 : floor((position - low) / width);
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
    double data[MOST_BINS] = {0}, samples[MOST_BINS];
    struct histogram histogram = {0};
    if (picture->data) histogram.missing_data = count_bins(picture->data, column, axis, data);
    histogram.missing_samples = count_bins(picture->samples, column, axis, samples);
    double width = (axis->binned.high - axis->binned.low) / (double)axis->bins;
    fprintf(script, "$histogram%zu << EOD\n", column);
    for (size_t i = 0; i < axis->bins; i++)
        fprintf(script, "%.15g %.8g %.8g\n", axis->binned.low + width * ((double)i + 0.5), data[i], samples[i]);
    fprintf(script, "EOD\n");
    return histogram;
}

/* ---- Panels ----------------------------------------------------------------------------------------------------- */

/* Axes of column `across` against column `row`, labelled at the left and at the foot of the corner. */
static void set_axes(FILE *script, size_t row, size_t across, size_t shown, int tics, const struct axis *axes,
                     char **names)
{
    enum { LETTER = 16 }; /* its width */
    int width, height;
    pairs_size(shown, &width, &height);
    const size_t along = (size_t)width / shown / LETTER, up = (size_t)height / shown / LETTER - 1;
    const bool alike = axis_names_alike(names, shown, up < along ? up : along);
    axes_set(script, &axes[across], &axes[row], tics);
    if (row == shown - 1)
        axis_label(script, "x", names, across, along, "", alike);
    else
        fprintf(script, "unset xtics\n");
    if (row == across)
        fprintf(script, "set yrange [0:*]; set offsets 0, 0, graph 0.05, 0; unset ytics\n");
    else if (across == 0)
        axis_label(script, "y", names, row, up, "", alike);
    else
        fprintf(script, "unset ytics\n");
    if (shown > 1) return;
    fprintf(script, "set ytics out nomirror auto; yoffset = ''\n");
    panel_label(script, "y", axes->bars ? "probability" : axis_is_plain(axes) ? "density" : "density, per decade", "");
}

/* What of a column the histogram hasn't. */
static void note_absent(FILE *script, const struct picture *picture, const struct axis *axis,
                        struct histogram histogram)
{
    char outside[32], missing[80] = "";
    axis_note(axis, outside);
    if (picture->data && histogram.missing_data + histogram.missing_samples > 0)
        snprintf(missing, sizeof missing, " missing %.1f %%, %.1f %%", 100 * histogram.missing_data,
                 100 * histogram.missing_samples);
    else if (histogram.missing_samples > 0)
        snprintf(missing, sizeof missing, " missing %.1f %%", 100 * histogram.missing_samples);
    if (!*outside && !*missing) return;
    fprintf(script,
            "set label '%s%s' at graph 0.97, graph 0.9 right font %s textcolor rgb ink\n"
            "set offsets 0, 0, graph 0.25, 0\n",
            outside, missing, picture->samples->columns > CROWD ? "tiny" : "small");
}

static void draw_histogram(FILE *script, const struct picture *picture, size_t column, const struct axis *axis)
{
    const char *separator = "plot ";
    for (int layer = picture->data ? 0 : 1; layer < 2; layer++) {
        const char *name = layer == 0 ? "data" : "sample";
        char title[64];
        snprintf(title, sizeof title, layer == 0 ? "data" : "samples");
        if (layer == 0 && picture->near > 0)
            snprintf(title, sizeof title, "%zu data of nearest context", picture->near);
        fprintf(script, "%s$histogram%zu using ", separator, column);
        if (axis->bars)
            fprintf(script, "($1%+.3g):%d:(%.3g) with boxes fs solid 0.6", picture->data ? 0.2 * (2 * layer - 1) : 0,
                    layer + 2, picture->data ? 0.38 : 0.76);
        else
            fprintf(script, "1:%d with histeps lw 2", layer + 2);
        fprintf(script, " lc rgb %s_colour title '%s'", name, title);
        separator = ", ";
    }
    fprintf(script, "\n");
}

static void draw_panels(FILE *script, const struct canvas *canvas, const struct picture *picture,
                        const struct axis *axes, const struct histogram *histograms, bool loss)
{
    size_t shown = picture->samples->columns;
    const double top = shown > 1 ? 0.92 : 0.88, width = (shown > 1 || !loss ? 0.905 : 0.44) / (double)shown;
    const double height = (shown > 1 ? 0.84 : 0.82) / (double)shown;
    int across, up;
    pairs_size(shown, &across, &up);
    const int tics = canvas_is_text(canvas) ? 10 : (int)(0.94 * width * across / DIGIT);
    for (size_t row = 0; row < shown; row++) {
        for (size_t column = 0; column <= row; column++) {
            struct box box = {0.075 + width * (double)column, 0, 0, top - height * (double)row};
            box.right = box.left + 0.94 * width;
            box.bottom = box.top - 0.94 * height;
            panel_begin(script, box, "");
            set_axes(script, row, column, shown, tics, axes, picture->samples->names);
            if (row == 0) fprintf(script, "set key %s\n", shown > 2 ? "left at graph 1.05, graph 0.95" : "@key_place");
            if (row == column) {
                note_absent(script, picture, &axes[row], histograms[row]);
                draw_histogram(script, picture, row, &axes[row]);
                continue;
            }
            fprintf(script,
                    "plot $points using %zu:%zu:($%zu == 1 ? data_colour_number : sample_colour_number) "
                    "with points pt mark ps dot / 2 lc rgb variable notitle\n",
                    column + 1, row + 1, shown + 1);
        }
    }
    /* What the corner leaves free. */
    size_t free_from = shown > 3 ? (shown + 1) / 2 : shown > 2 ? 2 : 1;
    struct box box = {0.155 + width * (double)free_from, 0.98, 0.11, top};
    if (shown > 1) box.bottom = top - height * (double)free_from + 0.07;
    if (shown == 1) box.left = 0.6;
    if (loss) loss_draw(script, box, picture->record);
}

void pairs_size(size_t columns, int *width, int *height)
{
    enum { HEIGHT = 1400 };
    double more = columns > NARROW ? (double)columns / NARROW : 1;
    *width = (int)(PICTURE_WIDTH * more);
    *height = (int)((columns > 1 ? HEIGHT : PICTURE_HEIGHT) * more);
}

ad_status pairs_draw(FILE *script, const struct canvas *canvas, const struct picture *picture, const char *title,
                     bool loss, ad_error *error)
{
    struct axis axes[PAIRS_MOST];
    struct histogram histograms[PAIRS_MOST];
    for (size_t c = 0; c < picture->samples->columns; c++) {
        if (axis_of(picture, c, &axes[c], error)) return error->status;
        histograms[c] = write_histogram(script, picture, c, &axes[c]);
    }
    write_points(script, picture, axes);
    panels_title(script, canvas, title);
    draw_panels(script, canvas, picture, axes, histograms, loss);
    return AD_OK;
}
