/* Public functions of models, with NULL for each pointer that they take. Calls that take their time are short ones. */
#include "models/null_annealing.h"
#include "models/null_checks.h"
#include "models/null_checkpoints.h"
#include "models/null_onnx.h"
#include "models/null_registries.h"
#include "models/null_streams.h"
#include "models/null_target_tables.h"
#include "models/null_toys.h"
#include "scratch.h"

#include <weir/models.h>

enum { DIM = 2, ROWS = 4 };

static nf_flow *flow;
static nf_target *target;
static nf_columns *columns;
static nf_optimizer *optimizer;
static nf_start start;
static ad_var z;
static nf_table table;
static char *record;
static const double points[ROWS * DIM] = {0.1, -0.4, 1.2, 0.3, -0.7, 0.9, 0.2, 0.5};
static double numbers[100];

#define POOL OPTIONAL(pool, (ad_pool *)NULL)

static void set_up(void)
{
    scratch_begin();
    null_call.tape = ad_tape_new();
    z = ad_input(null_call.tape, "z", AD_SHAPE(DIM));
    flow = moved_flow("affine-maf(4)", DIM, AD_F64);
    target = target_of("banana");
    table = (nf_table){.rows = ROWS, .columns = DIM, .values = (double *)(uintptr_t)points, .dtype = AD_F64};
    columns = nf_columns_learn(&table, "1:real, 2:real", NULL, &error);
    optimizer = nf_optimizer_new(NULL, DIM, AD_F64, &error);
    ASSERT_OK(nf_find_start(target, &(nf_start_options){.searches = 2}, &start, &error));
    record = nf_record_text(flow, &(nf_record){.data = "a.csv"}, &error);
    ASSERT_OK(nf_save(flow, record, scratch_path("saved").text, &error));
}

static void tear_down(void)
{
    ad_free(record);
    nf_start_free(&start);
    nf_optimizer_free(optimizer);
    nf_columns_free(columns);
    nf_target_free(target);
    nf_flow_free(flow);
    ad_tape_free(null_call.tape);
    scratch_end();
}

#define FREE(type)                                                                                                     \
    static void free_##type(void *made)                                                                                \
    {                                                                                                                  \
        nf_##type##_free(made);                                                                                        \
    }
FREE(flow)
FREE(columns)
FREE(target)
FREE(optimizer)

static bool is(const char *parameter)
{
    return strcmp(null_call.parameter, parameter) == 0;
}

static bool go_on(nf_callback *self, const nf_iteration *at)
{
    (void)self, (void)at;
    return true;
}

static void call_callbacks(void)
{
    nf_callback callback = {.call = go_on}, *callbacks[] = {&callback, NULL};
    const nf_iteration at = {.iteration = 100, .parameters = points, .gradient = points, .count = DIM, .dtype = AD_F64};
    nf_convergence convergence = {.callback = {nf_stop_when_converged}};
    nf_tracker tracker = {.callback = {nf_track}, .width = 2};
    size_t first, width;
    CASE(nf_call_back) QUIET(nf_call_back(OPTIONAL(callbacks, callbacks), HARMLESS(at, &at)));
    CASE(nf_stop_when_converged)
    QUIET(nf_stop_when_converged(HARMLESS(self, &convergence.callback), HARMLESS(at, &at)));
    CASE(nf_track) QUIET(nf_track(HARMLESS(self, &tracker.callback), HARMLESS(at, &at)));
    CASE(nf_record_parameters)
    QUIET(nf_record_parameters(HARMLESS(self, &tracker), HARMLESS(at, &at), HARMLESS(numbers, numbers)));
    CASE(nf_record_gradient)
    QUIET(nf_record_gradient(HARMLESS(self, &tracker), HARMLESS(at, &at), HARMLESS(numbers, numbers)));
    CASE(nf_record_loss)
    QUIET(nf_record_loss(HARMLESS(self, &tracker), HARMLESS(at, &at), HARMLESS(numbers, numbers)));
    CASE(nf_convergence_free) QUIET(nf_convergence_free(OPTIONAL(convergence, &convergence)));
    CASE(nf_tracker_free) QUIET(nf_tracker_free(OPTIONAL(tracker, &tracker)));
    CASE(nf_find_parameter)
    status(nf_find_parameter(NEEDED(flow, flow), NEEDED(name, "0.affine.shift"), OPTIONAL(first, &first),
                             OPTIONAL(width, &width), ERROR));
    nf_convergence_free(&convergence);
    nf_tracker_free(&tracker);
}

