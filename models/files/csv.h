/* What reading delimited text whole and in parts share. */
#ifndef WEIR_MODELS_FILES_CSV_H
#define WEIR_MODELS_FILES_CSV_H

#include "files/fields.h"

#include <weir/data.h>

/* What the beginning of a text tells of all of it. */
typedef struct {
    nf_table table;    /* columns, names and remarks; no values */
    bool *is_text;     /* of each column: are there labels? */
    size_t line;       /* of the first line that isn't empty */
    nf__reader rows;   /* at the first row, with the delimiter and the decimal mark */
    locale_t c_locale; /* the reader's */
} nf__csv_form;

/* As nf__csv_parse(), of text that may go on behind `bytes`: *cut_off where it ends in a quoted field. For
 * nf__csv_form_free(), also on failure. */
ad_status nf__csv_look(const char *path, char delimiter, const nf_read_options *options, char *data, size_t bytes,
                       nf__csv_form *form, bool *cut_off, ad_error *error);
void nf__csv_form_free(nf__csv_form *form);

/* This field is no number. */
ad_status nf__csv_mistake(const nf__reader *reader, size_t line, size_t column, const nf__field *field);

#endif
