/* What transformers that are splines share. */
#include "spline.h"

#include <weir/features.h>
#include <weir/memory.h>

#include <math.h>

static const double least = 1e-3; /* extents, of 1, and derivatives */

size_t nf__spline_bins(const nf_choice *self)
{
    return (size_t)nf_choice_value(self, "bins");
}

static const nf__spline *spline_of(const nf_choice *self)
{
    return ((const nf_transformer_type *)self->descriptor)->data;
}

size_t nf__spline_parameters(const nf_choice *self)
{
    const nf__spline *spline = spline_of(self);
    return (size_t)((int)(spline->per_bin * nf__spline_bins(self)) + spline->others);
}

/* ---- On an interval -------------------------------------------------------------------------------------------- */

static ad_var map(const nf_choice *self, ad_var v, ad_var parameters, bool inverse, ad_var *log_derivative)
{
    const double tail = nf_choice_value(self, "tail");
    const double low = tail > 0 ? -tail : nf_choice_value(self, "low");
    const double high = tail > 0 ? tail : nf_choice_value(self, "high"), width = high - low;
    if (!(width > 0)) {
        ad_tape_fail(v.tape, AD_ERROR_ARGUMENT, "expected low < high, got %g and %g", low, high);
        return (ad_var){v.tape, -1};
    }
    ad_var middle = ad_scalar(v.tape, (low + high) / 2), zero = ad_scalar(v.tape, 0);
    ad_var is_inside = ad_greater(ad_scalar(v.tape, width / 2), ad_abs(ad_sub(v, middle)));
    ad_var place = ad_add_scalar(ad_mul_scalar(ad_where(is_inside, v, middle), 1 / width), -low / width), log_slope;
    ad_var out = spline_of(self)->map(self, place, parameters, inverse, &log_slope);
    *log_derivative = ad_where(is_inside, log_slope, zero);
    return ad_where(is_inside, ad_mul_scalar(ad_add_scalar(out, low / width), width), v);
}

ad_var nf__spline_forward(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative)
{
    return map(self, z, parameters, false, log_derivative);
}

ad_var nf__spline_inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    return map(self, x, parameters, true, log_derivative);
}

/* ---- Bins ------------------------------------------------------------------------------------------------------ */

nf__axes nf__axes_of(ad_var u, size_t axes, size_t bins)
{
    return nf__axes_within(u, axes, bins, least);
}

nf__axes nf__axes_within(ad_var u, size_t axes, size_t bins, double m)
{
    const size_t n = ad_shape_of(u).dim[1];
    u = ad_reshape(u, AD_SHAPE(axes, bins, n));
    ad_var most = ad_stop_gradient(ad_reshape(ad_max_axis(u, 1), AD_SHAPE(axes, 1, n)));
    ad_var part = ad_exp(ad_sub(u, most));
    return (nf__axes){bins, m, part, ad_div(ad_scalar(u.tape, 1 - m * (double)bins), ad_sum_axis(part, 1))};
}

ad_var nf__of_axis(ad_var both, size_t axis)
{
    ad_shape shape = ad_shape_of(both), one = {.rank = shape.rank - 1};
    for (int i = 0; i < one.rank; i++) one.dim[i] = shape.dim[i + 1];
    return ad_reshape(ad_slice(both, 0, axis, axis + 1), one);
}

ad_var nf__counted(ad_tape *tape, size_t first, size_t count)
{
    double *number = ad_alloc(count, sizeof *number);
    if (!number) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a spline of %zu bins", count);
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < count; i++) number[i] = (double)(first + i);
    ad_var column = ad_constant(tape, AD_SHAPE(count, 1), number);
    ad_free(number);
    return column;
}

ad_var nf__pick(ad_var weight, ad_var q)
{
    return ad_sum_axis(ad_mul(weight, q), ad_shape_of(q).rank - 2);
}

ad_var nf__knots_before(ad_var knots, ad_var at)
{
    return ad_sum_axis(ad_greater_equal(at, knots), 0);
}

ad_var nf__axes_extents(const nf__axes *a, size_t axis)
{
    return ad_add_scalar(ad_mul(nf__of_axis(a->part, axis), nf__of_axis(a->unit, axis)), a->least);
}

/* The first and the last knot don't count. */
ad_var nf__axes_bin(const nf__axes *a, size_t axis, ad_var at)
{
    ad_var before = ad_slice(ad_cumsum(nf__of_axis(a->part, axis), 0, false), 0, 0, a->bins - 1);
    ad_var share = ad_mul_scalar(nf__counted(at.tape, 1, a->bins - 1), a->least);
    return nf__knots_before(ad_add(ad_mul(before, nf__of_axis(a->unit, axis)), share), at);
}

ad_var nf__axes_corner(const nf__axes *a, ad_var number)
{
    ad_var is_before = ad_greater(number, nf__counted(number.tape, 0, a->bins));
    return ad_add(ad_mul(nf__pick(is_before, a->part), a->unit), ad_mul_scalar(number, a->least));
}

ad_var nf__axes_extent(const nf__axes *a, ad_var number)
{
    ad_var is_in = ad_equal(number, nf__counted(number.tape, 0, a->bins));
    return ad_add_scalar(ad_mul(nf__pick(is_in, a->part), a->unit), a->least);
}

ad_var nf__spline_positive(ad_var u)
{
    const double u1 = log(expm1(1 - least));
    return ad_add_scalar(ad_softplus(ad_add_scalar(u, u1)), least);
}
