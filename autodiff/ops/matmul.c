/* Matrix products, of matrices that are shared or there for each row. */
#include "ops/product.h"

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

/* ---- A shared matrix times per-row ones ------------------------------------------------------------------------ */

static void copy_lines(size_t lines, size_t width, const real *in, size_t ld_in, real *out, size_t ld_out)
{
    for (size_t l = 0; l < lines; l++, in += ld_in, out += ld_out) {
        size_t x = 0;
        for (; x + LANES <= width; x += LANES) memcpy(out + x, in + x, sizeof(row_vector));
        for (; x + 4 <= width; x += 4) memcpy(out + x, in + x, sizeof(quad));
        for (; x < width; x++) out[x] = in[x];
    }
}

static bool has_zeros(const ad_tile *tile, const product *p, const group *g, part at)
{
    bool has = false;
    for (size_t b = g->first; b < g->next; b++) {
        const part block = part_of(tile, p, b);
        has |= block.p0 > at.p0 || block.p1 < at.p1;
    }
    return has;
}

/* Zeros for columns q0 … q1-1 of rows i0 … i1-1, in what pack() made of `at`. */
static void clear_packed(const product *p, part at, size_t i0, size_t i1, size_t q0, size_t q1, real *packed)
{
    const size_t step_i = p->transpose_a ? 1 : at.p1 - at.p0, step_q = p->transpose_a ? at.i1 - at.i0 : 1;
    for (size_t i = i0; i < i1; i++)
        for (size_t q = q0; q < q1; q++) packed[(i - at.i0) * step_i + (q - at.p0) * step_q] = 0;
}

/* A (at.i0:i1, at.p0:p1) as it is stored, but without gaps, and with zeros outside the blocks. */
static void pack(const ad_tile *tile, const product *p, const group *g, part at, real *packed)
{
    const size_t height = at.i1 - at.i0, depth = at.p1 - at.p0;
    const real *a = real_in(tile, 0);
    if (p->transpose_a)
        copy_lines(depth, height, a + at.p0 * p->m + at.i0, p->m, packed, height);
    else
        copy_lines(height, depth, a + at.i0 * p->k + at.p0, p->k, packed, depth);
    for (size_t b = g->first; b < g->next; b++) {
        const part block = part_of(tile, p, b);
        const size_t i0 = larger(block.i0, at.i0), i1 = smaller(block.i1, at.i1);
        clear_packed(p, at, i0, i1, at.p0, smaller(block.p0, at.p1), packed);
        clear_packed(p, at, i0, i1, larger(block.p1, at.p0), at.p1, packed);
    }
}

/* C (at.i0:i1) = beta C + A (at.i0:i1, at.p0:p1) B (at.p0:p1), for an A that starts there. Per-row B is (k, n * rows):
 * every column of it at once, unless it is transposed. */
static void times_rows(const ad_tile *tile, const product *p, part at, const real *a, size_t ld_a, real beta)
{
    const size_t rows = tile->rows, height = at.i1 - at.i0, depth = at.p1 - at.p0, ld_c = p->n * rows;
    const real *b = real_in(tile, 1);
    real *c = (real *)tile->out.data + at.i0 * ld_c;
    if (!p->transpose_b) {
        gemm((at.j1 - at.j0) * rows, height, depth, b + (at.p0 * p->n + at.j0) * rows, p->n * rows, a, ld_a,
             p->transpose_a, beta, c + at.j0 * rows, ld_c);
        return;
    }
    for (size_t j = at.j0; j < at.j1; j++)
        gemm(rows, height, depth, b + (j * p->k + at.p0) * rows, rows, a, ld_a, p->transpose_a, beta, c + j * rows,
             ld_c);
}

/* What is computed at once: so many rows of A, by so many of its columns at a time. */
enum { HEIGHT = 48, DEPTH = 64 };

/* A transposed A is packed: a column of it and its neighbours are then read from few lines and pages, whereas as it is
 * stored each is on its own. */
static void group_times_rows(const ad_tile *tile, const product *p, const group *g)
{
    const real *a = real_in(tile, 0);
    real *packed = tile->scratch;
    part at = g->whole;
    for (at.i0 = g->whole.i0; at.i0 < g->whole.i1; at.i0 = at.i1) {
        at.i1 = smaller(at.i0 + HEIGHT, g->whole.i1);
        for (at.p0 = g->whole.p0; at.p0 < g->whole.p1; at.p0 = at.p1) {
            at.p1 = smaller(at.p0 + DEPTH, g->whole.p1);
            const size_t height = at.i1 - at.i0, depth = at.p1 - at.p0, next = smaller(DEPTH, g->whole.p1 - at.p1);
            const real beta = at.p0 > g->whole.p0;
            if (p->transpose_a) {
                pack(tile, p, g, at, packed);
                prefetch(a + at.p1 * p->m + at.i0, p->m, next, height);
                times_rows(tile, p, at, packed, height, beta);
            } else if (has_zeros(tile, p, g, at)) {
                pack(tile, p, g, at, packed);
                times_rows(tile, p, at, packed, depth, beta);
            } else {
                prefetch(a + at.i0 * p->k + at.p1, p->k, height, next);
                times_rows(tile, p, at, a + at.i0 * p->k + at.p0, p->k, beta);
            }
        }
    }
}

