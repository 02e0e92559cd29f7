/* gaussianize: z_d = Φ⁻¹(Σ_k w_dk Φ((x_d - μ_dk) / s_dk)): each feature by the distribution function of a mixture of K
 * normals and the normal quantile (Meng, Song, Song & Ermon 2020, "Gaussianization flows", eq. 6 and 8; Chen & Gopinath
 * 2000). With rotations between it is their flow: `(gaussianize-hh)*6`, whose reflections are random at first, so that
 * what fit sets from the data, term by term, is a flow already.
 *
 * Of F and 1 - F, Φ⁻¹ is taken of the logarithm of the smaller one, so that nothing is lost in either tail, nor in a
 * gap between normals: with p_k = w_k Φ(u_k) / F, u_k = (x - μ_k) / s_k, and r = φ/Φ,
 *
 *     log dz/dx = log Σ_k p_k r(u_k) / s_k - log r(z).
 *
 * Far out z = (x - μ_k) / s_k of the widest normal, so that the map is onto the reals. x of z is a root.
 *
 * fit sets μ_dk and s_dk from the data: the means of K groups of its sorted values, and 1.5 of their standard
 * deviations. Without data μ ~ N(0, 0.5²) and s = 0.85, about the identity. |log s| < 7. */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>
#include <stdlib.h>

static size_t components(const nf_bijector *self)
{
    return (size_t)nf_argument_value(self, "components");
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    const ad_shape shape = AD_SHAPE(self->dim, components(self));
    const nf_parameter_spec spec[] = {
        {.name = "logit", .shape = shape},
        {.name = "loc", .shape = shape, .init = NF_INIT_NORMAL, .value = 0.5},
        {.name = "log_scale", .shape = shape, .value = log(0.85), .constraint = NF_INTERVAL, .low = -7, .high = 7},
    };
    ad_status status = AD_OK;
    for (size_t i = 0; i < 3 && status == AD_OK; i++) status = nf_declare(self, &spec[i], error);
    return status;
}

/* log φ(u)/Φ(u), by log Φ(u), which is at hand: in the lower tail the logarithm of log Φ's slope, above it a difference
 * in which nothing cancels. */
static ad_var log_hazard(ad_var u, ad_var log_cdf)
{
    const double log_root_two_pi = 0.91893853320467274178;
    ad_var edge = ad_scalar(u.tape, -1), slope = ad_grad1(ad_sum(ad_log_ndtr(u)), u); /* above 1 below the edge */
    ad_var above = ad_add_scalar(ad_add(ad_mul_scalar(ad_square(ad_maximum(u, edge)), 0.5), log_cdf), log_root_two_pi);
    return ad_where(ad_greater(edge, u), ad_log(ad_maximum(slope, ad_scalar(u.tape, 1))), ad_neg(above));
}

/* log Σ_k w_k Φ(u_k), (D), of the terms' logarithms. */
static ad_var log_sum(ad_var each)
{
    return ad_logsumexp_axis(each, 1);
}

/* Whether F < 1/2. Near 1/2 either tail is as good, so it needs no more than Φ(u) = σ(1.5976 u + 0.07056 u³) ± 2e-4
 * (Bowling et al. 2009, "A logistic approximation to the cumulative normal distribution"). */
