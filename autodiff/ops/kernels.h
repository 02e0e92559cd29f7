/* What the op files share. Each of them is compiled once for each instruction set and dtype, with -DAD_ISA=avx512
 * (avx2, portable) and -DAD_REAL_BITS=32 (64), and defines its own copy of its descriptors. */
#ifndef WEIR_AUTODIFF_OPS_KERNELS_H
#define WEIR_AUTODIFF_OPS_KERNELS_H

#include <weir/op.h>

#include <assert.h>
#include <string.h>
#include <tgmath.h>
#if defined __AVX2__
#include <immintrin.h>
#endif

#if AD_REAL_BITS == 32
typedef float real;
#define AD_DTYPE AD_F32
#else
typedef double real;
#define AD_DTYPE AD_F64
#endif

#define AD_JOIN(name, isa, bits)          name##_##isa##_f##bits
#define AD_JOIN_EXPANDED(name, isa, bits) AD_JOIN(name, isa, bits)
/* ad__op_exp -> ad__op_exp_avx512_f32 */
#define AD_NAME(name) AD_JOIN_EXPANDED(name, AD_ISA, AD_REAL_BITS)

#define AD_DEFINE_OP(name)                                                                                             \
    extern const ad_op AD_NAME(ad__op_##name);                                                                         \
    const ad_op AD_NAME(ad__op_##name)

#define AD_SAMPLES(...)                                                                                                \
    .sample = (const ad_sample[]){__VA_ARGS__}, .n_sample = sizeof((ad_sample[]){__VA_ARGS__}) / sizeof(ad_sample)
/* One sample argument: its shape, AD_DIMS(3, 4) or AD_NO_DIMS, and its range. */
#define AD_DIMS(...)                                                                                                   \
    {                                                                                                                  \
        .rank = (int)(sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t)), .dim = { __VA_ARGS__ }                        \
    }
#define AD_NO_DIMS                                                                                                     \
    {                                                                                                                  \
        .rank = 0                                                                                                      \
    }
#define AD_ATTRIBUTES(...)                                                                                             \
    .attribute = (const double[]){__VA_ARGS__}, .n_attribute = sizeof((double[]){__VA_ARGS__}) / sizeof(double)

/* The loop's iterations are independent, though the result may be one of the arguments. */
#define AD_SIMD _Pragma("omp simd")

static inline const real *real_in(const ad_tile *tile, int i)
{
    return tile->in[i].data;
}

/* Consecutive numbers that one element of a tensor takes in a tile. */
static inline size_t rows_of(const ad_tensor *tensor, const ad_tile *tile)
{
    return tensor->per_row ? tile->rows : 1;
}

/* ---- Elementwise ops ----------------------------------------------------------------------------------------- */

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

/* ---- Axes ---------------------------------------------------------------------------------------------------- */

/* A tensor as (outer, n, run): n is an axis' extent, and `run` numbers lie next to each other, rows included. */
typedef struct {
    size_t outer, n, run;
} axis_view;

static inline axis_view view_axis(const ad_shape *shape, double axis, size_t rows)
{
    axis_view view = {1, shape->dim[(int)axis], rows};
    for (int i = 0; i < (int)axis; i++) view.outer *= shape->dim[i];
    for (int i = (int)axis + 1; i < shape->rank; i++) view.run *= shape->dim[i];
    return view;
}

/* Axis ops have the axis as their attribute[0]. */
static inline bool check_axis(const ad_call *call, const char *op)
{
    ad_shape shape = ad_shape_of(call->in[0]);
    double axis = call->attribute[0];
    if (axis >= 0 && axis < shape.rank) return true;
    char text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "%s: axis %g of shape %s: axes are numbered from 0", op, axis,
                 ad_shape_text(shape, text));
    return false;
}

/* ---- Matrices ------------------------------------------------------------------------------------------------ */

typedef real quad __attribute__((vector_size(4 * sizeof(real))));

static inline void transpose_quads(quad row[4])
{
    const quad low_02 = __builtin_shufflevector(row[0], row[2], 0, 4, 1, 5);
    const quad high_02 = __builtin_shufflevector(row[0], row[2], 2, 6, 3, 7);
    const quad low_13 = __builtin_shufflevector(row[1], row[3], 0, 4, 1, 5);
    const quad high_13 = __builtin_shufflevector(row[1], row[3], 2, 6, 3, 7);
    row[0] = __builtin_shufflevector(low_02, low_13, 0, 4, 1, 5);
    row[1] = __builtin_shufflevector(low_02, low_13, 2, 6, 3, 7);
    row[2] = __builtin_shufflevector(high_02, high_13, 0, 4, 1, 5);
    row[3] = __builtin_shufflevector(high_02, high_13, 2, 6, 3, 7);
}

