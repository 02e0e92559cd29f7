/* Reading a table's values as those that columns were learned from. */
#include "columns/values.h"
#include "files/excerpt.h"

#include <weir/memory.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Labels ---------------------------------------------------------------------------------------------------- */

/* NaN for text that isn't a number. */
static double number_of(const char *text, locale_t c_locale)
{
    char *end;
    double number = strtod_l(text, &end, c_locale);
    return end > text && !*end ? number : NAN;
}

/* The column whose labels those of column c are: of a duplicate, the one that it is of. */
static const nf_column *labels_of(const nf_columns *columns, size_t c)
{
    const nf_column *face = &columns->column[c].face;
    return face->kind == NF_COLUMN_DUPLICATE ? &columns->column[face->source].face : face;
}

static double index_of(const nf_column *face, const char *label)
{
    for (size_t k = 0; k < face->categories; k++)
        if (strcmp(face->labels[k], label) == 0) return (double)k;
    return -1;
}

ad_status nf__check_indices(const nf_columns *columns, const nf_table *table, size_t c, ad_error *error)
{
    char **labels = table->labels ? table->labels[c] : NULL, text[160];
    size_t count = 0;
    if (!labels) return AD_OK;
    while (labels[count]) count++;
    for (size_t r = 0; r < table->rows; r++) {
        double value = table->values[r * table->columns + c];
        if (isnan(value) || (value >= 0 && value < (double)count && value == floor(value))) continue;
        return ad_error_set(error, AD_ERROR_ARGUMENT, "row %zu, %s: %g is no index of its %zu labels", r + 1,
                            nf__column_text(columns, c, text), value, count);
    }
    return AD_OK;
}

static ad_status translate(const nf_columns *columns, size_t c, char **labels, double *code, locale_t c_locale,
                           ad_error *error)
{
    const nf_column *face = labels_of(columns, c);
    char text[160];
    for (size_t i = 0; labels[i]; i++) {
        code[i] = face->labels ? index_of(face, labels[i]) : number_of(labels[i], c_locale);
        if (!isnan(code[i])) continue;
        return ad_error_set(error, AD_ERROR_FORMAT, "%s is of kind %s, and '%s' is not a number",
                            nf__column_text(columns, c, text), nf_column_kind_name(columns->column[c].face.kind),
                            nf__excerpt_of(labels[i], strlen(labels[i])).text);
    }
    return AD_OK;
}

static ad_status open_column(nf__values *values, size_t c, locale_t c_locale, ad_error *error)
{
    const nf_column *face = labels_of(values->columns, c);
    char **labels = values->table->labels ? values->table->labels[c] : NULL;
    size_t count = 0;
    ad_status status = nf__check_indices(values->columns, values->table, c, error);
    if (status || values->columns->column[c].face.kind == NF_COLUMN_DROPPED) return status;
    if (labels)
        while (labels[count]) count++;
    else if (face->labels)
        count = face->categories;
    else
        return AD_OK;
    double *numbers = ad_alloc(count + 1, sizeof *numbers);
    if (!numbers) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu labels", count);
    *(labels ? &values->code[c] : &values->number[c]) = numbers;
    if (labels) return translate(values->columns, c, labels, numbers, c_locale, error);
    for (size_t k = 0; k < count; k++) numbers[k] = number_of(face->labels[k], c_locale);
    return AD_OK;
}

ad_status nf__values_open(const nf_columns *columns, const nf_table *table, nf__values *values, ad_error *error)
{
    *values = (nf__values){.columns = columns, .table = table, .first = table ? table->first_row : 0};
    if (!columns || !table || (!table->values && table->rows > 0))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "there are no columns, or there is no table of them");
    if (table->columns != columns->count)
        return ad_error_set(error, AD_ERROR_FORMAT, "the table has %zu columns, but %zu were learned", table->columns,
                            columns->count);
    values->code = ad_alloc(columns->count + 1, sizeof *values->code);
    values->number = ad_alloc(columns->count + 1, sizeof *values->number);
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    ad_status status = AD_OK;
    if (!values->code || !values->number || !c_locale)
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu columns", columns->count);
    for (size_t c = 0; c < columns->count && !status; c++) status = open_column(values, c, c_locale, error);
    if (c_locale) freelocale(c_locale);
    return status;
}

void nf__values_close(nf__values *values)
{
    for (size_t c = 0; values->columns && c < values->columns->count; c++) {
        if (values->code) ad_free(values->code[c]);
        if (values->number) ad_free(values->number[c]);
    }
    ad_free(values->code);
    ad_free(values->number);
    *values = (nf__values){0};
}

