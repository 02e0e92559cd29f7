/* What the files that learn columns share. */
#ifndef WEIR_MODELS_COLUMNS_LEARN_H
#define WEIR_MODELS_COLUMNS_LEARN_H

#include "columns/column.h"

/* ---- What the user says of a column ------------------------------------------------------------------------------ */

typedef enum { NF__AUTO, NF__INTERVAL, NF__INTEGER, NF__CATEGORY, NF__ANGLE, NF__DROP } nf__request;

typedef struct {
    nf__request request;
    char text[64];                /* as the user wrote it, for messages */
    double low, high;             /* of an interval or of integers */
    bool closed_low, closed_high; /* of an interval */
    double period;                /* of an angle; 0: to be found out */
} nf__given;

/* One for each column, for ad_free(). */
ad_status nf__given_parse(const char *text, const nf_columns *columns, nf__given **given, ad_error *error);

/* ---- What a table says of a column ------------------------------------------------------------------------------ */

typedef struct {
    const nf_columns *columns;
    const nf_table *table;
    size_t column;
    const char *const *labels; /* NULL: numbers */
    size_t present;            /* values that aren't missing */
    double *sorted;            /* (present) */
    size_t distinct;           /* different ones */
    double *value;             /* (distinct), ascending */
    size_t *count;             /* (distinct) */
    bool whole;                /* all are whole numbers, and not too large to be counted */
} nf__sample;

/* AD_ERROR_FORMAT for an infinity. */
ad_status nf__sample_take(const nf_columns *columns, const nf_table *table, size_t column, nf__sample *sample,
                          ad_error *error);
void nf__sample_free(nf__sample *sample);

static inline double nf__table_value(const nf_table *table, size_t row, size_t column)
{
    return table->values[row * table->columns + column];
}

/* ---- Learning ---------------------------------------------------------------------------------------------------- */

enum { NF__WIDEST = 512 }; /* range of integers that are cells */

/* Fill in a column: its kind and its maps, from the sample's values. */
ad_status nf__learn_category(nf__column *column, const nf__sample *sample, ad_error *error);
ad_status nf__learn_integer(nf__column *column, const nf__sample *sample, const nf__given *given, bool context,
                            ad_error *error);
ad_status nf__learn_measured(nf__column *column, const nf__sample *sample, const nf__given *given, bool context,
                             ad_error *error);
ad_status nf__learn_angle(nf__column *column, const nf__sample *sample, const nf__given *given, bool context,
                          ad_error *error);
/* One of the pixels of so many images, of which all have values from least to most, whole ones or any. */
void nf__learn_pixel(nf__column *column, size_t rows, double least, double most, bool whole);
/* Is the column an earlier one, times and plus a constant? */
bool nf__learn_duplicate(nf_columns *columns, const nf__sample *sample);

/* Values of an integer column in a small range, with those that it might have beside them. */
ad_status nf__learn_steps(nf__column *column, const nf__sample *sample, const nf__given *given, ad_error *error);

/* Values that are far more frequent than others, at most three: takes them out of the sorted values (*n of them) and
 * puts them into the column. Of a wide range of integers only the smallest can be one. */
ad_status nf__learn_atoms(nf__column *column, const nf__sample *sample, const nf__given *given, double *values,
                          size_t *n, ad_error *error);
/* Cells for states: a value, of which there are n, each atom, and missing; none if there is only one state. */
ad_status nf__learn_states(nf__column *column, const nf__sample *sample, size_t n, ad_error *error);
/* The map for n sorted values that is told, or suits them best, and what follows from it. */
ad_status nf__learn_map(nf__column *column, const double *values, size_t n, const nf__given *given, bool context,
                        ad_error *error);
/* Offset and moments of the features of these values. */
void nf__learn_moments(nf__column *column, const double *values, size_t n, bool context);

/* Add to the explanation; false: memory is out. */
bool nf__why(nf__column *column, const char *format, ...) AD_PRINTF(2, 3);

#endif
