/* Delimited text: RFC 4180, and fields between blanks. */
#include "files/excerpt.h"
#include "files/table.h"

#include <weir/data.h>
#include <weir/file.h>
#include <weir/memory.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>

/* ---- Numbers -------------------------------------------------------------------------------------------------- */

/* strtod in the C locale, but several times faster for plain decimals of 15 digits or fewer: these, and the power of
 * ten that divides them, are exact, so that the quotient is correctly rounded. */
static double parse_number(const char *text, char **stop, locale_t c_locale)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *at = text + (*text == '-' || *text == '+');
    uint64_t whole = 0;
    size_t digits = 0, fraction = 0;
    for (; *at >= '0' && *at <= '9'; at++, digits++) whole = 10 * whole + (uint64_t)(*at - '0');
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++, digits++, fraction++) whole = 10 * whole + (uint64_t)(*at - '0');
    bool plain = digits >= 1 && digits <= 15 && (*at | 0x20) != 'e' && (*at | 0x20) != 'x';
    if (!plain) return strtod_l(text, stop, c_locale);
    *stop = (char *)at;
    double value = (double)whole / powers[fraction];
    return *text == '-' ? -value : value;
}

/* ---- Fields -------------------------------------------------------------------------------------------------- */

struct reader {
    const char *path;
    char delimiter;
    char *at, *end; /* *end is NUL */
    size_t line;    /* in which `at` is, from 1 */
    char *comment;  /* behind the # of the last line that has one; NULL: none yet */
    locale_t c_locale;
    ad_error *error;
};

struct field {
    char *text;
    size_t length;
    bool is_number;
    double number;
    bool last; /* of its line */
};

static bool is_blank(const struct reader *reader, char c)
{
    return c == ' ' || (c == '\t' && reader->delimiter != '\t');
}

static bool at_line_end(const struct reader *reader, const char *at)
{
    return at == reader->end || *at == '\n' || *at == '\r';
}

static bool at_field_end(const struct reader *reader, const char *at)
{
    return at_line_end(reader, at) || *at == reader->delimiter || (reader->delimiter == ' ' && *at == '\t');
}

static char *skip_blanks(const struct reader *reader, char *at)
{
    while (is_blank(reader, *at)) at++;
    return at;
}

/* Past the blanks that are no delimiters. */
static char *skip_padding(const struct reader *reader, char *at)
{
    return reader->delimiter == ' ' ? at : skip_blanks(reader, at);
}

/* From the opening quote: take the quoted text out of its quotes, in place. */
static ad_status read_quoted(struct reader *reader, size_t column, struct field *field)
{
    size_t line = reader->line;
    char *from = reader->at + 1, *to = from;
    field->text = from;
    for (;; from++) {
        if (from == reader->end)
            return ad_error_set(reader->error, AD_ERROR_FORMAT, "%s:%zu:%zu: this field's quote is never closed",
                                reader->path, line, column);
        if (*from == '"' && *++from != '"') break;
        if (*from == '\n') reader->line++;
        *to++ = *from;
    }
    field->length = (size_t)(to - field->text);
    *to = '\0';
    reader->at = skip_padding(reader, from);
    if (!at_field_end(reader, reader->at))
        return ad_error_set(reader->error, AD_ERROR_FORMAT, "%s:%zu:%zu: there is text after the closing quote",
                            reader->path, reader->line, column);
    char *stop;
    field->number = parse_number(field->text, &stop, reader->c_locale);
    field->is_number = stop > field->text && skip_blanks(reader, stop) == to;
    return AD_OK;
}

static void read_unquoted(struct reader *reader, struct field *field)
{
    char *begin = reader->at, *stop = begin;
    field->text = begin;
    /* Not before white space: strtod() would skip it and go on in the next line. */
    if (*begin > ' ') field->number = parse_number(begin, &stop, reader->c_locale);
    reader->at = skip_padding(reader, stop);
    field->is_number = stop > begin && at_field_end(reader, reader->at);
    if (field->is_number) {
        field->length = (size_t)(stop - begin);
        return;
    }
    while (!at_field_end(reader, reader->at)) reader->at++;
    char *end = reader->at;
    while (end > begin && is_blank(reader, end[-1])) end--;
    field->length = (size_t)(end - begin);
}

