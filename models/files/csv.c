/* Delimited text to tables. */
#include "files/csv.h"
#include "files/dialect.h"
#include "files/excerpt.h"
#include "files/header.h"
#include "files/labels.h"
#include "files/table.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

struct parser {
    nf__reader reader;
    const nf_read_options *options;
    nf_table *table;
    nf__field *first; /* the fields of the first line, */
    size_t line;      /* and where it is */
    nf__column *columns;
    bool quoted_numbers; /* are there any? */
};

/* ---- Mistakes ------------------------------------------------------------------------------------------------ */

/* For text that looks like several fields, or like a number of another file. */
static const char *remedy(const nf__reader *reader, const nf__field *field)
{
    bool several = false;
    for (const char *other = ";,\t "; *other; other++)
        several |= *other != reader->delimiter && memchr(field->text, *other, field->length);
    if (nf__is_missing(field, true)) return " but stands for a missing value; fill it in or remove the line";
    if (reader->decimal == ',' && memchr(field->text, '.', field->length))
        return "; others of this file have a decimal comma";
    if (!several) return "";
    switch (reader->delimiter) {
    case ',':
        return "; commas separate the fields of a .csv file";
    case ' ':
        return "; blanks separate the fields of a .txt file";
    case ';':
        return "; semicolons separate the fields of this file";
    default:
        return "; tabs separate the fields of a .tsv file";
    }
}

ad_status nf__csv_mistake(const nf__reader *reader, size_t line, size_t column, const nf__field *field)
{
    if (field->length == 0)
        return ad_error_set(reader->error, AD_ERROR_FORMAT,
                            "%s:%zu:%zu: this field is empty; fill it in or remove the line", reader->path, line,
                            column);
    if (nf__field_overflows(field))
        return ad_error_set(reader->error, AD_ERROR_FORMAT,
                            "%s:%zu:%zu: '%s' is beyond float64, whose largest number is 1.8e308", reader->path, line,
                            column, nf__excerpt_of(field->text, field->length).text);
    return ad_error_set(reader->error, AD_ERROR_FORMAT, "%s:%zu:%zu: '%s' is not a number%s", reader->path, line,
                        column, nf__excerpt_of(field->text, field->length).text, remedy(reader, field));
}

/* ---- Rows ---------------------------------------------------------------------------------------------------- */

/* A field's value: text is NaN until it is known which columns are labels. */
static ad_status take_field(struct parser *parser, size_t line, size_t c, const nf__field *field, double *value)
{
    nf__column *column = &parser->columns[c];
    if (field->is_number && !(parser->options->missing && isnan(field->number))) {
        *value = field->number;
        column->numbers++;
        parser->quoted_numbers |= field->quoted;
        return AD_OK;
    }
    *value = NAN;
    if (parser->options->missing && nf__is_missing(field, true)) {
        column->missing++;
        return AD_OK;
    }
    if (!parser->options->labels || field->length == 0) return nf__csv_mistake(&parser->reader, line, c + 1, field);
    if (column->texts++ == 0) {
        column->text = *field;
        column->line = line;
    }
    return AD_OK;
}

/* Add a row to the values, which have room for it. */
static ad_status read_row(struct parser *parser)
{
    nf_table *table = parser->table;
    nf__reader *reader = &parser->reader;
    double *row = table->values + table->rows * table->columns;
    size_t line = reader->line, count = 0;
    nf__field field;
    do {
        ad_status status = nf__read_field(reader, count + 1, &field);
        if (!status && count < table->columns) status = take_field(parser, line, count, &field, &row[count]);
        if (status) return status;
        count++;
    } while (!field.last);
    if (count != table->columns)
        return ad_error_set(reader->error, AD_ERROR_FORMAT,
                            "%s:%zu:%zu: this line has %zu column%s where line %zu has %zu", reader->path, line,
                            (count < table->columns ? count : table->columns) + 1, count, count == 1 ? "" : "s",
                            parser->line, table->columns);
    table->rows++;
    return AD_OK;
}

