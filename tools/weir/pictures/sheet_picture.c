/* A sheet of images, as a gnuplot script. */
#include "pictures/sheet_picture.h"
#include "pictures/gnuplot.h"
#include "pictures/panels.h"

#include <math.h>

enum { SHEET_WIDTH = 900, TITLE = 50, LINE = 215 }; /* pixels; and the grey between images, some of which are white */

struct sheet {
    ad_shape size;
    struct range range; /* of pixels, black to white */
    size_t across, down;
    size_t width, height; /* of all, in pixels, with a line between images */
};

/* Black and white: the least and the most pixel that the columns have had or, of columns that tell nothing, samples. */
static struct range range_of(const nf_columns *columns, const nf_table *samples)
{
    struct range range = {INFINITY, -INFINITY};
    for (size_t c = 0; c < nf_columns_count(columns) && nf_columns_column(columns, c)->rows > 0; c++) {
        range.low = fmin(range.low, nf_columns_column(columns, c)->least);
        range.high = fmax(range.high, nf_columns_column(columns, c)->most);
    }
    if (range.low < range.high) return range;
    for (size_t i = 0; i < samples->rows * samples->columns; i++) {
        range.low = fmin(range.low, samples->values[i]);
        range.high = fmax(range.high, samples->values[i]);
    }
    return range.low < range.high ? range : (struct range){0, 1};
}

static int level(const struct sheet *sheet, double value)
{
    const double part = (value - sheet->range.low) / (sheet->range.high - sheet->range.low);
    return (int)lround(255 * (part > 0 ? fmin(part, 1) : 0));
}

/* Lines of x, y, red, green and blue, from the lower left: gnuplot's axis goes up. */
static void write_sheet(FILE *script, const char *block, const struct sheet *sheet, const nf_table *images)
{
    const size_t *size = sheet->size.dim, tall = size[0] + 1, wide = size[1] + 1;
    fprintf(script, "$%s << EOD\n", block);
    for (size_t y = 0; y < sheet->height; y++)
        for (size_t x = 0; x < sheet->width; x++) {
            const size_t i = sheet->height - 1 - y, row = i / tall * sheet->across + x / wide;
            const bool between = i % tall == size[0] || x % wide == size[1] || row >= images->rows;
            const double *pixel =
                between ? NULL : images->values + row * images->columns + (i % tall * size[1] + x % wide) * size[2];
            fprintf(script, "%zu %zu", x, y);
            for (size_t c = 0; c < 3; c++)
                fprintf(script, " %d", pixel ? level(sheet, pixel[size[2] == 3 ? c : 0]) : LINE);
            fprintf(script, "\n");
        }
    fprintf(script, "EOD\n");
}

static void draw_sheet(FILE *script, const char *block, const struct sheet *sheet, struct box box, const char *title)
{
    panel_begin(script, box, title);
    fprintf(script, "unset tics; unset border; set xrange [-0.5:%zu.5]; set yrange [-0.5:%zu.5]\n", sheet->width - 1,
            sheet->height - 1);
    fprintf(script, "plot $%s using 1:2:3:4:5 with rgbimage notitle\n", block);
}

ad_status sheet_picture_draw(ad_shape size, const nf_columns *columns, const nf_table *samples, const nf_table *data,
                             struct canvas *canvas, ad_error *error)
{
    if (size.dim[2] != 1 && size.dim[2] != 3)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "the picture of images needs one channel, or three of red, green and blue; these have %zu",
                            size.dim[2]);
    struct sheet sheet = {.size = size, .range = range_of(columns, samples)};
    const size_t most = data && data->rows > samples->rows ? data->rows : samples->rows;
    sheet.across = most < SHEET_ACROSS ? most : SHEET_ACROSS;
    sheet.down = (most + sheet.across - 1) / sheet.across;
    if (sheet.down > SHEET_DOWN) sheet.down = SHEET_DOWN;
    sheet.width = sheet.across * (size.dim[1] + 1) - 1;
    sheet.height = sheet.down * (size.dim[0] + 1) - 1;
    FILE *script = gnuplot_begin(error);
    if (!script) return error->status;
    const double ratio = (double)sheet.height / (double)sheet.width, right = data ? 0.49 : 0.99;
    const int tall = (int)fmin(fmax(SHEET_WIDTH * ratio, 60), 4 * SHEET_WIDTH) + TITLE;
    canvas_begin(script, canvas, data ? 2 * SHEET_WIDTH : SHEET_WIDTH, tall);
    write_sheet(script, "samples", &sheet, samples);
    if (data) write_sheet(script, "data", &sheet, data);
    fprintf(script, "set multiplot\n");
    const double top = 1 - (double)TITLE / tall;
    draw_sheet(script, "samples", &sheet, (struct box){0.01, right, 0.01, top}, "Samples of the flow");
    if (data) draw_sheet(script, "data", &sheet, (struct box){0.51, 0.99, 0.01, top}, "Data");
    panels_end(script);
    return gnuplot_finish(script, canvas->path, error);
}
