/* The picture of a trained flow, as a gnuplot script. */
#include "picture.h"
#include "files.h"
#include "gnuplot.h"
#include "report.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { WIDTH = 1600, HEIGHT = 1000, CORNER_HEIGHT = 1400, GRID = 400, MOST_POINTS = 10000, MOST_FEATURES = 4 };

static const char data_colour[] = "#31688e", sample_colour[] = "#d95f02";

/* Part of the canvas that a panel's axes enclose, in fractions. */
struct box {
    double left, right, bottom, top;
};

struct range {
    double low, high;
};

/* ---- Numbers -------------------------------------------------------------------------------------------------- */

static struct range with_margin(struct range range)
{
    if (range.high < range.low) return (struct range){-1, 1}; /* of nothing */
    double margin = range.high > range.low ? 0.05 * (range.high - range.low) : 1;
    return (struct range){range.low - margin, range.high + margin};
}

/* What a feature's values span, in the data where there are any, with a margin of 5 %. */
static struct range range_of(const struct picture *picture, size_t feature)
{
    const nf_table *table = picture->data ? picture->data : picture->samples;
    struct range range = {INFINITY, -INFINITY};
    for (size_t r = 0; r < table->rows; r++) {
        double value = table->values[r * table->columns + feature];
        if (!isfinite(value)) continue;
        range.low = fmin(range.low, value);
        range.high = fmax(range.high, value);
    }
    return with_margin(range);
}

/* At most so many rows, evenly taken. */
static void write_points(FILE *script, const char *name, const nf_table *table)
{
    size_t shown = table->rows < MOST_POINTS ? table->rows : MOST_POINTS;
    size_t columns = table->columns < MOST_FEATURES ? table->columns : MOST_FEATURES;
    fprintf(script, "$%s << EOD\n", name);
    for (size_t i = 0; i < shown; i++) {
        const double *row = table->values + (size_t)((double)i / (double)shown * (double)table->rows) * table->columns;
        for (size_t c = 0; c < columns; c++) fprintf(script, "%.10g ", row[c]);
        fprintf(script, "\n");
    }
    fprintf(script, "EOD\n");
}

