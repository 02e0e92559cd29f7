/* A fit without settings. */
#include "automatic.h"
#include "interrupt.h"
#include "meter.h"
#include "ranks.h"
#include "report.h"
#include "scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

ad_status fit_is_automatic(const struct arguments *arguments, bool *is, ad_error *error)
{
    const bool asked = option_named(arguments, "budget") || option_named(arguments, "tune");
    const char *const but[] = {"seed", "dtype", "threads", asked ? "flow" : NULL, NULL};
    const char *setting = options_first_given(arguments, training_options, but);
    *is = !setting;
    if (!asked || !setting) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "--%s chooses how to train, and --%s says how: leave out one of the two",
                        option_named(arguments, "budget") ? "budget" : "tune", setting);
}

/* ---- Fitting --------------------------------------------------------------------------------------------------- */

/* What the search calls back with. */
struct watched {
    struct meter meter;
    struct rows *rows;
};

static void on_progress(void *context, const nf_automatic_progress *now)
{
    struct watched *watched = context;
    char text[256];
    if (!meter_is_due(&watched->meter, now->fraction)) return;
    int n = snprintf(text, sizeof text, "%zu/%zu  %.60s", now->candidate, now->candidates, now->formula);
    if (!isnan(now->nll)) snprintf(text + n, sizeof text - (size_t)n, "  held out %.4g", now->nll);
    meter_show(&watched->meter, now->fraction, text);
}

static void on_redraw(void *context, size_t epoch, const uint32_t *row, size_t count, double *x)
{
    rows_redraw(((struct watched *)context)->rows, epoch, row, count, x);
}

static nf_flow *search(const struct arguments *arguments, struct rows *rows, nf_automatic_report *report, ad_pool *pool,
                       ad_error *error)
{
    const struct training_data *data = rows->data;
    struct watched watched = {meter_start(), rows};
    const size_t dim = data->features ? nf_columns_features(data->features) : data->table->columns;
    nf_automatic_options options = {
        .row_context = rows->context,
        .row_weights = data->weights,
        .row_log_weights = rows->log_weight,
        .dtype = (ad_dtype)option_choice(arguments, "dtype"),
        .formula = option_named(arguments, "flow") ? option_text(arguments, "flow") : NULL,
        .seconds = option_given(arguments, "budget", OPTION_SECONDS) ? option_seconds(arguments, "budget")
                   : option_flag(arguments, "tune")                  ? 600
                                                                     : 60,
        .tune = option_flag(arguments, "tune"),
        .seed = option_count(arguments, "seed"),
        .pool = pool,
        .redraw = rows->plain ? NULL : on_redraw,
        .progress = on_progress,
        .interrupted = interrupt_noted,
        .context = &watched,
        .checkpoint = data->checkpoint,
    };
    if (data->validation) {
        options.val_x = rows->val_x;
        options.val_context = data->validation->context;
        options.val_weights = rows->val_weights;
        options.val_log_weights = rows->val_log_weight;
        options.val_rows = data->validation->features.rows;
    }
    nf_flow *flow =
        nf_fit_automatic(rows->x, data->table->rows, dim, nf_columns_features(data->given), &options, report, error);
    meter_end(&watched.meter);
    return flow;
}

/* ---- What is told of it ---------------------------------------------------------------------------------------- */

static json_t *candidate_json(const nf_candidate *c)
{
    json_t *told =
        json_pack("{s:s, s:o, s:o, s:f, s:f}", "formula", c->formula, "val_nll", report_number(c->nll),
                  "val_nll_stderr", report_number(c->standard_error), "weight", c->weight, "seconds", c->seconds);
    if (c->epochs == 0) return told;
    json_t *settings =
        json_pack("{s:I, s:I, s:f, s:f, s:f}", "epochs", (json_int_t)c->epochs, "batch", (json_int_t)c->batch, "lr",
                  c->learning_rate, "ema", c->ema, "weight_decay", c->weight_decay);
    json_object_update(told, settings);
    json_decref(settings);
    return told;
}

