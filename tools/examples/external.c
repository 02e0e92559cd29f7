/* external.c: a target whose log-density and gradient come from elsewhere, from a function that knows nothing of Weir's
 * tapes, here of a few lines, as well from Stan through BridgeStan; fitted by a flow, and sampled by NUTS.
 *
 * Darwin's maize: how many inches taller is a cross-fertilised plant than a self-fertilised one beside it (Fisher 1935,
 * "The Design of Experiments", section 17)? y_i ~ N(mu, sigma²), of 15 pairs; prior 1 / sigma.
 *
 *     cc external.c $(pkg-config --cflags --libs weir) && ./a.out */
#include <math.h>
#include <stdio.h>
#include <weir/models.h>

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

int main(void)
{
    nf_vi_options vi = {.schedule = "cosine", .optimizer.learning_rate = 0.02};
    nf_vi_moments of_flow[SIZE];
    nf_nuts_result draws;
    nf_summary of_nuts[SIZE];
    ad_error error;
    nf_flow *flow = nf_flow_parse("iaf(16)-flip-iaf(16)-scale-loc", SIZE, 0, AD_F64, 1, &error);
    if (!flow || nf_target_check_gradient(&target, (double[]){3, 1}, 1, &error) != AD_OK ||
        nf_vi(flow, &target, &vi, NULL, &error) != AD_OK ||
        nf_vi_summarize(flow, &target, 20000, 1, of_flow, NULL, NULL, &error) != AD_OK ||
        nf_nuts(&target, &(nf_nuts_options){.chains = 8}, &draws, &error) != AD_OK ||
        nf_summarize(draws.values, draws.chains, draws.draws, SIZE, of_nuts, NULL, &error) != AD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    for (int i = 0; i < SIZE; i++)
        printf("%-5s  flow %.3f, sd %.3f;  NUTS %.3f, sd %.3f\n", sites[i].name, of_flow[i].mean, of_flow[i].sd,
               of_nuts[i].mean, of_nuts[i].sd);
    nf_nuts_free(&draws);
    nf_flow_free(flow);
}
