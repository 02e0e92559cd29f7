/* weir logprob: the log-density of points under a trained flow. */
#include "command.h"
#include "context.h"
#include "files.h"
#include "inference.h"
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

/* Points of a flow that was fitted to rows, or on the scale of the target that it was fitted to. */
struct points {
    nf_table table;
    struct context context;
    nf_target *target; /* NULL: rows */
};

static ad_status read_points(const struct arguments *arguments, const nf_flow *flow, const json_t *record,
                             struct points *points, ad_error *error)
{
    const char *model = arguments->positionals[0], *input = arguments->positionals[1];
    const char *columns = option_text(arguments, "context");
    *points = (struct points){.target = target_on_record(flow, record)};
    if (!points->target)
        return context_read_points(input, columns, flow, record, model, &points->table, &points->context, error);
    if (columns)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "--context: %s has none, it was fitted to a target", model);
    return read_values(input, model, points->target, &points->table, error);
}

static void points_free(struct points *points)
{
    context_free(&points->context);
    nf_table_free(&points->table);
    nf_target_free(points->target);
}

/* As nf_nll() has it, of log-densities. */
static ad_status mean_of(const double *log_prob, size_t rows, double *nll, double *standard_error, ad_error *error)
{
    double sum = 0, squares = 0;
    for (size_t r = 0; r < rows; r++) {
        if (isnan(log_prob[r]))
            return ad_error_set(error, AD_ERROR_NUMERIC, "the log-density of row %zu is NaN", r + 1);
        sum -= log_prob[r];
    }
    *nll = sum / (double)rows;
    for (size_t r = 0; r < rows; r++) squares += (log_prob[r] + *nll) * (log_prob[r] + *nll);
    *standard_error = sqrt(squares / ((double)rows - 1) / (double)rows);
    return AD_OK;
}

static ad_status evaluate(const nf_flow *flow, const struct points *points, double *log_prob, ad_pool *pool,
                          ad_error *error)
{
    const nf_table *table = &points->table;
    return points->target
               ? nf_vi_log_prob(flow, points->target, table->values, table->rows, log_prob, pool, error)
               : nf_log_prob(flow, table->values, points->context.values, table->rows, log_prob, pool, error);
}

static ad_status score(const struct arguments *arguments, const nf_flow *flow, const struct points *points,
                       json_t *result, ad_error *error)
{
    const char *output = option_text(arguments, "output");
    const size_t rows = points->table.rows;
    double nll = NAN, standard_error = NAN;
    ad_pool *pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    if (!pool) return error->status;
    nf_table table = {.rows = rows, .columns = 1, .names = (char *[]){"log_prob"}, .dtype = AD_F64};
    table.values = ad_alloc(rows, sizeof *table.values);
    ad_status status = table.values ? evaluate(flow, points, table.values, pool, error)
                                    : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu log-densities", rows);
    if (!status) status = mean_of(table.values, rows, &nll, &standard_error, error);
    if (!status && output) status = nf_table_write(output, &table, error);
    ad_free(table.values);
    ad_pool_free(pool);
    if (status) return status;
    json_object_set_new(result, "model", report_text(arguments->positionals[0]));
    json_object_set_new(result, "data", report_text(arguments->positionals[1]));
    if (output) json_object_set_new(result, "output", report_text(output));
    json_object_set_new(result, "rows", json_integer((json_int_t)rows));
    json_object_set_new(result, "nll", report_number(nll));
    json_object_set_new(result, "nll_stderr", report_number(standard_error));
    if (points->target) json_object_set_new(result, "target", report_text(points->target->text));
    return AD_OK;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *output = option_text(arguments, "output");
    json_t *record;
    nf_flow *flow = load_model(arguments->positionals[0], &record, error);
    if (!flow) return error->status;
    struct points points;
    ad_status status = read_points(arguments, flow, record, &points, error);
    if (!status && output) status = check_output(output, error);
    if (!status) status = score(arguments, flow, &points, result, error);
    points_free(&points);
    json_decref(record);
    nf_flow_free(flow);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    const char *data = report_text_of(result, "data");
    const bool of_target = json_object_get(result, "target") != NULL;
    if (isnan(report_number_of(result, "nll")))
        fprintf(to, "NLL infinite: rows of %s have density 0%s\n", data,
                of_target ? "; points are on the scale of the target's sites, as 'weir sample' writes them" : "");
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
