/* The gradient of a convolution's weight, from that of its result and its image,
 *
 *     w[a,b,o,c] = Σ_(i,j) g[o,i,j] x[c, i + a - ⌊A/2⌋, j + b - ⌊B/2⌋],
 *
 * for each row, or summed over rows. */
#include "ops/convolution.h"

/* attribute: the kernel's height and width. */
static convolution convolution_of(const ad_shape *g, const ad_shape *x, const double *attribute)
{
    return (convolution){(size_t)attribute[0], (size_t)attribute[1], g->dim[0], x->dim[0], x->dim[1], x->dim[2]};
}

static bool weight_shape(const ad_call *call, ad_shape *result)
{
    const ad_shape g = ad_shape_of(call->in[0]), x = ad_shape_of(call->in[1]);
    if (g.rank == 3 && x.rank == 3 && g.dim[1] == x.dim[1] && g.dim[2] == x.dim[2]) {
        const convolution c = convolution_of(&g, &x, call->attribute);
        *result = AD_SHAPE(c.kernel_height, c.kernel_width, c.outputs, c.inputs);
        return true;
    }
    char g_text[128], x_text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "conv2d_weight: images %s and %s: takes two of one height and width",
                 ad_shape_text(g, g_text), ad_shape_text(x, x_text));
    return false;
}

/* ---- For each row --------------------------------------------------------------------------------------------- */

static void add_dot(const ad_tile *tile, const real *g, const real *x, real *w)
{
    const bool g_per_row = tile->in[0].per_row, x_per_row = tile->in[1].per_row;
    const size_t rows = rows_of(&tile->out, tile);
    AD_SIMD for (size_t r = 0; r < rows; r++) w[r] += g[g_per_row ? r : 0] * x[x_per_row ? r : 0];
}

static void conv2d_weight_evaluate(const ad_tile *tile)
{
    const convolution c = convolution_of(&tile->in[0].shape, &tile->in[1].shape, tile->attribute);
    const size_t rows = rows_of(&tile->out, tile), rows_g = rows_of(&tile->in[0], tile);
    const size_t rows_x = rows_of(&tile->in[1], tile), pixels = c.height * c.width;
    memset(tile->out.data, 0, tile->out.size * rows * sizeof(real));
    for (size_t k = 0; k < tile->out.size; k++) {
        const size_t in = k % c.inputs, out = k / c.inputs % c.outputs;
        const offset by = offset_of(&c, k / c.inputs / c.outputs, false);
        const span down = inside(c.height, by.down), right = inside(c.width, by.right);
        for (size_t i = down.begin; i < down.end; i++)
            for (size_t j = right.begin; j < right.end; j++) {
                const size_t at = i * c.width + j;
                const size_t from = (size_t)((ptrdiff_t)at + by.down * (ptrdiff_t)c.width + by.right);
                add_dot(tile, real_in(tile, 0) + (out * pixels + at) * rows_g,
                        real_in(tile, 1) + (in * pixels + from) * rows_x, (real *)tile->out.data + k * rows);
            }
    }
}

AD_DEFINE_OP(conv2d_weight) = {
    .name = "conv2d_weight",
    .n_in = 2,
    .flags = AD_OP_BILINEAR,
    .shape = weight_shape,
    .evaluate[AD_DTYPE] = conv2d_weight_evaluate,
    .vjp = ad__conv2d_weight_vjp,
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(3, 3, 4), -2, 2}, {AD_DIMS(2, 3, 4), -2, 2}}, AD_ATTRIBUTES(3, 3)},
               {.n_in = 2, .in = {{AD_DIMS(2, 2, 1), -2, 2}, {AD_DIMS(1, 2, 1), -2, 2}}, AD_ATTRIBUTES(5, 3)}),
};

/* ---- Summed over rows ----------------------------------------------------------------------------------------- */

/* The GEMM sums over pixels and rows at once where these are one behind the other for each channel of one image, whose
 * channels are side by side at each of them in the other: that one is turned around, with zeros in place of padding
 * rows. It is the image of more channels, which are then the columns of the GEMM that it computes together. */
typedef struct {
    const real *turned, *straight;
    size_t n_turned, n_straight; /* channels */
    size_t rows, plane;          /* numbers of a channel of `straight` */
    bool of_g;                   /* g is the one turned */
} operands;