/* Into the record: what the search came to, and from what. */
static void put_report(json_t *record, const nf_automatic_report *report, size_t rows)
{
    json_t *candidates = json_array();
    for (size_t i = 0; i < report->n_candidate; i++)
        json_array_append_new(candidates, candidate_json(&report->candidate[i]));
    json_object_set_new(record, "outcome", json_string(report->stopped ? "interrupted" : "finished"));
    json_object_set_new(record, "rows", json_integer((json_int_t)rows));
    json_object_set_new(record, "seconds", report_number(report->seconds));
    json_object_set_new(record, "out_of_time", json_boolean(report->out_of_time));
    json_object_set_new(record, "val_nll", report_number(report->nll));
    json_object_set_new(record, "val_nll_stderr", report_number(report->standard_error));
    json_object_set_new(record, "val_rows", json_integer((json_int_t)report->held));
    json_object_set_new(record, "folds", json_integer((json_int_t)report->folds));
    json_object_set_new(record, "val_rows_far", json_integer((json_int_t)report->scores.far));
    json_object_set_new(record, "val_worst_row", json_integer((json_int_t)report->scores.worst_row));
    json_object_set_new(record, "val_worst_log_prob", report_number(report->scores.worst));
    json_object_set_new(record, "val_median_log_prob", report_number(report->scores.median));
    if (report->best_mixture)
        json_object_set_new(record, "best_mixture", json_integer((json_int_t)report->best_mixture));
    if (report->best_flow) json_object_set_new(record, "best_flow", json_integer((json_int_t)report->best_flow));
    json_object_set_new(record, "candidates", candidates);
}

/* Those that it goes by. */
static json_t *given_options(const struct arguments *arguments)
{
    json_t *options = json_pack("{s:I, s:s, s:I}", "seed", (json_int_t)option_count(arguments, "seed"), "dtype",
                                ad_dtype_name((ad_dtype)option_choice(arguments, "dtype")), "threads",
                                (json_int_t)option_count(arguments, "threads"));
    if (option_named(arguments, "flow"))
        json_object_set_new(options, "flow", report_text(option_text(arguments, "flow")));
    if (option_given(arguments, "budget", OPTION_SECONDS))
        json_object_set_new(options, "budget", report_number(option_seconds(arguments, "budget")));
    json_object_set_new(options, "tune", json_boolean(option_flag(arguments, "tune")));
    return options;
}

ad_status fit_automatically(const struct arguments *arguments, const struct training_data *data,
                            struct trained *trained, ad_error *error)
{
    *trained = (struct trained){0};
    struct rows rows = {0};
    nf_automatic_report report = {0};
    ad_pool *pool = ranks_pool(arguments, error);
    ad_status status = pool ? rows_make(data, option_count(arguments, "seed"), &rows, error) : error->status;
    nf_flow *flow = status ? NULL : search(arguments, &rows, &report, pool, error);
    json_t *record = flow ? training_record(arguments, flow, &rows, NULL, error) : NULL;
    if (record) {
        put_report(record, &report, data->table->rows);
        json_object_set_new(record, "options", given_options(arguments));
        scores_tell_quantiles(record, &rows, flow, pool);
        char *formula = nf_flow_formula(flow, false);
        json_t *result =
            json_pack("{s:s, s:I, s:I}", "formula", formula ? formula : "", "dim", (json_int_t)nf_flow_dim(flow),
                      "parameters", (json_int_t)(nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow)));
        ad_free(formula);
        json_object_update(result, record);
        *trained = (struct trained){flow, record, result, "those that were done", ""};
        if (report.stopped)
            status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted after %zu candidates", report.n_candidate);
    } else {
        nf_flow_free(flow);
        status = error->status;
    }
    nf_automatic_report_free(&report);
    rows_free(&rows);
    ad_pool_free(pool);
    return status;
}

/* ---- In words -------------------------------------------------------------------------------------------------- */

static const json_t *candidate_at(const json_t *result, const char *member)
{
    const json_t *place = json_object_get(result, member);
    return place ? json_array_get(json_object_get(result, "candidates"), (size_t)json_integer_value(place)) : NULL;
}

/* Of one flow that was named, and not a mixture. */
static bool is_single(const json_t *result)
{
    const json_t *best = candidate_at(result, "best_flow");
    return best && report_number_of(best, "weight") == 1;
}

