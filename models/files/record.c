/* Records of how a flow came about. Their keys are in the order that the command has always written them in. */
#include "files/json.h"
#include "files/sites.h"
#include "vi/inference.h"

#include <weir/environment.h>
#include <weir/record.h>
#include <weir/version.h>

#include <math.h>
#include <string.h>

static json_t *count_json(size_t count)
{
    return json_integer((json_int_t)count);
}

static json_t *texts_json(const char *const *text, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) nf__json_append(&array, nf__json_text(text[i]));
    return array;
}

static void put_number(json_t **object, const char *key, double number)
{
    nf__json_put(object, key, nf__json_number(number));
}

static void put_count(json_t **object, const char *key, size_t count)
{
    nf__json_put(object, key, count_json(count));
}

/* ---- A fit to rows --------------------------------------------------------------------------------------------- */

enum { MOST_POINTS = 20000 }; /* on record: the header of a file holds fifty times as many, and not more */

/* Of a long history every k-th point is told, and the last. */
static bool is_told(size_t i, size_t points)
{
    const size_t stride = (points + MOST_POINTS - 1) / MOST_POINTS;
    return (i + 1) % stride == 0 || i + 1 == points;
}

/* {"epoch": […], "train_nll": […], "val_nll": […]}, with the best epoch in any case. */
static json_t *fit_history(const nf_fit_report *report)
{
    json_t *epoch = json_array(), *train_nll = json_array(), *val_nll = json_array(), *history = json_object();
    const size_t epochs = report->last.epoch;
    for (size_t i = 0; i < epochs && report->history; i++) {
        const nf_progress *past = &report->history[i];
        if (!is_told(i, epochs) && i + 1 != report->best_epoch) continue;
        nf__json_append(&epoch, count_json(past->epoch));
        nf__json_append(&train_nll, nf__json_number(past->train_nll));
        nf__json_append(&val_nll, nf__json_number(past->val_nll));
    }
    nf__json_put(&history, "epoch", epoch);
    nf__json_put(&history, "train_nll", train_nll);
    nf__json_put(&history, "val_nll", val_nll);
    return history;
}

static void put_fit(json_t **to, const nf_fit_report *report)
{
    static const char *const outcomes[] = {
        [NF_FINISHED] = "finished",
        [NF_STOPPED_EARLY] = "stopped early",
        [NF_STOPPED_BY_CALLER] = "interrupted",
        [NF_DIVERGED] = "diverged",
    };
    /* Of the weights that were kept; none were trained where the first epoch didn't end. */
    size_t best = report->best_epoch;
    const nf_progress *kept = best > 0 && report->history ? &report->history[best - 1] : NULL;
    put_count(to, "rows", report->train_rows + report->val_rows);
    put_count(to, "train_rows", report->train_rows);
    put_count(to, "val_rows", report->val_rows);
    nf__json_put(to, "outcome", json_string(outcomes[report->outcome]));
    put_count(to, "epochs", report->last.epoch);
    put_count(to, "steps", report->last.step);
    put_count(to, "best_epoch", best);
    put_number(to, "train_nll", kept ? kept->train_nll : NAN);
    put_number(to, "val_nll", kept ? kept->val_nll : NAN);
    put_number(to, "seconds", report->last.seconds);
}

/* ---- A fit to a target ----------------------------------------------------------------------------------------- */

/* {"iteration": […], "loss": […], "gradient_norm": […], "parameter_norm": […], "beta": […]} */
static json_t *vi_history(const nf_vi_report *report)
{
    json_t *iteration = json_array(), *loss = json_array(), *gradient = json_array(), *parameter = json_array(),
           *beta = json_array(), *history = json_object();
    for (size_t i = 0; i < report->n_history; i++) {
        const nf_vi_point *point = &report->history[i];
        if (!is_told(i, report->n_history)) continue;
        nf__json_append(&iteration, count_json(point->iteration));
        nf__json_append(&loss, nf__json_number(point->loss));
        nf__json_append(&gradient, nf__json_number(point->gradient_norm));
        nf__json_append(&parameter, nf__json_number(point->parameter_norm));
        nf__json_append(&beta, nf__json_number(point->beta));
    }
    nf__json_put(&history, "iteration", iteration);
    nf__json_put(&history, "loss", loss);
    nf__json_put(&history, "gradient_norm", gradient);
    nf__json_put(&history, "parameter_norm", parameter);
    nf__json_put(&history, "beta", beta);
    return history;
}

