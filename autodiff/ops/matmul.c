/* Matrix products, of matrices that are shared or there for each row. */
#include "base/gemm.h"
#include "ops/matrix.h"
#include "tape/record.h"

#include <weir/memory.h>

#if AD_REAL_BITS == 32
#define gemm ad__gemm_f32
#else
#define gemm ad__gemm_f64
#endif

/* attribute: transpose_a, transpose_b, and which matrix has known zeros; then, unless NOT_BLOCKED, the number of blocks
 * and all their row_end, column_begin, column_end: of A as it is multiplied, after it is transposed. */
enum { TRANSPOSE_A, TRANSPOSE_B, BLOCKED, BLOCK_COUNT, BLOCKS };
enum { NOT_BLOCKED, BLOCKED_A, BLOCKED_C };

/* C (m,n) = A (m,k) B (k,n) */
typedef struct {
    size_t m, n, k;
    bool transpose_a, transpose_b;
} product;

static product product_of(const ad_shape *a, const ad_shape *b, const double *attribute)
{
    bool transpose_a = attribute[TRANSPOSE_A] != 0, transpose_b = attribute[TRANSPOSE_B] != 0;
    return (product){.m = a->dim[transpose_a ? 1 : 0],
                     .n = b->dim[transpose_b ? 0 : 1],
                     .k = a->dim[transpose_a ? 0 : 1],
                     .transpose_a = transpose_a,
                     .transpose_b = transpose_b};
}

/* The part C[i0:i1, j0:j1] = A[i0:i1, p0:p1] B[p0:p1, j0:j1] */
typedef struct {
    size_t i0, i1, j0, j1, p0, p1;
} part;

static size_t count_parts(const ad_tile *tile)
{
    return tile->attribute[BLOCKED] == NOT_BLOCKED ? 1 : (size_t)tile->attribute[BLOCK_COUNT];
}

static part part_of(const ad_tile *tile, const product *whole, size_t b)
{
    part at = {0, whole->m, 0, whole->n, 0, whole->k};
    if (tile->attribute[BLOCKED] == NOT_BLOCKED) return at;
    const size_t count = count_parts(tile);
    const double *row_end = tile->attribute + BLOCKS, *begin = row_end + count, *end = begin + count;
    at.i0 = b == 0 ? 0 : (size_t)row_end[b - 1];
    at.i1 = (size_t)row_end[b];
    bool of_a = tile->attribute[BLOCKED] == BLOCKED_A;
    *(of_a ? &at.p0 : &at.j0) = (size_t)begin[b];
    *(of_a ? &at.p1 : &at.j1) = (size_t)end[b];
    return at;
}

static bool matmul_shape(const ad_call *call, ad_shape *result)
{
    ad_shape a = ad_shape_of(call->in[0]), b = ad_shape_of(call->in[1]);
    if (a.rank == 2 && b.rank == 2) {
        product p = product_of(&a, &b, call->attribute);
        *result = AD_SHAPE(p.m, p.n);
        if (p.k == b.dim[p.transpose_b ? 1 : 0]) return true;
    }
    char a_text[128], b_text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT,
                 "matmul: %s%s times %s%s: takes matrices, with as many columns in the first as rows in the second",
                 ad_shape_text(a, a_text), call->attribute[TRANSPOSE_A] != 0 ? " transposed" : "",
                 ad_shape_text(b, b_text), call->attribute[TRANSPOSE_B] != 0 ? " transposed" : "");
    return false;
}

/* The GEMM is column-major: it sees a row-major matrix as its transpose, and C^T = B^T A^T. */
static void shared_times_shared(const ad_tile *tile, const product *p, part at)
{
    const real *a = real_in(tile, 0) + (p->transpose_a ? at.p0 * p->m + at.i0 : at.i0 * p->k + at.p0);
    const real *b = real_in(tile, 1);
    if (p->transpose_b) {
        transpose_matrix(p->n, p->k, b, p->k, tile->scratch, p->n);
        b = tile->scratch;
    }
    real *c = tile->out.data;
    gemm(at.j1 - at.j0, at.i1 - at.i0, at.p1 - at.p0, b + at.p0 * p->n + at.j0, p->n, a, p->transpose_a ? p->m : p->k,
         p->transpose_a, 0, c + at.i0 * p->n + at.j0, p->n);
}

