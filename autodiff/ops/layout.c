/* Moving features about. Where memory already has the order, the planner makes a view and nothing here is called. */
#include "base/broadcast.h"
#include "ops/axis.h"
#include "ops/elementwise.h"
#include "ops/matrix.h"
#include "tape/record.h"

static ad_shape shape_of_attributes(const ad_call *call)
{
    ad_shape shape = {.rank = (int)call->n_attribute};
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = (size_t)call->attribute[i];
    return shape;
}

static bool same_shape(const ad_call *call, ad_shape *result)
{
    *result = ad_shape_of(call->in[0]);
    return true;
}

static void copy_evaluate(const ad_tile *tile)
{
    memcpy(tile->out.data, tile->in[0].data, tile->out.size * rows_of(&tile->out, tile) * sizeof(real));
}

/* The same elements in the same order. */
AD_FUSED_CALL(copy)
{
    memcpy(call->out, call->in[0], ad_shape_size(call->out_shape) * sizeof *call->out);
}

static bool view_of_all(const ad_call *call, size_t *offset)
{
    (void)call;
    *offset = 0;
    return true;
}

/* ---- reshape, stop_gradient ---------------------------------------------------------------------------------- */

/* attribute: the extents. */
static bool reshape_shape(const ad_call *call, ad_shape *result)
{
    ad_shape from = ad_shape_of(call->in[0]);
    *result = shape_of_attributes(call);
    if (ad_shape_size(from) == ad_shape_size(*result)) return true;
    char a[128], b[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "reshape: %s has %zu elements, but %s has %zu", ad_shape_text(from, a),
                 ad_shape_size(from), ad_shape_text(*result, b), ad_shape_size(*result));
    return false;
}

static void reshape_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_reshape(g, ad_shape_of(call->in[0]));
}

AD_DEFINE_OP(reshape) = {
    .name = "reshape",
    .n_in = 1,
    .flags = AD_OP_LINEAR,
    .shape = reshape_shape,
    .evaluate[AD_DTYPE] = copy_evaluate,
    AD_FUSED_BY_CALL(copy, NULL),
    .vjp = reshape_vjp,
    .view = view_of_all,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(6), -2, 2}}, AD_ATTRIBUTES(2, 3)},
               {.n_in = 1, .in = {{AD_DIMS(2, 3), -2, 2}}, AD_ATTRIBUTES(3, 1, 2)}),
};

AD_DEFINE_OP(stop_gradient) = {
    .name = "stop_gradient",
    .n_in = 1,
    .flags = AD_OP_LINEAR,
    .shape = same_shape,
    .evaluate[AD_DTYPE] = copy_evaluate,
    AD_FUSED_BY_CALL(copy, NULL),
    .view = view_of_all,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(5), -2, 2}}}),
};

/* ---- transpose ----------------------------------------------------------------------------------------------- */

static bool transpose_shape(const ad_call *call, ad_shape *result)
{
    ad_shape from = ad_shape_of(call->in[0]);
    *result = (ad_shape){.rank = 2, .dim = {from.dim[1], from.dim[0]}};
    if (from.rank == 2) return true;
    char text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "transpose: takes a matrix, got shape %s; reshape it first",
                 ad_shape_text(from, text));
    return false;
}

static void transpose_evaluate(const ad_tile *tile)
{
    const size_t m = tile->in[0].shape.dim[0], n = tile->in[0].shape.dim[1], rows = rows_of(&tile->out, tile);
    const real *in = real_in(tile, 0);
    real *out = tile->out.data;
    if (!tile->out.per_row) {
        transpose_matrix(m, n, in, n, out, m);
        return;
    }
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < m; i++) memcpy(out + (j * m + i) * rows, in + (i * n + j) * rows, rows * sizeof(real));
}

static void transpose_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call, (void)y;
    gradient[0] = ad_transpose(g);
}

AD_DEFINE_OP(transpose) = {
    .name = "transpose",
    .n_in = 1,
    .flags = AD_OP_LINEAR,
    .shape = transpose_shape,
    .evaluate[AD_DTYPE] = transpose_evaluate,
    .vjp = transpose_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(3, 4), -2, 2}}}, {.n_in = 1, .in = {{AD_DIMS(1, 5), -2, 2}}},
               {.n_in = 1, .in = {{AD_DIMS(21, 34), -2, 2}}}),
};

