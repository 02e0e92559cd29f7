/* The picture of a trained flow, as a gnuplot script. */
#include "pictures/picture.h"
#include "pictures/axis.h"
#include "pictures/gnuplot.h"
#include "pictures/loss_panel.h"
#include "pictures/pairs_picture.h"

#include <math.h>
#include <string.h>

enum { GRID = 400 };

/* The two axes of the plane. */
struct plane {
    const struct canvas *canvas;
    struct axis x, y;
    char **names;
};

/* ---- Panels -------------------------------------------------------------------------------------------------- */

/* The part of a box that shows the plane without distortion. */
static void begin_panel(FILE *script, const struct plane *plane, struct box box, const char *title)
{
    enum { NAME = 40 };
    const int tics = canvas_is_text(plane->canvas) ? 14 : 46;
    char note[32];
    const struct box part = panel_equal_units(plane->canvas, box, plane->x.range, plane->y.range);
    panel_begin(script, part, title);
    axes_set(script, &plane->x, &plane->y, (int)(tics * (part.right - part.left) / (box.right - box.left)));
    axis_label(script, "x", plane->names, 0, NAME, axis_note(&plane->x, note), false);
    axis_label(script, "y", plane->names, 1, NAME, axis_note(&plane->y, note), false);
}

/* A power of ten for densities that have many zeros, else 0. */
static int exponent_of(const struct grid *grid)
{
    const double peak = grid_peak(grid) / M_LN10;
    return fabs(peak) < 5 || !isfinite(peak) ? 0 : (int)floor(peak);
}

static void draw_density(FILE *script, const struct plane *plane, struct box box, const struct grid *grid, int exponent)
{
    const bool plain = axis_is_plain(&plane->x) && axis_is_plain(&plane->y);
    char title[80];
    const int length = snprintf(title, sizeof title, "Density of the flow%s", plain ? "" : ", per decade");
    if (exponent) snprintf(title + length, sizeof title - (size_t)length, ", in 1e%d", exponent);
    begin_panel(script, plane, box, title);
    fprintf(script, "set cbtics font tiny\n");
    panel_heat_map(script, "density", grid);
}

static void write_points(FILE *script, const struct plane *plane, const char *block, const nf_table *table)
{
    size_t shown = table->rows < PANEL_POINTS ? table->rows : PANEL_POINTS;
    fprintf(script, "$%s << EOD\n", block);
    for (size_t i = 0; i < shown; i++) {
        const double *row = table->values + 2 * (size_t)((double)i / (double)shown * (double)table->rows);
        fprintf(script, "%.15g %.15g\n", axis_position(&plane->x, row[0]), axis_position(&plane->y, row[1]));
    }
    fprintf(script, "EOD\n");
}

/* Samples, or the data: one panel for each, since the upper would hide the lower. */
static void draw_points(FILE *script, const struct plane *plane, struct box box, const char *block, const char *title,
                        const char *colour)
{
    begin_panel(script, plane, box, title);
    fprintf(script, "plot $%s using 1:2 with points pt mark ps dot lc rgb %s notitle\n", block, colour);
}

/* log p of the points of a grid, given the same context. */
static ad_status score(const struct picture *picture, struct grid *grid, ad_error *error)
{
    const size_t size = nf_flow_context_size(picture->flow), points = grid->cells * grid->cells;
    const nf_table table = {.rows = points, .columns = 2, .values = grid->points, .dtype = AD_F64};
    double *context = size > 0 ? ad_alloc(points, size * sizeof *context) : NULL;
    if (size > 0 && !context) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a density");
    for (size_t i = 0; i < points; i++)
        if (size > 0) memcpy(context + i * size, picture->given, size * sizeof *context);
    ad_status status = picture->features ? nf_columns_log_prob(picture->features, picture->flow, context, &table, 1, 0,
                                                               grid->log_density, picture->pool, error)
                                         : nf_log_prob(picture->flow, grid->points, context, points, grid->log_density,
                                                       picture->pool, error);
    ad_free(context);
    return status;
}

/* From positions to values, whose density is that of positions but for this. */
static void take_values(const struct plane *plane, struct grid *grid)
{
    for (size_t i = 0; i < grid->cells * grid->cells; i++) {
        grid->points[2 * i] = axis_value(&plane->x, grid->points[2 * i]);
        grid->points[2 * i + 1] = axis_value(&plane->y, grid->points[2 * i + 1]);
    }
}

static void take_positions(const struct plane *plane, struct grid *grid)
{
    for (size_t i = 0; i < grid->cells * grid->cells; i++)
        grid->log_density[i] += log(axis_stretch(&plane->x, axis_position(&plane->x, grid->points[2 * i]))) +
                                log(axis_stretch(&plane->y, axis_position(&plane->y, grid->points[2 * i + 1])));
}

