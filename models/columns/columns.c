/* Columns as objects: made, asked and released. */
#include "columns/column.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

static const char *const kind_names[] = {
    [NF_COLUMN_REAL] = "real",         [NF_COLUMN_POSITIVE] = "positive",   [NF_COLUMN_BOUNDED] = "bounded",
    [NF_COLUMN_INTEGER] = "integer",   [NF_COLUMN_CATEGORY] = "category",   [NF_COLUMN_ANGLE] = "angle",
    [NF_COLUMN_CONSTANT] = "constant", [NF_COLUMN_DUPLICATE] = "duplicate", [NF_COLUMN_DROPPED] = "dropped",
};

const char *nf_column_kind_name(nf_column_kind kind)
{
    return (size_t)kind < sizeof kind_names / sizeof *kind_names ? kind_names[kind] : "unknown";
}

/* ---- Layout ---------------------------------------------------------------------------------------------------- */

/* Of the value, without its states. */
static size_t value_features(const nf__column *column)
{
    switch (column->face.kind) {
    case NF_COLUMN_REAL:
    case NF_COLUMN_POSITIVE:
    case NF_COLUMN_BOUNDED:
    case NF_COLUMN_INTEGER:
        return column->discrete ? 0 : 1;
    case NF_COLUMN_ANGLE:
        return 2;
    default:
        return 0;
    }
}

static size_t context_features(const nf__column *column)
{
    const size_t categories = column->face.categories;
    size_t value = value_features(column);
    if (column->face.kind == NF_COLUMN_CATEGORY) value = categories <= NF__MOST_ONE_HOT ? categories : 1;
    return value > 0 ? value + column->can_miss : 0;
}

size_t nf__column_features(const nf__column *column, bool context)
{
    return context ? context_features(column) : value_features(column) + (column->cells.count > 0);
}

size_t nf__column_noise(const nf__column *column)
{
    const bool states = column->cells.count > 0;
    switch (column->face.kind) {
    case NF_COLUMN_ANGLE:
        return states ? 3 : 1;
    case NF_COLUMN_INTEGER:
        return column->discrete ? 1 : 1 + states;
    default:
        return states ? 1 + value_features(column) : 0;
    }
}

/* The square roots of primes: Richtmyer's sequence (1951). */
static void find_steps(uint64_t *step, size_t count)
{
    for (uint64_t candidate = 2, found = 0; found < count; candidate++) {
        bool prime = true;
        for (uint64_t d = 2; d * d <= candidate && prime; d++) prime = candidate % d != 0;
        if (!prime) continue;
        double root = sqrt((double)candidate);
        step[found++] = (uint64_t)ldexp(root - floor(root), 64);
    }
}

ad_status nf__columns_finish(nf_columns *columns, ad_error *error)
{
    for (size_t c = 0; c < columns->count; c++) {
        nf__column *column = &columns->column[c];
        column->face.feature = columns->features;
        column->face.features = nf__column_features(column, columns->context);
        columns->features += column->face.features;
        if (!columns->context) columns->noise += nf__column_noise(column);
    }
    columns->step = ad_alloc(columns->noise + 1, sizeof *columns->step);
    if (!columns->step) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu columns", columns->count);
    find_steps(columns->step, columns->noise);
    return AD_OK;
}

/* ---- Life ------------------------------------------------------------------------------------------------------ */

nf_columns *nf__columns_new(size_t count, ad_error *error)
{
    nf_columns *columns = ad_alloc(1, sizeof *columns);
    nf__column *column = ad_alloc(count + 1, sizeof *column);
    if (columns && column) {
        columns->count = count;
        columns->column = column;
        return columns;
    }
    ad_free(columns);
    ad_free(column);
    ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu columns", count);
    return NULL;
}