/* ---- broadcast, to_rows -------------------------------------------------------------------------------------- */

/* The loop of ops that only spread their argument out. */
AD_LOOP(copy)
{
    (void)stride, (void)attribute;
    memcpy(to, in[0], n * sizeof(real));
}

/* attribute: the extents. */
static bool broadcast_shape(const ad_call *call, ad_shape *result)
{
    ad_shape from = ad_shape_of(call->in[0]), both;
    *result = shape_of_attributes(call);
    if (ad__shape_broadcast(from, *result, &both) && ad_shape_equal(both, *result)) return true;
    char a[128], b[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT,
                 "broadcast: %s doesn't stretch to %s: aligned at the last axis, extents must be equal or 1",
                 ad_shape_text(from, a), ad_shape_text(*result, b));
    return false;
}

static void broadcast_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call, (void)y;
    gradient[0] = g;
}

AD_ELEMENT(broadcast)
{
    (void)attribute;
    (void)list;
    return in[0];
}

AD_DEFINE_OP(broadcast) = {
    .name = "broadcast",
    .n_in = 1,
    .flags = AD_OP_LINEAR,
    .shape = broadcast_shape,
    .loop[AD_DTYPE] = copy_loop,
    AD_FUSED_BY_ELEMENT(broadcast),
    .vjp = broadcast_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(3, 1), -2, 2}}, AD_ATTRIBUTES(3, 4)},
               {.n_in = 1, .in = {{AD_NO_DIMS, -2, 2}}, AD_ATTRIBUTES(5)},
               {.n_in = 1, .in = {{AD_DIMS(4), -2, 2}}, AD_ATTRIBUTES(2, 3, 4)}),
};

static void to_rows_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call, (void)y;
    gradient[0] = g;
}

AD_ELEMENT(to_rows)
{
    (void)attribute;
    (void)list;
    return in[0];
}

AD_DEFINE_OP(to_rows) = {
    .name = "to_rows",
    .n_in = 1,
    .flags = AD_OP_PER_ROW | AD_OP_LINEAR,
    .shape = same_shape,
    .loop[AD_DTYPE] = copy_loop,
    AD_FUSED_BY_ELEMENT(to_rows),
    .vjp = to_rows_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(5), -2, 2}}}, {.n_in = 1, .in = {{AD_DIMS(2, 3), -2, 2}}}),
};

/* ---- slice, pad ---------------------------------------------------------------------------------------------- */

/* attribute: axis, start, stop. */
static bool slice_shape(const ad_call *call, ad_shape *result)
{
    *result = ad_shape_of(call->in[0]);
    if (!check_axis(call, "slice")) return false;
    double start = call->attribute[1], stop = call->attribute[2];
    size_t *extent = &result->dim[(int)call->attribute[0]];
    if (!(start < stop && stop <= (double)*extent)) {
        ad_tape_fail(call->tape, AD_ERROR_ARGUMENT,
                     "slice: elements %.0f to %.0f (exclusive) of an axis that has %zu: start < stop <= extent", start,
                     stop, *extent);
        return false;
    }
    *extent = (size_t)(stop - start);
    return true;
}

static void slice_evaluate(const ad_tile *tile)
{
    const axis_view whole = view_axis(&tile->in[0].shape, tile->attribute[0], rows_of(&tile->out, tile));
    const size_t start = (size_t)tile->attribute[1], count = (size_t)tile->attribute[2] - start;
    const real *in = real_in(tile, 0);
    real *out = tile->out.data;
    for (size_t i = 0; i < whole.outer; i++)
        memcpy(out + i * count * whole.run, in + (i * whole.n + start) * whole.run, count * whole.run * sizeof(real));
}

static void slice_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    int axis = (int)call->attribute[0];
    gradient[0] = ad__pad(g, axis, (size_t)call->attribute[1], ad_shape_of(call->in[0]).dim[axis]);
}

