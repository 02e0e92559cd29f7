/* NumPy's arrays. One that is read, written and read again has the same numbers, and is then written with the same
 * bytes. */
#include "fuzz.h"

#include <weir/data.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *in = fuzz_path("in.npy"), *out = fuzz_path("out.npy"), *again = fuzz_path("again.npy");
    nf_table table, copy;
    ad_error error;
    fuzz_write(in, data, size);
    if (nf_table_read(in, &table, &error)) {
        fuzz_check_error(&error);
        fuzz_require(!table.values, "a table that wasn't read is empty");
        return 0;
    }
    fuzz_require(nf_table_write(out, &table, &error) == AD_OK, "a table that was read can be written");
    fuzz_require(nf_table_read(out, &copy, &error) == AD_OK, "what was written can be read");
    fuzz_require(table.rows == copy.rows && table.columns == copy.columns && table.dtype == copy.dtype,
                 "what was written has the same shape and dtype");
    for (size_t i = 0; i < table.rows * table.columns; i++)
        fuzz_require(table.values[i] == copy.values[i] || table.values[i] != table.values[i],
                     "what was written has the same values");
    fuzz_require(nf_table_write(again, &copy, &error) == AD_OK && fuzz_same_files(out, again),
                 "what was read again is written with the same bytes");
    nf_table_free(&copy);
    nf_table_free(&table);
    return 0;
}
