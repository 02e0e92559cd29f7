/* Products of per-row matrices, summed over rows: gradients of shared weights. */
#include "ops/product.h"

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

/* The arguments of each p: A (m) and B (n), whose features are ld_a and ld_b numbers apart. */
typedef struct {
    const real *a, *b;
    size_t ld_a, ld_b;
} factors;

static factors factors_of(const ad_tile *tile, const product *whole, size_t p)
{
    const size_t rows = tile->rows;
    return (factors){.a = real_in(tile, 0) + p * (whole->transpose_a ? whole->m : 1) * rows,
                     .b = real_in(tile, 1) + p * (whole->transpose_b ? 1 : whole->n) * rows,
                     .ld_a = (whole->transpose_a ? 1 : whole->k) * rows,
                     .ld_b = (whole->transpose_b ? whole->k : 1) * rows};
}

/* The rows of C that the tile asks for: begin … end-1. How they are cut changes no bit of any of them. */
typedef struct {
    size_t begin, end;
} range;

static range rows_asked_for(const ad_tile *tile, const product *whole)
{
    if (tile->parts == 0) return (range){0, whole->m};
    return (range){tile->part * whole->m / tile->parts, (tile->part + 1) * whole->m / tile->parts};
}

static void add_dots(const ad_tile *tile, const product *whole, const factors *of, range rows, real beta)
{
    const size_t n = whole->n;
    for (size_t b = 0; b < count_parts(tile); b++) {
        part at = part_of(tile, whole, b);
        at.i0 = larger(at.i0, rows.begin);
        at.i1 = smaller(at.i1, rows.end);
        if (at.i0 >= at.i1) continue;
        const size_t height = at.i1 - at.i0, width = at.j1 - at.j0;
        const real *of_a = of->a + at.i0 * of->ld_a, *of_b = of->b + at.j0 * of->ld_b;
        real *to = (real *)tile->out.data + at.i0 * n + at.j0;
        if (whole->m <= FEW)
            multiply_by_dots(height, width, tile->valid, of_a, of->ld_a, of_b, of->ld_b, beta, to, n, 1);
        else
            multiply_by_dots(width, height, tile->valid, of_b, of->ld_b, of_a, of->ld_a, beta, to, 1, n);
    }
}

/* Columns of C that are computed together, from as many features of B: a panel, which the L1 cache holds while all rows
 * of C use it. Their ends are multiples of STEP, for whole vectors: what goes beyond C's last column is computed
 * elsewhere. */
enum { PANEL = 32, STEP = 8, HEIGHT = 24 };

/* Rows of C that are computed together: of few rows of the tile the more, so that each product is worth its call. */
static size_t height_of(const ad_tile *tile, size_t width)
{
    enum { MANY_ROWS = 128 };
    return tile->rows < MANY_ROWS && width % STEP == 0 ? HEIGHT * MANY_ROWS / tile->rows : HEIGHT;
}

/* A group's columns from j on that are done with a panel, and their end. */
static size_t columns_of(const group *g, size_t n, size_t j, size_t *end)
{
    *end = smaller(smaller(j + PANEL, n), (g->whole.j1 + STEP - 1) / STEP * STEP);
    return larger(j, g->whole.j0 / STEP * STEP);
}

/* C (height, begin:end) = beta C + A B, from where B's columns are in the panel. */
static void add_product(const ad_tile *tile, const factors *of, size_t n, size_t i, size_t height, size_t begin,
                        size_t end, const real *b, real beta)
{
    real *c = (real *)tile->out.data + i * n + begin;
    const real *a = of->a + i * of->ld_a;
    const size_t width = end - begin, whole = (width + STEP - 1) / STEP * STEP;
    if (width == whole) {
        gemm(width, height, tile->rows, b, PANEL, a, of->ld_a, false, beta, c, n);
        return;
    }
    real sum[HEIGHT * PANEL];
    gemm(whole, height, tile->rows, b, PANEL, a, of->ld_a, false, 0, sum, PANEL);
    for (size_t k = 0; k < height; k++)
        for (size_t j = 0; j < width; j++) {
            real *to = &c[k * n + j];
            *to = beta == 0 ? sum[k * PANEL + j] : *to + sum[k * PANEL + j];
        }
}

