/* Convolutions of images with kernels of odd sizes, zeros around, as deep learning has them: cross-correlations,
 *
 *     y[o,i,j] = Σ_(a,b,c) w[a,b,o,c] x[c, i + a - ⌊A/2⌋, j + b - ⌊B/2⌋],
 *
 * or, transposed, the linear map from y's to x's that has the transposed matrix: the gradient. Each element (a,b) of
 * the kernel multiplies a part of the image that a tile has in one piece for each channel, or one for each line of
 * pixels: products by the GEMM, of as many columns as there are pixels and rows, without a copy. */
#include "ops/convolution.h"

static convolution convolution_of(const ad_shape *x, const ad_shape *w)
{
    return (convolution){w->dim[0], w->dim[1], w->dim[2], w->dim[3], x->dim[1], x->dim[2]};
}

/* attribute: whether it is transposed. */
static bool conv2d_shape(const ad_call *call, ad_shape *result)
{
    const ad_shape x = ad_shape_of(call->in[0]), w = ad_shape_of(call->in[1]);
    const bool transposed = call->attribute[0] != 0;
    if (x.rank == 3 && w.rank == 4 && w.dim[0] % 2 && w.dim[1] % 2 && x.dim[0] == w.dim[transposed ? 2 : 3]) {
        *result = AD_SHAPE(w.dim[transposed ? 3 : 2], x.dim[1], x.dim[2]);
        return true;
    }
    char x_text[128], w_text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT,
                 "conv2d: image %s, weight %s: takes (channels,height,width) and (odd,odd,outputs,channels)",
                 ad_shape_text(x, x_text), ad_shape_text(w, w_text));
    return false;
}

/* Columns begin … end-1 of line i of all outputs, for a shared weight: += w[tap] x, or = where nothing is there yet. */
static void add_tap(const ad_tile *tile, const convolution *c, bool transposed, size_t tap, size_t i, bool adds)
{
    const offset by = offset_of(c, tap, transposed);
    const span down = inside(c->height, by.down), right = inside(c->width, by.right);
    if (i < down.begin || i >= down.end || right.begin == right.end) return;
    const size_t rows = rows_of(&tile->out, tile), plane = c->height * c->width * rows;
    const size_t channels = transposed ? c->outputs : c->inputs, results = transposed ? c->inputs : c->outputs;
    const size_t to = i * c->width + right.begin;
    const size_t from = (size_t)((ptrdiff_t)to + by.down * (ptrdiff_t)c->width + by.right);
    gemm((right.end - right.begin) * rows, results, channels, real_in(tile, 0) + from * rows, plane,
         real_in(tile, 1) + tap * c->outputs * c->inputs, c->inputs, transposed, adds,
         (real *)tile->out.data + to * rows, plane);
}

/* The kernel's middle comes first: it alone multiplies every pixel. */
static void convolve(const ad_tile *tile, const convolution *c, bool transposed)
{
    const size_t taps = taps_of(c), middle = taps / 2;
    for (size_t i = 0; i < c->height; i++) {
        add_tap(tile, c, transposed, middle, i, false);
        for (size_t tap = 0; tap < taps; tap++)
            if (tap != middle) add_tap(tile, c, transposed, tap, i, true);
    }
}

/* y += w x, of numbers that there are for each row or once. */
static void add_product(size_t rows, const real *w, bool w_per_row, const real *x, bool x_per_row, real *y)
{
    AD_SIMD for (size_t r = 0; r < rows; r++) y[r] += w[w_per_row ? r : 0] * x[x_per_row ? r : 0];
}

/* Whose weight is another in each row, as a network of the context's may make it: number by number. */
static void convolve_plainly(const ad_tile *tile, const convolution *c, bool transposed)
{
    const size_t rows = rows_of(&tile->out, tile), rows_x = rows_of(&tile->in[0], tile);
    const size_t rows_w = rows_of(&tile->in[1], tile), pixels = c->height * c->width;
    memset(tile->out.data, 0, tile->out.size * rows * sizeof(real));
    for (size_t k = 0; k < tile->in[1].size; k++) {
        const size_t in = k % c->inputs, out = k / c->inputs % c->outputs, tap = k / c->inputs / c->outputs;
        const offset by = offset_of(c, tap, transposed);
        const span down = inside(c->height, by.down), right = inside(c->width, by.right);
        const real *x = real_in(tile, 0) + (transposed ? out : in) * pixels * rows_x;
        real *y = (real *)tile->out.data + (transposed ? in : out) * pixels * rows;
        for (size_t i = down.begin; i < down.end; i++)
            for (size_t j = right.begin; j < right.end; j++) {
                const size_t to = i * c->width + j;
                const size_t from = (size_t)((ptrdiff_t)to + by.down * (ptrdiff_t)c->width + by.right);
                add_product(rows, real_in(tile, 1) + k * rows_w, rows_w > 1, x + from * rows_x, rows_x > 1,
                            y + to * rows);
            }
    }
}

static void conv2d_evaluate(const ad_tile *tile)
{
    const convolution c = convolution_of(&tile->in[0].shape, &tile->in[1].shape);
    const bool transposed = tile->attribute[0] != 0;
    if (tile->in[1].per_row)
        convolve_plainly(tile, &c, transposed);
    else
        convolve(tile, &c, transposed);
}

#define AD_IMAGE_AND_WEIGHT(channels, height, width, ...)                                                              \
    {                                                                                                                  \
        {AD_DIMS(channels, height, width), -2, 2},                                                                     \
        {                                                                                                              \
            AD_DIMS(__VA_ARGS__), -2, 2                                                                                \
        }                                                                                                              \
    }

AD_DEFINE_OP(conv2d) = {
    .name = "conv2d",
    .n_in = 2,
    .flags = AD_OP_BILINEAR,
    .shape = conv2d_shape,
    .evaluate[AD_DTYPE] = conv2d_evaluate,
    .vjp = ad__conv2d_vjp,
    AD_SAMPLES({.n_in = 2, .in = AD_IMAGE_AND_WEIGHT(2, 3, 4, 3, 3, 3, 2), AD_ATTRIBUTES(0)},
               {.n_in = 2, .in = AD_IMAGE_AND_WEIGHT(3, 3, 4, 3, 3, 3, 2), AD_ATTRIBUTES(1)},
               {.n_in = 2, .in = AD_IMAGE_AND_WEIGHT(1, 2, 1, 5, 3, 2, 1), AD_ATTRIBUTES(0)},
               {.n_in = 2, .in = AD_IMAGE_AND_WEIGHT(3, 1, 1, 1, 1, 2, 3), AD_ATTRIBUTES(0)}),
};
