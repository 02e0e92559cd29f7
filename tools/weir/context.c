/* Context vectors on the command line. */
#include "context.h"
#include "columns.h"
#include "files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* The column of this name or number, or the number of columns. */
static size_t find_column(const nf_table *table, const char *text, size_t length)
{
    for (size_t c = 0; table->names && c < table->columns; c++)
        if (strlen(table->names[c]) == length && memcmp(table->names[c], text, length) == 0) return c;
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    return end == text + length && number >= 1 && number <= table->columns ? number - 1 : table->columns;
}

/* order: the columns that are context, one after the other; taken[c]: is c one of them? */
static ad_status parse_columns(const char *columns, const char *path, const nf_table *table, size_t *order, bool *taken,
                               size_t *count, ad_error *error)
{
    *count = 0;
    for (const char *at = columns;; at++) {
        size_t length = strcspn(at, ","), c = find_column(table, at, length);
        if (c == table->columns)
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "--context: %s has no column '%.*s'; expected names from its header, or numbers from 1 "
                                "to %zu, separated by commas",
                                path, (int)length, at, table->columns);
        if (taken[c])
            return ad_error_set(error, AD_ERROR_ARGUMENT, "--context: column '%.*s' is given twice", (int)length, at);
        taken[c] = true;
        order[(*count)++] = c;
        at += length;
        if (!*at) break;
    }
    if (*count < table->columns) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "--context: every column of %s is context; nothing is left to fit",
                        path);
}

/* Where the columns of a table go: the first `size` of the order are context, the others features. */
struct places {
    size_t *order, size;
    bool *taken;  /* is the column one of the order? */
    double *row;  /* room for a row of the table, */
    char **names; /* and for its names */
};

static void places_free(struct places *places)
{
    ad_free(places->order);
    ad_free(places->taken);
    ad_free(places->row);
    ad_free(places->names);
}

static ad_status places_begin(struct places *places, size_t columns, ad_error *error)
{
    *places = (struct places){.order = ad_alloc(columns, sizeof *places->order),
                              .taken = ad_alloc(columns, sizeof *places->taken),
                              .row = ad_alloc(columns, sizeof *places->row),
                              .names = ad_alloc(columns, sizeof *places->names)};
    if (places->order && places->taken && places->row && places->names) return AD_OK;
    places_free(places);
    return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the order of %zu columns", columns);
}

/* The columns that are left are features, as they stand. */
static void places_rest(struct places *places, const nf_table *table)
{
    size_t filled = places->size;
    for (size_t c = 0; c < table->columns; c++)
        if (!places->taken[c]) places->order[filled++] = c;
}

/* The names of the context come behind those of the features. */
static ad_status move_columns(nf_table *table, struct context *context, const struct places *places, ad_error *error)
{
    size_t size = places->size, columns = table->columns, kept = columns - size;
    *context = (struct context){.size = size};
    if (size > 0 && !(context->values = ad_alloc(table->rows, size * sizeof *context->values)))
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the context of %zu rows", table->rows);
    for (size_t r = 0; r < table->rows; r++) {
        memcpy(places->row, table->values + r * columns, columns * sizeof *places->row);
        for (size_t k = 0; k < size; k++) context->values[r * size + k] = places->row[places->order[k]];
        for (size_t k = 0; k < kept; k++) table->values[r * kept + k] = places->row[places->order[size + k]];
    }
    if (table->names) {
        memcpy(places->names, table->names, columns * sizeof *places->names);
        for (size_t k = 0; k < columns; k++)
            table->names[k < size ? kept + k : k - size] = places->names[places->order[k]];
        context->names = table->names + kept;
    }
    table->columns = kept;
    return AD_OK;
}

ad_status context_take(const char *columns, const char *path, nf_table *table, struct context *context, ad_error *error)
{
    *context = (struct context){0};
    if (!columns) return AD_OK;
    struct places places;
    ad_status status = places_begin(&places, table->columns, error);
    if (status) return status;
    status = parse_columns(columns, path, table, places.order, places.taken, &places.size, error);
    if (!status) {
        places_rest(&places, table);
        status = move_columns(table, context, &places, error);
    }
    places_free(&places);
    return status;
}

