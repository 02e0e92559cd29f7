/* weir vi: fit a flow to a target by variational inference. */
#include "checkpoints.h"
#include "draws.h"
#include "duration.h"
#include "files.h"
#include "inference.h"
#include "inference_data.h"
#include "interrupt.h"
#include "keep.h"
#include "known.h"
#include "modes.h"
#include "ranks.h"
#include "report.h"
#include "target.h"

#include <math.h>

/* Choices of --dtype are in the order of the library's enumeration. */
static const struct option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "MODEL",
     .help =
         "where the fitted flow goes: a safetensors file; or, with a name that ends in .nc, --draws draws of it, in "
         "NetCDF as ArviZ opens it; it isn't kept otherwise"},
    OPTION_DATA,
    {.name = "flow",
     .kind = OPTION_TEXT,
     .value = "FORMULA",
     .initial = "scale-loc",
     .help = "the chain of bijectors; see 'weir help formulas'"},
    {.name = "budget",
     .kind = OPTION_TEXT,
     .value = "TIME",
     .help =
         "ask for a fit without settings that takes at most so long: 90s, 2m; it takes no option below but --draws, "
         "--dtype, --seed and --threads, and --flow is its formula if given [60s]"},
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

/* Options that say how to fit: where the command line has none of them, nor --flow, nothing is left to the user. */
static const char *const settings[] = {"objective",  "iters",        "mc",        "importance", "beta",     "anneal",
                                       "beta-start", "jitter",       "optimizer", "lr",         "schedule", "warmup",
                                       "beta2",      "weight-decay", "clip",      "tolerance"};
enum { SETTINGS = sizeof settings / sizeof *settings };

/* The options on record; those that had no part in a fit aren't. */
static json_t *given_options(const struct arguments *arguments, bool alone)
{
    json_t *given = options_json(arguments, options);
    for (size_t i = 0; i < SETTINGS && alone; i++) json_object_del(given, settings[i]);
    if (alone && !option_named(arguments, "flow")) json_object_del(given, "flow");
    return given;
}

/* What a fit without settings adds to the record of one with them. */
struct alone {
    bool is;
    bool out_of_time;
};

/* Keep what a fit came to that ended with this status, and tell of it; the status of all. `modes` is taken. */
static ad_status finish(const struct arguments *arguments, const nf_target *target, nf_flow *flow,
                        const nf_vi_report *report, struct alone alone, json_t *modes, ad_pool *pool, ad_status status,
                        json_t *result, ad_error *error)
{
    const nf_record told = {.target = target,
                            .vi = report,
                            .seed = option_count(arguments, "seed"),
                            .pool = pool,
                            .interrupted = status ? NULL : interrupt_noted};
    const char *output = option_text(arguments, "output");
    char kept[PATH_MAX] = "";
    json_t *given = given_options(arguments, alone.is), *record = record_of_work(flow, told, given, &status, error);
    json_decref(given);
    if (modes) json_object_set_new(record, "modes", modes);
    if (alone.out_of_time) json_object_set_new(record, "outcome", json_string("out of time"));
    const struct kept what = {.flow = flow, .record = record, .left = "the parameters at hand"};
    if (output && is_netcdf(output))
        status = keep_flow_draws(output, flow, target, option_count(arguments, "draws"), told.seed, pool, status, kept,
                                 error);
    else if (output)
        status = keep(&what, status, output, kept, error);
    char *formula = nf_flow_formula(flow, false);
    json_object_set_new(result, "formula", json_string(formula ? formula : ""));
    json_object_set_new(result, "dim", json_integer((json_int_t)nf_flow_dim(flow)));
    json_object_set_new(result, "parameters", json_integer((json_int_t)nf_flow_trained_elements(flow)));
    json_object_update(result, record);
    if (*report->warning) json_object_set_new(result, "warning", report_text(report->warning));
    if (*kept) json_object_set_new(result, "output", report_text(kept));
    ad_free(formula);
    json_decref(record);
    return status;
}

