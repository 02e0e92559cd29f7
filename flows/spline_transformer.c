/* Monotone rational-quadratic splines (Durkan et al. 2019, "Neural spline flows", eq. 4 to 8 and appendix A).
 *
 * Between -B and B (the tail bound) there are K bins, with knots (x_k, y_k) and derivatives δ_k there. In bin k, of
 * width w, height h and slope s = h/w, with ξ = (x - x_k)/w and η = (y - y_k)/h:
 *
 *     η = [s ξ² + δ_k ξ(1-ξ)] / β,       β = s + σ ξ(1-ξ),   σ = δ_k + δ_(k+1) - 2s
 *     dy/dx = s² [δ_(k+1) ξ² + 2s ξ(1-ξ) + δ_k (1-ξ)²] / β²
 *
 * and back: the ξ in [0, 1] with a ξ² + b ξ + c = 0, a = s - b, b = δ_k - ση, c = -sη.
 *
 * Outside it is the identity; derivatives at ±B are 1. The 3K-1 parameters are those of nflows: K of widths and K of
 * heights, each m + (1 - mK) softmax of the whole; K-1 of inner derivatives, m + softplus(u + u_1), where u_1 makes the
 * derivative 1 at u = 0. m = 1e-3. Everything is computed with [-B, B] as [0, 1], on both axes.
 *
 * A bin's numbers are picked by a sum over bins with a weight of 1 for the right one and 0 for the others: exactly. */
#include "transformer.h"

#include <math.h>

static const double least = 1e-3; /* width, height (of 1) and derivative */

static size_t bins_of(const nf_bijector *self)
{
    return (size_t)nf_argument_value(self, "bins");
}

static size_t parameters_of(const nf_bijector *self)
{
    return 3 * bins_of(self) - 1;
}

/* The K bins of one axis, for each feature. */
typedef struct {
    ad_var part;   /* (K, n): e^u, the bins' unnormalized extents */
    ad_var before; /* (K-1, n): how much of them is before knots 1 … K-1 */
    ad_var unit;   /* (n): (1 - mK) / Σ part */
} axis;

