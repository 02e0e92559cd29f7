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
 * With the argument `slope`, L = |log slope| above 0, they are those of zuko: widths and heights are the softmax of
 * u / (1 + |2u/L|), and derivatives exp(u / (1 + |u/L|)), from slope to 1/slope.
 *
 * bounded_rational_quadratic is the same on [low, high], with derivatives of the parameters at the ends too, where its
 * density jumps to that of the identity: for distributions on an interval, with the base `uniform(low,high)`. And
 * circular_rational_quadratic maps angles: see below.
 *
 * So a place is known to a unit of rounding of 2B, in float32 to 6e-7, in whichever direction: where the spline is flat
 * or bends within that, which large parameters make it do (slopes from 1e-6 to 1e6), a way there and back is off by
 * that times the slope, and log-slopes and gradients are those of a place so near. Of such splines float64 keeps nine
 * digits more. */
#include "spline.h"

#include <weir/features.h>

#include <math.h>

/* What the spline is made of in the bin where each feature is; all (n). */
typedef struct {
    ad_var x, y; /* its lower left corner */
    ad_var width, height, slope;
    ad_var left, right; /* derivatives */
} bin;

/* u / (1 + |times u / log slope|); without a slope u. */
static ad_var bounded(ad_var u, double slope, double times)
{
    if (!(slope > 0)) return u;
    return ad_div(u, ad_add_scalar(ad_abs(ad_mul_scalar(u, times / log(slope))), 1));
}

static ad_var derivative(ad_var u, double slope)
{
    return slope > 0 ? ad_exp(bounded(u, slope, 1)) : nf__spline_positive(u);
}

/* Derivatives at the ends of a bin, of as many parameters as there are: K-1 of inner knots, with 1 at the first and the
 * last one; K of a circle, whose last knot is its first; or K+1, of all. */
static void pick_derivatives(bin *b, ad_var is_in, ad_var u, size_t bins, double slope)
{
    const size_t given = ad_shape_of(u).dim[0];
    ad_var left, right;
    if (given + 1 == bins) { /* at the ends nothing is picked, which is u = 0 */
        left = nf__pick(ad_slice(is_in, 0, 1, bins), u);
        right = nf__pick(ad_slice(is_in, 0, 0, bins - 1), u);
    } else {
        if (given == bins) u = ad_concat((ad_var[]){u, ad_slice(u, 0, 0, 1)}, 2, 0);
        left = nf__pick(is_in, ad_slice(u, 0, 0, bins));
        right = nf__pick(is_in, ad_slice(u, 0, 1, bins + 1));
    }
    b->left = derivative(left, slope);
    b->right = derivative(right, slope);
}

/* The bin of `at`, on the x axis (0) or y axis (1). */
static bin find_bin(const nf_choice *self, ad_var parameters, ad_var at, size_t axis)
{
    const size_t bins = nf__spline_bins(self);
    const double slope = nf_choice_value(self, "slope");
    ad_var u = bounded(ad_slice(parameters, 0, 0, 2 * bins), slope, 2);
    const nf__axes both = slope > 0 ? nf__axes_within(u, 2, bins, 0) : nf__axes_of(u, 2, bins);
    ad_var number = nf__axes_bin(&both, axis, at);
    ad_var corner = nf__axes_corner(&both, number), extent = nf__axes_extent(&both, number);
    bin b = {.x = nf__of_axis(corner, 0),
             .y = nf__of_axis(corner, 1),
             .width = nf__of_axis(extent, 0),
             .height = nf__of_axis(extent, 1)};
    ad_var is_in = ad_equal(number, nf__counted(at.tape, 0, bins));
    pick_derivatives(&b, is_in, ad_slice(parameters, 0, 2 * bins, ad_shape_of(parameters).dim[0]), bins, slope);
    b.slope = ad_div(b.height, b.width);
    return b;
}

