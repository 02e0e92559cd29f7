/* The values of a table as columns know them. */
#ifndef WEIR_MODELS_COLUMNS_VALUES_H
#define WEIR_MODELS_COLUMNS_VALUES_H

#include "columns/column.h"

/* A table, with its labels translated. */
typedef struct {
    const nf_columns *columns;
    const nf_table *table;
    size_t first;    /* the number of its first row, for messages */
    double **code;   /* of each column: what the table's labels are to the columns; NULL: it has numbers */
    double **number; /* of each column: the numbers that the columns' labels are, for a table of numbers; or NULL */
} nf__values;

/* AD_ERROR_FORMAT for another number of columns, and for text where numbers are wanted. Released also on failure. */
ad_status nf__values_open(const nf_columns *columns, const nf_table *table, nf__values *values, ad_error *error);
void nf__values_close(nf__values *values);

/* AD_ERROR_ARGUMENT for a value of column c that is no index of its labels, if it has any. */
ad_status nf__check_indices(const nf_columns *columns, const nf_table *table, size_t c, ad_error *error);

/* A number, or the index of the columns' label, -1 for an unknown one; NaN: missing. */
double nf__value(const nf__values *values, size_t row, size_t c);
/* What is wrong with a value, as the end of a sentence that begins with it; NULL: nothing. */
const char *nf__contradiction(const nf__values *values, size_t row, size_t c);
/* The cell that a value without contradiction is in: of a column with cells. */
size_t nf__state_of(const nf__column *column, double value);
/* "row 3, column 'city': 'Ulm'": a value that is to be told. */
void nf__value_text(const nf__values *values, size_t row, size_t c, char text[320]);

/* What is wrong with a value that has a contradiction, and what follows. */
enum { NF__CONTRADICTION_TEXT = NF_COLUMNS_TEXT };
void nf__contradiction_text(const nf__values *values, size_t row, size_t c, char text[NF__CONTRADICTION_TEXT]);

#endif
