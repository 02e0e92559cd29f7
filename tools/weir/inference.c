/* Variational inference with progress on stderr, and what is told of it. */
#include "inference.h"
#include "interrupt.h"
#include "meter.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>

/* ---- Running -------------------------------------------------------------------------------------------------- */

struct watched {
    struct meter meter;
    const char *label;
};

/* "12000/25000  31.2k/s  0:01 left  loss -1.732" */
static bool on_progress(void *context, const nf_vi_progress *now)
{
    struct watched *watched = context;
    double done = (double)now->iteration, all = (double)now->iterations, rate = done / now->seconds;
    if (!meter_is_due(&watched->meter, done / all)) return true;
    char text[256], speed[32], left[32];
    snprintf(text, sizeof text, "%s%zu/%zu  %s/s  %s left  loss %.4g", watched->label, now->iteration, now->iterations,
             report_rate(rate, speed), report_duration((all - done) / rate, left), now->loss);
    meter_show(&watched->meter, done / all, text);
    return true;
}

ad_status infer(nf_flow *flow, const nf_target *target, const nf_vi_options *options, const char *label,
                nf_vi_report *report, ad_error *error)
{
    struct watched watched = {meter_start(), label};
    nf_vi_options o = *options;
    o.progress = on_progress;
    o.interrupted = interrupt_noted;
    o.context = &watched;
    interrupt_catch();
    ad_status status = nf_vi(flow, target, &o, report, error);
    interrupt_release();
    meter_end(&watched.meter);
    if (!status && report->outcome == NF_STOPPED_BY_CALLER && interrupt_signal())
        status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted after %zu of %zu iterations",
                              report->iterations, o.iters);
    return status;
}

/* ---- The record ----------------------------------------------------------------------------------------------- */

/* {"iteration": […], "loss": […], "gradient_norm": […], "parameter_norm": […], "beta": […]} */
static json_t *history_json(const nf_vi_report *report)
{
    json_t *iteration = json_array(), *loss = json_array(), *gradient = json_array(), *parameter = json_array(),
           *beta = json_array();
    for (size_t i = 0; i < report->n_history; i++) {
        const nf_vi_point *point = &report->history[i];
        json_array_append_new(iteration, json_integer((json_int_t)point->iteration));
        json_array_append_new(loss, report_number(point->loss));
        json_array_append_new(gradient, report_number(point->gradient_norm));
        json_array_append_new(parameter, report_number(point->parameter_norm));
        json_array_append_new(beta, report_number(point->beta));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "iteration", iteration, "loss", loss, "gradient_norm", gradient,
                     "parameter_norm", parameter, "beta", beta);
}

static void mean_and_sd(const double *value, size_t rows, size_t stride, double *mean, double *sd)
{
    double sum = 0, squares = 0;
    for (size_t r = 0; r < rows; r++) sum += value[r * stride];
    *mean = sum / (double)rows;
    for (size_t r = 0; r < rows; r++) squares += (value[r * stride] - *mean) * (value[r * stride] - *mean);
    *sd = sqrt(squares / ((double)rows - 1));
}

/* Mean and standard deviation of each element, on the user's scale: of draws of the flow, and weighted. Empty where
 * there are too many to look at. */
static json_t *values_json(const nf_target *target, nf_flow *flow, uint64_t seed, ad_pool *pool, ad_error *error)
{
    enum { ROWS = 20000, MOST = 50 };
    size_t dim = nf_target_dim(target), size = nf_target_size(target);
    json_t *values = json_array();
    if (size > MOST) return values;
    nf_vi_moments weighted[MOST];
    double *z = ad_alloc(ROWS, (dim + size) * sizeof *z), *value = z ? z + ROWS * dim : NULL;
    ad_status status = z ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %d draws", ROWS);
    if (!status) status = nf_sample(flow, NULL, ROWS, seed, z, NULL, pool, error);
    if (!status) status = nf_target_values(target, z, ROWS, value, pool, error);
    if (!status) status = nf_vi_summarize(flow, target, ROWS, seed, weighted, NULL, pool, error);
    for (size_t i = 0; i < size && !status; i++) {
        char name[64];
        double mean, sd;
        mean_and_sd(value + i, ROWS, size, &mean, &sd);
        json_array_append_new(
            values,
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", report_text(nf_target_element(target, i, name)),
                      "mean", report_number(mean), "sd", report_number(sd), "weighted_mean",
                      report_number(weighted[i].mean), "weighted_sd", report_number(weighted[i].sd), "mcse_mean",
                      report_number(weighted[i].mcse_mean), "mcse_sd", report_number(weighted[i].mcse_sd)));
    }
    ad_free(z);
    if (!status) return values;
    json_decref(values);
    return NULL;
}

/* The names of the features, where they are the user's own. */
static json_t *columns_json(const nf_target *target)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < target->n_site; i++)
        if (target->site[i].constraint != NF_SITE_REAL) return columns;
    for (size_t i = 0; i < nf_target_size(target); i++) {
        char name[64];
        json_array_append_new(columns, report_text(nf_target_element(target, i, name)));
    }
    return columns;
}

