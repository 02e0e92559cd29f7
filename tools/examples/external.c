/* external.c: a target whose log-density and gradient come from elsewhere, from a function that knows nothing of Weir's
 * tapes: here of a few lines, as well from Stan through BridgeStan.
 *
 * Darwin's maize: how many inches taller is a cross-fertilised plant than a self-fertilised one beside
 * it (Fisher 1935, "The Design of Experiments", section 17)? y_i ~ N(mu, sigma²), of 15 pairs; prior 1 / sigma. */
#include <math.h>
#include <stdio.h>
#include <weir/models.h>
#include <weir/nuts.h>

enum { PAIRS = 15, SIZE = 2 };

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

static const nf_site sites[] = {{.name = "mu", .size = 1},
                                {.name = "sigma", .size = 1, .constraint = NF_SITE_POSITIVE_EXP}};

static const nf_target target = {
    .name = "maize", .site = sites, .n_site = 2, .external = external, .log_z = NAN, .data = taller};

/* (mu - mean y) √n / s is Student's t with n - 1 degrees of freedom, (n - 1) s² / sigma² is chi-squared with as many
 * (Gelman et al. 2013, "Bayesian Data Analysis", section 3.2). */
static void exact(double mean[SIZE], double sd[SIZE])
{
    const double n = PAIRS;
    double sum = 0, squares = 0;
    for (int i = 0; i < PAIRS; i++) sum += taller[i];
    for (int i = 0; i < PAIRS; i++) squares += pow(taller[i] - sum / n, 2);
    mean[0] = sum / n;
    sd[0] = sqrt(squares / n / (n - 3));
    mean[1] = sqrt(squares / 2) * exp(lgamma(n / 2 - 1) - lgamma((n - 1) / 2));
    sd[1] = sqrt(squares / (n - 3) - mean[1] * mean[1]);
}

/* Within three Monte-Carlo standard errors. */
static bool agrees(double estimate, double standard_error, double value)
{
    return fabs(estimate - value) < 3 * standard_error;
}

int main(void)
{
    nf_vi_options vi = {.objective = "stl", .schedule = "cosine", .optimizer.learning_rate = 0.02, .seed = 1};
    nf_nuts_result draws;
    nf_vi_moments of_flow[SIZE];
    nf_summary of_nuts[SIZE];
    double khat;
    ad_error error;
    nf_flow *flow = nf_flow_parse("iaf(16)-flip-iaf(16)-scale-loc", SIZE, 0, AD_F64, 1, &error);
    if (!flow || nf_vi(flow, &target, &vi, NULL, &error) != AD_OK ||
        nf_vi_summarize(flow, &target, 20000, 1, of_flow, &khat, NULL, &error) != AD_OK ||
        nf_nuts(&target, &(nf_nuts_options){.chains = 8, .seed = 1}, &draws, &error) != AD_OK ||
        nf_summarize(draws.values, draws.chains, draws.draws, SIZE, of_nuts, NULL, &error) != AD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    double mean[SIZE], sd[SIZE];
    bool good = true;
    exact(mean, sd);
    printf("%-6s  %7s %6s   %7s %6s   %7s %6s\n", "", "flow", "sd", "NUTS", "sd", "exact", "sd");
    for (int i = 0; i < SIZE; i++) {
        printf("%-6s  %7.3f %6.3f   %7.3f %6.3f   %7.3f %6.3f\n", sites[i].name, of_flow[i].mean, of_flow[i].sd,
               of_nuts[i].mean, of_nuts[i].sd, mean[i], sd[i]);
        good = good && agrees(of_flow[i].mean, of_flow[i].mcse_mean, mean[i]) &&
               agrees(of_flow[i].sd, of_flow[i].mcse_sd, sd[i]) &&
               agrees(of_nuts[i].mean, of_nuts[i].mcse_mean, mean[i]) &&
               agrees(of_nuts[i].sd, of_nuts[i].mcse_sd, sd[i]);
    }
    nf_nuts_free(&draws);
    nf_flow_free(flow);
    return !(good && khat < 0.7);
}
