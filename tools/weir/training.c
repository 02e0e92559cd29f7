/* Training a flow as the command line says. */
#include "training.h"
#include "files.h"
#include "interrupt.h"
#include "keep.h"
#include "known.h"
#include "progress.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Choices of --dtype are in the order of the library's enumeration. */
const struct option training_options[] = {
    {.name = "flow",
     .kind = OPTION_TEXT,
     .value = "FORMULA",
     .initial = "(maf(128,128)-flip)*3",
     .help = "the chain of bijectors; see 'weir help formulas'"},
    {.name = "no-standardize",
     .kind = OPTION_FLAG,
     .help = "don't append '-standardize' to a formula without that term"},
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
     .help = "learning rate, at the start; adam's is 0.002 where it isn't given, others have their own"},
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
    {.name = "ema",
     .kind = OPTION_NUMBER,
     .value = "D",
     .initial = "0",
     .high = 0.999999,
     .help = "validate and keep the weights' exponential moving average, of this decay at each step; 0: none"},
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

/* ---- The flow ------------------------------------------------------------------------------------------------ */

static bool has_standardize(const nf_bijector *bijector)
{
    static const char *const standardizing[] = {"standardize", "whiten"};
    for (size_t i = 0; i < sizeof standardizing / sizeof *standardizing; i++)
        if (strcmp(bijector->type->name, standardizing[i]) == 0) return true;
    if (bijector->n_feature < bijector->dim && strcmp(bijector->type->name, "on") == 0) return false;
    for (size_t i = 0; i < bijector->n_child; i++)
        if (has_standardize(bijector->child[i])) return true;
    return false;
}

/* The flow of the formula that was given, standardized where it doesn't say so. */
static nf_flow *make_flow(const struct arguments *arguments, size_t dim, size_t context, bool *appended,
                          ad_error *error)
{
    *appended = false;
    uint64_t seed = option_count(arguments, "seed");
    ad_dtype dtype = (ad_dtype)option_choice(arguments, "dtype");
    nf_flow *given = nf_flow_parse(option_text(arguments, "flow"), dim, context, dtype, seed, error);
    if (!given) return NULL;
    *appended = !option_flag(arguments, "no-standardize") && !has_standardize(nf_flow_bijector(given));
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

static bool on_epoch(void *context, const nf_progress *done)
{
    progress_epoch(context, done);
    return true;
}

static bool on_step(void *context)
{
    progress_step(context);
    return interrupt_noted(context);
}

/* Zero turns it off here; for the library zero is the default, and a negative number turns it off. */
static double zero_is_off(double number)
{
    return number > 0 ? number : -1;
}

static ad_status fit_flow(const struct arguments *arguments, nf_flow *flow, const nf_table *data,
                          const struct context *context, nf_fit_report *report, ad_error *error)
{
    ad_pool *pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    if (!pool) return error->status;
    size_t epochs = option_count(arguments, "epochs"), batch = option_count(arguments, "batch");
    double val_fraction = option_number(arguments, "val-fraction");
    struct progress progress = progress_start(epochs, (size_t)((double)data->rows * (1 - val_fraction)), batch);
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
        .row_context = context ? context->values : NULL,
        .seed = option_count(arguments, "seed"),
        .pool = pool,
        .progress = on_epoch,
        .interrupted = on_step,
        .context = &progress,
    };
    ad_status status = nf_fit(flow, data->values, data->rows, &options, report, error);
    progress_end(&progress);
    ad_pool_free(pool);
    if (!status && report->outcome == NF_STOPPED_BY_CALLER)
        status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted in epoch %zu of %zu", report->last.epoch + 1,
                              epochs);
    return status;
}

