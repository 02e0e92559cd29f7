/* Ops that work element by element, on arguments that broadcast against each other: an op gives the inner loop, and
 * what is here finds the runs of numbers to call it on. */
#ifndef WEIR_AUTODIFF_OPS_ELEMENTWISE_H
#define WEIR_AUTODIFF_OPS_ELEMENTWISE_H

#include "ops/kernels.h"

#define AD_MAX_ELEMENTWISE 3

/* n elements of out from n elements of each argument, whose stride is 1, or 0 for one number that serves all; at least
 * one argument has stride 1. */
typedef void inner_loop(size_t n, const real *const in[], const size_t stride[], real *out, const double *attribute);

static inline void run_inner(inner_loop *loop, size_t n, const real *const in[], const size_t stride[], int n_in,
                             real *out, const double *attribute)
{
    static const size_t ones[AD_MAX_ELEMENTWISE] = {1, 1, 1};
    for (int i = 0; i < n_in; i++) {
        if (stride[i] == 0) continue;
        loop(n, in, stride, out, attribute);
        return;
    }
    real value;
    loop(1, in, ones, &value, attribute);
    for (size_t i = 0; i < n; i++) out[i] = value;
}

typedef struct {
    int axes; /* those with an extent above 1, neighbours merged; outermost first */
    size_t extent[AD_MAX_RANK + 1];
    size_t stride[AD_MAX_ELEMENTWISE][AD_MAX_RANK + 1];
} loop_nest;

static inline void nest_add_axis(loop_nest *nest, size_t extent, const size_t stride[], int n_in)
{
    if (extent == 1) return;
    bool merges = nest->axes > 0;
    for (int i = 0; i < n_in && merges; i++) merges = nest->stride[i][nest->axes - 1] == stride[i] * extent;
    int axis = merges ? nest->axes - 1 : nest->axes++;
    nest->extent[axis] = merges ? nest->extent[axis] * extent : extent;
    for (int i = 0; i < n_in; i++) nest->stride[i][axis] = stride[i];
}

static inline loop_nest nest_of(const ad_tile *tile)
{
    loop_nest nest = {0};
    const ad_shape *out = &tile->out.shape;
    size_t remaining[AD_MAX_ELEMENTWISE]; /* numbers in the axes not yet added */
    for (int i = 0; i < tile->n_in; i++) remaining[i] = tile->in[i].size * rows_of(&tile->in[i], tile);
    size_t stride[AD_MAX_ELEMENTWISE];
    for (int axis = 0; axis < out->rank; axis++) {
        for (int i = 0; i < tile->n_in; i++) {
            const ad_shape *shape = &tile->in[i].shape;
            int own = axis - (out->rank - shape->rank);
            size_t extent = own < 0 ? 1 : shape->dim[own];
            remaining[i] /= extent;
            stride[i] = extent == 1 ? 0 : remaining[i];
        }
        nest_add_axis(&nest, out->dim[axis], stride, tile->n_in);
    }
    if (tile->out.per_row) {
        for (int i = 0; i < tile->n_in; i++) stride[i] = tile->in[i].per_row ? 1 : 0;
        nest_add_axis(&nest, tile->rows, stride, tile->n_in);
    }
    return nest;
}

/* Shapes that broadcast against each other in any way. */
static inline void elementwise_nest(const ad_tile *tile, inner_loop *loop)
{
    const loop_nest nest = nest_of(tile);
    const int inner = nest.axes - 1;
    const real *in[AD_MAX_ELEMENTWISE];
    size_t stride[AD_MAX_ELEMENTWISE];
    real *out = tile->out.data;
    for (int i = 0; i < tile->n_in; i++) {
        in[i] = real_in(tile, i);
        stride[i] = nest.stride[i][inner];
    }
    size_t counter[AD_MAX_RANK + 1] = {0};
    for (;;) {
        run_inner(loop, nest.extent[inner], in, stride, tile->n_in, out, tile->attribute);
        out += nest.extent[inner];
        int axis = inner - 1;
        for (; axis >= 0; axis--) {
            for (int i = 0; i < tile->n_in; i++) in[i] += nest.stride[i][axis];
            if (++counter[axis] < nest.extent[axis]) break;
            for (int i = 0; i < tile->n_in; i++) in[i] -= nest.stride[i][axis] * nest.extent[axis];
            counter[axis] = 0;
        }
        if (axis < 0) return;
    }
}

/* Call `loop` on the longest runs over which every argument is either contiguous or constant. Nearly always arguments
 * have the result's size or a single element: then that is all of it, or a feature at a time. */