/* The density at the centres of GRID x GRID cells, a line for each y. */
static ad_status write_density(FILE *script, const struct picture *picture, struct range x, struct range y,
                               ad_error *error)
{
    size_t cells = (size_t)GRID * GRID;
    double *points = ad_alloc(cells, 3 * sizeof *points);
    if (!points) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the density");
    double *log_prob = points + 2 * cells;
    for (size_t i = 0; i < cells; i++) {
        points[2 * i] = x.low + (x.high - x.low) * ((double)(i % GRID) + 0.5) / GRID;
        points[2 * i + 1] = y.low + (y.high - y.low) * ((double)(i / GRID) + 0.5) / GRID;
    }
    ad_status status = nf_log_prob(picture->flow, points, NULL, cells, log_prob, picture->pool, error);
    fprintf(script, "$density << EOD\n");
    for (size_t i = 0; i < cells; i++) fprintf(script, "%.5g%c", exp(log_prob[i]), (i + 1) % GRID ? ' ' : '\n');
    fprintf(script, "EOD\n");
    ad_free(points);
    return status;
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

/* With names the column's own, else its number. */
static void write_label(FILE *script, const char *axis, char **names, size_t feature)
{
    char text[32];
    snprintf(text, sizeof text, "feature %zu", feature + 1);
    fprintf(script, "set %slabel ", axis);
    gnuplot_quote(script, names ? names[feature] : text);
    fprintf(script, " noenhanced\n");
}

/* Behind the data, and before what is drawn of them. */
static void begin_panels(FILE *script)
{
    fprintf(script, "set multiplot title formula noenhanced font ',18'\n");
}

static void begin_panel(FILE *script, struct box box, const char *title)
{
    fprintf(script,
            "set lmargin at screen %g; set rmargin at screen %g; set bmargin at screen %g; set tmargin at screen %g\n"
            "unset arrow; unset label; set key default; unset key; unset offsets; set autoscale; set size noratio; set "
            "format '%%g'\n"
            "set xtics out nomirror auto; set ytics out nomirror auto\n",
            box.left, box.right, box.bottom, box.top);
    fprintf(script, "set title '%s'\n", title);
}

/* The largest part of a box in which one unit is as long on both axes; the whole box if that would leave a sliver. */
static struct box equal_units(struct box box, struct range x, struct range y)
{
    double width = (box.right - box.left) * WIDTH, height = (box.top - box.bottom) * HEIGHT;
    double stretch = (y.high - y.low) / (x.high - x.low) * width / height;
    if (stretch < 0.25 || stretch > 4) return box;
    if (stretch <= 1)
        box.bottom = box.top - (box.top - box.bottom) * stretch;
    else
        box.right = box.left + (box.right - box.left) / stretch;
    return box;
}

static void set_ranges(FILE *script, struct range x, struct range y)
{
    fprintf(script, "set xrange [%.10g:%.10g]; set yrange [%.10g:%.10g]\n", x.low, x.high, y.low, y.high);
}

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
    long long best = report_count_of(record, "best_epoch"), epochs = report_count_of(record, "epochs");
    double val_nll = report_number_of(record, "val_nll"), test_nll = report_number_of(record, "test_nll");
    bool validation = report_count_of(record, "val_rows") > 0;
    char title[160];
    size_t filled = (size_t)snprintf(title, sizeof title, "Loss");
    if (!isnan(val_nll))
        filled += (size_t)snprintf(title + filled, sizeof title - filled, ": validation %.3f", val_nll);
    if (!isnan(test_nll)) snprintf(title + filled, sizeof title - filled, ", test %.3f nats", test_nll);
    begin_panel(script, box, title);
    set_ranges(script, (struct range){0, (double)epochs}, loss_range(record));
    fprintf(script, "set xlabel 'epoch'; set ylabel 'negative log-likelihood (nats)'; set key top right\n");
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

static void draw_density(FILE *script, struct box box, struct range x, struct range y, char **names)
{
    begin_panel(script, equal_units(box, x, y), "Density of the flow");
    set_ranges(script, x, y);
    write_label(script, "x", names, 0);
    write_label(script, "y", names, 1);
    double dx = (x.high - x.low) / GRID, dy = (y.high - y.low) / GRID;
    fprintf(script, "plot $density matrix using (%.10g + $1 * %.10g):(%.10g + $2 * %.10g):3 with image notitle\n",
            x.low + dx / 2, dx, y.low + dy / 2, dy);
}

/* Samples, or the data: one panel for each, since the upper would hide the lower. */
static void draw_points(FILE *script, struct box box, struct range x, struct range y, char **names, const char *block,
                        const char *title, const char *colour)
{
    begin_panel(script, equal_units(box, x, y), title);
    set_ranges(script, x, y);
    write_label(script, "x", names, 0);
    write_label(script, "y", names, 1);
    fprintf(script, "plot $%s using 1:2 with points pt 7 ps dot lc rgb '%s' notitle\n", block, colour);
}

static ad_status draw_plane(FILE *script, const struct picture *picture, char **names, bool loss, ad_error *error)
{
    struct range x = range_of(picture, 0), y = range_of(picture, 1);
    ad_status status = write_density(script, picture, x, y, error);
    if (status) return status;
    begin_panels(script);
    draw_density(script, (struct box){0.075, 0.46, 0.58, 0.91}, x, y, names);
    draw_points(script, (struct box){0.595, 0.98, 0.58, 0.91}, x, y, names, "samples", "Samples of the flow",
                sample_colour);
    if (picture->data)
        draw_points(script, (struct box){0.075, 0.46, 0.09, 0.42}, x, y, names, "data", "Data", data_colour);
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
        double shown = (double)(rows < MOST_POINTS ? rows : MOST_POINTS);
        fprintf(script, "%s$%s using %zu:(%.8g) bins=50 binrange [%.10g:%.10g] with steps lw 2 lc rgb '%s' title '%s'",
                separator, layers[i].name, feature + 1, 50 / (shown * (range.high - range.low)), range.low, range.high,
                layers[i].colour, layers[i].name);
        separator = ", ";
    }
    fprintf(script, "\n");
}