static ad_var is_below_half(ad_var log_weight, ad_var u)
{
    ad_var near = ad_inside(u, -9, 9), square = ad_mul_scalar(ad_square(near), 0.07056);
    ad_var rough = ad_sigmoid(ad_mul(near, ad_add_scalar(square, 1.5976)));
    return ad_greater(ad_scalar(u.tape, 0.5), ad_sum_axis(ad_mul(ad_exp(log_weight), rough), 1));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    const double far = 1e15;
    const ad_shape wide = AD_SHAPE(at->self->dim, 1);
    ad_var logit = nf_param(at, "logit"), log_scale = nf_param(at, "log_scale");
    ad_var log_weight = ad_sub(logit, ad_reshape(log_sum(logit), wide));
    ad_var from = ad_sub(ad_reshape(ad_inside(x, -far, far), wide), nf_param(at, "loc"));
    ad_var u = ad_mul(from, ad_exp(ad_neg(log_scale))), is_low = is_below_half(log_weight, u); // (D, K), (D)
    u = ad_where(ad_reshape(is_low, wide), u, ad_neg(u)); /* so that what is summed is the smaller tail */
    ad_var log_cdf = ad_log_ndtr(u), each = ad_add(log_weight, log_cdf), log_tail = log_sum(each);
    ad_var tail = ad_ndtri_exp(ad_minimum(log_tail, ad_scalar(x.tape, 0)));
    ad_var share = ad_sub(each, ad_reshape(log_tail, wide));
    ad_var log_slope = log_sum(ad_add(share, ad_sub(log_hazard(u, log_cdf), log_scale)));
    *log_det = ad_sum(ad_sub(log_slope, log_hazard(tail, ad_log_ndtr(tail))));
    return ad_where(is_low, tail, ad_neg(tail));
}

/* ---- From data ------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted values: means of K groups of equal size, and what blurs them least with hardly a ripple: within an even
 * group, 1.5 standard deviations are 0.43 of its width. */
static void place_normals(const double *sorted, size_t rows, size_t k, double *loc, double *scale)
{
    const double least = fmax(5e-3 * (sorted[rows - 1] - sorted[0]), 1e-6 * (1 + fabs(sorted[0])));
    for (size_t c = 0; c < k; c++) {
        const size_t first = c * rows / k, last = (c + 1) * rows / k > first ? (c + 1) * rows / k : first + 1;
        double variance = 0;
        loc[c] = 0;
        for (size_t r = first; r < last; r++) loc[c] += sorted[r] / (double)(last - first);
        for (size_t r = first; r < last; r++)
            variance += (sorted[r] - loc[c]) * (sorted[r] - loc[c]) / (double)(last - first);
        scale[c] = fmax(1.5 * sqrt(variance), least);
    }
}

static ad_status fit(nf_bijector *self, const double *x, size_t rows, ad_error *error)
{
    const size_t n = self->dim, k = components(self);
    double *loc = ad_alloc(2 * n * k + rows, sizeof *loc), *log_scale = loc + (loc ? n * k : 0);
    double *sorted = log_scale + (loc ? n * k : 0);
    if (!loc) return ad_error_set(error, AD_ERROR_MEMORY, "gaussianize: out of memory for %zu rows", rows);
    ad_status status = AD_OK;
    for (size_t j = 0; j < n && status == AD_OK; j++) {
        if (!nf_column_moments(x, rows, n, j, NULL, NULL)) {
            status =
                ad_error_set(error, AD_ERROR_NUMERIC, "gaussianize: column %zu has no finite mean and variance", j + 1);
            break;
        }
        for (size_t r = 0; r < rows; r++) sorted[r] = x[r * n + j];
        qsort(sorted, rows, sizeof *sorted, ascending);
        place_normals(sorted, rows, k, loc + j * k, log_scale + j * k);
        for (size_t c = 0; c < k; c++) log_scale[j * k + c] = fmin(fmax(log(log_scale[j * k + c]), -6.5), 6.5);
    }
    if (status == AD_OK) {
        nf_parameter_set(self, "loc", loc);
        nf_parameter_set(self, "log_scale", log_scale);
    }
    ad_free(loc);
    return status;
}

static const nf_argument arguments[] = {
    {"components", NF_COUNT, 8, 1, 4096, NULL, "normals of a feature"},
    {0},
};

const nf_bijector_type nf__type_gaussianize = {
    .name = "gaussianize",
    .help = "z_d = the normal quantile of a mixture's distribution function at x_d, set from the data and learned",
    .argument = arguments,
    .build = build,
    .inverse = inverse,
    .fit = fit,
};
