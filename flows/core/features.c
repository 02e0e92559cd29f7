/* What bijectors are made of. */
#include <weir/features.h>
#include <weir/memory.h>
#include <weir/random.h>

#include <math.h>

ad_var nf_reverse(ad_var v)
{
    size_t dim = ad_shape_size(ad_shape_of(v)), *index = ad_alloc(dim, sizeof *index);
    if (!index) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory to reverse %zu features", dim);
        return v;
    }
    for (size_t i = 0; i < dim; i++) index[i] = dim - 1 - i;
    ad_var y = ad_gather(v, index, dim);
    ad_free(index);
    return y;
}

ad_var nf_permute(ad_var v, uint64_t seed, bool inverse)
{
    size_t dim = ad_shape_size(ad_shape_of(v)), *index = ad_alloc(dim, sizeof *index);
    if (!index) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for a permutation of %zu features", dim);
        return v;
    }
    for (size_t i = 0; i < dim; i++) {
        size_t image = (size_t)ad_random_permutation(seed, 0, dim, i);
        if (inverse)
            index[image] = i;
        else
            index[i] = image;
    }
    ad_var y = ad_gather(v, index, dim);
    ad_free(index);
    return y;
}

ad_var nf_take(ad_var v, const size_t *index, size_t count)
{
    size_t i = 1;
    if (!index || count == 0) return ad_gather(v, index, count);
    while (i < count && index[i] == index[0] + i) i++;
    return i == count ? ad_slice(v, 0, index[0], index[0] + count) : ad_gather(v, index, count);
}

ad_var nf_row(ad_var a, size_t i)
{
    return ad_reshape(ad_slice(a, 0, i, i + 1), AD_SHAPE(ad_shape_of(a).dim[1]));
}

static ad_var out_of_memory(ad_tape *tape, size_t n)
{
    ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a matrix of %zu x %zu", n, n);
    return (ad_var){tape, -1};
}

ad_var nf_identity(ad_tape *tape, size_t n)
{
    double *one = ad_alloc(n, n * sizeof *one);
    if (!one) return out_of_memory(tape, n);
    for (size_t i = 0; i < n; i++) one[i * (n + 1)] = 1;
    ad_var identity = ad_constant(tape, AD_SHAPE(n, n), one);
    ad_free(one);
    return identity;
}

ad_var nf_diagonal(ad_var a)
{
    size_t n = ad_shape_of(a).dim[0], *index = ad_alloc(n, sizeof *index);
    if (!index) return out_of_memory(a.tape, n);
    for (size_t i = 0; i < n; i++) index[i] = i * (n + 1);
    ad_var diagonal = ad_gather(ad_reshape(a, AD_SHAPE(n * n)), index, n);
    ad_free(index);
    return diagonal;
}

ad_var nf_rescaled(ad_var v, ad_var *scale)
{
    const double small = 1e-15, large = 1e15;
    ad_var most = ad_max(ad_abs(ad_stop_gradient(v))), zero = ad_scalar(v.tape, 0);
    ad_var is_small = ad_mul(ad_greater(ad_scalar(v.tape, small), most), ad_greater(most, zero));
    ad_var is_large = ad_greater(most, ad_scalar(v.tape, large));
    const ad_var by = ad_where(ad_add(is_small, is_large), most, ad_scalar(v.tape, 1));
    if (scale) *scale = by;
    return ad_div(v, by);
}

ad_var nf_reflections(ad_var vectors, size_t columns)
{
    const ad_shape shape = ad_shape_of(vectors);
    if (shape.rank != 2 || columns > shape.dim[1]) {
        ad_tape_fail(vectors.tape, AD_ERROR_ARGUMENT, "reflections: expected vectors (m,n) and no more than n columns");
        return (ad_var){vectors.tape, -1};
    }
    ad_var q = ad_slice(nf_identity(vectors.tape, shape.dim[1]), 1, 0, columns); // (n, columns)
    for (size_t k = shape.dim[0]; k-- > 0;) {
        ad_var v = nf_rescaled(ad_slice(vectors, 0, k, k + 1), NULL); // (1, n)
        ad_var square = ad_maximum(ad_sum(ad_square(v)), ad_scalar(v.tape, 1e-30));
        ad_var factor = ad_div(ad_scalar(v.tape, 2), square);
        q = ad_sub(q, ad_matmul(ad_transpose(ad_mul(v, factor)), ad_matmul(v, q)));
    }
    return q;
}

