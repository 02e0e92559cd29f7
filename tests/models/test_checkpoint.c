/* Checkpoints: what is interrupted anywhere goes on to the same bits, and from nothing else. */
#include "models/training_tools.h"

#include <weir/models.h>

#include <sys/stat.h>

enum { ROWS_HERE = 90 };
static double rows[ROWS_HERE][2], weights[ROWS_HERE], fresh[20][2];

static void set_up(void)
{
    scratch_begin();
    nf_moons(ROWS_HERE, 0.1, 1, rows[0], NULL);
    nf_moons(20, 0.1, 2, fresh[0], NULL);
    for (size_t i = 0; i < ROWS_HERE; i++) weights[i] = (double)(i % 4);
}

/* Interrupts after so many steps. */
typedef struct {
    size_t steps, most;
} limit;

static bool is_over(void *context)
{
    limit *p = context;
    return ++p->steps >= p->most;
}

static const nf_checkpoint_options on_demand = {.seconds = -1, .note = "tested"};

static nf_checkpoint *begin(void)
{
    nf_checkpoint *checkpoint = nf_checkpoint_new(scratch_path("c").text, &on_demand, &error);
    ck_assert_msg(checkpoint != NULL, "%s", error.message);
    return checkpoint;
}

static nf_checkpoint *go_on(void)
{
    nf_checkpoint *checkpoint = nf_checkpoint_read(scratch_path("c").text, &on_demand, &error);
    ck_assert_msg(checkpoint != NULL, "%s", error.message);
    ck_assert_str_eq(nf_checkpoint_note(checkpoint), "tested");
    ck_assert_str_eq(nf_checkpoint_doubt(checkpoint), "");
    return checkpoint;
}

/* ---- Fits ------------------------------------------------------------------------------------------------------ */

static void redraw(void *context, size_t epoch, const uint32_t *row, size_t count, double *x)
{
    (void)context;
    for (size_t i = 0; i < 2 * count; i++)
        x[i] = rows[row[i / 2]][i % 2] + 0.01 * ad_random_normal(epoch, row[i / 2], i % 2);
}

static const struct {
    const char *formula;
    ad_dtype dtype;
    nf_fit_options options;
} fits[] = {
    {"maf(6)-flip-standardize", AD_F32, {.epochs = 4, .batch = 16, .ema = 0.9, .starts = 3}},
    {"maf(6)-standardize", AD_F64, {.epochs = 12, .batch = 40, .schedule = "plateau(patience=1,end=0.2)"}},
    {"maf(6)-batchnorm", AD_F64, {.epochs = 5, .batch = 20, .patience = 2, .row_weights = weights}},
    {"gaussian_mixture(components=2):maf(6)", AD_F32, {.epochs = 5, .batch = 32, .redraw = redraw}},
    {"rqs(4)-loc", AD_F32, {.epochs = 5, .val_x = fresh[0], .val_rows = 20, .optimizer.name = "adagrad_window"}},
    {"rqs(4)-loc", AD_F64, {.epochs = 3, .val_fraction = -1, .seconds = 1000, .warmup = 2}},
    {"maf(6)-loc", AD_F32, {.epochs = 3, .batch = 7, .shuffle = NF_SHUFFLE_BLOCKS}},
    {"cnf(6,rtol=1e-3)-standardize", AD_F32, {.epochs = 3, .batch = 32}},
    {"cnf(6)-standardize", AD_F64, {.epochs = 4, .batch = 32, .objective = NF_OT_FLOW_MATCHING}},
};

static nf_fit_report fit(nf_flow *flow, int which, size_t steps, nf_checkpoint *checkpoint)
{
    nf_fit_report report;
    limit patience = {0, steps};
    nf_fit_options options = fits[which].options;
    options.checkpoint = checkpoint;
    options.interrupted = is_over;
    options.context = &patience;
    ASSERT_OK(nf_fit(flow, rows[0], ROWS_HERE, &options, &report, &error));
    ck_assert_str_eq(nf_checkpoint_failure(checkpoint), "");
    return report;
}

