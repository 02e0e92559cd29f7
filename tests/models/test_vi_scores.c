/* Scores of a fit against closed forms. */
#include "models/training_tools.h"

/* log x, where the flow also draws x < 0. */
static ad_var logarithm(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_sum(ad_log(value[0]));
}

START_TEST(no_density_at_a_draw)
{
    static const nf_site x = {.name = "x", .size = 1};
    const nf_target target = {.name = "t", .site = &x, .n_site = 1, .log_density = logarithm, .log_z = NAN};
    nf_flow *flow = normal_flow(0, 1);
    nf_vi_score score;
    ASSERT_FAILS(nf_vi_evaluate(flow, &target, 100, 5, &score, NULL, &error), AD_ERROR_NUMERIC,
                 "target 't': log p - log q of draw ");
    nf_flow_free(flow);
}
END_TEST

START_TEST(scores)
{
    enum { DRAWS = 50000 };
    const double m = 0.3, s = 1.2;
    nf_target *target = target_of("gaussian(dim=1)");
    nf_flow *flow = normal_flow(m, s);
    nf_vi_score score, again, narrow;
    ad_pool *pool = ad_pool_new(2, &error);
    ASSERT_OK(nf_vi_evaluate(flow, target, DRAWS, 5, &score, NULL, &error));
    ASSERT_OK(nf_vi_evaluate(flow, target, DRAWS, 5, &again, pool, &error));
    ck_assert_mem_eq(&score, &again, sizeof score);
    ad_pool_free(pool);
    /* log w = log s + z²/2 - (m + s z)²/2: its variance is (1 - s²)²/2 + m² s² */
    double kl = -log(s) + (s * s + m * m) / 2 - 0.5;
    double sd = sqrt((1 - s * s) * (1 - s * s) / 2 + m * m * s * s);
    ck_assert_double_eq_tol(score.elbo_stderr, sd / sqrt(DRAWS), 0.05 * sd / sqrt(DRAWS));
    ck_assert_double_eq_tol(score.elbo, -kl, 4 * score.elbo_stderr);
    ck_assert_double_eq_tol(score.log_z, 0, 0.01);
    ck_assert_double_lt(score.khat, 0.4);
    /* ess / n = (E w)² / E w² = √(2 s² - 1) / s² exp(-m² / (2 s² - 1)) */
    double v = 2 * s * s - 1, ess = sqrt(v) / (s * s) * exp(-m * m / v);
    ck_assert_double_eq_tol(score.ess / DRAWS, ess, 0.02);
    ck_assert_uint_eq(score.draws, DRAWS);
    /* many are drawn in parts, each of which has draws of its own */
    ASSERT_OK(nf_vi_evaluate(flow, target, 1 << 16, 5, &score, NULL, &error));
    ASSERT_OK(nf_vi_evaluate(flow, target, 1 << 17, 5, &again, NULL, &error));
    ck_assert_double_eq_tol(again.elbo, -kl, 4 * again.elbo_stderr);
    ck_assert_double_gt(fabs(again.elbo - score.elbo), 1e-3 * again.elbo_stderr);
    nf_flow_free(flow);
    /* w of N(0, s²) has a tail of index 1 / (1 - s²) */
    flow = normal_flow(0, 0.4);
    ASSERT_OK(nf_vi_evaluate(flow, target, DRAWS, 5, &narrow, NULL, &error));
    ck_assert_double_eq_tol(narrow.khat, 1 - 0.16, 0.12);
    ASSERT_FAILS(nf_vi_evaluate(flow, target, 1, 5, &narrow, NULL, &error), AD_ERROR_ARGUMENT, "2 draws");
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* Weights take out what the flow is off: moments of N(0, 1) from N(0.3, 1.2²), and their errors from how they scatter.
 */
START_TEST(weighted_moments)
{
    enum { TIMES = 400, DRAWS = 2000 };
    nf_target *target = target_of("gaussian(dim=1)");
    nf_flow *flow = normal_flow(0.3, 1.2), *wide = new_flow("scale-loc", 2, AD_F32);
    double scatter_mean = 0, scatter_sd = 0, mean = 0, sd = 0, khat;
    nf_vi_moments m[2];
    for (uint64_t seed = 0; seed < TIMES; seed++) {
        ASSERT_OK(nf_vi_summarize(flow, target, DRAWS, seed, m, &khat, NULL, &error));
        mean += m->mean / TIMES;
        sd += m->sd / TIMES;
        scatter_mean += pow(m->mean / m->mcse_mean, 2) / TIMES;
        scatter_sd += pow((m->sd - 1) / m->mcse_sd, 2) / TIMES;
        ck_assert_double_lt(khat, 0.7);
    }
    ck_assert_double_eq_tol(mean, 0, 4 * m->mcse_mean / sqrt(TIMES));
    ck_assert_double_eq_tol(sd, 1, 4 * m->mcse_sd / sqrt(TIMES));
    ck_assert_double_eq_tol(scatter_mean, 1, 4 * sqrt(2.0 / TIMES));
    ck_assert_double_eq_tol(scatter_sd, 1, 4 * sqrt(2.0 / TIMES));
    nf_target_free(target);
    /* in float32, of several elements */
    target = target_of("gaussian(dim=2,correlation=0.5)");
    ASSERT_OK(nf_vi_summarize(wide, target, 50000, 1, m, NULL, NULL, &error));
    for (int i = 0; i < 2; i++) {
        ck_assert_double_eq_tol(m[i].mean, 0, 4 * m[i].mcse_mean);
        ck_assert_double_eq_tol(m[i].sd, 1, 4 * m[i].mcse_sd);
    }
    ASSERT_FAILS(nf_vi_summarize(wide, target, 1, 1, m, NULL, NULL, &error), AD_ERROR_ARGUMENT, "2 draws");
    nf_flow_free(wide);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* Eight schools by mean field: the scores agree with the marginal likelihood, by quadrature. */
START_TEST(marginal_likelihood)
{
    nf_target *target = target_of("eight_schools");
    nf_flow *flow = new_flow("scale-loc", 10, AD_F32);
    nf_vi_report report;
    nf_vi_options o = {.iters = 3000, .optimizer.learning_rate = 0.02, .draws = 100000};
    ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
    ck_assert_double_lt(report.score.khat, 0.7);
    ck_assert_double_eq_tol(report.score.log_z, target->log_z, 0.1);
    ck_assert_double_lt(report.score.elbo, target->log_z);
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

static ad_var flat(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_scalar(value[0].tape, 0);
}

static double normal(double z, double mean, double sd)
{
    return -0.5 * (z - mean) * (z - mean) / (sd * sd) - log(sd) - 0.918938533204672741780329736406;
}

/* z ~ N(0.3, 1.2²) is a log-normal exp z, and a logit-normal between -2 and 5. */
START_TEST(log_prob_on_the_scale_of_the_sites)
{
    static const nf_site positive = {"x", 1, NF_SITE_POSITIVE_EXP, 0, 0}, interval = {"x", 1, NF_SITE_INTERVAL, -2, 5};
    static const double x[] = {0.02, 0.7, 1, 4.4, -0.5, 5.5};
    enum { POINTS = COUNT(x) };
    nf_target target = {.name = "t", .site = &positive, .n_site = 1, .log_density = flat};
    nf_flow *flow = normal_flow(0.3, 1.2), *wide = new_flow("scale-loc", 2, AD_F64);
    double got[POINTS];
    ASSERT_OK(nf_vi_log_prob(flow, &target, x, POINTS, got, NULL, &error));
    for (size_t r = 0; r < POINTS; r++)
        if (x[r] > 0)
            ck_assert_double_eq_tol(got[r], normal(log(x[r]), 0.3, 1.2) - log(x[r]), 1e-12);
        else
            ck_assert(got[r] == -INFINITY);
    target.site = &interval;
    ASSERT_OK(nf_vi_log_prob(flow, &target, x, POINTS, got, NULL, &error));
    for (size_t r = 0; r < POINTS; r++) {
        double p = (x[r] + 2) / 7, slope = 7 * p * (1 - p);
        if (p < 1)
            ck_assert_double_eq_tol(got[r], normal(log(p / (1 - p)), 0.3, 1.2) - log(slope), 1e-12);
        else
            ck_assert(got[r] == -INFINITY);
    }
    ASSERT_FAILS(nf_vi_log_prob(wide, &target, x, 1, got, NULL, &error), AD_ERROR_ARGUMENT, "is of dimension 2");
    nf_flow_free(wide);
    nf_flow_free(flow);
}
END_TEST

Suite *vi_scores_suite(void);

Suite *vi_scores_suite(void)
{
    Suite *suite = suite_create("vi_scores");
    TCase *tests = tcase_create("vi scores");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, scores);
    tcase_add_test(tests, no_density_at_a_draw);
    tcase_add_test(tests, weighted_moments);
    tcase_add_test(tests, marginal_likelihood);
    tcase_add_test(tests, log_prob_on_the_scale_of_the_sites);
    suite_add_tcase(suite, tests);
    return suite;
}
