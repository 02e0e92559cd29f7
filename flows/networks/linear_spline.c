/* linear_spline: in each of K bins of equal width a line (Müller et al. 2019, "Neural importance sampling", section
 * 4.2, eq. 9: a density that is constant in each). The parameters are K, of the bins' heights, m + (1 - mK) softmax(u),
 * in a square of side 1:
 *
 *     z = y_k + h_k (K x - k),      log dz/dx = log K h_k      in bin k = 0 … K-1, from y_k = h_0 + … + h_(k-1).
 *
 * Densities jump at the knots, where gradients don't feel the jump. Outside (-tail, tail) it is the identity. */
#include "spline.h"

#include <math.h>

static ad_var map(const nf_choice *self, ad_var place, ad_var parameters, bool inverse, ad_var *log_derivative)
{
    const size_t bins = nf__spline_bins(self);
    const double count = (double)bins;
    const nf__axes y = nf__axes_of(parameters, 1, bins);
    ad_var along = ad_mul_scalar(place, count), last = ad_scalar(place.tape, count - 1);
    ad_var number = inverse ? ad_minimum(ad_floor(along), last) : nf__axes_bin(&y, 0, place);
    ad_var corner = nf__of_axis(nf__axes_corner(&y, number), 0), height = nf__of_axis(nf__axes_extent(&y, number), 0);
    ad_var log_slope = ad_log(ad_mul_scalar(height, count));
    *log_derivative = inverse ? log_slope : ad_neg(log_slope);
    if (inverse) return ad_add(corner, ad_mul(height, ad_sub(along, number)));
    return ad_mul_scalar(ad_add(number, ad_div(ad_sub(place, corner), height)), 1 / count);
}

const nf_transformer_type nf__transformer_linear_spline = {
    .name = "linear_spline",
    .help = "z = spline(x), of lines in bins of equal width (Müller et al. 2019)",
    .argument = (const nf_argument[]){NF_RATIONAL_QUADRATIC_ARGUMENTS, {0}},
    .parameters = nf__spline_parameters,
    .forward = nf__spline_forward,
    .inverse = nf__spline_inverse,
    .data = &(const nf__spline){map, .per_bin = 1},
};