/* Per-row B, as (k, n * rows): every column of it at once. */
static void shared_times_rows(const ad_tile *tile, const product *p, part at)
{
    const size_t rows = tile->rows, height = at.i1 - at.i0, depth = at.p1 - at.p0;
    const size_t ld_a = p->transpose_a ? p->m : p->k, ld_c = p->n * rows;
    const real *a = real_in(tile, 0) + (p->transpose_a ? at.p0 * p->m + at.i0 : at.i0 * p->k + at.p0);
    const real *b = real_in(tile, 1);
    real *c = (real *)tile->out.data + at.i0 * ld_c;
    if (!p->transpose_b) {
        gemm((at.j1 - at.j0) * rows, height, depth, b + (at.p0 * p->n + at.j0) * rows, p->n * rows, a, ld_a,
             p->transpose_a, 0, c + at.j0 * rows, ld_c);
        return;
    }
    for (size_t j = at.j0; j < at.j1; j++)
        gemm(rows, height, depth, b + (j * p->k + at.p0) * rows, rows, a, ld_a, p->transpose_a, 0, c + j * rows, ld_c);
}

/* Per-row A: row i of C is B^T times row i of A. */
static void rows_times_shared(const ad_tile *tile, const product *p, part at)
{
    const size_t rows = tile->rows;
    const real *b = real_in(tile, 1) + (p->transpose_b ? at.j0 * p->k + at.p0 : at.p0 * p->n + at.j0);
    real *c = tile->out.data;
    for (size_t i = at.i0; i < at.i1; i++) {
        const real *a = real_in(tile, 0) + (p->transpose_a ? at.p0 * p->m + i : i * p->k + at.p0) * rows;
        gemm(rows, at.j1 - at.j0, at.p1 - at.p0, a, p->transpose_a ? p->m * rows : rows, b,
             p->transpose_b ? p->k : p->n, !p->transpose_b, 0, c + (i * p->n + at.j0) * rows, rows);
    }
}

/* 64 bytes of neighbouring rows */
typedef real row_vector __attribute__((vector_size(64)));
enum { LANES = sizeof(row_vector) / sizeof(real) };

static void rows_times_rows(const ad_tile *tile, const product *p, part at)
{
    const size_t rows = tile->rows;
    const size_t step_a = p->transpose_a ? p->m * rows : rows, step_b = p->transpose_b ? rows : p->n * rows;
    for (size_t i = at.i0; i < at.i1; i++)
        for (size_t j = at.j0; j < at.j1; j++) {
            const real *a = real_in(tile, 0) + (p->transpose_a ? at.p0 * p->m + i : i * p->k + at.p0) * rows;
            const real *b = real_in(tile, 1) + (p->transpose_b ? j * p->k + at.p0 : at.p0 * p->n + j) * rows;
            real *c = (real *)tile->out.data + (i * p->n + j) * rows;
            for (size_t r = 0; r < rows; r += LANES) {
                row_vector sum = {0}, x, y;
                for (size_t q = 0; q < at.p1 - at.p0; q++) {
                    memcpy(&x, a + q * step_a + r, sizeof x);
                    memcpy(&y, b + q * step_b + r, sizeof y);
                    sum += x * y;
                }
                memcpy(c + r, &sum, sizeof sum);
            }
        }
}

/* Zeros in these rows of C (m, n * rows), where a block of it says that there are some. */
static void clear_outside(real *c, size_t n, size_t rows, const part *at)
{
    for (size_t i = at->i0; i < at->i1; i++) {
        memset(c + i * n * rows, 0, at->j0 * rows * sizeof(real));
        memset(c + (i * n + at->j1) * rows, 0, (n - at->j1) * rows * sizeof(real));
    }
}

static void matmul_evaluate(const ad_tile *tile)
{
    const product whole = product_of(&tile->in[0].shape, &tile->in[1].shape, tile->attribute);
    const bool a_per_row = tile->in[0].per_row, b_per_row = tile->in[1].per_row;
    for (size_t b = 0; b < count_parts(tile); b++) {
        part at = part_of(tile, &whole, b);
        if (tile->attribute[BLOCKED] == BLOCKED_C)
            clear_outside(tile->out.data, whole.n, rows_of(&tile->out, tile), &at);
        if (a_per_row && b_per_row)
            rows_times_rows(tile, &whole, at);
        else if (a_per_row)
            rows_times_shared(tile, &whole, at);
        else if (b_per_row)
            shared_times_rows(tile, &whole, at);
        else
            shared_times_shared(tile, &whole, at);
    }
}

/* For a shared B that comes transposed. */
static size_t matmul_scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    (void)rows;
    bool shared = !ad_is_per_row(call->in[0]) && !ad_is_per_row(call->in[1]);
    if (!shared || call->attribute[TRANSPOSE_B] == 0) return 0;
    return ad_shape_size(ad_shape_of(call->in[1])) * ad_dtype_size(dtype);
}

