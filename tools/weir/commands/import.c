/* weir import: flows that zuko and nflows have trained, as models. */
#include "command.h"
#include "report.h"

#include <weir/import.h>
#include <weir/save.h>

static const struct option options[] = {
    {.name = "activation",
     .kind = OPTION_TEXT,
     .value = "NAME",
     .initial = "relu",
     .help = "of its networks, as in formulas; the file doesn't say it"},
    {.name = "tail",
     .kind = OPTION_NUMBER,
     .value = "B",
     .low = 0,
     .high = 1e6,
     .above_low = true,
     .help = "of nflows' splines: their tail_bound, which the file doesn't say"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .required = true,
     .help = "where to: the model, .safetensors"},
    {0},
};

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *path = arguments->positionals[0], *output = option_text(arguments, "output");
    nf_import_options how = {.activation = option_text(arguments, "activation")};
    if (option_given(arguments, "tail", OPTION_NUMBER)) how.tail = option_number(arguments, "tail");
    nf_flow *flow = nf_import(path, &how, error);
    if (!flow) return error->status;
    ad_status status = nf_save(flow, NULL, output, error);
    char *formula = nf_flow_formula(flow, false);
    if (!status) {
        json_object_set_new(result, "source", report_text(path));
        json_object_set_new(result, "output", report_text(output));
        json_object_set_new(result, "formula", json_string(formula ? formula : ""));
        json_object_set_new(result, "dim", json_integer((json_int_t)nf_flow_dim(flow)));
        json_object_set_new(result, "context", json_integer((json_int_t)nf_flow_context_size(flow)));
        json_object_set_new(result, "dtype", json_string(ad_dtype_name(nf_flow_dtype(flow))));
    }
    ad_free(formula);
    nf_flow_free(flow);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    fprintf(to, "%s: %s as %s, of %lld features%s\n", report_text_of(result, "output"),
            report_text_of(result, "source"), report_text_of(result, "formula"), report_count_of(result, "dim"),
            report_count_of(result, "context") ? ", with a context" : "");
}

const struct command import_command = {
    .name = "import",
    .summary = "Make a model of a flow that zuko or nflows has trained.",
    .about =
        "FILE has its state_dict(), as Python's safetensors.torch.save_file() writes it. Its density is the same, in "
        "the dtype of its tensors; transforms, orders, masks and sizes are known by the tensors' names. Of zuko: MAF "
        "and NICE with affine maps. Of nflows: affine and rational-quadratic transforms, masked autoregressive ones "
        "without residual blocks and context, couplings with a ResidualNet without context; and permutations. "
        "Anything else is refused by the name of its tensor.",
    .example = "weir import zuko.safetensors -o model.safetensors",
    .positionals = {{"FILE", NULL, "the other library's tensors, .safetensors", INPUT_FILE}},
    .groups = {options},
    .run = run,
    .print = print,
};
