/* The picture of a flow and of the data that it was trained on, one over the other, as a gnuplot script. */
#include "pictures/banana_picture.h"
#include "pictures/gnuplot.h"
#include "pictures/panels.h"

enum { GRID = 400, WIDTH = 1600, HEIGHT = 600, SHOWN = 512 }; /* more rows hide what they lie on */

static void draw(FILE *script, const struct picture *picture, const struct grid *grid)
{
    const struct box left = {0.05, 0.445, 0.12, 0.92}, right = {0.505, 0.9, 0.12, 0.92};
    grid_write(script, "density", grid, 0);
    points_write(script, "data", picture->data);
    points_write(script, "samples", picture->samples);
    fprintf(script, "set multiplot\n");
    panel_begin(script, panel_equal_units(left, grid->x, grid->y, WIDTH, HEIGHT),
                "Data (blue) over samples of the flow (orange)");
    panel_ranges(script, grid->x, grid->y);
    panel_label(script, "x", picture->data->names, 0);
    panel_label(script, "y", picture->data->names, 1);
    fprintf(script,
            "plot $samples using 1:2 with points pt 7 ps dot lc rgb '%s' notitle, "
            "$data using 1:2 with points pt 7 ps 2 * dot lc rgb '%s' notitle\n",
            sample_colour, data_colour);
    panel_begin(script, panel_equal_units(right, grid->x, grid->y, WIDTH, HEIGHT),
                "Density of the flow, and the data (white)");
    panel_ranges(script, grid->x, grid->y);
    panel_heat_map(script, "density", grid);
    fprintf(script, "unset colorbox; unset xlabel; unset ylabel; unset title; unset border; unset tics\n"
                    "plot $data using 1:2 with points pt 7 ps dot lc rgb 'white' notitle\n");
    panels_end(script);
}

ad_status banana_picture_draw(const struct picture *given, const char *path, ad_error *error)
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
        panels_begin(script, path, WIDTH, HEIGHT);
        draw(script, picture, &grid);
        status = gnuplot_finish(script, path, error);
    } else if (!status)
        status = error->status;
    grid_free(&grid);
    return status;
}
