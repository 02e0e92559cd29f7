/* Models as commands use them: a flow, and what its columns are. */
#include "model.h"
#include "columns.h"
#include "images.h"
#include "inference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- Opening --------------------------------------------------------------------------------------------------- */

/* The columns of these kinds, which are a text on record, for so many features; plain ones where there is none. */
static ad_status read_kinds(const json_t *record, const char *key, const char *path, size_t features, char **names,
                            nf_columns **columns, ad_error *error)
{
    const char *text = json_string_value(json_object_get(record, key));
    *columns = text ? nf_columns_parse(text, error) : nf_columns_plain(features, (const char *const *)names, error);
    if (!*columns) return error->status;
    size_t found = nf_columns_features(*columns);
    if (found == features) return AD_OK;
    return ad_error_set(error, AD_ERROR_FORMAT, "%s: its columns have %zu features, but its flow %zu", path, found,
                        features);
}

/* An element of a site each. */
static ad_status site_columns(const nf_target *target, nf_columns **columns, ad_error *error)
{
    const size_t size = nf_target_size(target);
    char **names = element_names(target);
    *columns = names ? nf_columns_plain(size, (const char *const *)names, error) : NULL;
    if (!names) ad_error_set(error, AD_ERROR_MEMORY, "no memory for the names of %zu columns", size);
    ad_free(names);
    return *columns ? AD_OK : error->status;
}

ad_status model_open(const char *path, struct model *model, ad_error *error)
{
    *model = (struct model){.path = path};
    model->flow = load_model(path, &model->record, error);
    if (!model->flow) return error->status;
    size_t dim = nf_flow_dim(model->flow), size = nf_flow_context_size(model->flow);
    char **names = feature_names(model->record, dim), **given = context_names(model->record, size);
    model->target = target_on_record(model->flow, model->record);
    if (nf_flow_is_stochastic(model->flow)) nf_flow_set_target(model->flow, model->target);
    ad_status status = model->target ? site_columns(model->target, &model->features, error)
                                     : read_kinds(model->record, "kinds", path, dim, names, &model->features, error);
    if (!status && size > 0)
        status = read_kinds(model->record, "context_kinds", path, size, given, &model->conditions, error);
    ad_free(names);
    ad_free(given);
    if (status) model_close(model);
    return status;
}

void model_close(struct model *model)
{
    nf_columns_free(model->conditions);
    nf_columns_free(model->features);
    nf_target_free(model->target);
    json_decref(model->record);
    nf_flow_free(model->flow);
    *model = (struct model){0};
}

/* ---- What columns are ------------------------------------------------------------------------------------------ */

size_t columns_kept(const nf_columns *columns)
{
    size_t kept = 0;
    for (size_t c = 0; c < nf_columns_count(columns); c++)
        kept += nf_columns_column(columns, c)->kind != NF_COLUMN_DROPPED;
    return kept;
}

char **columns_names(const nf_columns *columns)
{
    size_t count = nf_columns_count(columns), filled = 0;
    char **names = count > 0 && nf_columns_column(columns, 0)->name ? ad_alloc(count, sizeof *names) : NULL;
    for (size_t c = 0; names && c < count; c++) {
        const nf_column *column = nf_columns_column(columns, c);
        /* Tables take names that they may write to. */
        if (column->kind != NF_COLUMN_DROPPED) names[filled++] = (char *)column->name;
    }
    return names;
}

/* Only real columns without states can be; of these a shift alone makes another feature, which zeros show. */
bool columns_plain(const nf_columns *columns)
{
    size_t count = nf_columns_count(columns);
    for (size_t c = 0; c < count; c++) {
        const nf_column *column = nf_columns_column(columns, c);
        if (column->kind != NF_COLUMN_REAL || column->features != 1 || column->missing > 0) return false;
    }
    double *zeros = ad_alloc(count, 2 * sizeof *zeros), *features = zeros ? zeros + count : NULL;
    nf_table table = {.rows = 1, .columns = count, .values = zeros, .dtype = AD_F64};
    bool plain = zeros && !nf_columns_encode(columns, &table, 0, 0, features, NULL, NULL);
    for (size_t c = 0; c < count && plain; c++) plain = features[c] == 0;
    ad_free(zeros);
    return plain;
}