static void print_members(const json_t *result, FILE *to)
{
    const json_t *candidate;
    size_t i, printed = 0;
    json_array_foreach(json_object_get(result, "candidates"), i, candidate)
    {
        double weight = report_number_of(candidate, "weight");
        if (!(weight > 0)) continue;
        fprintf(to, "%s%5.1f %%  %s\n", printed++ ? "            " : "mixture of  ", 100 * weight,
                report_text_of(candidate, "formula"));
    }
}

static void print_reference(const json_t *candidate, const char *what, FILE *to)
{
    if (!candidate || isnan(report_number_of(candidate, "val_nll"))) return;
    fprintf(to, "            %.4f ± %.4f %s\n", report_number_of(candidate, "val_nll"),
            report_number_of(candidate, "val_nll_stderr"), what);
}

static void print_scores(const json_t *result, FILE *to)
{
    const json_t *mixture = candidate_at(result, "best_mixture"), *flow = candidate_at(result, "best_flow");
    char normals[96] = "";
    if (mixture)
        snprintf(normals, sizeof normals, "a mixture of %ld normals",
                 strtol(report_text_of(mixture, "formula") + strlen("gaussian_mixture(components="), NULL, 10));
    fprintf(to, "NLL         %.4f ± %.4f nats per row, on %lld rows that were held out%s\n",
            report_number_of(result, "val_nll"), report_number_of(result, "val_nll_stderr"),
            report_count_of(result, "val_rows"), report_count_of(result, "folds") > 1 ? ", each in its turn" : "");
    print_reference(json_array_get(json_object_get(result, "candidates"), 0), "a normal with the data's covariance",
                    to);
    print_reference(mixture, normals, to);
    if (!is_single(result)) print_reference(flow, "the best flow alone", to);
}

static void print_worst(const json_t *result, FILE *to)
{
    long long far = report_count_of(result, "val_rows_far");
    if (far == 0) return;
    fprintf(to,
            "warning     %lld held-out row%s far from all others: row %lld has log p = %.4g, the median is %.4g; is it "
            "a mistake?\n",
            far, far > 1 ? "s are" : " is", report_count_of(result, "val_worst_row"),
            report_number_of(result, "val_worst_log_prob"), report_number_of(result, "val_median_log_prob"));
}

/* What fits the best flow alone, to the same columns and rows. */
static void print_command(const json_t *result, const json_t *flow, FILE *to)
{
    static const char *const names[] = {"drop", "columns", "weights", "validation"};
    const json_t *options = json_object_get(result, "options"), *context = json_object_get(result, "context");
    fprintf(to, "%s  weir fit %s --flow '%s' --epochs %lld --batch %lld --lr %g --ema %g",
            is_single(result) ? "as found  " : "flow alone", report_text_of(result, "data"),
            report_text_of(flow, "formula"), report_count_of(flow, "epochs"), report_count_of(flow, "batch"),
            report_number_of(flow, "lr"), report_number_of(flow, "ema"));
    double decay = report_number_of(flow, "weight_decay");
    if (decay > 0) fprintf(to, " --optimizer 'adamw(beta2=0.98)' --weight-decay %g", decay);
    if (context) fprintf(to, " --context '%s'", json_string_value(context));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_object_get(options, names[i])) fprintf(to, " --%s '%s'", names[i], report_text_of(options, names[i]));
    fprintf(to, " -o MODEL\n");
}

void print_automatic(const json_t *result, FILE *to)
{
    const json_t *flow = candidate_at(result, "best_flow");
    const char *data = report_text_of(result, "data");
    char seconds[32];
    if (is_single(result))
        fprintf(to, "flow        %s\n            '-standardize' was appended, for it was trained on scaled rows\n",
                report_text_of(flow, "formula"));
    else
        print_members(result, to);
    fprintf(to, "data        %s: %lld rows\n", data, report_count_of(result, "rows"));
    const size_t tried = json_array_size(json_object_get(result, "candidates"));
    fprintf(to, "search      %zu candidate%s%s%s\n", tried, tried == 1 ? "" : "s", report_spent(result, ", ", seconds),
            json_is_true(json_object_get(result, "out_of_time")) ? ": out of time, a longer --budget tries more" : "");
    print_scores(result, to);
    print_worst(result, to);
    if (flow) print_command(result, flow, to);
}