static void put_vi(json_t **to, const nf_vi_report *report)
{
    static const char *const outcomes[] = {
        [NF_FINISHED] = "finished",
        [NF_STOPPED_EARLY] = "converged",
        [NF_STOPPED_BY_CALLER] = "interrupted",
        [NF_DIVERGED] = "diverged",
    };
    const nf_vi_score *score = &report->score;
    nf__json_put(to, "outcome", json_string(outcomes[report->outcome]));
    put_count(to, "iterations", report->iterations);
    put_number(to, "average_loss", report->average_loss);
    put_number(to, "best_loss", report->best_loss);
    if (!isnan(report->step_ess)) put_number(to, "step_ess", report->step_ess);
    put_count(to, "averaged", report->averaged);
    put_number(to, "elbo", score->elbo);
    put_number(to, "elbo_stderr", score->elbo_stderr);
    put_number(to, "khat", score->khat);
    put_number(to, "log_z", score->log_z);
    put_number(to, "ess", score->ess);
    put_count(to, "draws", score->draws);
    put_number(to, "seconds", report->seconds);
}

static void mean_and_sd(const double *value, size_t rows, size_t stride, double *mean, double *sd)
{
    double sum = 0, squares = 0;
    for (size_t r = 0; r < rows; r++) sum += value[r * stride];
    *mean = sum / (double)rows;
    for (size_t r = 0; r < rows; r++) squares += (value[r * stride] - *mean) * (value[r * stride] - *mean);
    *sd = sqrt(squares / ((double)rows - 1));
}

enum { MOST_VALUES = 50, MOST_DRAWS = 20000 }; /* elements to look at; draws that their means are of */

/* Mean and standard deviation of each element, on the user's scale: of draws of the flow, and weighted. Empty where
 * there are too many to look at, or a density is no number, or nobody waits for it, which is no reason to be without
 * all the rest. */
static ad_status put_values(json_t **to, const nf_flow *flow, const nf_record *record, ad_error *error)
{
    const nf_target *target = record->target;
    const size_t dim = nf_target_dim(target), size = nf_target_size(target), scored = record->vi->score.draws,
                 rows = record->draws         ? record->draws
                        : scored < MOST_DRAWS ? scored
                                              : MOST_DRAWS;
    bool stopped = scored == 0;
    const nf__vi_stop stop = {record->interrupted, record->asked};
    json_t *values = json_array();
    nf_vi_moments weighted[MOST_VALUES];
    ad_status status = AD_OK;
    if (size <= MOST_VALUES && !stopped) {
        double *z = ad_alloc(rows, (dim + size) * sizeof *z), *value = z ? z + rows * dim : NULL;
        status = z ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu draws", rows);
        if (!status) status = nf_sample(flow, NULL, rows, record->seed, z, NULL, record->pool, error);
        if (!status) status = nf_target_values(target, z, rows, value, record->pool, error);
        if (!status)
            status =
                nf__vi_summarize(flow, target, rows, record->seed, weighted, NULL, stop, &stopped, record->pool, error);
        for (size_t i = 0; i < size && !status && !stopped; i++) {
            char name[64];
            double mean, sd;
            json_t *one = json_object();
            mean_and_sd(value + i, rows, size, &mean, &sd);
            nf__json_put(&one, "name", nf__json_text(nf_target_element(target, i, name)));
            put_number(&one, "mean", mean);
            put_number(&one, "sd", sd);
            put_number(&one, "weighted_mean", weighted[i].mean);
            put_number(&one, "weighted_sd", weighted[i].sd);
            put_number(&one, "mcse_mean", weighted[i].mcse_mean);
            put_number(&one, "mcse_sd", weighted[i].mcse_sd);
            nf__json_append(&values, one);
        }
        ad_free(z);
    }
    if (status == AD_ERROR_NUMERIC) status = AD_OK;
    nf__json_put(to, "values", values);
    return status;
}

