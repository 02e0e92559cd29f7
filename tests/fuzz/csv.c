/* Delimited text. A table that is read, written and read again is the same: its bits, its names and its labels; and a
 * .npy file of it has the same numbers. The first byte picks the options and the extension, and the file is the rest.
 */
#include "fuzz.h"

#include <weir/data.h>

#include <math.h>
#include <string.h>

/* Is every text of two lists, which end with a NULL or are so long, the same? */
static bool same_texts(char **a, char **b, size_t count)
{
    if (!a || !b) return a == b;
    for (size_t i = 0; i < count && (a[i] || b[i]); i++)
        if (!a[i] || !b[i] || strcmp(a[i], b[i]) != 0) return false;
    return true;
}

static bool same_values(const nf_table *a, const nf_table *b)
{
    if (a->rows != b->rows || a->columns != b->columns) return false;
    for (size_t i = 0; i < a->rows * a->columns; i++) {
        double x = a->values[i], y = b->values[i];
        if (isnan(x) ? !isnan(y) : x != y || signbit(x) != signbit(y)) return false;
    }
    return true;
}

static void check_copy(const nf_table *table, const char *path)
{
    ad_error error;
    nf_table copy;
    nf_read_options options = {.header = table->names ? NF_HEADER_YES : NF_HEADER_NO,
                               .labels = table->labels != NULL,
                               .missing = table->missing};
    fuzz_require(nf_table_write(path, table, &error) == AD_OK, "a table that was read can be written");
    fuzz_require(nf_table_read_with(path, &options, &copy, &error) == AD_OK, "what was written can be read");
    fuzz_require(same_values(table, &copy), "what was written has the same values");
    fuzz_require(same_texts(table->names, copy.names, table->columns), "what was written has the same names");
    fuzz_require(!table->labels == !copy.labels, "what was written has the same columns of labels");
    for (size_t c = 0; table->labels && c < table->columns; c++)
        fuzz_require(same_texts(table->labels[c], copy.labels[c], SIZE_MAX), "what was written has the same labels");
    nf_table_free(&copy);
}

static void check_array(const nf_table *table)
{
    ad_error error;
    nf_table copy;
    const char *path = fuzz_path("copy.npy");
    fuzz_require(nf_table_write(path, table, &error) == AD_OK, "a table that was read can be written as an array");
    fuzz_require(nf_table_read(path, &copy, &error) == AD_OK, "the array can be read");
    fuzz_require(same_values(table, &copy), "the array has the same values");
    nf_table_free(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"table.csv", "table.tsv", "table.txt"};
    if (size == 0) return 0;
    unsigned pick = data[0] % 36;
    const char *path = fuzz_path(names[pick % 3]);
    nf_read_options options = {.header = (nf_header)(pick / 3 % 3), .labels = pick / 9 % 2, .missing = pick / 18};
    nf_table table;
    ad_error error;
    fuzz_write(path, data + 1, size - 1);
    if (nf_table_read_with(path, &options, &table, &error)) {
        fuzz_check_error(&error);
        fuzz_require(!table.values && !table.names && !table.labels, "a table that wasn't read is empty");
        return 0;
    }
    if (nf_table_check_finite(&table, "table", &error)) fuzz_check_error(&error);
    check_copy(&table, path);
    check_array(&table);
    nf_table_free(&table);
    return 0;
}