static void call_optimizers(void)
{
    double w[DIM] = {1, 2};
    nf_schedule schedule;
    ASSERT_OK(nf_schedule_parse("linear", &schedule, &error));
    CASE(nf_optimizer_new)
    MADE(free_optimizer, nf_optimizer_new(OPTIONAL(options, (&(nf_optimizer_options){0})), DIM, AD_F64, ERROR));
    CASE(nf_optimizer_free) QUIET(nf_optimizer_free(OPTIONAL(optimizer, nf_optimizer_new(NULL, 1, AD_F64, NULL))));
    CASE(nf_optimizer_settings) QUIET(nf_optimizer_settings(HARMLESS(optimizer, optimizer)));
    CASE(nf_optimizer_argument) QUIET(nf_optimizer_argument(HARMLESS(optimizer, optimizer), HARMLESS(name, "beta1")));
    CASE(nf_optimizer_step)
    status(nf_optimizer_step(NEEDED(optimizer, optimizer), NEEDED(parameters, w), NEEDED(gradient, points), 0.1, POOL,
                             OPTIONAL(norm, numbers), ERROR));
    CASE(nf_optimizer_steps) QUIET(nf_optimizer_steps(HARMLESS(optimizer, optimizer)));
    CASE(nf_optimizer_state_size) QUIET(nf_optimizer_state_size(HARMLESS(optimizer, optimizer)));
    CASE(nf_optimizer_save) QUIET(nf_optimizer_save(HARMLESS(optimizer, optimizer), HARMLESS(state, numbers)));
    CASE(nf_optimizer_restore)
    {
        nf_optimizer_save(optimizer, numbers);
        QUIET(nf_optimizer_restore(HARMLESS(optimizer, optimizer), HARMLESS(state, numbers)));
    }
    CASE(nf_schedule_parse) status(nf_schedule_parse(NEEDED(text, "linear"), NEEDED(schedule, &schedule), ERROR));
    CASE(nf_scheduled_rate) QUIET(nf_scheduled_rate(HARMLESS(schedule, &schedule), 1, 0, 0, 10));
}

static void call_training(void)
{
    double x[ROWS * DIM];
    memcpy(x, points, sizeof x);
    nf_fit_report report = {0};
    const nf_fit_options few = {.epochs = 2, .val_fraction = 0.25};
    CASE(nf_fit)
    status(nf_fit(NEEDED(flow, flow), NEEDED(x, x), ROWS, OPTIONAL(options, &few), OPTIONAL(report, &report), ERROR));
    ad_free(report.history);
    CASE(nf_nll)
    status(nf_nll(NEEDED(flow, flow), NEEDED(x, x), OPTIONAL(context, points), ROWS, NEEDED(nll, numbers),
                  OPTIONAL(standard_error, numbers + 1), POOL, ERROR));
    CASE(nf_fit_automatic)
    {
        nf_automatic_report told = {0};
        const nf_automatic_options one = {.formula = "loc", .seconds = 60};
        MADE(free_flow, nf_fit_automatic(NEEDED(x, x), is("options") ? 0 : ROWS, DIM, 0, HARMLESS(options, &one),
                                         OPTIONAL(report, &told), ERROR));
        nf_automatic_report_free(&told);
    }
    CASE(nf_automatic_report_free) QUIET(nf_automatic_report_free(OPTIONAL(report, &(nf_automatic_report){0})));
}

static void close_npy(void *made)
{
    nf_npy_close(made);
}