/* Field `column`, from 1, and the delimiter or the line's end after it. */
static ad_status read_field(struct reader *reader, size_t column, struct field *field)
{
    reader->at = skip_blanks(reader, reader->at);
    if (*reader->at == '"') {
        ad_status status = read_quoted(reader, column, field);
        if (status) return status;
    } else {
        read_unquoted(reader, field);
    }
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

/* Go to the next line that is neither blank nor a comment; false at the end of the file. */
static bool find_line(struct reader *reader)
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

static ad_status out_of_memory(const struct reader *reader)
{
    return ad_error_set(reader->error, AD_ERROR_MEMORY, "no memory for the numbers of '%s'", reader->path);
}

/* ---- Lines --------------------------------------------------------------------------------------------------- */

/* For text that looks like several fields. */
static const char *remedy(const struct reader *reader, const struct field *field)
{
    bool several = false;
    for (const char *other = ";,\t "; *other; other++)
        several |= *other != reader->delimiter && memchr(field->text, *other, field->length);
    if (!several) return "";
    if (reader->delimiter == ',') return "; commas separate the fields of a .csv file";
    return reader->delimiter == ' ' ? "; blanks separate the fields of a .txt file"
                                    : "; tabs separate the fields of a .tsv file";
}

static ad_status check_number(const struct reader *reader, size_t line, size_t column, const struct field *field)
{
    if (field->is_number) return AD_OK;
    if (field->length == 0)
        return ad_error_set(reader->error, AD_ERROR_FORMAT,
                            "%s:%zu:%zu: this field is empty; fill it in or remove the line", reader->path, line,
                            column);
    return ad_error_set(reader->error, AD_ERROR_FORMAT, "%s:%zu:%zu: '%s' is not a number%s", reader->path, line,
                        column, nf__excerpt_of(field->text, field->length).text, remedy(reader, field));
}

static ad_status read_first_line(struct reader *reader, struct field **fields, size_t *count)
{
    size_t capacity = 0;
    do {
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            struct field *larger = ad_realloc(*fields, capacity, sizeof **fields);
            if (!larger) return out_of_memory(reader);
            *fields = larger;
        }
        ad_status status = read_field(reader, *count + 1, &(*fields)[*count]);
        if (status) return status;
    } while (!(*fields)[(*count)++].last);
    return AD_OK;
}

/* Pointers and text in one block, or NULL. */
static char **names_of(const struct field *fields, size_t count)
{
    size_t bytes = count * sizeof(char *);
    for (size_t i = 0; i < count; i++) bytes += fields[i].length + 1;
    char **names = ad_alloc(bytes, 1);
    if (!names) return NULL;
    char *text = (char *)(names + count);
    for (size_t i = 0; i < count; i++) {
        names[i] = memcpy(text, fields[i].text, fields[i].length);
        text += fields[i].length + 1;
    }
    return names;
}

/* Add a row to the values, which have room for it. */
static ad_status read_row(struct reader *reader, nf_table *table, size_t first_line)
{
    double *row = table->values + table->rows * table->columns;
    size_t line = reader->line, count = 0;
    struct field field;
    do {
        ad_status status = read_field(reader, count + 1, &field);
        if (!status) status = check_number(reader, line, count + 1, &field);
        if (status) return status;
        if (count < table->columns) row[count] = field.number;
        count++;
    } while (!field.last);
    if (count != table->columns)
        return ad_error_set(reader->error, AD_ERROR_FORMAT,
                            "%s:%zu:%zu: this line has %zu column%s where line %zu has %zu", reader->path, line,
                            (count < table->columns ? count : table->columns) + 1, count, count == 1 ? "" : "s",
                            first_line, table->columns);
    table->rows++;
    return AD_OK;
}

static ad_status read_rows(struct reader *reader, nf_table *table, size_t first_line)
{
    size_t capacity = table->rows;
    while (find_line(reader)) {
        if (table->rows == capacity) {
            capacity = capacity < 32 ? 64 : 2 * capacity;
            double *larger = ad_realloc(table->values, capacity, table->columns * sizeof(double));
            if (!larger) return out_of_memory(reader);
            table->values = larger;
        }
        ad_status status = read_row(reader, table, first_line);
        if (status) return status;
    }
    if (table->rows == 0)
        return ad_error_set(reader->error, AD_ERROR_FORMAT, "'%s' holds names of columns but no rows", reader->path);
    double *fitting = ad_realloc(table->values, table->rows, table->columns * sizeof(double));
    if (fitting) table->values = fitting;
    return AD_OK;
}

