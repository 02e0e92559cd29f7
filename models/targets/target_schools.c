/* Eight schools: Rubin 1981, "Estimation in parallel randomized experiments"; the model of posteriordb,
 *
 *     mu ~ N(0, 5²), tau ~ Cauchy+(0, 5), theta_j ~ N(mu, tau²), y_j ~ N(theta_j, sigma_j²)
 *
 * centred, and with theta = mu + tau theta_trans, which is easier on all methods. Priors and likelihood are normalised:
 * log Z is the marginal likelihood, by quadrature over tau (mu and theta are Gaussian integrals). */
#include <weir/densities.h>
#include <weir/target.h>

#include <math.h>

enum { SCHOOLS = 8 };

static const double effect[SCHOOLS] = {28, 8, -3, 7, -1, 1, 18, 12};
static const double standard_error[SCHOOLS] = {15, 10, 16, 11, 9, 11, 10, 18};
#define LOG_MARGINAL (-31.311347352292785)

/* log 2 / (5π (1 + (tau / 5)²)), of mu too. */
static ad_var log_prior(ad_var mu, ad_var tau)
{
    const double pi = 3.14159265358979323846;
    ad_tape *tape = mu.tape;
    ad_var cauchy = ad_add_scalar(ad_neg(ad_log1p(ad_square(ad_mul_scalar(ad_sum(tau), 0.2)))), log(2 / (5 * pi)));
    return ad_add(cauchy, nf_log_normal(mu, ad_scalar(tape, 0), ad_scalar(tape, 5)));
}

static ad_var log_likelihood(ad_var theta)
{
    return nf_log_normal(ad_constant(theta.tape, AD_SHAPE(SCHOOLS), effect), theta,
                         ad_constant(theta.tape, AD_SHAPE(SCHOOLS), standard_error));
}

static ad_var each_log_likelihood(ad_var theta)
{
    return nf_log_normal_each(ad_constant(theta.tape, AD_SHAPE(SCHOOLS), effect), theta,
                              ad_constant(theta.tape, AD_SHAPE(SCHOOLS), standard_error));
}

static ad_var centered_each(const nf_target *self, const ad_var *value)
{
    (void)self;
    return each_log_likelihood(value[2]);
}

static ad_var non_centered_each(const nf_target *self, const ad_var *value)
{
    (void)self;
    return each_log_likelihood(ad_add(value[0], ad_mul(value[1], value[2])));
}

static ad_var centered(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var mu = value[0], tau = value[1], theta = value[2];
    return ad_add(log_prior(mu, tau), ad_add(nf_log_normal(theta, mu, tau), log_likelihood(theta)));
}

static ad_var non_centered(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var mu = value[0], tau = value[1], trans = value[2];
    ad_var standard = nf_log_normal(trans, ad_scalar(mu.tape, 0), ad_scalar(mu.tape, 1));
    return ad_add(log_prior(mu, tau), ad_add(standard, log_likelihood(ad_add(mu, ad_mul(tau, trans)))));
}

#define SITES(last)                                                                                                    \
    (const nf_site[])                                                                                                  \
    {                                                                                                                  \
        {.name = "mu", .size = 1}, {.name = "tau", .size = 1, .constraint = NF_SITE_POSITIVE_EXP},                     \
        {                                                                                                              \
            .name = last, .size = SCHOOLS                                                                              \
        }                                                                                                              \
    }

const nf_target_type nf__target_eight_schools = {
    .name = "eight_schools",
    .help = "a hierarchical model of eight experiments, non-centred: theta = mu + tau theta_trans",
    .target = {.site = SITES("theta_trans"),
               .n_site = 3,
               .log_density = non_centered,
               .log_z = LOG_MARGINAL,
               .log_likelihood = non_centered_each}};

const nf_target_type nf__target_eight_schools_centered = {.name = "eight_schools_centered",
                                                          .help = "the same, centred: theta itself",
                                                          .target = {.site = SITES("theta"),
                                                                     .n_site = 3,
                                                                     .log_density = centered,
                                                                     .log_z = LOG_MARGINAL,
                                                                     .log_likelihood = centered_each}};