enum { FEW = 4 }; /* rows or columns of a product summed over rows that is done by dot products */

/* Each vector's sum over its lanes. */
static inline void sum_lanes(const row_vector vector[4], real total[4])
{
    quad sum[4], four;
    for (size_t j = 0; j < 4; j++) {
        memcpy(&sum[j], &vector[j], sizeof four);
        for (size_t l = 4; l < LANES; l += 4) {
            memcpy(&four, (const real *)&vector[j] + l, sizeof four);
            sum[j] += four;
        }
    }
    transpose_quads(sum);
    sum[0] = sum[0] + sum[1] + (sum[2] + sum[3]);
    memcpy(total, &sum[0], sizeof sum[0]);
}

/* C (m,n) = beta C + A B^T, each element as a dot product over `valid` rows, four columns at a time: for so few rows of
 * A that a GEMM has nothing to gain. Element (i,j) of C is at c[i * step_i + j * step_j]. */
static void multiply_by_dots(size_t m, size_t n, size_t valid, const real *a, size_t ld_a, const real *b, size_t ld_b,
                             real beta, real *c, size_t step_i, size_t step_j)
{
    for (size_t j0 = 0; j0 < n; j0 += 4) {
        const real *column[4]; /* past the last, the last one again */
        for (size_t j = 0; j < 4; j++) column[j] = b + (j0 + j < n ? j0 + j : n - 1) * ld_b;
        for (size_t i = 0; i < m; i++) {
            const real *row = a + i * ld_a;
            row_vector sum[4] = {{0}}, x, y;
            size_t r = 0;
            for (; r + LANES <= valid; r += LANES) {
                memcpy(&x, row + r, sizeof x);
                for (size_t j = 0; j < 4; j++) {
                    memcpy(&y, column[j] + r, sizeof y);
                    sum[j] += x * y;
                }
            }
            if (r < valid) {
                x = y = (row_vector){0};
                memcpy(&x, row + r, (valid - r) * sizeof(real));
                for (size_t j = 0; j < 4; j++) {
                    memcpy(&y, column[j] + r, (valid - r) * sizeof(real));
                    sum[j] += x * y;
                }
            }
            real total[4];
            sum_lanes(sum, total);
            for (size_t j = 0; j < 4 && j0 + j < n; j++) {
                real *to = &c[i * step_i + (j0 + j) * step_j];
                *to = beta == 0 ? total[j] : *to + total[j];
            }
        }
    }
}

/* C += A B^T summed over rows, of which B comes transposed too, for a GEMM; C has n columns. */
static void add_rows(const ad_tile *tile, const product *whole, part at, const real *a, const real *b,
                     const real *transposed, real beta)
{
    const size_t rows = tile->rows, n = whole->n, height = at.i1 - at.i0, width = at.j1 - at.j0;
    const size_t ld_a = whole->transpose_a ? rows : whole->k * rows, ld_b = whole->transpose_b ? whole->k * rows : rows;
    const real *of_a = a + at.i0 * ld_a, *of_b = b + at.j0 * ld_b;
    real *to = (real *)tile->out.data + at.i0 * n + at.j0;
    if (whole->m > FEW && n > FEW)
        gemm(width, height, rows, transposed + at.j0, n, of_a, ld_a, false, beta, to, n);
    else if (whole->m <= FEW)
        multiply_by_dots(height, width, tile->valid, of_a, ld_a, of_b, ld_b, beta, to, n, 1);
    else
        multiply_by_dots(width, height, tile->valid, of_b, ld_b, of_a, ld_a, beta, to, 1, n);
}

/* C += Σ over rows and p of A_ip B_pj: for each p a GEMM whose inner dimension is the rows. B's features are transposed
 * for it, with zeros in place of padding rows. It goes by a few rows of C at a time, whether the tile asks for all of
 * them or for a part, which has those that begin in it. */