static ad_var map(const nf_choice *self, ad_var place, ad_var parameters, bool inverse, ad_var *log_derivative)
{
    const bin b = find_bin(self, parameters, place, inverse ? 0 : 1);
    const nf_spline_bin in = {b.left, b.right, b.slope};
    ad_var xi =
        inverse ? ad_div(ad_sub(place, b.x), b.width) : nf_spline_bin_root(&in, ad_div(ad_sub(place, b.y), b.height));
    ad_var log_slope, eta = nf_spline_bin_value(&in, xi, &log_slope);
    *log_derivative = inverse ? log_slope : ad_neg(log_slope);
    return inverse ? ad_add(b.y, ad_mul(b.height, eta)) : ad_add(b.x, ad_mul(b.width, xi));
}

const nf_transformer_type nf_transformer_rational_quadratic = {
    .name = "rational_quadratic",
    .help = "z = spline(x), a monotone rational-quadratic one (Durkan et al. 2019)",
    .argument = (const nf_argument[]){NF_RATIONAL_QUADRATIC_ARGUMENTS, NF_SLOPE_ARGUMENT, {0}},
    .parameters = nf__spline_parameters,
    .forward = nf__spline_forward,
    .inverse = nf__spline_inverse,
    .data = &(const nf__spline){map, .per_bin = 3, .others = -1},
};

const nf_transformer_type nf__transformer_bounded_rational_quadratic = {
    .name = "bounded_rational_quadratic",
    .help = "rational_quadratic on [low, high], of any slope at the ends",
    .argument = (const nf_argument[]){NF_BINS_ARGUMENT,
                                      {"low", NF_NUMBER, 0, -1e6, 1e6, NULL, "end of the interval"},
                                      {"high", NF_NUMBER, 1, -1e6, 1e6, NULL, "end of the interval"},
                                      {0}},
    .parameters = nf__spline_parameters,
    .forward = nf__spline_forward,
    .inverse = nf__spline_inverse,
    .data = &(const nf__spline){map, .per_bin = 3, .others = 1},
};

/* ---- On the circle --------------------------------------------------------------------------------------------- */

/* A map of the circle (Rezende et al. 2020, "Normalizing flows on tori and spheres", section 2.3): from -π to π a
 * spline whose derivatives at both ends are one parameter, then a turn by another, φ. An angle is a number of radians,
 * and x + 2π is the same: the map is that of all reals with f(x + 2π) = f(x) + 2π,
 *
 *     z = φ + 2π (k + spline(x/2π + 1/2 - k) - 1/2),      k = ⌊x/2π + 1/2⌋. */
static const double two_pi = 6.28318530717958647693;

static ad_var around(const nf_choice *self, ad_var v, ad_var parameters, bool inverse, ad_var *log_derivative)
{
    const size_t count = nf__spline_parameters(self) - 1;
    ad_var turn = nf_row(parameters, count);
    if (!inverse) v = ad_sub(v, turn);
    ad_var turns = ad_add_scalar(ad_mul_scalar(v, 1 / two_pi), 0.5), whole = ad_floor(turns);
    ad_var to = map(self, ad_sub(turns, whole), ad_slice(parameters, 0, 0, count), inverse, log_derivative);
    ad_var out = ad_mul_scalar(ad_add(whole, ad_add_scalar(to, -0.5)), two_pi);
    return inverse ? ad_add(out, turn) : out;
}

static ad_var circular_forward(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative)
{
    return around(self, z, parameters, false, log_derivative);
}

static ad_var circular_inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    return around(self, x, parameters, true, log_derivative);
}

const nf_transformer_type nf__transformer_circular_rational_quadratic = {
    .name = "circular_rational_quadratic",
    .help = "rational_quadratic of angles, and a turn (Rezende et al. 2020)",
    .argument = (const nf_argument[]){NF_BINS_ARGUMENT, {0}},
    .parameters = nf__spline_parameters,
    .forward = circular_forward,
    .inverse = circular_inverse,
    .data = &(const nf__spline){map, .per_bin = 3, .others = 1},
    .circular = true,
};
