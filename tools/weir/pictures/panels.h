/* Panels: what pictures are made of, as lines of a gnuplot script. */
#ifndef WEIR_COMMAND_PICTURES_PANELS_H
#define WEIR_COMMAND_PICTURES_PANELS_H

#include "pictures/canvas.h"

#include <weir/models.h>

enum { PICTURE_WIDTH = 1600, PICTURE_HEIGHT = 1000, PANEL_POINTS = 10000 };

/* Part of the canvas that a panel's axes enclose, in fractions. */
struct box {
    double left, right, bottom, top;
};

struct range {
    double low, high;
};

/* From 0 to a count on record, 1 or more. */
struct range range_of_count(long long count);
/* 5 % more on either side. */
struct range with_margin(struct range range);
/* What the finite values of a column span, with a margin. */
struct range range_of_column(const nf_table *table, size_t column);

/* A density on the centres of cells x cells cells of a rectangle, in a block of data. */
struct grid {
    struct range x, y;
    size_t cells;
    double *points;      /* (cells², 2), a line for each y */
    double *log_density; /* [cells²], to be filled in; freed with the points */
};

ad_status grid_make(struct grid *grid, struct range x, struct range y, size_t cells, ad_error *error);
void grid_free(struct grid *grid);
/* The flow's, as the mean density of the draws in each cell: that takes no inverse. */
ad_status grid_flow(struct grid *grid, nf_flow *flow, uint64_t seed, ad_pool *pool, ad_error *error);
/* As exp(log_density - log_unit). */
void grid_write(FILE *script, const char *block, const struct grid *grid, double log_unit);
double grid_peak(const struct grid *grid); /* the largest log_density */

/* Behind the blocks of data, and before the panels: the canvas' title, or the picture's own. */
void panels_title(FILE *script, const struct canvas *canvas, const char *own);
void panels_end(FILE *script);
void panel_begin(FILE *script, struct box box, const char *title);
/* The largest part of a box in which one unit is as long on both axes; the whole box if that would leave less than
 * half, and of a picture of characters. */
struct box panel_equal_units(const struct canvas *canvas, struct box box, struct range x, struct range y);
/* What axes span. Where their tics would be alike, as those of times in seconds since 1970, they are what is left of an
 * offset, which is in gnuplot's variables xoffset and yoffset: what stands behind the axes' names, or nothing. */
void panel_ranges(FILE *script, struct range x, struct range y);
/* Behind the range of "x" or "y", five tics or fewer. */
void panel_tics(FILE *script, const char *axis, struct range range);
/* A step of 1, 2 or 5 times a power of ten that puts so many tics or fewer on an axis. */
double tic_step(struct range range, int most);
/* A round number amid the range where tics would have more digits than can be seen, else 0. */
double tic_offset(struct range range);
/* Along "x" or "y": its name, and a note behind that. Behind the range. */
void panel_label(FILE *script, const char *axis, const char *name, const char *note);
/* The feature's own name where names aren't NULL, else its number, which is in text. */
const char *panel_feature(char **names, size_t feature, char text[static 32]);
void panel_heat_map(FILE *script, const char *block, const struct grid *grid);

/* A block of data: at most PANEL_POINTS rows, evenly taken. */
void points_write(FILE *script, const char *block, const nf_table *table);

#endif
