/* The picture of a trained flow, as a gnuplot script. */
#include "pictures/picture.h"
#include "pictures/gnuplot.h"
#include "pictures/loss_panel.h"
#include "pictures/pairs_picture.h"
#include "pictures/panels.h"
#include "report.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { GRID = 400 };

/* ---- Numbers -------------------------------------------------------------------------------------------------- */

/* What a feature's values span, in the data where there are any. */
static struct range range_of(const struct picture *picture, size_t feature)
{
    return range_of_column(picture->data ? picture->data : picture->samples, feature);
}

/* ---- Panels -------------------------------------------------------------------------------------------------- */

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
    fprintf(script, "set cbtics font ',11'\n");
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

static ad_status draw_plane(FILE *script, const struct picture *picture, const char *title, bool loss, ad_error *error)
{
    char **names = picture->samples->names;
    const bool alone = picture->data && !loss; /* the density, at the left: data go below the samples then */
    if (picture->data) points_write(script, "data", picture->data);
    points_write(script, "samples", picture->samples);
    struct range x = range_of(picture, 0), y = range_of(picture, 1);
    struct grid grid;
    ad_status status = grid_make(&grid, x, y, GRID, error);
    if (!status) status = score(picture, &grid, error);
    if (!status) {
        grid_write(script, "density", &grid, 0);
        panels_title(script, title);
        draw_density(script, (struct box){0.075, 0.46, alone ? 0.09 : 0.58, 0.91}, &grid, names);
    }
    grid_free(&grid);
    if (status) return status;
    draw_points(script, (struct box){0.595, 0.98, 0.58, 0.91}, x, y, names, "samples", "Samples of the flow",
                sample_colour);
    if (picture->data)
        draw_points(script, (struct box){alone ? 0.595 : 0.075, alone ? 0.98 : 0.46, 0.09, 0.42}, x, y, names, "data",
                    picture->context ? "Data, of any context" : "Data", data_colour);
    if (loss) loss_draw(script, (struct box){picture->data ? 0.595 : 0.075, 0.98, 0.09, 0.42}, picture->record);
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
    bool plane = is_plane(picture);
    panels_begin(script, path, PICTURE_WIDTH, picture->samples->columns > 1 && !plane ? PAIRS_HEIGHT : PICTURE_HEIGHT);
    char *formula = nf_flow_formula(picture->flow, false), title[512];
    const char *given = json_string_value(json_object_get(picture->record, "context"));
    enum { MOST_FORMULA = 120 }; /* letters that can be read in a line */
    bool cut = formula && strlen(formula) > MOST_FORMULA;
    int length = snprintf(title, sizeof title, "%.*s%s", MOST_FORMULA, formula ? formula : "", cut ? "…" : "");
    if (picture->context)
        length += strchr(picture->context, '=')
                      ? snprintf(title + length, sizeof title - (size_t)length, ", given %.100s", picture->context)
                      : snprintf(title + length, sizeof title - (size_t)length, ", given %.80s = %.100s",
                                 given ? given : "context", picture->context);
    if (picture->columns > picture->samples->columns)
        snprintf(title + length, sizeof title - (size_t)length, ": %zu of its %zu columns", picture->samples->columns,
                 picture->columns);
    bool loss = loss_write(script, picture->record);
    ad_status status =
        plane ? draw_plane(script, picture, title, loss, error) : pairs_draw(script, picture, title, loss, error);
    panels_end(script);
    ad_free(formula);
    if (!status) return gnuplot_finish(script, path, error);
    fclose(script);
    return status;
}
