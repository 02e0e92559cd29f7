/* Recording matrix products, in the forms that run fast. */
#include "tape/builtin.h"
#include "tape/record.h"

#include <weir/graph.h>
#include <weir/memory.h>

#include <stdlib.h>
#include <string.h>

/* What graph.h says of the attribute. */
_Static_assert((int)AD_MATMUL_BLOCKS == (int)AD__BLOCKS && (int)AD_MATMUL_BLOCKED == (int)AD__BLOCKED &&
                   (int)AD_MATMUL_TRANSPOSE_B == (int)AD__TRANSPOSE_B &&
                   (int)AD_MATMUL_BLOCK_COUNT == (int)AD__BLOCK_COUNT &&
                   (int)AD_MATMUL_BLOCKED_A == (int)AD__BLOCKED_A && (int)AD_MATMUL_BLOCKED_C == (int)AD__BLOCKED_C,
               "the attribute of a matrix product is public");

static ad_var fail_memory(ad_tape *tape)
{
    ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory while recording a matrix product");
    return (ad_var){tape, -1};
}

/* ---- Blocks -------------------------------------------------------------------------------------------------- */

static bool is_in_block(const ad_blocks *blocks, size_t b, size_t column)
{
    return blocks->column_begin[b] <= column && column < blocks->column_end[b];
}

