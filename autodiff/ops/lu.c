/* Linear systems and determinants by LU factorisation with partial pivoting (Golub and Van Loan, Matrix Computations,
 * 4th ed., algorithm 3.4.1): P A = L U, for a shared matrix or for one of each row, each with pivots of its own. */
#include "ops/matrix.h"
#include "ops/vector_math.h"
#include "tape/record.h"

#include <weir/memory.h>

/* Per-row matrices are factorised so many at a time, a shared one by itself: the `width` of the functions below, which
 * are compiled for each. */
enum { SIDE_BY_SIDE = 16 };
#define AD_FOR_EACH_WIDTH static inline __attribute__((always_inline))

typedef struct {
    size_t n;
    real *element;   /* (n, n, width): U, and below its diagonal L, whose own diagonal is 1 */
    real *x;         /* (n, columns, width) */
    uint32_t *pivot; /* (n, width): rows k and pivot[k] were exchanged before column k was eliminated */
    double *wide;    /* (n, n): of log_abs_det alone */
} factors;

/* In the scratch that scratch_of() has measured. */
static factors factors_in(const ad_tile *tile, size_t width)
{
    const size_t n = tile->in[0].shape.dim[0], x = tile->n_in == 2 ? tile->out.size : 0;
    factors f = {.n = n, .wide = tile->scratch};
    f.element = (real *)(f.wide + (tile->n_in == 1 ? n * n : 0));
    f.x = f.element + n * n * width;
    f.pivot = (uint32_t *)(f.x + x * width);
    return f;
}

static size_t scratch_of(const ad_call *call, size_t rows, ad_dtype dtype)
{
    (void)rows;
    const size_t n = ad_shape_of(call->in[0]).dim[0];
    const size_t x = call->n_in == 2 ? ad_shape_size(ad_shape_of(call->in[1])) : 0;
    const size_t width = ad_is_per_row(call->in[0]) ? SIDE_BY_SIDE : 1;
    const size_t wide = call->n_in == 1 ? n * n * sizeof(double) : 0;
    return ((n * n + x) * ad_dtype_size(dtype) + n * sizeof(uint32_t)) * width + wide;
}

/* ---- Factorisation --------------------------------------------------------------------------------------------- */

/* The row with the largest element of column k, at or below the diagonal. */
AD_FOR_EACH_WIDTH void choose_pivot(const factors *f, size_t k, size_t width)
{
    real largest[SIDE_BY_SIDE];
    uint32_t *pivot = f->pivot + k * width;
    for (size_t r = 0; r < width; r++) {
        largest[r] = -1;
        pivot[r] = (uint32_t)k;
    }
    for (size_t i = k; i < f->n; i++) {
        const real *x = f->element + (i * f->n + k) * width;
        AD_SIMD for (size_t r = 0; r < width; r++)
        {
            pivot[r] = fabs(x[r]) > largest[r] ? (uint32_t)i : pivot[r];
            largest[r] = fabs(x[r]) > largest[r] ? fabs(x[r]) : largest[r];
        }
    }
}

/* Exchange rows k and pivot[k] of x (n, columns, rows): `rows` is the width, or any number for a shared matrix. */
AD_FOR_EACH_WIDTH void exchange(const factors *f, size_t k, size_t width, size_t columns, size_t rows, real *x)
{
    for (size_t r = 0; r < rows; r++) {
        const size_t pivot = f->pivot[k * width + (width == 1 ? 0 : r)];
        for (size_t c = 0; c < columns && pivot != k; c++) {
            real *a = x + (k * columns + c) * rows + r, *b = x + (pivot * columns + c) * rows + r, saved = *a;
            *a = *b;
            *b = saved;
        }
    }
}

/* Where a pivot is 0, so is all that it would eliminate. */
AD_FOR_EACH_WIDTH void eliminate(const factors *f, size_t k, size_t width)
{
    const real *from = f->element + (k * f->n + k) * width;
    for (size_t i = k + 1; i < f->n; i++) {
        real *row = f->element + (i * f->n + k) * width;
        AD_SIMD for (size_t r = 0; r < width; r++) row[r] = from[r] == 0 ? row[r] : row[r] / from[r];
        subtract_product(f->n - k - 1, width, row, width > 1, from + width, row + width);
    }
}

/* The matrices of rows first … first + width - 1. */
AD_FOR_EACH_WIDTH void factorise(const factors *f, const ad_tile *tile, size_t first, size_t width)
{
    const size_t n = f->n, rows = rows_of(&tile->in[0], tile);
    const real *in = real_in(tile, 0) + first;
    for (size_t i = 0; i < n * n; i++) memcpy(f->element + i * width, in + i * rows, width * sizeof(real));
    for (size_t k = 0; k < n; k++) {
        choose_pivot(f, k, width);
        exchange(f, k, width, n, width, f->element);
        eliminate(f, k, width);
    }
}