/* The first line holds either names or the first row. */
static ad_status use_first_line(const struct reader *reader, const struct field *fields, size_t line, nf_table *table)
{
    bool is_header = false;
    for (size_t i = 0; i < table->columns; i++) is_header |= !fields[i].is_number && fields[i].length > 0;
    if (is_header) {
        table->names = names_of(fields, table->columns);
        return table->names ? AD_OK : out_of_memory(reader);
    }
    table->values = ad_alloc(table->columns, sizeof(double));
    if (!table->values) return out_of_memory(reader);
    table->rows = 1;
    for (size_t i = 0; i < table->columns; i++) {
        ad_status status = check_number(reader, line, i + 1, &fields[i]);
        if (status) return status;
        table->values[i] = fields[i].number;
    }
    return AD_OK;
}

/* numpy.savetxt() writes names behind a #: a comment before the rows that has as many fields as they have. */
static ad_status use_comment(const struct reader *reader, char *comment, nf_table *table)
{
    struct field *fields = NULL;
    size_t count = 0;
    ad_error ignored;
    char *end = comment;
    while (!at_line_end(reader, end)) end++;
    struct reader line = {.delimiter = reader->delimiter,
                          .at = skip_blanks(reader, comment),
                          .end = end,
                          .c_locale = reader->c_locale,
                          .path = reader->path,
                          .error = &ignored};
    *end = '\0';
    ad_status status = read_first_line(&line, &fields, &count);
    bool names = false;
    for (size_t i = 0; !status && count == table->columns && i < count; i++)
        names |= !fields[i].is_number && fields[i].length > 0;
    if (names) table->names = names_of(fields, count);
    ad_free(fields);
    return status == AD_ERROR_MEMORY || (names && !table->names) ? out_of_memory(reader) : AD_OK;
}

static ad_status read_table(struct reader *reader, nf_table *table)
{
    if (!find_line(reader))
        return ad_error_set(reader->error, AD_ERROR_FORMAT, "'%s' holds nothing but empty lines%s", reader->path,
                            reader->comment ? " and comments" : "");
    size_t first_line = reader->line;
    char *comment = reader->comment;
    struct field *fields = NULL;
    ad_status status = read_first_line(reader, &fields, &table->columns);
    if (!status) status = use_first_line(reader, fields, first_line, table);
    ad_free(fields);
    if (!status && comment && !table->names) status = use_comment(reader, comment, table);
    return status ? status : read_rows(reader, table, first_line);
}

ad_status nf__csv_parse(const char *path, char delimiter, char *data, size_t bytes, nf_table *table, ad_error *error)
{
    struct reader reader = {
        .path = path, .delimiter = delimiter, .at = data, .end = data + bytes, .line = 1, .error = error};
    if (strncmp(data, "\xef\xbb\xbf", 3) == 0) reader.at += 3;
    table->dtype = AD_F64;
    reader.c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!reader.c_locale) return out_of_memory(&reader);
    ad_status status = read_table(&reader, table);
    freelocale(reader.c_locale);
    return status;
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

static void write_name(nf_file *file, const char *name)
{
    if (name[0] != '\0' && !strpbrk(name, "#,\t \"\r\n")) {
        nf_file_write(file, name, strlen(name));
        return;
    }
    nf_file_write(file, "\"", 1);
    for (; *name; name++) nf_file_write(file, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
    nf_file_write(file, "\"", 1);
}

/* With the fewest digits from which read_field() and a rounding to dtype give the same number. Needs the C locale. */
static void write_number(nf_file *file, double value, ad_dtype dtype, locale_t c_locale)
{
    char text[32], *stop;
    int length = 0;
    int digits = dtype == AD_F32 ? 6 : 15, enough = dtype == AD_F32 ? 9 : 17;
    if (dtype == AD_F32) value = (double)(float)value;
    for (; digits <= enough; digits++) {
        length = snprintf(text, sizeof text, "%.*g", digits, value);
        double back = parse_number(text, &stop, c_locale);
        if ((dtype == AD_F32 ? (double)(float)back : back) == value) break;
    }
    nf_file_write(file, text, (size_t)length);
}

ad_status nf__csv_write(nf_file *file, char delimiter, const nf_table *table, ad_error *error)
{
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!c_locale) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the C locale");
    locale_t old = uselocale(c_locale);
    if (table->names) {
        for (size_t c = 0; c < table->columns; c++) {
            if (c > 0) nf_file_write(file, &delimiter, 1);
            write_name(file, table->names[c]);
        }
        nf_file_write(file, "\n", 1);
    }
    for (size_t r = 0; r < table->rows; r++) {
        for (size_t c = 0; c < table->columns; c++) {
            if (c > 0) nf_file_write(file, &delimiter, 1);
            write_number(file, table->values[r * table->columns + c], table->dtype, c_locale);
        }
        nf_file_write(file, "\n", 1);
    }
    uselocale(old);
    freelocale(c_locale);
    return AD_OK;
}