json_t *inference_record(const char *text, const nf_target *target, nf_flow *flow, const nf_vi_report *report,
                         uint64_t seed, ad_pool *pool, ad_error *error)
{
    static const char *const outcomes[] = {
        [NF_FINISHED] = "finished",
        [NF_STOPPED_EARLY] = "converged",
        [NF_STOPPED_BY_CALLER] = "interrupted",
        [NF_DIVERGED] = "diverged",
    };
    json_t *values = values_json(target, flow, seed, pool, error);
    if (!values) return NULL;
    const nf_vi_score *score = &report->score;
    return json_pack("{s:s, s:o, s:o, s:s, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "weir",
                     WEIR_VERSION, "target", report_text(text), "exact_log_z", report_number(target->log_z), "outcome",
                     outcomes[report->outcome], "iterations", (json_int_t)report->iterations, "average_loss",
                     report_number(report->average_loss), "averaged", (json_int_t)report->averaged, "elbo",
                     report_number(score->elbo), "elbo_stderr", report_number(score->elbo_stderr), "khat",
                     report_number(score->khat), "log_z", report_number(score->log_z), "ess", report_number(score->ess),
                     "draws", (json_int_t)score->draws, "seconds", report_number(report->seconds), "values", values,
                     "columns", columns_json(target), "history", history_json(report));
}

/* ---- Draws ---------------------------------------------------------------------------------------------------- */

static void name_columns(const nf_target *target, json_t *record)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < nf_target_size(target); i++) {
        char name[64];
        json_array_append_new(columns, report_text(nf_target_element(target, i, name)));
    }
    json_object_set_new(record, "columns", columns);
}

ad_status draw_samples(nf_flow *flow, const double *context, json_t *record, size_t rows, uint64_t seed,
                       nf_table *table, ad_pool *pool, ad_error *error)
{
    const char *text = json_string_value(json_object_get(record, "target"));
    nf_target *target = text ? nf_target_parse(text, NULL) : NULL; /* another program's: there are no sites to know */
    size_t dim = nf_flow_dim(flow);
    *table = (nf_table){.rows = rows, .columns = dim, .dtype = nf_flow_dtype(flow)};
    double *z = ad_alloc(rows, dim * sizeof *z);
    ad_status status = z ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu samples", rows);
    if (!status) status = nf_sample(flow, context, rows, seed, z, NULL, pool, error);
    if (!status && target && nf_target_dim(target) == dim) {
        table->columns = nf_target_size(target);
        table->values = ad_alloc(rows, table->columns * sizeof *table->values);
        status = table->values ? nf_target_values(target, z, rows, table->values, pool, error)
                               : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu samples", rows);
        name_columns(target, record);
        ad_free(z);
    } else {
        table->values = z;
    }
    nf_target_free(target);
    if (!status) return AD_OK;
    ad_free(table->values);
    table->values = NULL;
    return status;
}

/* ---- Printing ------------------------------------------------------------------------------------------------- */

static void print_values(const json_t *values, FILE *to)
{
    const json_t *value;
    size_t i;
    if (json_array_size(values) > 0)
        fprintf(to, "\n%-20s %21s  %32s\n%-20s %10s %10s  %10s %10s %10s\n", "", "draws of the flow",
                "weighted by importance", "", "mean", "sd", "mean", "sd", "mcse");
    json_array_foreach(values, i, value)
    {
        fprintf(to, "%-20s %10.4g %10.4g  %10.4g %10.4g %10.2g\n", report_text_of(value, "name"),
                report_number_of(value, "mean"), report_number_of(value, "sd"),
                report_number_of(value, "weighted_mean"), report_number_of(value, "weighted_sd"),
                report_number_of(value, "mcse_mean"));
    }
}

static const char *verdict(double khat)
{
    if (khat < 0.5) return "good";
    if (khat < 0.7) return "fair";
    return "above 0.7: the flow misses a part of the target; don't trust the fit";
}

void print_inference(const json_t *result, FILE *to)
{
    char seconds[32], rate[32];
    double spent = report_number_of(result, "seconds"), exact = report_number_of(result, "exact_log_z"),
           khat = report_number_of(result, "khat");
    if (json_object_get(result, "formula")) fprintf(to, "flow        %s\n", report_text_of(result, "formula"));
    fprintf(to, "target      %s\n", report_text_of(result, "target"));
    fprintf(to, "inference   %s after %lld iterations; %s, %s iterations/s\n", report_text_of(result, "outcome"),
            report_count_of(result, "iterations"), report_seconds(spent, seconds),
            report_rate((double)report_count_of(result, "iterations") / spent, rate));
    fprintf(to, "loss        %.4f nats, mean of the last %lld\n", report_number_of(result, "average_loss"),
            report_count_of(result, "averaged"));
    if (!isnan(exact)) fprintf(to, "            %.4f is the best possible: -log Z\n", 0 - exact);
    fprintf(to, "ELBO        %.4f ± %.4f nats\n", report_number_of(result, "elbo"),
            report_number_of(result, "elbo_stderr"));
    fprintf(to, "log Z       %.4f by importance sampling; %lld draws are worth %.0f of the target\n",
            report_number_of(result, "log_z"), report_count_of(result, "draws"), report_number_of(result, "ess"));
    if (isnan(khat))
        fprintf(to, "k-hat       unknown: too few weights\n");
    else
        fprintf(to, "k-hat       %.2f: %s\n", khat, verdict(khat));
    print_values(json_object_get(result, "values"), to);
}
