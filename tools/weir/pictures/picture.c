/* The picture of a trained flow, as a gnuplot script. */
#include "pictures/picture.h"
#include "columns.h"
#include "context.h"
#include "files.h"
#include "pictures/gnuplot.h"
#include "pictures/inference_picture.h"
#include "pictures/panels.h"
#include "report.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { CORNER_HEIGHT = 1400, GRID = 400 };

/* ---- Numbers -------------------------------------------------------------------------------------------------- */

/* What a feature's values span, in the data where there are any. */
static struct range range_of(const struct picture *picture, size_t feature)
{
    return range_of_column(picture->data ? picture->data : picture->samples, feature);
}

/* Lines of epoch, train and validation loss; NaN where there is none. */
static size_t write_history(FILE *script, const json_t *record)
{
    const json_t *history = json_object_get(record, "history"), *epoch = json_object_get(history, "epoch"),
                 *train_nll = json_object_get(history, "train_nll"), *val_nll = json_object_get(history, "val_nll");
    size_t count = json_array_size(epoch);
    if (count == 0) return 0;
    fprintf(script, "$loss << EOD\n");
    for (size_t i = 0; i < count; i++) {
        const json_t *train = json_array_get(train_nll, i), *val = json_array_get(val_nll, i);
        fprintf(script, "%lld %.8g %.8g\n", json_integer_value(json_array_get(epoch, i)),
                json_is_number(train) ? json_number_value(train) : NAN,
                json_is_number(val) ? json_number_value(val) : NAN);
    }
    fprintf(script, "EOD\n");
    return count;
}

/* ---- Panels -------------------------------------------------------------------------------------------------- */

/* The fall of the first epochs may leave the picture: what matters is where the curves end. */
static struct range loss_range(const json_t *record)
{
    static const char *const names[] = {"train_nll", "val_nll"};
    struct range range = {INFINITY, -INFINITY};
    for (size_t n = 0; n < 2; n++) {
        const json_t *losses = json_object_get(json_object_get(record, "history"), names[n]), *loss;
        size_t i, count = json_array_size(losses);
        json_array_foreach(losses, i, loss)
        {
            if (!json_is_number(loss)) continue;
            range.low = fmin(range.low, json_number_value(loss));
            if (i >= count / 20) range.high = fmax(range.high, json_number_value(loss));
        }
    }
    return with_margin(range);
}

static void draw_loss(FILE *script, struct box box, const json_t *record)
{
    if (json_object_get(record, "target")) {
        inference_curve(script, box, record, INFERENCE_LOSS);
        return;
    }
    long long best = report_count_of(record, "best_epoch"), epochs = report_count_of(record, "epochs");
    double val_nll = report_number_of(record, "val_nll"), test_nll = report_number_of(record, "test_nll");
    bool validation = report_count_of(record, "val_rows") > 0;
    char title[160];
    size_t filled = (size_t)snprintf(title, sizeof title, "Loss");
    if (!isnan(val_nll))
        filled += (size_t)snprintf(title + filled, sizeof title - filled, ": validation %.3f", val_nll);
    if (!isnan(test_nll)) snprintf(title + filled, sizeof title - filled, ", test %.3f nats", test_nll);
    panel_begin(script, box, title);
    panel_ranges(script, (struct range){0, (double)epochs}, loss_range(record));
    fprintf(script, "set xlabel 'epoch'; set ylabel 'negative log-likelihood (nats)'.yoffset; set key top right\n");
    if (best > 0)
        fprintf(script,
                "set arrow from %lld, graph 0 to %lld, graph 0.58 nohead dt 2 lw 1.5 lc rgb '#808080'\n"
                "set label ' best epoch: %lld ' at %lld, graph 0.63 %s textcolor rgb '#606060'\n",
                best, best, best, best, 2 * best > epochs ? "right" : "left");
    fprintf(script, "plot $loss using 1:2 with lines lw 2.5 lc rgb '%s' title 'training'", data_colour);
    if (validation)
        fprintf(script, ", $loss using 1:3 with lines lw 2.5 lc rgb '%s' title 'validation'", sample_colour);
    fprintf(script, "\n");
}

