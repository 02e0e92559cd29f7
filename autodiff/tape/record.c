/* Recording: the public names of the ops. What leaves a value as it is records nothing. */
#include "tape/builtin.h"
#include "tape/node.h"
#include "tape/record.h"

#include <weir/memory.h>

/* ---- Elementwise --------------------------------------------------------------------------------------------- */

#define AD_RECORD_UNARY(name)                                                                                          \
    ad_var ad_##name(ad_var x)                                                                                         \
    {                                                                                                                  \
        return ad_apply(ad__builtin(AD_OP_##name), &x, 1, NULL, 0, x.tape);                                            \
    }
AD_UNARY_OPS(AD_RECORD_UNARY)

#define AD_RECORD_BINARY(name)                                                                                         \
    ad_var ad_##name(ad_var a, ad_var b)                                                                               \
    {                                                                                                                  \
        return ad_apply(ad__builtin(AD_OP_##name), (ad_var[]){a, b}, 2, NULL, 0, a.tape);                              \
    }
AD_BINARY_OPS(AD_RECORD_BINARY)

ad_var ad_where(ad_var condition, ad_var a, ad_var b)
{
    return ad_apply(ad__builtin(AD_OP_where), (ad_var[]){condition, a, b}, 3, NULL, 0, condition.tape);
}

ad_var ad_inside(ad_var x, double low, double high)
{
    const double ends[] = {low, high};
    if (low < high) return ad_apply(ad__builtin(AD_OP_inside), &x, 1, ends, 2, x.tape);
    ad_tape_fail(x.tape, AD_ERROR_ARGUMENT, "inside: expected low < high, got %g and %g", low, high);
    return (ad_var){x.tape, -1};
}

ad_var ad_leaky_relu(ad_var x, double slope)
{
    return ad_apply(ad__builtin(AD_OP_leaky_relu), &x, 1, &slope, 1, x.tape);
}

ad_var ad__gate(ad_var g, ad_var y, double slope)
{
    return ad_apply(ad__builtin(AD_OP_gate), (ad_var[]){g, y}, 2, &slope, 1, g.tape);
}

ad_var ad__tanh_slope(ad_var g, ad_var y)
{
    return ad_apply(ad__builtin(AD_OP_tanh_slope), (ad_var[]){g, y}, 2, NULL, 0, g.tape);
}

ad_var ad__lbeta_slope(ad_var a, ad_var b)
{
    return ad_apply(ad__builtin(AD_OP_lbeta_slope), (ad_var[]){a, b}, 2, NULL, 0, a.tape);
}

/* A function by the order of its derivative. */
static ad_var apply_order(ad__op_id op, ad_var x, int order, int most)
{
    if (order >= 0 && order <= most) return ad_apply(ad__builtin(op), &x, 1, &(double){order}, 1, x.tape);
    ad_tape_fail(x.tape, AD_ERROR_ARGUMENT, "%s: its derivative of order %d: takes 0 to %d", ad__builtin(op)->name,
                 order, most);
    return (ad_var){x.tape, -1};
}

ad_var ad__log_ndtr(ad_var x, int order)
{
    return apply_order(AD_OP_log_ndtr, x, order, AD__MOST_LOG_NDTR);
}

ad_var ad_log_ndtr(ad_var x)
{
    return ad__log_ndtr(x, 0);
}

ad_var ad_ndtr(ad_var x)
{
    return ad_mul_scalar(ad_erfc(ad_mul_scalar(x, -0.70710678118654752440)), 0.5);
}

ad_var ad_polygamma(ad_var x, int order)
{
    return apply_order(AD_OP_polygamma, x, order, AD__MOST_POLYGAMMA);
}

ad_var ad_digamma(ad_var x)
{
    return ad_polygamma(x, 0);
}

ad_var ad_trigamma(ad_var x)
{
    return ad_polygamma(x, 1);
}

ad_var ad_add_scalar(ad_var x, double c)
{
    return ad_add(x, ad_scalar(x.tape, c));
}

ad_var ad_mul_scalar(ad_var x, double c)
{
    return ad_mul(x, ad_scalar(x.tape, c));
}

/* ---- Shapes as attributes ------------------------------------------------------------------------------------ */

/* The extents as numbers; false, with an error, for a shape that no value can have. */
static bool extents_of(ad_tape *tape, const char *op, ad_shape shape, double extent[AD_MAX_RANK])
{
    bool good = shape.rank >= 0 && shape.rank <= AD_MAX_RANK;
    for (int i = 0; i < shape.rank && good; i++) {
        extent[i] = (double)shape.dim[i];
        good = shape.dim[i] > 0;
    }
    if (!good)
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s: every extent must be at least 1, and the rank from 0 to %d", op,
                     AD_MAX_RANK);
    return good;
}

static ad_var apply_shape(ad__op_id op, ad_var x, ad_shape shape)
{
    double extent[AD_MAX_RANK];
    if (!ad_is_valid(x) || !extents_of(x.tape, ad__builtin(op)->name, shape, extent)) return (ad_var){x.tape, -1};
    if (ad_shape_equal(ad_shape_of(x), shape)) return x;
    return ad_apply(ad__builtin(op), &x, 1, extent, (size_t)shape.rank, x.tape);
}

ad_var ad_reshape(ad_var x, ad_shape shape)
{
    return apply_shape(AD_OP_reshape, x, shape);
}

ad_var ad_broadcast(ad_var x, ad_shape shape)
{
    return apply_shape(AD_OP_broadcast, x, shape);
}

static ad_var noise(ad__op_id op, ad_tape *tape, ad_shape shape, unsigned stream)
{
    double attribute[1 + AD_MAX_RANK] = {(double)stream + (tape ? tape->stream_shift : 0)};
    if (!extents_of(tape, ad__builtin(op)->name, shape, attribute + 1)) return (ad_var){tape, -1};
    return ad_apply(ad__builtin(op), NULL, 0, attribute, 1 + (size_t)shape.rank, tape);
}

unsigned ad_tape_shift_streams(ad_tape *tape, unsigned by)
{
    if (!tape) return 0;
    const unsigned before = tape->stream_shift;
    tape->stream_shift = by;
    return before;
}

ad_var ad_normal(ad_tape *tape, ad_shape shape, unsigned stream)
{
    return noise(AD_OP_normal, tape, shape, stream);
}

ad_var ad_uniform(ad_tape *tape, ad_shape shape, unsigned stream)
{
    return noise(AD_OP_uniform, tape, shape, stream);
}

/* ---- Reductions ---------------------------------------------------------------------------------------------- */

static ad_var apply_axis(ad__op_id op, ad_var x, int axis)
{
    double attribute = axis;
    return ad_apply(ad__builtin(op), &x, 1, &attribute, 1, x.tape);
}

static ad_var flatten(ad_var x)
{
    return ad_reshape(x, AD_SHAPE(ad_shape_size(ad_shape_of(x))));
}

ad_var ad_sum(ad_var x)
{
    return apply_axis(AD_OP_sum, flatten(x), 0);
}

ad_var ad_mean(ad_var x)
{
    return ad_mul_scalar(ad_sum(x), 1 / (double)ad_shape_size(ad_shape_of(x)));
}

ad_var ad_max(ad_var x)
{
    return apply_axis(AD_OP_max, flatten(x), 0);
}

ad_var ad_logsumexp(ad_var x)
{
    return apply_axis(AD_OP_logsumexp, flatten(x), 0);
}

ad_var ad_sum_axis(ad_var x, int axis)
{
    return apply_axis(AD_OP_sum, x, axis);
}

ad_var ad_max_axis(ad_var x, int axis)
{
    return apply_axis(AD_OP_max, x, axis);
}

ad_var ad_logsumexp_axis(ad_var x, int axis)
{
    return apply_axis(AD_OP_logsumexp, x, axis);
}

ad_var ad_cumsum(ad_var x, int axis, bool reverse)
{
    return ad_apply(ad__builtin(AD_OP_cumsum), &x, 1, (double[]){axis, reverse}, 2, x.tape);
}

/* ---- Across rows --------------------------------------------------------------------------------------------- */

ad_var ad_sum_rows(ad_var x)
{
    if (!ad_is_valid(x)) return x;
    if (!ad_is_per_row(x)) return ad_mul(x, ad_row_count(x.tape));
    return ad_apply(ad__builtin(AD_OP_sum_rows), &x, 1, NULL, 0, x.tape);
}

ad_var ad__sum_rows_of_gradient(ad_var g)
{
    return ad_apply(ad__builtin(AD_OP_sum_rows), &g, 1, (double[]){1}, 1, g.tape);
}

ad_var ad_to_rows(ad_var x)
{
    return ad_is_per_row(x) ? x : ad_apply(ad__builtin(AD_OP_to_rows), &x, 1, NULL, 0, x.tape);
}

/* ---- Layout -------------------------------------------------------------------------------------------------- */

ad_var ad_transpose(ad_var x)
{
    if (!ad_is_valid(x)) return x;
    const ad__node *node = ad__node_of(x);
    if (node->op == ad__builtin(AD_OP_transpose)) return ad__var(x.tape, node->in[0]);
    ad_shape shape = node->shape;
    if (shape.rank == 2 && (shape.dim[0] == 1 || shape.dim[1] == 1))
        return ad_reshape(x, AD_SHAPE(shape.dim[1], shape.dim[0]));
    return ad_apply(ad__builtin(AD_OP_transpose), &x, 1, NULL, 0, x.tape);
}

/* Does `start` to `stop` take in all of an axis? */
static bool is_whole_axis(ad_var x, int axis, size_t start, size_t stop)
{
    ad_shape shape = ad_shape_of(x);
    return axis >= 0 && axis < shape.rank && start == 0 && stop == shape.dim[axis];
}

ad_var ad_slice(ad_var x, int axis, size_t start, size_t stop)
{
    if (is_whole_axis(x, axis, start, stop)) return x;
    return ad_apply(ad__builtin(AD_OP_slice), &x, 1, (double[]){axis, (double)start, (double)stop}, 3, x.tape);
}

ad_var ad__pad(ad_var x, int axis, size_t start, size_t size)
{
    if (is_whole_axis(x, axis, start, size)) return x;
    return ad_apply(ad__builtin(AD_OP_pad), &x, 1, (double[]){axis, (double)start, (double)size}, 3, x.tape);
}

ad_var ad_concat(const ad_var *parts, int count, int axis)
{
    double attribute = axis;
    if (!parts || count < 1) return (ad_var){NULL, -1}; /* there is no tape to say so */
    if (count == 1 && axis >= 0 && axis < ad_shape_of(parts[0]).rank) return parts[0];
    return ad_apply(ad__builtin(AD_OP_concat), parts, count, &attribute, 1, parts[0].tape);
}

/* An op of x with `head` and the indices as attributes. */
static ad_var apply_index(ad__op_id op, ad_var x, const double *head, size_t n_head, const size_t *index, size_t count)
{
    if (!index) {
        ad_tape_fail(x.tape, AD_ERROR_ARGUMENT, "%s: index is NULL", ad__builtin(op)->name);
        return (ad_var){x.tape, -1};
    }
    double *attribute = count < SIZE_MAX / 2 ? ad_alloc(n_head + count, sizeof *attribute) : NULL;
    if (!attribute) {
        ad_tape_fail(x.tape, AD_ERROR_MEMORY, "out of memory for %zu indices", count);
        return (ad_var){x.tape, -1};
    }
    for (size_t i = 0; i < n_head; i++) attribute[i] = head[i];
    for (size_t i = 0; i < count; i++) attribute[n_head + i] = (double)index[i];
    ad_var y = ad_apply(ad__builtin(op), &x, 1, attribute, n_head + count, x.tape);
    ad_free(attribute);
    return y;
}

ad_var ad_gather(ad_var x, const size_t *index, size_t count)
{
    return apply_index(AD_OP_gather, x, NULL, 0, index, count);
}

ad_var ad_scatter(ad_var x, const size_t *index, size_t count, size_t size)
{
    return apply_index(AD_OP_scatter, x, &(double){(double)size}, 1, index, count);
}

/* ---- Linear systems ------------------------------------------------------------------------------------------ */

ad_var ad_solve(ad_var a, ad_var b)
{
    return ad_apply(ad__builtin(AD_OP_solve), (ad_var[]){a, b}, 2, NULL, 0, a.tape);
}

ad_var ad_log_abs_det(ad_var a)
{
    return ad_apply(ad__builtin(AD_OP_log_abs_det), &a, 1, NULL, 0, a.tape);
}

ad_var ad_solve_triangular(ad_var a, ad_var b, unsigned triangle)
{
    double attribute = triangle;
    if (triangle > (AD_UPPER | AD_UNIT_DIAGONAL)) {
        ad_tape_fail(a.tape, AD_ERROR_ARGUMENT,
                     "solve_triangular: triangle %u: takes AD_LOWER or AD_UPPER, with AD_UNIT_DIAGONAL or without",
                     triangle);
        return (ad_var){a.tape, -1};
    }
    return ad_apply(ad__builtin(AD_OP_solve_triangular), (ad_var[]){a, b}, 2, &attribute, 1, a.tape);
}

ad_var ad_cholesky_solve(ad_var l, ad_var b)
{
    return ad_solve_triangular(ad_transpose(l), ad_solve_triangular(l, b, AD_LOWER), AD_UPPER);
}

ad_var ad_diagonal(ad_var a)
{
    const ad_shape shape = ad_shape_of(a);
    if (!ad_is_valid(a)) return a;
    const size_t n = shape.dim[0];
    if (shape.rank != 2 || n != shape.dim[1]) {
        char text[128];
        ad_tape_fail(a.tape, AD_ERROR_ARGUMENT, "diagonal: matrix %s: takes (n,n)", ad_shape_text(shape, text));
        return (ad_var){a.tape, -1};
    }
    size_t *index = ad_alloc(n, sizeof *index);
    if (!index) {
        ad_tape_fail(a.tape, AD_ERROR_MEMORY, "out of memory for the diagonal of %zu elements", n);
        return (ad_var){a.tape, -1};
    }
    for (size_t i = 0; i < n; i++) index[i] = i * (n + 1);
    ad_var diagonal = ad_gather(flatten(a), index, n);
    ad_free(index);
    return diagonal;
}

ad_var ad_cholesky_log_det(ad_var l)
{
    return ad_mul_scalar(ad_sum(ad_log(ad_diagonal(l))), 2);
}