void nf_columns_free(nf_columns *columns)
{
    if (!columns) return;
    for (size_t c = 0; c < columns->count; c++) {
        nf__column *column = &columns->column[c];
        ad_free((void *)column->face.name);
        ad_free((void *)column->face.why);
        ad_free((void *)column->face.atom);
        ad_free((void *)column->face.labels);
        ad_free((void *)column->face.codes);
        nf__cells_free(&column->cells);
    }
    ad_free(columns->column);
    ad_free(columns->step);
    ad_free(columns);
}

nf_columns *nf_columns_plain(size_t count, const char *const *names, ad_error *error)
{
    nf_columns *columns = nf__columns_new(count, error);
    if (!columns) return NULL;
    columns->plain = true;
    ad_status status = nf__columns_finish(columns, error);
    for (size_t c = 0; c < count && !status; c++) {
        nf__column *column = &columns->column[c];
        column->map = nf__map_of(-INFINITY, INFINITY, 0);
        column->fill_sd = 1;
        column->face = (nf_column){.kind = NF_COLUMN_REAL,
                                   .name = names ? ad_strdup(names[c]) : NULL,
                                   .why = ad_strdup("real: taken as it is"),
                                   .feature = c,
                                   .features = 1,
                                   .low = -INFINITY,
                                   .high = INFINITY,
                                   .least = NAN,
                                   .most = NAN};
        if (!column->face.why || (names && !column->face.name))
            status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu columns", count);
    }
    if (!status) return columns;
    nf_columns_free(columns);
    return NULL;
}

/* ---- Questions ------------------------------------------------------------------------------------------------- */

size_t nf_columns_count(const nf_columns *columns)
{
    return columns ? columns->count : 0;
}

size_t nf_columns_features(const nf_columns *columns)
{
    return columns ? columns->features : 0;
}

bool nf_columns_noisy(const nf_columns *columns)
{
    return columns && columns->noise > 0;
}

bool nf_columns_is_context(const nf_columns *columns)
{
    return columns && columns->context;
}

const nf_column *nf_columns_column(const nf_columns *columns, size_t c)
{
    return columns && c < columns->count ? &columns->column[c].face : NULL;
}

const char *nf__column_text(const nf_columns *columns, size_t c, char text[160])
{
    const char *name = columns->column[c].face.name;
    if (name)
        snprintf(text, 160, "column '%s'", name);
    else
        snprintf(text, 160, "column %zu", c + 1);
    return text;
}

/* What feature number i of a column is, behind the column's name. */
static void feature_part(const nf__column *column, bool context, size_t i, char text[80])
{
    const nf_column *face = &column->face;
    const bool states = !context && !column->discrete && column->cells.count > 0;
    *text = '\0';
    if (states && i == 0)
        snprintf(text, 80, " state");
    else if (context && column->can_miss && i + 1 == face->features)
        snprintf(text, 80, " missing");
    else if (face->kind == NF_COLUMN_ANGLE)
        snprintf(text, 80, i == (size_t)states ? " cos" : " sin");
    else if (context && face->kind == NF_COLUMN_CATEGORY && face->categories <= NF__MOST_ONE_HOT && face->labels)
        snprintf(text, 80, " %s", face->labels[i]);
    else if (context && face->kind == NF_COLUMN_CATEGORY && face->categories <= NF__MOST_ONE_HOT)
        snprintf(text, 80, " %.15g", face->codes[i]);
}

char *nf_columns_feature_name(const nf_columns *columns, size_t feature, char text[128])
{
    if (!text) return NULL;
    *text = '\0';
    for (size_t c = 0; c < nf_columns_count(columns); c++) {
        const nf_column *face = &columns->column[c].face;
        if (feature < face->feature || feature - face->feature >= face->features) continue;
        char part[80], name[32];
        feature_part(&columns->column[c], columns->context, feature - face->feature, part);
        snprintf(name, sizeof name, "x[%zu]", c + 1);
        snprintf(text, 128, "%s%s", face->name ? face->name : name, part);
    }
    return text;
}
