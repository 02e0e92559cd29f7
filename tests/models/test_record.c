/* Records: a model that was saved from C tells as much as one from the command, and its names come back. */
#include "flows/flow_tools.h"
#include "models/costly.h"
#include "scratch.h"
#include <weir/models.h>

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* ---- Models to tell of ----------------------------------------------------------------------------------------- */

static const char *const names[] = {"girth", "größe, \"m\""}, *const context_names[] = {"age", "dose"};
enum { ROWS = 40 };

/* Fitted to rows with a context of two numbers. */
static nf_flow *fitted(nf_fit_report *report)
{
    double *x = normals(ROWS * 2, 1, 1), *context = normals(ROWS * 2, 1, 2);
    nf_flow *flow = nf_flow_parse("maf(3)", 2, 2, AD_F64, 1, &error);
    ASSERT_OK(nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 3, .row_context = context}, report, &error));
    free(context);
    free(x);
    return flow;
}

/* Fitted to a target. */
static nf_flow *inferred(const nf_target *target, nf_vi_report *report)
{
    nf_flow *flow = nf_flow_parse("scale-loc", nf_target_dim(target), 0, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    ASSERT_OK(nf_vi(flow, target, &(nf_vi_options){.iters = 30, .mc = 10, .draws = 100}, report, &error));
    return flow;
}

static nf_record fit_record(const nf_fit_report *report)
{
    return (nf_record){.data = "trees.csv",
                       .columns = names,
                       .context = "age,dose",
                       .context_columns = context_names,
                       .fit = report,
                       .options = "{\"epochs\": 3}"};
}

static char *text_of(const nf_flow *flow, nf_record record)
{
    char *text = nf_record_text(flow, &record, &error);
    ck_assert_msg(text != NULL, "%s", error.message);
    return text;
}

static json_t *json_of(const nf_flow *flow, nf_record record)
{
    char *text = text_of(flow, record);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert(json_is_object(json));
    ad_free(text);
    return json;
}

/* What the command says of it, with a NUL behind. */
static void told_by_command(const char *words, char *to, size_t room)
{
    char line[4 * PATH_MAX];
    snprintf(line, sizeof line, "%s %s 2>&1", WEIR_COMMAND, words);
    FILE *out = popen(line, "r");
    size_t bytes = fread(to, 1, room - 1, out);
    to[bytes] = '\0';
    ck_assert_msg(pclose(out) == 0, "%s: %s", line, to);
}

static void assert_keys(const json_t *object, const char *expected)
{
    char got[1024] = "";
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) strcat(strcat(got, key), " ");
    ck_assert_str_eq(got, expected);
}

/* ---- What is told ---------------------------------------------------------------------------------------------- */

START_TEST(of_a_fit)
{
    nf_fit_report report;
    nf_flow *flow = fitted(&report);
    json_t *json = json_of(flow, fit_record(&report));
    assert_keys(json, "weir data rows train_rows val_rows outcome epochs steps best_epoch train_nll val_nll seconds "
                      "options history columns context_columns context ");
    ck_assert_str_eq(json_string_value(json_object_get(json, "weir")), WEIR_VERSION);
    ck_assert_str_eq(json_string_value(json_object_get(json, "data")), "trees.csv");
    ck_assert_str_eq(json_string_value(json_object_get(json, "outcome")), "finished");
    ck_assert_str_eq(json_string_value(json_object_get(json, "context")), "age,dose");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "rows")), ROWS);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "epochs")), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "best_epoch")), (json_int_t)report.best_epoch);
    ck_assert_double_eq_tol(json_number_value(json_object_get(json, "val_nll")), report.best_nll, 1e-13);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(json, "options"), "epochs")), 3);
    const json_t *history = json_object_get(json, "history");
    assert_keys(history, "epoch train_nll val_nll ");
    ck_assert_uint_eq(json_array_size(json_object_get(history, "val_nll")), 3);
    json_decref(json);
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