static operands turn(const ad_tile *tile, const convolution *c, real *scratch)
{
    const bool of_g = c->outputs > c->inputs;
    const size_t rows = tile->rows, pixels = c->height * c->width, n = of_g ? c->outputs : c->inputs;
    transpose_matrix(n, pixels * rows, real_in(tile, of_g ? 0 : 1), pixels * rows, scratch, n);
    for (size_t p = 0; p < pixels; p++)
        memset(scratch + (p * rows + tile->valid) * n, 0, (rows - tile->valid) * n * sizeof(real));
    return (operands){scratch, real_in(tile, of_g ? 1 : 0), n, of_g ? c->inputs : c->outputs, rows, pixels * rows,
                      of_g};
}

/* (turned, straight) = Σ over a tap's pixels and all rows; false where there are no such pixels. */
static bool multiply(const operands *of, const convolution *c, size_t tap, real *product)
{
    const offset by = offset_of(c, tap, false);
    const span down = inside(c->height, by.down), right = inside(c->width, by.right);
    const size_t width = right.end - right.begin;
    if (down.begin == down.end || width == 0) return false;
    for (size_t i = down.begin; i < down.end; i++) {
        const size_t of_g = i * c->width + right.begin;
        const size_t of_x = (size_t)((ptrdiff_t)of_g + by.down * (ptrdiff_t)c->width + by.right);
        const real *turned = of->turned + (of->of_g ? of_g : of_x) * of->rows * of->n_turned;
        gemm(of->n_turned, of->n_straight, width * of->rows, turned, of->n_turned,
             of->straight + (of->of_g ? of_x : of_g) * of->rows, of->plane, false, i > down.begin, product,
             of->n_turned);
    }
    return true;
}

static void conv2d_weight_rows_evaluate(const ad_tile *tile)
{
    const convolution c = convolution_of(&tile->in[0].shape, &tile->in[1].shape, tile->attribute);
    const operands of = turn(tile, &c, tile->scratch);
    const size_t size = c.outputs * c.inputs;
    real *product = (real *)tile->scratch + of.n_turned * of.plane, *to = tile->out.data;
    if (!tile->accumulate) memset(to, 0, taps_of(&c) * size * sizeof *to);
    for (size_t tap = 0; tap < taps_of(&c); tap++, to += size) {
        if (!multiply(&of, &c, tap, product)) continue;
        for (size_t o = 0; o < c.outputs; o++)
            for (size_t i = 0; i < c.inputs; i++)
                to[o * c.inputs + i] += product[of.of_g ? i * c.outputs + o : o * c.inputs + i];
    }
}

static size_t conv2d_weight_rows_scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    const ad_shape g = ad_shape_of(call->in[0]), x = ad_shape_of(call->in[1]);
    const size_t channels = g.dim[0] > x.dim[0] ? g.dim[0] : x.dim[0];
    return (channels * x.dim[1] * x.dim[2] * rows + g.dim[0] * x.dim[0]) * ad_dtype_size(dtype);
}

static bool conv2d_weight_rows_shape(const ad_call *call, ad_shape *result)
{
    if (!weight_shape(call, result)) return false;
    if (ad_is_per_row(call->in[0]) && ad_is_per_row(call->in[1])) return true;
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "conv2d_weight_rows: both images must be per-row");
    return false;
}

AD_DEFINE_OP(conv2d_weight_rows) = {
    .name = "conv2d_weight_rows",
    .n_in = 2,
    .flags = AD_OP_SUMS_ROWS,
    .shape = conv2d_weight_rows_shape,
    .evaluate[AD_DTYPE] = conv2d_weight_rows_evaluate,
    .vjp = ad__conv2d_weight_vjp,
    .scratch = conv2d_weight_rows_scratch,
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(3, 3, 4), -2, 2}, {AD_DIMS(2, 3, 4), -2, 2}}, AD_ATTRIBUTES(3, 3)},
               {.n_in = 2, .in = {{AD_DIMS(2, 3, 4), -2, 2}, {AD_DIMS(4, 3, 4), -2, 2}}, AD_ATTRIBUTES(3, 3)},
               {.n_in = 2, .in = {{AD_DIMS(2, 2, 1), -2, 2}, {AD_DIMS(1, 2, 1), -2, 2}}, AD_ATTRIBUTES(5, 3)}),
};
