/* Variational inference with progress on stderr, and what is told of it. */
#include "inference.h"
#include "files.h"
#include "interrupt.h"
#include "keep.h"
#include "meter.h"
#include "modes.h"
#include "ranks.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>

/* ---- Running -------------------------------------------------------------------------------------------------- */

struct watched {
    struct meter meter;
    const char *label;
};

struct automatic {
    struct meter meter;
    double budget;
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
    ad_status status = nf_vi(flow, target, &o, report, error);
    meter_end(&watched.meter);
    if (!status && report->outcome == NF_STOPPED_BY_CALLER && ranks_interrupt())
        status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted after %zu of %zu iterations",
                              report->iterations, o.iters);
    else if (!status && report->score.draws == 0)
        status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted in the scores, after all iterations");
    return status;
}

/* "1200 iterations  31.2k/s  0:41 of 1:00  loss -1.732" */
static bool on_automatic(void *context, const nf_vi_progress *now)
{
    struct automatic *watched = context;
    const double seconds = meter_seconds(&watched->meter);
    if (!meter_is_due(&watched->meter, seconds / watched->budget)) return true;
    char text[256], spent[32], most[32];
    snprintf(text, sizeof text, "%s of at most %s  loss %.4g", report_duration(seconds, spent),
             report_duration(watched->budget, most), now->loss);
    meter_show(&watched->meter, fmin(seconds / watched->budget, 1), text);
    return true;
}

ad_status infer_alone(const nf_target *target, const nf_infer_options *options, nf_inference *inference,
                      ad_error *error)
{
    struct automatic watched = {meter_start(), options->budget};
    nf_infer_options o = *options;
    o.progress = on_automatic;
    o.interrupted = interrupt_noted;
    o.context = &watched;
    ad_status status = nf_infer(target, &o, inference, error);
    meter_end(&watched.meter);
    if (!status && ranks_interrupt())
        status =
            ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted after %zu iterations", inference->report.iterations);
    return status;
}

json_t *infer_and_keep(nf_flow *flow, const nf_target *target, const nf_vi_options *options, const char *label,
                       const char *path, nf_vi_report *report, ad_status *status, ad_error *error)
{
    json_t *record = NULL;
    interrupt_catch();
    *status = infer(flow, target, options, label, report, error);
    if (!*status || report->iterations > 0) {
        char kept[PATH_MAX];
        const nf_record told = {.target = target,
                                .vi = report,
                                .seed = options->seed,
                                .pool = options->pool,
                                .interrupted = *status ? NULL : interrupt_noted};
        record = record_of_work(flow, told, NULL, status, error);
        const struct kept what = {.flow = flow, .record = record, .left = "the parameters at hand"};
        *status = keep(&what, *status, path, kept, error);
    }
    interrupt_release();
    if (!*status && ranks_interrupt())
        *status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted; the parameters are in '%s'", path);
    return record;
}

/* ---- Draws ---------------------------------------------------------------------------------------------------- */

char **element_names(const nf_target *target)
{
    enum { BYTES = 64 };
    const size_t size = nf_target_size(target);
    char **names = ad_alloc(size, sizeof *names + BYTES), *text = (char *)(names + (names ? size : 0));
    for (size_t i = 0; names && i < size; i++) {
        names[i] = text + i * BYTES;
        nf_target_element(target, i, names[i]);
    }
    return names;
}

static void name_columns(const nf_target *target, json_t *record)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < nf_target_size(target); i++) {
        char name[64];
        json_array_append_new(columns, report_text(nf_target_element(target, i, name)));
    }
    json_object_set_new(record, "columns", columns);
}

nf_target *target_on_record(const nf_flow *flow, const json_t *record)
{
    char *text = json_dumps(record, JSON_COMPACT);
    nf_target *target = NULL;
    nf_record_target(text, &target, NULL); /* what can't be one is of another program */
    free(text);
    if (!target || nf_target_dim(target) == nf_flow_dim(flow)) return target;
    nf_target_free(target);
    return NULL;
}

