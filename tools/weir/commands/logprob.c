/* weir logprob: the log-density of points under a trained flow. */
#include "images.h"
#include "likelihood.h"
#include "outliers.h"
#include "parts.h"
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

/* What is found of the rows, in order, by the first rank. */
struct scoring {
    const struct arguments *arguments;
    const struct model *model;
    ad_pool *pool;
    struct likelihood likelihood;
    struct outliers outliers;
    const ad_communicator *ranks;
    nf_table_writer *writer; /* from the first rows on, where there is an output */
    size_t rows;             /* so far */
    size_t all;              /* of the file; 0: unknown */
    size_t part;             /* of a part that isn't the last */
};

static ad_status take_part(void *context, const nf_table *part, ad_error *error)
{
    struct scoring *scoring = context;
    const char *output = option_text(scoring->arguments, "output");
    likelihood_see(&scoring->likelihood, part->values, part->rows);
    outliers_see(&scoring->outliers, part->values, scoring->rows, part->rows);
    scoring->rows += part->rows;
    if (!output) return AD_OK;
    if (!scoring->writer) {
        nf_table head = *part;
        head.rows = scoring->all == 0 && part->rows < scoring->part ? part->rows : scoring->all;
        scoring->writer = nf_table_create(output, &head, error);
    }
    return scoring->writer ? nf_table_append(scoring->writer, part, error) : error->status;
}

/* log p of this rank's rows of the round into log_prob. */
static ad_status score_part(const struct scoring *scoring, const struct parts *parts, struct points_reader *reader,
                            nf_table *part, ad_error *error)
{
    ad_status status = nf_table_skip(reader->file, parts->rank * parts->rows, error);
    if (!status) status = points_next(reader, parts->rows, error);
    const nf_table *features = &reader->part.features;
    part->rows = status ? 0 : features->rows;
    if (part->rows > 0)
        status = model_log_prob(scoring->model, features, reader->part.context, part->values, scoring->pool, error);
    if (!status) status = nf_table_skip(reader->file, (parts->size - 1 - parts->rank) * parts->rows, error);
    return status;
}

static ad_status score_once(struct scoring *scoring, struct points_reader *reader, ad_error *error)
{
    const nf_table *head = nf_table_reader_head(reader->file);
    struct parts parts = parts_begin(scoring->ranks, head->rows, head->columns + nf_flow_dim(scoring->model->flow));
    parts.from = reader->file;
    nf_table part = {.columns = 1,
                     .values = ad_alloc(parts.rows, sizeof *part.values),
                     .names = (char *[]){"log_prob"},
                     .dtype = AD_F64};
    ad_status status = part.values ? likelihood_begin(&scoring->likelihood, error)
                                   : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu rows", parts.rows);
    if (!status) status = outliers_begin(&scoring->outliers, option_count(scoring->arguments, "outliers"), error);
    scoring->rows = 0;
    scoring->all = head->rows;
    scoring->part = parts.rows;
    bool more = true;
    while (!status && more) {
        status = score_part(scoring, &parts, reader, &part, error);
        status = parts_next(&parts, status, &part, take_part, scoring, &more, error);
    }
    parts_end(&parts);
    ad_free(part.values);
    return status;
}

static void scoring_end(struct scoring *scoring)
{
    double nll, standard_error;
    nf_table_abort(scoring->writer);
    scoring->writer = NULL;
    outliers_end(&scoring->outliers);
    likelihood_end(&scoring->likelihood, &nll, &standard_error);
}

/* What a column holds may show when some of it has been scored as numbers. */
static ad_status score(struct scoring *scoring, struct points_reader *reader, ad_error *error)
{
    ad_status status;
    while ((status = score_once(scoring, reader, error)) == AD_ERROR_FORMAT && points_again(reader))
        scoring_end(scoring);
    if (!status) status = points_gather(reader, scoring->ranks, error);
    if (!status) points_warn(reader);
    return status;
}

static ad_status report(struct scoring *scoring, json_t *result, ad_error *error)
{
    const struct model *model = scoring->model;
    const char *output = option_text(scoring->arguments, "output");
    double nll, standard_error;
    likelihood_end(&scoring->likelihood, &nll, &standard_error);
    if (model->target) json_object_set_new(result, "target", report_text(model->target->text));
    json_object_set_new(result, "rows", json_integer((json_int_t)scoring->rows));
    json_object_set_new(result, "nll", report_number(nll));
    json_object_set_new(result, "nll_stderr", report_number(standard_error));
    images_tell_bits(result, model->flow, "nll", "nll_stderr");
    json_object_set_new(result, "outliers",
                        outliers_lowest(&scoring->outliers, json_object_get(model->record, "log_prob_quantiles")));
    if (!scoring->writer) return AD_OK;
    ad_status status = nf_table_commit(scoring->writer, error);
    scoring->writer = NULL;
    if (!status) json_object_set_new(result, "output", report_text(output));
    return status;
}

static ad_status evaluate(const struct arguments *arguments, const struct model *model, struct points_reader *reader,
                          json_t *result, ad_error *error)
{
    ad_pool *pool = ranks_pool(arguments, error);
    if (!pool) return error->status;
    struct scoring scoring = {.arguments = arguments, .model = model, .pool = pool, .ranks = parts_ranks(pool)};
    ad_status status = score(&scoring, reader, error);
    if (!status) {
        status = report(&scoring, result, error);
        status = parts_agree(scoring.ranks, status, error);
    }
    scoring_end(&scoring);
    ad_pool_free(pool);
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *path = arguments->positionals[0], *input = arguments->positionals[1];
    const char *output = option_text(arguments, "output");
    struct model model;
    struct points_reader reader = {0};
    if (model_open(path, &model, error)) return error->status;
    ad_status status = output ? check_table(output, error) : AD_OK;
    if (!status)
        status = points_open(input, option_text(arguments, "context"), (nf_header)option_choice(arguments, "header"),
                             &model, &reader, error);
    json_t *scores = json_object();
    if (!status) status = evaluate(arguments, &model, &reader, scores, error);
    /* Which are told where they can't be written. */
    if (json_object_size(scores) > 0) {
        json_object_set_new(result, "model", report_text(path));
        json_object_set_new(result, "data", report_text(input));
        json_object_update(result, scores);
    }
    json_decref(scores);
    points_close(&reader);
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
    else if (isnan(report_number_of(result, "nll_stderr")))
        fprintf(to, "NLL %.4f nats, of the only row of %s\n", report_number_of(result, "nll"), data);
    else
        fprintf(to, "NLL %.4f ± %.4f nats per row, mean over %lld rows of %s\n", report_number_of(result, "nll"),
                report_number_of(result, "nll_stderr"), report_count_of(result, "rows"), data);
    images_print_bits(result, "    ", to);
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
    .together = true,
    .run = run,
    .print = print,
};
