/* Solving triangular systems, of matrices that are shared or there for each row. */
#include "ops/matrix.h"
#include "tape/record.h"

#include <weir/memory.h>

/* attribute: ad_triangle bits. */
static bool solve_triangular_shape(const ad_call *call, ad_shape *result)
{
    return system_shape(call, "solve_triangular", result);
}

static void solve_triangular_evaluate(const ad_tile *tile)
{
    const unsigned triangle = (unsigned)tile->attribute[0];
    const bool upper = triangle & AD_UPPER, unit = triangle & AD_UNIT_DIAGONAL, a_per_row = tile->in[0].per_row;
    const size_t n = tile->in[0].shape.dim[0], columns = tile->out.size / n, rows = rows_of(&tile->out, tile);
    const size_t a_rows = rows_of(&tile->in[0], tile), b_rows = rows_of(&tile->in[1], tile), run = columns * rows;
    const real *a = real_in(tile, 0), *b = real_in(tile, 1);
    real *x = tile->out.data;
    for (size_t step = 0; step < n; step++) {
        size_t i = upper ? n - 1 - step : step;
        real *x_i = x + i * run;
        for (size_t c = 0; c < columns; c++)
            for (size_t r = 0; r < rows; r++) x_i[c * rows + r] = b[(i * columns + c) * b_rows + (b_rows == 1 ? 0 : r)];
        for (size_t solved = 0; solved < step; solved++) {
            size_t j = upper ? n - 1 - solved : solved;
            subtract_product(columns, rows, a + (i * n + j) * a_rows, a_per_row, x + j * run, x_i);
        }
        if (!unit) divide(columns, rows, a + (i * n + i) * a_rows, a_per_row, x_i);
    }
}

/* A constant (n,n), -1 in the triangle that was read and 0 outside. */
static ad_var minus_triangle(ad_tape *tape, size_t n, unsigned triangle)
{
    double *value = ad_alloc(n * n, sizeof *value);
    if (!value) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for the gradient of solve_triangular");
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            bool inside = triangle & AD_UPPER ? i < j : i > j;
            bool diagonal = i == j && !(triangle & AD_UNIT_DIAGONAL);
            value[i * n + j] = inside || diagonal ? -1 : 0;
        }
    ad_var constant = ad_constant(tape, AD_SHAPE(n, n), value);
    ad_free(value);
    return constant;
}

/* dB = A^-T g, and dA = -dB x^T within the triangle. */
static void solve_triangular_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    const ad_var a = call->in[0];
    const unsigned triangle = (unsigned)call->attribute[0];
    const size_t n = ad_shape_of(a).dim[0];
    const ad_shape columns = AD_SHAPE(n, ad_shape_size(ad_shape_of(y)) / n);
    gradient[1] = ad_solve_triangular(ad_transpose(a), g, triangle ^ AD_UPPER);
    ad_var outer = ad__matmul_general(ad_reshape(gradient[1], columns), ad_reshape(y, columns), false, true, 0, NULL,
                                      ad_is_per_row(y) && !ad_is_per_row(a));
    gradient[0] = ad_mul(outer, minus_triangle(call->tape, n, triangle));
}

#define AD_SYSTEM(n, m)                                                                                                \
    {                                                                                                                  \
        {AD_DIMS(n, n), 0.5, 1.5},                                                                                     \
        {                                                                                                              \
            AD_DIMS(n, m), -2, 2                                                                                       \
        }                                                                                                              \
    }

AD_DEFINE_OP(solve_triangular) = {
    .name = "solve_triangular",
    .n_in = 2,
    .shape = solve_triangular_shape,
    .evaluate[AD_DTYPE] = solve_triangular_evaluate,
    .vjp = solve_triangular_vjp,
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(3, 3), 0.5, 1.5}, {AD_DIMS(3), -2, 2}}, AD_ATTRIBUTES(AD_LOWER)},
               {.n_in = 2, .in = AD_SYSTEM(4, 2), AD_ATTRIBUTES(AD_LOWER)},
               {.n_in = 2, .in = AD_SYSTEM(3, 2), AD_ATTRIBUTES(AD_UPPER)},
               {.n_in = 2, .in = AD_SYSTEM(3, 1), AD_ATTRIBUTES(AD_LOWER | AD_UNIT_DIAGONAL)},
               {.n_in = 2, .in = AD_SYSTEM(3, 2), AD_ATTRIBUTES(AD_UPPER | AD_UNIT_DIAGONAL)}),
};
