/* Posteriors and other targets as users fit and sample them: flows and NUTS against closed forms, quadrature, published
 * values, and each other. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include <weir/nuts.h>

#include <math.h>

static nf_flow *fitted(const nf_target *target, const char *formula, const nf_vi_options *options)
{
    nf_flow *flow = nf_flow_parse(formula, nf_target_dim(target), 0, AD_F32, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    ASSERT_OK(nf_vi(flow, target, options, NULL, &error));
    return flow;
}

/* ---- Correlated normals ---------------------------------------------------------------------------------------- */

/* N(mean, A Aᵀ), as a flow of linear maps has it. */
typedef struct {
    size_t dim;
    double *mean, *covariance, log_det; /* of A */
} normal;

static normal normal_of(nf_flow *flow)
{
    const size_t dim = nf_flow_dim(flow), rows = dim + 1;
    normal n = {.dim = dim, .mean = calloc(dim, sizeof(double)), .covariance = calloc(dim * dim, sizeof(double))};
    double *z = calloc(rows * dim, sizeof *z), *x = calloc(rows * dim, sizeof *x), *log_det = calloc(rows, sizeof *x);
    for (size_t k = 0; k < dim; k++) z[k * dim + k] = 1; /* and a row of zeros */
    ASSERT_OK(nf_transform(flow, false, z, NULL, rows, x, log_det, NULL, &error));
    memcpy(n.mean, x + dim * dim, dim * sizeof *x);
    n.log_det = log_det[0];
    for (size_t k = 0; k < dim; k++)
        for (size_t i = 0; i < dim; i++)
            for (size_t j = 0; j < dim; j++)
                n.covariance[i * dim + j] += (x[k * dim + i] - n.mean[i]) * (x[k * dim + j] - n.mean[j]);
    free(log_det);
    free(x);
    free(z);
    return n;
}

static void free_normal(normal *n)
{
    free(n->mean);
    free(n->covariance);
}

/* Of the covariance, against r^|i-j|, in the Frobenius norm. */
static double covariance_error(const normal *n, double r)
{
    double off = 0, all = 0;
    for (size_t i = 0; i < n->dim; i++)
        for (size_t j = 0; j < n->dim; j++) {
            double exact = pow(r, fabs((double)i - (double)j));
            off += pow(n->covariance[i * n->dim + j] - exact, 2);
            all += exact * exact;
        }
    return sqrt(off / all);
}

/* The inverse of r^|i-j| is tridiagonal: 1 at its ends and 1 + r² between them, -r beside, all over 1 - r². */
static double precision(size_t dim, double r, size_t i, size_t j)
{
    size_t apart = i > j ? i - j : j - i;
    double value = apart == 1 ? -r : i == 0 || i == dim - 1 ? 1 : 1 + r * r;
    return apart > 1 ? 0 : value / (1 - r * r);
}

/* KL(n ‖ N(0, Σ)) = (tr Λ C + mᵀ Λ m - D + log det Σ - log det C) / 2 */
static double divergence(const normal *n, double r)
{
    double sum = (double)(n->dim - 1) * log(1 - r * r) - 2 * n->log_det - (double)n->dim;
    for (size_t i = 0; i < n->dim; i++)
        for (size_t j = 0; j < n->dim; j++)
            sum += precision(n->dim, r, i, j) * (n->covariance[i * n->dim + j] + n->mean[i] * n->mean[j]);
    return sum / 2;
}

