/* Context vectors on the command line. */
#include "context.h"
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

static void move_columns(nf_table *table, struct context *context, const size_t *order, const bool *taken)
{
    size_t left = 0, columns = table->columns;
    for (size_t r = 0; r < table->rows; r++) {
        const double *row = table->values + r * columns;
        for (size_t k = 0; k < context->size; k++) context->values[r * context->size + k] = row[order[k]];
        for (size_t c = 0; c < columns; c++)
            if (!taken[c]) table->values[left++] = row[c];
    }
    size_t kept = 0;
    for (size_t c = 0; c < columns && table->names; c++)
        if (!taken[c]) table->names[kept++] = table->names[c];
    table->columns = columns - context->size;
}

ad_status context_take(const char *columns, const char *path, nf_table *table, struct context *context, ad_error *error)
{
    *context = (struct context){0};
    if (!columns) return AD_OK;
    size_t *order = ad_alloc(table->columns, sizeof *order), count = 0;
    bool *taken = ad_alloc(table->columns, sizeof *taken);
    ad_status status = order && taken ? parse_columns(columns, path, table, order, taken, &count, error)
                                      : ad_error_set(error, AD_ERROR_MEMORY, "no memory for the context");
    if (!status) {
        *context = (struct context){ad_alloc(table->rows, count * sizeof *context->values), count};
        if (context->values)
            move_columns(table, context, order, taken);
        else
            status = ad_error_set(error, AD_ERROR_MEMORY, "no memory for the context of %zu rows", table->rows);
    }
    ad_free(taken);
    ad_free(order);
    return status;
}

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

ad_status context_read_points(const char *path, const char *columns, const nf_flow *flow, const json_t *record,
                              const char *model, nf_table *points, struct context *context, ad_error *error)
{
    size_t size = nf_flow_context_size(flow);
    *context = (struct context){0};
    if (!columns && size > 0) columns = json_string_value(json_object_get(record, "context"));
    ad_status status = read_data(path, points, error);
    if (status) return status;
    status = check_width(path, flow, model, points, error);
    if (!status) status = context_take(columns, path, points, context, error);
    if (!status && context->size != size) {
        context_free(context);
        status = ad_error_set(error, AD_ERROR_ARGUMENT, "--context names %zu column%s, but %s needs %zu", context->size,
                              plural(context->size), model, size);
    }
    if (status) nf_table_free(points);
    return status;
}

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

static ad_status read_rows(const char *path, struct context *context, size_t rows, ad_error *error)
{
    nf_table table;
    ad_status status = nf_table_read(path, &table, error);
    if (status) return status;
    status = nf_table_check_finite(&table, path, error);
    if (!status && (table.columns != context->size || table.rows == 0))
        status = ad_error_set(
            error, AD_ERROR_FORMAT, "%s has %zu row%s of %zu column%s, but the context has %zu number%s", path,
            table.rows, plural(table.rows), table.columns, plural(table.columns), context->size, plural(context->size));
    for (size_t r = 0; r < rows && !status; r++)
        memcpy(context->values + r * context->size, table.values + r % table.rows * context->size,
               context->size * sizeof *context->values);
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
    *context = (struct context){ad_alloc(rows, size * sizeof *context->values), size};
    if (!context->values) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the context of %zu rows", rows);
    return AD_OK;
}

ad_status context_read(const char *text, size_t size, size_t rows, struct context *context, ad_error *error)
{
    ad_status status = begin(text, size, rows, context, error);
    if (status || !text) return status;
    size_t count = parse_numbers(text, size, context->values);
    status = count == 0 ? read_rows(text, context, rows, error) : repeat_numbers(text, count, context, rows, error);
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
