/* weir logprob: the log-density of points under a trained flow. */
#include "outliers.h"
#include "points.h"
#include "ranks.h"
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
    {.name = "outliers",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "5",
     .high = 10000,
     .help = "tell the N rows of lowest density, and how many rows of the training have less"},
    OPTION_HEADER,
    OPTION_THREADS,
    {0},
};

static ad_status write(const char *path, double *log_prob, size_t rows, ad_error *error)
{
    const nf_table table = {
        .rows = rows, .columns = 1, .values = log_prob, .names = (char *[]){"log_prob"}, .dtype = AD_F64};
    return nf_table_write(path, &table, error);
}

static ad_status evaluate(const struct arguments *arguments, const struct model *model, const struct points *points,
                          json_t *result, ad_error *error)
{
    const char *output = option_text(arguments, "output");
    size_t rows = points->features.rows;
    double *log_prob = ad_alloc(rows, sizeof *log_prob), nll, standard_error;
    if (!log_prob) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu log-densities", rows);
    ad_pool *pool = ranks_pool(arguments, error);
    ad_status status = pool ? AD_OK : error->status;
    if (!status)
        status = model_score(model, &points->features, points->context, log_prob, &nll, &standard_error, pool, error);
    if (!status) {
        if (model->target) json_object_set_new(result, "target", report_text(model->target->text));
        json_object_set_new(result, "rows", json_integer((json_int_t)rows));
        json_object_set_new(result, "nll", report_number(nll));
        json_object_set_new(result, "nll_stderr", report_number(standard_error));
        json_object_set_new(result, "outliers",
                            outliers_lowest(log_prob, rows, option_count(arguments, "outliers"),
                                            json_object_get(model->record, "log_prob_quantiles")));
        if (output) status = write(output, log_prob, rows, error);
        if (output && !status) json_object_set_new(result, "output", report_text(output));
    }
    ad_pool_free(pool);
    ad_free(log_prob);
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *path = arguments->positionals[0], *input = arguments->positionals[1];
    const char *output = option_text(arguments, "output");
    struct model model;
    struct points points = {0};
    if (model_open(path, &model, error)) return error->status;
    ad_status status = output ? check_table(output, error) : AD_OK;
    if (!status)
        status = points_read(input, option_text(arguments, "context"), (nf_header)option_choice(arguments, "header"),
                             &model, &points, error);
    json_t *scores = json_object();
    if (!status) status = evaluate(arguments, &model, &points, scores, error);
    /* Which are told where they can't be written. */
    if (json_object_size(scores) > 0) {
        json_object_set_new(result, "model", report_text(path));
        json_object_set_new(result, "data", report_text(input));
        json_object_update(result, scores);
    }
    json_decref(scores);
    points_free(&points);
    model_close(&model);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    const char *data = report_text_of(result, "data");
    if (isnan(report_number_of(result, "nll")))
        fprintf(to, "NLL infinite: rows of %s have density 0%s\n", data,
                json_object_get(result, "target")
                    ? "; points are on the scale of the target's sites, as 'weir sample' writes them"
                    : "");
    else
        fprintf(to, "NLL %.4f ± %.4f nats per row, mean over %lld rows of %s\n", report_number_of(result, "nll"),
                report_number_of(result, "nll_stderr"), report_count_of(result, "rows"), data);
    outliers_print(json_object_get(result, "outliers"), to);
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
