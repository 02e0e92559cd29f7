/* conv1x1: an invertible 1x1 convolution (Kingma & Dhariwal 2018, "Glow", section 3.2): the channels of each pixel are
 * x = R L U z, the matrix by its LU decomposition (eq. 11): R reverses the channels, so that a coupling sees in each
 * half what was the other, L is lower triangular with 1 on its diagonal, U upper triangular with a positive diagonal.
 * log|det J| = height width Σ log U_ii. The other direction multiplies by the inverse, made once for all pixels. An
 * event that is no image is one pixel, whose channels are its features.
 *
 * Parameters: lower = L; upper = Uᵀ, its diagonal softplus(ρ). Both start near 1. */
#include <weir/bijector.h>
#include <weir/features.h>
#include <weir/memory.h>

#include <math.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t channels = nf_image_shape(self).dim[0];
    const nf_parameter_spec lower = {.name = "lower",
                                     .shape = AD_SHAPE(channels, channels),
                                     .init = NF_INIT_NORMAL,
                                     .value = 0.3 / sqrt((double)channels),
                                     .constraint = NF_UNIT_LOWER_TRIANGULAR};
    nf_parameter_spec upper = lower;
    upper.name = "upper";
    upper.constraint = NF_LOWER_TRIANGULAR;
    ad_status status = nf_declare(self, &lower, error);
    return status == AD_OK ? nf_declare(self, &upper, error) : status;
}

/* The rows of a matrix (n,m) in reverse. */
static ad_var reverse_rows(ad_var a, size_t n)
{
    size_t *index = ad_alloc(n, sizeof *index);
    if (!index) {
        ad_tape_fail(a.tape, AD_ERROR_MEMORY, "out of memory for %zu channels", n);
        return a;
    }
    for (size_t i = 0; i < n; i++) index[i] = n - 1 - i;
    ad_var reversed = ad_gather(a, index, n);
    ad_free(index);
    return reversed;
}

static ad_var multiply(const nf_scope *at, ad_var matrix, ad_var v)
{
    const size_t channels = nf_image_shape(at->self).dim[0], pixels = at->self->dim / channels;
    return ad_reshape(ad_matmul(matrix, ad_reshape(v, AD_SHAPE(channels, pixels))), AD_SHAPE(at->self->dim));
}

static ad_var log_determinant(const nf_scope *at, ad_var upper)
{
    const double pixels = (double)(at->self->dim / nf_image_shape(at->self).dim[0]);
    return ad_mul_scalar(ad_sum(ad_log(nf_diagonal(upper))), pixels);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var upper = nf_param(at, "upper"), product = ad_matmul(nf_param(at, "lower"), ad_transpose(upper));
    *log_det = log_determinant(at, upper);
    return multiply(at, reverse_rows(product, nf_image_shape(at->self).dim[0]), z);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    const size_t channels = nf_image_shape(at->self).dim[0];
    ad_var upper = nf_param(at, "upper"), reversal = reverse_rows(nf_identity(x.tape, channels), channels);
    ad_var half = ad_solve_triangular(nf_param(at, "lower"), reversal, AD_LOWER | AD_UNIT_DIAGONAL);
    *log_det = ad_neg(log_determinant(at, upper));
    return multiply(at, ad_solve_triangular(ad_transpose(upper), half, AD_UPPER), x);
}

const nf_bijector_type nf__type_conv1x1 = {
    .name = "conv1x1",
    .help = "x = R L U z of the channels of each pixel, R their reversal",
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