static file_path table_on_disk(void)
{
    const file_path path = scratch_path("disk.npy");
    ck_assert_int_eq(nf_table_write(path.text, &table, NULL), AD_OK);
    return path;
}

static void call_npy(void)
{
    double values[ROWS * DIM];
    nf_npy *npy = nf_npy_open(table_on_disk().text, NULL);
    ck_assert_ptr_nonnull(npy);
    CASE(nf_npy_close) QUIET(nf_npy_close(OPTIONAL(npy, NULL)));
    CASE(nf_npy_rows) good(nf_npy_rows(HARMLESS(npy, npy)) == ROWS);
    CASE(nf_npy_columns) good(nf_npy_columns(HARMLESS(npy, npy)) == DIM);
    CASE(nf_npy_dtype) good(nf_npy_dtype(OPTIONAL(npy, npy)) == AD_F64);
    CASE(nf_npy_read) status(nf_npy_read(NEEDED(npy, npy), 0, ROWS, NEEDED(values, values), ERROR));
    CASE(nf_npy_will_read) QUIET(nf_npy_will_read(OPTIONAL(npy, npy), 0, ROWS));
    CASE(nf_npy_check) status(nf_npy_check(NEEDED(npy, npy), ERROR));
    nf_npy_close(npy);
}

static void call_tables(void)
{
    const file_path csv = scratch_write("t.csv", "1,2\n3,4\n", 8), npy = scratch_path("t.npy");
    nf_table read = {0};
    CASE(nf_table_read) status(nf_table_read(NEEDED(path, csv.text), NEEDED(table, &read), ERROR));
    CASE(nf_table_read_with)
    status(nf_table_read_with(NEEDED(path, csv.text), OPTIONAL(options, (&(nf_read_options){0})), NEEDED(table, &read),
                              ERROR));
    CASE(nf_npy_open) MADE(close_npy, nf_npy_open(NEEDED(path, table_on_disk().text), ERROR));
    CASE(nf_table_free) QUIET(nf_table_free(OPTIONAL(table, &read)));
    CASE(nf_table_check_finite)
    status(nf_table_check_finite(NEEDED(table, &table), OPTIONAL(what, "t.csv"), ERROR));
    CASE(nf_table_check_path) status(nf_table_check_path(NEEDED(path, "t.csv"), ERROR));
    CASE(nf_table_write) status(nf_table_write(NEEDED(path, npy.text), NEEDED(table, &table), ERROR));
    nf_table_free(&read);
    CASE(nf_summarize)
    status(nf_summarize(NEEDED(draws, points), 1, 4, 2, NEEDED(summary, (nf_summary[2]){0}), POOL, ERROR));
}

