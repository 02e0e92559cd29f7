/* Training a flow as the command line says. */
#include "training.h"
#include "files.h"
#include "images.h"
#include "interrupt.h"
#include "keep.h"
#include "known.h"
#include "progress.h"
#include "ranks.h"
#include "report.h"
#include "scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FLOW_TO_MATCH "cnf(64,64,64,activation=sin,gain=3)"

/* Choices of --dtype are in the order of the library's enumeration. */
const struct option training_options[] = {
    {.name = "flow",
     .kind = OPTION_TEXT,
     .value = "FORMULA",
     .initial = "(maf(128,128)-flip)*3",
     .help = "the chain of bijectors; see 'weir help formulas'; for flow matching, where none is given, "
             "'" FLOW_TO_MATCH "'"},
    {.name = "no-standardize",
     .kind = OPTION_FLAG,
     .help = "don't append '-standardize' to a formula without that term"},
    {.name = "objective",
     .kind = OPTION_CHOICE,
     .value = "NAME",
     .initial = "likelihood",
     .choices = "likelihood|flow-matching|ot-flow-matching",
     .help = "what is minimised: -log p or, of a flow with one cnf and nothing else to train, how far its velocity is "
             "from that of straight paths between draws of the base and rows, at random or paired in each batch; its "
             "epochs are a hundred times as fast, and validated by the same loss"},
    {.name = "epochs", .kind = OPTION_COUNT, .value = "N", .initial = "100", .low = 1, .help = "passes over the data"},
    {.name = "batch", .kind = OPTION_COUNT, .value = "N", .initial = "128", .low = 1, .help = "rows in a mini-batch"},
    {.name = "starts",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "1",
     .low = 1,
     .help = "initial weights tried for a tenth of the epochs; the best is trained on"},
    {.name = "lr",
     .kind = OPTION_NUMBER,
     .value = "RATE",
     .above_low = true,
     .help = "learning rate, at the start; adam's is 0.002, of flow matching 0.02, where it isn't given, others have "
             "their own"},
    {.name = "optimizer",
     .kind = OPTION_TEXT,
     .value = "NAME",
     .initial = "adam",
     .known = &known_optimizers,
     .help = "how weights are updated; see 'weir help optimizers'"},
    {.name = "schedule",
     .kind = OPTION_TEXT,
     .value = "NAME",
     .initial = "cosine",
     .known = &known_schedules,
     .help = "how the learning rate goes on; see 'weir help schedules'"},
    {.name = "warmup",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "0",
     .help = "steps in which the learning rate grows to RATE"},
    {.name = "beta2",
     .kind = OPTION_NUMBER,
     .value = "B",
     .high = 1,
     .above_low = true,
     .help = "of adam, adamw and adamax: how slowly they forget the size of gradients; adam's is 0.98"},
    {.name = "val-fraction",
     .kind = OPTION_NUMBER,
     .value = "F",
     .initial = "0.1",
     .high = 0.9,
     .help = "part of the rows kept for validation; 0: none"},
    {.name = "patience",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "0",
     .help = "stop after N epochs without a better validation loss; 0: never"},
    {.name = "clip",
     .kind = OPTION_NUMBER,
     .value = "NORM",
     .initial = "1",
     .help = "largest norm of the gradient; 0: don't clip"},
    {.name = "weight-decay",
     .kind = OPTION_NUMBER,
     .value = "W",
     .initial = "0",
     .help = "times the weights, added to their gradient; of adamw 0 means 0.01"},
    {.name = "prior",
     .kind = OPTION_TEXT,
     .value = "PRIOR",
     .help = "density of what is trained, so that the most probable weights are found (MAP) in the place of the most "
             "likely: 'normal(sd=0.1)' of all, or by names, '*.weight*:normal(0.1), *.bias*:laplace'; see 'weir help "
             "priors'"},
    {.name = "ema",
     .kind = OPTION_NUMBER,
     .value = "D",
     .initial = "0",
     .high = 0.999999,
     .help = "validate and keep the weights' exponential moving average, of this decay at each step; 0: none. "
             "Where it isn't given, it is 0.999 of flow matching"},
    {.name = "dtype",
     .kind = OPTION_CHOICE,
     .value = "NAME",
     .initial = "float32",
     .choices = "float32|float64",
     .help = "numbers to compute with"},
    {.name = "seed",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "1",
     .help = "of the initial weights, the validation rows and the shuffles"},
    OPTION_THREADS,
    {0},
};

static bool is_by_likelihood(const struct arguments *arguments)
{
    return option_choice(arguments, "objective") == NF_LIKELIHOOD;
}

