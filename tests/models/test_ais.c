/* Annealed importance sampling, and the objective that goes by it. */
#include "models/training_tools.h"

/* Where the flow is the target, every weight is 1. */
START_TEST(exact_where_the_flow_is_the_target)
{
    enum { DRAWS = 300 };
    static const char *const transitions[] = {"hmc", "metropolis", "metropolis-hmc(leapfrog=2)"};
    nf_target *target = target_of("gaussian(dim=1)");
    nf_flow *flow = normal_flow(0, 1);
    double log_weight[DRAWS];
    for (size_t i = 0; i < COUNT(transitions); i++) {
        nf_ais_result result;
        const nf_ais_options o = {.draws = DRAWS, .transition = transitions[i], .distributions = 3};
        ASSERT_OK(nf_ais(flow, target, &o, NULL, log_weight, &result, &error));
        for (size_t r = 0; r < DRAWS; r++) ck_assert_double_eq_tol(log_weight[r], 0, 1e-12);
        ck_assert_double_eq_tol(result.log_z, 0, 1e-12);
        ck_assert_double_eq_tol(result.log_z_stderr, 0, 1e-9);
        ck_assert_double_eq_tol(result.ess, DRAWS, 1e-6);
        ck_assert(result.moved > 0.5 && result.moved <= 1 && result.draws == DRAWS);
    }
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* A normal, and four modes around it. Its own weights are worth much less. */
START_TEST(log_z_of_many_wells)
{
    enum { DRAWS = 4000, DIM = 4 };
    static double x[DRAWS][DIM], log_weight[DRAWS];
    static const char *const transitions[] = {"hmc(step=0.2)", "metropolis(step=1)"};
    nf_target *target = target_of("many_well(dim=4)");
    nf_flow *flow = new_flow("loc-scale", DIM, AD_F32);
    nf_vi_score score;
    ASSERT_OK(nf_vi_evaluate(flow, target, DRAWS, 1, &score, NULL, &error));
    for (size_t i = 0; i < COUNT(transitions); i++) {
        nf_ais_result result;
        const nf_ais_options o = {.draws = DRAWS, .distributions = 20, .transition = transitions[i], .seed = 1};
        ASSERT_OK(nf_ais(flow, target, &o, x[0], log_weight, &result, &error));
        ck_assert_double_lt(result.log_z_stderr, 0.05);
        ck_assert_double_eq_tol(result.log_z, target->log_z, 4 * result.log_z_stderr);
        ck_assert_double_gt(result.ess, 5 * score.ess);
        double right = 0, all = 0;
        for (size_t r = 0; r < DRAWS; r++) {
            const double w = exp(log_weight[r] - result.log_z);
            all += w;
            if (x[r][0] > 0) right += w;
        }
        /* ∫ exp(-x⁴ + 6 x² + x / 2) dx, from 0 on, is this part of all; by quadrature */
        ck_assert_double_eq_tol(right / all, 0.844307, 0.06);
    }
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

START_TEST(same_bits_on_any_threads)
{
    enum { DRAWS = 3000 };
    static double weight[2][DRAWS], x[2][DRAWS][2];
    nf_target *target = target_of("many_well");
    nf_flow *flow = new_flow("realnvp(8)-flip-realnvp(8)", 2, AD_F32);
    nf_ais_options o = {.draws = DRAWS, .distributions = 4, .seed = 9};
    ASSERT_OK(nf_ais(flow, target, &o, x[0][0], weight[0], NULL, &error));
    for (int threads = 2; threads <= 3; threads++) {
        o.pool = ad_pool_new(threads, &error);
        ASSERT_OK(nf_ais(flow, target, &o, x[1][0], weight[1], NULL, &error));
        ck_assert_mem_eq(weight[0], weight[1], sizeof weight[0]);
        ck_assert_mem_eq(x[0], x[1], sizeof x[0]);
        ad_pool_free(o.pool);
    }
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

static ad_var nan_everywhere(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_sum(ad_log(ad_add_scalar(ad_mul_scalar(value[0], 0), -1)));
}

static ad_var nothing(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_sum(ad_log(ad_mul_scalar(value[0], 0)));
}

START_TEST(mistakes)
{
    const nf_site site = {"x", 1};
    nf_target *target = target_of("gaussian(dim=1)");
    const nf_target nan = {.name = "nan", .site = &site, .n_site = 1, .log_density = nan_everywhere, .log_z = NAN};
    const nf_target empty = {.name = "empty", .site = &site, .n_site = 1, .log_density = nothing, .log_z = NAN};
    nf_flow *flow = normal_flow(0, 1), *wide = new_flow("loc", 2, AD_F64), *path = new_flow("hmc", 1, AD_F64);
    nf_flow *conditional = nf_flow_parse("maf(4)", 1, 2, AD_F64, 1, &error);
    nf_ais_result result;
    ASSERT_FAILS(nf_ais(wide, target, NULL, NULL, NULL, &result, &error), AD_ERROR_ARGUMENT, "dimension 2");
    ck_assert(isnan(result.log_z) && result.draws == 0);
    ASSERT_FAILS(nf_ais(conditional, target, NULL, NULL, NULL, NULL, &error), AD_ERROR_ARGUMENT, "conditional");
    ASSERT_FAILS(nf_ais(path, target, NULL, NULL, NULL, NULL, &error), AD_ERROR_ARGUMENT, "steps that draw");
    ASSERT_FAILS(nf_ais(flow, target, &(nf_ais_options){.transition = "loc"}, NULL, NULL, NULL, &error),
                 AD_ERROR_ARGUMENT, "transition 'loc'");
    ASSERT_FAILS(nf_ais(flow, target, &(nf_ais_options){.transition = "nuts"}, NULL, NULL, NULL, &error),
                 AD_ERROR_ARGUMENT, "hmc");
    ASSERT_FAILS(nf_ais(flow, target, &(nf_ais_options){.draws = 1}, NULL, NULL, NULL, &error), AD_ERROR_ARGUMENT,
                 "2 draws");
    ASSERT_FAILS(nf_ais(flow, &nan, NULL, NULL, NULL, NULL, &error), AD_ERROR_NUMERIC, "'nan'");
    ASSERT_FAILS(nf_ais(flow, &empty, NULL, NULL, NULL, NULL, &error), AD_ERROR_NUMERIC, "'empty'");
    nf_flow_free(conditional);
    nf_flow_free(path);
    nf_flow_free(wide);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* ---- Flow annealed importance sampling bootstrap ---------------------------------------------------------------- */

/* The part of draws in the least of the modes. */
static double least_mode(const nf_flow *flow, size_t modes)
{
    enum { DRAWS = 8000 };
    static double x[DRAWS][2];
    size_t count[16] = {0}, least = DRAWS;
    const double turn = 2 * acos(-1);
    ASSERT_OK(nf_sample(flow, NULL, DRAWS, 3, x[0], NULL, NULL, &error));
    for (size_t r = 0; r < DRAWS; r++) {
        const double angle = atan2(x[r][1], x[r][0]) / turn * (double)modes;
        count[(size_t)(lround(angle) + (long)modes) % modes]++;
    }
    for (size_t k = 0; k < modes; k++) least = count[k] < least ? count[k] : least;
    return (double)least / DRAWS;
}

START_TEST(fab_finds_the_modes_that_elbo_drops)
{
    nf_target *target = target_of("mixture(modes=4,radius=4,sd=0.5)");
    double least[2], log_z[2];
    for (size_t i = 0; i < 2; i++) {
        nf_flow *flow = new_flow("(realnvp(32)-flip)*4", 2, AD_F32);
        nf_vi_report report;
        const nf_vi_options o = {.objective = i ? "fab(step=0.3)" : "elbo",
                                 .iters = 600,
                                 .mc = 200,
                                 .optimizer.learning_rate = 0.003,
                                 .draws = 10000,
                                 .seed = 1};
        ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
        least[i] = least_mode(flow, 4);
        log_z[i] = report.score.log_z;
        ad_free(report.history);
        nf_flow_free(flow);
    }
    ck_assert_double_lt(least[0], 0.01);
    ck_assert_double_gt(least[1], 0.1);
    ck_assert_double_lt(log_z[0], -0.2);
    ck_assert_double_eq_tol(log_z[1], 0, 0.1);
    nf_target_free(target);
}
END_TEST

Suite *ais_suite(void);

Suite *ais_suite(void)
{
    Suite *suite = suite_create("ais");
    TCase *tests = tcase_create("annealed importance sampling");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, exact_where_the_flow_is_the_target);
    tcase_add_test(tests, log_z_of_many_wells);
    tcase_add_test(tests, same_bits_on_any_threads);
    tcase_add_test(tests, mistakes);
    tcase_add_test(tests, fab_finds_the_modes_that_elbo_drops);
    suite_add_tcase(suite, tests);
    return suite;
}
