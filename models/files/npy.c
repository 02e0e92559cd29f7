/* Writing NumPy's .npy format, which npy_read.c describes. */
#include "files/table.h"

#include <weir/data.h>
#include <weir/file.h>

#include <stdio.h>
#include <string.h>

#define MAGIC "\x93NUMPY"

void nf__npy_header(const nf_table *table, char header[NF__NPY_HEADER])
{
    enum { BEFORE = 10 }; /* elements begin at a multiple of 64 */
    memset(header, ' ', NF__NPY_HEADER);
    memcpy(header, MAGIC "\1\0", 8);
    header[8] = NF__NPY_HEADER - BEFORE;
    header[9] = 0;
    const ad_shape *event = &table->event;
    const bool is_image = event->rank > 0 && ad_shape_size(*event) == table->columns;
    char *to = header + BEFORE;
    to += sprintf(to, "{'descr': '<f%zu', 'fortran_order': False, 'shape': (%zu", ad_dtype_size(table->dtype),
                  table->rows);
    for (int i = 0; is_image && i < event->rank; i++) to += sprintf(to, ", %zu", event->dim[i]);
    if (!is_image) to += sprintf(to, ", %zu", table->columns);
    to += sprintf(to, "), }");
    *to = ' ';
    header[NF__NPY_HEADER - 1] = '\n';
}

/* In the order of the file: little-endian. */
static void put_float(double value, unsigned char *to)
{
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    for (size_t i = 0; i < sizeof bits; i++) to[i] = (unsigned char)(bits >> 8 * i);
}

static void put_double(double value, unsigned char *to)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (size_t i = 0; i < sizeof bits; i++) to[i] = (unsigned char)(bits >> 8 * i);
}

void nf__npy_write_rows(nf_file *file, const nf_table *rows, ad_dtype dtype)
{
    enum { BLOCK = 4096 };
    unsigned char bytes[BLOCK * sizeof(double)];
    const size_t size = ad_dtype_size(dtype), all = rows->rows * rows->columns;
    for (size_t first = 0; first < all; first += BLOCK) {
        const size_t count = all - first < BLOCK ? all - first : BLOCK;
        for (size_t i = 0; dtype == AD_F32 && i < count; i++) put_float(rows->values[first + i], bytes + i * size);
        for (size_t i = 0; dtype == AD_F64 && i < count; i++) put_double(rows->values[first + i], bytes + i * size);
        nf_file_write(file, bytes, count * size);
    }
}
