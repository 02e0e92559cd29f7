/* Context vectors on the command line. */
#include "context.h"
#include "columns.h"
#include "points.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* ---- Values ----------------------------------------------------------------------------------------------------- */

/* A value as it is written: a part of the text. */
struct part {
    const char *at;
    size_t length;
};

static bool is_number(struct part part, double *number)
{
    char text[64], *end;
    if (part.length == 0 || part.length >= sizeof text) return false;
    memcpy(text, part.at, part.length);
    text[part.length] = '\0';
    *number = strtod(text, &end);
    return *end == '\0';
}

/* The column whose name and a = stand at the front of the text, the longest such name; SIZE_MAX: none. */
static size_t named_column(const nf_columns *columns, const char *text)
{
    size_t found = SIZE_MAX, longest = 0;
    for (size_t c = 0; c < nf_columns_count(columns); c++) {
        const char *name = nf_columns_column(columns, c)->name;
        size_t length = name ? strlen(name) : 0;
        if (length <= longest || strncmp(text, name, length) != 0 || text[length] != '=') continue;
        longest = length;
        found = c;
    }
    return found;
}

/* "age=30,visits=2": a value goes on to a comma that another name stands behind, so that labels may have commas. A
 * column that isn't named is left without a part. false: the text isn't of this form. */
static bool split_by_name(const nf_columns *columns, const char *text, struct part *parts)
{
    size_t c = named_column(columns, text);
    if (c == SIZE_MAX) return false;
    for (const char *at = text; c != SIZE_MAX;) {
        at += strlen(nf_columns_column(columns, c)->name) + 1;
        size_t length = strcspn(at, ","), next = SIZE_MAX;
        while (at[length] && (next = named_column(columns, at + length + 1)) == SIZE_MAX)
            length += 1 + strcspn(at + length + 1, ",");
        if (parts[c].at) return false;
        parts[c] = (struct part){at, length};
        at += length + (at[length] != '\0');
        c = next;
    }
    return true;
}

/* The first of the values between commas, and how many there are. */
static size_t split_by_position(size_t size, const char *text, struct part *parts)
{
    size_t count = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        if (count < size) parts[count] = (struct part){at, length};
        count++;
        at += length;
        if (!*at) return count;
    }
}

static bool is_missing(struct part part)
{
    return part.length == 0 || (part.length == 2 && memcmp(part.at, "NA", 2) == 0);
}

/* One row of the columns; labels are texts of its own, in one block with the lists. */
static ad_status make_row(const nf_columns *columns, const char *text, const struct part *parts, nf_table *table,
                          ad_error *error)
{
    size_t size = nf_columns_count(columns);
    *table = (nf_table){.rows = 1, .columns = size, .dtype = AD_F64, .missing = true};
    table->values = ad_alloc(size, sizeof *table->values);
    table->names = columns_names(columns);
    table->labels = ad_alloc(size * (sizeof *table->labels + 2 * sizeof(char *)) + strlen(text) + size, 1);
    if (!table->values || !table->labels) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a context");
    char **list = (char **)(table->labels + size), *label = (char *)(list + 2 * size);
    for (size_t c = 0; c < size; c++) {
        const nf_column *column = nf_columns_column(columns, c);
        if (is_missing(parts[c]) && column->missing > 0) {
            table->values[c] = NAN;
        } else if (column->labels) {
            table->labels[c] = list + 2 * c;
            table->labels[c][0] = label;
            memcpy(label, parts[c].at, parts[c].length);
            label += parts[c].length + 1;
        } else if (!is_number(parts[c], &table->values[c])) {
            return ad_error_set(error, AD_ERROR_ARGUMENT, "--context: '%.*s' in '%s' is not a number",
                                (int)parts[c].length, parts[c].at, text);
        } else if (!isfinite(table->values[c])) {
            return ad_error_set(error, AD_ERROR_ARGUMENT, "--context: number %zu of '%s' is not finite", c + 1, text);
        }
    }
    return AD_OK;
}

static ad_status all_given(const nf_columns *columns, const struct part *parts, const char *text, ad_error *error)
{
    for (size_t c = 0; c < nf_columns_count(columns); c++)
        if (!parts[c].at)
            return ad_error_set(error, AD_ERROR_ARGUMENT, "--context: '%s' doesn't say '%s'", text,
                                nf_columns_column(columns, c)->name);
    return AD_OK;
}

