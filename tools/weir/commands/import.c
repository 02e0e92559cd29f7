/* weir import: flows that zuko and nflows have trained, as models. */
#include "command.h"
#include "report.h"

#include <weir/import.h>
#include <weir/save.h>

#include <stdlib.h>
#include <string.h>

static const struct option options[] = {
    {.name = "as",
     .kind = OPTION_TEXT,
     .value = "FORMULA",
     .help = "the formula that it is to be, with what the file doesn't say: activation, tail and slope are taken from "
             "it, and all else must be as the tensors have it"},
    {.name = "activation",
     .kind = OPTION_TEXT,
     .value = "NAME",
     .help = "of its networks, as in formulas, where --as doesn't say it; relu, if nothing does"},
    {.name = "tail",
     .kind = OPTION_NUMBER,
     .value = "B",
     .low = 0,
     .high = 1e6,
     .above_low = true,
     .help = "of splines, where --as doesn't say it: 5 of zuko's NSF, of nflows' the tail_bound"},
    {.name = "slope",
     .kind = OPTION_NUMBER,
     .value = "S",
     .low = 0,
     .high = 0.5,
     .above_low = true,
     .help = "of zuko's splines, where --as doesn't say it: their slope; 0.001, if nothing does"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .required = true,
     .help = "where to: the model, .safetensors"},
    {0},
};

/* What a formula says of an argument where it is first given, into text; false where it doesn't. */
static bool said(const char *formula, const char *argument, char text[static 32])
{
    const char *at = strstr(formula, argument);
    if (!at) return false;
    at += strlen(argument);
    snprintf(text, 32, "%.*s", (int)strcspn(at, ",)"), at);
    return true;
}

/* The flow with what a formula of it says, if that is what its tensors are of. */
static nf_flow *import_as(const char *path, const char *formula, const nf_flow *first, ad_error *error)
{
    char activation[32], tail[32], slope[32];
    nf_import_options how = {.activation = "relu"};
    nf_flow *flow = NULL, *meant = nf_flow_parse(formula, nf_flow_dim(first), nf_flow_context_size(first),
                                                 nf_flow_dtype(first), 0, error);
    char *full = meant ? nf_flow_formula(meant, true) : NULL, *own = NULL;
    if (full) {
        if (said(full, "activation=", activation)) how.activation = activation;
        if (said(full, "tail=", tail)) how.tail = strtod(tail, NULL);
        if (said(full, "slope=", slope)) how.slope = strtod(slope, NULL);
        flow = nf_import(path, &how, error);
        own = flow ? nf_flow_formula(flow, true) : NULL;
    }
    if (own && strcmp(own, full) != 0) {
        char *plain = nf_flow_formula(flow, false);
        ad_error_set(error, AD_ERROR_ARGUMENT, "--as: the tensors of %s are not of that flow, but of %s", path,
                     plain ? plain : own);
        ad_free(plain);
        nf_flow_free(flow);
        flow = NULL;
    }
    ad_free(own);
    ad_free(full);
    nf_flow_free(meant);
    return flow;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *path = arguments->positionals[0], *output = option_text(arguments, "output");
    nf_import_options how = {.activation = option_text(arguments, "activation")};
    const char *as = option_text(arguments, "as");
    if (option_given(arguments, "tail", OPTION_NUMBER)) how.tail = option_number(arguments, "tail");
    if (option_given(arguments, "slope", OPTION_NUMBER)) how.slope = option_number(arguments, "slope");
    if (as && !(how.tail > 0)) how.tail = 1; /* the formula says it */
    nf_flow *flow = nf_import(path, &how, error);
    if (flow && as) {
        nf_flow *first = flow;
        flow = import_as(path, as, first, error);
        nf_flow_free(first);
    }
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
        "and NICE with affine maps, and NSF. Of nflows: affine and rational-quadratic transforms, masked "
        "autoregressive ones "
        "without residual blocks and context, couplings with a ResidualNet without context; and permutations. "
        "Anything else is refused by the name of its tensor.",
    .example = "weir import zuko.safetensors --tail 5 -o model.safetensors",
    .positionals = {{"FILE", NULL, "the other library's tensors, .safetensors", INPUT_FILE}},
    .groups = {options},
    .run = run,
    .print = print,
};