START_TEST(of_an_inference)
{
    nf_vi_report report;
    nf_target *target = target_of("banana(dim=3, b=0.1)");
    nf_flow *flow = inferred(target, &report);
    json_t *json = json_of(flow, (nf_record){.target = target, .vi = &report, .draws = 100});
    assert_keys(
        json,
        "weir target exact_log_z outcome iterations average_loss best_loss averaged elbo elbo_stderr khat log_z ess "
        "draws seconds values columns history ");
    ck_assert_str_eq(json_string_value(json_object_get(json, "target")), "banana(dim=3, b=0.1)");
    ck_assert_double_eq(json_number_value(json_object_get(json, "exact_log_z")), 0);
    ck_assert_double_eq_tol(json_number_value(json_object_get(json, "elbo")), report.score.elbo,
                            1e-13 * fabs(report.score.elbo));
    const json_t *columns = json_object_get(json, "columns"), *values = json_object_get(json, "values");
    ck_assert_uint_eq(json_array_size(columns), 3);
    ck_assert_uint_eq(json_array_size(values), 3);
    ck_assert_str_eq(json_string_value(json_array_get(columns, 2)), "x[3]");
    assert_keys(json_array_get(values, 0), "name mean sd weighted_mean weighted_sd mcse_mean mcse_sd ");
    assert_keys(json_object_get(json, "history"), "iteration loss gradient_norm parameter_norm beta ");
    json_decref(json);
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* A part of it is a record, too. */
/* Means are left out where whoever has ended the scores waits, or does so now: all else is told. */
START_TEST(without_means)
{
    nf_vi_report report;
    nf_flow *flow = inferred(&costly_target, &report);
    nf_record record = {.target = &costly_target, .vi = &report, .draws = 50000, .interrupted = had_enough};
    for (int i = 0; i < 2; i++) {
        asked = 0, most = 1;
        json_t *json = json_of(flow, record);
        ck_assert_uint_eq(json_array_size(json_object_get(json, "values")), 0);
        ck_assert_uint_lt(asked, i ? 1 : record.draws / 2);
        ck_assert_uint_eq(json_array_size(json_object_get(json, "columns")), 2);
        json_decref(json);
        report.score.draws = 0;
        record.interrupted = NULL;
    }
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

START_TEST(of_little)
{
    nf_flow *flow = moved_flow("affine", 2, AD_F32);
    json_t *json = json_of(flow, (nf_record){.columns = (const char *const[]){"a", "b\xff"}});
    assert_keys(json, "weir columns ");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json, "columns"), 1)), "b?");
    json_decref(json);
    json = json_of(flow, (nf_record){.data = "no \xc0\xaf UTF-8 ü"});
    ck_assert_str_eq(json_string_value(json_object_get(json, "data")), "no ?? UTF-8 ??");
    json_decref(json);
    nf_flow_free(flow);
}
END_TEST

/* ---- What is read ---------------------------------------------------------------------------------------------- */

START_TEST(names_come_back)
{
    nf_fit_report report;
    nf_flow *flow = fitted(&report);
    file_path path = scratch_path("trees.safetensors");
    char *record = text_of(flow, fit_record(&report)), *back, **columns, **conditions, *context;
    ASSERT_OK(nf_save(flow, record, path.text, &error));
    nf_flow *loaded = nf_load(path.text, &back, &error);
    ck_assert_str_eq(back, record);
    ASSERT_OK(nf_record_columns(back, nf_flow_dim(loaded), &columns, &error));
    ASSERT_OK(nf_record_context_columns(back, nf_flow_context_size(loaded), &conditions, &error));
    ASSERT_OK(nf_record_context(back, &context, &error));
    for (int i = 0; i < 2; i++) ck_assert_str_eq(columns[i], names[i]);
    for (int i = 0; i < 2; i++) ck_assert_str_eq(conditions[i], context_names[i]);
    ck_assert_str_eq(context, "age,dose");
    ad_free(conditions);
    ad_free(context);
    ad_free(columns);
    /* of another number of features there are none */
    ASSERT_OK(nf_record_columns(back, 3, &columns, &error));
    ck_assert_ptr_null(columns);
    ad_free(back);
    ad_free(record);
    ad_free(report.history);
    nf_flow_free(loaded);
    nf_flow_free(flow);
}
END_TEST

