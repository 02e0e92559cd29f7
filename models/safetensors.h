/* The safetensors format, https://github.com/huggingface/safetensors: named arrays, and text about them.
 *
 *   length of the header in bytes, 64 bits, little-endian
 *   header, JSON: {"__metadata__": {"key": "value", …},
 *                  "name": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}, …}, then spaces
 *   the tensors' elements, row-major and little-endian, without gaps; offsets count from here
 *
 * Jansson, which reads and writes the header, takes its memory from malloc: its allocator is one for the whole process,
 * and so isn't ours to set. */
#ifndef WEIR_SAFETENSORS_H
#define WEIR_SAFETENSORS_H

#include "data.h"

typedef struct {
    const char *name;
    ad_dtype dtype;
    ad_shape shape;
    const void *data;
} nf_safetensor;

typedef struct {
    const char *key, *value;
} nf_metadata;

/* Write a file, whole or not at all. Names, keys and values are UTF-8; names and keys are unique. */
ad_status nf_safetensors_write(const char *path, const nf_safetensor *tensors, size_t tensor_count,
                               const nf_metadata *metadata, size_t metadata_count, ad_error *error);

typedef struct nf_safetensors nf_safetensors;

/* Read a file, checking all that it says before believing it; NULL with *error on failure. */
nf_safetensors *nf_safetensors_read(const char *path, ad_error *error);
void nf_safetensors_free(nf_safetensors *file);

/* In the order of their data, which are 64-byte aligned and live as long as the file. */
const nf_safetensor *nf_safetensors_all(const nf_safetensors *file, size_t *count);
/* NULL where there is none of this name or key. */
const nf_safetensor *nf_safetensors_find(const nf_safetensors *file, const char *name);
const char *nf_safetensors_metadata(const nf_safetensors *file, const char *key);

#endif