static bool slice_view(const ad_call *call, size_t *offset)
{
    ad_shape shape = ad_shape_of(call->in[0]);
    axis_view view = view_axis(&shape, call->attribute[0], 1);
    *offset = (size_t)call->attribute[1] * view.run;
    return view.outer == 1;
}

AD_FUSED_CALL(slice)
{
    const axis_view whole = view_axis(&call->in_shape[0], call->attribute[0], 1);
    const size_t start = (size_t)call->attribute[1], count = (size_t)call->attribute[2] - start;
    for (size_t i = 0; i < whole.outer; i++)
        memcpy(call->out + i * count * whole.run, call->in[0] + (i * whole.n + start) * whole.run,
               count * whole.run * sizeof *call->out);
}

AD_DEFINE_OP(slice) = {
    .name = "slice",
    .n_in = 1,
    .flags = AD_OP_LINEAR,
    .shape = slice_shape,
    .evaluate[AD_DTYPE] = slice_evaluate,
    AD_FUSED_BY_CALL(slice, is_written_out),
    .vjp = slice_vjp,
    .view = slice_view,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(5), -2, 2}}, AD_ATTRIBUTES(0, 1, 3)},
               {.n_in = 1, .in = {{AD_DIMS(4, 3), -2, 2}}, AD_ATTRIBUTES(0, 2, 4)},
               {.n_in = 1, .in = {{AD_DIMS(2, 5, 3), -2, 2}}, AD_ATTRIBUTES(1, 1, 4)},
               {.n_in = 1, .in = {{AD_DIMS(3, 4), -2, 2}}, AD_ATTRIBUTES(1, 0, 1)}),
};

/* attribute: axis, start, size. */
static bool pad_shape(const ad_call *call, ad_shape *result)
{
    *result = ad_shape_of(call->in[0]);
    if (!check_axis(call, "pad")) return false;
    size_t *extent = &result->dim[(int)call->attribute[0]];
    if (!(call->attribute[1] >= 0 && call->attribute[1] + (double)*extent <= call->attribute[2])) {
        ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "pad: %zu elements from %.0f don't fit into %.0f", *extent,
                     call->attribute[1], call->attribute[2]);
        return false;
    }
    *extent = (size_t)call->attribute[2];
    return true;
}

static void pad_evaluate(const ad_tile *tile)
{
    const axis_view part = view_axis(&tile->in[0].shape, tile->attribute[0], rows_of(&tile->out, tile));
    const size_t whole = (size_t)tile->attribute[2] * part.run, size = part.n * part.run;
    const size_t before = (size_t)tile->attribute[1] * part.run;
    const real *in = real_in(tile, 0);
    real *out = tile->out.data;
    for (size_t i = 0; i < part.outer; i++, in += size, out += whole) {
        memset(out, 0, before * sizeof(real));
        memcpy(out + before, in, size * sizeof(real));
        memset(out + before + size, 0, (whole - before - size) * sizeof(real));
    }
}

static void pad_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    int axis = (int)call->attribute[0];
    size_t start = (size_t)call->attribute[1];
    gradient[0] = ad_slice(g, axis, start, start + ad_shape_of(call->in[0]).dim[axis]);
}

AD_FUSED_CALL(pad)
{
    const axis_view part = view_axis(&call->in_shape[0], call->attribute[0], 1);
    const size_t whole = (size_t)call->attribute[2] * part.run, size = part.n * part.run;
    const size_t before = (size_t)call->attribute[1] * part.run;
    const ad__element zero = ad__element_constant(call->list, 0);
    for (size_t i = 0; i < part.outer * whole; i++) {
        const size_t at = i % whole;
        const bool inside = at >= before && at < before + size;
        call->out[i] = inside ? call->in[0][i / whole * size + at - before] : zero;
    }
}

AD_DEFINE_OP(pad) = {
    .name = "pad",
    .n_in = 1,
    .flags = AD_OP_LINEAR,
    .shape = pad_shape,
    .evaluate[AD_DTYPE] = pad_evaluate,
    AD_FUSED_BY_CALL(pad, is_written_out),
    .vjp = pad_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(3), -2, 2}}, AD_ATTRIBUTES(0, 1, 5)},
               {.n_in = 1, .in = {{AD_DIMS(2, 3), -2, 2}}, AD_ATTRIBUTES(1, 2, 5)},
               {.n_in = 1, .in = {{AD_DIMS(2, 2, 3), -2, 2}}, AD_ATTRIBUTES(1, 0, 4)}),
};

