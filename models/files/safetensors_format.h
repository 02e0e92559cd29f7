/* What reading and writing of safetensors share. */
#ifndef WEIR_MODELS_FILES_SAFETENSORS_FORMAT_H
#define WEIR_MODELS_FILES_SAFETENSORS_FORMAT_H

#include "files/safetensors.h"

#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors are little-endian: on this machine their elements would have to be swapped"
#endif

#define METADATA_KEY "__metadata__"

enum {
    LENGTH_BYTES = 8,
    ALIGNMENT = 64,                /* of the data: in the file as in memory */
    MOST_HEADER_BYTES = 100000000, /* as in the reference implementation */
};

static const char *const dtype_names[] = {[AD_F32] = "F32", [AD_F64] = "F64"};

/* Bytes of a tensor's data; SIZE_MAX where they are too many. */
static inline size_t tensor_bytes(const nf__safetensor *tensor)
{
    size_t size = ad_shape_size(tensor->shape), element = ad_dtype_size(tensor->dtype);
    return size < SIZE_MAX / element ? size * element : SIZE_MAX;
}

#endif
