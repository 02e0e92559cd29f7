/* Writing NumPy's .npy format, which npy_read.c describes. */
#include "files/table.h"

#include <weir/data.h>
#include <weir/file.h>

#include <string.h>

#define MAGIC "\x93NUMPY"

static void write_little_endian(nf_file *file, uint64_t value, size_t size)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(value >> 8 * i);
    nf_file_write(file, bytes, size);
}

void nf__npy_write(nf_file *file, const nf_table *table)
{
    enum { BEFORE = 10, WHOLE = 128 }; /* elements begin at a multiple of 64 */
    char header[WHOLE - BEFORE + 1];
    int length = snprintf(header, sizeof header, "{'descr': '<f%zu', 'fortran_order': False, 'shape': (%zu, %zu), }",
                          ad_dtype_size(table->dtype), table->rows, table->columns);
    memset(header + length, ' ', sizeof header - (size_t)length);
    header[WHOLE - BEFORE - 1] = '\n';
    nf_file_write(file, MAGIC "\1\0", 8);
    write_little_endian(file, WHOLE - BEFORE, 2);
    nf_file_write(file, header, WHOLE - BEFORE);

    for (size_t i = 0; i < table->rows * table->columns; i++) {
        if (table->dtype == AD_F32) {
            float value = (float)table->values[i];
            uint32_t bits;
            memcpy(&bits, &value, sizeof bits);
            write_little_endian(file, bits, sizeof bits);
        } else {
            uint64_t bits;
            memcpy(&bits, &table->values[i], sizeof bits);
            write_little_endian(file, bits, sizeof bits);
        }
    }
}
