/* weir nuts: draw from a target by the No-U-Turn Sampler. */
#include "chains.h"
#include "checkpoints.h"
#include "command.h"
#include "draws.h"
#include "files.h"
#include "inference_data.h"
#include "interrupt.h"
#include "ranks.h"
#include "report.h"
#include "target.h"

#include <math.h>
#include <string.h>

static const struct option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .help =
         "where the draws go, all of the first chain first: .npy, .csv, .tsv or .txt; or .nc, NetCDF as ArviZ opens "
         "it"},
    {.name = "stats",
     .kind = OPTION_FLAG,
     .help =
         "write columns behind those of the target, by ArviZ's names: chain and draw, from 0; lp, the log-density of "
         "the unconstrained draw; acceptance_rate, step_size, tree_depth, n_steps, diverging (0 or 1), energy. A .nc "
         "file has them always"},
    OPTION_DATA,
    {.name = "chains", .kind = OPTION_COUNT, .value = "N", .initial = "4", .low = 1, .help = "how many chains"},
    {.name = "tune",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "1000",
     .low = 1,
     .help = "draws of each chain's warm-up, which finds its step size and mass matrix"},
    {.name = "draws",
     .letter = 'n',
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "1000",
     .low = 1,
     .help = "draws of each chain, after its warm-up"},
    {.name = "target-accept",
     .kind = OPTION_NUMBER,
     .value = "P",
     .initial = "0.8",
     .above_low = true,
     .high = 0.9999,
     .help = "mean acceptance to tune the step size to; closer to 1 are smaller steps"},
    {.name = "max-depth",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "10",
     .low = 1,
     .high = 24,
     .help = "a trajectory has less than 2^N steps"},
    {.name = "start",
     .kind = OPTION_CHOICE,
     .value = "NAME",
     .initial = "search",
     .choices = "search|uniform",
     .help =
         "where chains begin: where searches found the target, with its covariance there, or at points from (-2, 2); "
         "with --flow the latter"},
    {.name = "dense", .kind = OPTION_FLAG, .help = "a full mass matrix instead of a diagonal one"},
    {.name = "flow",
     .kind = OPTION_TEXT,
     .file = INPUT_FILE,
     .value = "MODEL",
     .help = "precondition with a flow that was fitted to the target (NeuTra)"},
    {.name = "seed", .kind = OPTION_COUNT, .value = "N", .initial = "1", .help = "of starts, momenta and choices"},
    OPTION_THREADS,
    {0},
};

/* ---- Sampling -------------------------------------------------------------------------------------------------- */

enum { SEARCH };

/* Where searches find nothing, chains look for themselves; they would where memory ran out as well, but begin elsewhere
 * than they are to. */
static ad_status find_start(const struct arguments *arguments, const nf_target *target, ad_pool *pool, nf_start *start,
                            ad_error *error)
{
    const nf_start_options o = {.seed = option_count(arguments, "seed"), .pool = pool, .interrupted = interrupt_noted};
    *start = (nf_start){0};
    if (option_choice(arguments, "start") != SEARCH || option_text(arguments, "flow")) return AD_OK;
    ad_status status = nf_find_start(target, &o, start, error);
    return status == AD_ERROR_MEMORY ? status : AD_OK;
}

static ad_status sample(const struct arguments *arguments, const nf_target *target, const nf_flow *flow, ad_pool *pool,
                        nf_checkpoint *checkpoint, nf_start *start, nf_nuts_result *draws, ad_error *error)
{
    if (find_start(arguments, target, pool, start, error)) return error->status;
    const nf_nuts_options o = {
        .chains = option_count(arguments, "chains"),
        .tune = option_count(arguments, "tune"),
        .draws = option_count(arguments, "draws"),
        .target_accept = option_number(arguments, "target-accept"),
        .max_depth = option_count(arguments, "max-depth"),
        .dense = option_flag(arguments, "dense"),
        .flow = flow,
        .seed = option_count(arguments, "seed"),
        .pool = pool,
        .start = start->count > 0 ? start : NULL,
        /* Searches that were interrupted found another start than there would be. */
        .checkpoint = interrupt_signal() ? NULL : checkpoint,
    };
    return draw_chains(target, &o, "", draws, error);
}

