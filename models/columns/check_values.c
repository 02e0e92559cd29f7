/* Looking at a table's values before they are used. */
#include "columns/encode.h"

#include <weir/environment.h>
#include <weir/memory.h>

#include <math.h>
#include <string.h>

ad_status nf_columns_check(const nf_columns *columns, const nf_table *table, const char *what, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !columns ? "columns" : !table ? "table" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "columns: %s is NULL", missing);
    nf__values values;
    ad_status status = nf__values_open(columns, table, &values, error);
    size_t wrong = 0, first_row = 0, first_column = 0;
    double *features = status ? NULL : ad_alloc(columns->features + 1, sizeof *features);
    if (!status && !features) status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a row");
    for (size_t r = 0; !status && r < table->rows; r++) {
        if (columns->context) {
            status = nf__encode_context(&values, r, features, error);
            continue;
        }
        size_t c = 0;
        while (c < columns->count && !nf__contradiction(&values, r, c)) c++;
        if (c == columns->count) continue;
        if (wrong++ > 0) continue;
        first_row = r;
        first_column = c;
    }
    if (wrong > 0) {
        char value[NF__CONTRADICTION_TEXT], more[60] = "";
        nf__contradiction_text(&values, first_row, first_column, value);
        if (wrong > 1) snprintf(more, sizeof more, "; so it is with a value in %zu rows", wrong);
        status = ad_error_set(error, AD_ERROR_FORMAT, "%s: %s%s", what, value, more);
    }
    ad_free(features);
    nf__values_close(&values);
    return status;
}

size_t nf_columns_impossible(const nf_columns *columns, const nf_table *table, char text[NF_COLUMNS_TEXT])
{
    AD_DEFAULT_ENVIRONMENT;
    nf__values values;
    size_t impossible = 0;
    if (text) *text = '\0';
    ad_status status = nf__values_open(columns, table, &values, NULL);
    for (size_t r = 0; !status && !columns->context && r < table->rows; r++) {
        size_t c = 0;
        while (c < columns->count && !nf__contradiction(&values, r, c)) c++;
        if (c < columns->count && impossible++ == 0 && text) nf__contradiction_text(&values, r, c, text);
    }
    nf__values_close(&values);
    return impossible;
}

/* Is a value where those that were learned from weren't? */
static bool is_outside(const nf__values *values, size_t row, size_t c)
{
    const nf__column *column = &values->columns->column[c];
    const nf_column *face = &column->face;
    if (face->kind == NF_COLUMN_DROPPED || face->rows == 0) return false;
    double value = nf__value(values, row, c);
    if (isnan(value)) return face->missing == 0;
    if (face->labels) return value < 0;
    /* A duplicate of labels has neither. */
    return value < face->least || value > face->most;
}

size_t nf_columns_outside(const nf_columns *columns, const nf_table *table, char text[512])
{
    AD_DEFAULT_ENVIRONMENT;
    nf__values values;
    size_t outside = 0;
    if (text) *text = '\0';
    ad_status status = nf__values_open(columns, table, &values, NULL);
    for (size_t r = 0; !status && r < table->rows; r++) {
        size_t c = 0;
        while (c < columns->count && !is_outside(&values, r, c)) c++;
        if (c == columns->count || outside++ > 0 || !text) continue;
        const nf_column *face = &columns->column[c].face;
        char value[320];
        nf__value_text(&values, r, c, value);
        if (face->labels)
            snprintf(text, 512, "%s was not among the %zu of training", value, face->categories);
        else if (face->least <= face->most)
            snprintf(text, 512, "%s, and was %.10g to %.10g in training", value, face->least, face->most);
        else
            snprintf(text, 512, "%s, and was always missing in training", value);
    }
    nf__values_close(&values);
    return outside;
}