/* A step of 1, 2 or 5 times a power of ten that puts five tics or fewer on an axis. */
static double tic_step(struct range range)
{
    double least = (range.high - range.low) / 5, power = pow(10, floor(log10(least)));
    return power * (least <= 2 * power ? 2 : least <= 5 * power ? 5 : 10);
}

/* Axes of feature `column` against feature `row`, labelled at the left and at the foot of the corner. */
static void set_corner_axes(FILE *script, size_t row, size_t column, bool foot, const struct range *ranges,
                            char **names)
{
    set_ranges(script, ranges[column], ranges[row]);
    fprintf(script, "set xtics %.3g; set ytics %.3g\n", tic_step(ranges[column]), tic_step(ranges[row]));
    if (foot)
        write_label(script, "x", names, column);
    else
        fprintf(script, "set format x ''; unset xlabel\n");
    if (row == column)
        fprintf(script, "set yrange [0:*]; set offsets 0, 0, graph 0.05, 0; unset ytics; unset ylabel\n");
    else if (column == 0)
        write_label(script, "y", names, row);
    else
        fprintf(script, "set format y ''; unset ylabel\n");
}

/* Each feature by itself on the diagonal, each two of them below. */
static void draw_corner(FILE *script, const struct picture *picture, char **names, bool loss)
{
    size_t dim = picture->samples->columns, shown = dim < MOST_FEATURES ? dim : MOST_FEATURES;
    struct range ranges[MOST_FEATURES];
    for (size_t i = 0; i < shown; i++) ranges[i] = range_of(picture, i);
    begin_panels(script);
    double width = (shown > 1 ? 0.905 : 0.44) / (double)shown, height = 0.84 / (double)shown, top = 0.92;
    for (size_t row = 0; row < shown; row++) {
        for (size_t column = 0; column <= row; column++) {
            struct box box = {0.075 + width * (double)column, 0, 0, top - height * (double)row};
            box.right = box.left + 0.94 * width;
            box.bottom = box.top - 0.94 * height;
            begin_panel(script, box, "");
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

static bool is_svg(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && strcasecmp(dot, ".svg") == 0;
}

ad_status picture_check_name(const char *path, ad_error *error)
{
    const char *dot = strrchr(path, '.');
    if (dot && (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".svg") == 0)) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "'%s': a picture's name ends in .png or .svg", path);
}

/* The palette is viridis (van der Walt & Smith 2015): equal steps look equal, also to the colour-blind and in grey. */
static void begin_picture(FILE *script, bool svg, size_t dim)
{
    fprintf(script,
            svg ? "set terminal svg size %d,%d font 'Sans,17' background rgb 'white'; dot = 0.15\n"
                : "set terminal pngcairo size %d,%d font 'Sans,15'; dot = 0.3\n",
            WIDTH, dim > 2 ? CORNER_HEIGHT : HEIGHT);
    fprintf(script,
            "set encoding utf8\n"
            "set datafile missing 'nan'\n"
            "set border lw 1.2 lc rgb '#404040'\n"
            "set tics out nomirror scale 0.6\n"
            "set palette defined (0 '#440154', 1 '#472c7a', 2 '#3b518b', 3 '#2c718e', 4 '#21908d', 5 '#27ad81', "
            "6 '#5cc863', 7 '#aadc32', 8 '#fde725')\n");
}

ad_status picture_draw(const struct picture *picture, const char *path, ad_error *error)
{
    FILE *script = gnuplot_begin(error);
    if (!script) return error->status;
    begin_picture(script, is_svg(path), picture->samples->columns);
    char **names = column_names(picture->record, picture->samples->columns);
    char *formula = nf_flow_formula(picture->flow, false);
    fprintf(script, "formula = ");
    gnuplot_quote(script, formula ? formula : "");
    fprintf(script, "\n");
    ad_free(formula);
    bool loss = write_history(script, picture->record) > 0;
    if (picture->data) write_points(script, "data", picture->data);
    write_points(script, "samples", picture->samples);
    ad_status status = AD_OK;
    if (picture->samples->columns == 2)
        status = draw_plane(script, picture, names, loss, error);
    else
        draw_corner(script, picture, names, loss);
    fprintf(script, "unset multiplot\n");
    ad_free(names);
    if (!status) return gnuplot_finish(script, path, error);
    fclose(script);
    return status;
}
