/* Rows of tables as a fit takes them. */
#include "rows.h"
#include "report.h"

#include <math.h>
#include <string.h>

static ad_status out_of_memory(size_t rows, ad_error *error)
{
    return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu rows to fit to", rows);
}

/* ---- Making them ----------------------------------------------------------------------------------------------- */

static ad_status encode(const nf_columns *columns, const nf_table *table, uint64_t seed, double **x,
                        double **log_weight, ad_error *error)
{
    *x = ad_alloc(table->rows, nf_columns_features(columns) * sizeof **x);
    if (log_weight) *log_weight = ad_alloc(table->rows, sizeof **log_weight);
    if (!*x || (log_weight && !*log_weight)) return out_of_memory(table->rows, error);
    return nf_columns_encode(columns, table, seed, 0, *x, log_weight ? *log_weight : NULL, error);
}

/* A row with a label that training has not, say, has density 0 under every flow. It is told, and takes no part. */
static ad_status weigh_validation(struct rows *rows, ad_error *error)
{
    const double *given = rows->data->validation_weights;
    const size_t count = rows->data->validation->features.rows;
    size_t impossible = 0;
    double sum = 0;
    for (size_t r = 0; r < count; r++) impossible += rows->val_log_weight[r] == -INFINITY;
    if (!given && impossible == 0) return AD_OK;
    rows->val_weights = ad_alloc(count, sizeof *rows->val_weights);
    if (!rows->val_weights) return out_of_memory(count, error);
    for (size_t r = 0; r < count; r++)
        sum += rows->val_weights[r] = rows->val_log_weight[r] == -INFINITY ? 0 : given ? given[r] : 1;
    if (!(sum > 0))
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "--validation: no row is left to validate with: each has weight 0, or a value that is "
                            "impossible by the rows to fit");
    if (impossible > 0)
        warn("--validation: %zu row%s density 0 under any flow, and %s left out of the scores", impossible,
             impossible > 1 ? "s have" : " has", impossible > 1 ? "are" : "is");
    return AD_OK;
}

ad_status rows_make(const struct training_data *data, uint64_t seed, struct rows *rows, ad_error *error)
{
    *rows = (struct rows){.data = data,
                          .seed = seed + score_noise,
                          .plain = !data->features || columns_plain(data->features),
                          .trained = ad_alloc(data->table->rows, sizeof *rows->trained)};
    ad_status status = rows->trained ? AD_OK : out_of_memory(data->table->rows, error);
    if (!status && !rows->plain)
        status = encode(data->features, data->table, rows->seed, &rows->encoded, &rows->log_weight, error);
    if (!status && data->validation)
        status = encode(data->features, &data->validation->features, ~rows->seed, &rows->val_x, &rows->val_log_weight,
                        error);
    if (!status && data->validation) status = weigh_validation(rows, error);
    if (!status && data->given) status = encode(data->given, data->conditions, 0, &rows->context, NULL, error);
    if (status) {
        rows_free(rows);
        return status;
    }
    rows->x = rows->plain ? data->table->values : rows->encoded;
    if (rows->plain || data->streamed) memset(rows->trained, true, data->table->rows);
    return AD_OK;
}

void rows_free(struct rows *rows)
{
    ad_free(rows->encoded);
    ad_free(rows->context);
    ad_free(rows->log_weight);
    ad_free(rows->val_x);
    ad_free(rows->val_log_weight);
    ad_free(rows->val_weights);
    ad_free(rows->trained);
    *rows = (struct rows){0};
}

/* ---- Some of them ---------------------------------------------------------------------------------------------- */

/* These rows of a table as one of its own; names and labels are the other's. Only the values are to be freed. */
static ad_status select_rows(const nf_table *from, const uint32_t *number, size_t count, nf_table *to, ad_error *error)
{
    *to = *from;
    to->rows = count;
    to->values = ad_alloc(count, from->columns * sizeof *to->values);
    if (!to->values) return out_of_memory(count, error);
    for (size_t r = 0; r < count; r++)
        memcpy(to->values + r * from->columns, from->values + number[r] * from->columns,
               from->columns * sizeof *to->values);
    return AD_OK;
}

/* Rows always come together in the same order, so that the first and the place behind it tell a row's noise as well as
 * its number would. */
void rows_redraw(struct rows *rows, size_t epoch, const uint32_t *row, size_t count, double *x)
{
    const nf_columns *columns = rows->data->features;
    size_t features = nf_columns_features(columns);
    for (size_t i = 0; i < count; i++) {
        rows->trained[row[i]] = true;
        memcpy(x + i * features, rows->x + row[i] * features, features * sizeof *x);
    }
    nf_table some;
    if (count == 0 || !nf_columns_noisy(columns) || select_rows(rows->data->table, row, count, &some, NULL)) return;
    uint64_t seed = rows->seed + (uint64_t)(row[0] + 1) * UINT64_C(0x9e3779b97f4a7c15);
    nf_columns_encode(columns, &some, seed, epoch, x, NULL, NULL);
    ad_free(some.values);
}

static double weight_of(const struct rows *rows, size_t r)
{
    return rows->data->weights ? rows->data->weights[r] : 1;
}

double rows_val_weight(const struct rows *rows, size_t r)
{
    return rows->val_weights ? rows->val_weights[r] : 1;
}

double rows_offset(const struct rows *rows, bool trained)
{
    double sum = 0, all = 0;
    const bool own = !trained && rows->val_x;
    const double *log_weight = own ? rows->val_log_weight : rows->log_weight;
    size_t count = own ? rows->data->validation->features.rows : rows->data->table->rows;
    for (size_t r = 0; log_weight && r < count; r++) {
        double weight = own ? rows_val_weight(rows, r) : weight_of(rows, r);
        if (!(weight > 0) || (!own && !rows->data->streamed && rows->trained[r] != trained)) continue;
        sum += weight * log_weight[r];
        all += weight;
    }
    return all > 0 ? sum / all : 0;
}

uint32_t *rows_numbers(const struct rows *rows, bool trained, size_t most, size_t *count)
{
    size_t all = rows->data->table->rows, filled = 0;
    uint32_t *number = ad_alloc(all, sizeof *number);
    for (size_t r = 0; number && r < all; r++)
        if (rows->trained[r] == trained && weight_of(rows, r) > 0) number[filled++] = (uint32_t)r;
    *count = filled < most ? filled : most;
    for (size_t i = 0; number && filled > most && i < most; i++)
        number[i] = number[(size_t)((double)i / (double)most * (double)filled)];
    return number;
}

ad_status rows_score(const struct rows *rows, const nf_flow *flow, const uint32_t *number, size_t count, size_t draws,
                     double *log_prob, ad_pool *pool, ad_error *error)
{
    const struct training_data *data = rows->data;
    const size_t size = nf_flow_context_size(flow);
    nf_table some = {0};
    double *context = rows->context ? ad_alloc(count, size * sizeof *context) : NULL;
    ad_status status =
        rows->context && !context ? out_of_memory(count, error) : select_rows(data->table, number, count, &some, error);
    for (size_t i = 0; context && i < count; i++)
        memcpy(context + i * size, rows->context + number[i] * size, size * sizeof *context);
    if (!status)
        status = data->features ? nf_columns_log_prob(data->features, flow, context, &some, draws, score_noise,
                                                      log_prob, pool, error)
                                : nf_log_prob(flow, some.values, context, count, log_prob, pool, error);
    ad_free(context);
    ad_free(some.values);
    return status;
}
