/* Fields of delimited text, one after the other. Nothing of the text is changed, so that it can be read again. */
#ifndef WEIR_MODELS_FILES_FIELDS_H
#define WEIR_MODELS_FILES_FIELDS_H

#include <weir/error.h>

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *path; /* for messages */
    char delimiter;   /* ' ' stands for any number of blanks and tabs */
    char decimal;     /* '.' or ','; 0: the first number that has a mark tells */
    char *at, *end;   /* *end can be read, and is no digit */
    size_t line;      /* in which `at` is, from 1 */
    char *comment;    /* behind the # of the last line that has one; NULL: none yet */
    bool in_quotes;   /* the text ended in a field whose quote isn't closed: that is what went wrong */
    locale_t c_locale;
    ad_error *error;
} nf__reader;

typedef struct {
    char *text;    /* without its quotes, but with those inside still doubled */
    size_t length; /* of that; it isn't ended by a NUL */
    bool quoted, is_number;
    double number;
    bool last; /* of its line */
} nf__field;

/* Go to the next line that is neither blank nor a comment; false at the end of the file. */
bool nf__find_line(nf__reader *reader);
/* Field `column`, from 1, and the delimiter or the line's end after it. */
ad_status nf__read_field(nf__reader *reader, size_t column, nf__field *field);
/* Digits, as of 1e400, that float64 has no number for: text, if anything. */
bool nf__field_overflows(const nf__field *field);
/* All of a line, from where the reader is: an array for ad_free(), also on failure. */
ad_status nf__read_line(nf__reader *reader, nf__field **fields, size_t *count);

/* Copy a field's text, ended by a NUL, to where there is room for its length + 1; returns how long it is. */
size_t nf__field_copy(const nf__field *field, char *to);
/* Names and labels can't have a NUL: AD_ERROR_FORMAT if there is one. */
ad_status nf__field_check_text(const nf__reader *reader, size_t line, size_t column, const nf__field *field);
bool nf__field_is(const nf__field *field, const char *text);

ad_status nf__reader_no_memory(const nf__reader *reader);

#endif
