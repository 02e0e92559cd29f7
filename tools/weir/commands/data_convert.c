/* weir data convert: a table in another format. */
#include "columns.h"
#include "files.h"
#include "parts.h"
#include "report.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const struct option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .required = true,
     .help = "where to: .npy, .csv, .tsv or .txt"},
    {.name = "dtype",
     .kind = OPTION_CHOICE,
     .value = "TYPE",
     .initial = "auto",
     .choices = "auto|float32|float64",
     .help = "of the numbers; auto: float64, but float32 from a float32 .npy"},
    {.name = "drop",
     .kind = OPTION_TEXT,
     .value = "COLUMNS",
     .help = "leave out these columns, by name or number: those of text, say, for a .npy"},
    OPTION_HEADER,
    {0},
};

struct conversion {
    const struct arguments *arguments;
    const char *input, *output;
    nf_table_reader *reader;
    nf_table_writer *writer;
    size_t *order, columns; /* those that are kept */
    ad_dtype dtype;
    bool array; /* the output is one */
    size_t rows;
};

/* ---- Columns --------------------------------------------------------------------------------------------------- */

static ad_status find_columns(struct conversion *conversion, ad_error *error)
{
    const nf_table *head = nf_table_reader_head(conversion->reader);
    const char *drop = option_text(conversion->arguments, "drop");
    size_t dropped = 0;
    bool *taken = ad_alloc(head->columns, sizeof *taken);
    conversion->order = ad_alloc(head->columns, sizeof *conversion->order);
    ad_status status = taken && conversion->order
                           ? AD_OK
                           : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu columns", head->columns);
    if (!status && drop)
        status = columns_parse(drop, "drop", conversion->input, head, conversion->order, taken, &dropped, error);
    if (!status && dropped == head->columns)
        status = ad_error_set(error, AD_ERROR_ARGUMENT, "--drop: no column of %s is left", conversion->input);
    for (size_t c = 0; c < head->columns && !status; c++)
        if (!taken[c]) conversion->order[conversion->columns++] = c;
    ad_free(taken);
    return status;
}

/* An array has no place for text. */
static ad_status check_texts(const struct conversion *conversion, ad_error *error)
{
    const nf_table *head = nf_table_reader_head(conversion->reader);
    for (size_t i = 0; conversion->array && i < conversion->columns; i++) {
        const size_t c = conversion->order[i];
        if (!nf_table_reader_is_text(conversion->reader, c)) continue;
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "%s: column %zu%s%.200s%s holds text, for which an array has no place: leave it out with "
                            "--drop %zu, or name a .csv, .tsv or .txt file",
                            conversion->input, c + 1, head->names ? " ('" : "", head->names ? head->names[c] : "",
                            head->names ? "')" : "", c + 1);
    }
    return AD_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------ */

/* A number that becomes infinite is no number of the table's. */
static ad_status check_range(const struct conversion *conversion, const nf_table *part, ad_error *error)
{
    if (conversion->dtype == AD_F64) return AD_OK;
    for (size_t i = 0; i < part->rows * part->columns; i++)
        if (isfinite(part->values[i]) && !isfinite((float)part->values[i]))
            return ad_error_set(error, AD_ERROR_FORMAT,
                                "%s: row %zu, column %zu is %g, which float32 can't hold: say --dtype float64",
                                conversion->input, part->first_row + i / part->columns + 1,
                                conversion->order[i % part->columns] + 1, part->values[i]);
    return AD_OK;
}

static ad_status write_part(void *context, const nf_table *part, ad_error *error)
{
    struct conversion *conversion = context;
    nf_table kept = {0};
    const bool all = conversion->columns == part->columns;
    if (!all && columns_select(part, conversion->order, conversion->columns, &kept, error)) return error->status;
    const nf_table *rows = all ? part : &kept;
    ad_status status = check_range(conversion, rows, error);
    if (!status) status = nf_table_append(conversion->writer, rows, error);
    conversion->rows += rows->rows;
    nf_table_free(&kept);
    return status;
}

