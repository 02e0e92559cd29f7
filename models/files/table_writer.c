/* Tables of which some rows at a time are written. */
#include "files/table.h"

#include <weir/environment.h>
#include <weir/memory.h>
#include <weir/stream.h>

#include <string.h>

struct nf_table_writer {
    char *path;
    nf_file *file;
    const nf__table_format *format;
    nf_table head; /* as far as it is known: rows, columns, dtype */
    size_t rows;   /* that were written */
};

ad_status nf__table_begin(nf_file *file, const nf__table_format *format, const nf_table *head, ad_error *error)
{
    char header[NF__NPY_HEADER];
    if (format->delimiter) return nf__csv_write_names(file, format->delimiter, head, error);
    nf__npy_header(head, header);
    nf_file_write(file, header, sizeof header);
    return AD_OK;
}

ad_status nf__table_write_rows(nf_file *file, const nf__table_format *format, const nf_table *rows, ad_dtype dtype,
                               ad_error *error)
{
    if (format->delimiter) return nf__csv_write_rows(file, format->delimiter, rows, dtype, error);
    nf__npy_write_rows(file, rows, dtype);
    return AD_OK;
}

static void release(nf_table_writer *writer)
{
    ad_free(writer->path);
    ad_free(writer);
}

/* Can the beginning be written last? */
static ad_status check_place(const nf_table_writer *writer, ad_error *error)
{
    if (writer->format->delimiter || writer->head.rows > 0 || !nf__file_is_direct(writer->file)) return AD_OK;
    return ad_error_set(
        error, AD_ERROR_ARGUMENT,
        "'%s' is no ordinary file: a .npy begins with the number of its rows, which isn't known yet; name "
        "a file, or a .csv",
        writer->path);
}

/* What all rows take, where their number is known: text two letters a number at least. */
static ad_status check_room(const nf_table_writer *writer, ad_error *error)
{
    const size_t each = writer->format->delimiter ? 2 : ad_dtype_size(writer->head.dtype);
    return nf__file_check_room(writer->file, (double)writer->head.rows * (double)(writer->head.columns * each), error);
}

nf_table_writer *nf_table_create(const char *path, const nf_table *head, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !path ? "path" : !head ? "head" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "write: %s is NULL", missing), NULL;
    const nf__table_format *format = nf__table_format_of(path, error);
    if (!format) return NULL;
    nf_table_writer *writer = ad_alloc(1, sizeof *writer);
    if (writer) writer->path = ad_strdup(path);
    if (!writer || !writer->path) {
        ad_free(writer);
        ad_error_set(error, AD_ERROR_MEMORY, "no memory to write '%s'", path);
        return NULL;
    }
    writer->format = format;
    writer->head = (nf_table){.rows = head->rows, .columns = head->columns, .dtype = head->dtype, .event = head->event};
    ad_status status = nf_file_create(path, &writer->file, error);
    if (!status) status = check_place(writer, error);
    if (!status) status = check_room(writer, error);
    if (!status) status = nf__table_begin(writer->file, format, head, error);
    if (!status) return writer;
    nf_table_abort(writer);
    return NULL;
}

ad_status nf_table_append(nf_table_writer *writer, const nf_table *rows, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !writer ? "writer" : !rows ? "rows" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "write: %s is NULL", missing);
    if (rows->columns != writer->head.columns)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "'%s' has %zu columns, and rows of %zu are to be added",
                            writer->path, writer->head.columns, rows->columns);
    for (size_t c = 0; !writer->format->delimiter && rows->labels && c < rows->columns; c++)
        if (rows->labels[c])
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "'%s': column %zu has labels, for which an array has no place", writer->path, c + 1);
    ad_status status = nf__table_check_labels(writer->path, rows, error);
    if (!status) status = nf__table_write_rows(writer->file, writer->format, rows, writer->head.dtype, error);
    if (!status) writer->rows += rows->rows;
    return status ? status : nf__file_check(writer->file, error);
}

static ad_status check_rows(const nf_table_writer *writer, ad_error *error)
{
    if (writer->rows == 0) return ad_error_set(error, AD_ERROR_ARGUMENT, "'%s' would have no rows", writer->path);
    if (writer->head.rows == 0 || writer->head.rows == writer->rows) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "'%s' was to have %zu rows, and got %zu", writer->path,
                        writer->head.rows, writer->rows);
}

ad_status nf_table_commit(nf_table_writer *writer, ad_error *error)
{
    if (!writer) return ad_error_set(error, AD_ERROR_ARGUMENT, "write: writer is NULL");
    if (check_rows(writer, error)) {
        nf_table_abort(writer);
        return AD_ERROR_ARGUMENT;
    }
    if (!writer->format->delimiter && writer->head.rows == 0) {
        char header[NF__NPY_HEADER];
        writer->head.rows = writer->rows;
        nf__npy_header(&writer->head, header);
        nf_file_write_at(writer->file, 0, header, sizeof header);
    }
    ad_status status = nf_file_commit(writer->file, error);
    release(writer);
    return status;
}

void nf_table_abort(nf_table_writer *writer)
{
    if (!writer) return;
    nf_file_abort(writer->file);
    release(writer);
}