static void call_columns(void)
{
    char text[NF_COLUMNS_TEXT], *written;
    const char *const names[] = {"a", "b"};
    nf_table decoded = {0};
    CASE(nf_columns_learn)
    MADE(free_columns, nf_columns_learn(NEEDED(table, &table), OPTIONAL(given, "1:real"),
                                        OPTIONAL(options, (&(nf_columns_options){0})), ERROR));
    CASE(nf_columns_plain) MADE(free_columns, nf_columns_plain(2, OPTIONAL(names, names), ERROR));
    CASE(nf_columns_free) QUIET(nf_columns_free(OPTIONAL(columns, nf_columns_plain(2, NULL, NULL))));
    CASE(nf_columns_count) QUIET(nf_columns_count(HARMLESS(columns, columns)));
    CASE(nf_columns_features) QUIET(nf_columns_features(HARMLESS(columns, columns)));
    CASE(nf_columns_noisy) QUIET(nf_columns_noisy(HARMLESS(columns, columns)));
    CASE(nf_columns_is_context) QUIET(nf_columns_is_context(HARMLESS(columns, columns)));
    CASE(nf_columns_column) QUIET(nf_columns_column(HARMLESS(columns, columns), 0));
    CASE(nf_columns_feature_name) QUIET(nf_columns_feature_name(HARMLESS(columns, columns), 0, HARMLESS(text, text)));
    CASE(nf_columns_check)
    status(nf_columns_check(NEEDED(columns, columns), NEEDED(table, &table), OPTIONAL(what, "t.csv"), ERROR));
    CASE(nf_columns_outside)
    QUIET(nf_columns_outside(HARMLESS(columns, columns), HARMLESS(table, &table), OPTIONAL(text, text)));
    CASE(nf_columns_impossible)
    QUIET(nf_columns_impossible(HARMLESS(columns, columns), HARMLESS(table, &table), OPTIONAL(text, text)));
    CASE(nf_columns_encode_part)
    status(
        nf_columns_encode_part(NEEDED(columns, columns), NEEDED(part, &table), 1, 0, NEEDED(features, numbers), ERROR));
    CASE(nf_columns_encode)
    status(nf_columns_encode(NEEDED(columns, columns), NEEDED(table, &table), 1, 0, NEEDED(features, numbers),
                             OPTIONAL(log_weight, numbers + 20), ERROR));
    CASE(nf_columns_decode)
    status(nf_columns_decode(NEEDED(columns, columns), NEEDED(features, points), ROWS, NEEDED(table, &decoded), ERROR));
    nf_table_free(&decoded);
    CASE(nf_columns_log_prob)
    status(nf_columns_log_prob(NEEDED(columns, columns), NEEDED(flow, flow), OPTIONAL(context, points),
                               NEEDED(table, &table), 2, 1, NEEDED(log_prob, numbers), POOL, ERROR));
    CASE(nf_columns_text) MADE(ad_free, nf_columns_text(NEEDED(columns, columns), ERROR));
    written = nf_columns_text(columns, &error);
    CASE(nf_columns_parse) MADE(free_columns, nf_columns_parse(NEEDED(text, written), ERROR));
    ad_free(written);
}

static void call_files(void)
{
    const file_path there = scratch_write("f", "abc", 3), saved = scratch_path("saved");
    char *data = NULL, **list = NULL;
    size_t bytes;
    nf_file *file = NULL;
    nf_columns *kinds = NULL;
    CASE(nf_file_read)
    status(nf_file_read(NEEDED(path, there.text), NEEDED(data, &data), NEEDED(bytes, &bytes), ERROR));
    CASE(nf_file_create)
    {
        status(nf_file_create(NEEDED(path, there.text), NEEDED(file, &file), ERROR));
        nf_file_abort(file);
    }
    CASE(nf_file_write)
    {
        ASSERT_OK(nf_file_create(there.text, &file, &error));
        QUIET(nf_file_write(HARMLESS(file, file), HARMLESS(data, "abc"), 3));
        if (is("data"))
            ASSERT_FAILS(nf_file_commit(file, &error), AD_ERROR_IO, "Bad address");
        else
            nf_file_abort(file);
    }
    CASE(nf_file_write_at)
    {
        ASSERT_OK(nf_file_create(there.text, &file, &error));
        QUIET(nf_file_write_at(HARMLESS(file, file), 0, HARMLESS(data, "abc"), 3));
        nf_file_abort(file);
    }
    CASE(nf_file_read_back)
    {
        ASSERT_OK(nf_file_create(there.text, &file, &error));
        QUIET(nf_file_read_back(HARMLESS(file, file)));
        nf_file_abort(file);
    }
    CASE(nf_file_commit)
    {
        if (!is("file")) ASSERT_OK(nf_file_create(there.text, &file, &error));
        status(nf_file_commit(NEEDED(file, file), ERROR));
    }
    CASE(nf_file_abort)
    {
        if (!is("file")) ASSERT_OK(nf_file_create(there.text, &file, &error));
        QUIET(nf_file_abort(OPTIONAL(file, file)));
    }
    CASE(nf_record_text)
    MADE(ad_free, nf_record_text(NEEDED(flow, flow), NEEDED(record, (&(nf_record){.data = "a"})), ERROR));
    CASE(nf_record_columns) status(nf_record_columns(OPTIONAL(record, record), DIM, NEEDED(columns, &list), ERROR));
    CASE(nf_record_context_columns)
    status(nf_record_context_columns(OPTIONAL(record, record), DIM, NEEDED(columns, &list), ERROR));
    CASE(nf_record_context) status(nf_record_context(OPTIONAL(record, record), NEEDED(context, &data), ERROR));
    CASE(nf_record_kinds) status(nf_record_kinds(OPTIONAL(record, record), NEEDED(kinds, &kinds), ERROR));
    CASE(nf_record_context_kinds)
    status(nf_record_context_kinds(OPTIONAL(record, record), NEEDED(kinds, &kinds), ERROR));
    nf_columns_free(kinds);
    ad_free(list);
    ad_free(data);
    CASE(nf_save) status(nf_save(NEEDED(flow, flow), OPTIONAL(record, record), NEEDED(path, saved.text), ERROR));
    CASE(nf_load)
    {
        char *loaded = NULL;
        MADE(free_flow, nf_load(NEEDED(path, saved.text), OPTIONAL(record, &loaded), ERROR));
        ad_free(loaded);
    }
    CASE(nf_plugin_load) /* there is none */
    {
        ad_status given = nf_plugin_load(HARMLESS(path, saved.text), ERROR);
        good(given == (is("path") ? AD_ERROR_ARGUMENT : AD_ERROR_FORMAT));
    }
    CASE(nf_plugin_find) QUIET(nf_plugin_find(HARMLESS(name, "ring")));
}

