/* Inference without settings: what it finds, what it says of modes, and how it ends. */
#include "models/costly.h"
#include "models/training_tools.h"

/* A small formula, and as much time as it takes. */
#define SMALL .formula = "(rqs(16)-flip)*2-affine(rank=0)-whiten", .budget = 1e6, .draws = 5000

START_TEST(modes_are_held)
{
    nf_target *target = target_of("mixture(modes=2)");
    nf_inference fit;
    ASSERT_OK(nf_infer(target, &(nf_infer_options){SMALL, .seed = 2}, &fit, &error));
    ck_assert_uint_eq(fit.start.modes, 2);
    ck_assert_uint_eq(fit.held, 2);
    for (size_t m = 0; m < 2; m++) {
        ck_assert_double_eq_tol(fit.mode[m].target_share, 0.5, 0.03);
        ck_assert_double_eq_tol(fit.mode[m].flow_share, 0.5, 0.1);
        ck_assert(fit.mode[m].held);
    }
    ck_assert_double_eq_tol(fit.report.score.log_z, 0, 0.05);
    ck_assert_double_gt(fit.report.score.elbo, -0.3);
    ck_assert_double_eq(fit.report.average_loss, -fit.report.score.elbo);
    ck_assert(!fit.out_of_time);
    for (size_t i = 1; i < fit.report.n_history; i++)
        ck_assert_uint_gt(fit.report.history[i].iteration, fit.report.history[i - 1].iteration);
    nf_inference_free(&fit);
    nf_target_free(target);
}
END_TEST

/* One that a flow has never seen is told, whatever its weights say. */
START_TEST(a_missed_mode_is_told)
{
    nf_target *target = target_of("mixture(modes=2,radius=20)");
    nf_flow *flow = new_flow("scale-loc", 2, AD_F64);
    double *w = nf_flow_parameters(flow);
    w[0] = w[1] = log(expm1(0.5));
    w[2] = 20;
    nf_flow_pull(flow);
    nf_start start;
    nf_infer_mode mode[2];
    nf_vi_score score;
    size_t held;
    ASSERT_OK(nf_find_start(target, NULL, &start, &error));
    ck_assert_uint_eq(start.modes, 2);
    ASSERT_OK(nf_infer_modes(flow, target, &start, 1, mode, &held, NULL, &error));
    ASSERT_OK(nf_vi_evaluate(flow, target, 5000, 1, &score, NULL, &error));
    ck_assert_double_eq_tol(score.log_z, -log(2), 0.01);
    ck_assert_uint_eq(held, 1);
    for (size_t m = 0; m < 2; m++) {
        const bool seen = start.normal[start.normal[0].mode == m ? 0 : 1].location[0] > 0;
        ck_assert(mode[m].held == seen);
        ck_assert_double_eq_tol(mode[m].target_share, 0.5, 0.03);
        ck_assert_double_eq_tol(mode[m].flow_share, seen ? 1 : 0, 0.05);
    }
    nf_start_free(&start);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

START_TEST(any_number_of_threads)
{
    nf_target *target = target_of("gaussian(dim=3)");
    nf_inference fit[2];
    for (int i = 0; i < 2; i++) {
        ad_pool *pool = ad_pool_new(i ? 3 : 1, &error);
        nf_infer_options o = {
            .formula = "affine-whiten", .budget = 1e6, .mc = 32, .seed = 5, .draws = 500, .pool = pool};
        ASSERT_OK(nf_infer(target, &o, &fit[i], &error));
        ad_pool_free(pool);
    }
    ck_assert_uint_eq(fit[0].report.iterations, fit[1].report.iterations);
    ck_assert_mem_eq(nf_flow_parameters(fit[0].flow), nf_flow_parameters(fit[1].flow), parameter_bytes(fit[0].flow));
    ck_assert_int_eq(fit[0].report.outcome, NF_STOPPED_EARLY);
    ck_assert_double_eq_tol(fit[0].report.score.elbo, 0, 0.01);
    nf_inference_free(&fit[0]);
    nf_inference_free(&fit[1]);
    nf_target_free(target);
}
END_TEST

/* A normal whose log Z is 500. */
static ad_var large_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_tape *tape = value[0].tape;
    return ad_add_scalar(nf_log_normal(value[0], ad_scalar(tape, 3), ad_scalar(tape, 2)), 500);
}

static bool follow(void *context, const nf_vi_progress *now)
{
    nf_vi_progress *last = context;
    ck_assert_uint_eq(now->iterations, 0);
    ck_assert_uint_gt(now->iteration, last->iteration);
    ck_assert_double_ge(now->seconds, last->seconds);
    ck_assert_double_eq_tol(now->loss, -500, 20);
    *last = *now;
    return true;
}

/* One inference, through all of its learning rates and objectives. */
START_TEST(progress_is_of_the_whole)
{
    static const nf_site x = {.name = "x", .size = 2};
    const nf_target target = {.name = "large", .site = &x, .n_site = 1, .log_density = large_density, .log_z = NAN};
    nf_vi_progress last = {0};
    nf_inference fit;
    ASSERT_OK(nf_infer(&target, &(nf_infer_options){SMALL, .progress = follow, .context = &last}, &fit, &error));
    ck_assert_uint_gt(last.iteration, 0);
    ck_assert_uint_le(last.iteration, fit.report.iterations);
    nf_inference_free(&fit);
}
END_TEST

