/* weir logprob: the log-density of points under a trained flow. */
#include "command.h"
#include "context.h"
#include "files.h"
#include "report.h"

#include <math.h>

static const struct option options[] = {
    {.name = "context",
     .kind = OPTION_TEXT,
     .value = "COLUMNS",
     .help = "columns of POINTS that condition the flow, by name or number; those of the training where not given"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .help = "where the log-density of each row goes: .npy, .csv, .tsv or .txt; without it only the mean is told"},
    OPTION_THREADS,
    {0},
};

static ad_status evaluate(const struct arguments *arguments, nf_flow *flow, const nf_table *points,
                          const double *context, double *nll, double *standard_error, ad_error *error)
{
    const char *output = option_text(arguments, "output");
    ad_pool *pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    if (!pool) return error->status;
    ad_status status = nf_nll(flow, points->values, context, points->rows, nll, standard_error, pool, error);
    if (!status && output) {
        nf_table table = {.rows = points->rows, .columns = 1, .names = (char *[]){"log_prob"}, .dtype = AD_F64};
        table.values = ad_alloc(points->rows, sizeof *table.values);
        if (!table.values)
            status = ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu log-densities", points->rows);
        if (!status) status = nf_log_prob(flow, points->values, context, points->rows, table.values, pool, error);
        if (!status) status = nf_table_write(output, &table, error);
        ad_free(table.values);
    }
    ad_pool_free(pool);
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *model = arguments->positionals[0], *input = arguments->positionals[1];
    const char *output = option_text(arguments, "output");
    json_t *record;
    nf_flow *flow = load_model(model, &record, error);
    if (!flow) return error->status;
    nf_table points;
    struct context context = {0};
    double nll, standard_error;
    ad_status status =
        context_read_points(input, option_text(arguments, "context"), flow, record, model, &points, &context, error);
    if (!status) {
        if (output) status = check_output(output, error);
        if (!status) status = evaluate(arguments, flow, &points, context.values, &nll, &standard_error, error);
        if (!status) {
            json_object_set_new(result, "model", report_text(model));
            json_object_set_new(result, "data", report_text(input));
            if (output) json_object_set_new(result, "output", report_text(output));
            json_object_set_new(result, "rows", json_integer((json_int_t)points.rows));
            json_object_set_new(result, "nll", report_number(nll));
            json_object_set_new(result, "nll_stderr", report_number(standard_error));
        }
        context_free(&context);
        nf_table_free(&points);
    }
    json_decref(record);
    nf_flow_free(flow);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    const char *data = report_text_of(result, "data");
    if (isnan(report_number_of(result, "nll")))
        fprintf(to, "NLL infinite: rows of %s have density 0\n", data);
    else
        fprintf(to, "NLL %.4f ± %.4f nats per row, mean over %lld rows of %s\n", report_number_of(result, "nll"),
                report_number_of(result, "nll_stderr"), report_count_of(result, "rows"), data);
    if (json_object_get(result, "output"))
        fprintf(to, "%s: the log-density of each\n", report_text_of(result, "output"));
}

const struct command logprob_command = {
    .name = "logprob",
    .summary = "Evaluate the log-density of points under a trained flow, in nats.",
    .example = "weir logprob moons.safetensors points.csv -o logp.npy",
    .positionals = {{"MODEL", NULL, "a trained flow, as 'weir fit' saves it", INPUT_FILE},
                    {"POINTS", NULL, "table of numbers: .npy, .csv, .tsv or .txt", INPUT_FILE}},
    .groups = {options},
    .run = run,
    .print = print,
};
