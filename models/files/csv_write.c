/* Tables as delimited text. */
#include "files/decimal.h"
#include "files/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct writer {
    nf_file *file;
    char delimiter;
    locale_t c_locale;
};

/* Would it be read as something else: blanks around it, a comment, a byte order mark, a delimiter of another kind of
 * file? */
static bool needs_quotes(const struct writer *writer, const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || text[0] == '#' || strncmp(text, "\xef\xbb\xbf", 3) == 0 || strpbrk(text, ",;\t\"\r\n"))
        return true;
    return text[0] == ' ' || text[length - 1] == ' ' || (writer->delimiter == ' ' && strchr(text, ' '));
}

static void write_text(const struct writer *writer, const char *text, bool quoted)
{
    nf_file *file = writer->file;
    if (!quoted) {
        nf_file_write(file, text, strlen(text));
        return;
    }
    nf_file_write(file, "\"", 1);
    for (; *text; text++) nf_file_write(file, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    nf_file_write(file, "\"", 1);
}

/* Needs the C locale. */
static void write_number(const struct writer *writer, double value, ad_dtype dtype)
{
    char text[NF__NUMBER_ROOM];
    nf_file_write(writer->file, text, nf__format_number(value, dtype, text));
}

/* Nothing, but two quotes where a line would be blank, or a field between blanks not be seen. */
static void write_missing(const struct writer *writer, const nf_table *table)
{
    if (writer->delimiter == ' ' || table->columns == 1) nf_file_write(writer->file, "\"\"", 2);
}

/* Names that are numbers are quoted, which rows aren't: that tells one from the other. */
static void write_names(const struct writer *writer, const nf_table *table)
{
    bool numbers = true;
    for (size_t c = 0; c < table->columns && numbers; c++) {
        char *stop, *name = table->names[c];
        nf__parse_number(name, &stop, '.', writer->c_locale);
        numbers = *stop == '\0';
    }
    for (size_t c = 0; c < table->columns; c++) {
        if (c > 0) nf_file_write(writer->file, &writer->delimiter, 1);
        write_text(writer, table->names[c], numbers || needs_quotes(writer, table->names[c]));
    }
    nf_file_write(writer->file, "\n", 1);
}

static void write_row(const struct writer *writer, const nf_table *table, const double *row, ad_dtype dtype)
{
    for (size_t c = 0; c < table->columns; c++) {
        char **labels = table->labels ? table->labels[c] : NULL;
        if (c > 0) nf_file_write(writer->file, &writer->delimiter, 1);
        if (isnan(row[c]) && (labels || table->missing)) {
            write_missing(writer, table);
        } else if (labels) {
            const char *text = labels[(size_t)row[c]];
            write_text(writer, text, needs_quotes(writer, text));
        } else {
            write_number(writer, row[c], dtype);
        }
    }
    nf_file_write(writer->file, "\n", 1);
}

/* The locale is this thread's between the two. */
static ad_status begin(struct writer *writer, locale_t *old, ad_error *error)
{
    writer->c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!writer->c_locale) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the C locale");
    *old = uselocale(writer->c_locale);
    return AD_OK;
}

static void end(struct writer *writer, locale_t old)
{
    uselocale(old);
    freelocale(writer->c_locale);
}

ad_status nf__csv_write_names(nf_file *file, char delimiter, const nf_table *table, ad_error *error)
{
    struct writer writer = {file, delimiter, (locale_t)0};
    locale_t old = (locale_t)0;
    if (!table->names) return AD_OK;
    if (begin(&writer, &old, error)) return AD_ERROR_MEMORY;
    write_names(&writer, table);
    end(&writer, old);
    return AD_OK;
}

ad_status nf__csv_write_rows(nf_file *file, char delimiter, const nf_table *rows, ad_dtype dtype, ad_error *error)
{
    struct writer writer = {file, delimiter, (locale_t)0};
    locale_t old = (locale_t)0;
    if (begin(&writer, &old, error)) return AD_ERROR_MEMORY;
    for (size_t r = 0; r < rows->rows; r++) write_row(&writer, rows, rows->values + r * rows->columns, dtype);
    end(&writer, old);
    return AD_OK;
}