static void call_targets(void)
{
    char text[64];
    CASE(nf_target_dim) QUIET(nf_target_dim(HARMLESS(target, target)));
    CASE(nf_target_size) QUIET(nf_target_size(HARMLESS(target, target)));
    CASE(nf_target_element) QUIET(nf_target_element(HARMLESS(target, target), 0, HARMLESS(buffer, text)));
    CASE(nf_target_log_density) recorded(nf_target_log_density(NEEDED(target, target), z));
    CASE(nf_target_constrain) recorded(nf_target_constrain(NEEDED(target, target), z));
    CASE(nf_target_values)
    status(nf_target_values(NEEDED(target, target), NEEDED(z, points), ROWS, NEEDED(value, numbers), POOL, ERROR));
    CASE(nf_target_log_densities)
    status(nf_target_log_densities(NEEDED(target, target), NEEDED(z, points), ROWS, NEEDED(log_density, numbers), POOL,
                                   ERROR));
    CASE(nf_target_unconstrain)
    status(nf_target_unconstrain(NEEDED(target, target), NEEDED(value, points), ROWS, NEEDED(z, numbers),
                                 OPTIONAL(log_det, numbers + 20), POOL, ERROR));
    CASE(nf_target_check_gradient)
    status(nf_target_check_gradient(NEEDED(target, target), NEEDED(z, points), ROWS, ERROR));
    CASE(nf_register_target) good(nf_register_target(HARMLESS(type, nf_target_types()[0]), ERROR) == AD_ERROR_ARGUMENT);
    CASE(nf_target_parse) MADE(free_target, nf_target_parse(NEEDED(text, "banana"), ERROR));
    CASE(nf_target_free) QUIET(nf_target_free(OPTIONAL(target, target_of("banana"))));
    CASE(nf_target_argument) QUIET(nf_target_argument(HARMLESS(target, target), HARMLESS(name, "dim")));
    CASE(nf_start_free) QUIET(nf_start_free(OPTIONAL(start, &(nf_start){0})));
    CASE(nf_start_draw) status(nf_start_draw(NEEDED(start, &start), ROWS, 1, NEEDED(z, numbers), ERROR));
    CASE(nf_start_log_prob)
    status(nf_start_log_prob(NEEDED(start, &start), NEEDED(z, points), ROWS, NEEDED(log_prob, numbers), ERROR));
}