double nf__value(const nf__values *values, size_t row, size_t c)
{
    double value = values->table->values[row * values->table->columns + c];
    if (isnan(value)) return value;
    if (values->code[c]) return values->code[c][(size_t)value];
    if (!values->number[c]) return value;
    const size_t count = labels_of(values->columns, c)->categories;
    for (size_t k = 0; k < count; k++)
        if (values->number[c][k] == value) return (double)k;
    return -1;
}

/* ---- States ---------------------------------------------------------------------------------------------------- */

static size_t code_of(const nf_column *face, double value)
{
    for (size_t low = 0, high = face->categories; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (face->codes[middle] == value) return middle;
        if (face->codes[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return face->categories;
}

static bool is_atom(const nf_column *face, double value)
{
    for (size_t a = 0; a < face->atoms; a++)
        if (face->atom[a] == value) return true;
    return false;
}

size_t nf__state_of(const nf__column *column, double value)
{
    const nf_column *face = &column->face;
    if (isnan(value)) return column->cells.count - 1;
    if (face->kind == NF_COLUMN_CATEGORY) return face->labels ? (size_t)value : code_of(face, value);
    if (column->discrete) return (size_t)(value - column->first);
    for (size_t a = 0; a < face->atoms; a++)
        if (face->atom[a] == value) return a + 1;
    return 0;
}

/* ---- Contradictions -------------------------------------------------------------------------------------------- */

static const char *against_constant(const nf_column *face, double value)
{
    bool same = face->categories == 0 ? isnan(value) : value == (face->labels ? 0 : face->codes[0]);
    return same ? NULL : "is another value than the only one that there was";
}

static const char *against_source(const nf__values *values, size_t row, size_t c, double value)
{
    const nf_column *face = &values->columns->column[c].face;
    double x = nf__value(values, row, face->source), expected = face->slope * x + face->intercept;
    bool same = isnan(value) || isnan(x)
                    ? isnan(value) && isnan(x)
                    : fabs(value - expected) <= 1e-9 * (fabs(value) + fabs(face->slope * x) + fabs(face->intercept));
    return same ? NULL : "is not what it always was of the column that it was a duplicate of";
}

static const char *against_values(const nf__column *column, double value)
{
    static const char *const outside = "is outside of its support";
    const nf_column *face = &column->face;
    switch (face->kind) {
    case NF_COLUMN_CATEGORY:
        if (face->labels ? value >= 0 : code_of(face, value) < face->categories) return NULL;
        return "is not among the values that were learned";
    case NF_COLUMN_INTEGER:
        if (value != floor(value)) return "is no whole number";
        if (fabs(value) > 0x1p40 || value < face->low || value > face->high) return outside;
        return NULL;
    case NF_COLUMN_ANGLE:
        return fabs(value - (face->low + face->high) / 2) <= (face->high - face->low) * 0.500001 ? NULL : outside;
    default:
        return is_atom(face, value) || nf__map_admits(&column->map, value) ? NULL : outside;
    }
}

const char *nf__contradiction(const nf__values *values, size_t row, size_t c)
{
    const nf__column *column = &values->columns->column[c];
    if (values->columns->plain || column->face.kind == NF_COLUMN_DROPPED) return NULL;
    double value = nf__value(values, row, c);
    if (column->face.kind == NF_COLUMN_CONSTANT) return against_constant(&column->face, value);
    if (column->face.kind == NF_COLUMN_DUPLICATE) return against_source(values, row, c, value);
    if (isnan(value)) return column->can_miss ? NULL : "where nothing was when it was learned";
    return against_values(column, value);
}

void nf__value_text(const nf__values *values, size_t row, size_t c, char text[320])
{
    const nf_table *table = values->table;
    double value = table->values[row * table->columns + c];
    const size_t number = values->first + row + 1;
    char column[160];
    nf__column_text(values->columns, c, column);
    if (isnan(value))
        snprintf(text, 320, "row %zu, %s: missing", number, column);
    else if (table->labels && table->labels[c]) {
        const char *label = table->labels[c][(size_t)value];
        snprintf(text, 320, "row %zu, %s: '%s'", number, column, nf__excerpt_of(label, strlen(label)).text);
    } else
        snprintf(text, 320, "row %zu, %s: %.15g", number, column, value);
}

void nf__contradiction_text(const nf__values *values, size_t row, size_t c, char text[NF__CONTRADICTION_TEXT])
{
    char value[320], range[100] = "";
    const nf_column *face = &values->columns->column[c].face;
    nf__value_text(values, row, c, value);
    if (face->low < face->high) snprintf(range, sizeof range, ", %.10g to %.10g", face->low, face->high);
    snprintf(text, NF__CONTRADICTION_TEXT, "%s %s (%s%s), so that the row has density 0", value,
             nf__contradiction(values, row, c), nf_column_kind_name(face->kind), range);
}