static int compare_sizes(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* The blocks of the transpose of a matrix with n columns. Columns between two neighbouring bounds have the same zeros,
 * and become rows; these may be nonzero from the first block that holds them to the last. *exact is false if some block
 * in between doesn't hold them. */
static bool transpose_blocks(const ad_blocks *of, size_t n, ad_blocks *result, bool *exact)
{
    const size_t capacity = 2 * of->count + 1;
    size_t *bound = ad_alloc(capacity, sizeof *bound), *index = ad_alloc(3 * capacity, sizeof *index);
    if (!bound || !index) {
        ad_free(bound);
        ad_free(index);
        return false;
    }
    size_t *row_end = index, *begin = index + capacity, *end = index + 2 * capacity, count = 0, row = 0;
    memcpy(bound, of->column_begin, of->count * sizeof *bound);
    memcpy(bound + of->count, of->column_end, of->count * sizeof *bound);
    bound[capacity - 1] = n;
    qsort(bound, capacity, sizeof *bound, compare_sizes);
    *exact = true;
    for (size_t i = 0; i < capacity; i++) {
        if (bound[i] == row) continue;
        size_t first = 0, last = of->count; /* of the blocks that hold these columns; last is exclusive */
        while (first < of->count && !is_in_block(of, first, row)) first++;
        while (last > first && !is_in_block(of, last - 1, row)) last--;
        for (size_t b = first; b < last; b++) *exact &= is_in_block(of, b, row);
        begin[count] = last == first || first == 0 ? 0 : of->row_end[first - 1];
        end[count] = last == first ? begin[count] : of->row_end[last - 1];
        row = row_end[count++] = bound[i];
    }
    ad_free(bound);
    *result = (ad_blocks){count, row_end, begin, end};
    return true;
}

/* a, with zeros written where the blocks say that there are some. */
static ad_var clear_outside(ad_var a, const ad_blocks *blocks)
{
    ad_shape shape = ad_shape_of(a);
    double *inside = ad_alloc(ad_shape_size(shape), sizeof *inside);
    if (!inside) return fail_memory(a.tape);
    for (size_t b = 0, row = 0; b < blocks->count; b++)
        for (; row < blocks->row_end[b]; row++)
            for (size_t column = blocks->column_begin[b]; column < blocks->column_end[b]; column++)
                inside[row * shape.dim[1] + column] = 1;
    ad_var mask = ad_constant(a.tape, shape, inside);
    ad_free(inside);
    return ad_where(mask, a, ad_scalar(a.tape, 0));
}

/* ---- Products ------------------------------------------------------------------------------------------------ */

static ad_var apply_product(ad__op_id op, ad_var a, ad_var b, bool transpose_a, bool transpose_b, char blocked,
                            const ad_blocks *blocks)
{
    const size_t count = blocks ? blocks->count : 0, n_attribute = blocks ? AD__BLOCKS + 3 * count : AD__BLOCK_COUNT;
    double *attribute = ad_alloc(n_attribute, sizeof *attribute);
    if (!attribute) return fail_memory(a.tape);
    attribute[AD__TRANSPOSE_A] = transpose_a;
    attribute[AD__TRANSPOSE_B] = transpose_b;
    if (blocks) {
        attribute[AD__BLOCKED] = blocked == 'a' ? AD__BLOCKED_A : AD__BLOCKED_C;
        attribute[AD__BLOCK_COUNT] = (double)count;
        for (size_t i = 0; i < count; i++) {
            attribute[AD__BLOCKS + i] = (double)blocks->row_end[i];
            attribute[AD__BLOCKS + count + i] = (double)blocks->column_begin[i];
            attribute[AD__BLOCKS + 2 * count + i] = (double)blocks->column_end[i];
        }
    }
    ad_var c = ad_apply(ad__builtin(op), (ad_var[]){a, b}, 2, attribute, n_attribute, a.tape);
    ad_free(attribute);
    return c;
}

static bool is_vector(ad_var matrix)
{
    ad_shape shape = ad_shape_of(matrix);
    return shape.dim[0] == 1 || shape.dim[1] == 1;
}

ad_var ad__matmul_general(ad_var a, ad_var b, bool transpose_a, bool transpose_b, char blocked, const ad_blocks *blocks,
                          bool sum_rows)
{
    if (!ad_is_valid(a) || !ad_is_valid(b)) return (ad_var){a.tape, -1};
    const bool a_per_row = ad_is_per_row(a), b_per_row = ad_is_per_row(b), of_a = blocks && blocked == 'a';
    ad_blocks transposed = {0};
    if (transpose_a && of_a) {
        bool exact = true;
        if (!transpose_blocks(blocks, ad_shape_of(a).dim[1], &transposed, &exact)) return fail_memory(a.tape);
        if (!exact) a = clear_outside(a, blocks);
        blocks = &transposed;
    }
    /* The GEMM reads a shared A either way at the same speed. */
    if (transpose_a && (is_vector(a) || (of_a && a_per_row))) {
        a = ad_transpose(a);
        transpose_a = false;
    }
    /* The GEMM wants a shared B as it is beside a shared A, and transposed beside a per-row one. */
    if (b_per_row ? transpose_b && is_vector(b) : transpose_b != a_per_row) {
        b = ad_transpose(b);
        transpose_b = !transpose_b;
    }
    const bool fused = sum_rows && a_per_row && b_per_row && !of_a;
    ad_var c = apply_product(fused ? AD_OP_matmul_rows : AD_OP_matmul, a, b, transpose_a, transpose_b, blocked, blocks);
    ad_free((size_t *)transposed.row_end);
    if (!sum_rows || fused) return c;
    return ad_is_per_row(c) ? ad__sum_rows_of_gradient(c) : ad_sum_rows(c);
}

/* ---- Gradients ----------------------------------------------------------------------------------------------- */

/* ad_blocks of the attribute; free *index. */
static bool blocks_of(const ad_call *call, ad_blocks *blocks, size_t **index)
{
    *index = NULL;
    if (call->attribute[AD__BLOCKED] == AD__NOT_BLOCKED) return true;
    size_t count = (size_t)call->attribute[AD__BLOCK_COUNT];
    *index = ad_alloc(3 * count, sizeof **index);
    if (!*index) {
        ad_tape_fail(call->tape, AD_ERROR_MEMORY, "out of memory for the gradient of a blocked product");
        return false;
    }
    for (size_t i = 0; i < 3 * count; i++) (*index)[i] = (size_t)call->attribute[AD__BLOCKS + i];
    *blocks = (ad_blocks){count, *index, *index + count, *index + 2 * count};
    return true;
}

/* dA = dC B^T and dB = A^T dC, or their transposes for what is stored transposed. Zeros stay known: those of A are C's
 * in the product for dA, and C's are those of g. A product has its blocks on the left or in the result: where g with
 * blocks would be on the right, the transposed product is taken. */
void ad__matmul_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    const bool of_transpose = call->attribute[AD__BLOCKED] == AD__BLOCKED_A && call->attribute[AD__TRANSPOSE_A] != 0;
    const ad_var a = of_transpose ? ad_transpose(call->in[0]) : call->in[0], b = call->in[1];
    const bool ta = call->attribute[AD__TRANSPOSE_A] != 0 && !of_transpose, tb = call->attribute[AD__TRANSPOSE_B] != 0;
    const bool of_a = call->attribute[AD__BLOCKED] == AD__BLOCKED_A,
               of_c = call->attribute[AD__BLOCKED] == AD__BLOCKED_C;
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

/* ---- Public products ----------------------------------------------------------------------------------------- */

/* a times b, a matrix or a vector. */
static ad_var multiply(ad_var a, ad_var b, const ad_blocks *blocks)
{
    if (!ad_is_valid(a) || !ad_is_valid(b))
        return ad_apply(ad__builtin(AD_OP_matmul), (ad_var[]){a, b}, 2, NULL, 0, a.tape); /* says which */
    ad_shape shape_a = ad_shape_of(a), shape_b = ad_shape_of(b);
    if (shape_b.rank == 1) {
        ad_var column = ad_reshape(b, AD_SHAPE(shape_b.dim[0], 1));
        return ad_reshape(multiply(a, column, blocks), AD_SHAPE(shape_a.dim[0]));
    }
    if (shape_a.rank == 2 && shape_b.rank == 2) return ad__matmul_general(a, b, false, false, 'a', blocks, false);
    char text_a[128], text_b[128];
    ad_tape_fail(a.tape, AD_ERROR_ARGUMENT, "matmul: %s times %s: takes (m,k) and (k,n) or (k)",
                 ad_shape_text(shape_a, text_a), ad_shape_text(shape_b, text_b));
    return (ad_var){a.tape, -1};
}

ad_var ad_matmul(ad_var a, ad_var b)
{
    return multiply(a, b, NULL);
}

static bool check_blocks(ad_var a, const ad_blocks *blocks)
{
    if (!blocks || !blocks->row_end || !blocks->column_begin || !blocks->column_end) {
        ad_tape_fail(a.tape, AD_ERROR_ARGUMENT,
                     "matmul_blocks: expected blocks with row_end, column_begin and column_end, got NULL; without "
                     "known zeros use ad_matmul()");
        return false;
    }
    ad_shape shape = ad_shape_of(a);
    if (shape.rank != 2) return true; /* reported with the product */
    size_t row = 0;
    for (size_t b = 0; b < blocks->count; b++) {
        if (blocks->row_end[b] < row || blocks->column_begin[b] > blocks->column_end[b] ||
            blocks->column_end[b] > shape.dim[1]) {
            ad_tape_fail(a.tape, AD_ERROR_ARGUMENT,
                         "matmul_blocks: block %zu: rows %zu to %zu, columns %zu to %zu of (%zu,%zu): ends must not be "
                         "before begins, nor outside",
                         b, row, blocks->row_end[b], blocks->column_begin[b], blocks->column_end[b], shape.dim[0],
                         shape.dim[1]);
            return false;
        }
        row = blocks->row_end[b];
    }
    if (row == shape.dim[0]) return true;
    ad_tape_fail(a.tape, AD_ERROR_ARGUMENT, "matmul_blocks: the last block must end at row %zu, not %zu", shape.dim[0],
                 row);
    return false;
}

ad_var ad_matmul_blocks(ad_var a, ad_var b, const ad_blocks *blocks)
{
    if (ad_is_valid(a) && !check_blocks(a, blocks)) return (ad_var){a.tape, -1};
    return multiply(a, b, blocks);
}