static void call_inference(void)
{
    const nf_vi_options few = {.iters = 3, .mc = 4, .draws = 10};
    nf_vi_report report = {0};
    nf_vi_score score;
    nf_vi_moments moments[DIM];
    nf_objective objective;
    nf_target *plane = target_of("gaussian(dim=2)");
    CASE(nf_register_communicator) /* it lacks all functions */
    {
        const nf_communicator_type type = {.name = "none"};
        good(nf_register_communicator(HARMLESS(type, &type), ERROR) == AD_ERROR_ARGUMENT);
    }
    CASE(nf_objective_parse) status(nf_objective_parse(NEEDED(text, "elbo"), NEEDED(objective, &objective), ERROR));
    CASE(nf_vi) /* all defaults take their time: there is no flow then */
    status(nf_vi(is("options") ? NULL : NEEDED(flow, flow), NEEDED(target, plane), HARMLESS(options, &few),
                 OPTIONAL(report, &report), ERROR));
    ad_free(report.history);
    CASE(nf_vi_evaluate)
    status(nf_vi_evaluate(NEEDED(flow, flow), NEEDED(target, target), 10, 1, NEEDED(score, &score), POOL, ERROR));
    CASE(nf_vi_summarize)
    status(nf_vi_summarize(NEEDED(flow, flow), NEEDED(target, target), 10, 1, NEEDED(moments, moments),
                           OPTIONAL(khat, numbers), POOL, ERROR));
    CASE(nf_vi_log_prob)
    status(nf_vi_log_prob(NEEDED(flow, flow), NEEDED(target, target), NEEDED(value, points), ROWS,
                          NEEDED(log_prob, numbers), POOL, ERROR));
    CASE(nf_infer_formula)
    QUIET(nf_infer_formula(HARMLESS(start, &start), HARMLESS(buffer, (char[NF_FORMULA_ROOM]){0})));
    CASE(nf_infer)
    {
        nf_inference found = {0};
        const nf_infer_options quick = {.formula = "whiten", .budget = 1e-6, .searches = 2, .draws = 10};
        const nf_infer_options *given = HARMLESS(options, &quick);
        status(nf_infer(is("options") ? NULL : NEEDED(target, target), given, NEEDED(inference, &found), ERROR));
        nf_inference_free(&found);
    }
    CASE(nf_inference_free) QUIET(nf_inference_free(OPTIONAL(inference, &(nf_inference){0})));
    CASE(nf_infer_modes)
    {
        nf_infer_mode mode[24];
        size_t held;
        status(nf_infer_modes(NEEDED(flow, flow), NEEDED(target, target), NEEDED(start, &start), 1, NEEDED(mode, mode),
                              NEEDED(held, &held), POOL, ERROR));
    }
    CASE(nf_nuts)
    {
        nf_nuts_result result = {0};
        const nf_nuts_options short_one = {.chains = 1, .tune = 20, .draws = 10};
        status(nf_nuts(NEEDED(target, plane), OPTIONAL(options, &short_one), NEEDED(result, &result), ERROR));
        nf_nuts_free(&result);
    }
    CASE(nf_nuts_free) QUIET(nf_nuts_free(OPTIONAL(result, &(nf_nuts_result){0})));
    CASE(nf_psis)
    {
        double log_weight[8];
        memcpy(log_weight, points, sizeof log_weight);
        status(nf_psis(NEEDED(log_weight, log_weight), 8, OPTIONAL(khat, numbers), ERROR));
    }
    nf_target_free(plane);
}

static void call(void)
{
    call_callbacks();
    call_optimizers();
    call_training();
    call_tables();
    call_streams(&table);
    call_toys();
    call_onnx(flow);
    call_npy();
    call_columns();
    call_files();
    call_checkpoints(flow, target);
    call_registries();
    call_targets();
    call_target_tables(target, record);
    call_inference();
    call_annealing(flow, target);
    call_checks();
}

START_TEST(pointers)
{
    call_with_null("models", (size_t)_i, set_up, call, tear_down);
}
END_TEST

Suite *null_models_suite(void)
{
    Suite *suite = suite_create("null_models");
    TCase *tcase = tcase_create("null");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, pointers, 0, functions_of("models"));
    suite_add_tcase(suite, tcase);
    return suite;
}
