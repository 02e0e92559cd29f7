/* gaussian_mixture: of K normals with covariances of their own,
 *
 *     log p(z) = log Σ_k w_k N(z; μ_k, Σ_k),      w = softmax(logit),
 *
 * set from data by EM (expectation_maximization.c), and learned. A covariance is that of D regressions of a feature on
 * those before it (Pourahmadi 1999, "Joint mean-covariance models"), whose parameters may be any numbers,
 *
 *     z_i = μ_i + Σ_{j<i} c_ij (z_j - μ_j) + e^{s_i} ε_i,      ε ~ N(0, I),
 *
 * so that with M = 1 - C, unit lower triangular: ε = e^{-s} M (z - μ), Σ = M⁻¹ diag(e^{2s}) M⁻ᵀ, and log|Σ| = 2 Σ s_i.
 * coefficient has the c_ij of the first normal, row by row, then those of the next.
 *
 * Without data it starts as `mixture` does, and as there the gradient of a draw with respect to the weights is zero. */
#include "expectation_maximization.h"

#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>
#include <string.h>

static const double log_two_pi = 1.8378770664093454836;

static size_t components(const nf_bijector *self)
{
    return (size_t)nf_argument_value(self, "components");
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t k = components(self), n = self->dim;
    const nf_parameter_spec spec[] = {
        {.name = "logit", .shape = AD_SHAPE(k)},
        {.name = "loc", .shape = AD_SHAPE(k, n), .init = NF_INIT_NORMAL, .value = 1},
        {.name = "log_scale", .shape = AD_SHAPE(k, n)},
        {.name = "coefficient", .shape = AD_SHAPE(k * n * (n - 1) / 2)},
    };
    ad_status status = AD_OK;
    for (size_t i = 0; i < (n > 1 ? 4 : 3) && status == AD_OK; i++) status = nf_declare(self, &spec[i], error);
    return status;
}

/* M of all normals, (K, D, D). */
static ad_var regressions(const nf_scope *at)
{
    const size_t k = components(at->self), n = at->self->dim, below = n * (n - 1) / 2, count = k * n * n;
    double *one = ad_alloc(count, sizeof *one);
    size_t *place = ad_alloc(k * below, sizeof *place), filled = 0;
    ad_var m = {at->tape, -1};
    if (!one || !place) ad_tape_fail(at->tape, AD_ERROR_MEMORY, "out of memory for %zu covariances", k);
    for (size_t e = 0; one && place && e < count; e++) {
        const size_t i = e / n % n, j = e % n;
        one[e] = i == j;
        if (j < i) place[filled++] = e;
    }
    if (one && place) {
        m = ad_constant(at->tape, AD_SHAPE(count), one);
        if (n > 1) m = ad_sub(m, ad_scatter(nf_param(at, "coefficient"), place, k * below, count));
        m = ad_reshape(m, AD_SHAPE(k, n, n));
    }
    ad_free(place);
    ad_free(one);
    return m;
}

/* Far away, where a square is infinite or a difference of infinities no number, it is as far as that. */
static ad_var within_reach(ad_var z)
{
    const double far = 1e12;
    return ad_minimum(ad_maximum(z, ad_scalar(z.tape, -far)), ad_scalar(z.tape, far));
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    const size_t k = components(at->self), n = at->self->dim;
    ad_var log_scale = nf_param(at, "log_scale"); // (K, D)
    ad_var whiten = ad_mul(regressions(at), ad_reshape(ad_exp(ad_neg(log_scale)), AD_SHAPE(k, n, 1)));
    ad_var origin = ad_sum_axis(ad_mul(whiten, ad_reshape(nf_param(at, "loc"), AD_SHAPE(k, 1, n))), 2); // (K, D)
    ad_var image = ad_matmul(ad_reshape(whiten, AD_SHAPE(k * n, n)), within_reach(z));                  // (K D)
    ad_var noise = ad_sub(ad_reshape(image, AD_SHAPE(k, n)), origin);
    ad_var each = ad_neg(ad_sum_axis(ad_add(ad_mul_scalar(ad_square(noise), 0.5), log_scale), 1)); // (K)
    return ad_add_scalar(ad_logsumexp(ad_add(each, nf_log_softmax(nf_param(at, "logit")))),
                         -0.5 * (double)n * log_two_pi);
}