/* The part of a box that shows the plane without distortion. */
static struct box undistorted(struct box box, struct range x, struct range y)
{
    return panel_equal_units(box, x, y, PICTURE_WIDTH, PICTURE_HEIGHT);
}

static void draw_density(FILE *script, struct box box, const struct grid *grid, char **names)
{
    panel_begin(script, undistorted(box, grid->x, grid->y), "Density of the flow");
    panel_ranges(script, grid->x, grid->y);
    panel_label(script, "x", names, 0);
    panel_label(script, "y", names, 1);
    panel_heat_map(script, "density", grid);
}

/* Samples, or the data: one panel for each, since the upper would hide the lower. */
static void draw_points(FILE *script, struct box box, struct range x, struct range y, char **names, const char *block,
                        const char *title, const char *colour)
{
    panel_begin(script, undistorted(box, x, y), title);
    panel_ranges(script, x, y);
    panel_label(script, "x", names, 0);
    panel_label(script, "y", names, 1);
    fprintf(script, "plot $%s using 1:2 with points pt 7 ps dot lc rgb '%s' notitle\n", block, colour);
}

static ad_status draw_plane(FILE *script, const struct picture *picture, const char *title, char **names, bool loss,
                            ad_error *error)
{
    struct range x = range_of(picture, 0), y = range_of(picture, 1);
    struct grid grid;
    ad_status status = grid_make(&grid, x, y, GRID, error);
    struct context context = {0};
    if (!status)
        status = context_repeat(picture->context, nf_flow_context_size(picture->flow), GRID * GRID, &context, error);
    if (!status)
        status = nf_log_prob(picture->flow, grid.points, context.values, GRID * GRID, grid.log_density, picture->pool,
                             error);
    context_free(&context);
    if (!status) {
        grid_write(script, "density", &grid, 0);
        panels_title(script, title);
        draw_density(script, (struct box){0.075, 0.46, 0.58, 0.91}, &grid, names);
    }
    grid_free(&grid);
    if (status) return status;
    draw_points(script, (struct box){0.595, 0.98, 0.58, 0.91}, x, y, names, "samples", "Samples of the flow",
                sample_colour);
    if (picture->data)
        draw_points(script, (struct box){0.075, 0.46, 0.09, 0.42}, x, y, names, "data",
                    picture->context ? "Data, of any context" : "Data", data_colour);
    if (loss) draw_loss(script, (struct box){picture->data ? 0.595 : 0.075, 0.98, 0.09, 0.42}, picture->record);
    return AD_OK;
}

/* How often each value of a feature comes up, data against samples. */
static void draw_histogram(FILE *script, const struct picture *picture, size_t feature, struct range range)
{
    const struct {
        const char *name, *colour;
        const nf_table *table;
    } layers[] = {{"data", data_colour, picture->data}, {"samples", sample_colour, picture->samples}};
    const char *separator = "plot ";
    for (size_t i = 0; i < 2; i++) {
        if (!layers[i].table) continue;
        size_t rows = layers[i].table->rows;
        double shown = (double)(rows < PANEL_POINTS ? rows : PANEL_POINTS);
        fprintf(script, "%s$%s using %zu:(%.8g) bins=50 binrange [%.15g:%.15g] with steps lw 2 lc rgb '%s' title '%s'",
                separator, layers[i].name, feature + 1, 50 / (shown * (range.high - range.low)), range.low, range.high,
                layers[i].colour, layers[i].name);
        separator = ", ";
    }
    fprintf(script, "\n");
}

/* Axes of feature `column` against feature `row`, labelled at the left and at the foot of the corner. */
static void set_corner_axes(FILE *script, size_t row, size_t column, bool foot, const struct range *ranges,
                            char **names)
{
    panel_ranges(script, ranges[column], ranges[row]);
    panel_tics(script, "x", ranges[column]);
    panel_tics(script, "y", ranges[row]);
    if (foot)
        panel_label(script, "x", names, column);
    else
        panel_without_tics(script, "x");
    if (row == column)
        fprintf(script, "set yrange [0:*]; set offsets 0, 0, graph 0.05, 0; unset ytics; unset ylabel\n");
    else if (column == 0)
        panel_label(script, "y", names, row);
    else
        panel_without_tics(script, "y");
}