static void matmul_rows_evaluate(const ad_tile *tile)
{
    enum { ROWS_AT_ONCE = 32 };
    const product whole = product_of(&tile->in[0].shape, &tile->in[1].shape, tile->attribute);
    const size_t rows = tile->rows, m = whole.m, n = whole.n, k = whole.k;
    const size_t ld_b = whole.transpose_b ? k * rows : rows;
    const bool by_dots = m <= FEW || n <= FEW, clears = tile->attribute[BLOCKED] == BLOCKED_C && !tile->accumulate;
    real *transposed = tile->scratch;
    if (!by_dots) memset(transposed + tile->valid * n, 0, (rows - tile->valid) * n * sizeof(real));
    for (size_t p = 0; p < k; p++) {
        const real *a = real_in(tile, 0) + p * (whole.transpose_a ? m * rows : rows);
        const real *b = real_in(tile, 1) + p * (whole.transpose_b ? rows : n * rows);
        const real beta = tile->accumulate || p > 0 ? 1 : 0;
        if (!by_dots) transpose_matrix(n, tile->valid, b, ld_b, transposed, n);
        for (size_t i = 0; i < count_parts(tile); i++) {
            const part block = part_of(tile, &whole, i);
            for (part at = block; at.i0 < block.i1; at.i0 = at.i1) {
                at.i1 = at.i0 + ROWS_AT_ONCE < block.i1 ? at.i0 + ROWS_AT_ONCE : block.i1;
                if (tile->parts > 0 && at.i0 * tile->parts / m != tile->part) continue;
                if (clears && p == 0) clear_outside(tile->out.data, n, 1, &at);
                add_rows(tile, &whole, at, a, b, transposed, beta);
            }
        }
    }
}

static size_t matmul_rows_scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    ad_shape a = ad_shape_of(call->in[0]), b = ad_shape_of(call->in[1]);
    return rows * product_of(&a, &b, call->attribute).n * ad_dtype_size(dtype);
}

/* ad_blocks of the attribute; free *index. */
static bool blocks_of(const ad_call *call, ad_blocks *blocks, size_t **index)
{
    *index = NULL;
    if (call->attribute[BLOCKED] == NOT_BLOCKED) return true;
    size_t count = (size_t)call->attribute[BLOCK_COUNT];
    *index = ad_alloc(3 * count, sizeof **index);
    if (!*index) {
        ad_tape_fail(call->tape, AD_ERROR_MEMORY, "out of memory for the gradient of a blocked product");
        return false;
    }
    for (size_t i = 0; i < 3 * count; i++) (*index)[i] = (size_t)call->attribute[BLOCKS + i];
    *blocks = (ad_blocks){count, *index, *index + count, *index + 2 * count};
    return true;
}

/* dA = dC B^T and dB = A^T dC, or their transposes for what is stored transposed. Zeros stay known: those of A are C's
 * in the product for dA, and C's are those of g. A product has its blocks on the left or in the result: where g with
 * blocks would be on the right, the transposed product is taken. */
static void matmul_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    const bool of_transpose = call->attribute[BLOCKED] == BLOCKED_A && call->attribute[TRANSPOSE_A] != 0;
    const ad_var a = of_transpose ? ad_transpose(call->in[0]) : call->in[0], b = call->in[1];
    const bool ta = call->attribute[TRANSPOSE_A] != 0 && !of_transpose, tb = call->attribute[TRANSPOSE_B] != 0;
    const bool of_a = call->attribute[BLOCKED] == BLOCKED_A, of_c = call->attribute[BLOCKED] == BLOCKED_C;
    const bool sum_a = !ad_is_per_row(a) && ad_is_per_row(y), sum_b = !ad_is_per_row(b) && ad_is_per_row(y);
    ad_blocks blocks;
    size_t *index;
    if (!blocks_of(call, &blocks, &index)) return;
    const ad_blocks *known = index ? &blocks : NULL;
    const char g_blocked = of_c ? 'a' : 0;

    if (of_a)
        gradient[0] = ad__matmul_general(g, b, false, !tb, 'c', known, sum_a);
    else if (!ta)
        gradient[0] = ad__matmul_general(g, b, false, !tb, g_blocked, known, sum_a);
    else if (of_c)
        gradient[0] = ad_transpose(ad__matmul_general(g, b, false, !tb, 'a', known, sum_a));
    else
        gradient[0] = ad__matmul_general(b, g, tb, true, 0, NULL, sum_a);

    if (of_a && tb)
        gradient[1] = ad_transpose(ad__matmul_general(a, g, true, false, 'a', known, sum_b));
    else if (of_a)
        gradient[1] = ad__matmul_general(a, g, true, false, 'a', known, sum_b);
    else if (tb)
        gradient[1] = ad__matmul_general(g, a, true, ta, g_blocked, known, sum_b);
    else if (of_c)
        gradient[1] = ad_transpose(ad__matmul_general(g, a, true, ta, 'a', known, sum_b));
    else
        gradient[1] = ad__matmul_general(a, g, !ta, false, 0, NULL, sum_b);
    if (of_transpose) gradient[0] = ad_transpose(gradient[0]);
    ad_free(index);
}