ad_status train(const struct arguments *arguments, const char *data_name, const nf_table *data,
                const struct context *context, struct trained *trained, ad_error *error)
{
    *trained = (struct trained){0};
    bool appended;
    nf_flow *flow = make_flow(arguments, data->columns, context ? context->size : 0, &appended, error);
    if (!flow) return error->status;
    nf_fit_report report = {0};
    ad_status status = fit_flow(arguments, flow, data, context, &report, error);
    if (status == AD_ERROR_NUMERIC && report.diverged_step == 1 && appended) {
        char reason[sizeof error->message];
        snprintf(reason, sizeof reason, "%s", error->message);
        ad_error_set(error, status,
                     "%.800s; 'standardize' was appended to the formula, and --no-standardize leaves it out", reason);
    }
    if (status && report.outcome != NF_DIVERGED && report.outcome != NF_STOPPED_BY_CALLER) {
        nf_flow_free(flow);
        ad_free(report.history);
        return status;
    }
    const nf_record told = {.data = data_name,
                            .columns = (const char *const *)data->names,
                            .context_columns = context ? (const char *const *)context->names : NULL,
                            .fit = &report};
    json_t *options = options_json(arguments, training_options);
    ad_error untold;
    json_t *record = make_record(flow, told, options, &untold);
    json_decref(options);
    ad_free(report.history);
    if (!record) {
        *error = untold;
        nf_flow_free(flow);
        return untold.status;
    }
    char *formula = nf_flow_formula(flow, false);
    double rate = (double)report.last.rows / report.last.seconds;
    json_t *result = json_pack("{s:s, s:I, s:I, s:b, s:o}", "formula", formula ? formula : "", "dim",
                               (json_int_t)data->columns, "parameters", (json_int_t)nf_flow_trained_elements(flow),
                               "standardize_appended", appended, "rows_per_second", report_number(rate));
    ad_free(formula);
    json_object_update(result, record);
    if (*report.warning) json_object_set_new(result, "warning", report_text(report.warning));
    *trained = (struct trained){flow, record, result, report.best_epoch, ""};
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
    ad_error saving;
    ad_status saved = keep_model(trained->flow, trained->record, path, trained->kept, &saving);
    char reason[sizeof error->message], weights[64];
    snprintf(reason, sizeof reason, "%s", error->message);
    snprintf(weights, sizeof weights,
             trained->best_epoch > 0 ? "the best weights, of epoch %zu," : "the initial weights", trained->best_epoch);
    if (!status && saved) *error = saving;
    if (status && saved) ad_error_set(error, saved, "%.300s; and %.700s", reason, saving.message);
    if (status && !saved) ad_error_set(error, status, "%.800s; %s are in '%s'", reason, weights, path);
    return saved ? saved : status;
}

/* A line for each of its sentences. */
static void print_warning(const char *text, FILE *to)
{
    while (*text) {
        const size_t length = strcspn(text, "\n");
        fprintf(to, "warning     %.*s\n", (int)length, text);
        text += length + (text[length] != 0);
    }
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
    fprintf(to, "training    %s after %lld epochs, %lld steps; %s", report_text_of(result, "outcome"),
            report_count_of(result, "epochs"), report_count_of(result, "steps"),
            report_seconds(report_number_of(result, "seconds"), seconds));
    if (!isnan(report_number_of(result, "rows_per_second")))
        fprintf(to, ", %s rows/s", report_rate(report_number_of(result, "rows_per_second"), rate));
    fprintf(to, "\n");
    print_warning(report_text_of(result, "warning"), to);
    if (best_epoch > 0) fprintf(to, "best epoch  %lld\n", best_epoch);
    if (!isnan(train_nll)) fprintf(to, "train NLL   %.4f nats per row\n", train_nll);
    if (!isnan(val_nll)) fprintf(to, "val NLL     %.4f nats per row\n", val_nll);
    if (!isnan(test_nll))
        fprintf(to, "test NLL    %.4f ± %.4f nats per row, on %lld fresh rows\n", test_nll,
                report_number_of(result, "test_nll_stderr"), report_count_of(result, "test_rows"));
}