/* Each feature by itself on the diagonal, each two of them below. */
static void draw_corner(FILE *script, const struct picture *picture, const char *title, char **names, bool loss)
{
    size_t dim = picture->samples->columns, shown = dim < PANEL_FEATURES ? dim : PANEL_FEATURES;
    struct range ranges[PANEL_FEATURES];
    for (size_t i = 0; i < shown; i++) ranges[i] = range_of(picture, i);
    panels_title(script, title);
    double width = (shown > 1 ? 0.905 : 0.44) / (double)shown, height = 0.84 / (double)shown, top = 0.92;
    for (size_t row = 0; row < shown; row++) {
        for (size_t column = 0; column <= row; column++) {
            struct box box = {0.075 + width * (double)column, 0, 0, top - height * (double)row};
            box.right = box.left + 0.94 * width;
            box.bottom = box.top - 0.94 * height;
            panel_begin(script, box, "");
            set_corner_axes(script, row, column, row == shown - 1, ranges, names);
            if (shown == 1) fprintf(script, "set ytics auto; set ylabel 'density'\n");
            if (row == 0)
                fprintf(script, shown > 1 ? "set key left at graph 1.05, graph 0.95\n" : "set key top right\n");
            if (row == column) {
                draw_histogram(script, picture, row, ranges[row]);
                continue;
            }
            fprintf(script, "plot $samples using %zu:%zu with points pt 7 ps dot / 2 lc rgb '%s' notitle", column + 1,
                    row + 1, sample_colour);
            if (picture->data)
                fprintf(script, ", $data using %zu:%zu with points pt 7 ps dot / 2 lc rgb '%s' notitle", column + 1,
                        row + 1, data_colour);
            fprintf(script, "\n");
        }
    }
    struct box box = {0.155 + 2 * width, 0.98, 0.08, top};
    if (shown > 1) box.bottom = top - 2 * height + 0.07;
    if (shown == 1) box.left = 0.6;
    if (loss) draw_loss(script, box, picture->record);
}

/* ---- The whole ------------------------------------------------------------------------------------------------ */

ad_status picture_check_name(const char *path, ad_error *error)
{
    const char *dot = strrchr(path, '.');
    if (dot && (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".svg") == 0)) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "'%s': a picture's name ends in .png or .svg", path);
}

ad_status picture_draw(const struct picture *picture, const char *path, ad_error *error)
{
    FILE *script = gnuplot_begin(error);
    if (!script) return error->status;
    bool plane = picture->samples->columns == 2;
    panels_begin(script, path, PICTURE_WIDTH, picture->samples->columns > 2 ? CORNER_HEIGHT : PICTURE_HEIGHT);
    char **names = feature_names(picture->record, picture->samples->columns);
    char *formula = nf_flow_formula(picture->flow, false), title[512];
    const char *given = json_string_value(json_object_get(picture->record, "context"));
    int length = snprintf(title, sizeof title, "%.300s", formula ? formula : "");
    if (picture->context)
        snprintf(title + length, sizeof title - (size_t)length, ", given %.80s = %.100s", given ? given : "context",
                 picture->context);
    bool fitted = json_object_get(picture->record, "target") != NULL;
    bool loss = (fitted ? inference_history(script, picture->record) : write_history(script, picture->record)) > 0;
    if (picture->data) points_write(script, "data", picture->data);
    points_write(script, "samples", picture->samples);
    ad_status status = AD_OK;
    if (plane)
        status = draw_plane(script, picture, title, names, loss, error);
    else
        draw_corner(script, picture, title, names, loss);
    panels_end(script);
    ad_free(formula);
    ad_free(names);
    if (!status) return gnuplot_finish(script, path, error);
    fclose(script);
    return status;
}