ad_status draw_samples(nf_flow *flow, const double *context, json_t *record, size_t first, size_t rows, uint64_t seed,
                       nf_table *table, ad_pool *pool, ad_error *error)
{
    nf_target *target = target_on_record(flow, record);
    size_t dim = nf_flow_dim(flow);
    *table = (nf_table){.rows = rows, .columns = dim, .dtype = nf_flow_dtype(flow)};
    double *z = ad_alloc(rows, dim * sizeof *z);
    ad_status status = z ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu samples", rows);
    if (!status) status = nf_sample_part(flow, context, first, rows, seed, z, NULL, pool, error);
    if (!status && target) {
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

/* k-hat speaks of the draws that there are, and of nothing that none of them has seen: where modes are known to be
 * missed, or where log Z is known to be another, it doesn't count. Models of earlier versions have no search on
 * record. */
static void print_khat(const json_t *result, FILE *to)
{
    const double khat = report_number_of(result, "khat"), log_z = report_number_of(result, "log_z"),
                 exact = report_number_of(result, "exact_log_z"), far = 0.1;
    const bool looked = json_object_get(result, "modes") != NULL;
    if (isnan(khat)) {
        fprintf(to, "k-hat       unknown: too few weights\n");
        return;
    }
    fprintf(to, "k-hat       %.2f: ", khat);
    /* A tail of weights that hardly differ is no danger. */
    const bool equal = report_number_of(result, "ess") > 0.99 * (double)report_count_of(result, "draws");
    if (khat >= 0.7 && !equal)
        fprintf(to, "above 0.7: the flow misses a part of the target; don't trust the fit\n");
    else if (modes_missed(result) > 0)
        fprintf(to, "of no use, for no draw has seen the modes that are missed; don't trust the fit\n");
    else if (looked && !isnan(exact) && fabs(log_z - exact) > far)
        fprintf(to,
                "of no use, for the target says that log Z is %.4f (NAN: it isn't known): draws miss a part of the "
                "target; don't trust the fit\n",
                exact);
    else if (looked && log_z - report_number_of(result, "elbo") > far)
        fprintf(to,
                "weights can be trusted; the flow's own draws are %.2f nats off, and another formula may come nearer\n",
                log_z - report_number_of(result, "elbo"));
    else
        fprintf(to, "%s\n", khat < 0.5 ? "good" : equal ? "good, for the weights hardly differ" : "fair");
}

double best_loss(const json_t *record)
{
    const bool is_told = json_object_get(record, "best_loss") != NULL;
    return is_told ? report_number_of(record, "best_loss") : 0 - report_number_of(record, "exact_log_z");
}

void print_inference(const json_t *result, FILE *to)
{
    char seconds[32], rate[32];
    double spent = report_number_of(result, "seconds"), exact = report_number_of(result, "exact_log_z"),
           best = best_loss(result);
    if (json_object_get(result, "formula")) fprintf(to, "flow        %s\n", report_text_of(result, "formula"));
    fprintf(to, "target      %s\n", report_text_of(result, "target"));
    fprintf(to, "inference   %s after %lld iterations%s", report_text_of(result, "outcome"),
            report_count_of(result, "iterations"), report_spent(result, "; ", seconds));
    if (!isnan(spent))
        fprintf(to, ", %s iterations/s", report_rate((double)report_count_of(result, "iterations") / spent, rate));
    fprintf(to, "\n");
    fprintf(to, "loss        %.4f nats", report_number_of(result, "average_loss"));
    if (report_count_of(result, "averaged") > 0)
        fprintf(to, ", mean of the last %lld", report_count_of(result, "averaged"));
    fprintf(to, "\n");
    if (!isnan(best))
        fprintf(to, "            %.4f is the best possible%s\n", best,
                best == 0 - exact ? ": -log Z"
                : best == exact   ? ": log Z"
                                  : "");
    report_warning(result, to);
    if (report_count_of(result, "draws") == 0) {
        fprintf(to, "scores      none: they were interrupted\n");
        return;
    }
    fprintf(to, "ELBO        %.4f ± %.4f nats\n", report_number_of(result, "elbo"),
            report_number_of(result, "elbo_stderr"));
    fprintf(to, "log Z       %.4f by importance sampling; %lld draws are worth %.0f of the target\n",
            report_number_of(result, "log_z"), report_count_of(result, "draws"), report_number_of(result, "ess"));
    if (!isnan(exact) && json_object_get(result, "modes"))
        fprintf(to, "            %.4f is exact: %.4f above the ELBO\n", exact,
                exact - report_number_of(result, "elbo"));
    print_modes(result, to);
    print_khat(result, to);
    print_values(json_object_get(result, "values"), to);
}
