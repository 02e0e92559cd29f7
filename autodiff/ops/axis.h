/* Ops along one axis of their argument, which is their attribute[0]; and those that reduce it. */
#ifndef WEIR_AUTODIFF_OPS_AXIS_H
#define WEIR_AUTODIFF_OPS_AXIS_H

#include "ops/kernels.h"

/* A tensor as (outer, n, run): n is an axis' extent, and `run` numbers lie next to each other, rows included. */
typedef struct {
    size_t outer, n, run;
} axis_view;

static inline axis_view view_axis(const ad_shape *shape, double axis, size_t rows)
{
    axis_view view = {1, shape->dim[(int)axis], rows};
    for (int i = 0; i < (int)axis; i++) view.outer *= shape->dim[i];
    for (int i = (int)axis + 1; i < shape->rank; i++) view.run *= shape->dim[i];
    return view;
}

/* The first of the n numbers that are reduced to number i. */
static inline size_t first_of(const axis_view *view, size_t i)
{
    return i / view->run * view->n * view->run + i % view->run;
}

/* Axis ops have the axis as their attribute[0]. */
static inline bool check_axis(const ad_call *call, const char *op)
{
    ad_shape shape = ad_shape_of(call->in[0]);
    double axis = call->attribute[0];
    if (axis >= 0 && axis < shape.rank) return true;
    char text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "%s: axis %g of shape %s: axes are numbered from 0", op, axis,
                 ad_shape_text(shape, text));
    return false;
}

/* Fused, their axis must be among those that are written out; that of a reduction is not among the result's. */
static inline bool is_written_out(const double *attribute, int lead)
{
    return attribute[0] < lead;
}

static inline bool is_reduced_before(const double *attribute, int lead)
{
    return attribute[0] <= lead;
}

static inline bool is_first_written_out(const double *attribute, int lead)
{
    (void)attribute;
    return lead > 0;
}

/* ---- Reductions ---------------------------------------------------------------------------------------------- */

static inline axis_view axis_of(const ad_tile *tile)
{
    return view_axis(&tile->in[0].shape, tile->attribute[0], rows_of(&tile->in[0], tile));
}

static inline ad_shape without_axis(ad_shape shape, int axis)
{
    for (int i = axis; i + 1 < shape.rank; i++) shape.dim[i] = shape.dim[i + 1];
    shape.rank--;
    return shape;
}

static inline bool reduced_shape(const ad_call *call, const char *op, ad_shape *result)
{
    if (!check_axis(call, op)) return false;
    *result = without_axis(ad_shape_of(call->in[0]), (int)call->attribute[0]);
    return true;
}

/* v, which lacks the reduced axis, with an extent of 1 there: so it broadcasts against the argument. */
static inline ad_var restore_axis(const ad_call *call, ad_var v)
{
    ad_shape shape = ad_shape_of(call->in[0]);
    shape.dim[(int)call->attribute[0]] = 1;
    return ad_reshape(v, shape);
}

#define AD_REDUCTION_SAMPLES                                                                                           \
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(5), -2, 2}}, AD_ATTRIBUTES(0)},                                             \
               {.n_in = 1, .in = {{AD_DIMS(3, 4), -2, 2}}, AD_ATTRIBUTES(0)},                                          \
               {.n_in = 1, .in = {{AD_DIMS(3, 4), -2, 2}}, AD_ATTRIBUTES(1)},                                          \
               {.n_in = 1, .in = {{AD_DIMS(2, 3, 4), -2, 2}}, AD_ATTRIBUTES(1)})

#endif
