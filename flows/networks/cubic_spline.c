/* cubic_spline: monotone cubics (Durkan et al. 2019, "Cubic-spline flows", section 3.2) with Steffen's derivatives
 * (Steffen 1990, "A simple method for monotonic interpolation in one dimension", eq. 8 to 11). In a square of side 1
 * bin k has width w_k, height h_k and slope s_k; with the derivatives δ at its ends, α = δ_k / s_k, β = δ_(k+1) / s_k,
 *
 *     η = α ξ(1-ξ)² + (3-β) ξ²(1-ξ) + ξ³,          ξ = (x - x_k) / w_k,  η = (z - y_k) / h_k,
 *     dη/dξ = α (1-ξ)² + 2 (3-α-β) ξ(1-ξ) + β ξ²,
 *     δ_k = 2 min(s_(k-1), s_k, (s_(k-1) w_k + s_k w_(k-1)) / 2(w_(k-1) + w_k))      at inner knots.
 *
 * The parameters are K of widths and K of heights, m + (1 - mK) softmax(u), and the derivatives at the two ends,
 * between 0 and 3 times the slope, which keeps the cubic monotone (Fritsch & Carlson 1980), and that slope at u = 0.
 * There densities jump to those of the identity, outside (-tail, tail). ξ is solved for by bracketing: formulas for the
 * root of a cubic lose digits. */
#include "spline.h"

#include <weir/features.h>

#include <math.h>

static ad_var cubic(ad_var alpha, ad_var beta, ad_var xi)
{
    ad_var rest = ad_sub(ad_scalar(xi.tape, 1), xi), square = ad_square(xi);
    ad_var first = ad_mul(ad_mul(alpha, xi), ad_square(rest));
    ad_var second = ad_mul(ad_mul(ad_sub(ad_scalar(xi.tape, 3), beta), square), rest);
    return ad_add(ad_add(first, second), ad_mul(square, xi));
}

static ad_var slope_of(ad_var alpha, ad_var beta, ad_var xi)
{
    ad_var rest = ad_sub(ad_scalar(xi.tape, 1), xi);
    ad_var middle = ad_sub(ad_scalar(xi.tape, 3), ad_add(alpha, beta));
    ad_var ends = ad_add(ad_mul(alpha, ad_square(rest)), ad_mul(beta, ad_square(xi)));
    return ad_add(ends, ad_mul_scalar(ad_mul(middle, ad_mul(xi, rest)), 2));
}

/* η of ξ, and on with slope 1 beyond 0 and 1, so that there is a bracket. captured: α, β. */
static ad_var record_cubic(void *context, ad_tape *inner, ad_var xi, const ad_var *captured)
{
    (void)context, (void)inner;
    ad_var within = ad_inside(xi, 0, 1);
    return ad_add(cubic(captured[0], captured[1], within), ad_sub(xi, within));
}

/* Steffen's at the inner knots, (K-1, n). */
static ad_var inner_derivatives(ad_var width, ad_var slope, size_t bins)
{
    ad_var w[] = {ad_slice(width, 0, 0, bins - 1), ad_slice(width, 0, 1, bins)};
    ad_var s[] = {ad_slice(slope, 0, 0, bins - 1), ad_slice(slope, 0, 1, bins)};
    ad_var between = ad_div(ad_add(ad_mul(s[0], w[1]), ad_mul(s[1], w[0])), ad_add(w[0], w[1]));
    return ad_mul_scalar(ad_minimum(ad_minimum(s[0], s[1]), ad_mul_scalar(between, 0.5)), 2);
}

/* Between 0 and 3, in bins' slopes, and 1 at u = 0. */
static ad_var end_derivative(ad_var u, ad_var slope)
{
    const double least = 1e-3, share = (1.0 / 3 - least) / (1 - 2 * least), u1 = log(share / (1 - share));
    ad_var fraction = ad_sigmoid(ad_add_scalar(u, u1));
    return ad_mul(ad_add_scalar(ad_mul_scalar(fraction, 3 * (1 - 2 * least)), 3 * least), slope);
}

static ad_var map(const nf_choice *self, ad_var place, ad_var parameters, bool inverse, ad_var *log_derivative)
{
    const size_t bins = nf__spline_bins(self);
    const nf__axes both = nf__axes_of(ad_slice(parameters, 0, 0, 2 * bins), 2, bins);
    ad_var width = nf__axes_extents(&both, 0), slopes = ad_div(nf__axes_extents(&both, 1), width);
    ad_var first = end_derivative(ad_slice(parameters, 0, 2 * bins, 2 * bins + 1), ad_slice(slopes, 0, 0, 1));
    ad_var last =
        end_derivative(ad_slice(parameters, 0, 2 * bins + 1, 2 * bins + 2), ad_slice(slopes, 0, bins - 1, bins));
    ad_var delta = ad_concat((ad_var[]){first, inner_derivatives(width, slopes, bins), last}, 3, 0);
    ad_var number = nf__axes_bin(&both, inverse ? 0 : 1, place);
    ad_var corner = nf__axes_corner(&both, number), extent = nf__axes_extent(&both, number);
    ad_var x = nf__of_axis(corner, 0), y = nf__of_axis(corner, 1);
    ad_var w = nf__of_axis(extent, 0), h = nf__of_axis(extent, 1), slope = ad_div(h, w);
    ad_var is_in = ad_equal(number, nf__counted(place.tape, 0, bins));
    ad_var alpha = ad_div(nf__pick(is_in, ad_slice(delta, 0, 0, bins)), slope);
    ad_var beta = ad_div(nf__pick(is_in, ad_slice(delta, 0, 1, bins + 1)), slope);
    ad_var xi = inverse ? ad_div(ad_sub(place, x), w)
                        : ad_root(ad_div(ad_sub(place, y), h), (ad_var[]){alpha, beta}, 2, AD_ROOT_ELEMENTWISE, NULL,
                                  record_cubic, NULL);
    ad_var log_slope = ad_log(ad_mul(slope, slope_of(alpha, beta, xi)));
    *log_derivative = inverse ? log_slope : ad_neg(log_slope);
    return inverse ? ad_add(y, ad_mul(h, cubic(alpha, beta, xi))) : ad_add(x, ad_mul(w, xi));
}

const nf_transformer_type nf__transformer_cubic_spline = {
    .name = "cubic_spline",
    .help = "z = spline(x), a monotone cubic one (Durkan et al. 2019)",
    .argument = (const nf_argument[]){NF_RATIONAL_QUADRATIC_ARGUMENTS, {0}},
    .parameters = nf__spline_parameters,
    .forward = nf__spline_forward,
    .inverse = nf__spline_inverse,
    .data = &(const nf__spline){map, .per_bin = 2, .others = 2},
};
