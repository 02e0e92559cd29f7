/* weir demo banana: ProbFlow's example of a normalizing flow: 512 points of a normal bent along a parabola, eight dense
 * affine maps with leaky ReLUs between them, trained by maximum likelihood with the prior N(0, 1) on the parameters.
 * The gradient of the prior, for each of N rows, is a weight decay of 1/N. Training takes so many steps, whatever N. */
#include "pictures/banana_picture.h"
#include "files.h"
#include "interrupt.h"
#include "ranks.h"
#include "report.h"
#include "pictures/steps_picture.h"
#include "targets.h"
#include "training.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

enum { STEPS_OF_TRAINING = 4000 };

static const char *const defaults[] = {
    "flow",         "(affine-leaky)*7-affine",
    "epochs",       NULL,
    "batch",        "512",
    "lr",           "0.01",
    "val-fraction", "0",
    "weight-decay", NULL,
    NULL,
};

static const struct {
    size_t test_rows;
    uint64_t seed, test_seed;
} target = {.test_rows = 20000, .seed = 1, .test_seed = 2};

static const struct option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .value = "DIR",
     .initial = "weir-demo",
     .help = "directory for data, model, samples and pictures"},
    {.name = "rows",
     .letter = 'n',
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "512",
     .low = 2,
     .help = "points to learn from; unless given, --epochs is what makes 4000 steps, and --weight-decay 1/N"},
    {0},
};

enum { DATA, MODEL, SAMPLES, DENSITY, STEPS, FILES };
static const struct {
    const char *label, *file;
} files[FILES] = {
    [DATA] = {"data", "banana.npy"},
    [MODEL] = {"model", "banana.safetensors"},
    [SAMPLES] = {"samples", "banana-samples.npy"},
    [DENSITY] = {"picture", "banana.png"},
    [STEPS] = {"steps_picture", "banana-steps.png"},
};

struct work {
    const struct arguments *arguments;
    const struct trained *trained;
    const nf_table *data;
    ad_pool *pool;
    json_t *result;
};

static void path_of(const struct work *w, int file, char path[static PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", option_text(w->arguments, "output"), files[file].file);
}

static void made(const struct work *w, int file)
{
    char path[PATH_MAX];
    path_of(w, file, path);
    json_object_set_new(w->result, files[file].label, report_text(path));
}

/* Into the record, and so into the model file: the score on rows that the training never saw. */
static ad_status score(const struct work *w, ad_error *error)
{
    nf_table test;
    double nll, standard_error;
    if (draw_toy(nf_toy_named("banana"), target.test_rows, 0, target.test_seed, &test, error)) return error->status;
    ad_status status = nf_nll(w->trained->flow, test.values, NULL, test.rows, &nll, &standard_error, w->pool, error);
    nf_table_free(&test);
    if (status) return status;
    json_object_set_new(w->trained->record, "test_rows", json_integer((json_int_t)target.test_rows));
    json_object_set_new(w->trained->record, "test_nll", report_number(nll));
    json_object_set_new(w->trained->record, "test_nll_stderr", report_number(standard_error));
    json_object_update(w->trained->result, w->trained->record);
    json_object_update(w->result, w->trained->result);
    json_object_set_new(w->result, "entropy", json_real(nf_toy_named("banana")->entropy));
    return AD_OK;
}

static ad_status draw(const struct work *w, nf_table *samples, ad_error *error)
{
    char path[PATH_MAX];
    uint64_t seed = option_count(w->arguments, "seed");
    ad_status status = nf_sample(w->trained->flow, NULL, samples->rows, seed, samples->values, NULL, w->pool, error);
    path_of(w, SAMPLES, path);
    if (!status) status = nf_table_write(path, samples, error);
    if (!status) made(w, SAMPLES);
    struct picture picture = {w->trained->flow, w->trained->record, w->data, samples, w->pool};
    path_of(w, DENSITY, path);
    if (!status) status = banana_picture_draw(&picture, &(struct canvas){.path = path}, error);
    if (!status) made(w, DENSITY);
    path_of(w, STEPS, path);
    if (!status) status = steps_picture_draw(&picture, seed, &(struct canvas){.path = path}, error);
    if (!status) made(w, STEPS);
    return status;
}

static ad_status show(const struct work *w, ad_error *error)
{
    made(w, MODEL);
    nf_table samples = {.rows = 5000, .columns = 2, .names = w->data->names, .dtype = nf_flow_dtype(w->trained->flow)};
    samples.values = ad_alloc(samples.rows, 2 * sizeof *samples.values);
    if (!samples.values) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu samples", samples.rows);
    ad_status status = draw(w, &samples, error);
    ad_free(samples.values);
    return status;
}

static ad_status run(const struct arguments *given, json_t *result, ad_error *error)
{
    nf_table data;
    struct arguments complete = *given, *arguments = &complete;
    char epochs[32], decay[32];
    uint64_t rows = option_count(given, "rows"), batches = (rows - 1) / option_count(given, "batch") + 1;
    snprintf(epochs, sizeof epochs, "%" PRIu64, (STEPS_OF_TRAINING - 1) / batches + 1);
    snprintf(decay, sizeof decay, "%.17g", 1 / (double)rows);
    option_default(arguments, "epochs", epochs);
    option_default(arguments, "weight-decay", decay);
    struct trained trained = {0};
    struct work w = {arguments, &trained, &data, NULL, result};
    char path[PATH_MAX], model[PATH_MAX];
    path_of(&w, DATA, path);
    path_of(&w, MODEL, model);
    if (make_directory(option_text(arguments, "output"), error) || check_output(model, error)) return error->status;
    if (draw_toy(nf_toy_named("banana"), option_count(arguments, "rows"), 0, target.seed, &data, error))
        return error->status;
    ad_status status = nf_table_write(path, &data, error);
    interrupt_catch();
    if (!status) status = train(arguments, &(struct training_data){.name = path, .table = &data}, &trained, error);
    if (!status) w.pool = ranks_pool(arguments, error);
    if (!status) status = w.pool ? score(&w, error) : error->status;
    if (trained.flow) status = save_trained(&trained, status, model, error);
    interrupt_release();
    if (!status && interrupt_signal())
        status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted; the weights are in '%s'", model);
    if (!status) status = show(&w, error);
    ad_pool_free(w.pool);
    nf_table_free(&data);
    trained_free(&trained);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    print_training(result, to);
    fprintf(to, "            %.4f would be perfect: the entropy of the banana\n", report_number_of(result, "entropy"));
    static const int told[] = {MODEL, SAMPLES, DENSITY, STEPS};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        const char *label = files[told[i]].label;
        if (json_object_get(result, label))
            fprintf(to, "%-12s%s\n", told[i] == STEPS ? "steps" : label, report_text_of(result, label));
    }
}

const struct command demo_banana_command = {
    .name = "demo banana",
    .summary = "Fit a chain of affine maps and leaky ReLUs to a banana, and show what each of its steps does.",
    .example = "weir demo banana",
    .groups = {options, training_options},
    .defaults = defaults,
    .run = run,
    .print = print,
};
