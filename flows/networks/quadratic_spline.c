/* quadratic_spline: the integral of a density that is linear in each of K bins (Müller et al. 2019, "Neural importance
 * sampling", section 4.3, eq. 12 to 16). In a square of side 1 bins have widths w_k; at the knots the density is g_k:
 *
 *     z = y_k + w_k (g_k ξ + (g_(k+1) - g_k) ξ²/2),      dz/dx = g_k (1-ξ) + g_(k+1) ξ,      ξ = (x - x_k) / w_k.
 *
 * The parameters are K, of widths m + (1 - mK) softmax(u), and K-1, of the inner knots' v_k = m + softplus(u + u_1),
 * g_k = v_k / c, where c, the value of v at both ends, is what the whole integral is: g is 1 at the ends, as it is
 * outside (-tail, tail), where the map is the identity. (nflows' linear tails halve the outer bins' widths twice, and
 * so their densities jump there.) */
#include "spline.h"

#include <math.h>

/* ξ of an η = g ξ + (right - g) ξ²/2, without cancellation: what is under the root is the square of the slope there. */
static ad_var root(ad_var left, ad_var right, ad_var eta)
{
    ad_var square = ad_add(ad_square(left), ad_mul_scalar(ad_mul(ad_sub(right, left), eta), 2));
    ad_var slope = ad_sqrt(ad_maximum(square, ad_scalar(eta.tape, 1e-30)));
    return ad_div(ad_mul_scalar(eta, 2), ad_add(left, slope));
}

/* g at all knots, (K+1, n). */
static ad_var density_of(ad_var width, ad_var u, size_t bins)
{
    const size_t n = ad_shape_of(width).dim[1];
    ad_var inner = nf__spline_positive(u), left = ad_slice(width, 0, 0, bins - 1), right = ad_slice(width, 0, 1, bins);
    ad_var area = ad_sum_axis(ad_mul(inner, ad_add(left, right)), 0); /* twice that of the inner knots */
    ad_var ends = ad_add(nf__of_axis(width, 0), nf__of_axis(width, bins - 1));
    ad_var c = ad_div(area, ad_sub(ad_scalar(u.tape, 2), ends));
    ad_var one = ad_broadcast(ad_scalar(u.tape, 1), AD_SHAPE(1, n));
    return ad_concat((ad_var[]){one, ad_div(inner, c), one}, 3, 0);
}

static ad_var map(const nf_choice *self, ad_var place, ad_var parameters, bool inverse, ad_var *log_derivative)
{
    const size_t bins = nf__spline_bins(self);
    const nf__axes x = nf__axes_of(ad_slice(parameters, 0, 0, bins), 1, bins);
    ad_var width = nf__axes_extents(&x, 0), all = nf__counted(place.tape, 0, bins);
    ad_var g = density_of(width, ad_slice(parameters, 0, bins, 2 * bins - 1), bins);
    ad_var lefts = ad_slice(g, 0, 0, bins), rights = ad_slice(g, 0, 1, bins + 1);
    ad_var height = ad_mul_scalar(ad_mul(width, ad_add(lefts, rights)), 0.5);
    ad_var knots = ad_slice(ad_cumsum(height, 0, false), 0, 0, bins - 1);
    ad_var number = inverse ? nf__axes_bin(&x, 0, place) : nf__knots_before(knots, place);
    ad_var is_in = ad_equal(number, all), left = nf__pick(is_in, lefts), right = nf__pick(is_in, rights);
    ad_var x_k = nf__of_axis(nf__axes_corner(&x, number), 0), y_k = nf__pick(ad_greater(number, all), height);
    ad_var w = nf__pick(is_in, width), from = inverse ? x_k : y_k, along = ad_div(ad_sub(place, from), w);
    ad_var xi = inverse ? along : root(left, right, along), rise = ad_mul(ad_sub(right, left), xi);
    ad_var log_slope = ad_log(ad_add(left, rise));
    *log_derivative = inverse ? log_slope : ad_neg(log_slope);
    return inverse ? ad_add(y_k, ad_mul(ad_mul(w, xi), ad_add(left, ad_mul_scalar(rise, 0.5))))
                   : ad_add(x_k, ad_mul(w, xi));
}

const nf_transformer_type nf__transformer_quadratic_spline = {
    .name = "quadratic_spline",
    .help = "z = spline(x), the integral of a density that is linear in bins (Müller et al. 2019)",
    .argument = (const nf_argument[]){NF_RATIONAL_QUADRATIC_ARGUMENTS, {0}},
    .parameters = nf__spline_parameters,
    .forward = nf__spline_forward,
    .inverse = nf__spline_inverse,
    .data = &(const nf__spline){map, .per_bin = 2, .others = -1},
};