/* A mean field keeps the diagonal of the precision. */
START_TEST(mean_field)
{
    enum { DIM = 100 };
    const double r = 0.9;
    nf_target *target = target_of("gaussian(dim=100,correlation=0.9)");
    nf_vi_options o = {
        .objective = "stl", .schedule = "cosine", .iters = 5000, .mc = 50, .optimizer.learning_rate = 0.02};
    nf_flow *flow = fitted(target, "scale-loc", &o);
    normal n = normal_of(flow);
    double best = (DIM - 1) * log(1 - r * r) / 2;
    for (size_t i = 0; i < DIM; i++) {
        double variance = 1 / precision(DIM, r, i, i);
        best -= log(variance) / 2;
        ck_assert_double_eq_tol(n.covariance[i * DIM + i], variance, 0.02 * variance);
        ck_assert_double_eq_tol(n.mean[i], 0, 0.05);
        for (size_t j = 0; j < DIM; j++)
            if (i != j) ck_assert_double_eq_tol(n.covariance[i * DIM + j], 0, 1e-12);
    }
    ck_assert_double_eq_tol(divergence(&n, r), best, 0.01 * best);
    free_normal(&n);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* scale-hh*D reaches every covariance, scale-hh*K those that K reflections rotate. */
START_TEST(full_rank)
{
    const double r = 0.9;
    nf_target *target = target_of("gaussian(dim=30,correlation=0.9)");
    nf_vi_options o = {
        .objective = "stl", .schedule = "cosine", .iters = 3000, .mc = 64, .optimizer.learning_rate = 0.03};
    static const char *const formula[] = {"scale-hh*30-loc", "scale-hh*10-loc", "scale-loc"};
    double kl[3];
    for (int k = 0; k < 3; k++) {
        nf_flow *flow = fitted(target, formula[k], &o);
        normal n = normal_of(flow);
        kl[k] = divergence(&n, r);
        if (k == 0) {
            ck_assert_double_lt(covariance_error(&n, r), 0.02);
            for (size_t i = 0; i < n.dim; i++) ck_assert_double_eq_tol(n.mean[i], 0, 0.02);
        }
        free_normal(&n);
        nf_flow_free(flow);
    }
    ck_assert_double_lt(kl[0], 0.1);
    ck_assert(kl[0] < 0.1 * kl[1] && kl[1] < 0.8 * kl[2]);
    nf_target_free(target);
}
END_TEST

/* ---- Eight schools --------------------------------------------------------------------------------------------- */

/* theta, mu and tau, of the non-centred values mu, tau, theta_trans; and their squares. */
static void schools(const double *x, size_t size, double *f)
{
    (void)size;
    for (int j = 0; j < 8; j++) f[j] = x[0] + x[1] * x[2 + j];
    f[8] = x[0];
    f[9] = x[1];
    for (int k = 0; k < 10; k++) f[10 + k] = f[k] * f[k];
}

/* posteriordb (Magnusson et al. 2024), eight_schools-eight_schools_noncentered: mean_value and mcse_mean of its
 * reference draws, 10 chains of Stan. */
static const double published[10] = {6.15050229334425, 4.9395811407422, 3.90590609001582, 4.79601675138494,
                                     3.6144363246799,  4.0511475789675, 6.31716975886893, 4.88399694353288,
                                     4.41051833695493, 3.60205952364059};
static const double published_mcse[10] = {
    0.0557375282295219, 0.0462293788624847, 0.0542313705632124, 0.0474935816762281, 0.0461450610244603,
    0.0485195392528031, 0.0498766794075794, 0.0542511606560972, 0.0330374705950917, 0.0318615135640706};

/* The same and the means of squares by quadrature over u = log tau: given tau, theta and mu are normal
 * (Gelman et al. 2013, "Bayesian Data Analysis", section 5.4, with a prior N(0, 5²) of mu). */
static void schools_by_quadrature(double f[20])
{
    static const double y[8] = {28, 8, -3, 7, -1, 1, 18, 12}, sigma[8] = {15, 10, 16, 11, 9, 11, 10, 18};
    double sum = 0;
    memset(f, 0, 20 * sizeof *f);
    for (double u = -20; u < 12; u += 0.005) {
        double tau = exp(u), precision = 1. / 25, weighted = 0, log_p = u - log1p(tau * tau / 25);
        for (int j = 0; j < 8; j++) {
            double v = sigma[j] * sigma[j] + tau * tau;
            precision += 1 / v;
            weighted += y[j] / v;
            log_p -= 0.5 * (log(v) + y[j] * y[j] / v);
        }
        double mu = weighted / precision;
        double p = exp(log_p + 0.5 * mu * weighted - 0.5 * log(precision));
        sum += p;
        f[8] += p * mu;
        f[18] += p * (mu * mu + 1 / precision);
        f[9] += p * tau;
        f[19] += p * tau * tau;
        for (int j = 0; j < 8; j++) {
            double s = sigma[j] * sigma[j], t = tau * tau, shrink = s / (s + t);
            double mean = shrink * mu + (1 - shrink) * y[j];
            f[j] += p * mean;
            f[10 + j] += p * (mean * mean + shrink * t + shrink * shrink / precision);
        }
    }
    for (int k = 0; k < 20; k++) f[k] /= sum;
}

/* Means over draws, and their standard errors. */
static void means_of(const double *values, size_t chains, size_t draws, nf_summary summary[20])
{
    double *f = calloc(chains * draws, 20 * sizeof *f);
    for (size_t i = 0; i < chains * draws; i++) schools(values + 10 * i, 10, f + 20 * i);
    ASSERT_OK(nf_summarize(f, chains, draws, 20, summary, NULL, &error));
    free(f);
}

static void assert_agree(const char *what, size_t k, double a, double error_a, double b, double error_b)
{
    double off = (a - b) / hypot(error_a, error_b);
    ck_assert_msg(fabs(off) < 3, "%s, number %zu: %g ± %g and %g ± %g", what, k, a, error_a, b, error_b);
}

START_TEST(eight_schools_as_published)
{
    enum { DRAWS = 8000 };
    double exact[20], *z = calloc(DRAWS, 20 * sizeof *z), *values = z + 10 * DRAWS;
    nf_summary of_nuts[20], of_flow[20];
    nf_target *target = target_of("eight_schools");
    nf_nuts_result nuts;
    ASSERT_OK(nf_nuts(target, &(nf_nuts_options){.chains = 8, .draws = 2000, .seed = 1, .target_accept = 0.95}, &nuts,
                      &error));
    means_of(nuts.values, nuts.chains, nuts.draws, of_nuts);
    nf_vi_options o = {.objective = "stl", .schedule = "cosine", .seed = 1, .optimizer.learning_rate = 0.005};
    nf_flow *flow = fitted(target, "iaf(32)-flip-iaf(32)-scale-loc", &o);
    ASSERT_OK(nf_sample(flow, NULL, DRAWS, 1, z, NULL, NULL, &error));
    ASSERT_OK(nf_target_values(target, z, DRAWS, values, NULL, &error));
    means_of(values, 1, DRAWS, of_flow);

    schools_by_quadrature(exact);
    for (size_t k = 0; k < 20; k++) {
        assert_agree("NUTS, quadrature", k, of_nuts[k].mean, of_nuts[k].mcse_mean, exact[k], 0);
        assert_agree("flow, quadrature", k, of_flow[k].mean, of_flow[k].mcse_mean, exact[k], 0);
        assert_agree("flow, NUTS", k, of_flow[k].mean, of_flow[k].mcse_mean, of_nuts[k].mean, of_nuts[k].mcse_mean);
        ck_assert_double_lt(of_nuts[k].rhat, 1.02);
    }
    for (size_t k = 0; k < 10; k++) {
        assert_agree("quadrature, published", k, exact[k], 0, published[k], published_mcse[k]);
        assert_agree("NUTS, published", k, of_nuts[k].mean, of_nuts[k].mcse_mean, published[k], published_mcse[k]);
        assert_agree("flow, published", k, of_flow[k].mean, of_flow[k].mcse_mean, published[k], published_mcse[k]);
        assert_agree("sd, flow, NUTS", k, of_flow[k].sd, of_flow[k].mcse_sd, of_nuts[k].sd, of_nuts[k].mcse_sd);
    }
    ck_assert_uint_lt(nuts.divergent, 5);
    nf_flow_free(flow);
    nf_nuts_free(&nuts);
    nf_target_free(target);
    free(z);
}
END_TEST

/* A mean field is too narrow, and its weights know: mu and tau. */
START_TEST(weights_mend_a_mean_field)
{
    double exact[20], khat;
    nf_vi_moments weighted[10];
    nf_target *target = target_of("eight_schools");
    nf_vi_options o = {.iters = 5000, .schedule = "cosine", .optimizer.learning_rate = 0.01};
    nf_flow *flow = fitted(target, "scale-loc", &o);
    normal n = normal_of(flow);
    ASSERT_OK(nf_vi_summarize(flow, target, 20000, 1, weighted, &khat, NULL, &error));
    ck_assert_double_lt(khat, 0.7);
    schools_by_quadrature(exact);
    for (size_t k = 0; k < 2; k++) {
        double mean = exact[8 + k], sd = sqrt(exact[18 + k] - mean * mean);
        assert_agree("weighted mean", k, weighted[k].mean, weighted[k].mcse_mean, mean, 0);
        assert_agree("weighted sd", k, weighted[k].sd, weighted[k].mcse_sd, sd, 0);
    }
    /* tau of the flow is log-normal */
    double v = n.covariance[11], narrow = sqrt(expm1(v)) * exp(n.mean[1] + v / 2);
    ck_assert_double_lt(narrow + 5 * weighted[1].mcse_sd, sqrt(exact[19] - exact[9] * exact[9]));
    free_normal(&n);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* ---- NeuTra ---------------------------------------------------------------------------------------------------- */

/* Neal's funnel: chains get stuck in its mouth or its neck; behind a flow they do not. v ~ N(0, 3²). */
START_TEST(a_flow_opens_the_funnel)
{
    nf_target *target = target_of("funnel(dim=5)");
    nf_vi_options o = {.objective = "stl", .schedule = "cosine", .iters = 5000, .optimizer.learning_rate = 0.01};
    nf_flow *flow = fitted(target, "iaf(16)-flip-iaf(16)-scale-loc", &o);
    double rate[2];
    for (int with = 0; with < 2; with++) {
        nf_nuts_result r;
        nf_summary v[5];
        /* Steps short enough for the neck, which the flow has left narrow at times: with longer ones the error that the
         * draws tell of sd is too small by a third. */
        ASSERT_OK(nf_nuts(target, &(nf_nuts_options){.seed = 1, .target_accept = 0.95, .flow = with ? flow : NULL}, &r,
                          &error));
        ASSERT_OK(nf_summarize(r.values, r.chains, r.draws, 5, v, NULL, &error));
        rate[with] = v[0].ess_bulk / (double)r.gradients;
        if (with) {
            assert_agree("mean of v", 0, v[0].mean, v[0].mcse_mean, 0, 0);
            assert_agree("sd of v", 0, v[0].sd, v[0].mcse_sd, 3, 0);
            ck_assert_double_lt(v[0].rhat, 1.01);
        } else {
            ck_assert_double_gt(v[0].rhat, 1.01);
        }
        nf_nuts_free(&r);
    }
    ck_assert_double_gt(rate[1], 10 * rate[0]);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

Suite *posteriors_suite(void)
{
    Suite *suite = suite_create("posteriors");
    TCase *posteriors = tcase_create("posteriors");
    tcase_set_timeout(posteriors, 120);
    tcase_add_test(posteriors, mean_field);
    tcase_add_test(posteriors, full_rank);
    tcase_add_test(posteriors, eight_schools_as_published);
    tcase_add_test(posteriors, weights_mend_a_mean_field);
    tcase_add_test(posteriors, a_flow_opens_the_funnel);
    suite_add_tcase(suite, posteriors);
    return suite;
}