/* x (n, columns, rows) becomes A⁻¹ x. */
AD_FOR_EACH_WIDTH void substitute(const factors *f, size_t width, size_t columns, size_t rows, real *x)
{
    const size_t n = f->n, run = columns * rows;
    for (size_t k = 0; k < n; k++) exchange(f, k, width, columns, rows, x);
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++)
            subtract_product(columns, rows, f->element + (i * n + j) * width, width > 1, x + j * run, x + i * run);
    for (size_t i = n; i-- > 0;) {
        for (size_t j = i + 1; j < n; j++)
            subtract_product(columns, rows, f->element + (i * n + j) * width, width > 1, x + j * run, x + i * run);
        divide(columns, rows, f->element + (i * n + i) * width, width > 1, x + i * run);
    }
}

/* ---- solve ----------------------------------------------------------------------------------------------------- */

static bool solve_shape(const ad_call *call, ad_shape *result)
{
    return system_shape(call, "solve", result);
}

/* Rows first … first + count - 1 of the right-hand side, or the shared one for each of them. */
static void load_right_side(const ad_tile *tile, size_t first, size_t count, real *x)
{
    const real *b = real_in(tile, 1);
    const bool per_row = tile->in[1].per_row;
    for (size_t i = 0; i < tile->in[1].size; i++)
        for (size_t r = 0; r < count; r++) x[i * count + r] = per_row ? b[i * tile->rows + first + r] : b[i];
}

/* One factorisation of a shared matrix serves all rows at once. */
static void solve_shared(const ad_tile *tile)
{
    const factors f = factors_in(tile, 1);
    const size_t rows = rows_of(&tile->out, tile);
    factorise(&f, tile, 0, 1);
    load_right_side(tile, 0, rows, tile->out.data);
    substitute(&f, 1, tile->out.size / f.n, rows, tile->out.data);
}

static void solve_rows(const ad_tile *tile)
{
    const factors f = factors_in(tile, SIDE_BY_SIDE);
    for (size_t first = 0; first < tile->rows; first += SIDE_BY_SIDE) {
        real *out = (real *)tile->out.data + first;
        factorise(&f, tile, first, SIDE_BY_SIDE);
        load_right_side(tile, first, SIDE_BY_SIDE, f.x);
        substitute(&f, SIDE_BY_SIDE, tile->out.size / f.n, SIDE_BY_SIDE, f.x);
        for (size_t i = 0; i < tile->out.size; i++)
            memcpy(out + i * tile->rows, f.x + i * SIDE_BY_SIDE, SIDE_BY_SIDE * sizeof(real));
    }
}

static void solve_evaluate(const ad_tile *tile)
{
    (tile->in[0].per_row ? solve_rows : solve_shared)(tile);
}

/* dB = A^-T g, and dA = -dB x^T. */
static void solve_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    const ad_var a = call->in[0];
    const size_t n = ad_shape_of(a).dim[0];
    const ad_shape columns = AD_SHAPE(n, ad_shape_size(ad_shape_of(y)) / n);
    gradient[1] = ad_solve(ad_transpose(a), g);
    gradient[0] = ad_neg(ad__matmul_general(ad_reshape(gradient[1], columns), ad_reshape(y, columns), false, true, 0,
                                            NULL, ad_is_per_row(y) && !ad_is_per_row(a)));
}

/* A diagonal above the rest keeps systems away from singular ones. */
AD_DEFINE_OP(solve) = {
    .name = "solve",
    .n_in = 2,
    .shape = solve_shape,
    .evaluate[AD_DTYPE] = solve_evaluate,
    .vjp = solve_vjp,
    .scratch = scratch_of,
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(1, 1), 0.5, 2}, {AD_DIMS(1), -2, 2}}},
               {.n_in = 2, .in = {{AD_DIMS(2, 2), -1, 1, 3}, {AD_DIMS(2, 3), -2, 2}}},
               {.n_in = 2, .in = {{AD_DIMS(3, 3), -1, 1, -4}, {AD_DIMS(3), -2, 2}}},
               {.n_in = 2, .in = {{AD_DIMS(4, 4), -1, 1, 5}, {AD_DIMS(4, 2), -2, 2}}}),
};

/* ---- log_abs_det ----------------------------------------------------------------------------------------------- */