/* ---- Results --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *heading;
    size_t offset;
} figures[] = {
    {"mean", "mean", offsetof(nf_summary, mean)},
    {"sd", "sd", offsetof(nf_summary, sd)},
    {"mcse_mean", "mcse", offsetof(nf_summary, mcse_mean)},
    {"mcse_sd", NULL, offsetof(nf_summary, mcse_sd)},
    {"q5", "5%", offsetof(nf_summary, q5)},
    {"median", "50%", offsetof(nf_summary, median)},
    {"q95", "95%", offsetof(nf_summary, q95)},
    {"rhat", "R̂", offsetof(nf_summary, rhat)},
    {"ess_bulk", "ESS bulk", offsetof(nf_summary, ess_bulk)},
    {"ess_tail", "ESS tail", offsetof(nf_summary, ess_tail)},
};
enum { FIGURES = sizeof figures / sizeof *figures };

static ad_status summarize(const nf_target *target, const nf_nuts_result *draws, ad_pool *pool, json_t *result,
                           ad_error *error)
{
    nf_summary *summary = ad_alloc(draws->size, sizeof *summary);
    if (!summary) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu summaries", draws->size);
    ad_status status = nf_summarize(draws->values, draws->chains, draws->draws, draws->size, summary, pool, error);
    json_t *parameters = json_array();
    for (size_t i = 0; !status && i < draws->size; i++) {
        char name[64];
        json_t *parameter = json_pack("{s:o}", "name", report_text(nf_target_element(target, i, name)));
        for (size_t k = 0; k < FIGURES; k++)
            json_object_set_new(parameter, figures[k].name,
                                report_number(*(const double *)((const char *)&summary[i] + figures[k].offset)));
        json_array_append_new(parameters, parameter);
    }
    json_object_set_new(result, "parameters", parameters);
    ad_free(summary);
    return status;
}

static json_t *numbers_json(const double *numbers, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(array, report_number(numbers[i]));
    return array;
}

static void describe(const struct arguments *arguments, const nf_target *target, const nf_start *start,
                     const nf_nuts_result *draws, json_t *result)
{
    json_t *about =
        json_pack("{s:o, s:I, s:I, s:I, s:b, s:o, s:I, s:I, s:o, s:o, s:I, s:o, s:o}", "target",
                  report_text(target->text), "chains", (json_int_t)draws->chains, "draws", (json_int_t)draws->draws,
                  "dim", (json_int_t)draws->dim, "interrupted", draws->stopped, "acceptance",
                  report_number(draws->acceptance), "divergent", (json_int_t)draws->divergent, "cut_off",
                  (json_int_t)draws->cut_off, "step_size", numbers_json(draws->step_size, draws->chains), "bfmi",
                  numbers_json(draws->bfmi, draws->chains), "gradients", (json_int_t)draws->gradients, "seconds",
                  report_number(draws->seconds), "options", options_json(arguments, options));
    json_object_update(result, about);
    json_decref(about);
    if (start->count == 0) return;
    json_object_set_new(result, "searches", json_integer((json_int_t)start->searches));
    json_object_set_new(result, "modes", json_integer((json_int_t)start->modes));
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *output = option_text(arguments, "output"), *model = option_text(arguments, "flow");
    const bool statistics = option_flag(arguments, "stats");
    if (statistics && !output)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "--stats: they go where draws go; give a file as -o");
    if (output && check_draws(output, error)) return error->status;
    nf_target *target = target_open(arguments, error);
    if (!target) return error->status;
    if (statistics && !is_netcdf(output) && check_statistics(target, error)) {
        nf_target_free(target);
        return error->status;
    }
    json_t *record = NULL;
    nf_flow *flow = model ? load_model(model, &record, error) : NULL;
    ad_pool *pool = model && !flow ? NULL : ranks_pool(arguments, error);
    nf_nuts_result draws = {0};
    nf_start start = {0};
    nf_checkpoint *checkpoint = NULL;
    ad_status status = pool ? checkpoint_open(arguments, &checkpoint, error) : error->status;
    interrupt_catch();
    if (!status) status = sample(arguments, target, flow, pool, checkpoint, &start, &draws, error);
    if (!status) describe(arguments, target, &start, &draws, result);
    if (!status && draws.stopped)
        status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted after %zu of %zu draws of each chain",
                              draws.draws, option_count(arguments, "draws"));
    if (output && draws.draws > 0)
        status = keep_chains(output, target, &draws, statistics, pool, status, result, error);
    status = checkpoint_close(arguments, checkpoint, status, error);
    interrupt_release();
    ad_error unsummarized = {AD_OK, ""};
    if (draws.draws > 1 && summarize(target, &draws, pool, result, &unsummarized) && !status) {
        *error = unsummarized;
        status = error->status;
    }
    nf_nuts_free(&draws);
    nf_start_free(&start);
    ad_pool_free(pool);
    nf_flow_free(flow);
    json_decref(record);
    nf_target_free(target);
    return status;
}

/* ---- For a human reader ---------------------------------------------------------------------------------------- */

/* Columns as wide as on a terminal: a letter with an accent counts once. */
static void print_heading(const char *text, int width, FILE *to)
{
    int letters = 0;
    for (const char *c = text; *c; c++) letters += (*c & 0xc0) != 0x80;
    if (strcmp(text, "R̂") == 0) letters--; /* the hat combines */
    fprintf(to, "%*s%s", width - letters, "", text);
}

