/* The safetensors format, https://github.com/huggingface/safetensors: named arrays, and text about them.
 *
 *   length of the header in bytes, 64 bits, little-endian
 *   header, JSON: {"__metadata__": {"key": "value", …},
 *                  "name": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}, …}, then spaces
 *   the tensors' elements, row-major and little-endian, without gaps; offsets count from here */
#ifndef WEIR_MODELS_FILES_SAFETENSORS_H
#define WEIR_MODELS_FILES_SAFETENSORS_H

#include <weir/error.h>
#include <weir/shape.h>

typedef struct {
    const char *name;
    ad_dtype dtype;
    ad_shape shape;
    const void *data;
} nf__safetensor;

typedef struct {
    const char *key, *value;
} nf__metadata;

/* Write a file, whole or not at all. Names, keys and values are UTF-8; names and keys are unique. It is read back and
 * compared, where that is wanted. */
ad_status nf__safetensors_write(const char *path, const nf__safetensor *tensors, size_t tensor_count,
                                const nf__metadata *metadata, size_t metadata_count, bool compared, ad_error *error);

typedef struct nf__safetensors nf__safetensors;

/* Read a file, checking all that it says before believing it; NULL with *error on failure. */
nf__safetensors *nf__safetensors_read(const char *path, ad_error *error);
/* The same of another program's, in which whole numbers and truth values, I64 and BOOL, become float64. */
nf__safetensors *nf__safetensors_read_foreign(const char *path, ad_error *error);
void nf__safetensors_free(nf__safetensors *file);

/* In the order of their data, which are 64-byte aligned and live as long as the file. */
const nf__safetensor *nf__safetensors_all(const nf__safetensors *file, size_t *count);
/* NULL where there is none of this name or key. */
const nf__safetensor *nf__safetensors_find(const nf__safetensors *file, const char *name);
const char *nf__safetensors_metadata(const nf__safetensors *file, const char *key);

#endif