static inline void elementwise(const ad_tile *tile, inner_loop *loop)
{
    assert(tile->n_in <= AD_MAX_ELEMENTWISE);
    const size_t size = tile->out.size, rows = rows_of(&tile->out, tile);
    const real *in[AD_MAX_ELEMENTWISE];
    size_t stride[AD_MAX_ELEMENTWISE], step[AD_MAX_ELEMENTWISE];
    bool flat = true, simple = true;
    for (int i = 0; i < tile->n_in; i++) {
        const ad_tensor *argument = &tile->in[i];
        const bool whole = argument->size == size, alike = argument->per_row == tile->out.per_row;
        in[i] = argument->data;
        stride[i] = alike && (whole || tile->out.per_row) ? 1 : 0;
        step[i] = !whole ? 0 : argument->per_row ? rows : 1;
        simple &= whole || argument->size == 1;
        flat &= whole ? alike || size == 1 : !argument->per_row;
    }
    real *out = tile->out.data;
    if (simple && flat) {
        run_inner(loop, size * rows, in, stride, tile->n_in, out, tile->attribute);
    } else if (simple && tile->out.per_row) {
        for (size_t feature = 0; feature < size; feature++, out += rows) {
            run_inner(loop, rows, in, stride, tile->n_in, out, tile->attribute);
            for (int i = 0; i < tile->n_in; i++) in[i] += step[i];
        }
    } else {
        elementwise_nest(tile, loop);
    }
}

/* The inner loop of ops that only spread their argument out. */
static inline void copy_loop(size_t n, const real *const in[], const size_t stride[], real *out,
                             const double *attribute)
{
    (void)stride, (void)attribute;
    memcpy(out, in[0], n * sizeof(real));
}

/* Define the inner loop and the evaluation of an op from an expression in a (and b), reals. */
#define AD_UNARY(name, expression)                                                                                     \
    static void name##_loop(size_t n, const real *const in[], const size_t stride[], real *out,                        \
                            const double *attribute)                                                                   \
    {                                                                                                                  \
        (void)stride, (void)attribute;                                                                                 \
        const real *x = in[0];                                                                                         \
        AD_SIMD for (size_t i = 0; i < n; i++)                                                                         \
        {                                                                                                              \
            const real a = x[i];                                                                                       \
            out[i] = (expression);                                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_evaluate(const ad_tile *tile)                                                                   \
    {                                                                                                                  \
        elementwise(tile, name##_loop);                                                                                \
    }

#define AD_BINARY(name, expression)                                                                                    \
    static inline real name##_of(real a, real b)                                                                       \
    {                                                                                                                  \
        return expression;                                                                                             \
    }                                                                                                                  \
    static void name##_loop(size_t n, const real *const in[], const size_t stride[], real *out,                        \
                            const double *attribute)                                                                   \
    {                                                                                                                  \
        (void)attribute;                                                                                               \
        const real *x = in[0], *y = in[1];                                                                             \
        if (stride[0] == 0) {                                                                                          \
            const real a = *x;                                                                                         \
            AD_SIMD for (size_t i = 0; i < n; i++) out[i] = name##_of(a, y[i]);                                        \
        } else if (stride[1] == 0) {                                                                                   \
            const real b = *y;                                                                                         \
            AD_SIMD for (size_t i = 0; i < n; i++) out[i] = name##_of(x[i], b);                                        \
        } else {                                                                                                       \
            AD_SIMD for (size_t i = 0; i < n; i++) out[i] = name##_of(x[i], y[i]);                                     \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_evaluate(const ad_tile *tile)                                                                   \
    {                                                                                                                  \
        elementwise(tile, name##_loop);                                                                                \
    }

/* Arguments that broadcast against each other in every way. */
#define AD_BINARY_SAMPLES(low_a, high_a, low_b, high_b)                                                                \
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(4), low_a, high_a}, {AD_DIMS(4), low_b, high_b}}},                          \
               {.n_in = 2, .in = {{AD_DIMS(3, 1), low_a, high_a}, {AD_DIMS(4), low_b, high_b}}},                       \
               {.n_in = 2, .in = {{AD_NO_DIMS, low_a, high_a}, {AD_DIMS(2, 3), low_b, high_b}}},                       \
               {.n_in = 2, .in = {{AD_DIMS(2, 1, 3), low_a, high_a}, {AD_DIMS(4, 1), low_b, high_b}}},                 \
               {.n_in = 2, .in = {{AD_DIMS(2, 3), low_a, high_a}, {AD_DIMS(1, 3), low_b, high_b}}})

#define AD_UNARY_SAMPLES(low, high)                                                                                    \
    {.n_in = 1, .in = {{AD_DIMS(5), low, high}}},                                                                      \
    {                                                                                                                  \
        .n_in = 1, .in = { {AD_DIMS(2, 3), low, high} }                                                                \
    }

#endif