static void print_parameter(const json_t *parameter, int width, FILE *to)
{
    fprintf(to, "%-*s", width, report_text_of(parameter, "name"));
    for (size_t k = 0; k < FIGURES; k++) {
        double number = report_number_of(parameter, figures[k].name);
        if (!figures[k].heading) continue;
        if (isnan(number))
            fprintf(to, "%10s", "-");
        else if (strncmp(figures[k].name, "ess", 3) == 0)
            fprintf(to, "%10.0f", number);
        else if (strcmp(figures[k].name, "rhat") == 0)
            fprintf(to, "%10.3f", number);
        else
            fprintf(to, "%10.4g", number);
    }
    fprintf(to, "\n");
}

static void print_table(const json_t *parameters, FILE *to)
{
    enum { MOST = 60 };
    size_t i, longest = 9;
    json_t *parameter;
    json_array_foreach(parameters, i, parameter)
    {
        size_t length = strlen(report_text_of(parameter, "name"));
        if (length > longest && i < MOST) longest = length;
    }
    fprintf(to, "%*s", (int)longest, "");
    for (size_t k = 0; k < FIGURES; k++)
        if (figures[k].heading) print_heading(figures[k].heading, 10, to);
    fprintf(to, "\n");
    json_array_foreach(parameters, i, parameter)
    {
        if (i < MOST) print_parameter(parameter, (int)longest, to);
    }
    if (json_array_size(parameters) > MOST)
        fprintf(to, "… and %zu more, which --json tells\n", json_array_size(parameters) - MOST);
}

/* What casts doubt on the draws, and what may help. */
static void print_advice(const json_t *result, FILE *to)
{
    const json_t *parameters = json_object_get(result, "parameters");
    long long all = report_count_of(result, "chains") * report_count_of(result, "draws");
    long long divergent = report_count_of(result, "divergent"), cut_off = report_count_of(result, "cut_off");
    double worst_rhat = 0, least_ess = INFINITY, least_bfmi = INFINITY,
           enough = 100 * report_number_of(result, "chains");
    const char *worst = "", *least = "";
    size_t i;
    json_t *item;
    json_array_foreach(parameters, i, item)
    {
        double rhat = report_number_of(item, "rhat");
        double ess = fmin(report_number_of(item, "ess_bulk"), report_number_of(item, "ess_tail"));
        if (rhat > worst_rhat) {
            worst_rhat = rhat;
            worst = report_text_of(item, "name");
        }
        if (ess < least_ess) {
            least_ess = ess;
            least = report_text_of(item, "name");
        }
    }
    json_array_foreach(json_object_get(result, "bfmi"), i, item) least_bfmi =
        fmin(least_bfmi, json_is_number(item) ? json_number_value(item) : INFINITY);
    if (divergent > 0)
        fprintf(to,
                "divergent   %lld of %lld draws: where the density bends most it may not have been explored;\n"
                "            try --target-accept nearer to 1, another parameterisation, or --flow\n",
                divergent, all);
    if (cut_off > 0)
        fprintf(to, "cut off     %lld of %lld trajectories at --max-depth: allow for more, or try --dense or --flow\n",
                cut_off, all);
    if (worst_rhat > 1.01)
        fprintf(to,
                "R̂           %.3f of %s: the chains don't agree yet (1.01 is good); draw more, or look for several "
                "modes\n",
                worst_rhat, worst);
    if (least_ess < enough)
        fprintf(to, "ESS         %.0f of %s: %.0f are wanted for these chains; draw more\n", least_ess, least, enough);
    if (least_bfmi < 0.3)
        fprintf(to, "E-BFMI      %.2f: the tails are hard to reach (0.3 is good); try another parameterisation\n",
                least_bfmi);
}

static void print(const json_t *result, FILE *to)
{
    char seconds[32], rate[32];
    double took = report_number_of(result, "seconds");
    const json_t *parameters = json_object_get(result, "parameters");
    if (parameters) {
        print_table(parameters, to);
        fprintf(to, "\n");
    }
    fprintf(to, "target      %s\n", report_text_of(result, "target"));
    fprintf(to, "draws       %lld chains of %lld, mean acceptance %.3f\n", report_count_of(result, "chains"),
            report_count_of(result, "draws"), report_number_of(result, "acceptance"));
    const long long modes = report_count_of(result, "modes");
    if (modes > 0)
        fprintf(to, "start       %lld searches found %lld mode%s%s\n", report_count_of(result, "searches"), modes,
                modes == 1 ? "" : "s",
                modes == 1 ? "" : "; chains that can't change between them share them out by an estimate");
    fprintf(to, "took        %s, %s gradients/s\n", report_seconds(took, seconds),
            report_rate(report_number_of(result, "gradients") / took, rate));
    if (parameters) print_advice(result, to);
    if (json_object_get(result, "output")) fprintf(to, "saved       %s\n", report_text_of(result, "output"));
}

const struct command nuts_command = {
    .name = "nuts",
    .summary = "Draw from a target by the No-U-Turn Sampler.",
    .about = ABOUT_TARGETS,
    .example = "weir nuts eight_schools --chains 8 --tune 1000 --draws 3000 -o trace.npy",
    .positionals = {POSITIONAL_TARGET},
    .groups = {options, checkpoint_options},
    .together = true,
    .run = run,
    .print = print,
};
