/* Tables of which some rows at a time are read: text as it comes, .npy from where the rows are. */
#include "files/csv_stream.h"
#include "files/table.h"

#include <weir/environment.h>
#include <weir/memory.h>
#include <weir/stream.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct nf_table_reader {
    char *path;
    nf_npy *npy;        /* one of these: rows of a file, */
    nf_table whole;     /* rows in memory, */
    nf__csv_stream csv; /* or text */
    nf_table head;      /* names and remarks are borrowed */
    nf_table part;
    size_t room; /* of the part's values, in rows */
    size_t done; /* rows */
};

/* ---- Opening --------------------------------------------------------------------------------------------------- */

static ad_status open_file(const char *path, int *fd, bool *ordinary, ad_error *error)
{
    struct stat about;
    while ((*fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 && errno == EINTR) {
    }
    if (*fd < 0) return ad_error_set(error, AD_ERROR_IO, "cannot open '%s': %s", path, strerror(errno));
    *ordinary = fstat(*fd, &about) == 0 && S_ISREG(about.st_mode);
    return AD_OK;
}

static ad_status open_npy(nf_table_reader *reader, bool ordinary, nf__text_source *source, ad_error *error)
{
    nf_table *head = &reader->head;
    if (!ordinary) {
        ad_status status = nf__text_source_all(source, error);
        if (!status && source->filled == 0)
            status = ad_error_set(error, AD_ERROR_FORMAT, "'%s' is empty", reader->path);
        if (!status) status = nf__npy_parse(reader->path, source->text, source->filled, &reader->whole, error);
        *head = (nf_table){.rows = reader->whole.rows,
                           .columns = reader->whole.columns,
                           .dtype = reader->whole.dtype,
                           .event = reader->whole.event};
        return status;
    }
    if (source->last && source->filled == 0) return ad_error_set(error, AD_ERROR_FORMAT, "'%s' is empty", reader->path);
    reader->npy = nf_npy_open(reader->path, error);
    if (!reader->npy) return error->status;
    *head = (nf_table){.rows = nf_npy_rows(reader->npy),
                       .columns = nf_npy_columns(reader->npy),
                       .dtype = nf_npy_dtype(reader->npy),
                       .event = nf_npy_event(reader->npy)};
    return AD_OK;
}

/* The source goes to whoever reads from it, or is ended. */
static ad_status open_format(nf_table_reader *reader, const nf_read_options *options, ad_error *error)
{
    const nf__table_format *format = nf__table_format_of(reader->path, error);
    nf__text_source source;
    bool ordinary = false;
    int fd = -1;
    if (!format) return AD_ERROR_ARGUMENT;
    if (open_file(reader->path, &fd, &ordinary, error)) return AD_ERROR_IO;
    nf__text_source_begin(&source, reader->path, fd);
    ad_status status = nf__text_source_peek(&source, error);
    const bool text =
        format->delimiter && !(!status && format->extension[0] == '\0' && nf__npy_begins(source.text, source.filled));
    if (!status && text) {
        status = nf__csv_stream_begin(&reader->csv, &source, format->delimiter, options, error);
        const nf_table *found = &reader->csv.form.table;
        reader->head = (nf_table){
            .columns = found->columns, .names = found->names, .dtype = found->dtype, .remarks = found->remarks};
        return status;
    }
    if (!status) status = open_npy(reader, ordinary, &source, error);
    nf__text_source_end(&source);
    return status;
}

nf_table_reader *nf_table_open(const char *path, const nf_read_options *options, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    static const nf_read_options defaults = {0};
    ad_error own;
    if (!error) error = &own;
    if (!path) return ad_error_set(error, AD_ERROR_ARGUMENT, "read: path is NULL"), NULL;
    nf_table_reader *reader = ad_alloc(1, sizeof *reader);
    if (reader) reader->csv.source.fd = -1;
    if (reader) reader->path = ad_strdup(path);
    ad_status status = reader && reader->path ? open_format(reader, options ? options : &defaults, error)
                                              : ad_error_set(error, AD_ERROR_MEMORY, "no memory to read '%s'", path);
    if (!status) {
        reader->head.missing = options && options->missing;
        return reader;
    }
    nf_table_close(reader);
    return NULL;
}

void nf_table_close(nf_table_reader *reader)
{
    if (!reader) return;
    nf__csv_stream_end(&reader->csv);
    nf_npy_close(reader->npy);
    nf_table_free(&reader->whole);
    ad_free(reader->part.values);
    ad_free(reader->part.labels);
    ad_free(reader->path);
    ad_free(reader);
}

/* ---- What it is ------------------------------------------------------------------------------------------------ */

const nf_table *nf_table_reader_head(const nf_table_reader *reader)
{
    return reader ? &reader->head : NULL;
}

bool nf_table_reader_is_text(const nf_table_reader *reader, size_t column)
{
    return reader && column < reader->head.columns && reader->csv.form.is_text && reader->csv.form.is_text[column];
}

double nf_table_reader_fraction(const nf_table_reader *reader)
{
    struct stat about;
    if (!reader) return NAN;
    if (reader->head.rows > 0) return (double)reader->done / (double)reader->head.rows;
    const off_t at = lseek(reader->csv.source.fd, 0, SEEK_CUR);
    const bool known = at >= 0 && fstat(reader->csv.source.fd, &about) == 0 && about.st_size > 0;
    return known ? fmin((double)at / (double)about.st_size, 1) : NAN;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------ */

static ad_status make_room(nf_table_reader *reader, size_t most, ad_error *error)
{
    if (most <= reader->room) return AD_OK;
    ad_free(reader->part.values);
    reader->part.values = ad_alloc(most, reader->head.columns * sizeof *reader->part.values);
    reader->room = reader->part.values ? most : 0;
    return reader->room ? AD_OK
                        : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu rows of '%s'", most, reader->path);
}

/* Of rows that are counted: from the file, or from memory. */
static ad_status next_counted(nf_table_reader *reader, size_t most, ad_error *error)
{
    nf_table *part = &reader->part;
    const size_t rest = reader->head.rows - reader->done;
    part->rows = rest < most ? rest : most;
    if (reader->npy) {
        const ad_status status = nf_npy_read(reader->npy, reader->done, part->rows, part->values, error);
        return status ? status : nf_npy_check(reader->npy, error);
    }
    memcpy(part->values, reader->whole.values + reader->done * part->columns,
           part->rows * part->columns * sizeof *part->values);
    return AD_OK;
}

ad_status nf_table_next(nf_table_reader *reader, size_t most, const nf_table **part, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !reader ? "reader" : !part ? "part" : NULL;
    if (part) *part = NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "read: %s is NULL", missing);
    if (most == 0) return ad_error_set(error, AD_ERROR_ARGUMENT, "read: 0 rows are wanted of '%s'", reader->path);
    nf_table *next = &reader->part;
    const bool counted = reader->npy || reader->whole.values;
    if (counted && most > reader->head.rows) most = reader->head.rows;
    ad_free(next->labels);
    *next = (nf_table){.columns = reader->head.columns,
                       .values = next->values,
                       .names = reader->head.names,
                       .dtype = reader->head.dtype,
                       .event = reader->head.event,
                       .missing = reader->head.missing,
                       .first_row = reader->done};
    ad_status status = make_room(reader, most, error);
    if (!status)
        status = counted ? next_counted(reader, most, error) : nf__csv_stream_next(&reader->csv, most, next, error);
    if (status) return status;
    reader->done += next->rows;
    *part = next;
    return AD_OK;
}

ad_status nf_table_skip(nf_table_reader *reader, size_t rows, ad_error *error)
{
    enum { AT_ONCE = 4096 };
    if (!reader) return ad_error_set(error, AD_ERROR_ARGUMENT, "read: reader is NULL");
    if (reader->npy || reader->whole.values) {
        const size_t rest = reader->head.rows - reader->done;
        reader->done += rows < rest ? rows : rest;
        return AD_OK;
    }
    const nf_table *part;
    while (rows > 0) {
        ad_status status = nf_table_next(reader, rows < AT_ONCE ? rows : AT_ONCE, &part, error);
        if (status || part->rows == 0) return status;
        rows -= part->rows;
    }
    return AD_OK;
}

bool nf_table_again(nf_table_reader *reader)
{
    if (!reader || reader->npy || reader->whole.values || !nf__csv_stream_again(&reader->csv)) return false;
    reader->done = 0;
    return true;
}
