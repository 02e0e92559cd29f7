/* The picture of a flow that was fitted to a target, as a gnuplot script. */
#include "pictures/target_picture.h"
#include "pictures/gnuplot.h"
#include "pictures/inference_picture.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>

enum { GRID = 300, BINS = 60 };

/* ---- What is shown -------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What most of a column's values span. */
static ad_status bulk_of(const nf_table *table, size_t column, struct range *range, ad_error *error)
{
    double *sorted = ad_alloc(table->rows, sizeof *sorted);
    if (!sorted) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a picture");
    for (size_t r = 0; r < table->rows; r++) sorted[r] = table->values[r * table->columns + column];
    qsort(sorted, table->rows, sizeof *sorted, ascending);
    size_t left_out = table->rows / 200;
    *range = with_margin((struct range){sorted[left_out], sorted[table->rows - 1 - left_out]});
    ad_free(sorted);
    return AD_OK;
}

static struct range doubled(struct range range)
{
    double half = (range.high - range.low) / 2;
    return (struct range){range.low - half, range.high + half};
}

static ad_status density_of_target(const nf_target *target, ad_pool *pool, struct grid *grid, ad_error *error)
{
    size_t count = grid->cells * grid->cells;
    return nf_target_log_densities(target, grid->points, count, grid->log_density, pool, error);
}

/* The samples' bulk, and what the target has around them that the flow may have missed. */
static ad_status find_ranges(const struct picture *picture, const nf_target *target, struct range *x, struct range *y,
                             ad_error *error)
{
    enum { COARSE = 100 };
    const double worth_showing = log(0.01);
    struct grid grid;
    ad_status status = bulk_of(picture->samples, 0, x, error);
    if (!status) status = bulk_of(picture->samples, 1, y, error);
    if (status) return status;
    status = grid_make(&grid, doubled(*x), doubled(*y), COARSE, error);
    if (!status) status = density_of_target(target, picture->pool, &grid, error);
    double peak = status ? 0 : grid_peak(&grid);
    for (size_t i = 0; i < COARSE * COARSE && !status; i++) {
        if (!(grid.log_density[i] > peak + worth_showing)) continue;
        *x = (struct range){fmin(x->low, grid.points[2 * i]), fmax(x->high, grid.points[2 * i])};
        *y = (struct range){fmin(y->low, grid.points[2 * i + 1]), fmax(y->high, grid.points[2 * i + 1])};
    }
    grid_free(&grid);
    return status;
}

/* ---- Data ----------------------------------------------------------------------------------------------------- */

/* Lines of value and density, of the samples' histogram and of the target's marginal, which is the sum of its grid. */
static void write_marginal(FILE *script, const char *block, const nf_table *samples, const struct grid *grid,
                           size_t column)
{
    const struct range range = column == 0 ? grid->x : grid->y;
    double width = (range.high - range.low) / BINS, counts[BINS] = {0}, mass[BINS] = {0}, total = 0;
    double peak = grid_peak(grid);
    for (size_t r = 0; r < samples->rows; r++) {
        double bin = floor((samples->values[r * samples->columns + column] - range.low) / width);
        if (bin >= 0 && bin < BINS) counts[(size_t)bin] += 1 / (width * (double)samples->rows);
    }
    for (size_t i = 0; i < grid->cells * grid->cells; i++) {
        size_t cell = column == 0 ? i % grid->cells : i / grid->cells;
        double density = exp(grid->log_density[i] - peak);
        mass[cell * BINS / grid->cells] += density;
        total += density;
    }
    fprintf(script, "$%s << EOD\n", block);
    for (size_t b = 0; b < BINS; b++)
        fprintf(script, "%.8g %.8g %.8g\n", range.low + ((double)b + 0.5) * width, counts[b],
                mass[b] / (total * width));
    fprintf(script, "EOD\n");
}

static ad_status write_densities(FILE *script, const struct picture *picture, const nf_target *target,
                                 struct grid *grid, ad_error *error)
{
    ad_status status = grid_flow(grid, picture->flow, 1, picture->pool, error);
    if (status) return status;
    grid_write(script, "flow", grid, grid_peak(grid));
    status = density_of_target(target, picture->pool, grid, error);
    if (status) return status;
    grid_write(script, "target", grid, grid_peak(grid));
    write_marginal(script, "across", picture->samples, grid, 0);
    write_marginal(script, "up", picture->samples, grid, 1);
    points_write(script, "samples", picture->samples);
    return AD_OK;
}

