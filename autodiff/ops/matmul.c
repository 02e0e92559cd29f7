/* Matrix products, of matrices that are shared or there for each row. */
#include "ops/panel_product.h"
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

/* What is multiplied at once: so many rows of A, by so many of its columns at a time. B's rows that belong to these
 * stay in the L1 cache while they are multiplied, and C's in the L2. */
enum { HEIGHT = 96, DEPTH = 64, MANY_ROWS = 128, FAR_BYTES = 256 << 10 };

/* Of few rows of B's the more: the cache holds them, and each product is worth its call. */
static size_t depth_for(size_t columns)
{
    return columns < MANY_ROWS ? DEPTH * MANY_ROWS / columns : DEPTH;
}

/* Blocks first … end-1 of A, and their columns. */
typedef struct {
    size_t first, end, p0, p1;
} step;

/* The blocks with rows i0 … i1-1, from block number `first` on. */
static step step_of(const part *block, size_t count, size_t first, size_t i0, size_t i1)
{
    while (first < count && block[first].i1 <= i0) first++;
    step s = {first, first, SIZE_MAX, 0};
    for (; s.end < count && block[s.end].i0 < i1; s.end++) {
        s.p0 = smaller(s.p0, block[s.end].p0);
        s.p1 = larger(s.p1, block[s.end].p1);
    }
    return s;
}

/* C (at.i0:i1) = A (at.i0:i1, at.p0:p1) B (at.p0:p1), or added to it. Per-row B is (k, n * rows): all columns that a
 * block has are multiplied at once, unless it comes transposed. */
static void multiply_blocks(const ad_tile *tile, const product *p, const part *block, const step *s, const part *at,
                            upcoming soon[2])
{
    const size_t step_i = p->transpose_a ? 1 : p->k, step_p = p->transpose_a ? p->m : 1, rows = tile->rows;
    for (size_t b = s->first; b < s->end; b++) {
        const size_t i0 = larger(at->i0, block[b].i0), i1 = smaller(at->i1, block[b].i1);
        const size_t p0 = larger(at->p0, block[b].p0), p1 = smaller(at->p1, block[b].p1);
        const size_t at_once = p->transpose_b ? 1 : block[b].j1 - block[b].j0;
        for (size_t j = block[b].j0; j < block[b].j1 && i0 < i1 && p0 < p1; j += at_once)
            multiply_panels(
                &(panel_product){.n = i1 - i0,
                                 .k = p1 - p0,
                                 .w = real_in(tile, 0) + i0 * step_i + p0 * step_p,
                                 .step_n = step_i,
                                 .step_k = step_p,
                                 .x = real_in(tile, 1) + (p->transpose_b ? j * p->k + p0 : p0 * p->n + j) * rows,
                                 .ldx = p->transpose_b ? rows : p->n * rows,
                                 .c = (real *)tile->out.data + (i0 * p->n + j) * rows,
                                 .ldc = p->n * rows,
                                 .adds = p0 > block[b].p0},
                at_once * rows, soon);
    }
}

/* Of A, what is multiplied after `at`: the next columns of its rows, or the first of the rows below. False: nothing. */
static bool go_on(const product *p, const part *block, size_t count, size_t depth, step *s, part *at)
{
    at->p0 = at->p1;
    while (at->p0 >= s->p1) {
        if (at->i1 == p->m) return false;
        at->i0 = at->i1;
        at->i1 = smaller(at->i0 + HEIGHT, p->m);
        *s = step_of(block, count, s->first, at->i0, at->i1);
        at->p0 = s->p0;
    }
    at->p1 = smaller(at->p0 + depth, s->p1);
    return true;
}

static upcoming lines_of_a(const ad_tile *tile, const product *p, const part *at)
{
    const real *a = real_in(tile, 0);
    const size_t height = at->i1 - at->i0, depth = at->p1 - at->p0;
    return p->transpose_a ? (upcoming){a + at->p0 * p->m + at->i0, p->m, depth, height, 4}
                          : (upcoming){a + at->i0 * p->k + at->p0, p->k, height, depth, 6};
}

static void shared_times_rows(const ad_tile *tile, const product *p)
{
    const size_t count = count_parts(tile), columns = p->n * tile->rows, depth = depth_for(columns);
    part *block = tile->scratch;
    for (size_t b = 0; b < count; b++) {
        block[b] = part_of(tile, p, b);
        if (block[b].p0 == block[b].p1)
            memset((real *)tile->out.data + block[b].i0 * columns, 0,
                   (block[b].i1 - block[b].i0) * columns * sizeof(real));
    }
    /* Few rows of B have little time for it, in which it must be that weights are far. */
    const bool worth_fetching = columns >= MANY_ROWS || p->m * p->k * sizeof(real) > FAR_BYTES;
    part at = {0};
    step s = {0};
    bool more = go_on(p, block, count, depth, &s, &at);
    for (bool first = true; more; first = false) {
        part next = at;
        step after = s;
        more = go_on(p, block, count, depth, &after, &next);
        upcoming soon[2] = {{NULL}};
        if (more && worth_fetching) soon[0] = lines_of_a(tile, p, &next);
        if (first && worth_fetching) soon[1] = lines_of_a(tile, p, &at);
        multiply_blocks(tile, p, block, &s, &at, soon);
        at = next;
        s = after;
    }
}

/* ---- Other products -------------------------------------------------------------------------------------------- */

/* Per-row A: row i of C is B^T times row i of A. */
static void rows_times_shared(const ad_tile *tile, const product *p, part at)
{
    const size_t rows = tile->rows, step_j = p->transpose_b ? p->k : 1, step_p = p->transpose_b ? 1 : p->n;
    for (size_t i = at.i0; i < at.i1; i++)
        multiply_panels(
            &(panel_product){.n = at.j1 - at.j0,
                             .k = at.p1 - at.p0,
                             .w = real_in(tile, 1) + at.j0 * step_j + at.p0 * step_p,
                             .step_n = step_j,
                             .step_k = step_p,
                             .x = real_in(tile, 0) + (p->transpose_a ? at.p0 * p->m + i : i * p->k + at.p0) * rows,
                             .ldx = p->transpose_a ? p->m * rows : rows,
                             .c = (real *)tile->out.data + (i * p->n + at.j0) * rows,
                             .ldc = rows},
            rows, (upcoming[2]){{NULL}});
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

/* For a shared B that comes transposed, or for the blocks of a shared A beside a per-row B. */
static size_t matmul_scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    (void)rows;
    if (ad_is_per_row(call->in[0])) return 0;
    if (ad_is_per_row(call->in[1])) {
        const bool blocked = call->attribute[AD__BLOCKED] != AD__NOT_BLOCKED;
        return (blocked ? (size_t)call->attribute[AD__BLOCK_COUNT] : 1) * sizeof(part);
    }
    if (call->attribute[AD__TRANSPOSE_B] == 0) return 0;
    return ad_shape_size(ad_shape_of(call->in[1])) * ad_dtype_size(dtype);
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
