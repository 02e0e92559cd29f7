/* Products of per-row matrices, summed over rows: gradients of shared weights. */
#include "ops/panel_product.h"
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

/* C (m,n) = A B^T, or added to it, each element as a dot product over `valid` rows, four columns at a time: for so few
 * rows of A that a GEMM has nothing to gain. Element (i,j) of C is at c[i * step_i + j * step_j]. */
static void multiply_by_dots(size_t m, size_t n, size_t valid, const real *a, size_t ld_a, const real *b, size_t ld_b,
                             bool adds, real *c, size_t step_i, size_t step_j)
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
                *to = adds ? *to + total[j] : total[j];
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

static void add_dots(const ad_tile *tile, const product *whole, const factors *of, range rows, bool adds)
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
            multiply_by_dots(height, width, tile->valid, of_a, of->ld_a, of_b, of->ld_b, adds, to, n, 1);
        else
            multiply_by_dots(width, height, tile->valid, of_b, of->ld_b, of_a, of->ld_a, adds, to, 1, n);
    }
}

/* Columns of C that are computed together, from as many features of B: a panel, which the L1 cache holds while all rows
 * of C use it. Blocks begin and end with whole vectors: what goes beyond C's last column is computed elsewhere. */
enum { PANEL_BYTES = 256, PANEL = PANEL_BYTES / sizeof(real) };

static range whole_vectors(size_t begin, size_t end)
{
    return (range){begin / PANEL_VECTOR * PANEL_VECTOR, (end + PANEL_VECTOR - 1) / PANEL_VECTOR * PANEL_VECTOR};
}

/* The columns of a block that are done with the panel at column j: none if begin >= end. */
static range columns_of(const part *block, size_t n, size_t j)
{
    const range whole = whole_vectors(block->j0, block->j1);
    return (range){larger(j, whole.begin), smaller(smaller(j + PANEL, n), whole.end)};
}

/* A panel, and what is fetched meanwhile: what the next one is made of. */
typedef struct {
    const real *at;
    size_t column;
    upcoming soon[2];
} panel;

/* C (rows, columns) = A B, or added to it. */
static void add_product(const ad_tile *tile, const factors *of, size_t n, range rows, range columns, bool adds,
                        panel *b)
{
    enum { AT_ONCE = 24 };
    const size_t width = columns.end - columns.begin, height = rows.end - rows.begin;
    real *c = (real *)tile->out.data + rows.begin * n + columns.begin;
    panel_product p = {.n = height,
                       .k = tile->rows,
                       .w = of->a + rows.begin * of->ld_a,
                       .step_n = of->ld_a,
                       .step_k = 1,
                       .x = b->at + (columns.begin - b->column),
                       .ldx = PANEL,
                       .c = c,
                       .ldc = n,
                       .adds = adds};
    if (width % PANEL_VECTOR == 0) multiply_panels(&p, width, b->soon);
    for (size_t i = 0; i < height && width % PANEL_VECTOR != 0; i += AT_ONCE) {
        real sum[AT_ONCE * PANEL];
        p.n = smaller(AT_ONCE, height - i);
        p.w = of->a + (rows.begin + i) * of->ld_a;
        p.c = sum;
        p.ldc = PANEL;
        p.adds = false;
        multiply_panels(&p, whole_vectors(0, width).end, b->soon);
        for (size_t k = 0; k < p.n; k++)
            for (size_t j = 0; j < width; j++) {
                real *to = &c[(i + k) * n + j];
                *to = adds ? *to + sum[k * PANEL + j] : sum[k * PANEL + j];
            }
    }
}

/* Neighbouring blocks that have the same columns of the panel are done as one. */
static void add_panel(const ad_tile *tile, const product *whole, const factors *of, range asked, bool adds, panel *b)
{
    const size_t count = count_parts(tile);
    for (size_t first = 0, next; first < count; first = next) {
        const part block = part_of(tile, whole, first);
        const range columns = columns_of(&block, whole->n, b->column);
        range rows = {larger(block.i0, asked.begin), block.i1};
        for (next = first + 1; next < count; next++) {
            const part at = part_of(tile, whole, next);
            const range other = columns_of(&at, whole->n, b->column);
            if (other.begin != columns.begin || other.end != columns.end) break;
            rows.end = at.i1;
        }
        rows.end = smaller(rows.end, asked.end);
        if (columns.begin < columns.end && rows.begin < rows.end)
            add_product(tile, of, whole->n, rows, columns, adds, b);
    }
}

/* B's features are transposed for products whose inner dimension is the rows, with zeros in place of padding rows. */
static void add_panels(const ad_tile *tile, const product *whole, const factors *of, range asked, bool adds)
{
    const size_t rows = tile->rows, valid = tile->valid, n = whole->n;
    real *turned = tile->scratch;
    memset(turned + valid * PANEL, 0, (rows - valid) * PANEL * sizeof *turned);
    for (size_t j = 0; j < n; j += PANEL) {
        transpose_matrix(smaller(PANEL, n - j), valid, of->b + j * of->ld_b, of->ld_b, turned, PANEL);
        const size_t next = smaller(j + PANEL, n), features = smaller(PANEL, n - next);
        panel b = {turned, j, {{of->b + next * of->ld_b, of->ld_b, features, rows, 1 + 6 * features / whole->m}}};
        add_panel(tile, whole, of, asked, adds, &b);
    }
}

/* Zeros where add_panels() went beyond the blocks. */
static void clear_beside_blocks(const ad_tile *tile, const product *whole, range asked)
{
    for (size_t b = 0; b < count_parts(tile); b++) {
        const part at = part_of(tile, whole, b);
        const range columns = whole_vectors(at.j0, at.j1);
        for (size_t i = larger(at.i0, asked.begin); i < smaller(at.i1, asked.end); i++) {
            real *row = (real *)tile->out.data + i * whole->n;
            for (size_t j = columns.begin; j < at.j0; j++) row[j] = 0;
            for (size_t j = at.j1; j < smaller(columns.end, whole->n); j++) row[j] = 0;
        }
    }
}

/* C += Σ over rows and p of A_ip B_pj */
static void matmul_rows_evaluate(const ad_tile *tile)
{
    const product whole = product_of(&tile->in[0].shape, &tile->in[1].shape, tile->attribute);
    const bool by_dots = whole.m <= FEW || whole.n <= FEW, blocked = tile->attribute[AD__BLOCKED] == AD__BLOCKED_C;
    const range asked = rows_asked_for(tile, &whole);
    if (blocked && !tile->accumulate) clear_outside_blocks(tile, &whole, 1, asked.begin, asked.end);
    for (size_t p = 0; p < whole.k; p++) {
        const factors of = factors_of(tile, &whole, p);
        (by_dots ? add_dots : add_panels)(tile, &whole, &of, asked, tile->accumulate || p > 0);
    }
    if (blocked && !by_dots) clear_beside_blocks(tile, &whole, asked);
}

static size_t matmul_rows_scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    (void)call;
    (void)dtype;
    return rows * PANEL_BYTES;
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