/* ---- The flow ------------------------------------------------------------------------------------------------ */

static bool has_standardize(const nf_bijector *bijector)
{
    static const char *const standardizing[] = {"standardize", "whiten", "marginal"};
    for (size_t i = 0; i < sizeof standardizing / sizeof *standardizing; i++)
        if (strcmp(bijector->type->name, standardizing[i]) == 0) return true;
    if (bijector->n_feature < bijector->dim && strcmp(bijector->type->name, "on") == 0) return false;
    for (size_t i = 0; i < bijector->n_child; i++)
        if (has_standardize(bijector->child[i])) return true;
    return false;
}

/* The flow that was given, around which is said that it is one of images where it is. */
static nf_flow *parse_given(const struct arguments *arguments, const struct training_data *data, size_t dim,
                            size_t context, ad_error *error)
{
    const bool images = data->images.rank > 0, told = option_named(arguments, "flow");
    const char *given = option_text(arguments, "flow");
    if (!told && images)
        given = "glow";
    else if (!told && !is_by_likelihood(arguments))
        given = FLOW_TO_MATCH;
    char *complete = images ? images_formula(given, data->images, data->levels) : NULL;
    if (images && !complete) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the formula"), NULL;
    nf_flow *flow = nf_flow_parse(images ? complete : given, dim, context, (ad_dtype)option_choice(arguments, "dtype"),
                                  option_count(arguments, "seed"), error);
    free(complete);
    return flow;
}

/* The flow of the formula that was given, standardized where it doesn't say so, unless it is one of angles, or of
 * images, whose pixels have one scale. */
static nf_flow *make_flow(const struct arguments *arguments, const struct training_data *data, size_t dim,
                          size_t context, bool *appended, ad_error *error)
{
    *appended = false;
    uint64_t seed = option_count(arguments, "seed");
    ad_dtype dtype = (ad_dtype)option_choice(arguments, "dtype");
    nf_flow *given = parse_given(arguments, data, dim, context, error);
    if (!given) return NULL;
    *appended = !option_flag(arguments, "no-standardize") && !nf_flow_is_circular(given) &&
                images_of_flow(given).rank == 0 && !has_standardize(nf_flow_bijector(given));
    if (!*appended) return given;
    char *formula = nf_flow_formula(given, false), *complete = NULL;
    nf_flow_free(given);
    int length = formula ? asprintf(&complete, "%s-standardize", formula) : -1;
    ad_free(formula);
    if (length < 0) {
        ad_error_set(error, AD_ERROR_MEMORY, "no memory for the formula");
        return NULL;
    }
    nf_flow *flow = nf_flow_parse(complete, dim, context, dtype, seed, error);
    free(complete);
    return flow;
}

/* ---- Training ------------------------------------------------------------------------------------------------ */

/* What the loop calls back with. */
struct watched {
    struct progress progress;
    struct rows *rows;
    bool by_likelihood;
};

/* In the units of the columns. */
static bool on_epoch(void *context, const nf_progress *done)
{
    struct watched *watched = context;
    nf_progress told = *done;
    if (watched->by_likelihood) {
        told.train_nll -= rows_offset(watched->rows, true);
        told.val_nll -= rows_offset(watched->rows, false);
    }
    progress_epoch(&watched->progress, &told);
    return true;
}

static bool on_step(void *context)
{
    struct watched *watched = context;
    progress_step(&watched->progress);
    return interrupt_noted(&watched->progress);
}

static void on_redraw(void *context, size_t epoch, const uint32_t *row, size_t count, double *x)
{
    struct watched *watched = context;
    rows_redraw(watched->rows, epoch, row, count, x);
}

/* Zero turns it off here; for the library zero is the default, and a negative number turns it off. */
static double zero_is_off(double number)
{
    return number > 0 ? number : -1;
}

