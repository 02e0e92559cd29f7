/* Targets of a user's own, recorded on the tape and from outside, as a flow fits them and as NUTS draws from them:
 * against published values, closed forms, and each other. */
#include "flows/flow_tools.h"
#include <weir/models.h>

#include <math.h>

/* Moments of a site's element, with the Monte-Carlo standard errors that they have. */
typedef struct {
    double mean, mean_error, sd, sd_error;
} moments;

static void assert_agree(const char *what, const moments *a, const moments *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        double mean = (a[i].mean - b[i].mean) / hypot(a[i].mean_error, b[i].mean_error);
        double sd = (a[i].sd - b[i].sd) / hypot(a[i].sd_error, b[i].sd_error);
        ck_assert_msg(fabs(mean) < 3 && fabs(sd) < 3, "%s, element %zu: %g ± %g and %g ± %g; sd %g ± %g and %g ± %g",
                      what, i, a[i].mean, a[i].mean_error, b[i].mean, b[i].mean_error, a[i].sd, a[i].sd_error, b[i].sd,
                      b[i].sd_error);
    }
}

/* Fit a flow and draw chains: their moments, the flow's with its weights. */
static void infer(const nf_target *target, const char *formula, const nf_vi_options *vi, const nf_nuts_options *nuts,
                  moments *of_flow, moments *of_nuts)
{
    enum { MOST = 8 };
    nf_vi_moments weighted[MOST];
    nf_summary summary[MOST];
    nf_nuts_result draws;
    double khat;
    const size_t size = nf_target_size(target);
    ck_assert_uint_le(size, MOST);
    nf_flow *flow = nf_flow_parse(formula, nf_target_dim(target), 0, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    ASSERT_OK(nf_vi(flow, target, vi, NULL, &error));
    ASSERT_OK(nf_vi_summarize(flow, target, 20000, 1, weighted, &khat, NULL, &error));
    ck_assert_double_lt(khat, 0.7);
    ASSERT_OK(nf_nuts(target, nuts, &draws, &error));
    ASSERT_OK(nf_summarize(draws.values, draws.chains, draws.draws, size, summary, NULL, &error));
    for (size_t i = 0; i < size; i++) {
        of_flow[i] = (moments){weighted[i].mean, weighted[i].mcse_mean, weighted[i].sd, weighted[i].mcse_sd};
        of_nuts[i] = (moments){summary[i].mean, summary[i].mcse_mean, summary[i].sd, summary[i].mcse_sd};
    }
    nf_nuts_free(&draws);
    nf_flow_free(flow);
}

/* ---- Regression, with its data ---------------------------------------------------------------------------------
 *
 *     log weight_i ~ N(beta_1 + beta_2 log volume_i + beta_3 log area_i + beta_4 group_i, sigma²)
 *
 * of the leaves of 46 mesquite bushes, from the size of their canopies; flat priors on beta and sigma (Gelman & Hill
 * 2007, "Data Analysis Using Regression and Multilevel/Hierarchical Models", section 4.6). */

enum { BUSHES = 46, SLOPES = 4, SIZE = SLOPES + 1 };

static const struct {
    double group, diameter1, diameter2, height; /* m, of the canopy */
    double weight;                              /* g */
} bush[BUSHES] = {{0, 1.80, 1.15, 1.00, 401.3},  {0, 1.70, 1.35, 1.33, 513.7},  {0, 2.80, 2.55, 0.60, 1179.2},
                  {0, 1.30, 0.85, 1.20, 308.0},  {0, 3.30, 1.90, 1.05, 855.2},  {0, 1.40, 1.40, 1.00, 268.7},
                  {0, 1.50, 0.50, 0.90, 155.5},  {0, 3.90, 2.30, 1.30, 1253.2}, {0, 1.80, 1.35, 0.60, 328.0},
                  {0, 2.10, 1.60, 0.80, 614.6},  {0, 0.80, 0.63, 0.60, 60.2},   {0, 1.30, 0.95, 0.95, 269.6},
                  {0, 1.20, 0.90, 1.20, 448.4},  {0, 1.50, 0.70, 0.70, 120.4},  {0, 2.80, 1.70, 1.20, 378.7},
                  {0, 1.40, 0.85, 1.10, 266.4},  {0, 1.50, 0.60, 0.64, 138.9},  {0, 2.40, 2.40, 1.20, 1020.8},
                  {0, 1.90, 1.55, 1.20, 635.7},  {0, 2.30, 1.60, 1.30, 621.8},  {0, 2.10, 1.70, 1.00, 579.8},
                  {0, 2.40, 1.30, 0.90, 326.8},  {0, 1.00, 0.40, 1.00, 66.7},   {0, 1.30, 0.60, 0.50, 68.0},
                  {0, 1.10, 0.70, 0.90, 153.1},  {0, 1.30, 1.20, 0.60, 256.4},  {1, 2.50, 2.30, 1.40, 723.0},
                  {1, 5.20, 4.00, 2.50, 4052.0}, {1, 2.00, 1.60, 1.40, 345.0},  {1, 1.60, 1.60, 1.30, 330.9},
                  {1, 1.40, 1.00, 1.10, 163.5},  {1, 3.20, 1.90, 1.50, 1160.0}, {1, 1.90, 1.80, 0.80, 386.6},
                  {1, 2.40, 2.40, 1.10, 693.5},  {1, 2.50, 1.80, 1.30, 674.4},  {1, 2.10, 1.50, 0.85, 217.5},
                  {1, 2.40, 2.20, 1.50, 771.3},  {1, 2.40, 1.70, 1.20, 341.7},  {1, 1.90, 1.20, 1.15, 125.7},
                  {1, 2.70, 2.50, 1.50, 462.5},  {1, 1.30, 1.10, 0.70, 64.5},   {1, 2.90, 2.70, 1.90, 850.6},
                  {1, 2.10, 1.00, 1.50, 226.0},  {1, 4.10, 3.80, 1.50, 1745.1}, {1, 2.80, 2.50, 1.50, 908.0},
                  {1, 1.27, 1.00, 0.62, 213.5}};

typedef struct {
    double x[BUSHES][SLOPES], y[BUSHES];
} regression;

static ad_var log_density(const nf_target *self, const ad_var *value)
{
    const regression *data = self->data;
    ad_var beta = value[0], sigma = value[1];
    ad_var x = ad_constant(beta.tape, AD_SHAPE(BUSHES, SLOPES), data->x[0]);
    ad_var y = ad_constant(beta.tape, AD_SHAPE(BUSHES), data->y);
    ad_var residual = ad_div(ad_sub(y, ad_matmul(x, beta)), sigma);
    return ad_neg(ad_sum(ad_add(ad_mul_scalar(ad_square(residual), 0.5), ad_log(sigma))));
}

static const nf_site regression_sites[] = {{.name = "beta", .size = SLOPES},
                                           {.name = "sigma", .size = 1, .constraint = NF_SITE_POSITIVE_EXP}};

static regression design(void)
{
    regression data;
    for (int i = 0; i < BUSHES; i++) {
        double area = bush[i].diameter1 * bush[i].diameter2;
        const double row[SLOPES] = {1, log(area * bush[i].height), log(area), bush[i].group};
        for (int j = 0; j < SLOPES; j++) data.x[i][j] = row[j];
        data.y[i] = log(bush[i].weight);
    }
    return data;
}

/* The means, with their Monte-Carlo standard errors, are those of posteriordb (Magnusson et al. 2024), posterior
 * mesquite-logmesquite_logva. The standard deviations are exact: of multivariate t for beta, and of an inverse gamma
 * for sigma² (Gelman et al. 2013, "Bayesian Data Analysis", section 14.2). */
static const moments published[SIZE] = {
    {5.22413625845132, 0.000918247239724009, 0.09158650738673, 0},
    {0.612229191684084, 0.00200311969683417, 0.19845639444745, 0},
    {0.292417332746266, 0.00247265694753282, 0.24662739819849, 0},
    {-0.527324726594322, 0.00118986284615017, 0.11996265817279, 0},
    {0.347907423981421, 0.000397373975247963, 0.03951403008239, 0},
};

START_TEST(regression_as_published)
{
    const regression data = design();
    const nf_target target = {.name = "mesquite",
                              .site = regression_sites,
                              .n_site = 2,
                              .log_density = log_density,
                              .log_z = NAN,
                              .data = &data};
    const nf_vi_options vi = {
        .objective = "stl", .schedule = "cosine", .iters = 15000, .mc = 50, .optimizer.learning_rate = 0.01, .seed = 1};
    moments of_flow[SIZE], of_nuts[SIZE];
    infer(&target, "lu-iaf(16)-flip-iaf(16)-lu-scale-loc", &vi,
          &(nf_nuts_options){.chains = 8, .dense = true, .seed = 1}, of_flow, of_nuts);
    assert_agree("flow, NUTS", of_flow, of_nuts, SIZE);
    assert_agree("flow, published", of_flow, published, SIZE);
    assert_agree("NUTS, published", of_nuts, published, SIZE);
}
END_TEST

/* ---- Value and gradient from a function --------------------------------------------------------------------------
 *
 * Darwin's maize: how many inches taller is a cross-fertilised plant than a self-fertilised one beside it (Fisher 1935,
 * "The Design of Experiments", section 17)? y_i ~ N(mu, sigma²), of 15 pairs; prior 1 / sigma. */

enum { PAIRS = 15 };

static const double taller[PAIRS] = {6.125, -8.375, 1, 2, 0.75, 2.875, 3.5, 5.125, 1.75, 3.625, 7, 3, 9.375, 7.5, -6};

static double external(const nf_target *self, const double *value, double *gradient)
{
    const double *y = self->data, mu = value[0], sigma = value[1];
    double sum = 0, squares = 0;
    for (int i = 0; i < PAIRS; i++) {
        sum += y[i] - mu;
        squares += (y[i] - mu) * (y[i] - mu);
    }
    gradient[0] = sum / (sigma * sigma);
    gradient[1] = squares / (sigma * sigma * sigma) - (PAIRS + 1) / sigma;
    return -(PAIRS + 1) * log(sigma) - squares / (2 * sigma * sigma);
}

static const nf_site maize_sites[] = {{.name = "mu", .size = 1},
                                      {.name = "sigma", .size = 1, .constraint = NF_SITE_POSITIVE_EXP}};

/* (mu - mean y) √n / s is Student's t with n - 1 degrees of freedom, (n - 1) s² / sigma² is chi-squared with as many
 * (Gelman et al. 2013, "Bayesian Data Analysis", section 3.2). */
static void exact(moments of[2])
{
    const double n = PAIRS;
    double sum = 0, squares = 0;
    for (int i = 0; i < PAIRS; i++) sum += taller[i];
    for (int i = 0; i < PAIRS; i++) squares += pow(taller[i] - sum / n, 2);
    of[0] = (moments){.mean = sum / n, .sd = sqrt(squares / n / (n - 3))};
    of[1].mean = sqrt(squares / 2) * exp(lgamma(n / 2 - 1) - lgamma((n - 1) / 2));
    of[1].sd = sqrt(squares / (n - 3) - of[1].mean * of[1].mean);
    of[1].mean_error = of[1].sd_error = 0;
}

START_TEST(external_as_in_closed_form)
{
    const nf_target target = {
        .name = "maize", .site = maize_sites, .n_site = 2, .external = external, .log_z = NAN, .data = taller};
    const nf_vi_options vi = {.objective = "stl", .schedule = "cosine", .optimizer.learning_rate = 0.02, .seed = 1};
    moments of_flow[2], of_nuts[2], closed[2];
    infer(&target, "iaf(16)-flip-iaf(16)-scale-loc", &vi, &(nf_nuts_options){.chains = 8, .seed = 1}, of_flow, of_nuts);
    exact(closed);
    assert_agree("flow, exact", of_flow, closed, 2);
    assert_agree("NUTS, exact", of_nuts, closed, 2);
}
END_TEST

Suite *user_targets_suite(void)
{
    Suite *suite = suite_create("user_targets");
    TCase *posteriors = tcase_create("posteriors");
    tcase_set_timeout(posteriors, 120);
    tcase_add_test(posteriors, regression_as_published);
    tcase_add_test(posteriors, external_as_in_closed_form);
    suite_add_tcase(suite, posteriors);
    return suite;
}