static void assert_same_fits(const nf_flow *a, const nf_fit_report *of_a, const nf_flow *b, const nf_fit_report *of_b)
{
    ck_assert_mem_eq(nf_flow_parameters(a), nf_flow_parameters(b), parameter_bytes(a));
    ck_assert_int_eq(of_a->outcome, of_b->outcome);
    ck_assert_uint_eq(of_a->last.step, of_b->last.step);
    ck_assert_uint_eq(of_a->last.rows, of_b->last.rows);
    ck_assert_uint_eq(of_a->last.epoch, of_b->last.epoch);
    ck_assert_uint_eq(of_a->best_epoch, of_b->best_epoch);
    ck_assert_uint_eq(of_a->train_rows, of_b->train_rows);
    ck_assert_mem_eq(&of_a->best_nll, &of_b->best_nll, sizeof of_a->best_nll);
    ck_assert_mem_eq(&of_a->val, &of_b->val, sizeof of_a->val);
    ck_assert_str_eq(of_a->warning, of_b->warning);
    for (size_t i = 0; i < of_a->last.epoch; i++) {
        const nf_progress *x = &of_a->history[i], *y = &of_b->history[i];
        ck_assert_mem_eq(&x->train_nll, &y->train_nll, sizeof x->train_nll);
        ck_assert_mem_eq(&x->val_nll, &y->val_nll, sizeof x->val_nll);
        ck_assert_mem_eq(&x->learning_rate, &y->learning_rate, sizeof x->learning_rate);
        ck_assert_uint_eq(x->start, y->start);
        ck_assert_uint_eq(x->best_epoch, y->best_epoch);
    }
}

