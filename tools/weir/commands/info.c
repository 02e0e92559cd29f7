/* weir info: what is in a model file. */
#include "automatic.h"
#include "describe.h"
#include "inference.h"
#include "model.h"
#include "report.h"
#include "training.h"

#include <math.h>

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    struct model model;
    if (model_open(arguments->positionals[0], &model, error)) return error->status;
    const nf_flow *flow = model.flow;
    char *formula = nf_flow_formula(flow, false);
    json_object_set_new(result, "model", report_text(model.path));
    json_object_set_new(result, "formula", json_string(formula ? formula : ""));
    json_object_set_new(result, "dim", json_integer((json_int_t)nf_flow_dim(flow)));
    json_object_set_new(result, "dtype", json_string(ad_dtype_name(nf_flow_dtype(flow))));
    json_object_set_new(result, "parameters", json_integer((json_int_t)nf_flow_trained_elements(flow)));
    json_object_set_new(result, "fixed_parameters", json_integer((json_int_t)nf_flow_fixed_elements(flow)));
    json_object_set(result, "training", model.record);
    if (json_object_get(model.record, "kinds")) describe_columns(result, model.features, model.conditions);
    ad_free(formula);
    model_close(&model);
    return AD_OK;
}

static void print_options(const json_t *training, FILE *to)
{
    const char *name;
    json_t *value, *options = json_object_get(training, "options");
    if (!options) return; /* another program's, which may have none */
    fprintf(to, "options    ");
    json_object_foreach(options, name, value)
    {
        if (json_is_false(value) || json_is_null(value)) continue;
        fprintf(to, " --%s", name);
        if (json_is_string(value)) fprintf(to, " '%s'", json_string_value(value));
        if (json_is_number(value)) fprintf(to, " %.10g", json_number_value(value));
    }
    fprintf(to, "\n");
}

struct column {
    const char *key, *title;
};

/* What histories have. */
static const struct column training_columns[] = {{"train_nll", "train NLL"}, {"val_nll", "val NLL"}, {0}};
static const struct column inference_columns[] = {
    {"loss", "loss"}, {"gradient_norm", "|gradient|"}, {"parameter_norm", "|parameters|"}, {0}};

/* About ten epochs or iterations of the curves, the last among them. */
static void print_history(const json_t *history, const char *time, const struct column *columns, FILE *to)
{
    const json_t *times = json_object_get(history, time);
    size_t count = json_array_size(times), stride = count > 10 ? (count + 9) / 10 : 1;
    if (count == 0) return;
    fprintf(to, "\n%9s", time);
    for (const struct column *column = columns; column->key; column++) fprintf(to, " %12s", column->title);
    fprintf(to, "\n");
    for (size_t i = (count - 1) % stride; i < count; i += stride) {
        fprintf(to, "%9lld", json_integer_value(json_array_get(times, i)));
        for (const struct column *column = columns; column->key; column++) {
            const json_t *value = json_array_get(json_object_get(history, column->key), i);
            if (json_is_number(value)) fprintf(to, " %12.4f", json_number_value(value));
        }
        fprintf(to, "\n");
    }
}

static void print(const json_t *result, FILE *to)
{
    fprintf(to, "model       %s\nflow        %s\nfeatures    %lld\nparameters  %lld trained, %lld fixed, %s\n",
            report_text_of(result, "model"), report_text_of(result, "formula"), report_count_of(result, "dim"),
            report_count_of(result, "parameters"), report_count_of(result, "fixed_parameters"),
            report_text_of(result, "dtype"));
    describe_print(result, to);
    const json_t *training = json_object_get(result, "training");
    if (!json_object_get(training, "outcome")) {
        fprintf(to, "training    not on record\n");
        return;
    }
    bool inferred = json_object_get(training, "target") != NULL;
    if (inferred)
        print_inference(training, to);
    else if (json_object_get(training, "candidates"))
        print_automatic(training, to);
    else
        print_training(training, to);
    print_options(training, to);
    fprintf(to, "by          weir %s\n", report_text_of(training, "weir"));
    print_history(json_object_get(training, "history"), inferred ? "iteration" : "epoch",
                  inferred ? inference_columns : training_columns, to);
}

const struct command info_command = {
    .name = "info",
    .summary = "Tell what is in a model file: the flow, how it was trained, its scores.",
    .example = "weir info moons.safetensors",
    .positionals = {{"MODEL", NULL, "a trained flow, as 'weir fit' saves it", INPUT_FILE}},
    .run = run,
    .print = print,
};
