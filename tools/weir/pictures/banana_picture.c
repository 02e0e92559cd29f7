/* The picture of a flow and of the data that it was trained on, one over the other, as a gnuplot script. */
#include "pictures/banana_picture.h"
#include "pictures/gnuplot.h"
#include "pictures/panels.h"

enum { GRID = 400, WIDTH = 1600, HEIGHT = 600, SHOWN = 512 }; /* more rows hide what they lie on */

static void draw(FILE *script, const struct canvas *canvas, const struct picture *picture, const struct grid *grid)
{
    const struct box left = {0.05, 0.445, 0.12, 0.92}, right = {0.505, 0.9, 0.12, 0.92};
    grid_write(script, "density", grid, 0);
    points_write(script, "data", picture->data);
    points_write(script, "samples", picture->samples);
    fprintf(script, "set multiplot\n");
    panel_begin(script, panel_equal_units(canvas, left, grid->x, grid->y),
                "Data (blue) over samples of the flow (orange)");
    panel_ranges(script, grid->x, grid->y);
    char text[32];
    panel_label(script, "x", panel_feature(picture->data->names, 0, text), "");
    panel_label(script, "y", panel_feature(picture->data->names, 1, text), "");
    fprintf(script, "plot $samples using 1:2 with points pt mark ps dot lc rgb sample_colour notitle, "
                    "$data using 1:2 with points pt mark ps 2 * dot lc rgb data_colour notitle\n");
    panel_begin(script, panel_equal_units(canvas, right, grid->x, grid->y),
                "Density of the flow, and the data (white)");
    panel_ranges(script, grid->x, grid->y);
    panel_heat_map(script, "density", grid);
    fprintf(script, "unset colorbox; unset xlabel; unset ylabel; unset title; unset border; unset tics\n"
                    "plot $data using 1:2 with points pt mark ps dot lc rgb 'white' notitle\n");
    panels_end(script);
}

ad_status banana_picture_draw(const struct picture *given, struct canvas *canvas, ad_error *error)
{
    struct grid grid;
    nf_table shown = *given->data;
    if (shown.rows > SHOWN) shown.rows = SHOWN;
    struct picture of_shown = *given, *picture = &of_shown;
    picture->data = &shown;
    ad_status status =
        grid_make(&grid, range_of_column(picture->data, 0), range_of_column(picture->data, 1), GRID, error);
    if (!status)
        status = nf_log_prob(picture->flow, grid.points, NULL, GRID * GRID, grid.log_density, picture->pool, error);
    FILE *script = status ? NULL : gnuplot_begin(error);
    if (script) {
        canvas_begin(script, canvas, WIDTH, HEIGHT);
        draw(script, canvas, picture, &grid);
        status = gnuplot_finish(script, canvas->path, error);
    } else if (!status)
        status = error->status;
    grid_free(&grid);
    return status;
}
