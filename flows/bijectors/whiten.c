/* whiten: x = mean + spread L z, with the mean of the data and the Cholesky factor L of their covariance, whose
 * correlations are shrunk where rows are few (features.h: nf_shrunk_covariance()); set by fit and not trained.
 * log|det dx/dz| = Σ log L_ii + D log spread.
 *
 * Alone in a formula it makes the flow the normal that fits the data, with all correlations: what any other fit has to
 * beat. As the last step of a chain, the rest sees data that are standardised in every direction; spread=2 then leaves
 * them as well inside the base distribution's bulk as `standardize` does, for the reason said there. */
#include <weir/bijector.h>
#include <weir/features.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec mean = {.name = "mean", .shape = AD_SHAPE(self->dim), .fixed = true};
    nf_parameter_spec factor = {
        .name = "factor", .shape = AD_SHAPE(self->dim, self->dim), .constraint = NF_LOWER_TRIANGULAR, .fixed = true};
    ad_status status = nf_declare(self, &mean, error);
    return status == AD_OK ? nf_declare(self, &factor, error) : status;
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var factor = nf_param(at, "factor");
    *log_det = ad_sum(ad_log(nf_diagonal(factor)));
    return ad_add(ad_matmul(factor, z), nf_param(at, "mean"));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var factor = nf_param(at, "factor");
    *log_det = ad_neg(ad_sum(ad_log(nf_diagonal(factor))));
    return ad_solve_triangular(factor, ad_sub(x, nf_param(at, "mean")), AD_LOWER);
}

static ad_status fit(nf_bijector *self, const double *x, size_t rows, ad_error *error)
{
    const size_t n = self->dim;
    const double spread = nf_argument_value(self, "spread");
    double *factor = ad_alloc(n, n * sizeof *factor);
    if (!factor) return ad_error_set(error, AD_ERROR_MEMORY, "whiten: out of memory for %zu columns", n);
    ad_error why;
    ad_status status = nf_shrunk_covariance(x, rows, n, nf_parameter_value(self, "mean"), factor, &why);
    if (status == AD_OK && !nf_cholesky(factor, n))
        status = ad_error_set(&why, AD_ERROR_NUMERIC, "the covariance is beyond the range of numbers");
    for (size_t i = 0; i < n * n; i++) factor[i] *= spread;
    if (status == AD_OK)
        nf_parameter_set(self, "factor", factor);
    else
        ad_error_set(error, status, "whiten: %s", why.message);
    ad_free(factor);
    return status;
}

static const nf_argument arguments[] = {
    {"spread", NF_NUMBER, 1, 1e-3, 1e3, NULL, "standard deviations of the data to one of z"},
    {0},
};

const nf_bijector_type nf__type_whiten = {
    .name = "whiten",
    .help = "x = mean + L z, the mean and the Cholesky factor of the data's covariance",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
    .fit = fit,
};
