/* Panels: what pictures are made of, as lines of a gnuplot script. */
#include "pictures/panels.h"
#include "pictures/gnuplot.h"

#include <math.h>
#include <string.h>

/* ---- Numbers -------------------------------------------------------------------------------------------------- */

struct range with_margin(struct range range)
{
    const double most = 1e300, least = 1e-300; /* of an axis, whose length and tics are numbers too, */
    const double digits = 1e-13;               /* and of 15 digits */
    if (!(range.low <= range.high)) return (struct range){-1, 1}; /* of nothing */
    const double low = fmax(range.low, -most), high = fmin(range.high, most);
    if (!(low <= high)) return (struct range){fmin(low, most) - most, fmin(low, most) + most};
    const double width = high - low, size = fmax(fabs(low), fabs(high));
    const double margin = width > fmax(least, digits * size) ? 0.05 * width : fmax(1, 0.05 * size);
    return (struct range){low - margin, high + margin};
}

struct range range_of_count(long long count)
{
    return (struct range){0, (double)(count > 1 ? count : 1)};
}

struct range range_of_column(const nf_table *table, size_t column)
{
    struct range range = {INFINITY, -INFINITY};
    for (size_t r = 0; r < table->rows; r++) {
        double value = table->values[r * table->columns + column];
        if (!isfinite(value)) continue;
        range.low = fmin(range.low, value);
        range.high = fmax(range.high, value);
    }
    return with_margin(range);
}

/* At most so many rows, evenly taken. */
void points_write(FILE *script, const char *name, const nf_table *table)
{
    size_t shown = table->rows < PANEL_POINTS ? table->rows : PANEL_POINTS;
    fprintf(script, "$%s << EOD\n", name);
    for (size_t i = 0; i < shown; i++) {
        const double *row = table->values + (size_t)((double)i / (double)shown * (double)table->rows) * table->columns;
        for (size_t c = 0; c < table->columns; c++) fprintf(script, "%.15g ", row[c]);
        fprintf(script, "\n");
    }
    fprintf(script, "EOD\n");
}

/* ---- Grids ---------------------------------------------------------------------------------------------------- */

ad_status grid_make(struct grid *grid, struct range x, struct range y, size_t cells, ad_error *error)
{
    *grid = (struct grid){x, y, cells, ad_alloc(cells * cells, 3 * sizeof(double)), NULL};
    if (!grid->points) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a density");
    grid->log_density = grid->points + 2 * cells * cells;
    for (size_t i = 0; i < cells * cells; i++) {
        grid->points[2 * i] = x.low + (x.high - x.low) * ((double)(i % cells) + 0.5) / (double)cells;
        grid->points[2 * i + 1] = y.low + (y.high - y.low) * ((double)(i / cells) + 0.5) / (double)cells;
    }
    return AD_OK;
}

void grid_free(struct grid *grid)
{
    ad_free(grid->points);
    grid->points = grid->log_density = NULL;
}

static size_t cell_of(const struct grid *grid, const double *x)
{
    double i = floor((x[0] - grid->x.low) / (grid->x.high - grid->x.low) * (double)grid->cells);
    double j = floor((x[1] - grid->y.low) / (grid->y.high - grid->y.low) * (double)grid->cells);
    bool inside = i >= 0 && j >= 0 && i < (double)grid->cells && j < (double)grid->cells;
    return inside ? (size_t)j * grid->cells + (size_t)i : SIZE_MAX;
}

ad_status grid_flow(struct grid *grid, nf_flow *flow, uint64_t seed, ad_pool *pool, ad_error *error)
{
    enum { DRAWS = 1000000 };
    const size_t cells = grid->cells * grid->cells;
    /* With steps that draw, log_q is that of paths; what counts is how many of them end in a cell. */
    const double area = (grid->x.high - grid->x.low) * (grid->y.high - grid->y.low) / (double)cells;
    const double one = nf_flow_is_stochastic(flow) ? log(DRAWS * area) : NAN;
    double *x = ad_alloc(DRAWS, 3 * sizeof *x), *log_q = x ? x + 2 * (size_t)DRAWS : NULL;
    double *sum = ad_alloc(cells, 2 * sizeof *sum), *count = sum ? sum + cells : NULL;
    ad_status status = x && sum ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for a density");
    if (!status) status = nf_sample(flow, NULL, DRAWS, seed, x, log_q, pool, error);
    for (size_t i = 0; i < DRAWS && !status; i++) {
        size_t cell = cell_of(grid, x + 2 * i);
        if (cell == SIZE_MAX) continue;
        sum[cell] += exp(log_q[i]);
        count[cell]++;
    }
    for (size_t i = 0; i < cells && !status; i++)
        grid->log_density[i] = count[i] == 0 ? -INFINITY : isnan(one) ? log(sum[i] / count[i]) : log(count[i]) - one;
    ad_free(sum);
    ad_free(x);
    return status;
}

double grid_peak(const struct grid *grid)
{
    double most = -INFINITY;
    for (size_t i = 0; i < grid->cells * grid->cells; i++) most = fmax(most, grid->log_density[i]);
    return most;
}

void grid_write(FILE *script, const char *block, const struct grid *grid, double log_unit)
{
    fprintf(script, "$%s << EOD\n", block);
    for (size_t i = 0; i < grid->cells * grid->cells; i++)
        fprintf(script, "%.5g%c", exp(grid->log_density[i] - log_unit), (i + 1) % grid->cells ? ' ' : '\n');
    fprintf(script, "EOD\n%s_max = %.5g\n", block, exp(grid_peak(grid) - log_unit));
}

