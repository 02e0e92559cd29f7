/* Records at the edges: of work that was so long that its history is told in part, or whose scores failed. */
#include "flows/flow_tools.h"
#include "scratch.h"
#include <weir/models.h>

#include <check.h>
#include <jansson.h>
#include <math.h>

/* A record that can be saved; for ad_free(). */
static char *saved_text(const nf_flow *flow, nf_record record)
{
    char *text = nf_record_text(flow, &record, &error);
    ck_assert_msg(text != NULL, "%s", error.message);
    ASSERT_OK(nf_save(flow, text, scratch_path("m.safetensors").text, &error));
    return text;
}

/* Losses are told by some of the epochs, or no file could hold them. */
START_TEST(of_a_fit_without_end)
{
    enum { EPOCHS = 3000001, BEST = 1234567 };
    nf_progress *history = calloc(EPOCHS, sizeof *history);
    nf_flow *flow = nf_flow_parse("loc", 2, 0, AD_F32, 1, &error);
    for (size_t i = 0; i < EPOCHS; i++)
        history[i] = (nf_progress){.epoch = i + 1, .train_nll = -1.0 / 3 - (double)i, .val_nll = 1.0 / 3 + (double)i};
    const nf_fit_report report = {.last = history[EPOCHS - 1], .best_epoch = BEST, .history = history};
    char *text = saved_text(flow, (nf_record){.fit = &report});
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *told = json_object_get(json, "history"), *epoch;
    const json_t *train_nll = json_object_get(told, "train_nll"), *val_nll = json_object_get(told, "val_nll");
    size_t i, best = 0, count = json_array_size(json_object_get(told, "epoch"));
    json_array_foreach(json_object_get(told, "epoch"), i, epoch)
    {
        const size_t e = (size_t)json_integer_value(epoch);
        ck_assert_double_eq_tol(json_number_value(json_array_get(train_nll, i)), history[e - 1].train_nll, 1e-6);
        ck_assert_double_eq_tol(json_number_value(json_array_get(val_nll, i)), history[e - 1].val_nll, 1e-6);
        best += e == BEST;
    }
    ck_assert_uint_eq(best, 1);
    ck_assert_uint_le(count, 20002);
    ck_assert_uint_ge(count, 10000);
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(told, "epoch"), count - 1)), EPOCHS);
    json_decref(json);
    ad_free(text);
    free(history);
    nf_flow_free(flow);
}
END_TEST

START_TEST(of_an_inference_without_end)
{
    enum { POINTS = 3000001 };
    nf_vi_point *history = calloc(POINTS, sizeof *history);
    nf_target *target = nf_target_parse("gaussian", &error);
    nf_flow *flow = nf_flow_parse("loc", nf_target_dim(target), 0, AD_F32, 1, &error);
    for (size_t i = 0; i < POINTS; i++)
        history[i] = (nf_vi_point){i + 1, -1.0 / 3 - (double)i, 1.0 / 3 + (double)i, 2.0 / 3, 1.0 / 7};
    const nf_vi_report report = {.iterations = POINTS, .history = history, .n_history = POINTS};
    char *text = saved_text(flow, (nf_record){.target = target, .vi = &report, .draws = 100});
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *told = json_object_get(json, "history"), *iteration;
    const json_t *loss = json_object_get(told, "loss"), *gradient_norm = json_object_get(told, "gradient_norm");
    size_t i, count = json_array_size(json_object_get(told, "iteration"));
    json_array_foreach(json_object_get(told, "iteration"), i, iteration)
    {
        const nf_vi_point *point = &history[json_integer_value(iteration) - 1];
        ck_assert_double_eq_tol(json_number_value(json_array_get(loss, i)), point->loss, 1e-6);
        ck_assert_double_eq_tol(json_number_value(json_array_get(gradient_norm, i)), point->gradient_norm, 1e-6);
    }
    ck_assert_uint_le(count, 20001);
    ck_assert_uint_ge(count, 10000);
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(told, "iteration"), count - 1)), POINTS);
    json_decref(json);
    ad_free(text);
    free(history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

static ad_var half(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_sum(ad_log(value[0]));
}

/* A density that is no number at some of the draws costs the scores, and nothing else. */
START_TEST(of_an_inference_without_scores)
{
    static const nf_site site = {.name = "x", .size = 1};
    const nf_target target = {.name = "half", .site = &site, .n_site = 1, .log_density = half, .log_z = NAN};
    const nf_vi_report report = {.iterations = 7};
    nf_flow *flow = nf_flow_parse("scale-loc", 1, 0, AD_F64, 1, &error);
    char *text = saved_text(flow, (nf_record){.target = &target, .vi = &report, .draws = 100});
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "iterations")), 7);
    ck_assert_str_eq(json_string_value(json_object_get(json, "target")), "half");
    ck_assert(json_is_array(json_object_get(json, "values")));
    ck_assert_uint_eq(json_array_size(json_object_get(json, "values")), 0);
    json_decref(json);
    ad_free(text);
    nf_flow_free(flow);
}
END_TEST

Suite *record_extremes_suite(void)
{
    Suite *suite = suite_create("record_extremes");
    TCase *tcase = tcase_create("record_extremes");
    tcase_add_checked_fixture(tcase, scratch_begin, scratch_end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, of_a_fit_without_end);
    tcase_add_test(tcase, of_an_inference_without_end);
    tcase_add_test(tcase, of_an_inference_without_scores);
    suite_add_tcase(suite, tcase);
    return suite;
}
