/* Picking elements by their indices, and putting them there. */
#include "ops/axis.h"

#include <weir/memory.h>

static bool check_index(const ad_call *call, const char *op, const double *index, size_t count, double extent)
{
    if (ad_shape_of(call->in[0]).rank == 0) {
        ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "%s: needs an axis, got shape (); reshape it to (1)", op);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (index[i] >= 0 && index[i] < extent) continue;
        ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "%s: index[%zu] is %.0f, but axis 0 has %.0f elements", op, i,
                     index[i], extent);
        return false;
    }
    return true;
}

/* attribute: the indices. */
static bool gather_shape(const ad_call *call, ad_shape *result)
{
    *result = ad_shape_of(call->in[0]);
    if (!check_index(call, "gather", call->attribute, call->n_attribute, (double)result->dim[0])) return false;
    if (call->n_attribute == 0) {
        ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "gather: needs at least one index");
        return false;
    }
    result->dim[0] = call->n_attribute;
    return true;
}

static void gather_evaluate(const ad_tile *tile)
{
    const size_t run = view_axis(&tile->out.shape, 0, rows_of(&tile->out, tile)).run;
    const real *in = real_in(tile, 0);
    real *out = tile->out.data;
    for (size_t i = 0; i < tile->n_attribute; i++)
        memcpy(out + i * run, in + (size_t)tile->attribute[i] * run, run * sizeof(real));
}

/* Indices, which ops keep as numbers, as indices. Free the result. */
static size_t *index_of(const ad_call *call, const double *number, size_t count)
{
    size_t *index = ad_alloc(count, sizeof *index);
    if (!index) ad_tape_fail(call->tape, AD_ERROR_MEMORY, "out of memory for %zu indices", count);
    for (size_t i = 0; index && i < count; i++) index[i] = (size_t)number[i];
    return index;
}

static void gather_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    size_t *index = index_of(call, call->attribute, call->n_attribute);
    if (!index) return;
    gradient[0] = ad_scatter(g, index, call->n_attribute, ad_shape_of(call->in[0]).dim[0]);
    ad_free(index);
}

AD_FUSED_CALL(gather)
{
    const size_t run = view_axis(&call->out_shape, 0, 1).run;
    for (size_t i = 0; i < call->n_attribute; i++)
        memcpy(call->out + i * run, call->in[0] + (size_t)call->attribute[i] * run, run * sizeof *call->out);
}

AD_DEFINE_OP(gather) = {
    .name = "gather",
    .n_in = 1,
    .flags = AD_OP_LINEAR,
    .shape = gather_shape,
    .evaluate[AD_DTYPE] = gather_evaluate,
    AD_FUSED_BY_CALL(gather, is_first_written_out),
    .vjp = gather_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(4), -2, 2}}, AD_ATTRIBUTES(3, 0, 2, 1)},
               {.n_in = 1, .in = {{AD_DIMS(5), -2, 2}}, AD_ATTRIBUTES(1, 4, 1)},
               {.n_in = 1, .in = {{AD_DIMS(3, 2), -2, 2}}, AD_ATTRIBUTES(2, 2, 0, 2)}),
};

/* attribute: the size, then the indices. */
static bool scatter_shape(const ad_call *call, ad_shape *result)
{
    *result = ad_shape_of(call->in[0]);
    if (!check_index(call, "scatter", call->attribute + 1, call->n_attribute - 1, call->attribute[0])) return false;
    if (result->dim[0] != call->n_attribute - 1) {
        ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "scatter: %zu indices for %zu elements along axis 0",
                     call->n_attribute - 1, result->dim[0]);
        return false;
    }
    result->dim[0] = (size_t)call->attribute[0];
    return true;
}

static void scatter_evaluate(const ad_tile *tile)
{
    const axis_view whole = view_axis(&tile->out.shape, 0, rows_of(&tile->out, tile));
    const size_t run = whole.run;
    const real *in = real_in(tile, 0);
    real *out = tile->out.data;
    memset(out, 0, whole.n * run * sizeof(real));
    for (size_t i = 0; i + 1 < tile->n_attribute; i++) { /* -0 + x is x, whatever x; fused, the first is just taken */
        real *to = out + (size_t)tile->attribute[i + 1] * run;
        AD_SIMD for (size_t j = 0; j < run; j++) to[j] = (real)-0.0;
    }
    for (size_t i = 0; i + 1 < tile->n_attribute; i++) {
        real *to = out + (size_t)tile->attribute[i + 1] * run;
        const real *from = in + i * run;
        AD_SIMD for (size_t j = 0; j < run; j++) to[j] += from[j];
    }
}

static void scatter_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    size_t count = call->n_attribute - 1;
    size_t *index = index_of(call, call->attribute + 1, count);
    if (!index) return;
    gradient[0] = ad_gather(g, index, count);
    ad_free(index);
}

AD_FUSED_CALL(scatter)
{
    const axis_view whole = view_axis(&call->out_shape, 0, 1);
    const ad__element none = -1, zero = ad__element_constant(call->list, 0);
    for (size_t i = 0; i < whole.n * whole.run; i++) call->out[i] = none;
    for (size_t i = 0; i + 1 < call->n_attribute; i++)
        for (size_t j = 0; j < whole.run; j++) {
            ad__element *to = &call->out[(size_t)call->attribute[i + 1] * whole.run + j];
            const ad__element from = call->in[0][i * whole.run + j];
            *to = *to == none ? from : ad__element_add(call->list, *to, from);
        }
    for (size_t i = 0; i < whole.n * whole.run; i++)
        if (call->out[i] == none) call->out[i] = zero;
}

AD_DEFINE_OP(scatter) = {
    .name = "scatter",
    .n_in = 1,
    .flags = AD_OP_LINEAR,
    .shape = scatter_shape,
    .evaluate[AD_DTYPE] = scatter_evaluate,
    AD_FUSED_BY_CALL(scatter, is_first_written_out),
    .vjp = scatter_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(3), -2, 2}}, AD_ATTRIBUTES(5, 4, 0, 2)},
               {.n_in = 1, .in = {{AD_DIMS(3), -2, 2}}, AD_ATTRIBUTES(2, 1, 1, 0)},
               {.n_in = 1, .in = {{AD_DIMS(2, 3), -2, 2}}, AD_ATTRIBUTES(4, 3, 1)}),
};
