/* Shapes and dtypes. */
#include "base/arena.h"
#include "base/broadcast.h"

#include <math.h>
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

double ad_element(ad_dtype dtype, const void *values, size_t i)
{
    if (!values) return NAN;
    return dtype == AD_F32 ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

void ad_set_element(ad_dtype dtype, void *values, size_t i, double value)
{
    if (!values) return;
    if (dtype == AD_F32)
        ((float *)values)[i] = (float)value;
    else
        ((double *)values)[i] = value;
}

void ad_from_double(ad_dtype dtype, const double *from, void *to, size_t count)
{
    if (!from || !to) return;
    if (dtype == AD_F32)
        for (size_t i = 0; i < count; i++) ((float *)to)[i] = (float)from[i];
    else
        for (size_t i = 0; i < count; i++) ((double *)to)[i] = from[i];
}

/* An element that isn't finite, times zero, is NaN: sums of these are vectorised, where tests of single elements
 * wouldn't be. */
#define DEFINE_ALL_FINITE(real, suffix)                                                                                \
    static bool all_finite_##suffix(const real *values, size_t count)                                                  \
    {                                                                                                                  \
        enum { LANES = 16 };                                                                                           \
        real sum[LANES] = {0}, total = 0;                                                                              \
        size_t i = 0;                                                                                                  \
        for (; i + LANES <= count; i += LANES)                                                                         \
            for (size_t k = 0; k < LANES; k++) sum[k] += 0 * values[i + k];                                            \
        for (; i < count; i++) total += 0 * values[i];                                                                 \
        for (size_t k = 0; k < LANES; k++) total += sum[k];                                                            \
        return total == 0;                                                                                             \
    }
DEFINE_ALL_FINITE(float, f32)
DEFINE_ALL_FINITE(double, f64)

bool ad_all_finite(ad_dtype dtype, const void *values, size_t count)
{
    if (!values) return count == 0;
    return dtype == AD_F32 ? all_finite_f32(values, count) : all_finite_f64(values, count);
}

void ad_to_double(ad_dtype dtype, const void *from, double *to, size_t count)
{
    if (!from || !to) return;
    if (dtype == AD_F32)
        for (size_t i = 0; i < count; i++) to[i] = (double)((const float *)from)[i];
    else
        for (size_t i = 0; i < count; i++) to[i] = ((const double *)from)[i];
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
    if (!buffer) return "";
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