static ad_status create(struct conversion *conversion, ad_error *error)
{
    const nf_table *from = nf_table_reader_head(conversion->reader);
    nf_table head = {.rows = from->rows, .columns = conversion->columns, .dtype = conversion->dtype};
    if (from->names) head.names = ad_alloc(head.columns, sizeof *head.names);
    if (from->names && !head.names) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the names of columns");
    for (size_t i = 0; head.names && i < head.columns; i++) head.names[i] = from->names[conversion->order[i]];
    conversion->writer = nf_table_create(conversion->output, &head, error);
    ad_free(head.names);
    return conversion->writer ? AD_OK : error->status;
}

static ad_status convert_once(struct conversion *conversion, ad_error *error)
{
    const nf_table *head = nf_table_reader_head(conversion->reader), *part;
    struct parts parts = parts_begin(NULL, head->rows, head->columns);
    parts.from = conversion->reader;
    ad_status status = check_texts(conversion, error);
    if (!status) status = create(conversion, error);
    bool more = !status;
    conversion->rows = 0;
    while (!status && more) {
        status = nf_table_next(conversion->reader, parts.rows, &part, error);
        if (!status) status = parts_next(&parts, AD_OK, part, write_part, conversion, &more, error);
    }
    parts_end(&parts);
    if (status)
        nf_table_abort(conversion->writer);
    else
        status = nf_table_commit(conversion->writer, error);
    conversion->writer = NULL;
    return status;
}

static ad_status convert(struct conversion *conversion, ad_error *error)
{
    const nf_read_options reading = {
        .header = (nf_header)option_choice(conversion->arguments, "header"), .labels = true, .missing = true};
    conversion->reader = nf_table_open(conversion->input, &reading, error);
    if (!conversion->reader) return error->status;
    static const ad_dtype dtypes[] = {AD_F64, AD_F32, AD_F64};
    const size_t choice = option_choice(conversion->arguments, "dtype");
    const nf_table *head = nf_table_reader_head(conversion->reader);
    conversion->dtype = choice == 0 ? head->dtype : dtypes[choice];
    ad_status status = find_columns(conversion, error);
    if (!status) table_warn(head);
    if (!status) status = convert_once(conversion, error);
    /* A column of text that began with numbers: an array can't have it, and its message tells where it is. */
    while (status == AD_ERROR_FORMAT && !conversion->array && nf_table_again(conversion->reader))
        status = convert_once(conversion, error);
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    struct conversion conversion = {
        .arguments = arguments, .input = arguments->positionals[0], .output = option_text(arguments, "output")};
    const char *dot = strrchr(conversion.output, '.');
    conversion.array = dot && strcasecmp(dot, ".npy") == 0;
    ad_status status = check_table(conversion.output, error);
    if (!status) status = convert(&conversion, error);
    if (!status) {
        json_object_set_new(result, "data", report_text(conversion.input));
        json_object_set_new(result, "output", report_text(conversion.output));
        json_object_set_new(result, "rows", json_integer((json_int_t)conversion.rows));
        json_object_set_new(result, "columns", json_integer((json_int_t)conversion.columns));
        json_object_set_new(result, "dtype", json_string(ad_dtype_name(conversion.dtype)));
    }
    nf_table_close(conversion.reader);
    ad_free(conversion.order);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    fprintf(to, "%s: %lld rows of %lld columns of %s\n", report_text_of(result, "output"),
            report_count_of(result, "rows"), report_count_of(result, "columns"), report_text_of(result, "data"));
}

const struct command data_convert_command = {
    .name = "data convert",
    .summary = "Write a table of any number of rows in another format, exactly.",
    .about = "\nNumbers are rounded to the nearest of their type, and text gets the fewest digits that mean the same "
             "number.\n"
             "Rows are read and written a part at a time, in memory that doesn't grow with them.\n",
    .example = "weir data convert table.csv -o table.npy",
    .positionals = {{"TABLE", NULL, "table: .npy, .csv, .tsv or .txt", INPUT_FILE}},
    .groups = {options},
    .run = run,
    .print = print,
};