static inline void transpose_4x4(const real *in, size_t ld_in, real *out, size_t ld_out)
{
    quad row[4];
    for (size_t i = 0; i < 4; i++) memcpy(&row[i], in + i * ld_in, sizeof(quad));
    transpose_quads(row);
    for (size_t i = 0; i < 4; i++) memcpy(out + i * ld_out, &row[i], sizeof(quad));
}

#if defined __AVX512F__ && AD_REAL_BITS == 32
/* Numbers `step` apart, four from each place. */
static inline __m512 load_quads(const float *in, size_t step)
{
    const __m512 two = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(in)), _mm_loadu_ps(in + step), 1);
    return _mm512_insertf32x4(_mm512_insertf32x4(two, _mm_loadu_ps(in + 2 * step), 2), _mm_loadu_ps(in + 3 * step), 3);
}

/* As transpose_4x4(), of four blocks at once, one below the other. */
static inline void transpose_16x4(const float *in, size_t ld_in, float *out, size_t ld_out)
{
    __m512 row[4];
    for (size_t i = 0; i < 4; i++) row[i] = load_quads(in + i * ld_in, 4 * ld_in);
    const __m512 low_02 = _mm512_unpacklo_ps(row[0], row[2]), high_02 = _mm512_unpackhi_ps(row[0], row[2]);
    const __m512 low_13 = _mm512_unpacklo_ps(row[1], row[3]), high_13 = _mm512_unpackhi_ps(row[1], row[3]);
    _mm512_storeu_ps(out, _mm512_unpacklo_ps(low_02, low_13));
    _mm512_storeu_ps(out + ld_out, _mm512_unpackhi_ps(low_02, low_13));
    _mm512_storeu_ps(out + 2 * ld_out, _mm512_unpacklo_ps(high_02, high_13));
    _mm512_storeu_ps(out + 3 * ld_out, _mm512_unpackhi_ps(high_02, high_13));
}
#else
static inline void transpose_16x4(const real *in, size_t ld_in, real *out, size_t ld_out)
{
    for (size_t i = 0; i < 16; i += 4) transpose_4x4(in + i * ld_in, ld_in, out + i, ld_out);
}
#endif

/* (n,m) out = transpose of (m,n) in, both row-major with rows ld_in and ld_out apart; by blocks, for the caches. */
static inline void transpose_matrix(size_t m, size_t n, const real *in, size_t ld_in, real *out, size_t ld_out)
{
    enum { BLOCK = 16 };
    for (size_t i0 = 0; i0 < m; i0 += BLOCK)
        for (size_t j0 = 0; j0 < n; j0 += BLOCK) {
            size_t i1 = i0 + BLOCK < m ? i0 + BLOCK : m, j1 = j0 + BLOCK < n ? j0 + BLOCK : n;
            size_t i4 = i1 - (i1 - i0) % 4, j4 = j1 - (j1 - j0) % 4;
            for (size_t j = j0; j < j4; j += 4)
                if (i1 - i0 == BLOCK)
                    transpose_16x4(in + i0 * ld_in + j, ld_in, out + j * ld_out + i0, ld_out);
                else
                    for (size_t i = i0; i < i4; i += 4)
                        transpose_4x4(in + i * ld_in + j, ld_in, out + j * ld_out + i, ld_out);
            for (size_t j = j0; j < j1; j++)
                for (size_t i = j < j4 ? i4 : i0; i < i1; i++) out[j * ld_out + i] = in[i * ld_in + j];
        }
}

/* The shape of A^-1 b. */
static inline bool system_shape(const ad_call *call, const char *op, ad_shape *result)
{
    ad_shape a = ad_shape_of(call->in[0]), b = ad_shape_of(call->in[1]);
    *result = b;
    if (a.rank == 2 && a.dim[0] == a.dim[1] && b.rank >= 1 && b.rank <= 2 && b.dim[0] == a.dim[0]) return true;
    char a_text[128], b_text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "%s: matrix %s, right-hand side %s: takes (n,n) and (n) or (n,m)", op,
                 ad_shape_text(a, a_text), ad_shape_text(b, b_text));
    return false;
}

/* y (columns, rows) -= a x, where a is one number or one for each row. */
static inline void subtract_product(size_t columns, size_t rows, const real *a, bool a_per_row, const real *x, real *y)
{
    const real one_a = *a;
    if (a_per_row)
        for (size_t c = 0; c < columns; c++)
            AD_SIMD for (size_t r = 0; r < rows; r++) y[c * rows + r] -= a[r] * x[c * rows + r];
    else
        AD_SIMD for (size_t r = 0; r < columns * rows; r++) y[r] -= one_a * x[r];
}

/* y (columns, rows) /= a */
static inline void divide(size_t columns, size_t rows, const real *a, bool a_per_row, real *y)
{
    const real one_a = *a;
    if (a_per_row)
        for (size_t c = 0; c < columns; c++) AD_SIMD for (size_t r = 0; r < rows; r++) y[c * rows + r] /= a[r];
    else
        AD_SIMD for (size_t r = 0; r < columns * rows; r++) y[r] /= one_a;
}

#endif