/* The names of the features, where they are the user's own. */
static json_t *features_json(const nf_target *target)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < target->n_site; i++)
        if (target->site[i].constraint != NF_SITE_REAL) return columns;
    for (size_t i = 0; i < nf_target_size(target); i++) {
        char name[64];
        nf__json_append(&columns, nf__json_text(nf_target_element(target, i, name)));
    }
    return columns;
}

/* ---- All of it ------------------------------------------------------------------------------------------------- */

static ad_status parse_options(const char *text, json_t **options, ad_error *error)
{
    json_error_t reason;
    *options = NULL;
    ad_status status = text ? nf__json_load(text, strlen(text), options, &reason) : AD_OK;
    if (status == AD_ERROR_MEMORY) return ad_error_set(error, status, "out of memory for a record");
    if (status) ad_error_set(error, status, "the options of a record are no JSON object: %s", reason.text);
    return status;
}

static ad_status check(const nf_flow *flow, const nf_record *record, ad_error *error)
{
    if (record->vi && !record->target)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "a record of a nf_vi_report needs the target as well");
    if (record->target && nf_target_dim(record->target) != nf_flow_dim(flow))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "the target '%s' has %zu features, but the flow has %zu",
                            record->target->name, nf_target_dim(record->target), nf_flow_dim(flow));
    return AD_OK;
}

/* As text: numbers of the record are told with fewer digits than they have. */
static ad_status put_kinds(json_t **to, const char *key, const nf_columns *kinds, size_t features, ad_error *error)
{
    if (!kinds) return AD_OK;
    if (nf_columns_features(kinds) != features)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "a record's %s have %zu features, but the flow takes %zu", key,
                            nf_columns_features(kinds), features);
    ad_error own;
    char *text = nf_columns_text(kinds, &own);
    if (!text) return ad_error_set(error, own.status, "%s", own.message);
    nf__json_put(to, key, json_string(text));
    ad_free(text);
    return AD_OK;
}

/* *to becomes NULL where memory runs out. */
static ad_status fill(json_t **to, const nf_flow *flow, const nf_record *record, json_t *options, ad_error *error)
{
    const nf_target *target = record->target;
    ad_status status = AD_OK;
    nf__json_put(to, "weir", json_string(WEIR_VERSION));
    if (record->data) nf__json_put(to, "data", nf__json_text(record->data));
    if (target) {
        nf__json_put(to, "target", nf__json_text(target->text ? target->text : target->name));
        put_number(to, "exact_log_z", target->log_z);
        if (target->table) nf__json_put(to, "sites", nf__sites_json(target));
    }
    if (record->vi) put_vi(to, record->vi);
    if (record->vi) status = put_values(to, flow, record, error);
    if (target) nf__json_put(to, "columns", features_json(target));
    if (record->fit) put_fit(to, record->fit);
    if (options && record->fit) nf__json_put(to, "options", json_incref(options));
    if (record->vi || record->fit)
        nf__json_put(to, "history", record->vi ? vi_history(record->vi) : fit_history(record->fit));
    if (options && !record->fit) nf__json_put(to, "options", json_incref(options));
    if (record->columns) nf__json_put(to, "columns", texts_json(record->columns, nf_flow_dim(flow)));
    if (record->context_columns)
        nf__json_put(to, "context_columns", texts_json(record->context_columns, nf_flow_context_size(flow)));
    if (record->context) nf__json_put(to, "context", nf__json_text(record->context));
    if (!status) status = put_kinds(to, "kinds", record->kinds, nf_flow_dim(flow), error);
    if (!status) status = put_kinds(to, "context_kinds", record->context_kinds, nf_flow_context_size(flow), error);
    return status;
}

char *nf_record_text(const nf_flow *flow, const nf_record *record, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!flow || !record)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "record: %s is NULL", flow ? "record" : "flow"), NULL;
    json_t *options, *json = json_object();
    char *text = NULL;
    size_t bytes;
    ad_status status = check(flow, record, error);
    if (!status) status = parse_options(record->options, &options, error);
    if (!status) {
        status = fill(&json, flow, record, options, error);
        json_decref(options);
    }
    if (!status && !(text = nf__json_dump(json, JSON_REAL_PRECISION(15), &bytes)))
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a record");
    json_decref(json);
    return text;
}

