/* Shapes and dtypes. */
#include "base/arena.h"
#include "base/broadcast.h"

#include <stdint.h>
#include <stdio.h>

size_t ad_dtype_size(ad_dtype dtype)
{
    return dtype == AD_F32 ? sizeof(float) : sizeof(double);
}

const char *ad_dtype_name(ad_dtype dtype)
{
    return dtype == AD_F32 ? "float32" : "float64";
}

size_t ad_shape_size(ad_shape shape)
{
    size_t size = 1;
    for (int i = 0; i < shape.rank; i++)
        if (!ad__size_product(size, shape.dim[i], &size)) return SIZE_MAX;
    return size;
}

bool ad_shape_equal(ad_shape a, ad_shape b)
{
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

const char *ad_shape_text(ad_shape shape, char *buffer)
{
    int at = snprintf(buffer, 128, "(");
    for (int i = 0; i < shape.rank; i++)
        at += snprintf(buffer + at, 128 - (size_t)at, i ? ",%zu" : "%zu", shape.dim[i]);
    snprintf(buffer + at, 128 - (size_t)at, ")");
    return buffer;
}

bool ad__shape_broadcast(ad_shape a, ad_shape b, ad_shape *result)
{
    ad_shape wide = a.rank >= b.rank ? a : b, narrow = a.rank >= b.rank ? b : a;
    *result = wide;
    for (int i = 1; i <= narrow.rank; i++) {
        size_t p = wide.dim[wide.rank - i], q = narrow.dim[narrow.rank - i];
        if (p != q && p != 1 && q != 1) return false;
        result->dim[wide.rank - i] = p == 1 ? q : p;
    }
    return true;
}
