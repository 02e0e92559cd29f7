/* weir demo: from nothing to a trained flow, its score on fresh data, and the picture. */
#include "files.h"
#include "interrupt.h"
#include "pictures/picture.h"
#include "report.h"
#include "targets.h"
#include "training.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* Everything that the demo chooses. */
static const char *const defaults[] = {
    "flow", "(maf(64,64)-flip)*16", "epochs", "100", "lr", "0.003", "ema", "0.99", NULL,
};

static const struct {
    size_t rows, test_rows;
    double noise;
    uint64_t seed, test_seed;
} target = {.rows = 10000, .test_rows = 20000, .noise = 0.05, .seed = 1, .test_seed = 2};

static const struct option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .value = "DIR",
     .initial = "weir-demo",
     .help = "directory for data, model, samples and picture"},
    {0},
};

/* The files that it makes. */
struct paths {
    char data[PATH_MAX], model[PATH_MAX], samples[PATH_MAX], picture[PATH_MAX];
};

static ad_status make_paths(const char *directory, struct paths *paths, ad_error *error)
{
    if (make_directory(directory, error)) return error->status;
    snprintf(paths->data, PATH_MAX, "%s/moons.npy", directory);
    snprintf(paths->model, PATH_MAX, "%s/moons.safetensors", directory);
    snprintf(paths->samples, PATH_MAX, "%s/samples.npy", directory);
    snprintf(paths->picture, PATH_MAX, "%s/density.png", directory);
    return check_output(paths->model, error);
}

/* Into the record, and so into the model file: the score on rows that the training never saw. */
static ad_status score(const struct trained *trained, ad_pool *pool, ad_error *error)
{
    nf_table test;
    double nll, standard_error;
    if (draw_toy(nf_toy_named("moons"), target.test_rows, target.noise, target.test_seed, &test, error))
        return error->status;
    ad_status status = nf_nll(trained->flow, test.values, NULL, test.rows, &nll, &standard_error, pool, error);
    nf_table_free(&test);
    if (status) return status;
    json_object_set_new(trained->record, "test_rows", json_integer((json_int_t)target.test_rows));
    json_object_set_new(trained->record, "test_nll", report_number(nll));
    json_object_set_new(trained->record, "test_nll_stderr", report_number(standard_error));
    json_object_update(trained->result, trained->record);
    return AD_OK;
}

static ad_status show(const struct trained *trained, const nf_table *data, const struct paths *paths, uint64_t seed,
                      ad_pool *pool, json_t *result, ad_error *error)
{
    nf_table samples = {.rows = data->rows, .columns = 2, .names = data->names, .dtype = nf_flow_dtype(trained->flow)};
    samples.values = ad_alloc(samples.rows, 2 * sizeof *samples.values);
    if (!samples.values) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu samples", samples.rows);
    struct picture picture = {trained->flow, trained->record, data, &samples, pool};
    ad_status status = nf_sample(trained->flow, NULL, samples.rows, seed, samples.values, NULL, pool, error);
    if (!status) status = nf_table_write(paths->samples, &samples, error);
    if (!status) json_object_set_new(result, "samples", report_text(paths->samples));
    if (!status) status = picture_draw(&picture, &(struct canvas){.path = paths->picture}, error);
    if (!status) json_object_set_new(result, "picture", report_text(paths->picture));
    ad_free(samples.values);
    return status;
}

static ad_status learn(const struct arguments *arguments, struct trained *trained, const nf_table *data,
                       const struct paths *paths, json_t *result, ad_error *error)
{
    const int threads = (int)option_count(arguments, "threads");
    ad_pool *pool = NULL;
    interrupt_catch();
    const struct training_data rows = {.name = paths->data, .table = data};
    ad_status status = train(arguments, &rows, trained, error);
    if (!status) status = (pool = ad_pool_new(threads, error)) ? score(trained, pool, error) : error->status;
    if (trained->flow) status = save_trained(trained, status, paths->model, error);
    interrupt_release();
    if (!status && interrupt_signal())
        status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted; the weights are in '%s'", paths->model);
    if (!status) {
        json_object_update(result, trained->result);
        json_object_set_new(result, "entropy", json_real(nf_toy_named("moons")->entropy));
        json_object_set_new(result, "model", report_text(paths->model));
        status = show(trained, data, paths, option_count(arguments, "seed"), pool, result, error);
    }
    ad_pool_free(pool);
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    struct paths paths;
    nf_table data;
    struct trained trained = {0};
    const char *name = arguments->positionals[0];
    if (strcmp(name, "moons") != 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "write options behind the name: weir demo %s [options]", name);
    if (make_paths(option_text(arguments, "output"), &paths, error)) return error->status;
    if (draw_toy(nf_toy_named("moons"), target.rows, target.noise, target.seed, &data, error)) return error->status;
    ad_status status = nf_table_write(paths.data, &data, error);
    if (!status) status = learn(arguments, &trained, &data, &paths, result, error);
    nf_table_free(&data);
    trained_free(&trained);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    print_training(result, to);
    fprintf(to, "            %.3f would be perfect: the entropy of the moons\nmodel       %s\n",
            report_number_of(result, "entropy"), report_text_of(result, "model"));
    if (json_object_get(result, "samples")) fprintf(to, "samples     %s\n", report_text_of(result, "samples"));
    if (json_object_get(result, "picture")) fprintf(to, "picture     %s\n", report_text_of(result, "picture"));
}

const struct command demo_command = {
    .name = "demo",
    .summary = "See it all: draw data, fit a flow, score it on fresh data, draw pictures.",
    .example = "weir demo moons",
    .positionals =
        {{"TARGET", "moons|banana|potentials|nfvi",
          "the distribution to learn: moons; see also 'weir help demo banana', 'weir help demo potentials' and 'weir "
          "help demo nfvi'"}},
    .groups = {options, training_options},
    .defaults = defaults,
    .run = run,
    .print = print,
};
