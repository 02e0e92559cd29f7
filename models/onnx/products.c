/* Matrix products, linear solves and convolutions in ONNX. */
#include "onnx/graph.h"

/* 1 where A, of this shape as it is multiplied, has no known zeros. */
static ad_var mask_of(const nf__onnx *g, const double *attribute, ad_shape shape)
{
    double *inside = ad_alloc(ad_shape_size(shape), sizeof *inside);
    if (!inside) {
        ad_tape_fail(g->tape, AD_ERROR_MEMORY, "out of memory for the zeros of a matrix");
        return (ad_var){g->tape, -1};
    }
    const size_t count = (size_t)attribute[AD_MATMUL_BLOCK_COUNT];
    const double *row_end = attribute + AD_MATMUL_BLOCKS, *begin = row_end + count, *end = begin + count;
    for (size_t b = 0, row = 0; b < count; b++)
        for (; row < (size_t)row_end[b]; row++)
            for (size_t column = (size_t)begin[b]; column < (size_t)end[b]; column++)
                inside[row * shape.dim[1] + column] = 1;
    const ad_var mask = ad_constant(g->tape, shape, inside);
    ad_free(inside);
    return mask;
}

static nf__value transposed(nf__onnx *g, nf__value matrix)
{
    static const int64_t order[] = {0, 2, 1};
    return NF__NODE(g, "Transpose", NF__ATTRIBUTES({"perm", .many = order, .count = 3}), matrix);
}

/* A times b of each row, which is (k,n). A vector goes from the left, so that all rows are one product. */
static nf__value shared_times(nf__onnx *g, ad_var a, nf__value b, size_t k, size_t n)
{
    if (n > 1) return NF__NODE(g, "MatMul", NULL, nf__onnx_shared(g, a), b);
    const nf__value row = nf__onnx_reshape(g, b, AD_SHAPE(k));
    const nf__value product = NF__NODE(g, "MatMul", NULL, row, nf__onnx_shared(g, ad_transpose(a)));
    return nf__onnx_reshape(g, product, AD_SHAPE(ad_shape_of(a).dim[0], 1));
}

nf__value nf__onnx_matmul(nf__onnx *g, const ad_node *node)
{
    ad_var a = nf__onnx_var(g, node->in[0]), b = nf__onnx_var(g, node->in[1]);
    const double *attribute = node->attribute;
    const bool ta = attribute[AD_MATMUL_TRANSPOSE_A] != 0, tb = attribute[AD_MATMUL_TRANSPOSE_B] != 0;
    const bool blocked = attribute[AD_MATMUL_BLOCKED] == AD_MATMUL_BLOCKED_A;
    if (attribute[AD_MATMUL_BLOCKED] == AD_MATMUL_BLOCKED_C || (blocked && ad_is_per_row(a)))
        return nf__onnx_refuse(g, node, "as a gradient with known zeros");
    const ad_shape b_shape = ad_shape_of(b);
    const size_t k = b_shape.dim[tb ? 1 : 0], n = b_shape.dim[tb ? 0 : 1];
    nf__value right;
    if (ad_is_per_row(b))
        right = tb ? transposed(g, nf__onnx_operand(g, node->in[1])) : nf__onnx_operand(g, node->in[1]);
    else
        right = nf__onnx_shared(g, tb ? ad_transpose(b) : b);
    if (ad_is_per_row(a)) {
        const nf__value left = nf__onnx_operand(g, node->in[0]);
        return NF__NODE(g, "MatMul", NULL, ta ? transposed(g, left) : left, right);
    }
    if (ta) a = ad_transpose(a);
    if (blocked) a = ad_where(mask_of(g, attribute, ad_shape_of(a)), a, ad_scalar(g->tape, 0));
    return shared_times(g, a, right, k, n);
}

/* By the inverse of a shared matrix. */
nf__value nf__onnx_solve(nf__onnx *g, const ad_node *node)
{
    const ad_var a = nf__onnx_var(g, node->in[0]);
    if (ad_is_per_row(a)) return nf__onnx_refuse(g, node, "of a matrix for each row");
    const ad_shape shape = ad_shape_of(a), b = ad_shape_of(nf__onnx_var(g, node->in[1]));
    double *identity = ad_alloc(ad_shape_size(shape), sizeof *identity);
    g->nodes.failed |= !identity;
    if (!identity) return -1;
    for (size_t i = 0; i < shape.dim[0]; i++) identity[i * shape.dim[0] + i] = 1;
    const ad_var one = ad_constant(g->tape, shape, identity);
    ad_free(identity);
    const ad_var inverse = ad_apply(node->op, (ad_var[]){a, one}, 2, node->attribute, node->n_attribute, g->tape);
    const nf__value x = shared_times(g, inverse, nf__onnx_operand(g, node->in[1]), b.dim[0], b.rank > 1 ? b.dim[1] : 1);
    return b.rank > 1 ? x : nf__onnx_reshape(g, x, b);
}

/* The weight (A,B,O,C) becomes ONNX's (O,C,A,B). */
nf__value nf__onnx_conv2d(nf__onnx *g, const ad_node *node)
{
    const ad_var weight = nf__onnx_var(g, node->in[1]);
    if (ad_is_per_row(weight) || node->attribute[0] != 0) return nf__onnx_refuse(g, node, "as a gradient");
    const ad_shape w = ad_shape_of(weight);
    const size_t taps = w.dim[0] * w.dim[1], planes = w.dim[2] * w.dim[3];
    const ad_var matrix = ad_transpose(ad_reshape(weight, AD_SHAPE(taps, planes)));
    const ad_var kernel = ad_reshape(matrix, AD_SHAPE(w.dim[2], w.dim[3], w.dim[0], w.dim[1]));
    const int64_t down = (int64_t)w.dim[0] / 2, right = (int64_t)w.dim[1] / 2, pads[] = {down, right, down, right};
    return NF__NODE(g, "Conv", NF__ATTRIBUTES({"pads", .many = pads, .count = 4}), nf__onnx_operand(g, node->in[0]),
                    nf__onnx_shared(g, kernel));
}
