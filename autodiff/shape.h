/* Shapes and element types of tensors. Any function here may be called from several threads at once. */
#ifndef WEIR_SHAPE_H
#define WEIR_SHAPE_H

#include <weir/version.h>
#include <stdbool.h>
#include <stddef.h>

WEIR_BEGIN_DECLARATIONS

#define AD_MAX_RANK 4

typedef struct {
    int rank; /* 0: a scalar */
    size_t dim[AD_MAX_RANK];
} ad_shape;

/* AD_SHAPE(3, 4) is (3,4), of up to AD_MAX_RANK sizes. C++ has no compound literals. */
#ifdef __cplusplus
extern "C++" {
template <class... Size> constexpr ad_shape ad_shape_of(Size... size)
{
    return {static_cast<int>(sizeof...(size)), {static_cast<size_t>(size)...}};
}
}
#define AD_SHAPE(...) (ad_shape_of(__VA_ARGS__))
#define AD_SCALAR     (ad_shape_of())
#else
#define AD_SHAPE(...)                                                                                                  \
    ((ad_shape){.rank = (int)(sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t)), .dim = {__VA_ARGS__}})
#define AD_SCALAR ((ad_shape){.rank = 0})
#endif

/* The type of elements; zero, the default of every option, is float32. */
typedef enum { AD_F32, AD_F64 } ad_dtype;

size_t ad_dtype_size(ad_dtype dtype);
const char *ad_dtype_name(ad_dtype dtype); /* "float32", "float64" */
/* Arrays of a dtype that is known when the program runs: whether all elements are finite; all from doubles, or to
 * doubles; and element i as a double, or from one. */
bool ad_all_finite(ad_dtype dtype, const void *values, size_t count);
void ad_from_double(ad_dtype dtype, const double *from, void *to, size_t count);
void ad_to_double(ad_dtype dtype, const void *from, double *to, size_t count);
double ad_element(ad_dtype dtype, const void *values, size_t i);
void ad_set_element(ad_dtype dtype, void *values, size_t i, double value);

/* Number of elements; 1 for a scalar. SIZE_MAX if the product overflows. */
size_t ad_shape_size(ad_shape shape);
bool ad_shape_equal(ad_shape a, ad_shape b);
/* "()" "(3)" "(3,4)" into 128 bytes of buffer; returns it. */
const char *ad_shape_text(ad_shape shape, char *buffer);

WEIR_END_DECLARATIONS

#endif