static bool log_abs_det_shape(const ad_call *call, ad_shape *result)
{
    ad_shape a = ad_shape_of(call->in[0]);
    *result = AD_SCALAR;
    if (a.rank == 2 && a.dim[0] == a.dim[1]) return true;
    char text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "log_abs_det: matrix %s: takes (n,n)", ad_shape_text(a, text));
    return false;
}

/* log|det A| by elimination in float64, for row r's A of a tile, in float32. */
static double eliminate_wide(const factors *f, const ad_tile *tile, size_t r)
{
    const size_t n = f->n, rows = rows_of(&tile->in[0], tile);
    double *a = f->wide, sum = 0;
    for (size_t i = 0; i < n * n; i++) a[i] = (double)real_in(tile, 0)[i * rows + r];
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        for (size_t j = k; j < n; j++) {
            const double saved = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = saved;
        }
        for (size_t i = k + 1; i < n && a[k * n + k] != 0; i++) {
            const double factor = a[i * n + k] / a[k * n + k];
            for (size_t j = k + 1; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
        }
        sum += log(fabs(a[k * n + k]));
    }
    return sum;
}

/* Has float32 lost digits of the least pivots? One that is NaN is none of them. */
static bool is_worn(const factors *f, size_t width, size_t r)
{
    const real apart = 4096;
    real least = (real)INFINITY, most = 0;
    for (size_t i = 0; i < f->n; i++) {
        const real pivot = f->element[(i * f->n + i) * width + r];
        least = pivot < least ? pivot : least;
        most = pivot > most ? pivot : most;
    }
    return AD_REAL_BITS == 32 && most > apart * least && most < (real)INFINITY;
}

/* Σ log|u_ii|, added up in float64; and where pivots of float32 are far apart, all of it is done in float64: the least
 * is what rounding has left of a difference, and may be 0 of a matrix that isn't singular. */
AD_FOR_EACH_WIDTH void sum_of_logs(const ad_tile *tile, size_t width)
{
    const factors f = factors_in(tile, width);
    for (size_t first = 0; first < rows_of(&tile->out, tile); first += width) {
        real *out = (real *)tile->out.data + first;
        double sum[SIDE_BY_SIDE] = {0};
        factorise(&f, tile, first, width);
        bool worn[SIDE_BY_SIDE];
        for (size_t i = 0; i < f.n; i++) {
            real *diagonal = f.element + (i * f.n + i) * width;
            for (size_t r = 0; r < width; r++) diagonal[r] = fabs(diagonal[r]);
        }
        for (size_t r = 0; r < width; r++) worn[r] = is_worn(&f, width, r);
        for (size_t i = 0; i < f.n; i++) {
            real *diagonal = f.element + (i * f.n + i) * width;
            vector_log(width, diagonal, diagonal);
            for (size_t r = 0; r < width; r++) sum[r] += (double)diagonal[r];
        }
        for (size_t r = 0; r < width; r++)
            if (worn[r]) sum[r] = eliminate_wide(&f, tile, first + r);
        for (size_t r = 0; r < width; r++) out[r] = (real)sum[r];
    }
}

static void log_abs_det_evaluate(const ad_tile *tile)
{
    if (tile->in[0].per_row)
        sum_of_logs(tile, SIDE_BY_SIDE);
    else
        sum_of_logs(tile, 1);
}

static ad_var identity(ad_tape *tape, size_t n)
{
    double *value = ad_alloc(n * n, sizeof *value);
    if (!value) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for the gradient of log_abs_det");
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < n; i++) value[i * n + i] = 1;
    ad_var constant = ad_constant(tape, AD_SHAPE(n, n), value);
    ad_free(value);
    return constant;
}

/* dA = g A^-T */
static void log_abs_det_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    const ad_var a = call->in[0];
    gradient[0] = ad_mul(g, ad_solve(ad_transpose(a), identity(call->tape, ad_shape_of(a).dim[0])));
}

AD_DEFINE_OP(log_abs_det) = {
    .name = "log_abs_det",
    .n_in = 1,
    .shape = log_abs_det_shape,
    .evaluate[AD_DTYPE] = log_abs_det_evaluate,
    .vjp = log_abs_det_vjp,
    .scratch = scratch_of,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(1, 1), -2, -0.5}}}, {.n_in = 1, .in = {{AD_DIMS(2, 2), -1, 1, 3}}},
               {.n_in = 1, .in = {{AD_DIMS(3, 3), -1, 1, -4}}}, {.n_in = 1, .in = {{AD_DIMS(4, 4), -1, 1, 5}}}),
};
