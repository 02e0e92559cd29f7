/* Fields of delimited text: RFC 4180, and fields between blanks. */
#include "files/fields.h"
#include "files/decimal.h"
#include "files/excerpt.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

/* ---- Fields -------------------------------------------------------------------------------------------------- */

static bool is_blank(const nf__reader *reader, char c)
{
    return c == ' ' || (c == '\t' && reader->delimiter != '\t');
}

static bool at_line_end(const nf__reader *reader, const char *at)
{
    return at == reader->end || *at == '\n' || *at == '\r';
}

static bool at_field_end(const nf__reader *reader, const char *at)
{
    return at_line_end(reader, at) || *at == reader->delimiter || (reader->delimiter == ' ' && *at == '\t');
}

static char *skip_blanks(const nf__reader *reader, char *at)
{
    while (is_blank(reader, *at)) at++;
    return at;
}

/* Past the blanks that are no delimiters. */
static char *skip_padding(const nf__reader *reader, char *at)
{
    return reader->delimiter == ' ' ? at : skip_blanks(reader, at);
}

/* From the opening quote to behind the closing one. */
static ad_status skip_quoted(nf__reader *reader, size_t column, nf__field *field)
{
    size_t line = reader->line;
    char *at = reader->at + 1;
    field->text = at;
    for (;; at++) {
        if (at == reader->end) {
            reader->in_quotes = true;
            return ad_error_set(reader->error, AD_ERROR_FORMAT, "%s:%zu:%zu: this field's quote is never closed",
                                reader->path, line, column);
        }
        if (*at == '"' && *++at != '"') break;
        if (*at == '\n') reader->line++;
    }
    field->length = (size_t)(at - 1 - field->text);
    reader->at = skip_padding(reader, at);
    if (at_field_end(reader, reader->at)) return AD_OK;
    return ad_error_set(reader->error, AD_ERROR_FORMAT, "%s:%zu:%zu: there is text after the closing quote",
                        reader->path, reader->line, column);
}

static void skip_unquoted(nf__reader *reader, nf__field *field)
{
    char *at = field->text = reader->at;
    while (!at_field_end(reader, at)) at++;
    reader->at = at;
    while (at > field->text && is_blank(reader, at[-1])) at--;
    field->length = (size_t)(at - field->text);
}

/* Is there a number, with this decimal mark, and nothing else but blanks? */
static bool parse_field(const nf__reader *reader, nf__field *field, char decimal)
{
    char *stop, *end = field->text + field->length;
    field->number = nf__parse_number(field->text, &stop, decimal, reader->c_locale);
    return stop > field->text && stop <= end && (stop == end || skip_blanks(reader, stop) == end);
}

static bool find_number(nf__reader *reader, nf__field *field)
{
    /* Not before a line's end: strtod() would skip it and go on in the next line. */
    if (field->length == 0 || (!field->quoted && *field->text <= ' ')) return false;
    if (reader->decimal) return parse_field(reader, field, reader->decimal);
    for (const char *mark = ".,"; *mark; mark++) {
        if (!parse_field(reader, field, *mark)) continue;
        if (memchr(field->text, *mark, field->length)) reader->decimal = *mark;
        return true;
    }
    return false;
}

/* Most fields are numbers, whose end is where parsing stops: they need no look at each character before. */
static bool read_plain_number(nf__reader *reader, nf__field *field)
{
    char *stop;
    if (!reader->decimal || *reader->at <= ' ') return false;
    field->number = nf__parse_number(reader->at, &stop, reader->decimal, reader->c_locale);
    char *end = skip_padding(reader, stop);
    if (stop == reader->at || !at_field_end(reader, end)) return false;
    field->text = reader->at;
    field->length = (size_t)(stop - reader->at);
    reader->at = end;
    return true;
}

bool nf__field_overflows(const nf__field *field)
{
    if (!isinf(field->number)) return false; /* as of nearly all */
    const char *text = field->text + strspn(field->text, " \t");
    text += *text == '-' || *text == '+';
    return (*text | 0x20) != 'i';
}

ad_status nf__read_field(nf__reader *reader, size_t column, nf__field *field)
{
    reader->at = skip_blanks(reader, reader->at);
    field->quoted = *reader->at == '"';
    field->number = 0;
    if (field->quoted) {
        ad_status status = skip_quoted(reader, column, field);
        if (status) return status;
        field->is_number = find_number(reader, field);
    } else if (!(field->is_number = read_plain_number(reader, field))) {
        skip_unquoted(reader, field);
        if (!reader->decimal) field->is_number = find_number(reader, field);
    }
    field->is_number = field->is_number && !nf__field_overflows(field);
    if (reader->delimiter == ' ')
        reader->at = skip_blanks(reader, reader->at);
    else if (!at_line_end(reader, reader->at)) {
        reader->at++;
        field->last = false;
        return AD_OK;
    }
    field->last = at_line_end(reader, reader->at);
    return AD_OK;
}

/* ---- Lines --------------------------------------------------------------------------------------------------- */

bool nf__find_line(nf__reader *reader)
{
    for (;;) {
        char *at = skip_blanks(reader, reader->at);
        if (*at == '#') {
            reader->comment = at + 1;
            while (!at_line_end(reader, at)) at++;
        }
        if (at == reader->end) return false;
        if (*at != '\n' && *at != '\r') return true;
        reader->at = at + (at[0] == '\r' && at[1] == '\n' ? 2 : 1);
        reader->line++;
    }
}

ad_status nf__read_line(nf__reader *reader, nf__field **fields, size_t *count)
{
    size_t capacity = 0;
    *fields = NULL;
    *count = 0;
    do {
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            nf__field *larger = ad_realloc(*fields, capacity, sizeof **fields);
            if (!larger) return nf__reader_no_memory(reader);
            *fields = larger;
        }
        ad_status status = nf__read_field(reader, *count + 1, &(*fields)[*count]);
        if (status) return status;
    } while (!(*fields)[(*count)++].last);
    return AD_OK;
}

/* ---- Text ---------------------------------------------------------------------------------------------------- */

size_t nf__field_copy(const nf__field *field, char *to)
{
    size_t filled = 0;
    for (size_t i = 0; i < field->length; i++) {
        if (field->quoted && field->text[i] == '"') i++; /* they are doubled */
        to[filled++] = field->text[i];
    }
    to[filled] = '\0';
    return filled;
}

ad_status nf__field_check_text(const nf__reader *reader, size_t line, size_t column, const nf__field *field)
{
    if (!memchr(field->text, '\0', field->length)) return AD_OK;
    return ad_error_set(reader->error, AD_ERROR_FORMAT, "%s:%zu:%zu: '%s' holds a byte that is 0, which text has not",
                        reader->path, line, column, nf__excerpt_of(field->text, field->length).text);
}

bool nf__field_is(const nf__field *field, const char *text)
{
    return strlen(text) == field->length && memcmp(field->text, text, field->length) == 0;
}

ad_status nf__reader_no_memory(const nf__reader *reader)
{
    return ad_error_set(reader->error, AD_ERROR_MEMORY, "no memory for the numbers of '%s'", reader->path);
}