/* All lines but the first, for which there is room before them: table->rows counts it. */
static ad_status read_rows(struct parser *parser)
{
    nf_table *table = parser->table;
    size_t capacity = 0;
    table->rows = 1;
    do {
        if (table->rows >= capacity) {
            capacity = capacity < 32 ? 64 : 2 * capacity;
            double *larger = ad_realloc(table->values, capacity, table->columns * sizeof(double));
            if (!larger) return nf__reader_no_memory(&parser->reader);
            table->values = larger;
        }
        if (!nf__find_line(&parser->reader)) return AD_OK;
        ad_status status = read_row(parser);
        if (status) return status;
    } while (true);
}

/* ---- The first line ------------------------------------------------------------------------------------------ */

/* numpy.savetxt() writes names behind a #: a comment before the rows that has as many fields as they have. */
static ad_status use_comment(struct parser *parser, char *comment)
{
    nf_table *table = parser->table;
    nf__field *fields = NULL;
    size_t count = 0;
    ad_error ignored;
    nf__reader line = parser->reader;
    line.at = comment;
    line.end = comment + strcspn(comment, "\r\n");
    line.error = &ignored;
    while (*line.at == ' ' || (*line.at == '\t' && line.delimiter != '\t')) line.at++;
    ad_status status = nf__read_line(&line, &fields, &count);
    bool names = false;
    for (size_t i = 0; !status && count == table->columns && i < count; i++)
        names |= !fields[i].is_number && fields[i].length > 0;
    line.error = parser->reader.error;
    if (status == AD_ERROR_MEMORY)
        status = nf__reader_no_memory(&line);
    else
        status = names ? nf__take_names(&line, parser->line, fields, table) : AD_OK;
    ad_free(fields);
    return status;
}

static ad_status tell_doubt(struct parser *parser, bool names)
{
    const nf__field *first = parser->first, *last = first + parser->table->columns - 1;
    const char *begin = first->text - first->quoted;
    nf__excerpt line = nf__excerpt_of(begin, (size_t)(last->text + last->length + last->quoted - begin));
    const char *sentence = names ? "%s:%zu: '%s' is taken for the names of columns; if it is a row, say header no"
                                 : "%s:%zu: '%s' is taken for a row; if it is the names of columns, say header yes";
    bool told = nf__table_remark(parser->table, sentence, parser->reader.path, parser->line, line.text);
    return told ? AD_OK : nf__reader_no_memory(&parser->reader);
}

/* Is it names? Those of a comment, if there are any, have been taken. */
static ad_status look_at_first_line(struct parser *parser, const nf__reader *below, bool *names)
{
    nf_table *table = parser->table;
    nf_header header = parser->options->header;
    bool doubtful = false;
    nf__first_line first = {.fields = parser->first,
                            .columns = parser->columns,
                            .values = table->values + table->columns,
                            .rows = table->rows - 1,
                            .count = table->columns,
                            .quoted_numbers = parser->quoted_numbers,
                            .labels = parser->options->labels,
                            .named = table->names != NULL,
                            .below = *below};
    *names = header == NF_HEADER_AUTO ? nf__is_header(&first, &doubtful) : header == NF_HEADER_YES;
    if (*names) { /* and not those of a comment */
        ad_free(table->names);
        ad_free(table->remarks);
        table->names = NULL;
        table->remarks = NULL;
    }
    return doubtful ? tell_doubt(parser, *names) : AD_OK;
}

static ad_status take_first_line(struct parser *parser, bool names)
{
    nf_table *table = parser->table;
    if (!names) {
        ad_status status = AD_OK;
        for (size_t c = 0; c < table->columns && !status; c++)
            status = take_field(parser, parser->line, c, &parser->first[c], &table->values[c]);
        return status;
    }
    if (--table->rows == 0)
        return ad_error_set(parser->reader.error, AD_ERROR_FORMAT, "'%s' holds names of columns but no rows",
                            parser->reader.path);
    memmove(table->values, table->values + table->columns, table->rows * table->columns * sizeof *table->values);
    return nf__take_names(&parser->reader, parser->line, parser->first, table);
}