static ad_status fit_flow(const struct arguments *arguments, nf_flow *flow, struct rows *rows, nf_fit_report *report,
                          ad_pool *pool, ad_error *error)
{
    const struct training_data *data = rows->data;
    size_t epochs = option_count(arguments, "epochs"), batch = option_count(arguments, "batch");
    double val_fraction = option_number(arguments, "val-fraction");
    double part = data->validation ? 1 : 1 - val_fraction;
    const size_t all = data->streamed ? data->streamed->rows : data->table->rows;
    struct watched watched = {progress_start(epochs, (size_t)((double)all * part), batch), rows,
                              is_by_likelihood(arguments)};
    char optimizer[OPTIMIZER_TEXT];
    nf_fit_options options = {
        .epochs = epochs,
        .starts = option_count(arguments, "starts"),
        .batch = batch,
        .optimizer = optimizer_chosen(arguments, zero_is_off(option_number(arguments, "clip")), optimizer),
        .schedule = option_text(arguments, "schedule"),
        .warmup = option_count(arguments, "warmup"),
        .val_fraction = zero_is_off(val_fraction),
        .patience = (long)option_count(arguments, "patience"),
        .ema = option_number(arguments, "ema"),
        .prior = option_text(arguments, "prior"),
        .row_context = data->streamed ? NULL : rows->context,
        .row_weights = data->weights,
        .seed = option_count(arguments, "seed"),
        .pool = pool,
        .progress = on_epoch,
        .interrupted = on_step,
        .context = &watched,
        .redraw = rows->plain || data->streamed ? NULL : on_redraw,
        .source = data->streamed,
        .objective = (nf_fit_objective)option_choice(arguments, "objective"),
        .checkpoint = data->checkpoint,
    };
    if (!is_by_likelihood(arguments) && option_named(arguments, "ema")) options.ema = zero_is_off(options.ema);
    if (data->validation) {
        options.val_x = rows->val_x;
        options.val_context = data->validation->context;
        options.val_weights = rows->val_weights;
        options.val_rows = data->validation->features.rows;
    }
    const double *x = data->streamed ? NULL : rows->x;
    ad_status status = nf_fit(flow, x, x ? data->table->rows : 0, &options, report, error);
    progress_end(&watched.progress);
    if (!status && report->outcome == NF_STOPPED_BY_CALLER)
        status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted in epoch %zu of %zu", report->last.epoch + 1,
                              epochs);
    return status;
}

/* ---- What is told of it -------------------------------------------------------------------------------------- */

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; names && i < count; i++) ad_free(names[i]);
    ad_free(names);
}

/* The names of features; NULL where the columns have none. */
static char **name_features(const nf_columns *columns)
{
    size_t count = nf_columns_features(columns);
    bool named = count > 0 && nf_columns_column(columns, 0)->name;
    char **names = named ? ad_alloc(count, sizeof *names) : NULL, name[128];
    for (size_t i = 0; names && i < count; i++) {
        names[i] = ad_strdup(nf_columns_feature_name(columns, i, name));
        if (names[i]) continue;
        free_names(names, count);
        return NULL;
    }
    return names;
}

json_t *training_record(const struct arguments *arguments, const nf_flow *flow, const struct rows *rows,
                        const nf_fit_report *report, ad_error *error)
{
    const struct training_data *data = rows->data;
    char **names = name_features(data->features), **given = name_features(data->given);
    const nf_record told = {.data = data->name,
                            .columns = (const char *const *)(data->features ? names : data->table->names),
                            .context_columns = (const char *const *)given,
                            .fit = report,
                            .kinds = data->features,
                            .context_kinds = data->given};
    json_t *options = options_json(arguments, training_options);
    json_t *record = make_record(flow, told, options, error);
    json_decref(options);
    free_names(names, nf_columns_features(data->features));
    free_names(given, nf_columns_features(data->given));
    return record;
}

/* The record, and what the file has beside it. */
static json_t *make_result(const nf_flow *flow, const json_t *record, const nf_fit_report *report, bool appended)
{
    char *formula = nf_flow_formula(flow, false);
    double rate = (double)report->last.rows / report->last.seconds;
    json_t *result = json_pack("{s:s, s:I, s:I, s:b, s:o}", "formula", formula ? formula : "", "dim",
                               (json_int_t)nf_flow_dim(flow), "parameters", (json_int_t)nf_flow_trained_elements(flow),
                               "standardize_appended", appended, "rows_per_second", report_number(rate));
    ad_free(formula);
    json_object_update(result, (json_t *)record);
    if (*report->warning) json_object_set_new(result, "warning", report_text(report->warning));
    return result;
}

/* Where the loss is another. */
static void tell_likelihood(json_t *record, const nf_row_scores *validation)
{
    json_object_set_new(record, "val_nll", report_number(-validation->mean));
    json_object_set_new(record, "val_nll_stderr", report_number(validation->standard_error));
}

static void blame_standardize(ad_error *error)
{
    char reason[sizeof error->message];
    snprintf(reason, sizeof reason, "%s", error->message);
    ad_error_set(error, error->status,
                 "%.800s; 'standardize' was appended to the formula, and --no-standardize leaves it out", reason);
}

