/* Partially pooled models. */
#include "posteriors.h"

/* ---- radon: posteriordb's radon_hierarchical_intercept (Gelman & Hill 2007, chapter 12) -------------------------- */

enum { COUNTIES = 20, HOUSES = 160 };

/* log radon_i ~ N(alpha_county(i) + beta floor_i, sigma²); small counties have one or two houses. */
static ad_var radon_likelihood(ad_var alpha, ad_var beta, ad_var sigma)
{
    double floor_of[HOUSES], y[HOUSES];
    size_t county[HOUSES];
    for (size_t i = 0; i < HOUSES; i++) {
        county[i] = (size_t)(COUNTIES * pow(uniform_draw(40, i), 2));
        floor_of[i] = uniform_draw(41, i) < 0.2;
        y[i] = 1.5 + 0.35 * normal_draw(42, county[i]) - 0.7 * floor_of[i] + 0.75 * normal_draw(43, i);
    }
    ad_var mean = ad_add(ad_gather(alpha, county, HOUSES), ad_mul(beta, vector(alpha, HOUSES, floor_of)));
    return nf_log_normal(vector(alpha, HOUSES, y), mean, sigma);
}

/* mu, tau, beta, sigma */
static ad_var radon_prior(const ad_var *value)
{
    ad_var zero = number(value[0], 0), ten = number(value[0], 10), one = number(value[0], 1);
    return SUM(nf_log_normal(value[0], zero, ten), nf_log_half_normal(value[1], one),
               nf_log_normal(value[2], zero, ten), nf_log_half_normal(value[3], one));
}

static ad_var radon_centered_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return SUM(radon_prior(value), nf_log_normal(value[4], value[0], value[1]),
               radon_likelihood(value[4], value[2], value[3]));
}

static ad_var radon_noncentered_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var alpha = ad_add(value[0], ad_mul(value[1], value[4]));
    return SUM(radon_prior(value), nf_log_normal(value[4], number(alpha, 0), number(alpha, 1)),
               radon_likelihood(alpha, value[2], value[3]));
}

#define RADON_SITES(last)                                                                                              \
    {                                                                                                                  \
        {.name = "mu", .size = 1}, {.name = "tau", .size = 1, .constraint = NF_SITE_POSITIVE_EXP},                     \
            {.name = "beta", .size = 1}, {.name = "sigma", .size = 1, .constraint = NF_SITE_POSITIVE_EXP},             \
        {                                                                                                              \
            .name = last, .size = COUNTIES                                                                             \
        }                                                                                                              \
    }
static const nf_site radon_centered_sites[] = RADON_SITES("alpha");
static const nf_site radon_noncentered_sites[] = RADON_SITES("alpha_trans");
POSTERIOR(radon_centered, "intercepts of 20 counties around a common mean", radon_centered_sites,
          radon_centered_density);
POSTERIOR(radon_noncentered, "the same, with alpha = mu + tau alpha_trans", radon_noncentered_sites,
          radon_noncentered_density);

/* ---- surgical: posteriordb's surgical_model (Spiegelhalter et al. 1996, BUGS examples, volume I) ------------------
 */

enum { HOSPITALS = 12 };

/* deaths_j ~ binomial(operations_j, sigmoid(b_j)), b_j ~ N(mu, sigma²). */
static ad_var surgical_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    double operations[HOSPITALS], deaths[HOSPITALS] = {0};
    for (size_t j = 0; j < HOSPITALS; j++) {
        const double rate = 1 / (1 + exp(2.5 - 0.4 * normal_draw(50, j)));
        operations[j] = floor(40 + 400 * uniform_draw(51, j));
        for (size_t i = 0; (double)i < operations[j]; i++) deaths[j] += uniform_draw(52 + j, i) < rate;
    }
    ad_var mu = value[0], sigma = value[1], b = value[2];
    return SUM(nf_log_normal(mu, number(mu, 0), number(mu, 5)), nf_log_half_normal(sigma, number(mu, 1)),
               nf_log_normal(b, mu, sigma),
               nf_log_binomial_logit(vector(mu, HOSPITALS, deaths), vector(mu, HOSPITALS, operations), b));
}

static const nf_site surgical_sites[] = {{.name = "mu", .size = 1},
                                         {.name = "sigma", .size = 1, .constraint = NF_SITE_POSITIVE_EXP},
                                         {.name = "b", .size = HOSPITALS}};
POSTERIOR(surgical, "mortality of 12 hospitals", surgical_sites, surgical_density);

/* ---- correlated_effects ----------------------------------------------------------------------------------------- */

enum { GROUPS = 10, EACH = 12 };

/* y ~ N(b_g1 + b_g2 x, sigma²), b_g = mu + diag(tau) L z_g: intercepts and slopes that correlate, L ~ LKJ(2). */
static ad_var correlated_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    double x[GROUPS][EACH], y[GROUPS][EACH];
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t i = 0; i < EACH; i++) {
            const double first = normal_draw(70, g), second = 0.6 * first + 0.8 * normal_draw(71, g);
            x[g][i] = normal_draw(72, g * EACH + i);
            y[g][i] = 3 + 1.2 * first + (-2 + 0.7 * second) * x[g][i] + 0.9 * normal_draw(73, g * EACH + i);
        }
    ad_var mu = value[0], tau = value[1], l = value[2], sigma = value[4], zero = number(mu, 0), one = number(mu, 1);
    ad_var z = ad_reshape(value[3], AD_SHAPE(2, GROUPS)),
           scaled = ad_mul(ad_reshape(tau, AD_SHAPE(2, 1)), ad_matmul(l, z));
    ad_var b = ad_add(ad_reshape(mu, AD_SHAPE(2, 1)), scaled);
    ad_var intercept = ad_reshape(ad_slice(b, 0, 0, 1), AD_SHAPE(GROUPS, 1));
    ad_var slope = ad_reshape(ad_slice(b, 0, 1, 2), AD_SHAPE(GROUPS, 1));
    ad_var mean = ad_add(intercept, ad_mul(slope, matrix(mu, GROUPS, EACH, *x)));
    return SUM(nf_log_normal(mu, zero, number(mu, 10)), nf_log_half_cauchy(tau, number(mu, 2.5)),
               nf_log_lkj_cholesky(l, number(mu, 2)), nf_log_normal(z, zero, one), nf_log_exponential(sigma, one),
               nf_log_normal(matrix(mu, GROUPS, EACH, *y), mean, sigma));
}

static const nf_site correlated_sites[] = {{.name = "mu", .size = 2},
                                           {.name = "tau", .size = 2, .constraint = NF_SITE_POSITIVE_EXP},
                                           {.name = "L", .size = 4, .constraint = NF_SITE_CORRELATION_CHOLESKY},
                                           {.name = "z", .size = 2 * GROUPS},
                                           {.name = "sigma", .size = 1, .constraint = NF_SITE_POSITIVE_EXP}};
POSTERIOR(correlated_effects, "intercepts and slopes of 10 groups, and their correlation", correlated_sites,
          correlated_density);