/* ---- Labels -------------------------------------------------------------------------------------------------- */

/* One field of another kind makes a column of numbers one of labels: a slip of the pen, perhaps. */
static ad_status tell_mixed(struct parser *parser, size_t c)
{
    const nf__column *column = &parser->columns[c];
    const nf__field *text = &column->text;
    if (column->numbers <= column->texts) return AD_OK;
    if (nf__field_overflows(text)) return nf__csv_mistake(&parser->reader, column->line, c + 1, text);
    bool told =
        nf__table_remark(parser->table,
                         "%s:%zu:%zu: '%s' makes labels of this column, of which %zu fields are numbers and %zu "
                         "are text",
                         parser->reader.path, column->line, c + 1, nf__excerpt_of(text->text, text->length).text,
                         column->numbers, column->texts);
    return told ? AD_OK : nf__reader_no_memory(&parser->reader);
}

/* room, of *capacity bytes, is for a text without its quotes. */
static ad_status label_field(const nf__reader *reader, nf__labels *labels, size_t c, const nf__field *field,
                             char **room, size_t *capacity, double *value)
{
    if (field->length >= *capacity) {
        char *larger = ad_realloc(*room, field->length + 1, 2);
        if (!larger) return nf__reader_no_memory(reader);
        *room = larger;
        *capacity = 2 * (field->length + 1);
    }
    size_t index, length = nf__field_copy(field, *room);
    if (!nf__labels_index(labels, c, *room, length, &index)) return nf__reader_no_memory(reader);
    *value = (double)index;
    return AD_OK;
}

/* reader: at the first row. */
static ad_status label_rows(const struct parser *parser, nf__reader *reader, nf__labels *labels)
{
    nf_table *table = parser->table;
    char *room = NULL;
    size_t capacity = 0;
    ad_status status = AD_OK;
    for (size_t r = 0; r < table->rows && !status && nf__find_line(reader); r++) {
        nf__field field = {.last = false};
        size_t line = reader->line;
        for (size_t c = 0; !status && !field.last; c++) {
            status = nf__read_field(reader, c + 1, &field);
            if (status || parser->columns[c].texts == 0) continue;
            double *value = &table->values[r * table->columns + c];
            *value = NAN;
            if (parser->options->missing && nf__is_missing(&field, false)) continue;
            status = nf__field_check_text(reader, line, c + 1, &field);
            if (!status) status = label_field(reader, labels, c, &field, &room, &capacity, value);
        }
    }
    ad_free(room);
    return status;
}

/* Columns with text are read once more, now that they are known. */
static ad_status read_labels(struct parser *parser, nf__reader reader)
{
    nf_table *table = parser->table;
    bool any = false;
    for (size_t c = 0; c < table->columns; c++) {
        if (parser->columns[c].texts == 0) continue;
        any = true;
        ad_status status = tell_mixed(parser, c);
        if (status) return status;
    }
    if (!any) return AD_OK;
    nf__labels *labels = nf__labels_new(table->columns);
    ad_status status = labels ? label_rows(parser, &reader, labels) : nf__reader_no_memory(&reader);
    if (!status && !nf__labels_finish(labels, table)) status = nf__reader_no_memory(&reader);
    nf__labels_free(labels);
    return status;
}

/* ---- The whole ----------------------------------------------------------------------------------------------- */