static axis axis_of(ad_var u)
{
    size_t bins = ad_shape_of(u).dim[0];
    ad_var part = ad_exp(ad_sub(u, ad_stop_gradient(ad_max_axis(u, 0))));
    ad_var unit = ad_div(ad_scalar(u.tape, 1 - least * (double)bins), ad_sum_axis(part, 0));
    return (axis){part, ad_slice(ad_cumsum(part, 0, false), 0, 0, bins - 1), unit};
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

/* What the spline is made of in the bin where each feature is; all (n). */
typedef struct {
    ad_var x, y; /* its lower left corner */
    ad_var width, height, slope;
    ad_var left, right; /* derivatives */
} bin;

static ad_var pick(ad_var weight, ad_var q)
{
    return ad_sum_axis(ad_mul(weight, q), 0);
}

/* The knot before the bin, and the bin's extent. passed (K-1, n): which knots are before; is_in (K, n). */
static void pick_axis(const axis *a, ad_var passed, ad_var is_in, ad_var number, ad_var *knot, ad_var *extent)
{
    size_t inner = ad_shape_of(passed).dim[0];
    ad_var before = pick(passed, ad_slice(a->part, 0, 0, inner));
    *knot = ad_add(ad_mul(before, a->unit), ad_mul_scalar(number, least));
    *extent = ad_add_scalar(ad_mul(pick(is_in, a->part), a->unit), least);
}

/* `at` (n), on the x axis or, of the inverse, on y. */
static bin find_bin(ad_var parameters, size_t bins, ad_var at, bool inverse)
{
    ad_tape *tape = at.tape;
    axis x = axis_of(ad_slice(parameters, 0, 0, bins)), y = axis_of(ad_slice(parameters, 0, bins, 2 * bins));
    ad_var derivative = ad_slice(parameters, 0, 2 * bins, 3 * bins - 1);
    const axis *searched = inverse ? &y : &x;
    ad_var knots = ad_add(ad_mul(searched->before, searched->unit), ad_mul_scalar(counted(tape, 1, bins - 1), least));
    ad_var passed = ad_greater_equal(at, knots), number = ad_sum_axis(passed, 0);
    ad_var is_in = ad_equal(number, counted(tape, 0, bins));
    bin b;
    pick_axis(&x, passed, is_in, number, &b.x, &b.width);
    pick_axis(&y, passed, is_in, number, &b.y, &b.height);
    b.slope = ad_div(b.height, b.width);
    /* The first bin's left and the last one's right derivative are 1: nothing is picked, which is u = 0. */
    double u1 = log(expm1(1 - least));
    ad_var left = pick(ad_slice(is_in, 0, 1, bins), derivative);
    ad_var right = pick(ad_slice(is_in, 0, 0, bins - 1), derivative);
    b.left = ad_add_scalar(ad_softplus(ad_add_scalar(left, u1)), least);
    b.right = ad_add_scalar(ad_softplus(ad_add_scalar(right, u1)), least);
    return b;
}

/* The root of a ξ² + b ξ + c, a = s - b, without cancellation: 2c / (-b - √(b² - 4ac)) for b >= 0, else
 * (-b + √(b² - 4ac)) / 2a, where a > 0. */
static ad_var solve(const bin *at, ad_var sigma, ad_var eta)
{
    ad_var b = ad_sub(at->left, ad_mul(sigma, eta)), a = ad_sub(at->slope, b), minus_c = ad_mul(at->slope, eta);
    ad_var discriminant = ad_add(ad_square(b), ad_mul_scalar(ad_mul(a, minus_c), 4));
    ad_var usual = ad_greater_equal(b, ad_scalar(b.tape, 0));
    ad_var root = ad_sqrt(ad_maximum(discriminant, ad_scalar(b.tape, 1e-30)));
    ad_var q = ad_add(ad_where(usual, b, ad_neg(b)), root);
    return ad_div(ad_where(usual, ad_mul_scalar(minus_c, 2), q), ad_where(usual, q, ad_mul_scalar(a, 2)));
}

static ad_var map(const nf_bijector *self, ad_var v, ad_var parameters, bool inverse, ad_var *log_derivative)
{
    double tail = nf_argument_value(self, "tail");
    ad_var zero = ad_scalar(v.tape, 0), one = ad_scalar(v.tape, 1);
    ad_var is_inside = ad_greater(ad_scalar(v.tape, tail), ad_abs(v));
    ad_var at = ad_add_scalar(ad_mul_scalar(ad_where(is_inside, v, zero), 0.5 / tail), 0.5);
    bin b = find_bin(parameters, bins_of(self), at, inverse);
    ad_var sigma = ad_sub(ad_add(b.left, b.right), ad_mul_scalar(b.slope, 2)), xi, out;
    if (inverse)
        xi = solve(&b, sigma, ad_div(ad_sub(at, b.y), b.height));
    else
        xi = ad_div(ad_sub(at, b.x), b.width);

    ad_var rest = ad_sub(one, xi), both = ad_mul(xi, rest), xi2 = ad_square(xi);
    ad_var beta = ad_add(b.slope, ad_mul(sigma, both));
    if (inverse)
        out = ad_add(b.x, ad_mul(b.width, xi));
    else
        out = ad_add(b.y, ad_div(ad_mul(b.height, ad_add(ad_mul(b.slope, xi2), ad_mul(b.left, both))), beta));
    out = ad_mul_scalar(ad_add_scalar(out, -0.5), 2 * tail);
    ad_var numerator =
        ad_add(ad_add(ad_mul(b.right, xi2), ad_mul(ad_mul_scalar(b.slope, 2), both)), ad_mul(b.left, ad_square(rest)));
    ad_var log_slope = ad_add(ad_log(numerator), ad_mul_scalar(ad_log(ad_div(b.slope, beta)), 2));
    *log_derivative = ad_where(is_inside, inverse ? ad_neg(log_slope) : log_slope, zero);
    return ad_where(is_inside, out, v);
}

const nf_transformer nf_spline_transformer = {.parameters = parameters_of, .map = map};
