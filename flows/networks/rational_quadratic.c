/* rational_quadratic: monotone rational-quadratic splines (Durkan et al. 2019, "Neural spline flows", eq. 4 to 8 and
 * appendix A), from x to y. As there, y is on the side of the base distribution: `inverse` (density) evaluates the
 * spline, forward (sampling) solves it.
 *
 * Between -B and B (the tail bound) there are K bins, with knots (x_k, y_k) and derivatives δ_k there. In bin k, of
 * width w, height h and slope s = h/w, with ξ = (x - x_k)/w and η = (y - y_k)/h:
 *
 *     η = [s ξ² + δ_k ξ(1-ξ)] / β,       β = s + σ ξ(1-ξ),   σ = δ_k + δ_(k+1) - 2s
 *     dy/dx = s² [δ_(k+1) ξ² + 2s ξ(1-ξ) + δ_k (1-ξ)²] / β²
 *
 * and back: the ξ in [0, 1] with a ξ² + b ξ + c = 0, a = s - b, b = δ_k - ση, c = -sη.
 *
 * Outside it is the identity; derivatives at ±B are 1. B is 5 at first, which a normal draw is within but for one in
 * two million: with 3, one in 370 is left as it is. The 3K-1 parameters are those of nflows: K of widths and K of
 * heights, each m + (1 - mK) softmax of the whole; K-1 of inner derivatives, m + softplus(u + u_1), where u_1 makes the
 * derivative 1 at u = 0. m = 1e-3. Everything is computed with [-B, B] as [0, 1], on both axes.
 *
 * So a place is known to a unit of rounding of 2B, in float32 to 6e-7, in whichever direction: where the spline is flat
 * or bends within that, which large parameters make it do (slopes from 1e-6 to 1e6), a way there and back is off by
 * that times the slope, and log-slopes and gradients are those of a place so near. Of such splines float64 keeps nine
 * digits more.
 *
 * A bin's numbers are picked by a sum over bins with a weight of 1 for the right one and 0 for the others: exactly. */
#include <weir/transformer.h>

#include <weir/features.h>
#include <weir/memory.h>

#include <math.h>

static const double least = 1e-3; /* width, height (of 1) and derivative */

static size_t bins_of(const nf_choice *self)
{
    return (size_t)nf_choice_value(self, "bins");
}

static size_t parameters_of(const nf_choice *self)
{
    return 3 * bins_of(self) - 1;
}

/* The bins of both axes, x first. */
typedef struct {
    ad_var part; /* (2, K, n): e^u, the bins' unnormalized extents */
    ad_var unit; /* (2, n): (1 - mK) / Σ part */
} axes;

static axes axes_of(ad_var u, size_t bins, size_t n)
{
    ad_var most = ad_stop_gradient(ad_reshape(ad_max_axis(u, 1), AD_SHAPE(2, 1, n)));
    ad_var part = ad_exp(ad_sub(u, most));
    return (axes){part, ad_div(ad_scalar(u.tape, 1 - least * (double)bins), ad_sum_axis(part, 1))};
}

/* Of one axis, without the first extent. */
static ad_var of_axis(ad_var both, size_t axis)
{
    ad_shape shape = ad_shape_of(both), one = {.rank = shape.rank - 1};
    for (int i = 0; i < one.rank; i++) one.dim[i] = shape.dim[i + 1];
    return ad_reshape(ad_slice(both, 0, axis, axis + 1), one);
}

/* (count, 1): first, first + 1, … */
static ad_var counted(ad_tape *tape, size_t first, size_t count)
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

static ad_var derivative_of(ad_var u)
{
    double u1 = log(expm1(1 - least));
    return ad_add_scalar(ad_softplus(ad_add_scalar(u, u1)), least);
}

/* What the spline is made of in the bin where each feature is; all (n). */
typedef struct {
    ad_var x, y; /* its lower left corner */
    ad_var width, height, slope;
    ad_var left, right; /* derivatives */
} bin;