/* ---- Reading --------------------------------------------------------------------------------------------------- */

static ad_status parse(const char *record, json_t **json, ad_error *error)
{
    json_error_t reason;
    *json = NULL;
    ad_status status = record ? nf__json_load(record, strlen(record), json, &reason) : AD_OK;
    if (status == AD_ERROR_MEMORY) return ad_error_set(error, status, "out of memory to read a record");
    if (status) ad_error_set(error, status, "a record is a JSON object, but this one isn't: %s", reason.text);
    return status;
}

/* NULL: memory is out. */
static char **names_of(const json_t *array)
{
    size_t count = json_array_size(array), bytes = count * sizeof(char *);
    for (size_t i = 0; i < count; i++) bytes += json_string_length(json_array_get(array, i)) + 1;
    char **names = ad_alloc(bytes, 1), *text = (char *)(names + (names ? count : 0));
    for (size_t i = 0; names && i < count; i++) {
        names[i] = text;
        text = stpcpy(text, json_string_value(json_array_get(array, i))) + 1;
    }
    return names;
}

static bool are_texts(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!json_is_string(json_array_get(array, i))) return false;
    return true;
}

/* `count` texts at this key. */
static ad_status read_names(const char *record, const char *key, size_t count, char ***names, ad_error *error)
{
    if (!names) return ad_error_set(error, AD_ERROR_ARGUMENT, "record: columns is NULL");
    json_t *json;
    *names = NULL;
    ad_status status = parse(record, &json, error);
    const json_t *array = json_object_get(json, key);
    if (!status && json_array_size(array) == count && count > 0 && are_texts(array) && !(*names = names_of(array)))
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for names of columns");
    json_decref(json);
    return status;
}

ad_status nf_record_columns(const char *record, size_t dim, char ***columns, ad_error *error)
{
    return read_names(record, "columns", dim, columns, error);
}

ad_status nf_record_context_columns(const char *record, size_t size, char ***columns, ad_error *error)
{
    return read_names(record, "context_columns", size, columns, error);
}

ad_status nf_record_target(const char *record, nf_target **target, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!target) return ad_error_set(error, AD_ERROR_ARGUMENT, "record: target is NULL");
    json_t *json;
    *target = NULL;
    ad_status status = parse(record, &json, error);
    const char *text = json_string_value(json_object_get(json, "target"));
    const json_t *sites = json_object_get(json, "sites");
    if (text && sites)
        status = nf__sites_target(sites, text, target, error);
    else if (text)
        *target = nf_target_parse(text, NULL); /* another program's: there are no sites to know */
    json_decref(json);
    return status;
}

ad_status nf_record_context(const char *record, char **context, ad_error *error)
{
    if (!context) return ad_error_set(error, AD_ERROR_ARGUMENT, "record: context is NULL");
    json_t *json;
    *context = NULL;
    ad_status status = parse(record, &json, error);
    const char *text = json_string_value(json_object_get(json, "context"));
    if (text && !(*context = ad_strdup(text)))
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the context's names");
    json_decref(json);
    return status;
}

static ad_status read_kinds(const char *record, const char *key, nf_columns **kinds, ad_error *error)
{
    if (!kinds) return ad_error_set(error, AD_ERROR_ARGUMENT, "record: kinds is NULL");
    json_t *json;
    *kinds = NULL;
    ad_status status = parse(record, &json, error);
    const char *text = json_string_value(json_object_get(json, key));
    ad_error own;
    if (text && !(*kinds = nf_columns_parse(text, &own))) status = ad_error_set(error, own.status, "%s", own.message);
    json_decref(json);
    return status;
}

ad_status nf_record_kinds(const char *record, nf_columns **kinds, ad_error *error)
{
    return read_kinds(record, "kinds", kinds, error);
}

ad_status nf_record_context_kinds(const char *record, nf_columns **kinds, ad_error *error)
{
    return read_kinds(record, "context_kinds", kinds, error);
}
