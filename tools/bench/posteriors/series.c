/* Time series. */
#include "posteriors.h"

/* ---- garch: posteriordb's garch11 ------------------------------------------------------------------------------- */

enum { RETURNS = 150 };

/* y_t ~ N(mu, s_t²), s_t² = alpha0 + alpha1 (y_(t-1) - mu)² + beta1 s_(t-1)², with beta1 = share (1 - alpha1), uniform
 * where alpha1 + beta1 < 1. */
static ad_var garch_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    double y[RETURNS], variance = 1.5;
    for (size_t t = 0; t < RETURNS; t++) {
        if (t > 0) variance = 0.6 + 0.35 * pow(y[t - 1] - 5, 2) + 0.4 * variance;
        y[t] = 5 + sqrt(variance) * normal_draw(80, t);
    }
    ad_var mu = value[0], alpha0 = value[1], alpha1 = value[2], rest = ad_sub(number(mu, 1), alpha1);
    ad_var beta1 = ad_mul(value[3], rest), squares = ad_square(ad_sub(vector(mu, RETURNS, y), mu));
    ad_var s2[RETURNS] = {number(mu, 1.5)};
    s2[0] = ad_reshape(s2[0], AD_SHAPE(1));
    for (size_t t = 1; t < RETURNS; t++)
        s2[t] = SUM(alpha0, ad_mul(alpha1, ad_slice(squares, 0, t - 1, t)), ad_mul(beta1, s2[t - 1]));
    return SUM(nf_log_normal(mu, number(mu, 0), number(mu, 10)), nf_log_half_cauchy(alpha0, number(mu, 5)),
               ad_log(ad_sum(rest)), nf_log_normal(vector(mu, RETURNS, y), mu, ad_sqrt(ad_concat(s2, RETURNS, 0))));
}

static const nf_site garch_sites[] = {{.name = "mu", .size = 1},
                                      {.name = "alpha0", .size = 1, .constraint = NF_SITE_POSITIVE_EXP},
                                      {.name = "alpha1", .size = 1, .constraint = NF_SITE_INTERVAL, .high = 1},
                                      {.name = "share", .size = 1, .constraint = NF_SITE_INTERVAL, .high = 1}};
POSTERIOR(garch, "GARCH(1,1) of 150 returns", garch_sites, garch_density);

/* ---- autoregression: posteriordb's arK -------------------------------------------------------------------------- */

enum { LAGS = 5, TIMES = 150 };

static ad_var autoregression_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    static const double truth[LAGS] = {0.7, 0.45, 0.05, -0.2, -0.15};
    double y[TIMES], lagged[TIMES - LAGS][LAGS];
    for (size_t t = 0; t < TIMES; t++) {
        y[t] = 0.3 + 0.15 * normal_draw(90, t);
        for (size_t k = 0; k < LAGS && k < t; k++) y[t] += truth[k] * y[t - 1 - k];
        for (size_t k = 0; k < LAGS && t >= LAGS; k++) lagged[t - LAGS][k] = y[t - 1 - k];
    }
    ad_var alpha = value[0], beta = value[1], sigma = value[2], zero = number(alpha, 0), ten = number(alpha, 10);
    ad_var mean = ad_add(alpha, ad_matmul(matrix(alpha, TIMES - LAGS, LAGS, *lagged), beta));
    return SUM(nf_log_normal(alpha, zero, ten), nf_log_normal(beta, zero, ten),
               nf_log_half_cauchy(sigma, number(alpha, 2.5)),
               nf_log_normal(vector(alpha, TIMES - LAGS, y + LAGS), mean, sigma));
}

static const nf_site autoregression_sites[] = {{.name = "alpha", .size = 1},
                                               {.name = "beta", .size = LAGS},
                                               {.name = "sigma", .size = 1, .constraint = NF_SITE_POSITIVE_EXP}};
POSTERIOR(autoregression, "an autoregression of five lags", autoregression_sites, autoregression_density);

/* ---- hidden_markov: posteriordb's hmm_example ------------------------------------------------------------------- */

enum { STATES = 2, STEPS = 100 };

/* y_t ~ N(mu of state t, 1); the states by the forward algorithm, in log space. */
static ad_var hidden_markov_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    double y[STEPS];
    for (size_t t = 0, state = 0; t < STEPS; t++) {
        state = uniform_draw(100, t) < (state ? 0.7 : 0.25);
        y[t] = (state ? 9 : 3.5) + normal_draw(101, t);
    }
    ad_var mu = value[0], theta[] = {value[1], value[2]};
    ad_var transition = ad_log(ad_reshape(ad_concat(theta, STATES, 0), AD_SHAPE(STATES, STATES)));
    ad_var emission = nf_log_normal_each(matrix(mu, STEPS, 1, y), mu, number(mu, 1));
    ad_var forward = ad_reshape(ad_slice(emission, 0, 0, 1), AD_SHAPE(STATES));
    for (size_t t = 1; t < STEPS; t++) {
        ad_var joint = ad_add(ad_reshape(forward, AD_SHAPE(STATES, 1)), transition);
        ad_var here = ad_reshape(ad_slice(emission, 0, t, t + 1), AD_SHAPE(STATES));
        forward = ad_add(ad_logsumexp_axis(joint, 0), here);
    }
    static const double centre[STATES] = {3, 10}, often[STATES] = {4, 2}, seldom[STATES] = {2, 4};
    return SUM(nf_log_normal(mu, vector(mu, STATES, centre), number(mu, 1)),
               nf_log_dirichlet(theta[0], vector(mu, STATES, often)),
               nf_log_dirichlet(theta[1], vector(mu, STATES, seldom)), ad_logsumexp(forward));
}

static const nf_site hidden_markov_sites[] = {{.name = "mu", .size = STATES, .constraint = NF_SITE_ORDERED},
                                              {.name = "theta1", .size = STATES, .constraint = NF_SITE_SIMPLEX},
                                              {.name = "theta2", .size = STATES, .constraint = NF_SITE_SIMPLEX}};
POSTERIOR(hidden_markov, "a hidden Markov model of two states", hidden_markov_sites, hidden_markov_density);
