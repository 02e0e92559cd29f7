/* Covariance matrices of Gaussian processes. */
#include <weir/densities.h>

#include <math.h>

/* Σ_d (x_id - x_jd)², (N,N). */
static ad_var squared_distances(ad_var x)
{
    ad_shape shape = ad_shape_of(x);
    const size_t n = shape.dim[0], d = shape.rank == 2 ? shape.dim[1] : 1;
    ad_var difference = ad_sub(ad_reshape(x, AD_SHAPE(n, 1, d)), ad_reshape(x, AD_SHAPE(1, n, d)));
    return ad_sum_axis(ad_square(difference), 2);
}

/* r². One length for all features divides the distances, which are then the same for all rows where x is. */
static ad_var scaled_distances(ad_var x, ad_var length)
{
    const ad_shape shape = ad_shape_of(x);
    if (!ad_is_valid(x) || !ad_is_valid(length)) return (ad_var){x.tape, -1};
    if (shape.rank < 1 || shape.rank > 2) {
        char text[128];
        ad_tape_fail(x.tape, AD_ERROR_ARGUMENT, "covariance: inputs %s: takes (N) or (N,D)",
                     ad_shape_text(shape, text));
        return (ad_var){x.tape, -1};
    }
    if (ad_shape_size(ad_shape_of(length)) > 1) return squared_distances(ad_div(x, length));
    return ad_div(squared_distances(x), ad_square(ad_reshape(length, AD_SCALAR)));
}

/* √(c r²). Its gradient at 0, where the distance of an input from itself is, is taken as 0. */
static ad_var distance(ad_var squares, double c)
{
    return ad_sqrt(ad_maximum(ad_mul_scalar(squares, c), ad_scalar(squares.tape, 1e-36)));
}

/* magnitude² correlation, with jitter on the diagonal. */
static ad_var covariance(ad_var correlation, ad_var magnitude, double jitter)
{
    ad_tape *tape = correlation.tape;
    if (!ad_is_valid(correlation)) return correlation;
    ad_var scaled = ad_mul(ad_square(ad_reshape(magnitude, AD_SCALAR)), correlation);
    const size_t n = ad_shape_of(correlation).dim[0];
    double *value = ad_alloc(n * n, sizeof *value);
    if (!value) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a covariance matrix of %zu rows", n);
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < n; i++) value[i * (n + 1)] = jitter;
    ad_var diagonal = ad_constant(tape, AD_SHAPE(n, n), value);
    ad_free(value);
    return ad_add(scaled, diagonal);
}

ad_var nf_covariance_squared_exponential(ad_var x, ad_var magnitude, ad_var length, double jitter)
{
    ad_var squares = scaled_distances(x, length);
    return covariance(ad_exp(ad_mul_scalar(squares, -0.5)), magnitude, jitter);
}

ad_var nf_covariance_matern32(ad_var x, ad_var magnitude, ad_var length, double jitter)
{
    ad_var r = distance(scaled_distances(x, length), 3);
    return covariance(ad_mul(ad_add_scalar(r, 1), ad_exp(ad_neg(r))), magnitude, jitter);
}

ad_var nf_covariance_matern52(ad_var x, ad_var magnitude, ad_var length, double jitter)
{
    ad_var r = distance(scaled_distances(x, length), 5);
    ad_var factor = ad_add(ad_add_scalar(r, 1), ad_mul_scalar(ad_square(r), 1.0 / 3));
    return covariance(ad_mul(factor, ad_exp(ad_neg(r))), magnitude, jitter);
}
