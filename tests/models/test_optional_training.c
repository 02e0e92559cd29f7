/* Training and inference with NULL for whatever may be NULL, where all goes well and where it doesn't. */
#include "models/training_tools.h"

#include <weir/psis.h>

START_TEST(fits)
{
    double *x = normals(2 * ROWS, 1, 1), nll, deviation;
    const nf_fit_options one = {.epochs = 1}, starts = {.epochs = 2, .starts = 2, .ema = 0.5};
    const nf_fit_options wild = {.optimizer = {"sgd", .learning_rate = 1e300, .clip = -1}}, bad = {.schedule = "sine"};
    nf_flow *flow = new_flow("maf(4)-scale", 2, AD_F32);
    ck_assert_int_eq(nf_fit(flow, x, ROWS, &one, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_fit(flow, x, ROWS, &starts, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_fit(flow, x, ROWS, NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_fit(flow, x, 0, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_fit(flow, x, ROWS, &bad, NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_fit(flow, x, ROWS, &wild, NULL, NULL), AD_ERROR_NUMERIC);
    ck_assert_int_eq(nf_nll(flow, x, NULL, ROWS, &nll, NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_nll(flow, x, NULL, ROWS, &nll, &deviation, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_nll(flow, x, NULL, 0, &nll, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    x[3] = NAN;
    ck_assert_int_eq(nf_fit(flow, x, ROWS, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    nf_flow_free(flow);
    free(x);
}
END_TEST

START_TEST(inferences)
{
    nf_target *target = target_of("gaussian(dim=1)"), *wide = target_of("gaussian(dim=3)");
    nf_flow *flow = normal_flow(1, 2);
    nf_vi_score score;
    nf_vi_moments moments[1];
    const nf_vi_options bad[] = {
        {.objective = "kl"}, {.optimizer.name = "adams"}, {.schedule = "sine"}, {.beta = -1}, {.jitter = NAN}};
    const nf_vi_options wild = {.iters = 100, .optimizer = {"sgd", .learning_rate = 1e300}};
    for (int i = 0; nf_objective_types()[i]; i++) {
        const nf_vi_options o = {.objective = nf_objective_types()[i]->name, .iters = 3, .mc = 5};
        ck_assert_int_eq(nf_vi(flow, target, &o, NULL, NULL), AD_OK);
    }
    ck_assert_int_eq(nf_vi(flow, target, NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_vi(flow, wide, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_int_eq(nf_vi(flow, target, &bad[i], NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_vi(flow, target, &wild, NULL, NULL), AD_ERROR_NUMERIC);
    ck_assert_int_eq(nf_vi_evaluate(flow, target, 100, 1, &score, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_vi_evaluate(flow, target, 1, 1, &score, NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_vi_summarize(flow, target, 100, 1, moments, NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_vi_summarize(flow, target, 0, 1, moments, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    nf_flow_free(flow);
    nf_target_free(wide);
    nf_target_free(target);
}
END_TEST

START_TEST(weights)
{
    double log_weight[] = {0, -1, -2, 0.5, -0.3}, wrong[] = {0, NAN};
    ck_assert_int_eq(nf_psis(log_weight, COUNT(log_weight), NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_psis(wrong, COUNT(wrong), NULL, NULL), AD_ERROR_NUMERIC);
    ck_assert_int_eq(nf_psis(NULL, 0, NULL, NULL), AD_OK);
}
END_TEST

START_TEST(optimizers_and_schedules)
{
    double w[] = {1, 2};
    nf_schedule schedule;
    nf_optimizer *optimizer = nf_optimizer_new(NULL, 2, AD_F64, NULL);
    ck_assert_ptr_nonnull(optimizer);
    ck_assert_int_eq(nf_optimizer_step(optimizer, w, (double[]){1, 1}, 0.1, NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_optimizer_step(optimizer, w, (double[]){1, NAN}, 0.1, NULL, NULL, NULL), AD_ERROR_NUMERIC);
    ck_assert_ptr_null(nf_optimizer_new(&(nf_optimizer_options){.name = "adams"}, 2, AD_F64, NULL));
    ck_assert_ptr_null(nf_optimizer_new(&(nf_optimizer_options){.name = "adam(1)"}, 2, AD_F64, NULL));
    ck_assert_int_eq(nf_schedule_parse("linear", &schedule, NULL), AD_OK);
    ck_assert_int_eq(nf_schedule_parse("linear(1)", &schedule, NULL), AD_ERROR_ARGUMENT);
    nf_optimizer_free(optimizer);
    nf_optimizer_free(NULL);
}
END_TEST

START_TEST(callbacks)
{
    const nf_iteration at = {.iteration = 1};
    ck_assert(nf_call_back(NULL, &at));
    ck_assert(nf_call_back((nf_callback *[]){NULL}, &at));
    nf_flow *flow = new_flow("loc", 2, AD_F32);
    ck_assert_int_eq(nf_find_parameter(flow, "0.loc.loc", NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_find_parameter(flow, "0.loc.scale", NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    nf_flow_free(flow);
    nf_convergence_free(NULL);
    nf_tracker_free(NULL);
    nf_convergence_free(&(nf_convergence){0});
    nf_tracker_free(&(nf_tracker){0});
}
END_TEST

Suite *optional_training_suite(void);

Suite *optional_training_suite(void)
{
    Suite *suite = suite_create("optional_training");
    TCase *null = tcase_create("null");
    tcase_set_timeout(null, 60);
    tcase_add_test(null, fits);
    tcase_add_test(null, inferences);
    tcase_add_test(null, weights);
    tcase_add_test(null, optimizers_and_schedules);
    tcase_add_test(null, callbacks);
    suite_add_tcase(suite, null);
    return suite;
}