static ad_status write_density(FILE *script, const struct picture *picture, const struct plane *plane,
                               struct grid *grid, int *exponent, ad_error *error)
{
    if (grid_make(grid, plane->x.range, plane->y.range, GRID, error)) return error->status;
    take_values(plane, grid);
    ad_status status = score(picture, grid, error);
    if (!status) {
        take_positions(plane, grid);
        *exponent = exponent_of(grid);
        grid_write(script, "density", grid, M_LN10 * *exponent);
    }
    grid_free(grid);
    return status;
}

static ad_status draw_plane(FILE *script, const struct canvas *canvas, const struct picture *picture, const char *title,
                            bool loss, ad_error *error)
{
    const bool alone = picture->data && !loss; /* the density, at the left: data go below the samples then */
    struct plane plane = {.canvas = canvas, .names = picture->samples->names};
    struct grid grid;
    char data_title[64] = "Data";
    if (axis_of(picture, 0, &plane.x, error) || axis_of(picture, 1, &plane.y, error)) return error->status;
    if (picture->data) write_points(script, &plane, "data", picture->data);
    write_points(script, &plane, "samples", picture->samples);
    int exponent = 0;
    ad_status status = write_density(script, picture, &plane, &grid, &exponent, error);
    if (status) return status;
    panels_title(script, canvas, title);
    draw_density(script, &plane, (struct box){0.075, 0.445, alone ? 0.1 : 0.59, 0.9}, &grid, exponent);
    draw_points(script, &plane, (struct box){0.61, 0.98, 0.59, 0.9}, "samples", "Samples of the flow", "sample_colour");
    if (picture->near > 0)
        snprintf(data_title, sizeof data_title, "Data, the %zu of the nearest context", picture->near);
    if (picture->data)
        draw_points(script, &plane, (struct box){alone ? 0.61 : 0.075, alone ? 0.98 : 0.445, 0.1, 0.41}, "data",
                    data_title, "data_colour");
    if (loss) loss_draw(script, (struct box){picture->data ? 0.61 : 0.075, 0.98, 0.1, 0.41}, picture->record);
    return AD_OK;
}

/* A density has a place for each point of the plane where both are measured, and there are no others. */
static bool is_plane(const struct picture *picture)
{
    bool plane = picture->samples->columns == 2 && picture->columns <= 2;
    for (size_t c = 0; plane && c < nf_columns_count(picture->features); c++) {
        const nf_column *column = nf_columns_column(picture->features, c);
        plane = column->kind <= NF_COLUMN_BOUNDED && column->atoms == 0 && column->missing == 0;
    }
    return plane;
}

/* ---- The whole ------------------------------------------------------------------------------------------------ */

/* The formula, and what of all there is is shown. */
static void name_picture(const struct picture *picture, char title[static 512])
{
    enum { MOST_FORMULA = 120 }; /* letters that can be read in a line */
    char *formula = nf_flow_formula(picture->flow, false);
    const char *given = json_string_value(json_object_get(picture->record, "context"));
    bool cut = formula && strlen(formula) > MOST_FORMULA;
    size_t length = (size_t)snprintf(title, 512, "%.*s%s", MOST_FORMULA, formula ? formula : "", cut ? "…" : "");
    if (picture->context && strchr(picture->context, '='))
        length += (size_t)snprintf(title + length, 512 - length, ", given %.100s", picture->context);
    else if (picture->context)
        length += (size_t)snprintf(title + length, 512 - length, ", given %.80s = %.100s", given ? given : "context",
                                   picture->context);
    if (picture->columns > picture->samples->columns)
        snprintf(title + length, 512 - length, ": %zu of its %zu columns", picture->samples->columns, picture->columns);
    ad_free(formula);
}

ad_status picture_draw(const struct picture *picture, struct canvas *canvas, ad_error *error)
{
    char title[512];
    FILE *script = gnuplot_begin(error);
    if (!script) return error->status;
    name_picture(picture, title);
    bool plane = is_plane(picture);
    int width = PICTURE_WIDTH, height = PICTURE_HEIGHT;
    if (!plane) pairs_size(picture->samples->columns, &width, &height);
    canvas_begin(script, canvas, width, height);
    bool loss = loss_write(script, picture->record);
    ad_status status = plane ? draw_plane(script, canvas, picture, title, loss, error)
                             : pairs_draw(script, canvas, picture, title, loss, error);
    panels_end(script);
    if (!status) return gnuplot_finish(script, canvas->path, error);
    fclose(script);
    return status;
}