/* B's features are transposed for a GEMM whose inner dimension is the rows, with zeros in place of padding rows. */
static void add_panels(const ad_tile *tile, const product *whole, const factors *of, const group *g, size_t count,
                       range asked, real beta, real *panel)
{
    const size_t rows = tile->rows, valid = tile->valid, m = whole->m, n = whole->n;
    memset(panel + valid * PANEL, 0, (rows - valid) * PANEL * sizeof *panel);
    for (size_t j = 0; j < n; j += PANEL) {
        transpose_matrix(smaller(PANEL, n - j), valid, of->b + j * of->ld_b, of->ld_b, panel, PANEL);
        for (const group *at = g; at < g + count; at++) {
            size_t end, begin = columns_of(at, n, j, &end);
            const size_t height = height_of(tile, end - begin), last = smaller(at->whole.i1, asked.end);
            for (size_t i = larger(at->whole.i0, asked.begin), next; i < last && begin < end; i = next) {
                next = smaller(i + height, last);
                prefetch((real *)tile->out.data + next * n + begin, n, smaller(height, m - next), end - begin);
                add_product(tile, of, n, i, next - i, begin, end, panel + begin - j, beta);
            }
        }
    }
}

/* Zeros where add_panels() went beyond the blocks. */
static void clear_beside_blocks(const ad_tile *tile, const product *whole, const group *g, range asked)
{
    size_t end, begin = g->whole.j0 / STEP * STEP;
    end = smaller((g->whole.j1 + STEP - 1) / STEP * STEP, whole->n);
    for (size_t b = g->first; b < g->next; b++) {
        const part at = part_of(tile, whole, b);
        for (size_t i = larger(at.i0, asked.begin); i < smaller(at.i1, asked.end); i++) {
            real *row = (real *)tile->out.data + i * whole->n;
            for (size_t j = begin; j < at.j0; j++) row[j] = 0;
            for (size_t j = at.j1; j < end; j++) row[j] = 0;
        }
    }
}

/* C += Σ over rows and p of A_ip B_pj */
static void matmul_rows_evaluate(const ad_tile *tile)
{
    const product whole = product_of(&tile->in[0].shape, &tile->in[1].shape, tile->attribute);
    const bool by_dots = whole.m <= FEW || whole.n <= FEW, blocked = tile->attribute[AD__BLOCKED] == AD__BLOCKED_C;
    const range asked = rows_asked_for(tile, &whole);
    real *panel = tile->scratch;
    group *g = (group *)(panel + tile->rows * PANEL);
    size_t count = 0;
    if (blocked && !tile->accumulate) clear_outside_blocks(tile, &whole, 1, asked.begin, asked.end);
    for (size_t b = 0; b < count_parts(tile) && !by_dots; b = g[count++].next) g[count] = group_from(tile, &whole, b);
    for (size_t p = 0; p < whole.k; p++) {
        const factors of = factors_of(tile, &whole, p);
        const real beta = tile->accumulate || p > 0;
        if (by_dots)
            add_dots(tile, &whole, &of, asked, beta);
        else
            add_panels(tile, &whole, &of, g, count, asked, beta, panel);
    }
    for (size_t i = 0; i < count && blocked; i++) clear_beside_blocks(tile, &whole, &g[i], asked);
}

static size_t matmul_rows_scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    const bool blocked = call->attribute[AD__BLOCKED] != AD__NOT_BLOCKED;
    const size_t groups = blocked ? (size_t)call->attribute[AD__BLOCK_COUNT] : 1;
    return rows * PANEL * ad_dtype_size(dtype) + groups * sizeof(group);
}

static bool matmul_rows_shape(const ad_call *call, ad_shape *result)
{
    if (!product_shape(call, result)) return false;
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
    .vjp = ad__matmul_vjp,
    .scratch = matmul_rows_scratch,
    AD_SAMPLES(
        {.n_in = 2, .in = AD_MATRICES(3, 1, 4), AD_ATTRIBUTES(0, 0, AD__NOT_BLOCKED)},
        {.n_in = 2, .in = AD_MATRICES(5, 3, 2), AD_ATTRIBUTES(0, 0, AD__NOT_BLOCKED)},
        {.n_in = 2, .in = {{AD_DIMS(4, 3), -2, 2}, {AD_DIMS(4, 2), -2, 2}}, AD_ATTRIBUTES(1, 0, AD__NOT_BLOCKED)},
        {.n_in = 2, .in = {{AD_DIMS(3, 4), -2, 2}, {AD_DIMS(2, 4), -2, 2}}, AD_ATTRIBUTES(0, 1, AD__NOT_BLOCKED)},
        {.n_in = 2, .in = {{AD_DIMS(4, 3), -2, 2}, {AD_DIMS(2, 4), -2, 2}}, AD_ATTRIBUTES(1, 1, AD__NOT_BLOCKED)},
        {.n_in = 2, .in = AD_MATRICES(5, 1, 4), AD_ATTRIBUTES(0, 0, AD__BLOCKED_C, AD_STAIRCASE)}),
};
