/* What a picture is drawn on: a file, whose name tells its format, or a terminal. */
#ifndef WEIR_COMMAND_PICTURES_CANVAS_H
#define WEIR_COMMAND_PICTURES_CANVAS_H

#include <stdio.h>
#include <weir/error.h>

struct canvas {
    const char *path;  /* or standard output, a device, a pipe: text where that is a terminal, else a PNG */
    const char *title; /* in the place of the picture's own; "": none; NULL: its own */
    int width, height; /* in pixels, of a terminal in characters; 0: the picture's own, or the terminal's */
    bool dark;         /* light on dark */
};

/* AD_ERROR_ARGUMENT when there is no such format. */
ad_status canvas_check(const char *path, ad_error *error);
/* "1200x800" into width and height; NULL leaves them. AD_ERROR_ARGUMENT where that is no size. */
ad_status canvas_parse_size(const char *text, struct canvas *canvas, ad_error *error);
/* Is the picture made of characters? */
bool canvas_is_text(const struct canvas *canvas);

/* The beginning of a script: the terminal and its size, which is in canvas then, for a picture that was laid out for
 * width x height pixels: letters, lines and points are larger and smaller with it. Of gnuplot's variables that scripts
 * use it defines
 *   ink, faint, shade                colours of letters and frames, of what is beside the point, of areas behind curves
 *   data_colour, sample_colour       and with _number behind it as "rgb variable" takes them
 *   mark, dot                        type and size of points
 *   headroom, title_up               part of the height that the title takes, and how far those of panels are moved
 *   tens(k)                          the label of a tic at 10^k
 *   sized(points), small, tiny       fonts
 * and the macros @thin and @heat, with which panel_heat_map() draws, @y_label and @y_place for panel_label(), and
 * @key_place, where a legend hides nothing. */
void canvas_begin(FILE *script, struct canvas *canvas, int width, int height);

#endif