/* ---- Points of a flow ------------------------------------------------------------------------------------------ */

/* Has the table a column for each feature and each number of the context? */
static ad_status check_width(const char *path, const nf_flow *flow, const char *model, const nf_table *table,
                             ad_error *error)
{
    size_t dim = nf_flow_dim(flow), size = nf_flow_context_size(flow), columns = table->columns;
    if (columns == dim + size) return AD_OK;
    if (size == 0)
        return ad_error_set(error, AD_ERROR_FORMAT, "%s has %zu column%s, but %s is a flow of %zu feature%s", path,
                            columns, plural(columns), model, dim, plural(dim));
    return ad_error_set(error, AD_ERROR_FORMAT,
                        "%s has %zu column%s, but %s needs %zu: %zu feature%s and a context of %zu", path, columns,
                        plural(columns), model, dim + size, dim, plural(dim), size);
}

/* By position, or the context's columns as the text says. */
static ad_status find_by_text(const char *path, const char *columns, const nf_flow *flow, const char *model,
                              const nf_table *table, struct places *places, ad_error *error)
{
    size_t size = nf_flow_context_size(flow);
    ad_status status =
        columns ? parse_columns(columns, path, table, places->order, places->taken, &places->size, error) : AD_OK;
    if (!status && places->size != size)
        status = ad_error_set(error, AD_ERROR_ARGUMENT, "--context names %zu column%s, but %s needs %zu", places->size,
                              plural(places->size), model, size);
    return status;
}

/* names: of the features, which are on record; conditions: of the context, which may not be. */
static ad_status find_by_name(const char *path, const char *columns, const nf_flow *flow, const char *model,
                              char *const *names, char *const *conditions, const nf_table *table, struct places *places,
                              ad_error *error)
{
    size_t dim = nf_flow_dim(flow), size = nf_flow_context_size(flow);
    if (!conditions) {
        ad_status status = find_by_text(path, columns, flow, model, table, places, error);
        if (status) return status;
        return columns_match(table, path, model, names, dim, places->taken, places->order + size, error);
    }
    char **both = ad_alloc(size + dim, sizeof *both);
    if (!both) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the names of %zu columns", size + dim);
    memcpy(both, conditions, size * sizeof *both);
    memcpy(both + size, names, dim * sizeof *both);
    places->size = size;
    ad_status status = columns_match(table, path, model, both, size + dim, places->taken, places->order, error);
    ad_free(both);
    return status;
}

/* By the names where both the table and the record have some, otherwise by position. */
static ad_status find_places(const char *path, const char *columns, const nf_flow *flow, const json_t *record,
                             const char *model, const nf_table *table, struct places *places, ad_error *error)
{
    size_t size = nf_flow_context_size(flow);
    char **names = table->names ? feature_names(record, nf_flow_dim(flow)) : NULL;
    char **conditions = names && !columns ? context_names(record, size) : NULL;
    if (!columns && size > 0) columns = json_string_value(json_object_get(record, "context"));
    ad_status status;
    if (names) {
        status = find_by_name(path, columns, flow, model, names, conditions, table, places, error);
    } else {
        status = check_width(path, flow, model, table, error);
        if (!status) status = find_by_text(path, columns, flow, model, table, places, error);
        if (!status) places_rest(places, table);
    }
    ad_free(conditions);
    ad_free(names);
    return status;
}

ad_status context_read_points(const char *path, const char *columns, const nf_flow *flow, const json_t *record,
                              const char *model, nf_table *points, struct context *context, ad_error *error)
{
    *context = (struct context){0};
    ad_status status = read_data(path, points, error);
    if (status) return status;
    struct places places;
    size_t needed = nf_flow_dim(flow) + nf_flow_context_size(flow);
    status = places_begin(&places, needed > points->columns ? needed : points->columns, error);
    if (!status) {
        status = find_places(path, columns, flow, record, model, points, &places, error);
        if (!status) status = move_columns(points, context, &places, error);
        places_free(&places);
    }
    if (status) nf_table_free(points);
    return status;
}

/* ---- The context alone ----------------------------------------------------------------------------------------- */

