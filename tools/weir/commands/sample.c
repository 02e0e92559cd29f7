/* weir sample: draw from a trained flow. */
#include "command.h"
#include "columns.h"
#include "context.h"
#include "files.h"
#include "inference.h"
#include "report.h"

static const struct option options[] = {
    {.name = "context",
     .kind = OPTION_TEXT,
     .file = INPUT_FILE,
     .value = "CONTEXT",
     .help = "of a conditional flow: numbers, as in '0.5,1', or a file whose rows are used in turn"},
    {.name = "rows",
     .letter = 'n',
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "10000",
     .low = 1,
     .help = "how many to draw"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .required = true,
     .help = "where to: .npy, .csv, .tsv or .txt"},
    {.name = "steps",
     .kind = OPTION_COUNT,
     .value = "N",
     .help = "end after the first N steps of the formula's chain; 0: the base distribution"},
    {.name = "seed", .kind = OPTION_COUNT, .value = "N", .initial = "1", .help = "of the draw"},
    OPTION_THREADS,
    {0},
};

/* What there is to draw from: the flow, or its first steps, whose draws have no names and are on no target's scale. */
static ad_status cut(const struct arguments *arguments, nf_flow **flow, json_t **record, ad_error *error)
{
    size_t all = nf_chain_steps(nf_flow_bijector(*flow)), steps = option_count(arguments, "steps");
    if (!option_given(arguments, "steps", OPTION_COUNT)) return AD_OK;
    if (steps > all) {
        char *formula = nf_flow_formula(*flow, false);
        ad_error_set(error, AD_ERROR_ARGUMENT, "--steps: %s has %zu step%s, got %zu", formula ? formula : "the flow",
                     all, all == 1 ? "" : "s", steps);
        ad_free(formula);
        return error->status;
    }
    if (steps < all) *record = NULL;
    *flow = nf_flow_slice(*flow, steps, error);
    return *flow ? AD_OK : error->status;
}

/* Names and numbers as the training data had them, or the target. */
static ad_status draw(const struct arguments *arguments, nf_flow *flow, json_t *record, const struct context *context,
                      size_t *columns, ad_error *error)
{
    ad_pool *pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    if (!pool) return error->status;
    nf_table table;
    ad_status status = draw_samples(flow, context->values, record, option_count(arguments, "rows"),
                                    option_count(arguments, "seed"), &table, pool, error);
    table.names = feature_names(record, table.columns);
    if (!status) status = nf_table_write(option_text(arguments, "output"), &table, error);
    *columns = table.columns;
    ad_free(table.values);
    ad_free(table.names);
    ad_pool_free(pool);
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *model = arguments->positionals[0], *output = option_text(arguments, "output");
    json_t *record;
    nf_flow *flow = load_model(model, &record, error);
    if (!flow) return error->status;
    ad_status status = check_output(output, error);
    size_t columns = 0;
    nf_flow *part = flow;
    json_t *of_part = record; /* borrowed */
    if (!status) status = cut(arguments, &part, &of_part, error);
    struct context context = {0};
    if (!status)
        status = context_read(option_text(arguments, "context"), part, record, model, option_count(arguments, "rows"),
                              &context, error);
    if (!status) status = draw(arguments, part, of_part, &context, &columns, error);
    context_free(&context);
    if (part != flow) nf_flow_free(part);
    if (!status) {
        json_object_set_new(result, "model", report_text(model));
        json_object_set_new(result, "output", report_text(output));
        json_object_set_new(result, "rows", json_integer((json_int_t)option_count(arguments, "rows")));
        json_object_set_new(result, "columns", json_integer((json_int_t)columns));
        json_object_set_new(result, "seed", json_integer((json_int_t)option_count(arguments, "seed")));
    }
    json_decref(record);
    nf_flow_free(flow);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    fprintf(to, "%s: %lld samples of %s, seed %lld\n", report_text_of(result, "output"),
            report_count_of(result, "rows"), report_text_of(result, "model"), report_count_of(result, "seed"));
}

const struct command sample_command = {
    .name = "sample",
    .summary = "Draw samples from a trained flow.",
    .example = "weir sample moons.safetensors -n 10000 --seed 2 -o samples.npy",
    .positionals = {{"MODEL", NULL, "a trained flow, as 'weir fit' saves it", INPUT_FILE}},
    .groups = {options},
    .run = run,
    .print = print,
};
