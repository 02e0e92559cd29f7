/* weir export: a trained flow as an ONNX file, for other programs. */
#include "model.h"
#include "report.h"

#include <weir/onnx.h>

static const struct option options[] = {
    {.name = "function",
     .kind = OPTION_CHOICE,
     .value = "WHAT",
     .initial = "log_prob",
     .choices = "log_prob|sample",
     .help = "log_prob: of x (batch, D), the log-density of each row; sample: of noise, draws x and their log_prob"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .required = true,
     .help = "where to: .onnx"},
    {0},
};

/* A flow fitted to a target is of its unconstrained space: the maps to the sites' own scale are the target's. */
static ad_status check_target(const struct model *model, ad_error *error)
{
    for (size_t i = 0; model->target && i < model->target->n_site; i++)
        if (model->target->site[i].constraint != NF_SITE_REAL)
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "%s: the site '%.100s' of the target %.100s is constrained, and its map isn't a part "
                                "of the flow, which alone can be exported",
                                model->path, model->target->site[i].name, model->target->name);
    return AD_OK;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *path = arguments->positionals[0], *output = option_text(arguments, "output");
    const nf_onnx_function function = (nf_onnx_function)option_choice(arguments, "function");
    struct model model;
    if (model_open(path, &model, error)) return error->status;
    ad_status status = check_target(&model, error);
    if (!status) status = nf_export_onnx(model.flow, model.features, model.conditions, function, output, error);
    if (!status) {
        char *formula = nf_flow_formula(model.flow, false);
        json_object_set_new(result, "model", report_text(path));
        json_object_set_new(result, "formula", json_string(formula ? formula : ""));
        json_object_set_new(result, "output", report_text(output));
        json_object_set_new(result, "function", json_string(function == NF_ONNX_SAMPLE ? "sample" : "log_prob"));
        json_object_set_new(result, "dtype", json_string(ad_dtype_name(nf_flow_dtype(model.flow))));
        ad_free(formula);
    }
    model_close(&model);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    fprintf(to, "%s: %s of %s, in ONNX\n", report_text_of(result, "output"), report_text_of(result, "function"),
            report_text_of(result, "formula"));
}

const struct command export_command = {
    .name = "export",
    .summary = "Write a trained flow as an ONNX file, which other programs run.",
    .about =
        "ONNX runtimes exist for Python, C#, Java, JavaScript, phones and browsers: "
        "onnxruntime.InferenceSession(\"moons.onnx\").run([\"log_prob\"], {\"x\": x}). Rows are in the units of the "
        "columns that the flow was fitted to, in the flow's dtype, or in float64 where columns are positive or "
        "bounded; of a conditional flow there is a second input, context. A sample is a function of noise, its "
        "input: of N(0, 1), (batch, D), named normal, for most flows; onnxruntime's get_inputs() tells. It has "
        "convolutions in float32 alone, which are those of images. Refused, "
        "with what it is: inverses that are searched for and other computations that ONNX lacks; columns of whole "
        "numbers, labels and angles, with atoms or missing values.",
    .example = "weir export moons.safetensors -o moons.onnx",
    .positionals = {{"MODEL", NULL, "a trained flow, as 'weir fit' saves it", INPUT_FILE}},
    .groups = {options},
    .run = run,
    .print = print,
};