/* One block is multiplied as it is stored where copying it isn't worth while, and where the bits don't tell. */
static void shared_times_rows(const ad_tile *tile, const product *p)
{
    enum { MANY_ROWS = 64 };
    const bool few = tile->rows * p->n < MANY_ROWS, blocked = tile->attribute[AD__BLOCKED] == AD__BLOCKED_A;
    group g = {0};
    for (size_t b = 0; b < count_parts(tile); b = g.next) {
        g = blocked ? group_from(tile, p, b) : (group){b, b + 1, part_of(tile, p, b)};
        const part at = g.whole;
        const bool same = ad__gemm_goes_on() || at.p1 - at.p0 <= DEPTH;
        if (at.p0 < at.p1 && !(few && same && g.next == b + 1))
            group_times_rows(tile, p, &g);
        else if (p->transpose_a)
            times_rows(tile, p, at, real_in(tile, 0) + at.p0 * p->m + at.i0, p->m, 0);
        else
            times_rows(tile, p, at, real_in(tile, 0) + at.i0 * p->k + at.p0, p->k, 0);
    }
}

/* ---- Other products -------------------------------------------------------------------------------------------- */

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

static void matmul_evaluate(const ad_tile *tile)
{
    const product whole = product_of(&tile->in[0].shape, &tile->in[1].shape, tile->attribute);
    const bool a_per_row = tile->in[0].per_row, b_per_row = tile->in[1].per_row;
    if (tile->attribute[AD__BLOCKED] == AD__BLOCKED_C)
        clear_outside_blocks(tile, &whole, rows_of(&tile->out, tile), 0, whole.m);
    if (!a_per_row && b_per_row) {
        shared_times_rows(tile, &whole);
        return;
    }
    for (size_t b = 0; b < count_parts(tile); b++) {
        part at = part_of(tile, &whole, b);
        if (a_per_row && b_per_row)
            rows_times_rows(tile, &whole, at);
        else if (a_per_row)
            rows_times_shared(tile, &whole, at);
        else
            shared_times_shared(tile, &whole, at);
    }
}

/* For what is copied: a shared B that comes transposed, or parts of a shared A beside a per-row B. */
static size_t matmul_scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    (void)rows;
    const bool b_per_row = ad_is_per_row(call->in[1]);
    if (ad_is_per_row(call->in[0]) || (!b_per_row && call->attribute[AD__TRANSPOSE_B] == 0)) return 0;
    return (b_per_row ? (size_t)HEIGHT * DEPTH : ad_shape_size(ad_shape_of(call->in[1]))) * ad_dtype_size(dtype);
}

AD_DEFINE_OP(matmul) = {
    .name = "matmul",
    .n_in = 2,
    .flags = AD_OP_BILINEAR,
    .shape = product_shape,
    .evaluate[AD_DTYPE] = matmul_evaluate,
    .vjp = ad__matmul_vjp,
    .scratch = matmul_scratch,
    AD_SAMPLES(
        {.n_in = 2, .in = AD_MATRICES(3, 4, 1), AD_ATTRIBUTES(0, 0, AD__NOT_BLOCKED)},
        {.n_in = 2, .in = AD_MATRICES(5, 3, 2), AD_ATTRIBUTES(0, 0, AD__NOT_BLOCKED)},
        {.n_in = 2, .in = {{AD_DIMS(4, 3), -2, 2}, {AD_DIMS(4, 2), -2, 2}}, AD_ATTRIBUTES(1, 0, AD__NOT_BLOCKED)},
        {.n_in = 2, .in = {{AD_DIMS(3, 4), -2, 2}, {AD_DIMS(2, 4), -2, 2}}, AD_ATTRIBUTES(0, 1, AD__NOT_BLOCKED)},
        {.n_in = 2, .in = {{AD_DIMS(4, 3), -2, 2}, {AD_DIMS(2, 4), -2, 2}}, AD_ATTRIBUTES(1, 1, AD__NOT_BLOCKED)},
        {.n_in = 2, .in = AD_MATRICES(5, 4, 1), AD_ATTRIBUTES(0, 0, AD__BLOCKED_A, AD_STAIRCASE)},
        {.n_in = 2, .in = AD_MATRICES(5, 4, 3), AD_ATTRIBUTES(0, 0, AD__BLOCKED_A, AD_STAIRCASE)},
        {.n_in = 2,
         .in = {{AD_DIMS(4, 5), -2, 2}, {AD_DIMS(4, 3), -2, 2}},
         AD_ATTRIBUTES(1, 0, AD__BLOCKED_A, AD_STAIRCASE)},
        {.n_in = 2, .in = AD_MATRICES(5, 3, 4), AD_ATTRIBUTES(0, 0, AD__BLOCKED_C, AD_STAIRCASE)}),
};