START_TEST(time_runs_out)
{
    nf_target *target = target_of("banana");
    nf_inference fit;
    ASSERT_OK(
        nf_infer(target, &(nf_infer_options){.formula = "affine-whiten", .budget = 1e-3, .draws = 500}, &fit, &error));
    ck_assert(fit.out_of_time);
    ck_assert_ptr_nonnull(fit.flow);
    ck_assert(isfinite(fit.report.score.elbo));
    ck_assert_int_ne(fit.report.outcome, NF_STOPPED_BY_CALLER);
    nf_inference_free(&fit);
    nf_target_free(target);
}
END_TEST

static bool at_once(void *context)
{
    (void)context;
    return true;
}

START_TEST(callers_can_stop_it)
{
    nf_target *target = target_of("banana");
    nf_inference fit;
    ASSERT_OK(nf_infer(target, &(nf_infer_options){SMALL, .interrupted = at_once}, &fit, &error));
    ck_assert_int_eq(fit.report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert_ptr_nonnull(fit.flow);
    ck_assert(isfinite(fit.report.score.elbo));
    nf_inference_free(&fit);
    nf_target_free(target);
}
END_TEST

/* Wherever it is by then. */
START_TEST(an_interrupted_one_asks_for_little_more)
{
    static const size_t moments[] = {1, 250000}; /* in the search, in the iterations */
    for (size_t i = 0; i < COUNT(moments); i++) {
        nf_inference fit;
        const nf_infer_options o = {SMALL, .searches = 4, .interrupted = had_enough};
        asked = 0, most = moments[i];
        ASSERT_OK(nf_infer(&costly_target, &o, &fit, &error));
        ck_assert_int_eq(fit.report.outcome, NF_STOPPED_BY_CALLER);
        ck_assert_uint_eq(fit.report.score.draws, 256);
        ck_assert(isfinite(fit.report.score.elbo));
        ck_assert_msg(asked < most + 10000, "%zu densities after %zu", asked, most);
        nf_inference_free(&fit);
    }
}
END_TEST

/* Few draws can't tell whether some iterations were of use: what they have made of the flow is kept. */
START_TEST(an_interrupted_one_keeps_its_iterations)
{
    static const size_t moments[] = {216000, 220000, 250000};
    double parameter = NAN;
    size_t iterations = 0;
    for (size_t i = 0; i < COUNT(moments); i++) {
        nf_inference fit;
        const nf_infer_options o = {SMALL, .searches = 4, .seed = 6, .interrupted = had_enough};
        asked = 0, most = moments[i];
        ASSERT_OK(nf_infer(&costly_target, &o, &fit, &error));
        const double now = parameter_at(fit.flow, 0);
        ck_assert(fit.report.iterations == iterations || now != parameter);
        parameter = now;
        iterations = fit.report.iterations;
        nf_inference_free(&fit);
    }
    ck_assert_uint_gt(iterations, 0);
}
END_TEST

/* Each dimension's formula is one, for that dimension. */
START_TEST(formulas)
{
    static const char *const targets[] = {"gaussian(dim=1)", "gaussian",          "mixture(radius=1000,sd=200)",
                                          "funnel",          "gaussian(dim=100)", "gaussian(dim=600)"};
    char formula[NF_FORMULA_ROOM], before[NF_FORMULA_ROOM] = "";
    for (size_t i = 0; i < COUNT(targets); i++) {
        nf_target *target = target_of(targets[i]);
        nf_start start;
        ASSERT_OK(nf_find_start(target, &(nf_start_options){.searches = 2}, &start, &error));
        ck_assert_ptr_eq(nf_infer_formula(&start, formula), formula);
        if (i != 3) ck_assert_str_ne(formula, before); /* the third isn't of a scale near 1, and is like the fourth */
        strcpy(before, formula);
        nf_flow_free(new_flow(formula, start.dim, AD_F32));
        nf_start_free(&start);
        nf_target_free(target);
    }
}
END_TEST

START_TEST(mistakes)
{
    nf_target *target = target_of("gaussian");
    nf_inference fit;
    ASSERT_FAILS(nf_infer(target, &(nf_infer_options){.formula = "mof"}, &fit, &error), AD_ERROR_ARGUMENT, "mof");
    ck_assert_ptr_null(fit.flow);
    nf_inference_free(&fit);
    nf_target_free(target);
}
END_TEST

Suite *infer_suite(void);

Suite *infer_suite(void)
{
    Suite *suite = suite_create("infer");
    TCase *tests = tcase_create("infer");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, modes_are_held);
    tcase_add_test(tests, a_missed_mode_is_told);
    tcase_add_test(tests, any_number_of_threads);
    tcase_add_test(tests, progress_is_of_the_whole);
    tcase_add_test(tests, time_runs_out);
    tcase_add_test(tests, callers_can_stop_it);
    tcase_add_test(tests, an_interrupted_one_asks_for_little_more);
    tcase_add_test(tests, an_interrupted_one_keeps_its_iterations);
    tcase_add_test(tests, formulas);
    tcase_add_test(tests, mistakes);
    suite_add_tcase(suite, tests);
    return suite;
}
