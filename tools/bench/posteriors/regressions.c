/* Generalised linear models. */
#include "posteriors.h"

/* ---- kidscore: posteriordb's kidiq_with_mom_work family (Gelman & Hill 2007, section 3.3) ----------------------- */

enum { KIDS = 200 };

/* score ~ N(beta_1 + beta_2 school + beta_3 iq + beta_4 school iq, sigma²): none is near 0 or of size 1. */
static ad_var kidscore_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    double x[KIDS][4], y[KIDS];
    for (size_t i = 0; i < KIDS; i++) {
        const double school = uniform_draw(1, i) < 0.8, iq = 100 + 15 * normal_draw(2, i);
        memcpy(x[i], (double[]){1, school, iq, school * iq}, sizeof x[i]);
        y[i] = -11 + 51 * school + 0.97 * iq - 0.48 * school * iq + 18 * normal_draw(3, i);
    }
    ad_var beta = value[0], sigma = value[1], zero = number(beta, 0);
    return SUM(nf_log_normal(beta, zero, number(beta, 100)), nf_log_half_cauchy(sigma, number(beta, 2.5)),
               nf_log_normal(vector(beta, KIDS, y), ad_matmul(matrix(beta, KIDS, 4, *x), beta), sigma));
}

static const nf_site kidscore_sites[] = {{.name = "beta", .size = 4},
                                         {.name = "sigma", .size = 1, .constraint = NF_SITE_POSITIVE_EXP}};
POSTERIOR(kidscore, "a regression with an interaction, its predictors not centred", kidscore_sites, kidscore_density);

/* ---- logistic_regression ---------------------------------------------------------------------------------------- */

enum { TRIALS = 150, PREDICTORS = 6 };

static ad_var logistic_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    static const double truth[PREDICTORS] = {-0.5, 1.2, -2, 0.3, 0, 0.8};
    double x[TRIALS][PREDICTORS], y[TRIALS];
    for (size_t i = 0; i < TRIALS; i++) {
        double logit = 0;
        for (size_t k = 0; k < PREDICTORS; k++) {
            x[i][k] = k == 0 ? 1 : normal_draw(10, i * PREDICTORS + k) + (k == 5 ? x[i][1] : 0);
            logit += truth[k] * x[i][k];
        }
        y[i] = uniform_draw(11, i) < 1 / (1 + exp(-logit));
    }
    ad_var beta = value[0], logit = ad_matmul(matrix(beta, TRIALS, PREDICTORS, *x), beta);
    return SUM(nf_log_normal(beta, number(beta, 0), number(beta, 2.5)),
               nf_log_bernoulli_logit(vector(beta, TRIALS, y), logit));
}

static const nf_site logistic_sites[] = {{.name = "beta", .size = PREDICTORS}};
POSTERIOR(logistic_regression, "a logistic regression, two of its predictors correlated", logistic_sites,
          logistic_density);

/* ---- poisson_regression: GLM_Poisson of posteriordb (Kéry & Schaub 2012, chapter 3) ------------------------------ */

enum { YEARS = 40 };

static ad_var poisson_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    double year[YEARS][4], count[YEARS];
    for (size_t i = 0; i < YEARS; i++) {
        const double t = ((double)i - 20) / 20;
        memcpy(year[i], (double[]){1, t, t * t, t * t * t}, sizeof year[i]);
        count[i] = poisson_draw(20, i, exp(4.27 + 1.3 * t + 0.07 * t * t - 0.77 * t * t * t));
    }
    ad_var beta = value[0];
    return SUM(nf_log_uniform(nf_element(beta, 0), number(beta, -20), number(beta, 20)),
               nf_log_uniform(ad_slice(beta, 0, 1, 4), number(beta, -10), number(beta, 10)),
               nf_log_poisson_log(vector(beta, YEARS, count), ad_matmul(matrix(beta, YEARS, 4, *year), beta)));
}

static const nf_site poisson_sites[] = {{.name = "beta", .size = 4}};
POSTERIOR(poisson_regression, "counts of 40 years, their log rate a cubic polynomial", poisson_sites, poisson_density);

/* ---- ordered_regression ----------------------------------------------------------------------------------------- */

enum { ANSWERS = 150 };

static ad_var ordered_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    double x[ANSWERS], y[ANSWERS];
    for (size_t i = 0; i < ANSWERS; i++) {
        const double u = uniform_draw(31, i), latent = 1.4 * (x[i] = normal_draw(30, i)) + log(u / (1 - u));
        y[i] = (latent > -2) + (latent > 0.3) + (latent > 1.5);
    }
    ad_var beta = value[0], cutpoints = value[1], eta = ad_mul(vector(beta, ANSWERS, x), beta);
    return SUM(nf_log_normal(beta, number(beta, 0), number(beta, 2)),
               nf_log_normal(cutpoints, number(beta, 0), number(beta, 5)),
               nf_log_ordered_logistic(vector(beta, ANSWERS, y), eta, cutpoints));
}

static const nf_site ordered_sites[] = {{.name = "beta", .size = 1},
                                        {.name = "cutpoints", .size = 3, .constraint = NF_SITE_ORDERED}};
POSTERIOR(ordered_regression, "answers on a scale of four, by an ordered logistic regression", ordered_sites,
          ordered_density);
