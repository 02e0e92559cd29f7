/* What a fit's record tells of the rows. */
#include "scores.h"
#include "outliers.h"
#include "ranks.h"
#include "report.h"

#include <math.h>

/* Who has sent a signal may soon send KILL: what is to be saved then doesn't wait for more rows than IN_HASTE. */
enum { MOST_QUANTILE_ROWS = 20000, QUANTILE_DRAWS = 8, IN_HASTE = 1000 };

static void shift(json_t *losses, double offset)
{
    const json_t *loss;
    size_t i;
    json_array_foreach(losses, i, loss)
    {
        if (json_is_number(loss)) json_array_set_new(losses, i, report_number(json_number_value(loss) - offset));
    }
}

static void shift_member(json_t *record, const char *name, double offset)
{
    json_t *loss = json_object_get(record, name);
    if (json_is_number(loss)) json_object_set_new(record, name, report_number(json_number_value(loss) - offset));
}

/* Mean and standard error, with weights: of Σ w a / Σ w, by the delta method. What has weight 0 may be infinite. */
static void mean_of(const double *value, const double *weight, size_t count, double *mean, double *standard_error)
{
    double sum = 0, all = 0, squares = 0;
    size_t counted = 0;
    for (size_t i = 0; i < count; i++) {
        double w = weight ? weight[i] : 1;
        if (w == 0) continue;
        sum += w * value[i];
        all += w;
        counted++;
    }
    *mean = sum / all;
    for (size_t i = 0; i < count; i++) {
        double w = weight ? weight[i] : 1, off = w > 0 ? w * (value[i] - *mean) : 0;
        squares += off * off;
    }
    *standard_error = counted > 1 ? sqrt(squares * (double)counted / (double)(counted - 1)) / all : NAN;
}

static void put_validation(json_t *record, const double *log_prob, const double *weight, size_t count)
{
    double mean, standard_error;
    mean_of(log_prob, weight, count, &mean, &standard_error);
    json_object_set_new(record, "val_nll", report_number(-mean));
    json_object_set_new(record, "val_nll_stderr", report_number(standard_error));
}

/* The validation rows, of all draws of noise. */
static void score_validation(json_t *record, const struct rows *rows, const nf_flow *flow, ad_pool *pool)
{
    const struct training_data *data = rows->data;
    const struct points *own = data->validation;
    size_t count = own ? own->features.rows : 0;
    uint32_t *number = own ? NULL : rows_numbers(rows, false, SIZE_MAX, &count);
    double *log_prob = count > 0 ? ad_alloc(count, 2 * sizeof *log_prob) : NULL;
    double *weight = log_prob ? log_prob + count : NULL;
    for (size_t i = 0; weight && i < count; i++)
        weight[i] = own ? rows_val_weight(rows, i) : data->weights ? data->weights[number[i]] : 1;
    ad_error unwanted;
    if (log_prob && !(own ? nf_columns_log_prob(data->features, flow, own->context, &own->features, 0, score_noise,
                                                log_prob, pool, &unwanted)
                          : rows_score(rows, flow, number, count, 0, log_prob, pool, &unwanted)))
        put_validation(record, log_prob, weight, count);
    ad_free(log_prob);
    ad_free(number);
}

void scores_tell_quantiles(json_t *record, const struct rows *rows, const nf_flow *flow, ad_pool *pool)
{
    size_t count;
    uint32_t *number = rows_numbers(rows, true, ranks_interrupt() ? IN_HASTE : MOST_QUANTILE_ROWS, &count);
    double *log_prob = number ? ad_alloc(count, sizeof *log_prob) : NULL;
    ad_error unwanted;
    if (log_prob && !rows_score(rows, flow, number, count, QUANTILE_DRAWS, log_prob, pool, &unwanted)) {
        json_t *quantiles = outliers_quantiles(log_prob, count);
        if (quantiles) json_object_set_new(record, "log_prob_quantiles", quantiles);
    }
    ad_free(log_prob);
    ad_free(number);
}

void scores_tell(json_t *record, const struct rows *rows, bool by_likelihood, const nf_flow *flow, ad_pool *pool)
{
    if (!by_likelihood) json_object_del(record, "train_nll");
    if (!rows->plain && by_likelihood) {
        json_t *history = json_object_get(record, "history");
        double train = rows_offset(rows, true), val = rows_offset(rows, false);
        shift(json_object_get(history, "train_nll"), train);
        shift(json_object_get(history, "val_nll"), val);
        shift_member(record, "train_nll", train);
        shift_member(record, "val_nll", val);
    }
    if (!rows->plain && !ranks_interrupt()) score_validation(record, rows, flow, pool);
    scores_tell_quantiles(record, rows, flow, pool);
}