/* ---- Panels --------------------------------------------------------------------------------------------------- */

static void label_axes(FILE *script, const struct grid *grid)
{
    panel_ranges(script, grid->x, grid->y);
    panel_tics(script, "x", grid->x);
    panel_tics(script, "y", grid->y);
    panel_label(script, "x", "z[1]", "");
    panel_label(script, "y", "z[2]", "");
    fprintf(script, "set ylabel offset 1\n");
}

static void draw_density(FILE *script, const struct canvas *canvas, struct box box, const struct grid *grid,
                         const char *block, const char *title)
{
    panel_begin(script, panel_equal_units(canvas, box, grid->x, grid->y), title);
    label_axes(script, grid);
    panel_heat_map(script, block, grid);
}

/* The samples, with the marginals above and to the right. */
static void draw_joint(FILE *script, const struct canvas *canvas, struct box box, const struct grid *grid)
{
    const double part = 0.2, gap = 0.012;
    box = panel_equal_units(canvas, box, grid->x, grid->y);
    double width = (box.right - box.left) * part, height = (box.top - box.bottom) * part;
    struct box middle = {box.left, box.right - width, box.bottom, box.top - height};
    panel_begin(script, middle, "");
    label_axes(script, grid);
    fprintf(script, "plot $samples using 1:2 with points pt mark ps dot / 2 lc rgb sample_colour notitle\n");
    panel_begin(script, (struct box){middle.left, middle.right, middle.top + gap * 1.6, box.top},
                "Samples (orange), target (blue)");
    fprintf(script,
            "set xrange [%.10g:%.10g]; set yrange [0:*]; unset xlabel; unset ylabel; unset ytics; set border 1\n"
            "set format x ''\n",
            grid->x.low, grid->x.high);
    fprintf(script, "plot $across using 1:2 with steps lw 2 lc rgb sample_colour notitle, "
                    "$across using 1:3 with lines lw 2 lc rgb data_colour notitle\n");
    panel_begin(script, (struct box){middle.right + gap, box.right, middle.bottom, middle.top}, "");
    fprintf(script, "set yrange [%.10g:%.10g]; set xrange [0:*]; unset xtics; set border 2; set format y ''\n",
            grid->y.low, grid->y.high);
    fprintf(script, "plot $up using 2:1 with fsteps lw 2 lc rgb sample_colour notitle, "
                    "$up using 3:1 with lines lw 2 lc rgb data_colour notitle\n");
}

ad_status target_picture_draw(const struct picture *picture, const nf_target *target, struct canvas *canvas,
                              ad_error *error)
{
    struct range x, y;
    struct grid grid = {0};
    ad_status status = find_ranges(picture, target, &x, &y, error);
    if (!status) status = grid_make(&grid, x, y, GRID, error);
    FILE *script = status ? NULL : gnuplot_begin(error);
    if (!script) {
        grid_free(&grid);
        return status ? status : error->status;
    }
    canvas_begin(script, canvas, PICTURE_WIDTH, PICTURE_HEIGHT);
    status = write_densities(script, picture, target, &grid, error);
    bool curves = inference_history(script, picture->record) > 0;
    char *formula = nf_flow_formula(picture->flow, false), title[512];
    snprintf(title, sizeof title, "%s for %s", formula ? formula : "", target->name);
    ad_free(formula);
    panels_title(script, canvas, title);
    fprintf(script, "unset colorbox\n");
    draw_density(script, canvas, (struct box){0.06, 0.32, 0.5, 0.895}, &grid, "target", "Density of the target");
    draw_density(script, canvas, (struct box){0.385, 0.655, 0.5, 0.895}, &grid, "flow", "Density of the flow");
    draw_joint(script, canvas, (struct box){0.72, 0.98, 0.5, 0.895}, &grid);
    const double left[] = {0.06, 0.385, 0.72};
    for (size_t i = 0; curves && i < 3; i++)
        inference_curve(script, (struct box){left[i], left[i] + 0.255, 0.1, 0.365}, picture->record,
                        (enum inference_curve)i);
    panels_end(script);
    grid_free(&grid);
    if (!status) return gnuplot_finish(script, canvas->path, error);
    fclose(script);
    return status;
}
