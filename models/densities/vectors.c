/* Densities of vectors and of correlation matrices. */
#include "densities/support.h"

#define LOG_SQRT_2PI 0.918938533204672741780329736406
#define LOG_PI       1.144729885849400174143427351353
#define LOG_2        0.693147180559945309417232121458

static size_t last_extent(ad_var x)
{
    const ad_shape shape = ad_shape_of(x);
    return shape.rank > 0 ? shape.dim[shape.rank - 1] : 1;
}

static ad_var sum_of_last(ad_var x)
{
    return ad_sum_axis(x, ad_shape_of(x).rank - 1);
}

static ad_var largest_of_last(ad_var x)
{
    return ad_max_axis(x, ad_shape_of(x).rank - 1);
}

/* ---- Normal and Student's t ------------------------------------------------------------------------------------- */

/* x - mean as columns (K,N), or (K). */
static ad_var columns_of(ad_var x, ad_var mean)
{
    ad_var centred = ad_sub(x, mean);
    return ad_shape_of(centred).rank == 2 ? ad_transpose(centred) : centred;
}

static ad_var log_diagonal(ad_var cholesky)
{
    return ad_sum(ad_log(ad_diagonal(cholesky)));
}

/* The squares of columns, summed: (N) or (). */
static ad_var squared_length(ad_var columns)
{
    return ad_sum_axis(ad_square(columns), 0);
}

static ad_var normal_of(ad_var squares, ad_var log_det, size_t k)
{
    return ad_add_scalar(ad_add(ad_mul_scalar(squares, -0.5), log_det), -(double)k * LOG_SQRT_2PI);
}

ad_var nf_log_multivariate_normal_each(ad_var x, ad_var mean, ad_var cholesky)
{
    ad_var whitened = ad_solve_triangular(cholesky, columns_of(x, mean), AD_LOWER);
    return normal_of(squared_length(whitened), ad_neg(log_diagonal(cholesky)), last_extent(x));
}

/* A constant (n,n): 1 on and below the diagonal. */
static ad_var lower_ones(ad_tape *tape, size_t n)
{
    double *value = ad_alloc(n * n, sizeof *value);
    if (!value) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a triangle of %zu rows", n);
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) value[i * n + j] = 1;
    ad_var ones = ad_constant(tape, AD_SHAPE(n, n), value);
    ad_free(value);
    return ones;
}

ad_var nf_log_multivariate_normal_precision_each(ad_var x, ad_var mean, ad_var cholesky)
{
    ad_var lower = ad_where(lower_ones(x.tape, last_extent(cholesky)), cholesky, ad_scalar(x.tape, 0));
    ad_var whitened = ad_matmul(ad_transpose(lower), columns_of(x, mean));
    return normal_of(squared_length(whitened), log_diagonal(cholesky), last_extent(x));
}

/* Γ((df+K)/2) / (Γ(df/2) Γ(K/2)) is 1 / B(df/2, K/2), in which nothing cancels where df is large. */
ad_var nf_log_multivariate_student_t_each(ad_var x, ad_var df, ad_var location, ad_var cholesky)
{
    const double half_k = 0.5 * (double)last_extent(x);
    ad_var half = ad_mul_scalar(df, 0.5), half_dim = ad_scalar(x.tape, half_k);
    ad_var whitened = ad_solve_triangular(cholesky, columns_of(x, location), AD_LOWER);
    ad_var tail = ad_mul(ad_add_scalar(half, half_k), ad_log1p(ad_div(squared_length(whitened), df)));
    ad_var ratio = ad_sub(ad_lbeta(half, half_dim), ad_lgamma(half_dim));
    ad_var constant = ad_add_scalar(ad_add(ratio, ad_mul_scalar(ad_log(df), half_k)), half_k * LOG_PI);
    return ad_neg(ad_add(tail, ad_add(constant, log_diagonal(cholesky))));
}

/* ---- Simplices, and counts of categories ------------------------------------------------------------------------ */

ad_var nf_log_dirichlet_each(ad_var x, ad_var concentration)
{
    ad_var outside = largest_of_last(below(x, 0)), a = positive(concentration);
    ad_var powers = times_log(ad_add_scalar(a, -1), kept(below(x, 0), x, 1));
    ad_var constant = ad_sub(ad_lgamma(sum_of_last(a)), sum_of_last(ad_lgamma(a)));
    return supported(outside, ad_add(sum_of_last(powers), constant));
}

ad_var nf_log_multinomial_each(ad_var x, ad_var p)
{
    ad_var wrong = either(below(x, 0), ad_greater(x, ad_floor(x))), inside = kept(wrong, x, 0);
    ad_var each = ad_sub(times_log(inside, p), ad_lgamma(ad_add_scalar(inside, 1)));
    ad_var arrangements = ad_lgamma(ad_add_scalar(sum_of_last(inside), 1));
    return supported(largest_of_last(wrong), ad_add(sum_of_last(each), arrangements));
}

/* ---- LKJ -------------------------------------------------------------------------------------------------------- */

static ad_var vector_of(ad_tape *tape, size_t count, double (*element)(size_t i, size_t count))
{
    double *value = ad_alloc(count, sizeof *value);
    if (!value) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a correlation matrix of %zu rows", count);
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < count; i++) value[i] = element(i, count);
    ad_var vector = ad_constant(tape, AD_SHAPE(count), value);
    ad_free(value);
    return vector;
}

static double rows_after(size_t i, size_t count)
{
    return (double)(count - i - 1);
}

static double not_first(size_t i, size_t count)
{
    (void)count;
    return i > 0;
}

/* The exponents are K-k+2 eta-2 for k = 2 … K; the first element is 1. The constant is the paper's, with m = K - k:
 * Σ m ((2 eta - 2 + m) log 2 + log B(eta + (m - 1)/2, eta + (m - 1)/2)), k = 1 … K-1. */
ad_var nf_log_lkj_cholesky(ad_var cholesky, ad_var eta)
{
    ad_tape *tape = cholesky.tape;
    ad_var diagonal = ad_diagonal(cholesky), shape = positive(eta), excess = ad_mul_scalar(ad_add_scalar(shape, -1), 2);
    const size_t k = last_extent(diagonal);
    ad_var m = vector_of(tape, k, rows_after);
    ad_var exponents = ad_mul(vector_of(tape, k, not_first), ad_add(m, excess));
    /* Of the last row m is 0, and B may be undefined. */
    ad_var half = ad_add(ad_mul_scalar(ad_maximum(ad_add_scalar(m, -1), ad_scalar(tape, 0)), 0.5), shape);
    ad_var constants = ad_mul(m, ad_add(ad_mul_scalar(ad_add(m, excess), LOG_2), ad_lbeta(half, half)));
    return ad_sub(ad_sum(ad_mul(exponents, ad_log(diagonal))), ad_sum(constants));
}

NF_SUM_2(multivariate_normal)
NF_SUM_2(multivariate_normal_precision)
NF_SUM_3(multivariate_student_t)
NF_SUM_1(dirichlet)
NF_SUM_1(multinomial)
