/* Delimited text, a part at a time. */
#ifndef WEIR_MODELS_FILES_CSV_STREAM_H
#define WEIR_MODELS_FILES_CSV_STREAM_H

#include "files/csv.h"
#include "files/text_source.h"

typedef struct {
    nf__text_source source;
    nf_read_options options;
    char delimiter; /* by the file's name */
    nf__csv_form form;
    nf__reader reader; /* at the next row */
    size_t begin;      /* of the first row, in the text */
    size_t turned;     /* the column in which text was met where numbers were; SIZE_MAX: none */
    char *room;        /* for a text without its quotes */
    size_t room_size;
} nf__csv_stream;

/* Find out what the text is. The source, of which something may have been read, becomes the stream's. */
ad_status nf__csv_stream_begin(nf__csv_stream *stream, const nf__text_source *source, char delimiter,
                               const nf_read_options *options, ad_error *error);
void nf__csv_stream_end(nf__csv_stream *stream);
/* Fill part->values, which have room, with up to `most` rows; part->rows counts them, and labels are the part's. */
ad_status nf__csv_stream_next(nf__csv_stream *stream, size_t most, nf_table *part, ad_error *error);
/* Back to the first row, where the turned column has labels; false: it can't. */
bool nf__csv_stream_again(nf__csv_stream *stream);

#endif