/* *rows: where the first row is. */
static ad_status read_table(struct parser *parser, nf__reader *rows)
{
    nf__reader *reader = &parser->reader;
    nf_table *table = parser->table;
    if (!nf__find_line(reader))
        return ad_error_set(reader->error, AD_ERROR_FORMAT, "'%s' holds nothing but empty lines%s", reader->path,
                            reader->comment ? " and comments" : "");
    nf__reader begin = *reader;
    parser->line = reader->line;
    ad_status status = nf__read_line(reader, &parser->first, &table->columns);
    if (status) return status;
    nf__reader below = *reader;
    parser->columns = ad_alloc(table->columns, sizeof *parser->columns);
    if (!parser->columns) return nf__reader_no_memory(reader);
    bool names = false;
    status = read_rows(parser);
    if (!status && begin.comment) status = use_comment(parser, begin.comment);
    if (!status) status = look_at_first_line(parser, &below, &names);
    if (!status) status = take_first_line(parser, names);
    *rows = names ? below : begin;
    return status;
}

/* Fill parser->table but for the labels. */
static ad_status parse(struct parser *parser, char delimiter, nf__reader *rows)
{
    nf__reader *reader = &parser->reader;
    parser->table->dtype = AD_F64;
    if (delimiter == ',') reader->delimiter = nf__find_delimiter(reader);
    if (reader->delimiter != delimiter) reader->decimal = 0;
    return read_table(parser, rows);
}

static struct parser parser_of(const char *path, char delimiter, const nf_read_options *options, char *data,
                               size_t bytes, locale_t c_locale, nf_table *table, ad_error *error)
{
    return (struct parser){.reader = {.path = path,
                                      .delimiter = delimiter,
                                      .decimal = '.',
                                      .at = data,
                                      .end = data + bytes,
                                      .line = 1,
                                      .c_locale = c_locale,
                                      .error = error},
                           .options = options,
                           .table = table};
}

static ad_status no_locale(const char *path, ad_error *error)
{
    return nf__reader_no_memory(&(nf__reader){.path = path, .error = error});
}

ad_status nf__csv_parse(const char *path, char delimiter, const nf_read_options *options, char *data, size_t bytes,
                        nf_table *table, ad_error *error)
{
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!c_locale) return no_locale(path, error);
    struct parser parser = parser_of(path, delimiter, options, data, bytes, c_locale, table, error);
    nf__reader rows;
    ad_status status = parse(&parser, delimiter, &rows);
    if (!status) status = read_labels(&parser, rows);
    double *fitting = status ? NULL : ad_realloc(table->values, table->rows, table->columns * sizeof(double));
    if (fitting) table->values = fitting;
    ad_free(parser.first);
    ad_free(parser.columns);
    freelocale(c_locale);
    return status;
}

/* A mistake that is in the last row may be none, where it is cut off. */
ad_status nf__csv_look(const char *path, char delimiter, const nf_read_options *options, char *data, size_t bytes,
                       nf__csv_form *form, bool *cut_off, ad_error *error)
{
    nf_table *table = &form->table;
    form->c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (!form->c_locale) return no_locale(path, error);
    struct parser parser = parser_of(path, delimiter, options, data, bytes, form->c_locale, table, error);
    ad_status status = parse(&parser, delimiter, &form->rows);
    *cut_off = parser.reader.in_quotes;
    form->is_text = status ? NULL : ad_alloc(table->columns, sizeof *form->is_text);
    if (!status && !form->is_text) status = nf__reader_no_memory(&parser.reader);
    for (size_t c = 0; c < table->columns && !status; c++) {
        form->is_text[c] = parser.columns[c].texts > 0;
        if (form->is_text[c]) status = tell_mixed(&parser, c);
    }
    form->rows.decimal = parser.reader.decimal;
    form->line = parser.line;
    ad_free(table->values);
    table->values = NULL;
    ad_free(parser.first);
    ad_free(parser.columns);
    return status;
}

void nf__csv_form_free(nf__csv_form *form)
{
    nf_table_free(&form->table);
    ad_free(form->is_text);
    if (form->c_locale) freelocale(form->c_locale);
    *form = (nf__csv_form){0};
}