/* The first `size` of the numbers between commas, and how many there are: 0 when the text isn't that. */
static size_t parse_numbers(const char *text, size_t size, double *values)
{
    size_t count = 0;
    for (char *end;; text = end + 1) {
        double value = strtod(text, &end);
        if (end == text || (*end != ',' && *end != '\0')) return 0;
        if (count < size) values[count] = value;
        count++;
        if (*end == '\0') return count;
    }
}

/* The numbers parsed into the first row, if the context has as many, for all rows. */
static ad_status repeat_numbers(const char *text, size_t count, struct context *context, size_t rows, ad_error *error)
{
    if (count != context->size)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "--context: expected %zu number%s%s, got '%s'", context->size,
                            plural(context->size), context->size > 1 ? " separated by commas, as in '0.5,1'" : "",
                            text);
    for (size_t k = 0; k < count; k++)
        if (!isfinite(context->values[k]))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "--context: number %zu of '%s' is not finite", k + 1, text);
    for (size_t r = 1; r < rows; r++)
        memcpy(context->values + r * count, context->values, count * sizeof *context->values);
    return AD_OK;
}

/* order[k]: the column that is number k of the context. */
static ad_status find_conditions(const char *path, const nf_table *table, const json_t *record, const char *model,
                                 size_t size, size_t *order, bool *taken, ad_error *error)
{
    char **names = table->names ? context_names(record, size) : NULL;
    ad_status status = AD_OK;
    if (names)
        status = columns_match(table, path, model, names, size, taken, order, error);
    else if (table->columns != size)
        status = ad_error_set(error, AD_ERROR_FORMAT,
                              "%s has %zu row%s of %zu column%s, but the context has %zu number%s", path, table->rows,
                              plural(table->rows), table->columns, plural(table->columns), size, plural(size));
    else
        for (size_t k = 0; k < size; k++) order[k] = k;
    ad_free(names);
    return status;
}

static ad_status read_rows(const char *path, const json_t *record, const char *model, struct context *context,
                           size_t rows, ad_error *error)
{
    nf_table table;
    size_t size = context->size;
    ad_status status = read_data(path, &table, error);
    if (status) return status;
    size_t *order = ad_alloc(size, sizeof *order);
    bool *taken = ad_alloc(table.columns, sizeof *taken);
    status = order && taken ? find_conditions(path, &table, record, model, size, order, taken, error)
                            : ad_error_set(error, AD_ERROR_MEMORY, "no memory for the context");
    for (size_t r = 0; r < rows && !status; r++)
        for (size_t k = 0; k < size; k++)
            context->values[r * size + k] = table.values[r % table.rows * table.columns + order[k]];
    ad_free(taken);
    ad_free(order);
    nf_table_free(&table);
    return status;
}

/* Room for the context of so many rows; none where the flow has none and none is given. */
static ad_status begin(const char *text, size_t size, size_t rows, struct context *context, ad_error *error)
{
    *context = (struct context){0};
    if (!text && size > 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "this flow is conditional: give its context of %zu number%s with --context", size,
                            plural(size));
    if (!text) return AD_OK;
    if (size == 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "--context: this flow has none, it was fitted without");
    *context = (struct context){.values = ad_alloc(rows, size * sizeof *context->values), .size = size};
    if (!context->values) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the context of %zu rows", rows);
    return AD_OK;
}

ad_status context_read(const char *text, const nf_flow *flow, const json_t *record, const char *model, size_t rows,
                       struct context *context, ad_error *error)
{
    size_t size = nf_flow_context_size(flow);
    ad_status status = begin(text, size, rows, context, error);
    if (status || !text) return status;
    size_t count = parse_numbers(text, size, context->values);
    status = count == 0 ? read_rows(text, record, model, context, rows, error)
                        : repeat_numbers(text, count, context, rows, error);
    if (status) context_free(context);
    return status;
}

ad_status context_repeat(const char *text, size_t size, size_t rows, struct context *context, ad_error *error)
{
    ad_status status = begin(text, size, rows, context, error);
    if (status || !text) return status;
    status = repeat_numbers(text, parse_numbers(text, size, context->values), context, rows, error);
    if (status) context_free(context);
    return status;
}

void context_free(struct context *context)
{
    ad_free(context->values);
    context->values = NULL;
}
