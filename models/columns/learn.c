/* Learning what the columns of a table are. */
#include "columns/learn.h"

#include <weir/environment.h>
#include <weir/memory.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_FOR_IDENTIFIERS = 20 };

/* Does one text tell each row, or nearly, from the others? */
static bool are_identifiers(const nf__sample *sample)
{
    return sample->labels && sample->present >= LEAST_FOR_IDENTIFIERS && 2 * sample->distinct > sample->present;
}

/* Is a text a number but for a unit, or spaces and commas between thousands, of which `dressed` says whether it has
 * any? */
static bool is_number(const char *text, bool *dressed)
{
    char plain[64], *end;
    size_t n = 0;
    *dressed = false;
    for (; *text && n + 1 < sizeof plain; text++)
        if (!strchr("$% ,'", *text) && (unsigned char)*text < 0x80)
            plain[n++] = *text;
        else
            *dressed = true;
    plain[n] = '\0';
    const double value = strtod(plain, &end);
    return n > 0 && !*text && !*end && isfinite(value);
}

/* What a user would rather have as numbers is told; not of plain ones, which somebody has made labels of. */
static void why_numbers(nf__column *column, const nf__sample *sample)
{
    const char *example = NULL;
    for (size_t k = 0; k < sample->distinct; k++) {
        const char *label = sample->labels ? sample->labels[(size_t)sample->value[k]] : "";
        bool dressed;
        if (!is_number(label, &dressed)) return;
        if (dressed && !example) example = label;
    }
    if (example)
        nf__why(column, ", which look like numbers: '%.40s' is one if its unit and marks of thousands are left out",
                example);
}

static ad_status check_labels(const nf__sample *sample, const nf__given *given, ad_error *error)
{
    char text[160];
    if (!sample->labels || given->request == NF__AUTO || given->request == NF__CATEGORY || given->request == NF__DROP)
        return AD_OK;
    return ad_error_set(error, AD_ERROR_FORMAT, "%s holds text, '%s' for one, and so can't be %s: category, or drop",
                        nf__column_text(sample->columns, sample->column, text),
                        sample->present ? sample->labels[(size_t)sample->value[0]] : "", given->text);
}

/* Numbers on a scale of a few steps, such as ratings. */
static bool are_few(const nf__sample *sample)
{
    const size_t distinct = sample->distinct, rows_each = sample->present / distinct;
    return (distinct <= 10 && rows_each >= 10) || (distinct <= 30 && rows_each >= 100);
}

/* A kind that is told or recognised, of a column of at least two different values. */
static ad_status learn_varied(nf_columns *columns, const nf__sample *sample, const nf__given *given, ad_error *error)
{
    nf__column *column = &columns->column[sample->column];
    const bool context = columns->context;
    switch (given->request) {
    case NF__INTERVAL:
        return nf__learn_measured(column, sample, given, context, error);
    case NF__INTEGER:
        return nf__learn_integer(column, sample, given, context, error);
    case NF__ANGLE:
        return nf__learn_angle(column, sample, given, context, error);
    default:
        break;
    }
    if (given->request == NF__AUTO && nf__learn_duplicate(columns, sample)) return AD_OK;
    if (given->request == NF__AUTO && are_identifiers(sample)) {
        column->face.kind = NF_COLUMN_DROPPED;
        nf__why(column, "dropped: %zu different texts in %zu rows tell rows apart", sample->distinct, sample->present);
        why_numbers(column, sample);
        return AD_OK;
    }
    if (given->request == NF__CATEGORY || sample->labels || (are_few(sample) && !sample->whole)) {
        nf__why(column, "category: %zu different %s", sample->distinct, sample->labels ? "texts" : "numbers");
        why_numbers(column, sample);
        return nf__learn_category(column, sample, error);
    }
    return sample->whole ? nf__learn_integer(column, sample, given, context, error)
                         : nf__learn_measured(column, sample, given, context, error);
}

