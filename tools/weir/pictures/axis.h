/* Axes: how the values of a column are laid along one. */
#ifndef WEIR_COMMAND_PICTURES_AXIS_H
#define WEIR_COMMAND_PICTURES_AXIS_H

#include "pictures/panels.h"
#include "pictures/picture.h"

enum { MOST_BINS = 50 };

/* A position is the value, its decimal logarithm or, with a bend b, asinh(value / 2b) / ln 10: nearly straight below b,
 * and with a decade a unit far beyond it, on either side. */
struct axis {
    struct range range;  /* of the axis, in positions */
    bool decades;        /* of values above 0 that span many, tics are powers of ten */
    double bend;         /* of tails that span many decades; 0: none */
    bool whole;          /* whole numbers, or labels, */
    bool bars;           /* so few that each has a bar */
    struct range binned; /* what the bins of a histogram span: no more than there are values */
    size_t bins;
    char *const *labels; /* of 0, 1, …; NULL: numbers */
    double shown;        /* part of the values that are inside of the range */
};

/* Of a column of the samples and the data. All values are inside, but for tails that would leave the others no room: a
 * hundredth at either end, and samples that are far from all data. */
ad_status axis_of(const struct picture *picture, size_t column, struct axis *axis, ad_error *error);

double axis_position(const struct axis *axis, double value); /* NaN: it has none */
double axis_value(const struct axis *axis, double position);
double axis_stretch(const struct axis *axis, double position); /* d value / d position */
bool axis_is_plain(const struct axis *axis);                   /* a position is the value */

/* What both axes span, with tics of so many letters in all. */
void axes_set(FILE *script, const struct axis *x, const struct axis *y, int letters);
/* The column's own name where names aren't NULL, else the feature's number, in so many letters, and a note behind it;
 * after axes_set(). In front of a name that is cut there is the column's number, if it is to be numbered. */
void axis_label(FILE *script, const char *axis_name, char **names, size_t column, size_t letters, const char *note,
                bool numbered);
/* Are two of so many names the same when they are cut to so many letters? */
bool axis_names_alike(char **names, size_t count, size_t letters);
/* " (98.6 % shown)" where not all values are inside, else nothing. Returns text. */
const char *axis_note(const struct axis *axis, char text[static 32]);

#endif
