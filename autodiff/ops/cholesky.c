/* The Cholesky factor of a symmetric positive definite matrix, shared or one of each row. */
#include "ops/matrix.h"
#include "tape/record.h"

#include <weir/memory.h>

static bool cholesky_shape(const ad_call *call, ad_shape *result)
{
    *result = ad_shape_of(call->in[0]);
    if (result->rank == 2 && result->dim[0] == result->dim[1]) return true;
    char text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "cholesky: matrix %s: takes (n,n)", ad_shape_text(*result, text));
    return false;
}

/* Rows `first` … first + width - 1 of the tile, row by row of L (Golub and Van Loan, Matrix Computations, 4th ed.,
 * section 4.2.5). A pivot that isn't positive makes NaN of all that follows. */
static inline __attribute__((always_inline)) void factorise(const ad_tile *tile, size_t first, size_t width)
{
    const size_t n = tile->out.shape.dim[0], rows = rows_of(&tile->out, tile);
    const real *a = real_in(tile, 0) + first;
    real *l = (real *)tile->out.data + first, sum[16];
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            const real *l_i = l + i * n * rows, *l_j = l + j * n * rows;
            real *element = l + (i * n + j) * rows;
            for (size_t r = 0; r < width; r++) sum[r] = a[(i * n + j) * rows + r];
            for (size_t k = 0; k < j; k++)
                AD_SIMD for (size_t r = 0; r < width; r++) sum[r] -= l_i[k * rows + r] * l_j[k * rows + r];
            if (j < i)
                AD_SIMD for (size_t r = 0; r < width; r++) element[r] = sum[r] / l_j[j * rows + r];
            else
                AD_SIMD for (size_t r = 0; r < width; r++) element[r] = sum[r] > 0 ? sqrt(sum[r]) : (real)NAN;
        }
        for (size_t j = i + 1; j < n; j++)
            for (size_t r = 0; r < width; r++) l[(i * n + j) * rows + r] = 0;
    }
}

static void cholesky_evaluate(const ad_tile *tile)
{
    enum { SIDE_BY_SIDE = 16 }; /* of which the number of a tile's rows is a multiple */
    if (!tile->out.per_row) factorise(tile, 0, 1);
    for (size_t first = 0; tile->out.per_row && first < tile->rows; first += SIDE_BY_SIDE)
        factorise(tile, first, SIDE_BY_SIDE);
}

/* A constant (n,n): 1 below the diagonal, 1/2 on it, 0 above. */
static ad_var half_triangle(ad_tape *tape, size_t n)
{
    double *value = ad_alloc(n * n, sizeof *value);
    if (!value) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for the gradient of cholesky");
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) value[i * n + j] = i == j ? 0.5 : 1;
    ad_var constant = ad_constant(tape, AD_SHAPE(n, n), value);
    ad_free(value);
    return constant;
}

/* Murray 2016, "Differentiation of the Cholesky decomposition", eq. 10: with H = half(Lᵀ g), the gradient with respect
 * to the elements on and below the diagonal is half(L^-T (H + Hᵀ) L^-1). */
static void cholesky_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    ad_var half = half_triangle(call->tape, ad_shape_of(y).dim[0]), upper = ad_transpose(y);
    ad_var h = ad_mul(half, ad__matmul_general(y, g, true, false, 0, NULL, false));
    ad_var left = ad_solve_triangular(upper, ad_add(h, ad_transpose(h)), AD_UPPER);
    gradient[0] = ad_mul(half, ad_solve_triangular(upper, ad_transpose(left), AD_UPPER));
}

AD_DEFINE_OP(cholesky) = {
    .name = "cholesky",
    .n_in = 1,
    .shape = cholesky_shape,
    .evaluate[AD_DTYPE] = cholesky_evaluate,
    .vjp = cholesky_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(1, 1), 0.5, 2}}}, {.n_in = 1, .in = {{AD_DIMS(2, 2), -1, 1, 3}}},
               {.n_in = 1, .in = {{AD_DIMS(3, 3), -1, 1, 4}}}, {.n_in = 1, .in = {{AD_DIMS(5, 5), -1, 1, 6}}}),
};
