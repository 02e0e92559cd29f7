/* A target's log-density and gradient from a function outside: one op gives both, from one call for each row,
 * or for all of a tile. */
#include "targets/target_external.h"

#include <weir/target.h>

#include <string.h>

static double get(const ad_tensor *x, size_t feature, size_t row, size_t rows, ad_dtype dtype)
{
    size_t i = x->per_row ? feature * rows + row : feature;
    return dtype == AD_F32 ? (double)((const float *)x->data)[i] : ((const double *)x->data)[i];
}

static void put(const ad_tile *tile, size_t feature, size_t row, ad_dtype dtype, double value)
{
    size_t i = tile->out.per_row ? feature * tile->rows + row : feature;
    if (dtype == AD_F32)
        ((float *)tile->out.data)[i] = (float)value;
    else
        ((double *)tile->out.data)[i] = value;
}

/* x (n) to (1 + n): the log-density, and behind it its gradient. Rows of padding repeat the last one. */
static void evaluate(const ad_tile *tile, ad_dtype dtype)
{
    const nf_target *target = ad_object_data(tile->object);
    const size_t n = tile->in[0].size, rows = tile->valid;
    double *x = tile->scratch, *log_density = x + rows * n, *gradient = log_density + rows;
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < n; i++) x[row * n + i] = get(&tile->in[0], i, row, tile->rows, dtype);
    if (target->external_rows) target->external_rows(target, x, rows, log_density, gradient);
    for (size_t row = 0; row < rows && !target->external_rows; row++)
        log_density[row] = target->external(target, x + row * n, gradient + row * n);
    for (size_t row = 0; row < tile->rows; row++) {
        const size_t from = row < rows ? row : rows - 1;
        put(tile, 0, row, dtype, log_density[from]);
        for (size_t i = 0; i < n; i++) put(tile, i + 1, row, dtype, gradient[from * n + i]);
    }
}

static void evaluate_f32(const ad_tile *tile)
{
    evaluate(tile, AD_F32);
}

static void evaluate_f64(const ad_tile *tile)
{
    evaluate(tile, AD_F64);
}

static bool shape(const ad_call *call, ad_shape *result)
{
    *result = AD_SHAPE(1 + ad_shape_size(ad_shape_of(call->in[0])));
    return true;
}

static size_t scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    (void)dtype;
    return rows * (1 + 2 * ad_shape_size(ad_shape_of(call->in[0]))) * sizeof(double);
}

/* ---- The gradient: what evaluate() has put behind the log-density --------------------------------------------- */

static void copy_gradient(const ad_tile *tile, ad_dtype dtype)
{
    for (size_t i = 0; i < tile->out.size; i++)
        for (size_t row = 0; row < tile->rows; row++)
            put(tile, i, row, dtype, get(&tile->in[0], i + 1, row, tile->rows, dtype));
}

static void gradient_f32(const ad_tile *tile)
{
    copy_gradient(tile, AD_F32);
}

static void gradient_f64(const ad_tile *tile)
{
    copy_gradient(tile, AD_F64);
}

static bool gradient_shape(const ad_call *call, ad_shape *result)
{
    *result = AD_SHAPE(ad_shape_size(ad_shape_of(call->in[0])) - 1);
    return true;
}

static void no_second_derivatives(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    (void)g;
    (void)gradient;
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "a target's external log-density has no second derivatives");
}

static const ad_op gradient_op = {.name = "external_gradient",
                                  .n_in = 1,
                                  .shape = gradient_shape,
                                  .evaluate = {gradient_f32, gradient_f64},
                                  .vjp = no_second_derivatives};

static void vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    gradient[0] = ad_mul(ad_slice(g, 0, 0, 1), ad_apply(&gradient_op, &y, 1, NULL, 0, call->tape));
}

static const ad_op op = {.name = "external",
                         .n_in = 1,
                         .shape = shape,
                         .evaluate = {evaluate_f32, evaluate_f64},
                         .vjp = vjp,
                         .scratch = scratch};

ad_var nf__target_external(const nf_target *target, ad_var value)
{
    ad_object *object = ad_object_new((void *)(uintptr_t)target, NULL);
    if (!object) ad_tape_fail(value.tape, AD_ERROR_MEMORY, "out of memory for target '%s'", target->name);
    ad_var both = ad_apply_object(&op, &value, 1, NULL, 0, object, value.tape);
    ad_object_release(object);
    return ad_reshape(ad_slice(both, 0, 0, 1), AD_SCALAR);
}
