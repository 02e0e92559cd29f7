/* weir vi: fit a flow to a target by variational inference. */
#include "files.h"
#include "inference.h"
#include "interrupt.h"
#include "keep.h"
#include "known.h"
#include "report.h"

#include <math.h>

/* Choices of --dtype are in the order of the library's enumeration. */
static const struct option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "MODEL",
     .help = "where the fitted flow goes: a safetensors file; it isn't kept otherwise"},
    {.name = "flow",
     .kind = OPTION_TEXT,
     .value = "FORMULA",
     .initial = "scale-loc",
     .help = "the chain of bijectors; see 'weir help formulas'"},
    {.name = "objective",
     .kind = OPTION_TEXT,
     .value = "NAME",
     .initial = "elbo",
     .known = &known_objectives,
     .help = "what is minimised; see 'weir help objectives'"},
    {.name = "iters", .kind = OPTION_COUNT, .value = "N", .initial = "10000", .low = 1, .help = "optimiser steps"},
    {.name = "mc",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "100",
     .low = 1,
     .help = "draws a step; of iwae and dreg, groups of draws"},
    {.name = "importance",
     .kind = OPTION_COUNT,
     .value = "K",
     .initial = "8",
     .low = 1,
     .help = "draws in a group of iwae and dreg"},
    {.name = "beta",
     .kind = OPTION_NUMBER,
     .value = "B",
     .initial = "1",
     .above_low = true,
     .help = "power of the target that is fitted; below 1 it is flatter"},
    {.name = "anneal",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "0",
     .help = "iterations in which that power grows to B"},
    {.name = "beta-start",
     .kind = OPTION_NUMBER,
     .value = "B",
     .initial = "0.01",
     .above_low = true,
     .help = "what it grows from"},
    {.name = "jitter",
     .kind = OPTION_NUMBER,
     .value = "SD",
     .initial = "0",
     .help = "of noise that moves the initial parameters, and takes the place of random ones"},
    {.name = "optimizer",
     .kind = OPTION_TEXT,
     .value = "NAME",
     .initial = "adam",
     .known = &known_optimizers,
     .help = "how parameters are updated; see 'weir help optimizers'"},
    {.name = "lr",
     .kind = OPTION_NUMBER,
     .value = "RATE",
     .above_low = true,
     .help = "learning rate, at the start; adam's is 0.001 where it isn't given, others have their own"},
    {.name = "schedule",
     .kind = OPTION_TEXT,
     .value = "NAME",
     .initial = "constant",
     .known = &known_schedules,
     .help = "how the learning rate goes on; see 'weir help schedules'"},
    {.name = "warmup",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "0",
     .help = "iterations in which the learning rate grows to RATE"},
    {.name = "beta2",
     .kind = OPTION_NUMBER,
     .value = "B",
     .high = 1,
     .above_low = true,
     .help = "of adam, adamw and adamax: how slowly they forget the size of gradients; theirs is 0.999"},
    {.name = "weight-decay",
     .kind = OPTION_NUMBER,
     .value = "W",
     .initial = "0",
     .help = "times the parameters, added to their gradient; of adamw 0 means 0.01"},
    {.name = "clip",
     .kind = OPTION_NUMBER,
     .value = "NORM",
     .initial = "0",
     .help = "largest norm of the gradient; 0: don't clip"},
    {.name = "tolerance",
     .kind = OPTION_NUMBER,
     .value = "T",
     .initial = "0",
     .help = "stop when no parameter has moved by T or more in 100 iterations; 0: don't"},
    {.name = "draws",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "20000",
     .low = 2,
     .help = "fresh draws that the fit is scored by"},
    {.name = "dtype",
     .kind = OPTION_CHOICE,
     .value = "NAME",
     .initial = "float32",
     .choices = "float32|float64",
     .help = "numbers to compute with"},
    {.name = "seed", .kind = OPTION_COUNT, .value = "N", .initial = "1", .help = "of the initial parameters and draws"},
    OPTION_THREADS,
    {0},
};

static nf_vi_options chosen(const struct arguments *arguments, char optimizer[static OPTIMIZER_TEXT], ad_pool *pool)
{
    return (nf_vi_options){
        .objective = option_text(arguments, "objective"),
        .iters = option_count(arguments, "iters"),
        .mc = option_count(arguments, "mc"),
        .importance = option_count(arguments, "importance"),
        .beta = option_number(arguments, "beta"),
        .beta_start = option_number(arguments, "beta-start"),
        .anneal = option_count(arguments, "anneal"),
        .jitter = option_number(arguments, "jitter"),
        .optimizer = optimizer_chosen(arguments, option_number(arguments, "clip"), optimizer),
        .schedule = option_text(arguments, "schedule"),
        .warmup = option_count(arguments, "warmup"),
        .seed = option_count(arguments, "seed"),
        .draws = option_count(arguments, "draws"),
        .pool = pool,
    };
}

