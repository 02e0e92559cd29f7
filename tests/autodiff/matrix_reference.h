/* For tests: what ops on matrices and images make of one row, by plain loops in long double. */
#ifndef WEIR_TESTS_MATRIX_REFERENCE_H
#define WEIR_TESTS_MATRIX_REFERENCE_H

#include <weir/autodiff.h>

#include <math.h>

enum { MAX_PARTS = 3 };

typedef struct {
    const double *in[MAX_PARTS];
    ad_shape shape[MAX_PARTS], out_shape;
    int n_in;
    const double *attribute;
    size_t n_attribute;
    long double *out;
} row_call;

/* Is (i, j) within the blocks that the attributes hold from [3] on: their number, all row_end, column_begin and
 * column_end? */
static inline bool within_blocks(const double *attribute, size_t i, size_t j)
{
    size_t count = (size_t)attribute[3], b = 0;
    const double *row_end = attribute + 4;
    while ((double)i >= row_end[b]) b++;
    return row_end[count + b] <= (double)j && (double)j < row_end[2 * count + b];
}

/* attribute: transpose the first, the second; whether the first (1) or the product (2) is in blocks. */
static inline void matmul_row(const row_call *c)
{
    const bool ta = c->attribute[0] != 0, tb = c->attribute[1] != 0;
    const ad_shape *a = &c->shape[0], *b = &c->shape[1];
    size_t m = c->out_shape.dim[0], n = c->out_shape.dim[1], k = a->dim[ta ? 0 : 1];
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            long double sum = 0;
            for (size_t p = 0; p < k; p++)
                if (c->attribute[2] != 1 || within_blocks(c->attribute, i, p))
                    sum += (long double)c->in[0][ta ? p * a->dim[1] + i : i * a->dim[1] + p] *
                           c->in[1][tb ? j * b->dim[1] + p : p * b->dim[1] + j];
            c->out[i * n + j] = c->attribute[2] != 2 || within_blocks(c->attribute, i, j) ? sum : 0;
        }
}

static inline void solve_triangular_row(const row_call *c)
{
    const unsigned triangle = (unsigned)c->attribute[0];
    size_t n = c->shape[0].dim[0], m = ad_shape_size(c->out_shape) / n;
    for (size_t step = 0; step < n; step++)
        for (size_t j = 0; j < m; j++) {
            size_t i = triangle & AD_UPPER ? n - 1 - step : step;
            size_t begin = triangle & AD_UPPER ? i + 1 : 0, end = triangle & AD_UPPER ? n : i;
            long double rest = c->in[1][i * m + j];
            for (size_t k = begin; k < end; k++) rest -= c->in[0][i * n + k] * c->out[k * m + j];
            c->out[i * m + j] = triangle & AD_UNIT_DIAGONAL ? rest : rest / c->in[0][i * n + i];
        }
}

/* Of the matrix (n,n) without its first `skip` rows and the columns in `gone`: along its first row. */
static inline long double determinant(const double *a, size_t n, size_t skip, unsigned gone)
{
    long double sum = 0;
    int sign = 1;
    if (skip == n) return 1;
    for (size_t j = 0; j < n; j++) {
        if (gone >> j & 1) continue;
        sum += sign * (long double)a[skip * n + j] * determinant(a, n, skip + 1, gone | 1u << j);
        sign = -sign;
    }
    return sum;
}

/* By Cramer's rule. */
static inline void solve_row(const row_call *c)
{
    size_t n = c->shape[0].dim[0], m = ad_shape_size(c->out_shape) / n;
    double changed[64];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            for (size_t k = 0; k < n * n; k++) changed[k] = k % n == i ? c->in[1][k / n * m + j] : c->in[0][k];
            c->out[i * m + j] = determinant(changed, n, 0, 0) / determinant(c->in[0], n, 0, 0);
        }
}

static inline void log_abs_det_row(const row_call *c)
{
    *c->out = logl(fabsl(determinant(c->in[0], c->shape[0].dim[0], 0, 0)));
}

static inline void cholesky_row(const row_call *c)
{
    const size_t n = c->out_shape.dim[0];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            long double rest = c->in[0][i * n + j];
            for (size_t k = 0; k < j; k++) rest -= c->out[i * n + k] * c->out[j * n + k];
            c->out[i * n + j] = i == j ? sqrtl(rest) : rest / c->out[j * n + j];
        }
}

/* What a convolution's weight element k, of (A,B,O,C), multiplies for the pixel p of an image (height, width): the
 * pixel there, or false. */
static inline bool source_pixel(const ad_shape *weight, size_t k, size_t height, size_t width, size_t p,
                                bool transposed, size_t *pixel)
{
    const size_t tap = k / (weight->dim[2] * weight->dim[3]);
    const long sign = transposed ? -1 : 1;
    const long i = (long)(p / width) + sign * ((long)(tap / weight->dim[1]) - (long)weight->dim[0] / 2);
    const long j = (long)(p % width) + sign * ((long)(tap % weight->dim[1]) - (long)weight->dim[1] / 2);
    if (i < 0 || j < 0 || i >= (long)height || j >= (long)width) return false;
    *pixel = (size_t)i * width + (size_t)j;
    return true;
}

/* attribute: whether it is transposed. */
static inline void conv2d_row(const row_call *c)
{
    const ad_shape *weight = &c->shape[1];
    const size_t height = c->shape[0].dim[1], width = c->shape[0].dim[2], pixels = height * width;
    const bool transposed = c->attribute[0] != 0;
    for (size_t k = 0; k < ad_shape_size(*weight); k++)
        for (size_t p = 0, from; p < pixels; p++) {
            const size_t input = k % weight->dim[3], output = k / weight->dim[3] % weight->dim[2];
            if (!source_pixel(weight, k, height, width, p, transposed, &from)) continue;
            c->out[(transposed ? input : output) * pixels + p] +=
                (long double)c->in[1][k] * c->in[0][(transposed ? output : input) * pixels + from];
        }
}

/* Of one row; sums over rows are the test's. */
static inline void conv2d_weight_row(const row_call *c)
{
    const ad_shape *weight = &c->out_shape;
    const size_t height = c->shape[0].dim[1], width = c->shape[0].dim[2], pixels = height * width;
    for (size_t k = 0; k < ad_shape_size(*weight); k++)
        for (size_t p = 0, from; p < pixels; p++)
            if (source_pixel(weight, k, height, width, p, false, &from))
                c->out[k] += (long double)c->in[0][k / weight->dim[3] % weight->dim[2] * pixels + p] *
                             c->in[1][k % weight->dim[3] * pixels + from];
}

#endif