static ad_var sample(const nf_scope *at)
{
    const size_t k = components(at->self), n = at->self->dim;
    ad_var chosen = nf_draw_one(nf_log_softmax(nf_param(at, "logit")), 1); // (K)
    ad_var loc = ad_matmul(ad_transpose(nf_param(at, "loc")), chosen);
    ad_var scale = ad_exp(ad_matmul(ad_transpose(nf_param(at, "log_scale")), chosen));
    ad_var m = ad_matmul(ad_transpose(ad_reshape(regressions(at), AD_SHAPE(k, n * n))), chosen); // (D D)
    ad_var noise = ad_mul(scale, ad_normal(at->tape, AD_SHAPE(n), 0));
    return ad_add(loc, ad_solve_triangular(ad_reshape(m, AD_SHAPE(n, n)), noise, AD_LOWER | AD_UNIT_DIAGONAL));
}

/* The regressions of a covariance L Lᵀ: e^s is L's diagonal, and C = 1 - (L e^{-s})⁻¹, column by column. */
static void regressions_of(const double *factor, size_t n, double *log_scale, double *coefficient, double *column)
{
    for (size_t i = 0; i < n; i++) log_scale[i] = log(factor[i * (n + 1)]);
    for (size_t j = 0; j < n; j++) {
        memset(column, 0, n * sizeof *column);
        column[j] = 1;
        for (size_t i = j + 1; i < n; i++) {
            for (size_t l = j; l < i; l++) column[i] -= factor[i * n + l] / factor[l * (n + 1)] * column[l];
            coefficient[i * (i - 1) / 2 + j] = -column[i];
        }
    }
}

static ad_status fit(nf_bijector *self, const double *x, size_t rows, ad_error *error)
{
    const size_t k = components(self), n = self->dim, below = n * (n - 1) / 2;
    double *factor = ad_alloc(k * n * n + n, sizeof *factor), *column = factor + (factor ? k * n * n : 0), none;
    double *log_scale = nf_parameter_value(self, "log_scale"), *coefficient = nf_parameter_value(self, "coefficient");
    if (!factor) return ad_error_set(error, AD_ERROR_MEMORY, "gaussian_mixture: out of memory for %zu normals", k);
    ad_error why;
    const double prior = nf_argument_value(self, "prior");
    const uint64_t seed = (uint64_t)nf_argument_value(self, "seed");
    ad_status status = nf__fit_gaussian_mixture(x, rows, n, k, prior, seed, nf_parameter_value(self, "logit"),
                                                nf_parameter_value(self, "loc"), factor, &why);
    if (status != AD_OK) ad_error_set(error, status, "gaussian_mixture: %s", why.message);
    for (size_t c = 0; c < k && status == AD_OK; c++)
        regressions_of(factor + c * n * n, n, log_scale + c * n, n > 1 ? coefficient + c * below : &none, column);
    ad_free(factor);
    return status;
}

static const nf_argument arguments[] = {
    {"components", NF_COUNT, 8, 1, 4096, NULL, "how many normals"},
    {"prior", NF_NUMBER, 1, 1e-4, 1e4, NULL, "rows to a feature that the fit's prior counts for"},
    {"seed", NF_COUNT, 0, 0, 9007199254740992.0, NULL, "where EM starts"},
    {0},
};

const nf_bijector_type nf__type_gaussian_mixture = {
    .name = "gaussian_mixture",
    .help = "of normals with covariances of their own, set from the data and learned",
    .argument = arguments,
    .build = build,
    .log_prob = log_prob,
    .sample = sample,
    .fit = fit,
};