/* The record becomes the result. */
static ad_status tell(const struct arguments *arguments, const nf_target *target, nf_flow *flow,
                      const nf_vi_report *report, ad_pool *pool, json_t *result, ad_error *error)
{
    const nf_record told = {.target = target, .vi = report, .seed = option_count(arguments, "seed"), .pool = pool};
    json_t *given = options_json(arguments, options), *record = make_record(flow, told, given, error);
    json_decref(given);
    if (!record) return error->status;
    const char *output = option_text(arguments, "output");
    char kept[PATH_MAX] = "";
    ad_status status = output ? keep_model(flow, record, output, kept, error) : AD_OK;
    char *formula = nf_flow_formula(flow, false);
    json_object_set_new(result, "formula", json_string(formula ? formula : ""));
    json_object_set_new(result, "dim", json_integer((json_int_t)nf_flow_dim(flow)));
    json_object_set_new(result, "parameters", json_integer((json_int_t)nf_flow_trained_elements(flow)));
    json_object_update(result, record);
    if (*kept) json_object_set_new(result, "output", report_text(kept));
    ad_free(formula);
    json_decref(record);
    return status;
}

static ad_status fit(const struct arguments *arguments, const nf_target *target, nf_flow *flow, json_t *result,
                     ad_error *error)
{
    ad_pool *pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    if (!pool) return error->status;
    char optimizer[OPTIMIZER_TEXT];
    nf_vi_options o = chosen(arguments, optimizer, pool);
    nf_vi_report report = {0};
    nf_convergence convergence = {
        .callback.call = nf_stop_when_converged, .tolerance = option_number(arguments, "tolerance"), .absolute = true};
    nf_callback *callbacks[] = {&convergence.callback, NULL};
    if (convergence.tolerance > 0) o.callbacks = callbacks;
    interrupt_catch();
    ad_status status = infer(flow, target, &o, "", &report, error);
    if (convergence.converged) report.outcome = NF_STOPPED_EARLY;
    if (convergence.status) status = ad_error_set(error, convergence.status, "no memory to watch the parameters");
    nf_convergence_free(&convergence);
    if (!status || report.iterations > 0) {
        ad_error telling = {AD_OK, ""};
        ad_status told = tell(arguments, target, flow, &report, pool, result, &telling);
        const char *output = option_text(arguments, "output");
        char reason[sizeof error->message];
        snprintf(reason, sizeof reason, "%s", error->message);
        if (status && !told && output)
            ad_error_set(error, status, "%.800s; the parameters at hand are in '%s'", reason, output);
        if (status && told) ad_error_set(error, told, "%.300s; and %.700s", reason, telling.message);
        if (!status && told) *error = telling;
        if (told) status = told;
    }
    interrupt_release();
    ad_free(report.history);
    ad_pool_free(pool);
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *output = option_text(arguments, "output");
    nf_target *target = nf_target_parse(arguments->positionals[0], error);
    if (!target) return error->status;
    nf_flow *flow = nf_flow_parse(option_text(arguments, "flow"), nf_target_dim(target), 0,
                                  (ad_dtype)option_choice(arguments, "dtype"), option_count(arguments, "seed"), error);
    ad_status status = flow ? AD_OK : error->status;
    if (!status && output) status = check_output(output, error);
    if (!status) status = fit(arguments, target, flow, result, error);
    nf_flow_free(flow);
    nf_target_free(target);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    print_inference(result, to);
    if (json_object_get(result, "output")) fprintf(to, "\nsaved       %s\n", report_text_of(result, "output"));
}

const struct command vi_command = {
    .name = "vi",
    .summary = "Fit a flow to a target density, by variational inference.",
    .example = "weir vi pot1 --flow '(maf(32,32)-flip)*4-scale-loc' --lr 0.01 --schedule cosine -o pot1.safetensors",
    .positionals = {{"TARGET", NULL, "an unnormalised density: pot1, or funnel(dim=5); see 'weir help targets'"}},
    .groups = {options},
    .run = run,
    .print = print,
};
