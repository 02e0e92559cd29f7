/* mesquite.c: a target of your own, with its data: Bayesian regression, fitted by a flow and sampled by NUTS.
 *
 *     log weight_i ~ N(beta_1 + beta_2 log volume_i + beta_3 log area_i + beta_4 group_i, sigma²)
 *
 * of the leaves of 46 mesquite bushes, from the size of their canopies; flat priors on beta and sigma (Gelman & Hill
 * 2007, "Data Analysis Using Regression and Multilevel/Hierarchical Models", section 4.6). */
#include <math.h>
#include <stdio.h>
#include <weir/models.h>
#include <weir/nuts.h>

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
    ad_var error = ad_div(ad_sub(y, ad_matmul(x, beta)), sigma);
    return ad_neg(ad_sum(ad_add(ad_mul_scalar(ad_square(error), 0.5), ad_log(sigma))));
}

static const nf_site sites[] = {{.name = "beta", .size = SLOPES},
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
static const struct {
    double mean, error, sd;
} published[SIZE] = {
    {5.22413625845132, 0.000918247239724009, 0.09158650738673},
    {0.612229191684084, 0.00200311969683417, 0.19845639444745},
    {0.292417332746266, 0.00247265694753282, 0.24662739819849},
    {-0.527324726594322, 0.00118986284615017, 0.11996265817279},
    {0.347907423981421, 0.000397373975247963, 0.03951403008239},
};

/* Within three standard errors. */
static bool agrees(double a, double error_a, double b, double error_b)
{
    return fabs(a - b) < 3 * hypot(error_a, error_b);
}

static bool show(const nf_target *target, const nf_vi_moments *flow, const nf_summary *nuts)
{
    bool good = true;
    printf("%-8s  %9s %8s   %9s %8s   %9s %8s\n", "", "flow", "sd", "NUTS", "sd", "published", "sd");
    for (size_t i = 0; i < SIZE; i++) {
        char name[64];
        printf("%-8s  %9.4f %8.4f   %9.4f %8.4f   %9.4f %8.4f\n", nf_target_element(target, i, name), flow[i].mean,
               flow[i].sd, nuts[i].mean, nuts[i].sd, published[i].mean, published[i].sd);
        good = good && agrees(flow[i].mean, flow[i].mcse_mean, nuts[i].mean, nuts[i].mcse_mean) &&
               agrees(flow[i].sd, flow[i].mcse_sd, nuts[i].sd, nuts[i].mcse_sd) &&
               agrees(flow[i].mean, flow[i].mcse_mean, published[i].mean, published[i].error) &&
               agrees(nuts[i].mean, nuts[i].mcse_mean, published[i].mean, published[i].error) &&
               agrees(flow[i].sd, flow[i].mcse_sd, published[i].sd, 0) &&
               agrees(nuts[i].sd, nuts[i].mcse_sd, published[i].sd, 0);
    }
    return good;
}

int main(void)
{
    const regression data = design();
    const nf_target target = {
        .name = "mesquite", .site = sites, .n_site = 2, .log_density = log_density, .log_z = NAN, .data = &data};
    nf_vi_options vi = {.objective = "stl",
                        .schedule = "cosine",
                        .iters = 15000,
                        .mc = 50,
                        .optimizer.learning_rate = 0.01,
                        .seed = 1};
    nf_nuts_options nuts = {.chains = 8, .dense = true, .seed = 1};
    nf_nuts_result draws;
    nf_vi_moments of_flow[SIZE];
    nf_summary of_nuts[SIZE];
    double khat;
    ad_error error;
    nf_flow *flow = nf_flow_parse("lu-iaf(16)-flip-iaf(16)-lu-scale-loc", nf_target_dim(&target), 0, AD_F64, 1, &error);
    if (!flow || nf_vi(flow, &target, &vi, NULL, &error) != AD_OK ||
        nf_vi_summarize(flow, &target, 20000, 1, of_flow, &khat, NULL, &error) != AD_OK ||
        nf_nuts(&target, &nuts, &draws, &error) != AD_OK ||
        nf_summarize(draws.values, draws.chains, draws.draws, SIZE, of_nuts, NULL, &error) != AD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    bool good = show(&target, of_flow, of_nuts);
    printf("k-hat %.2f; %zu divergent of %zu draws\n", khat, draws.divergent, draws.chains * draws.draws);
    nf_nuts_free(&draws);
    nf_flow_free(flow);
    return !(good && khat < 0.7);
}