/* ---- The canvas ----------------------------------------------------------------------------------------------- */

/* As a panel without anything else: the title of a multiplot is always black. */
void panels_title(FILE *script, const struct canvas *canvas, const char *own)
{
    const double size = 18, most = 95; /* letters of that size in a line */
    const char *title = canvas->title ? canvas->title : own;
    fprintf(script, "set multiplot\n");
    if (!*title) return;
    fprintf(script,
            "set lmargin at screen 0; set rmargin at screen 1; set bmargin at screen 0.2\n"
            "set tmargin at screen 1 - headroom; unset border; unset xtics; unset ytics; unset key\nset title ");
    gnuplot_quote(script, title);
    fprintf(script, " noenhanced font sized(%.3g)\nplot [0:1] [0:1] 2 notitle\n",
            size * fmin(1, most / (double)strlen(title)));
}

void panels_end(FILE *script)
{
    fprintf(script, "unset multiplot\n");
}

/* ---- Panels --------------------------------------------------------------------------------------------------- */

void panel_begin(FILE *script, struct box box, const char *title)
{
    fprintf(script,
            "set lmargin at screen %g; set rmargin at screen %g; set bmargin at screen %g; set tmargin at screen %g\n"
            "unset arrow; unset label; unset object; unset logscale; set key default textcolor rgb ink; unset key\n"
            "unset offsets; set autoscale; set size noratio; set format '%%g'; set border 31\n"
            "set xlabel '' tc rgb ink offset 0, 0 enhanced; set ylabel '' tc rgb ink offset 0, 0 enhanced\n"
            "set xtics out nomirror norotate font '' auto; set ytics out nomirror norotate font '' auto\n",
            box.left, box.right, box.bottom, box.top);
    fprintf(script, "set title '%s' enhanced font '' offset 0, title_up\n", title);
}

struct box panel_equal_units(const struct canvas *canvas, struct box box, struct range x, struct range y)
{
    double stretch = (y.high - y.low) / (x.high - x.low) * (box.right - box.left) * canvas->width /
                     ((box.top - box.bottom) * canvas->height);
    if (stretch < 0.5 || stretch > 2 || canvas_is_text(canvas)) return box;
    if (stretch <= 1)
        box.bottom = box.top - (box.top - box.bottom) * stretch;
    else
        box.right = box.left + (box.right - box.left) / stretch;
    return box;
}

double tic_step(struct range range, int most)
{
    double least = (range.high - range.low) / most, power = pow(10, floor(log10(least)));
    return power * (least <= 2 * power ? 2 : least <= 5 * power ? 5 : 10);
}

double tic_offset(struct range range)
{
    if (!(range.high > range.low) || !isfinite(range.high - range.low)) return 0;
    double most = fmax(fabs(range.low), fabs(range.high)), unit = pow(10, floor(log10(range.high - range.low)) + 1);
    double digits = floor(log10(most)) - floor(log10(tic_step(range, 5))) + 1;
    /* %g shows six, and 1e+06 from there on; gnuplot's own tics may stand closer, by a digit. */
    return digits > (most < 1e6 ? 5 : 3) ? round((range.low + range.high) / 2 / unit) * unit : 0;
}

void panel_tics(FILE *script, const char *axis, struct range range)
{
    double step = tic_step(range, 5), offset = tic_offset(range);
    if (offset == 0) {
        fprintf(script, "set %stics %.3g\n", axis, step);
        return;
    }
    double first = ceil((range.low - offset) / step) + 0; /* not -0 */
    fprintf(script, "set %stics (", axis);
    for (double tic = first; offset + tic * step <= range.high; tic++)
        fprintf(script, "%s'%g' %.15g", tic > first ? ", " : "", tic * step, offset + tic * step);
    fprintf(script, ")\n");
}

static void set_range(FILE *script, const char *axis, struct range range)
{
    double offset = tic_offset(range);
    fprintf(script, "set %srange [%.15g:%.15g]; %soffset = ''\n", axis, range.low, range.high, axis);
    if (offset == 0) return;
    fprintf(script, "%soffset = ' %s %.15g'\n", axis, offset < 0 ? "+" : "−", fabs(offset));
    panel_tics(script, axis, range);
}

void panel_ranges(FILE *script, struct range x, struct range y)
{
    set_range(script, "x", x);
    set_range(script, "y", y);
}

void panel_label(FILE *script, const char *axis, const char *name, const char *note)
{
    const bool up = *axis == 'y';
    fprintf(script, up ? "@y_label " : "set xlabel ");
    gnuplot_quote(script, name);
    fprintf(script, ".%soffset.'%s' noenhanced%s\n", axis, note, up ? " @y_place" : "");
}

const char *panel_feature(char **names, size_t feature, char text[static 32])
{
    snprintf(text, 32, "feature %zu", feature + 1);
    return names ? names[feature] : text;
}

void panel_heat_map(FILE *script, const char *block, const struct grid *grid)
{
    double dx = (grid->x.high - grid->x.low) / (double)grid->cells;
    double dy = (grid->y.high - grid->y.low) / (double)grid->cells;
    fprintf(script,
            "cells_max = %s_max\n"
            "plot $%s matrix @thin using (%.15g + $1 * %.10g):(%.15g + $2 * %.10g):@heat notitle\n",
            block, block, grid->x.low + dx / 2, dx, grid->y.low + dy / 2, dy);
}
