/* Is the first line of a text file names, or a row? */
#include "files/header.h"

#include <math.h>
#include <string.h>

/* What pandas takes for missing, https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html, but for spellings
 * that no program writes today, and with what tables of other programs have. "None" may well be a category, and "-" the
 * other one of "+". */
bool nf__is_missing(const nf__field *field, bool among_numbers)
{
    static const char *const always[] = {"",    "NA",  "N/A",  "n/a",  "#N/A", "<NA>",
                                         "NaN", "nan", "NULL", "null", "?",    NULL};
    static const char *const in_numbers[] = {"None", "-", ".", NULL};
    for (const char *const *text = always; *text; text++)
        if (nf__field_is(field, *text)) return true;
    for (const char *const *text = in_numbers; among_numbers && *text; text++)
        if (nf__field_is(field, *text)) return true;
    return false;
}

static bool is_text(const nf__field *field)
{
    return !field->is_number && !nf__is_missing(field, true);
}

/* As a name may be a number: a year, or where a column stands. */
static bool is_plain_integer(const nf__field *field)
{
    size_t digits = 0;
    while (digits < field->length && field->text[digits] >= '0' && field->text[digits] <= '9') digits++;
    return digits > 0 && digits == field->length && digits <= 15;
}

/* ---- Lines of numbers ------------------------------------------------------------------------------------------ */

/* R and others quote text and not numbers: then these are text. */
static bool only_names_are_quoted(const nf__first_line *first)
{
    bool any = false;
    for (size_t c = 0; c < first->count; c++) {
        const nf__field *field = &first->fields[c];
        if (!field->quoted && field->length > 0) return false;
        any |= field->is_number && first->columns[c].numbers > 0;
    }
    return any && !first->quoted_numbers;
}

/* Of the first line against what is below it. */
struct comparison {
    size_t compared;   /* columns */
    bool even, rising; /* in steps from column to column, of one size, or upwards */
    bool no_integer;   /* is below */
    bool outside, far; /* of each column's range: by more than rows are apart, by more than the range */
};

static void compare_column(const nf__first_line *first, size_t c, struct comparison *is)
{
    double low = INFINITY, high = -INFINITY, value = first->fields[c].number;
    for (size_t r = 0; r < first->rows; r++) {
        double other = first->values[r * first->count + c];
        if (!isfinite(other)) continue;
        if (other == floor(other)) is->no_integer = false;
        low = fmin(low, other);
        high = fmax(high, other);
    }
    double gap = fmax(low - value, value - high), range = high - low;
    if (!(gap > fmax(range, 1))) is->far = false;
    if (!(gap > 3 * range / (double)first->rows)) is->outside = false;
}

/* False if there is more than whole numbers that are steps up or down, and text. pandas leaves the name out of the
 * first column, its index. */
static bool compare(const nf__first_line *first, struct comparison *is)
{
    *is = (struct comparison){0, true, true, true, true, true};
    double before = 0, step = 0;
    for (size_t c = 0; c < first->count; c++) {
        const nf__field *field = &first->fields[c];
        if ((c == 0 && field->length == 0) || is_text(field)) continue;
        if (!is_plain_integer(field) || first->columns[c].numbers == 0) return false;
        if (is->compared > 0 && field->number == before) return false;
        if (is->compared == 1) step = field->number - before;
        if (is->compared > 1 && field->number - before != step) is->even = false;
        if (is->compared > 0 && field->number < before) is->rising = false;
        before = field->number;
        compare_column(first, c, is);
        is->compared++;
    }
    return is->compared > 1 && (is->even || is->rising);
}

static bool numbers_are_names(const nf__first_line *first, bool *doubtful)
{
    enum { FEW = 3 }; /* rows or columns, which show little */
    struct comparison is;
    if (only_names_are_quoted(first)) return true;
    if (first->rows < FEW || !compare(first, &is)) return false;
    bool many = is.compared >= FEW;
    bool names = (is.even && is.far) || (many && ((is.even && is.no_integer) || (is.rising && is.far)));
    *doubtful = names || is.no_integer || is.far || (many && is.even && is.outside);
    return names;
}

/* ---- Lines with text ------------------------------------------------------------------------------------------- */

/* How many fields of the first line that are text stand in their columns once more? */
static size_t count_again(const nf__first_line *first, size_t texts)
{
    nf__reader reader = first->below;
    size_t again = 0;
    while (again < texts && nf__find_line(&reader)) {
        nf__field field;
        size_t c = 0;
        do {
            const nf__field *name = &first->fields[c];
            if (nf__read_field(&reader, c + 1, &field)) return again; /* it has been read before */
            if (is_text(name) && !first->columns[c].again && field.length == name->length &&
                memcmp(field.text, name->text, name->length) == 0) {
                first->columns[c].again = true;
                again++;
            }
            c++;
        } while (!field.last);
    }
    return again;
}

bool nf__is_header(const nf__first_line *first, bool *doubtful)
{
    size_t texts = 0, above_numbers = 0, numbers = 0, whole = 0;
    for (size_t c = 0; c < first->count; c++) {
        const nf__field *field = &first->fields[c];
        const nf__column *column = &first->columns[c];
        bool text = is_text(field);
        texts += text;
        above_numbers += text && column->numbers > column->texts;
        numbers += field->is_number;
        whole += field->is_number && is_plain_integer(field);
    }
    *doubtful = false;
    if (texts == 0) return !first->named && numbers_are_names(first, doubtful);
    if (above_numbers > 0 || first->rows == 0 || !first->labels) {
        *doubtful = whole < numbers;
        return true;
    }
    /* Text above text. */
    size_t again = count_again(first, texts);
    if (numbers == 0) {
        *doubtful = again > 0 && again < texts;
        return again == 0;
    }
    if (again > 0 || whole < numbers || first->named) return false;
    if (numbers_are_names(first, doubtful)) return true;
    *doubtful = true;
    return false;
}
