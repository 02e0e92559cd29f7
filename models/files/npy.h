/* What the files that read .npy share. */
#ifndef WEIR_MODELS_FILES_NPY_H
#define WEIR_MODELS_FILES_NPY_H

#include <weir/data.h>

#include <stdint.h>

typedef struct {
    char kind; /* 'f', 'i', 'u', or 'b' for booleans */
    size_t size;
    bool big_endian;
} nf__npy_element;

typedef struct {
    size_t rows, columns;
    ad_shape event; /* nf_table.event */
    size_t begin; /* of the elements, in bytes */
    bool fortran_order;
    nf__npy_element element;
} nf__npy_format;

/* What the header says, which is in the first `bytes` bytes of a file of file_bytes. path is for messages. */
ad_status nf__npy_format_of(const char *path, const char *data, size_t bytes, uint64_t file_bytes,
                            nf__npy_format *format, ad_error *error);

/* Elements, one behind the other, as every stride-th number. With a stride of 1 they may lie at the very end of where
 * the numbers go. */
void nf__npy_decode(nf__npy_element element, const char *from, size_t count, double *to, size_t stride);

/* What holds such elements without loss, but for the largest integers. */
static inline ad_dtype nf__npy_dtype(nf__npy_element element)
{
    return element.kind == 'f' && element.size == sizeof(float) ? AD_F32 : AD_F64;
}

#endif