#define AD_MATRICES(m, k, n)                                                                                           \
    {                                                                                                                  \
        {AD_DIMS(m, k), -2, 2},                                                                                        \
        {                                                                                                              \
            AD_DIMS(k, n), -2, 2                                                                                       \
        }                                                                                                              \
    }
/* Blocks of (5,4): row 0 is all zero, rows 1 and 2 are zero outside columns 0 and 1, and so on. */
#define AD_STAIRCASE 4, 1, 3, 4, 5, 0, 0, 0, 1, 0, 2, 3, 4

AD_DEFINE_OP(matmul) = {
    .name = "matmul",
    .n_in = 2,
    .flags = AD_OP_BILINEAR,
    .shape = matmul_shape,
    .evaluate[AD_DTYPE] = matmul_evaluate,
    .vjp = matmul_vjp,
    .scratch = matmul_scratch,
    AD_SAMPLES({.n_in = 2, .in = AD_MATRICES(3, 4, 1), AD_ATTRIBUTES(0, 0, NOT_BLOCKED)},
               {.n_in = 2, .in = AD_MATRICES(5, 3, 2), AD_ATTRIBUTES(0, 0, NOT_BLOCKED)},
               {.n_in = 2, .in = {{AD_DIMS(4, 3), -2, 2}, {AD_DIMS(4, 2), -2, 2}}, AD_ATTRIBUTES(1, 0, NOT_BLOCKED)},
               {.n_in = 2, .in = {{AD_DIMS(3, 4), -2, 2}, {AD_DIMS(2, 4), -2, 2}}, AD_ATTRIBUTES(0, 1, NOT_BLOCKED)},
               {.n_in = 2, .in = {{AD_DIMS(4, 3), -2, 2}, {AD_DIMS(2, 4), -2, 2}}, AD_ATTRIBUTES(1, 1, NOT_BLOCKED)},
               {.n_in = 2, .in = AD_MATRICES(5, 4, 1), AD_ATTRIBUTES(0, 0, BLOCKED_A, AD_STAIRCASE)},
               {.n_in = 2, .in = AD_MATRICES(5, 4, 3), AD_ATTRIBUTES(0, 0, BLOCKED_A, AD_STAIRCASE)},
               {.n_in = 2,
                .in = {{AD_DIMS(4, 5), -2, 2}, {AD_DIMS(4, 3), -2, 2}},
                AD_ATTRIBUTES(1, 0, BLOCKED_A, AD_STAIRCASE)},
               {.n_in = 2, .in = AD_MATRICES(5, 3, 4), AD_ATTRIBUTES(0, 0, BLOCKED_C, AD_STAIRCASE)}),
};

static bool matmul_rows_shape(const ad_call *call, ad_shape *result)
{
    if (!matmul_shape(call, result)) return false;
    if (ad_is_per_row(call->in[0]) && ad_is_per_row(call->in[1])) return true;
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "matmul_rows: both matrices must be per-row");
    return false;
}

AD_DEFINE_OP(matmul_rows) = {
    .name = "matmul_rows",
    .n_in = 2,
    .flags = AD_OP_SUMS_ROWS | AD_OP_IN_PARTS,
    .shape = matmul_rows_shape,
    .evaluate[AD_DTYPE] = matmul_rows_evaluate,
    .vjp = matmul_vjp,
    .scratch = matmul_rows_scratch,
    AD_SAMPLES({.n_in = 2, .in = AD_MATRICES(3, 1, 4), AD_ATTRIBUTES(0, 0, NOT_BLOCKED)},
               {.n_in = 2, .in = AD_MATRICES(5, 3, 2), AD_ATTRIBUTES(0, 0, NOT_BLOCKED)},
               {.n_in = 2, .in = {{AD_DIMS(4, 3), -2, 2}, {AD_DIMS(4, 2), -2, 2}}, AD_ATTRIBUTES(1, 0, NOT_BLOCKED)},
               {.n_in = 2, .in = {{AD_DIMS(3, 4), -2, 2}, {AD_DIMS(2, 4), -2, 2}}, AD_ATTRIBUTES(0, 1, NOT_BLOCKED)},
               {.n_in = 2, .in = {{AD_DIMS(4, 3), -2, 2}, {AD_DIMS(2, 4), -2, 2}}, AD_ATTRIBUTES(1, 1, NOT_BLOCKED)},
               {.n_in = 2, .in = AD_MATRICES(5, 1, 4), AD_ATTRIBUTES(0, 0, BLOCKED_C, AD_STAIRCASE)}),
};
