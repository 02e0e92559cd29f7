/* What bijectors are made of: features in another order, matrices, columns of data, and maps onto an interval. What
 * records does so on the tape of its argument, which is one thread's at a time. */
#ifndef WEIR_FEATURES_H
#define WEIR_FEATURES_H

#include <weir/tape.h>

WEIR_BEGIN_DECLARATIONS

/* y_i = v_(D+1-i) */
ad_var nf_reverse(ad_var v);
/* y_i = v_p(i) for the permutation of this seed; inverse: v_i = y_p(i). */
ad_var nf_permute(ad_var v, uint64_t seed, bool inverse);
/* v_index[i], i = 1 … count, one or more: a view, which costs nothing, where these are neighbours. */
ad_var nf_take(ad_var v, const size_t *index, size_t count);

/* Row i, (n), of a matrix (m,n): one parameter of each feature, of a transformer's. */
ad_var nf_row(ad_var a, size_t i);
/* A constant (n,n), 1 on the diagonal; and the diagonal (n) of a matrix (n,n). */
ad_var nf_identity(ad_tape *tape, size_t n);
ad_var nf_diagonal(ad_var a);

/* The first `columns` columns, orthonormal, of the product of the Householder reflections of vectors (m,n), the first
 * one leftmost: only their directions matter, and 0 reflects nothing. And the whole product for an even number of
 * vectors, of e_1 + v_1, e_1 + v_2, e_2 + v_3, e_2 + v_4 …, which is the identity at v = 0 and turns freely from there.
 */
ad_var nf_reflections(ad_var vectors, size_t columns);
ad_var nf_near_reflections(ad_var v);

/* One bin of a monotone rational-quadratic spline (Durkan et al. 2019, eq. 4), of each feature: derivatives at its ends
 * and its slope s = height / width, all positive. With ξ and η from 0 to 1 along its width and height,
 *
 *     η = [s ξ² + left ξ(1-ξ)] / β,      β = s + σ ξ(1-ξ),      σ = left + right - 2s,
 *
 * and log dy/dx, of y = height η and x = width ξ; and the ξ of an η. */
typedef struct {
    ad_var left, right, slope;
} nf_spline_bin;
ad_var nf_spline_bin_value(const nf_spline_bin *bin, ad_var xi, ad_var *log_slope);
ad_var nf_spline_bin_root(const nf_spline_bin *bin, ad_var eta);
/* v divided by *scale, so that squares can be added up in any dtype: *scale, shape (), is 1, but the size of the
 * largest element where that is below 1e-15, and not 0, or above 1e15. It has no gradient of its own: what is made of
 * both must not depend on it. scale may be NULL. */
ad_var nf_rescaled(ad_var v, ad_var *scale);
/* The distance from 1 to the next number, in the plan's dtype. */
ad_var nf_epsilon(ad_tape *tape);

/* 1 + (1 - t²)(slope - 1), t a tanh: how steep z + c tanh(z) is where it is `slope` at the middle. */
ad_var nf_residual_tanh_slope(ad_var t, ad_var slope);

/* Logarithms of weights that add up to 1, from numbers (K) that may be any: log softmax. */
ad_var nf_log_softmax(ad_var logit);
/* A draw of one of k, whose probabilities have the logarithms log_weight (k): per-row (k), 1 for it and 0 for the
 * others. The gradient with respect to the weights is zero. `stream` as ad_uniform() has it. */
ad_var nf_draw_one(ad_var log_weight, unsigned stream);

/* Mean and standard deviation (over n) of a column of x (rows, columns), in two passes, so that a large mean doesn't
 * cancel. False when they aren't finite. From any thread. */
bool nf_column_moments(const double *x, size_t rows, size_t columns, size_t column, double *mean, double *sd);
/* Means (columns) and covariance (columns, columns), over n, of x (rows, columns), whose correlations are shrunk
 * towards 0 where few rows tell little of them,
 *
 *     c_ii = s_ii,   c_ij = (1 - λ) s_ij,
 *
 * with the λ, from 1e-6 to 1, under which rows that are left out are likeliest (Hoffbeck & Landgrebe 1996). So it is
 * positive definite, if there are fewer rows than columns too, and units don't matter. A constant column gets variance
 * 1. From any thread. AD_ERROR_NUMERIC: a column, which *error names, has no finite mean and variance. */
ad_status nf_shrunk_covariance(const double *x, size_t rows, size_t columns, double *mean, double *covariance,
                               ad_error *error);
/* Symmetric positive definite a (n,n) becomes L with L Lᵀ = a, lower triangular with a positive diagonal. Only the
 * lower triangle is read. False, and a spoilt, where it isn't positive definite. From any thread. */
bool nf_cholesky(double *a, size_t n);

/* For inverses that exist on an interval only; outside it a density is 0: log-det -inf, the value somewhere inside.
 *
 * x, with features that are not in the open interval moved to `inside`, so that nothing computed from it is undefined;
 * *outside is 1 for those, else 0. A NaN isn't outside, and stays a NaN. `high` may be INFINITY. */
ad_var nf_into_support(ad_var x, double low, double high, double inside, ad_var *outside);
/* The sum over features of log|dz_i/dx_i|, and -inf where one is outside. */
ad_var nf_log_det_on_support(ad_var log_slope, ad_var outside);

WEIR_END_DECLARATIONS

#endif