static ad_status read_values(const nf_columns *columns, const char *text, struct context *context, ad_error *error)
{
    size_t size = nf_columns_count(columns);
    struct part *parts = ad_alloc(size, sizeof *parts);
    if (!parts) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for a context");
    ad_status status = AD_OK;
    if (split_by_name(columns, text, parts))
        status = all_given(columns, parts, text, error);
    else if (split_by_position(size, text, parts) != size)
        status = ad_error_set(error, AD_ERROR_ARGUMENT, "--context: expected %zu number%s%s, got '%s'", size,
                              plural(size), size > 1 ? " separated by commas, as in '0.5,1'" : "", text);
    if (!status) status = make_row(columns, text, parts, &context->table, error);
    ad_free(parts);
    return status;
}

/* Is the text no file's name? Numbers are numbers, whatever files there are. */
static bool is_values(const nf_columns *columns, const char *text)
{
    bool numbers = true;
    for (const char *at = text; numbers; at++) {
        size_t length = strcspn(at, ",");
        double number;
        numbers = is_number((struct part){at, length}, &number);
        at += length;
        if (!*at) break;
    }
    if (numbers) return true;
    if (access(text, F_OK) == 0) return false;
    if (named_column(columns, text) != SIZE_MAX) return true;
    size_t labels = 0, parts = 1;
    for (const char *at = text; *at; at++) parts += *at == ',';
    for (size_t c = 0; c < nf_columns_count(columns); c++) labels += nf_columns_column(columns, c)->labels != NULL;
    return labels > 0 && parts == nf_columns_count(columns);
}

/* ---- Files ------------------------------------------------------------------------------------------------------ */

static ad_status read_rows(const char *path, const struct model *model, struct context *context, ad_error *error)
{
    size_t size = nf_columns_count(model->conditions);
    ad_status status = read_table(path, NF_HEADER_AUTO, &context->file, error);
    if (status) return status;
    size_t *order = ad_alloc(size, sizeof *order);
    status = order ? points_find(&context->file, path, model->path, model->conditions, order, error)
                   : ad_error_set(error, AD_ERROR_MEMORY, "no memory for the context");
    if (!status) status = columns_select(&context->file, order, size, &context->table, error);
    if (!status) status = points_check(&context->table, order, model->conditions, path, error);
    if (!status) {
        /* Columns that were found by their position have names as well. */
        ad_free(context->table.names);
        context->table.names = columns_names(model->conditions);
        table_warn(&context->file);
    }
    ad_free(order);
    return status;
}

/* ---- Both ------------------------------------------------------------------------------------------------------- */

/* The rows of the table as the flow takes them; and, in turn, so many. */
static ad_status encode(const struct model *model, size_t rows, struct context *context, ad_error *error)
{
    const nf_table *table = &context->table;
    size_t size = nf_flow_context_size(model->flow);
    context->once = ad_alloc(table->rows, size * sizeof *context->once);
    if (rows > 0) context->values = ad_alloc(rows, size * sizeof *context->values);
    if (!context->once || (rows > 0 && !context->values))
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the context of %zu rows", rows);
    ad_status status = nf_columns_encode(model->conditions, table, 0, 0, context->once, NULL, error);
    if (!status) context_rows(context, size, 0, rows, context->values);
    return status;
}

void context_rows(const struct context *context, size_t size, size_t first, size_t rows, double *values)
{
    for (size_t r = 0; r < rows && context->once; r++)
        memcpy(values + r * size, context->once + (first + r) % context->table.rows * size, size * sizeof *values);
}

ad_status context_read(const char *text, const struct model *model, bool may_be_file, size_t rows,
                       struct context *context, ad_error *error)
{
    *context = (struct context){0};
    size_t size = nf_columns_count(model->conditions);
    if (!text && size > 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "this flow is conditional: give its context of %zu number%s with --context", size,
                            plural(size));
    if (!text) return AD_OK;
    if (size == 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "--context: this flow has none, it was fitted without");
    ad_status status = !may_be_file || is_values(model->conditions, text)
                           ? read_values(model->conditions, text, context, error)
                           : read_rows(text, model, context, error);
    if (!status) status = encode(model, rows, context, error);
    char outside[512];
    if (!status && nf_columns_outside(model->conditions, &context->table, outside) > 0)
        warn("--context is beyond that of the training; %s", outside);
    if (status) context_free(context);
    return status;
}

void context_free(struct context *context)
{
    ad_free(context->once);
    ad_free(context->values);
    nf_table_free(&context->table);
    nf_table_free(&context->file);
    *context = (struct context){0};
}