static ad_status learn_sample(nf_columns *columns, const nf__sample *sample, const nf__given *given, ad_error *error)
{
    nf__column *column = &columns->column[sample->column];
    nf_column *face = &column->face;
    const size_t rows = sample->table->rows;
    face->rows = rows;
    face->missing = (double)(rows - sample->present) / (double)rows;
    face->least = sample->present && !sample->labels ? sample->value[0] : NAN;
    face->most = sample->present && !sample->labels ? sample->value[sample->distinct - 1] : NAN;
    face->low = face->high = NAN;
    ad_status status = check_labels(sample, given, error);
    if (status) return status;
    if (given->request == NF__DROP) {
        face->kind = NF_COLUMN_DROPPED;
        nf__why(column, "dropped: as asked for");
    } else if (sample->present == 0) {
        face->kind = NF_COLUMN_CONSTANT;
        nf__why(column, "constant: always missing");
    } else if (sample->distinct == 1) {
        /* A category of one, which knows its value; without a feature unless it can be missing. */
        nf__why(column, sample->present == rows ? "constant: it has one value" : "category: one value, or missing");
        status = nf__learn_category(column, sample, error);
        if (sample->present == rows) {
            face->kind = NF_COLUMN_CONSTANT;
            nf__cells_free(&column->cells);
        }
    } else
        status = learn_varied(columns, sample, given, error);
    if (!status && face->missing > 0 && face->missing < 1)
        nf__why(column, "; missing in %.3g %% of the rows", 100 * face->missing);
    if (!status && !face->why) status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a column");
    return status;
}

static ad_status copy_names(nf_columns *columns, const nf_table *table, ad_error *error)
{
    for (size_t c = 0; c < columns->count && table->names; c++) {
        char *name = ad_strdup(table->names[c]);
        if (!name) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the columns' names");
        columns->column[c].face.name = name;
    }
    return AD_OK;
}

static ad_status learn_pixels(nf_columns *columns, const nf_table *table, ad_error *error)
{
    const size_t count = table->rows * table->columns;
    double least = INFINITY, most = -INFINITY;
    bool whole = true;
    for (size_t i = 0; i < count; i++) {
        const double value = table->values[i];
        if (!isfinite(value))
            return ad_error_set(error, AD_ERROR_FORMAT, "row %zu, pixel %zu: %g is no value; mend or remove the image",
                                i / table->columns + 1, i % table->columns + 1, value);
        whole = whole && value == floor(value) && fabs(value) <= 0x1p40;
        least = fmin(least, value);
        most = fmax(most, value);
    }
    if (whole) least = fmin(least, 0);
    for (size_t c = 0; c < columns->count; c++) nf__learn_pixel(&columns->column[c], table->rows, least, most, whole);
    ad_status status = nf__columns_finish(columns, error);
    if (!status && !columns->column[0].face.why)
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu pixels", columns->count);
    return status;
}

static ad_status learn(nf_columns *columns, const nf_table *table, const char *text, ad_error *error)
{
    nf__given *given;
    ad_status status = copy_names(columns, table, error);
    if (!status) status = nf__given_parse(text, columns, &given, error);
    if (status) return status;
    for (size_t c = 0; c < columns->count && !status; c++) {
        nf__sample sample;
        status = nf__sample_take(columns, table, c, &sample, error);
        if (!status) status = learn_sample(columns, &sample, &given[c], error);
        nf__sample_free(&sample);
    }
    ad_free(given);
    if (!status) status = nf__columns_finish(columns, error);
    if (!status && columns->features == 0)
        status = ad_error_set(error, AD_ERROR_FORMAT,
                              "there is nothing to learn: none of the %zu columns is kept and varies; the first is %s",
                              columns->count, columns->column[0].face.why);
    return status;
}

nf_columns *nf_columns_learn(const nf_table *table, const char *given, const nf_columns_options *options,
                             ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!table)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "columns: expected two rows or more, but table is NULL"), NULL;
    const bool pixels = options && options->pixels;
    if (!table->values || table->rows < (pixels ? 1 : 2) || table->columns == 0) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "columns can be learned from %s or more, but there are %zu",
                     pixels ? "one image" : "two rows", table->values ? table->rows : 0);
        return NULL;
    }
    nf_columns *columns = nf__columns_new(table->columns, error);
    if (!columns) return NULL;
    columns->context = options && options->context;
    if (!(pixels ? learn_pixels(columns, table, error) : learn(columns, table, given, error))) return columns;
    nf_columns_free(columns);
    return NULL;
}
