/* The first line of a text file: names of columns, or a row? */
#ifndef WEIR_MODELS_FILES_HEADER_H
#define WEIR_MODELS_FILES_HEADER_H

#include "files/fields.h"

#include <weir/data.h>

/* What a column has, the first line apart. */
typedef struct {
    size_t numbers, texts, missing;
    nf__field text; /* the first, */
    size_t line;    /* and where it is */
    bool again;     /* is the first line's text here once more? Found out where it matters */
} nf__column;

typedef struct {
    const nf__field *fields; /* of the first line */
    nf__column *columns;
    const double *values; /* (rows, count), of the lines below */
    size_t rows, count;
    bool quoted_numbers; /* are there any below? */
    bool labels;         /* is text allowed? */
    bool named;          /* are there names already, in a comment? */
    nf__reader below;    /* at the second line */
} nf__first_line;

/* Is it names, with NF_HEADER_AUTO? *doubtful: it might well be otherwise. */
bool nf__is_header(const nf__first_line *first, bool *doubtful);

/* Does a field say that its value is missing? Some texts do so in a column of numbers only. */
bool nf__is_missing(const nf__field *field, bool among_numbers);

/* Names for a table: those of a line, told apart where they are the same. */
ad_status nf__take_names(const nf__reader *reader, size_t line, const nf__field *fields, nf_table *table);

#endif