ad_status train(const struct arguments *arguments, const struct training_data *data, struct trained *trained,
                ad_error *error)
{
    *trained = (struct trained){0};
    bool appended;
    size_t dim = data->features ? nf_columns_features(data->features) : data->table->columns;
    nf_flow *flow = make_flow(arguments, data, dim, nf_columns_features(data->given), &appended, error);
    ad_pool *pool = flow ? ranks_pool(arguments, error) : NULL;
    struct rows rows = {0};
    nf_fit_report report = {0};
    ad_status status = pool ? rows_make(data, option_count(arguments, "seed"), &rows, error) : error->status;
    if (!status) status = fit_flow(arguments, flow, &rows, &report, pool, error);
    if (status == AD_ERROR_NUMERIC && report.diverged_step == 1 && appended) blame_standardize(error);
    bool stopped = report.outcome == NF_STOPPED_BY_CALLER;
    bool nothing = status && !report.best_epoch && !stopped && report.outcome != NF_DIVERGED;
    ad_error untold = {0};
    json_t *record = nothing ? NULL : training_record(arguments, flow, &rows, &report, &untold);
    if (untold.status) {
        *error = untold;
        status = untold.status;
    }
    if (record) {
        if (!is_by_likelihood(arguments)) tell_likelihood(record, &report.val);
        scores_tell(record, &rows, is_by_likelihood(arguments), flow, pool);
        if (isnan(report_number_of(record, "val_nll")))
            images_tell_bits(record, flow, "train_nll", "train_nll_stderr");
        else
            images_tell_bits(record, flow, "val_nll", "val_nll_stderr");
        *trained = (struct trained){flow, record, make_result(flow, record, &report, appended), "", ""};
        snprintf(trained->weights, sizeof trained->weights, stopped ? "the weights at hand" : "the initial weights");
        if (report.best_epoch > 0)
            snprintf(trained->weights, sizeof trained->weights, "the best weights, of epoch %zu,", report.best_epoch);
    } else {
        nf_flow_free(flow);
    }
    ad_free(report.history);
    rows_free(&rows);
    ad_pool_free(pool);
    return status;
}

void trained_free(struct trained *trained)
{
    nf_flow_free(trained->flow);
    json_decref(trained->record);
    json_decref(trained->result);
}

ad_status save_trained(struct trained *trained, ad_status status, const char *path, ad_error *error)
{
    const struct kept what = {.flow = trained->flow, .record = trained->record, .left = trained->weights};
    return keep(&what, status, path, trained->kept, error);
}

void print_training(const json_t *result, FILE *to)
{
    char rate[32], seconds[32];
    double train_nll = report_number_of(result, "train_nll"), val_nll = report_number_of(result, "val_nll"),
           test_nll = report_number_of(result, "test_nll");
    long long best_epoch = report_count_of(result, "best_epoch");
    if (json_object_get(result, "formula")) fprintf(to, "flow        %s\n", report_text_of(result, "formula"));
    if (json_is_true(json_object_get(result, "standardize_appended")))
        fprintf(to, "            '-standardize' was appended; --no-standardize leaves it out\n");
    const char *data = report_text_of(result, "data");
    fprintf(to, "data        %s%s%lld rows\n", data, *data ? ": " : "", report_count_of(result, "rows"));
    fprintf(to, "training    %s after %lld epochs, %lld steps%s", report_text_of(result, "outcome"),
            report_count_of(result, "epochs"), report_count_of(result, "steps"), report_spent(result, "; ", seconds));
    if (!isnan(report_number_of(result, "rows_per_second")))
        fprintf(to, ", %s rows/s", report_rate(report_number_of(result, "rows_per_second"), rate));
    fprintf(to, "\n");
    report_warning(result, to);
    if (best_epoch > 0) fprintf(to, "best epoch  %lld\n", best_epoch);
    if (!isnan(train_nll)) fprintf(to, "train NLL   %.4f nats per row\n", train_nll);
    double val_error = report_number_of(result, "val_nll_stderr");
    if (!isnan(val_nll) && isnan(val_error)) fprintf(to, "val NLL     %.4f nats per row\n", val_nll);
    if (!isnan(val_nll) && !isnan(val_error)) fprintf(to, "val NLL     %.4f ± %.4f nats per row\n", val_nll, val_error);
    images_print_bits(result, "            ", to);
    if (!isnan(test_nll))
        fprintf(to, "test NLL    %.4f ± %.4f nats per row, on %lld fresh rows\n", test_nll,
                report_number_of(result, "test_nll_stderr"), report_count_of(result, "test_rows"));
}