ad_status columns_check_output(const nf_columns *columns, const char *path, ad_error *error)
{
    const char *dot = strrchr(path, '.');
    if (!dot || strcasecmp(dot, ".npy") != 0) return AD_OK;
    for (size_t c = 0; c < nf_columns_count(columns); c++) {
        const nf_column *column = nf_columns_column(columns, c);
        if (!column->labels || column->kind == NF_COLUMN_DROPPED) continue;
        char name[32];
        snprintf(name, sizeof name, "number %zu", c + 1);
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "%s: an array has no place for labels such as '%.100s' of column %.200s; name a .csv, .tsv "
                            "or .txt file",
                            path, column->labels[0], column->name ? column->name : name);
    }
    return AD_OK;
}

/* ---- Using them ------------------------------------------------------------------------------------------------- */

void write_briefly(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if ((double)(float)values[i] != values[i]) continue;
        char text[32];
        int digits = 5;
        do snprintf(text, sizeof text, "%.*g", ++digits, values[i]);
        while (digits < 9 && strtof(text, NULL) != (float)values[i]);
        values[i] = strtod(text, NULL);
    }
}

ad_status model_encode(const struct model *model, const nf_table *table, uint64_t seed, double *x, ad_pool *pool,
                       ad_error *error)
{
    return model->target ? nf_target_unconstrain(model->target, table->values, table->rows, x, NULL, pool, error)
                         : nf_columns_encode(model->features, table, seed, 0, x, NULL, error);
}

static ad_status decode_columns(const struct model *model, double *x, size_t rows, nf_table *table, ad_error *error)
{
    const ad_dtype dtype = nf_flow_dtype(model->flow);
    bool plain = columns_plain(model->features);
    /* Columns that are their features have no more digits then than these. */
    if (!plain && dtype == AD_F32) write_briefly(x, rows * nf_flow_dim(model->flow));
    ad_status status = nf_columns_decode(model->features, x, rows, table, error);
    /* What comes out of a map is no longer a number of the flow's dtype. */
    if (!status) table->dtype = plain ? dtype : AD_F64;
    if (!status) table->event = images_event(images_of_flow(model->flow));
    return status;
}

ad_status model_decode(const struct model *model, double *x, size_t rows, nf_table *table, ad_pool *pool,
                       ad_error *error)
{
    if (!model->target) return decode_columns(model, x, rows, table, error);
    *table = (nf_table){.rows = rows, .columns = nf_target_size(model->target), .dtype = AD_F64};
    table->values = ad_alloc(rows, table->columns * sizeof *table->values);
    table->names = columns_names(model->features);
    if (!table->values || !table->names) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu rows", rows);
    return nf_target_values(model->target, x, rows, table->values, pool, error);
}

ad_status model_sample(const struct model *model, const double *context, size_t first, size_t rows, uint64_t seed,
                       nf_table *table, ad_pool *pool, ad_error *error)
{
    if (json_object_get(model->record, "target")) {
        ad_status status = draw_samples(model->flow, context, model->record, first, rows, seed, table, pool, error);
        if (!status) table->names = feature_names(model->record, table->columns);
        return status;
    }
    *table = (nf_table){0};
    double *features = ad_alloc(rows, nf_flow_dim(model->flow) * sizeof *features);
    if (!features) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu samples", rows);
    ad_status status = nf_sample_part(model->flow, context, first, rows, seed, features, NULL, pool, error);
    if (!status) status = model_decode(model, features, rows, table, pool, error);
    ad_free(features);
    return status;
}

ad_status model_log_prob(const struct model *model, const nf_table *features, const double *context, double *log_prob,
                         ad_pool *pool, ad_error *error)
{
    ad_status status = model->target ? nf_vi_log_prob(model->flow, model->target, features->values, features->rows,
                                                      log_prob, pool, error)
                                     : nf_columns_log_prob(model->features, model->flow, context, features, 0,
                                                           score_noise, log_prob, pool, error);
    for (size_t r = 0; r < features->rows && !status; r++)
        if (isnan(log_prob[r]))
            status =
                ad_error_set(error, AD_ERROR_NUMERIC, "the log-density of row %zu is NaN", features->first_row + r + 1);
    return status;
}
