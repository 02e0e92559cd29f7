/* Delimited text, a part at a time: what its beginning tells holds for all of it. */
#include "files/csv_stream.h"
#include "files/excerpt.h"
#include "files/header.h"
#include "files/labels.h"

#include <weir/memory.h>

#include <math.h>

/* ---- The beginning --------------------------------------------------------------------------------------------- */

enum { LONGEST = 1 << 28 }; /* bytes of a quoted field: longer ones have lost their closing quote */

/* Put the reader where the text goes on. */
static void resume(nf__csv_stream *stream, size_t at)
{
    stream->reader.at = stream->source.text + at;
    stream->reader.end = stream->source.text + stream->source.end;
    stream->reader.in_quotes = false;
}

ad_status nf__csv_stream_begin(nf__csv_stream *stream, const nf__text_source *source, char delimiter,
                               const nf_read_options *options, ad_error *error)
{
    *stream = (nf__csv_stream){.source = *source, .options = *options, .delimiter = delimiter, .turned = SIZE_MAX};
    nf__text_source *text = &stream->source;
    ad_status status;
    bool cut_off = false;
    do {
        nf__csv_form_free(&stream->form);
        status = nf__text_source_more(text, 0, error);
        if (!status && text->filled == 0) status = ad_error_set(error, AD_ERROR_FORMAT, "'%s' is empty", text->path);
        if (status) return status;
        status = nf__csv_look(text->path, delimiter, options, text->text, text->end, &stream->form, &cut_off, error);
    } while (status && cut_off && !text->last && text->filled < LONGEST);
    if (status) return status;
    stream->form.table.missing = options->missing;
    stream->reader = stream->form.rows;
    stream->begin = (size_t)(stream->form.rows.at - text->text);
    resume(stream, stream->begin);
    return AD_OK;
}

void nf__csv_stream_end(nf__csv_stream *stream)
{
    nf__text_source_end(&stream->source);
    nf__csv_form_free(&stream->form);
    ad_free(stream->room);
    stream->room = NULL;
}

bool nf__csv_stream_again(nf__csv_stream *stream)
{
    ad_error ignored;
    if (stream->turned == SIZE_MAX || !nf__text_source_rewind(&stream->source)) return false;
    while (stream->source.end < stream->begin && !stream->source.last)
        if (nf__text_source_more(&stream->source, 0, &ignored)) return false;
    if (stream->source.end < stream->begin) return false; /* it isn't the file that it was */
    stream->form.is_text[stream->turned] = true;
    stream->turned = SIZE_MAX;
    stream->reader = stream->form.rows;
    resume(stream, stream->begin);
    return true;
}

/* ---- Fields ---------------------------------------------------------------------------------------------------- */

/* The texts of a part. */
struct part {
    nf__csv_stream *stream;
    nf__labels *labels;
    nf_table *table;
};

static ad_status take_label(struct part *part, size_t line, size_t c, const nf__field *field, double *value)
{
    nf__csv_stream *stream = part->stream;
    nf__reader *reader = &stream->reader;
    *value = NAN;
    if (stream->options.missing && nf__is_missing(field, false)) return AD_OK;
    ad_status status = nf__field_check_text(reader, line, c + 1, field);
    if (status) return status;
    if (field->length >= stream->room_size) {
        char *larger = ad_realloc(stream->room, field->length + 1, 2);
        if (!larger) return nf__reader_no_memory(reader);
        stream->room = larger;
        stream->room_size = 2 * (field->length + 1);
    }
    size_t index;
    if (!part->labels) part->labels = nf__labels_new(part->table->columns);
    if (!part->labels || !nf__labels_index(part->labels, c, stream->room, nf__field_copy(field, stream->room), &index))
        return nf__reader_no_memory(reader);
    *value = (double)index;
    return AD_OK;
}

static ad_status take_no_number(struct part *part, size_t line, size_t c, const nf__field *field, double *value)
{
    nf__csv_stream *stream = part->stream;
    const nf__reader *reader = &stream->reader;
    *value = NAN;
    if (stream->options.missing && nf__is_missing(field, true)) return AD_OK;
    if (!stream->options.labels || field->length == 0) return nf__csv_mistake(reader, line, c + 1, field);
    stream->turned = c;
    return ad_error_set(reader->error, AD_ERROR_FORMAT,
                        "%s:%zu:%zu: '%s' is text, and this column had numbers up to here", reader->path, line, c + 1,
                        nf__excerpt_of(field->text, field->length).text);
}

static ad_status read_row(struct part *part, double *row)
{
    nf__csv_stream *stream = part->stream;
    nf__reader *reader = &stream->reader;
    const size_t line = reader->line, columns = part->table->columns;
    size_t count = 0;
    nf__field field;
    do {
        ad_status status = nf__read_field(reader, count + 1, &field);
        if (status) return status;
        if (count < columns) {
            if (stream->form.is_text[count])
                status = take_label(part, line, count, &field, &row[count]);
            else if (field.is_number && !(stream->options.missing && isnan(field.number)))
                row[count] = field.number;
            else
                status = take_no_number(part, line, count, &field, &row[count]);
            if (status) return status;
        }
        count++;
    } while (!field.last);
    if (count == columns) return AD_OK;
    return ad_error_set(reader->error, AD_ERROR_FORMAT, "%s:%zu:%zu: this line has %zu column%s where line %zu has %zu",
                        reader->path, line, (count < columns ? count : columns) + 1, count, count == 1 ? "" : "s",
                        stream->form.line, columns);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------ */

/* A row that is cut off is read again when there is more text. */
static ad_status read_rows(struct part *part, size_t most)
{
    nf__csv_stream *stream = part->stream;
    nf__text_source *source = &stream->source;
    nf__reader *reader = &stream->reader;
    nf_table *table = part->table;
    while (table->rows < most) {
        const nf__reader begin = *reader;
        ad_status status = AD_OK;
        const bool any = nf__find_line(reader);
        if (any) status = read_row(part, table->values + table->rows * table->columns);
        if (any && !status) {
            table->rows++;
            continue;
        }
        if (any && !(reader->in_quotes && !source->last && source->filled < LONGEST)) return status;
        if (!any && source->last) return AD_OK;
        /* Lines that were skipped stay skipped. */
        if (any) *reader = begin;
        status = nf__text_source_more(source, (size_t)(reader->at - source->text), reader->error);
        if (status) return status;
        resume(stream, 0);
    }
    return AD_OK;
}

ad_status nf__csv_stream_next(nf__csv_stream *stream, size_t most, nf_table *table, ad_error *error)
{
    ad_error own;
    struct part part = {stream, NULL, table};
    stream->reader.error = error ? error : &own;
    table->rows = 0;
    ad_status status = read_rows(&part, most);
    if (!status && part.labels && !nf__labels_finish(part.labels, table))
        status = nf__reader_no_memory(&stream->reader);
    nf__labels_free(part.labels);
    return status;
}