START_TEST(what_is_not_on_record)
{
    static const char *const records[] = {NULL, "{}", "{\"columns\": [1, 2], \"context\": 3}", "{\"columns\": {}}"};
    for (size_t i = 0; i < COUNT(records); i++) {
        char **columns, **conditions, *context;
        ASSERT_OK(nf_record_columns(records[i], 2, &columns, &error));
        ASSERT_OK(nf_record_context_columns(records[i], 2, &conditions, &error));
        ck_assert_ptr_null(conditions);
        ASSERT_OK(nf_record_context(records[i], &context, &error));
        ck_assert_ptr_null(columns);
        ck_assert_ptr_null(context);
    }
    static const char *const broken[] = {"", "[1]", "{\"columns\"", "\xff"};
    for (size_t i = 0; i < COUNT(broken); i++) {
        char **columns, *context;
        ASSERT_FAILS(nf_record_columns(broken[i], 2, &columns, &error), AD_ERROR_FORMAT, "JSON object");
        ck_assert_int_eq(nf_record_context(broken[i], &context, NULL), AD_ERROR_FORMAT);
    }
}
END_TEST

/* The command goes by a record from C as by its own. */
START_TEST(the_command_reads_it)
{
    static char text[1 << 16], words[3 * PATH_MAX];
    nf_fit_report report;
    nf_flow *flow = fitted(&report);
    file_path path = scratch_path("trees.safetensors"), csv = scratch_path("draws.csv");
    char *record = text_of(flow, fit_record(&report));
    ASSERT_OK(nf_save(flow, record, path.text, &error));
    snprintf(words, sizeof words, "info %s", path.text);
    told_by_command(words, text, sizeof text);
    ck_assert_msg(strstr(text, "trees.csv: 40 rows") && strstr(text, "finished after 3 epochs") &&
                      strstr(text, "--epochs 3") && strstr(text, "train NLL"),
                  "%s", text);
    snprintf(words, sizeof words, "sample %s -n 2 --context 1,2 -o %s", path.text, csv.text);
    told_by_command(words, text, sizeof text);
    slurp(csv.text, text, sizeof text);
    ck_assert_msg(strncmp(text, "girth,\"größe, \"\"m\"\"\"\n", 22) == 0, "%s", text);
    const char points[] = "dose,\"größe, \"\"m\"\"\",girth,age\n1,3,2,4\n"; /* in whatever order */
    file_path data = scratch_write("points.csv", points, sizeof points - 1);
    snprintf(words, sizeof words, "logprob %s %s", path.text, data.text);
    told_by_command(words, text, sizeof text);
    double x[2] = {2, 3}, context[2] = {4, 1}, expected;
    ASSERT_OK(nf_log_prob(flow, x, context, 1, &expected, NULL, &error));
    ck_assert_double_eq_tol(strtod(text + strlen("NLL "), NULL), -expected, 1e-4);
    ad_free(record);
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

/* Samples are on the scale of the target's sites, arguments and all. */
START_TEST(the_command_knows_the_target)
{
    static char text[1 << 16], words[3 * PATH_MAX];
    nf_vi_report report;
    nf_target *target = target_of("funnel(3)");
    nf_flow *flow = inferred(target, &report);
    file_path path = scratch_path("funnel.safetensors"), csv = scratch_path("draws.csv");
    char *record = text_of(flow, (nf_record){.target = target, .vi = &report});
    ASSERT_OK(nf_save(flow, record, path.text, &error));
    snprintf(words, sizeof words, "sample %s -n 2 -o %s", path.text, csv.text);
    told_by_command(words, text, sizeof text);
    slurp(csv.text, text, sizeof text);
    ck_assert_msg(strncmp(text, "v,x[1],x[2]\n", 12) == 0, "%s", text);
    snprintf(words, sizeof words, "info %s", path.text);
    told_by_command(words, text, sizeof text);
    ck_assert_msg(strstr(text, "target      funnel(3)") && strstr(text, "\nx[2] ") && !strstr(text, "options"), "%s",
                  text);
    ad_free(record);
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* ---- Mistakes -------------------------------------------------------------------------------------------------- */

START_TEST(mistakes_are_told)
{
    nf_flow *flow = moved_flow("affine", 2, AD_F32);
    nf_target *target = target_of("funnel");
    const nf_vi_report report = {.iterations = 0};
    const struct {
        nf_record record;
        ad_status status;
        const char *message;
    } cases[] = {
        {{.options = "{"}, AD_ERROR_FORMAT, "options of a record are no JSON object"},
        {{.options = "[]"}, AD_ERROR_FORMAT, "options of a record are no JSON object"},
        {{.vi = &report}, AD_ERROR_ARGUMENT, "needs the target as well"},
        {{.target = target, .vi = &report}, AD_ERROR_ARGUMENT, "10 features, but the flow has 2"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_ptr_null(nf_record_text(flow, &cases[i].record, &error));
        ASSERT_FAILS(error.status, cases[i].status, cases[i].message);
        ck_assert_ptr_null(nf_record_text(flow, &cases[i].record, NULL));
    }
    nf_target_free(target);
    nf_flow_free(flow);
}
END_TEST

/* ---- Memory ---------------------------------------------------------------------------------------------------- */

/* Jansson's, which aren't ours: allocation number `fails` fails, and all after it unless it is the only one. */
static size_t calls, fails;
static bool once;

static void *fail_at_one(size_t bytes)
{
    calls++;
    bool failing = once ? calls == fails : calls >= fails;
    return failing ? NULL : malloc(bytes);
}

static ad_status save_and_load(const nf_flow *flow, const nf_record *record, const char *path, char **back)
{
    char *text = nf_record_text(flow, record, &error);
    ad_status status = text ? nf_save(flow, text, path, &error) : error.status;
    nf_flow *loaded = status ? NULL : nf_load(path, back, &error);
    if (!status && !loaded) status = error.status;
    if (!status) ck_assert_str_eq(*back, text);
    ad_free(text);
    nf_flow_free(loaded);
    return status;
}

/* Making and writing; reading is out of our hands then, and so there must be room before. */
START_TEST(memory_of_jansson_runs_out)
{
    nf_fit_report report;
    nf_flow *flow = fitted(&report);
    nf_record record = fit_record(&report);
    record.options = NULL;
    char *expected = text_of(flow, record);
    file_path path = scratch_path("model.safetensors");
    once = _i;
    bool denied = true;
    for (fails = 1; denied; fails++) {
        calls = 0;
        json_set_alloc_funcs(fail_at_one, free);
        char *text = nf_record_text(flow, &record, &error);
        ad_status status = text ? nf_save(flow, text, path.text, &error) : error.status;
        json_set_alloc_funcs(malloc, free);
        denied = calls >= fails;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "%zu: %d: %s", fails, status, error.message);
        if (denied) ck_assert_msg(strstr(error.message, "memory") != NULL, "%zu: %s", fails, error.message);
        if (text) ck_assert_str_eq(text, expected);
        ck_assert_int_eq(scratch_files(false), !denied);
        ad_free(text);
    }
    ck_assert_uint_gt(fails, 50);
    ad_free(expected);
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

START_TEST(memory_of_ours_runs_out)
{
    nf_vi_report report;
    nf_target *target = target_of("banana");
    nf_flow *flow = inferred(target, &report);
    nf_record record = {.target = target, .vi = &report, .columns = names, .context = "a", .draws = 10};
    file_path path = scratch_path("model.safetensors");
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(allowed);
        char *back = NULL, **columns = NULL, *context = NULL;
        ad_status status = save_and_load(flow, &record, path.text, &back);
        if (!status) status = nf_record_columns(back, 2, &columns, &error);
        if (!status) status = nf_record_context(back, &context, &error);
        memory_unlimited();
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "%zu: %d: %s", allowed, status, error.message);
        if (!status) ck_assert_str_eq(columns[1], names[1]);
        ad_free(context);
        ad_free(columns);
        ad_free(back);
    }
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

Suite *record_suite(void)
{
    Suite *suite = suite_create("record");
    TCase *tcase = tcase_create("record");
    tcase_add_checked_fixture(tcase, scratch_begin, scratch_end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, of_a_fit);
    tcase_add_test(tcase, of_an_inference);
    tcase_add_test(tcase, without_means);
    tcase_add_test(tcase, of_little);
    tcase_add_test(tcase, names_come_back);
    tcase_add_test(tcase, what_is_not_on_record);
    tcase_add_test(tcase, the_command_reads_it);
    tcase_add_test(tcase, the_command_knows_the_target);
    tcase_add_test(tcase, mistakes_are_told);
    tcase_add_loop_test(tcase, memory_of_jansson_runs_out, 0, 2);
    tcase_add_test(tcase, memory_of_ours_runs_out);
    suite_add_tcase(suite, tcase);
    return suite;
}
