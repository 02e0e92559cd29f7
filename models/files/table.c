/* Tables: reading and writing by the extension of the file's name. */
#include "files/encoding.h"
#include "files/excerpt.h"
#include "files/table.h"

#include <weir/data.h>
#include <weir/environment.h>
#include <weir/file.h>
#include <weir/memory.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const nf__table_format formats[] = {{".npy", 0}, {".csv", ','}, {".tsv", '\t'}, {".txt", ' '}, {"", ','}};

const nf__table_format *nf__table_format_of(const char *path, ad_error *error)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash : path, '.');
    const char *extension = dot ? dot : "";
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcasecmp(extension, formats[i].extension) == 0) return &formats[i];
    ad_error_set(error, AD_ERROR_ARGUMENT, "'%s': no known extension '%s'; known are .npy, .csv, .tsv and .txt", path,
                 extension);
    return NULL;
}

ad_status nf_table_check_path(const char *path, ad_error *error)
{
    if (!path) return ad_error_set(error, AD_ERROR_ARGUMENT, "write: path is NULL");
    return nf__table_format_of(path, error) ? AD_OK : AD_ERROR_ARGUMENT;
}

ad_status nf_table_read(const char *path, nf_table *table, ad_error *error)
{
    return nf_table_read_with(path, NULL, table, error);
}

ad_status nf_table_read_with(const char *path, const nf_read_options *options, nf_table *table, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (table) *table = (nf_table){0};
    const char *missing = !path ? "path" : !table ? "table" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "read: %s is NULL", missing);
    static const nf_read_options defaults = {0};
    if (!options) options = &defaults;
    const nf__table_format *format = nf__table_format_of(path, error);
    if (!format) return AD_ERROR_ARGUMENT;
    char *data;
    size_t bytes;
    ad_status status = nf_file_read(path, &data, &bytes, error);
    if (status) return status;
    bool text = format->delimiter && !(format->extension[0] == '\0' && nf__npy_begins(data, bytes));
    if (bytes == 0)
        status = ad_error_set(error, AD_ERROR_FORMAT, "'%s' is empty", path);
    else if (!text)
        status = nf__npy_parse(path, data, bytes, table, error);
    else if (!(status = nf__text_to_utf8(path, &data, &bytes, error)))
        status = nf__csv_parse(path, format->delimiter, options, data, bytes, table, error);
    ad_free(data);
    if (status)
        nf_table_free(table);
    else
        table->missing = options->missing;
    return status;
}

ad_status nf__table_check_labels(const char *path, const nf_table *table, ad_error *error)
{
    for (size_t c = 0; table->labels && c < table->columns; c++) {
        size_t count = 0;
        if (!table->labels[c]) continue;
        while (table->labels[c][count]) count++;
        for (size_t r = 0; r < table->rows; r++) {
            double value = table->values[r * table->columns + c];
            if (isnan(value) || (value >= 0 && value < (double)count && value == floor(value))) continue;
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "'%s': row %zu, column %zu is %g, but this column has labels number 0 to %zu", path,
                                r + 1, c + 1, value, count - 1);
        }
    }
    return AD_OK;
}

ad_status nf_table_write(const char *path, const nf_table *table, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !path ? "path" : !table ? "table" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "write: %s is NULL", missing);
    const nf__table_format *format = nf__table_format_of(path, error);
    if (!format) return AD_ERROR_ARGUMENT;
    nf_file *file;
    ad_status status = nf__table_check_labels(path, table, error);
    if (!status) status = nf_file_create(path, &file, error);
    if (status) return status;
    status = nf__table_begin(file, format, table, error);
    if (!status) status = nf__table_write_rows(file, format, table, table->dtype, error);
    if (!status) return nf_file_commit(file, error);
    nf_file_abort(file);
    return status;
}

void nf_table_free(nf_table *table)
{
    if (!table) return;
    ad_free(table->values);
    ad_free(table->names);
    ad_free(table->labels);
    ad_free(table->remarks);
    *table = (nf_table){0};
}

bool nf__table_remark(nf_table *table, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    size_t filled = table->remarks ? strlen(table->remarks) : 0, line = filled > 0;
    if (length < 0) return false;
    char *remarks = ad_realloc(table->remarks, filled + line + (size_t)length + 1, 1);
    if (!remarks) return false;
    if (line) remarks[filled] = '\n';
    va_start(arguments, format);
    vsnprintf(remarks + filled + line, (size_t)length + 1, format, arguments);
    va_end(arguments);
    table->remarks = remarks;
    return true;
}

ad_status nf_table_check_finite(const nf_table *table, const char *what, ad_error *error)
{
    if (!table) return ad_error_set(error, AD_ERROR_ARGUMENT, "check: table is NULL");
    for (size_t r = 0; r < table->rows; r++) {
        for (size_t c = 0; c < table->columns; c++) {
            double value = table->values[r * table->columns + c];
            if (isfinite(value)) continue;
            nf__excerpt name = {""};
            if (table->names) name = nf__excerpt_of(table->names[c], strlen(table->names[c]));
            return ad_error_set(
                error, AD_ERROR_FORMAT,
                "%s: row %zu, column %zu%s%s%s is %s; every value must be finite: mend or remove the row", what, r + 1,
                c + 1, table->names ? " ('" : "", name.text, table->names ? "')" : "",
                isnan(value) ? "NaN" : "infinite");
        }
    }
    return AD_OK;
}
