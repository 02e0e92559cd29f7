/* multivariate_normal: N(loc, L Lᵀ), L lower triangular with a positive diagonal, all learned,
 *
 *     log p(z) = -|L⁻¹ (z - loc)|²/2 - Σ_d log L_dd - D log(2π)/2
 *
 * (Bishop 2006, "Pattern recognition and machine learning", eq. 2.43). fit sets it to the mean and the covariance of
 * the data (features.h: nf_shrunk_covariance()); without data it starts at N(0, I). */
#include <weir/bijector.h>
#include <weir/features.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec loc = {.name = "loc", .shape = AD_SHAPE(self->dim)};
    nf_parameter_spec factor = {
        .name = "factor", .shape = AD_SHAPE(self->dim, self->dim), .constraint = NF_LOWER_TRIANGULAR};
    ad_status status = nf_declare(self, &loc, error);
    return status == AD_OK ? nf_declare(self, &factor, error) : status;
}

/* Far away, where a square is infinite or a difference of infinities no number, it is as far as that. */
static ad_var within_reach(ad_var z)
{
    const double far = 1e12;
    return ad_minimum(ad_maximum(z, ad_scalar(z.tape, -far)), ad_scalar(z.tape, far));
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    const double log_two_pi = 1.8378770664093454836;
    ad_var factor = nf_param(at, "factor");
    ad_var u = ad_solve_triangular(factor, ad_sub(within_reach(z), nf_param(at, "loc")), AD_LOWER);
    ad_var log_det = ad_sum(ad_log(nf_diagonal(factor)));
    return ad_add_scalar(ad_sub(ad_mul_scalar(ad_sum(ad_square(u)), -0.5), log_det),
                         -0.5 * (double)at->self->dim * log_two_pi);
}

static ad_var sample(const nf_scope *at)
{
    ad_var u = ad_normal(at->tape, AD_SHAPE(at->self->dim), 0);
    return ad_add(ad_matmul(nf_param(at, "factor"), u), nf_param(at, "loc"));
}

static ad_status fit(nf_bijector *self, const double *x, size_t rows, ad_error *error)
{
    const size_t n = self->dim;
    double *factor = ad_alloc(n, n * sizeof *factor);
    if (!factor) return ad_error_set(error, AD_ERROR_MEMORY, "multivariate_normal: out of memory for %zu columns", n);
    ad_error why;
    ad_status status = nf_shrunk_covariance(x, rows, n, nf_parameter_value(self, "loc"), factor, &why);
    if (status == AD_OK && !nf_cholesky(factor, n))
        status = ad_error_set(&why, AD_ERROR_NUMERIC, "the covariance is beyond the range of numbers");
    if (status == AD_OK)
        nf_parameter_set(self, "factor", factor);
    else
        ad_error_set(error, status, "multivariate_normal: %s", why.message);
    ad_free(factor);
    return status;
}

const nf_bijector_type nf__type_multivariate_normal = {
    .name = "multivariate_normal",
    .help = "N(loc, L L'), set from the data and learned",
    .build = build,
    .log_prob = log_prob,
    .sample = sample,
    .fit = fit,
};