/* Every few steps. */
START_TEST(a_fit_goes_on)
{
    nf_flow *whole = new_flow(fits[_i].formula, 2, fits[_i].dtype);
    nf_fit_report of_whole = fit(whole, _i, SIZE_MAX, NULL), report;
    for (size_t steps = 1; steps < 12; steps += 3) {
        nf_checkpoint *checkpoint = begin();
        nf_flow *flow = NULL;
        for (size_t part = 0;; part++) {
            nf_flow_free(flow);
            flow = new_flow(fits[_i].formula, 2, fits[_i].dtype);
            report = fit(flow, _i, steps, checkpoint);
            if (report.outcome != NF_STOPPED_BY_CALLER) break;
            ck_assert_uint_eq(nf_checkpoint_written(checkpoint), 1);
            ck_assert_uint_lt(part, 200);
            ad_free(report.history);
            nf_checkpoint_free(checkpoint);
            checkpoint = go_on();
        }
        assert_same_fits(whole, &of_whole, flow, &report);
        ASSERT_OK(nf_checkpoint_remove(checkpoint, &error));
        ck_assert_int_eq(scratch_files(false), 0);
        nf_checkpoint_free(checkpoint);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    ad_free(of_whole.history);
    nf_flow_free(whole);
}
END_TEST

/* ---- Inference ------------------------------------------------------------------------------------------------- */

START_TEST(an_inference_goes_on)
{
    nf_target *target = target_of("banana");
    nf_flow *flow[2];
    nf_vi_report report[2];
    for (int stopped = 0; stopped < 2; stopped++) {
        nf_checkpoint *checkpoint = stopped ? begin() : NULL;
        flow[stopped] = NULL;
        do {
            limit patience = {0, stopped ? 700 : SIZE_MAX};
            nf_convergence convergence = {.callback.call = nf_stop_when_converged, .tolerance = 0.04};
            nf_tracker tracker = {.callback = {nf_track, 50}, .width = 1};
            const nf_vi_options options = {.iters = 5000,
                                           .mc = 8,
                                           .draws = 100,
                                           .anneal = 900,
                                           .interrupted = is_over,
                                           .context = &patience,
                                           .checkpoint = checkpoint,
                                           .callbacks =
                                               (nf_callback *[]){&convergence.callback, &tracker.callback, NULL}};
            nf_flow_free(flow[stopped]);
            flow[stopped] = new_flow("maf(4)-loc", 2, AD_F32);
            ASSERT_OK(nf_vi(flow[stopped], target, &options, &report[stopped], &error));
            ck_assert_uint_eq(tracker.records, report[stopped].iterations / 50);
            nf_tracker_free(&tracker);
            nf_convergence_free(&convergence);
            if (convergence.converged || report[stopped].outcome != NF_STOPPED_BY_CALLER) break;
            ad_free(report[stopped].history);
            nf_checkpoint_free(checkpoint);
            checkpoint = go_on();
        } while (true);
        nf_checkpoint_free(checkpoint);
    }
    ck_assert_mem_eq(nf_flow_parameters(flow[0]), nf_flow_parameters(flow[1]), parameter_bytes(flow[0]));
    ck_assert_uint_gt(report[0].iterations, 700);
    ck_assert_uint_eq(report[0].iterations, report[1].iterations);
    ck_assert_uint_eq(report[0].n_history, report[1].n_history);
    ck_assert_mem_eq(report[0].history, report[1].history, report[0].n_history * sizeof *report[0].history);
    ck_assert_mem_eq(&report[0].score, &report[1].score, sizeof report[0].score);
    ck_assert_mem_eq(&report[0].average_loss, &report[1].average_loss, sizeof(double));
    for (int i = 0; i < 2; i++) {
        ad_free(report[i].history);
        nf_flow_free(flow[i]);
    }
    nf_target_free(target);
}
END_TEST

static const nf_nuts_options chains[] = {
    {.chains = 3, .tune = 300, .draws = 400},
    {.chains = 20, .tune = 200, .draws = 200, .dense = true},
};

START_TEST(chains_go_on)
{
    nf_target *target = target_of("funnel(dim=3)");
    nf_nuts_result whole, result;
    ASSERT_OK(nf_nuts(target, &chains[_i], &whole, &error));
    nf_checkpoint *checkpoint = begin();
    for (size_t part = 0;; part++) {
        limit patience = {0, 1};
        nf_nuts_options options = chains[_i];
        options.interrupted = is_over;
        options.context = &patience;
        options.checkpoint = checkpoint;
        ASSERT_OK(nf_nuts(target, &options, &result, &error));
        if (!result.stopped) break;
        ck_assert_uint_lt(part, 5000);
        nf_nuts_free(&result);
        nf_checkpoint_free(checkpoint);
        checkpoint = go_on();
    }
    ck_assert_uint_eq(result.draws, whole.draws);
    ck_assert_uint_eq(result.gradients, whole.gradients);
    ck_assert_uint_eq(result.divergent, whole.divergent);
    ck_assert_mem_eq(result.values, whole.values, whole.chains * whole.draws * whole.size * sizeof(double));
    ck_assert_mem_eq(result.step_size, whole.step_size, whole.chains * sizeof(double));
    ck_assert_mem_eq(result.bfmi, whole.bfmi, whole.chains * sizeof(double));
    nf_checkpoint_free(checkpoint);
    nf_nuts_free(&result);
    nf_nuts_free(&whole);
    nf_target_free(target);
}
END_TEST

/* ---- What can't be gone on with -------------------------------------------------------------------------------- */

static void stop_early(const nf_fit_options *options)
{
    nf_checkpoint *checkpoint = begin();
    limit patience = {0, 3};
    nf_fit_options o = *options;
    o.checkpoint = checkpoint;
    o.interrupted = is_over;
    o.context = &patience;
    nf_flow *flow = new_flow("maf(4)", 2, AD_F32);
    ASSERT_OK(nf_fit(flow, rows[0], ROWS_HERE, &o, NULL, &error));
    ck_assert_uint_eq(nf_checkpoint_written(checkpoint), 1);
    nf_flow_free(flow);
    nf_checkpoint_free(checkpoint);
}

/* With other options or data. */
static void assert_refused(const char *formula, size_t count, const nf_fit_options *options, const char *message)
{
    nf_checkpoint *checkpoint = go_on();
    nf_fit_options o = *options;
    o.checkpoint = checkpoint;
    nf_flow *flow = new_flow(formula, 2, AD_F32);
    ASSERT_FAILS(nf_fit(flow, rows[0], count, &o, NULL, &error), AD_ERROR_ARGUMENT, message);
    nf_flow_free(flow);
    nf_checkpoint_free(checkpoint);
}

START_TEST(other_options_are_refused)
{
    stop_early(&(nf_fit_options){.epochs = 3});
    assert_refused("maf(4)", ROWS_HERE, &(nf_fit_options){.epochs = 4}, "another number of epochs: 3, not 4");
    assert_refused("maf(4)", ROWS_HERE, &(nf_fit_options){.epochs = 3, .seed = 7}, "another seed: 0, not 7");
    assert_refused("maf(4)", ROWS_HERE, &(nf_fit_options){.epochs = 3, .optimizer.learning_rate = .1},
                   "another learning rate: 0.002, not 0.1");
    assert_refused("maf(4)", ROWS_HERE, &(nf_fit_options){.epochs = 3, .optimizer.name = "sgd"},
                   "another optimizer: adam, not sgd");
    assert_refused("maf(4)", ROWS_HERE, &(nf_fit_options){.epochs = 3, .prior = "normal"},
                   "another prior: none, not normal");
    assert_refused("maf(5)", ROWS_HERE, &(nf_fit_options){.epochs = 3}, "another flow: maf(4)");
    assert_refused("maf(4)", ROWS_HERE - 1, &(nf_fit_options){.epochs = 3}, "another number of rows: 90, not 89");
    assert_refused("maf(4)", ROWS_HERE, &(nf_fit_options){.epochs = 3, .row_weights = weights},
                   "another hash of the data");
    rows[50][1] += 1e-9;
    assert_refused("maf(4)", ROWS_HERE, &(nf_fit_options){.epochs = 3}, "another hash of the data");
}
END_TEST

START_TEST(other_work_is_refused)
{
    stop_early(&(nf_fit_options){.epochs = 3});
    nf_checkpoint *checkpoint = go_on();
    nf_target *target = target_of("banana");
    nf_nuts_result result;
    ASSERT_FAILS(nf_nuts(target, &(nf_nuts_options){.checkpoint = checkpoint}, &result, &error), AD_ERROR_ARGUMENT,
                 "of another kind of work");
    nf_checkpoint_free(checkpoint);
    nf_target_free(target);
}
END_TEST

static char content[1 << 16];

/* Every byte in turn, but for spaces behind the header and the settings, which are compared. */
START_TEST(damage_is_noticed)
{
    stop_early(&(nf_fit_options){.epochs = 3});
    const size_t bytes = slurp(scratch_path("c").text, content, sizeof content);
    const char *end = memchr(content + 8, ' ', bytes);
    uint64_t header;
    memcpy(&header, content, sizeof header);
    for (size_t i = 8 + (size_t)header; i < bytes; i += 5) {
        content[i] ^= 4;
        ck_assert_ptr_null(nf_checkpoint_read(scratch_write("c", content, bytes).text, NULL, &error));
        ck_assert_int_eq(error.status, AD_ERROR_FORMAT);
        content[i] ^= 4;
    }
    ck_assert_ptr_nonnull(end);
    for (size_t cut = 0; cut < bytes; cut += 97) {
        ck_assert_ptr_null(nf_checkpoint_read(scratch_write("c", content, cut).text, NULL, &error));
        ck_assert_int_eq(error.status, AD_ERROR_FORMAT);
    }
    nf_flow *flow = new_flow("maf(4)", 2, AD_F32);
    ASSERT_OK(nf_save(flow, NULL, scratch_path("c").text, &error));
    ck_assert_ptr_null(nf_checkpoint_read(scratch_path("c").text, NULL, &error));
    ASSERT_FAILS(error.status, AD_ERROR_FORMAT, "is no checkpoint");
    nf_flow_free(flow);
}
END_TEST

static void change(size_t bytes, const char *from, const char *to)
{
    char *place = memmem(content, bytes, from, strlen(from));
    ck_assert_ptr_nonnull(place);
    memcpy(place, to, strlen(to));
    scratch_write("c", content, bytes);
}

START_TEST(other_versions_are_refused)
{
    stop_early(&(nf_fit_options){.epochs = 3});
    const size_t bytes = slurp(scratch_path("c").text, content, sizeof content);
    change(bytes, "\"weir\":\"" WEIR_VERSION "\"", "\"weir\":\"9.9.9\"");
    ck_assert_ptr_null(nf_checkpoint_read(scratch_path("c").text, NULL, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "is of Weir 9.9.9");
}
END_TEST

/* ---- Files ----------------------------------------------------------------------------------------------------- */

static void count_failure(void *count, const char *reason)
{
    ++*(int *)count;
    ck_assert_msg(strstr(reason, "none/c") != NULL, "%s", reason);
}

START_TEST(a_failure_ends_nothing)
{
    int told = 0;
    nf_checkpoint *checkpoint = nf_checkpoint_new(scratch_path("none/c").text,
                                                  &(nf_checkpoint_options){1e-9, NULL, count_failure, &told}, &error);
    nf_flow *flow[2];
    for (int i = 0; i < 2; i++) {
        flow[i] = new_flow("maf(4)", 2, AD_F32);
        ASSERT_OK(nf_fit(flow[i], rows[0], ROWS_HERE,
                         &(nf_fit_options){.epochs = 3, .checkpoint = i ? checkpoint : NULL}, NULL, &error));
    }
    ck_assert_mem_eq(nf_flow_parameters(flow[0]), nf_flow_parameters(flow[1]), parameter_bytes(flow[0]));
    ck_assert_uint_eq(nf_checkpoint_written(checkpoint), 0);
    ck_assert_int_eq(told, 1); /* of many in a row */
    ck_assert_msg(strstr(nf_checkpoint_failure(checkpoint), "none/c") != NULL, "%s", nf_checkpoint_failure(checkpoint));
    nf_checkpoint_free(checkpoint);
    for (int i = 0; i < 2; i++) nf_flow_free(flow[i]);
}
END_TEST

START_TEST(rests_are_removed)
{
    nf_checkpoint *checkpoint = begin();
    scratch_write("c", "old", 3);
    scratch_write(".c.weir-0", "left", 4);
    scratch_write("d", "other", 5);
    ASSERT_OK(nf_checkpoint_remove(checkpoint, &error));
    ck_assert_int_eq(scratch_files(false), 1);
    ASSERT_OK(nf_checkpoint_remove(checkpoint, &error));
    nf_checkpoint_free(checkpoint);
}
END_TEST

START_TEST(memory_runs_out)
{
    bool denied = true;
    stop_early(&(nf_fit_options){.epochs = 2, .starts = 2});
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(allowed);
        nf_checkpoint *checkpoint = nf_checkpoint_read(scratch_path("c").text, &on_demand, &error);
        nf_flow *flow = checkpoint ? nf_flow_parse("maf(4)", 2, 0, AD_F32, 1, &error) : NULL;
        ad_status status = error.status;
        nf_fit_options options = {.epochs = 2, .starts = 2, .checkpoint = checkpoint};
        if (flow) status = nf_fit(flow, rows[0], ROWS_HERE, &options, NULL, &error);
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu: %d: %s", allowed, status,
                      error.message);
        nf_flow_free(flow);
        nf_checkpoint_free(checkpoint);
    }
    memory_unlimited();
}
END_TEST

Suite *checkpoint_suite(void);

Suite *checkpoint_suite(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *tests = tcase_create("checkpoint");
    tcase_add_checked_fixture(tests, set_up, scratch_end);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_fit_goes_on, 0, COUNT(fits));
    tcase_add_test(tests, an_inference_goes_on);
    tcase_add_loop_test(tests, chains_go_on, 0, COUNT(chains));
    tcase_add_test(tests, other_options_are_refused);
    tcase_add_test(tests, other_work_is_refused);
    tcase_add_test(tests, damage_is_noticed);
    tcase_add_test(tests, other_versions_are_refused);
    tcase_add_test(tests, a_failure_ends_nothing);
    tcase_add_test(tests, rests_are_removed);
    tcase_add_test(tests, memory_runs_out);
    suite_add_tcase(suite, tests);
    return suite;
}
