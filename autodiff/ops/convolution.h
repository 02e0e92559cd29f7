/* What convolutions have in common: their sizes, and the parts of an image that an element of the kernel multiplies. */
#ifndef WEIR_AUTODIFF_OPS_CONVOLUTION_H
#define WEIR_AUTODIFF_OPS_CONVOLUTION_H

#include "base/gemm.h"
#include "ops/matrix.h"
#include "tape/record.h"

#if AD_REAL_BITS == 32
#define gemm ad__gemm_f32
#else
#define gemm ad__gemm_f64
#endif

/* A weight is (kernel_height, kernel_width, outputs, inputs): what an element of the kernel multiplies is a matrix as
 * the GEMM takes it. Images are (channels, height, width). */
typedef struct {
    size_t kernel_height, kernel_width, outputs, inputs, height, width;
} convolution;

static inline size_t taps_of(const convolution *c)
{
    return c->kernel_height * c->kernel_width;
}

/* How far from a pixel of the output the pixel of the input is that an element of the kernel, a tap, multiplies. */
typedef struct {
    ptrdiff_t down, right;
} offset;

static inline offset offset_of(const convolution *c, size_t tap, bool transposed)
{
    const ptrdiff_t down = (ptrdiff_t)(tap / c->kernel_width) - (ptrdiff_t)(c->kernel_height / 2);
    const ptrdiff_t right = (ptrdiff_t)(tap % c->kernel_width) - (ptrdiff_t)(c->kernel_width / 2);
    return transposed ? (offset){-down, -right} : (offset){down, right};
}

/* Of `size` pixels in a line, those whose neighbour `by` further on there is: begin … end-1, none where by is too far.
 */
typedef struct {
    size_t begin, end;
} span;

static inline span inside(size_t size, ptrdiff_t by)
{
    const size_t distance = (size_t)(by < 0 ? -by : by);
    if (distance >= size) return (span){0, 0};
    return by < 0 ? (span){distance, size} : (span){0, size - distance};
}

#endif