/* Σ_k weight_k q_k; weight (K, n), q (2, K, n) or (K, n). */
static ad_var pick(ad_var weight, ad_var q)
{
    return ad_sum_axis(ad_mul(weight, q), ad_shape_of(q).rank - 2);
}

/* How many knots are at or before `at` (n), which is on the axis; not counting the first and the last. */
static ad_var count_knots(const axes *a, size_t axis, size_t bins, ad_var at)
{
    ad_var before = ad_slice(ad_cumsum(of_axis(a->part, axis), 0, false), 0, 0, bins - 1);
    ad_var share = ad_mul_scalar(counted(at.tape, 1, bins - 1), least);
    ad_var knots = ad_add(ad_mul(before, of_axis(a->unit, axis)), share);
    return ad_sum_axis(ad_greater_equal(at, knots), 0);
}

/* The bin of `at`, on the x axis (0) or y axis (1). */
static bin find_bin(ad_var parameters, size_t bins, ad_var at, size_t axis)
{
    ad_tape *tape = at.tape;
    size_t n = ad_shape_of(at).dim[0];
    axes a = axes_of(ad_reshape(ad_slice(parameters, 0, 0, 2 * bins), AD_SHAPE(2, bins, n)), bins, n);
    ad_var number = count_knots(&a, axis, bins, at), all = counted(tape, 0, bins);
    ad_var is_in = ad_equal(number, all), is_before = ad_greater(number, all);
    ad_var corner = ad_add(ad_mul(pick(is_before, a.part), a.unit), ad_mul_scalar(number, least));
    ad_var extent = ad_add_scalar(ad_mul(pick(is_in, a.part), a.unit), least);
    /* The first bin's left and the last one's right derivative are 1: nothing is picked, which is u = 0. */
    ad_var inner = ad_slice(parameters, 0, 2 * bins, 3 * bins - 1);
    ad_var left = pick(ad_slice(is_in, 0, 1, bins), inner), right = pick(ad_slice(is_in, 0, 0, bins - 1), inner);
    bin b = {.x = of_axis(corner, 0),
             .y = of_axis(corner, 1),
             .width = of_axis(extent, 0),
             .height = of_axis(extent, 1),
             .left = derivative_of(left),
             .right = derivative_of(right)};
    b.slope = ad_div(b.height, b.width);
    return b;
}

static ad_var map(const nf_choice *self, ad_var v, ad_var parameters, bool inverse, ad_var *log_derivative)
{
    double tail = nf_choice_value(self, "tail");
    ad_var zero = ad_scalar(v.tape, 0);
    ad_var is_inside = ad_greater(ad_scalar(v.tape, tail), ad_abs(v));
    ad_var place = ad_add_scalar(ad_mul_scalar(ad_where(is_inside, v, zero), 0.5 / tail), 0.5);
    bin b = find_bin(parameters, bins_of(self), place, inverse ? 0 : 1);
    const nf_spline_bin in = {b.left, b.right, b.slope};
    ad_var xi =
        inverse ? ad_div(ad_sub(place, b.x), b.width) : nf_spline_bin_root(&in, ad_div(ad_sub(place, b.y), b.height));
    ad_var log_slope, eta = nf_spline_bin_value(&in, xi, &log_slope);
    ad_var out = inverse ? ad_add(b.y, ad_mul(b.height, eta)) : ad_add(b.x, ad_mul(b.width, xi));
    *log_derivative = ad_where(is_inside, inverse ? log_slope : ad_neg(log_slope), zero);
    return ad_where(is_inside, ad_mul_scalar(ad_add_scalar(out, -0.5), 2 * tail), v);
}

static ad_var forward(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative)
{
    return map(self, z, parameters, false, log_derivative);
}

static ad_var inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    return map(self, x, parameters, true, log_derivative);
}

const nf_transformer_type nf_transformer_rational_quadratic = {
    .name = "rational_quadratic",
    .help = "z = spline(x), a monotone rational-quadratic one (Durkan et al. 2019)",
    .argument = (const nf_argument[]){NF_RATIONAL_QUADRATIC_ARGUMENTS, {0}},
    .parameters = parameters_of,
    .forward = forward,
    .inverse = inverse,
};