ad_var nf_near_reflections(ad_var v)
{
    const ad_shape shape = ad_shape_of(v);
    const size_t m = shape.dim[0], n = shape.dim[1];
    double *one = shape.rank == 2 ? ad_alloc(m, n * sizeof *one) : NULL;
    if (!one) {
        ad_tape_fail(v.tape, shape.rank == 2 ? AD_ERROR_MEMORY : AD_ERROR_ARGUMENT,
                     shape.rank == 2 ? "out of memory for reflections" : "reflections: expected vectors (m,n)");
        return (ad_var){v.tape, -1};
    }
    for (size_t k = 0; k < m; k++) one[k * n + k / 2 % n] = 1;
    ad_var vectors = ad_add(v, ad_constant(v.tape, AD_SHAPE(m, n), one));
    ad_free(one);
    return nf_reflections(vectors, n);
}

/* 3 (4/3 - 1) - 1, of which the rounding of 4/3 is what is left. */
ad_var nf_epsilon(ad_tape *tape)
{
    ad_var third = ad_add_scalar(ad_scalar(tape, 4.0 / 3), -1);
    return ad_abs(ad_add_scalar(ad_mul_scalar(third, 3), -1));
}

ad_var nf_residual_tanh_slope(ad_var t, ad_var slope)
{
    ad_var squared = ad_square(t);
    return ad_add(squared, ad_mul(slope, ad_sub(ad_scalar(t.tape, 1), squared)));
}

/* v (k) between zeros: `before` of them, and as many after as make k+1. */
static ad_var padded(ad_var v, size_t before, size_t k)
{
    size_t *place = ad_alloc(k, sizeof *place);
    ad_var y = {v.tape, -1};
    if (!place) ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory to draw one of %zu", k);
    for (size_t i = 0; place && i < k; i++) place[i] = before + i;
    if (place) y = ad_scatter(v, place, k, k + 1);
    ad_free(place);
    return y;
}

ad_var nf_log_softmax(ad_var logit)
{
    return ad_sub(logit, ad_logsumexp(logit));
}

/* The one between whose cumulative probabilities a uniform number falls. */
ad_var nf_draw_one(ad_var log_weight, unsigned stream)
{
    size_t k = ad_shape_size(ad_shape_of(log_weight));
    ad_var u = ad_uniform(log_weight.tape, AD_SCALAR, stream), upper = ad_cumsum(ad_exp(log_weight), 0, false);
    ad_var lower = ad_slice(padded(upper, 1, k), 0, 0, k),
           above = padded(ad_greater_equal(u, lower), 0, k); // 1 … 1 0 … 0
    return ad_sub(ad_slice(above, 0, 0, k), ad_slice(above, 0, 1, k + 1));
}

bool nf_column_moments(const double *x, size_t rows, size_t columns, size_t column, double *mean, double *sd)
{
    double unwanted[2];
    if (!mean) mean = &unwanted[0];
    if (!sd) sd = &unwanted[1];
    if (!x) rows = 0;
    const double first = rows ? x[column] : NAN;
    double sum = 0, squares = 0; /* of x - first: both are 0 without rounding where all are equal */
    for (size_t r = 0; r < rows; r++) sum += x[r * columns + column] - first;
    *mean = first + sum / (double)rows;
    for (size_t r = 0; r < rows; r++) squares += (x[r * columns + column] - *mean) * (x[r * columns + column] - *mean);
    *sd = sqrt(squares / (double)rows);
    return isfinite(*sd);
}

ad_var nf_into_support(ad_var x, double low, double high, double inside, ad_var *outside)
{
    ad_var unwanted;
    if (!outside) outside = &unwanted;
    *outside = ad_greater_equal(ad_scalar(x.tape, low), x);
    if (isfinite(high)) *outside = ad_maximum(*outside, ad_greater_equal(x, ad_scalar(x.tape, high)));
    return ad_where(*outside, ad_scalar(x.tape, inside), x);
}

ad_var nf_log_det_on_support(ad_var log_slope, ad_var outside)
{
    return ad_sum(ad_where(outside, ad_scalar(outside.tape, -INFINITY), log_slope));
}