/* ---- concat -------------------------------------------------------------------------------------------------- */

/* attribute: the axis. */
static bool concat_shape(const ad_call *call, ad_shape *result)
{
    if (call->n_in < 1) {
        ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "concat: needs at least one part");
        return false;
    }
    *result = ad_shape_of(call->in[0]);
    if (!check_axis(call, "concat")) return false;
    int axis = (int)call->attribute[0];
    for (int i = 1; i < call->n_in; i++) {
        ad_shape part = ad_shape_of(call->in[i]), wanted = *result;
        if (part.rank == wanted.rank) wanted.dim[axis] = part.dim[axis];
        if (!ad_shape_equal(part, wanted)) {
            char a[128], b[128];
            ad_tape_fail(call->tape, AD_ERROR_ARGUMENT,
                         "concat: part 0 has shape %s and part %d has %s: they may differ in axis %d only",
                         ad_shape_text(ad_shape_of(call->in[0]), a), i, ad_shape_text(part, b), axis);
            return false;
        }
        result->dim[axis] += part.dim[axis];
    }
    return true;
}

/* Copy n features, spreading a shared one over the rows; nothing to do where the planner had the part made in place. */
static void copy_features(size_t n, const real *in, bool spread, real *out, size_t rows)
{
    if (in == out) return;
    if (!spread) {
        memcpy(out, in, n * rows * sizeof(real));
        return;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < rows; r++) out[i * rows + r] = in[i];
}

static void concat_evaluate(const ad_tile *tile)
{
    const axis_view whole = view_axis(&tile->out.shape, tile->attribute[0], 1);
    const size_t rows = rows_of(&tile->out, tile);
    real *out = tile->out.data;
    for (size_t i = 0; i < whole.outer; i++)
        for (int part = 0; part < tile->n_in; part++) {
            const ad_tensor *in = &tile->in[part];
            size_t features = in->size / whole.outer;
            const real *data = real_in(tile, part) + i * features * rows_of(in, tile);
            copy_features(features, data, in->per_row != tile->out.per_row, out, rows);
            out += features * rows;
        }
}

static void concat_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    int axis = (int)call->attribute[0];
    size_t start = 0;
    for (int i = 0; i < call->n_in; i++) {
        size_t stop = start + ad_shape_of(call->in[i]).dim[axis];
        gradient[i] = ad_slice(g, axis, start, stop);
        start = stop;
    }
}

AD_FUSED_CALL(concat)
{
    const axis_view whole = view_axis(&call->out_shape, call->attribute[0], 1);
    ad__element *out = call->out;
    for (size_t i = 0; i < whole.outer; i++)
        for (int part = 0; part < call->n_in; part++) {
            const size_t count = ad_shape_size(call->in_shape[part]) / whole.outer;
            memcpy(out, call->in[part] + i * count, count * sizeof *out);
            out += count;
        }
}

AD_DEFINE_OP(concat) = {
    .name = "concat",
    .n_in = -1,
    .flags = AD_OP_LINEAR,
    .shape = concat_shape,
    .evaluate[AD_DTYPE] = concat_evaluate,
    AD_FUSED_BY_CALL(concat, is_written_out),
    .vjp = concat_vjp,
    AD_SAMPLES(
        {.n_in = 2, .in = {{AD_DIMS(3), -2, 2}, {AD_DIMS(2), -2, 2}}, AD_ATTRIBUTES(0)},
        {.n_in = 3, .in = {{AD_DIMS(2, 3), -2, 2}, {AD_DIMS(2, 1), -2, 2}, {AD_DIMS(2, 2), -2, 2}}, AD_ATTRIBUTES(1)},
        {.n_in = 2, .in = {{AD_DIMS(1, 3), -2, 2}, {AD_DIMS(2, 3), -2, 2}}, AD_ATTRIBUTES(0)}),
};