static ad_status fit(const struct arguments *arguments, const nf_target *target, nf_flow *flow, json_t *result,
                     ad_error *error)
{
    ad_pool *pool = ranks_pool(arguments, error);
    if (!pool) return error->status;
    char optimizer[OPTIMIZER_TEXT];
    nf_vi_options o = chosen(arguments, optimizer, pool);
    nf_vi_report report = {0};
    nf_convergence convergence = {
        .callback.call = nf_stop_when_converged, .tolerance = option_number(arguments, "tolerance"), .absolute = true};
    nf_callback *callbacks[] = {&convergence.callback, NULL};
    if (convergence.tolerance > 0) o.callbacks = callbacks;
    ad_status status = checkpoint_open(arguments, &o.checkpoint, error);
    interrupt_catch();
    if (!status) status = infer(flow, target, &o, "", &report, error);
    if (convergence.converged) report.outcome = NF_STOPPED_EARLY;
    if (convergence.status) status = ad_error_set(error, convergence.status, "no memory to watch the parameters");
    nf_convergence_free(&convergence);
    /* Scores that were made can be trusted as far as modes are known. */
    json_t *modes = !status ? modes_looked_for(flow, target, o.seed, pool) : NULL;
    if (!status || report.iterations > 0)
        status = finish(arguments, target, flow, &report, (struct alone){false}, modes, pool, status, result, error);
    else
        json_decref(modes);
    status = checkpoint_close(arguments, o.checkpoint, status, error);
    interrupt_release();
    ad_free(report.history);
    ad_pool_free(pool);
    return status;
}

/* Nothing but the target is given. */
static ad_status fit_alone(const struct arguments *arguments, const nf_target *target, double budget, json_t *result,
                           ad_error *error)
{
    ad_pool *pool = ranks_pool(arguments, error);
    if (!pool) return error->status;
    nf_infer_options o = {
        .formula = option_named(arguments, "flow") ? option_text(arguments, "flow") : NULL,
        .budget = budget,
        .draws = option_count(arguments, "draws"),
        .dtype = (ad_dtype)option_choice(arguments, "dtype"),
        .seed = option_count(arguments, "seed"),
        .pool = pool,
    };
    nf_inference fitted = {0};
    ad_status status = checkpoint_open(arguments, &o.checkpoint, error);
    interrupt_catch();
    if (!status) status = infer_alone(target, &o, &fitted, error);
    if (fitted.flow && (!status || fitted.report.iterations > 0)) {
        json_t *modes = fitted.mode ? modes_json(target, &fitted.start, fitted.mode, fitted.held) : NULL;
        status = finish(arguments, target, fitted.flow, &fitted.report, (struct alone){true, fitted.out_of_time}, modes,
                        pool, status, result, error);
    }
    status = checkpoint_close(arguments, o.checkpoint, status, error);
    interrupt_release();
    nf_inference_free(&fitted);
    ad_pool_free(pool);
    return status;
}

/* Is the fit to be without settings? *budget: the seconds that it has. */
static ad_status is_alone(const struct arguments *arguments, bool *alone, double *budget, ad_error *error)
{
    const char *given = option_text(arguments, "budget"), *setting = NULL;
    for (size_t i = 0; i < SETTINGS && !setting; i++)
        if (option_named(arguments, settings[i])) setting = settings[i];
    *budget = 60;
    *alone = given || (!setting && !option_named(arguments, "flow"));
    if (given && setting)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "--budget asks for a fit without settings, and --%s is one: leave out one of the two",
                            setting);
    if (given && !parse_duration(given, budget))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "--budget: '%s' given, expected a time, as 90s, 2m or 1h", given);
    return AD_OK;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *output = option_text(arguments, "output");
    bool alone;
    double budget;
    if (is_alone(arguments, &alone, &budget, error)) return error->status;
    nf_target *target = target_open(arguments, error);
    if (!target) return error->status;
    nf_flow *flow = NULL;
    ad_status status = AD_OK;
    if (!alone || option_named(arguments, "flow")) {
        flow = nf_flow_parse(option_text(arguments, "flow"), nf_target_dim(target), 0,
                             (ad_dtype)option_choice(arguments, "dtype"), option_count(arguments, "seed"), error);
        status = flow ? AD_OK : error->status;
    }
    if (!status && output) status = is_netcdf(output) ? check_draws(output, error) : check_output(output, error);
    if (!status)
        status =
            alone ? fit_alone(arguments, target, budget, result, error) : fit(arguments, target, flow, result, error);
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
    .about = "\nWith the target alone, nothing is left to settings: where it lies is searched for, the formula follows "
             "from its dimension, the learning rate falls as the fit converges, and the fit goes on until it has or "
             "the time is over (--budget). Where --flow or another option that says how to fit is given, and --budget "
             "isn't, nothing is chosen or searched for: the options have the defaults below.\n" ABOUT_TARGETS,
    .example = "weir vi eight_schools -o schools.safetensors",
    .positionals = {POSITIONAL_TARGET},
    .groups = {options, checkpoint_options},
    .together = true,
    .run = run,
    .print = print,
};
