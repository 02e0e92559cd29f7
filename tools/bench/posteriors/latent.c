/* Models whose latent values are integrated out: a Gaussian process and a mixture. */
#include "posteriors.h"

/* ---- gaussian_process: posteriordb's gp_regr -------------------------------------------------------------------- */

enum { INPUTS = 25 };

static ad_var process_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    double x[INPUTS], y[INPUTS];
    for (size_t i = 0; i < INPUTS; i++) {
        x[i] = -10 + 20 * (double)i / (INPUTS - 1);
        y[i] = 2 * sin(0.45 * x[i]) + 0.8 * cos(0.9 * x[i]) + 0.35 * normal_draw(110, i);
    }
    ad_var rho = value[0], alpha = value[1], sigma = value[2];
    ad_var covariance = nf_covariance_squared_exponential(vector(rho, INPUTS, x), alpha, rho, 0);
    double identity[INPUTS * INPUTS] = {0};
    for (size_t i = 0; i < INPUTS; i++) identity[i * (INPUTS + 1)] = 1;
    ad_var noise = ad_mul(ad_square(sigma), matrix(rho, INPUTS, INPUTS, identity));
    return SUM(
        nf_log_inverse_gamma(rho, number(rho, 5), number(rho, 12)), nf_log_gamma(alpha, number(rho, 4), number(rho, 2)),
        nf_log_half_normal(sigma, number(rho, 1)),
        nf_log_multivariate_normal(vector(rho, INPUTS, y), number(rho, 0), ad_cholesky(ad_add(covariance, noise))));
}

static const nf_site process_sites[] = {{.name = "rho", .size = 1, .constraint = NF_SITE_POSITIVE_EXP},
                                        {.name = "alpha", .size = 1, .constraint = NF_SITE_POSITIVE_EXP},
                                        {.name = "sigma", .size = 1, .constraint = NF_SITE_POSITIVE_EXP}};
POSTERIOR(gaussian_process, "a Gaussian process at 25 inputs: its length, magnitude and noise", process_sites,
          process_density);

/* ---- normal_mixture: posteriordb's low_dim_gauss_mix ------------------------------------------------------------ */

enum { POINTS = 200 };

static ad_var mixture_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    double y[POINTS];
    for (size_t i = 0; i < POINTS; i++)
        y[i] = uniform_draw(120, i) < 0.37 ? -2.75 + normal_draw(121, i) : 2.75 + 1.03 * normal_draw(121, i);
    ad_var mu = value[0], sigma = value[1], theta = value[2], two = number(mu, 2), five = number(mu, 5);
    ad_var weights = ad_log(ad_concat((ad_var[]){theta, ad_sub(number(mu, 1), theta)}, 2, 0));
    return SUM(nf_log_normal(mu, number(mu, 0), two), nf_log_half_normal(sigma, two), nf_log_beta(theta, five, five),
               nf_log_mixture(weights, nf_log_normal_each(matrix(mu, POINTS, 1, y), mu, sigma)));
}

static const nf_site mixture_sites[] = {{.name = "mu", .size = 2, .constraint = NF_SITE_ORDERED},
                                        {.name = "sigma", .size = 2, .constraint = NF_SITE_POSITIVE_EXP},
                                        {.name = "theta", .size = 1, .constraint = NF_SITE_INTERVAL, .high = 1}};
POSTERIOR(normal_mixture, "a mixture of two normals with ordered means", mixture_sites, mixture_density);
