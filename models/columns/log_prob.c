/* log p of rows: the mean over noise. */
#include "columns/encode.h"

#include <weir/environment.h>
#include <weir/memory.h>

#include <math.h>
#include <string.h>

enum { MOST_AT_ONCE = 16384, DRAWS = 64 }; /* points that the flow sees in one call; draws where nothing is said */

/* Some draws of some rows. Point i is draw i / rows of row i % rows. */
typedef struct {
    nf__values values;
    const nf_flow *flow;
    const double *context; /* of all rows */
    uint64_t seed, first_draw;
    size_t first_row, rows, draws, context_size;
    double *features, *point_context, *log_weight, *log_prob;
} block;

enum { POINTS_OF_A_JOB = 256 };

static void encode_points(void *at_block, size_t job, int worker)
{
    (void)worker;
    const block *at = at_block;
    const size_t size = at->values.columns->features, points = at->rows * at->draws;
    for (size_t i = job * POINTS_OF_A_JOB; i < points && i < (job + 1) * POINTS_OF_A_JOB; i++) {
        const size_t row = at->first_row + i % at->rows;
        at->log_weight[i] =
            nf__encode_row(&at->values, row, at->seed, at->first_draw + i / at->rows, at->features + i * size);
        if (at->context_size > 0)
            memcpy(at->point_context + i * at->context_size, at->context + row * at->context_size,
                   at->context_size * sizeof *at->context);
    }
}

/* log(e^a + e^b), NaN where either is. */
static double log_add_exp(double a, double b)
{
    if (a == -INFINITY) return b;
    if (b == -INFINITY) return a;
    return a > b ? a + log1p(exp(b - a)) : b + log1p(exp(a - b));
}

/* Add the block's terms to `sum` (all rows), which is -inf at first. */
static ad_status add_block(block *at, double *sum, ad_pool *pool, ad_error *error)
{
    const size_t points = at->rows * at->draws;
    ad_pool_run(pool, (points + POINTS_OF_A_JOB - 1) / POINTS_OF_A_JOB, encode_points, at);
    ad_status status = nf_log_prob(at->flow, at->features, at->context_size ? at->point_context : NULL, points,
                                   at->log_prob, pool, error);
    for (size_t i = 0; i < points && !status; i++) {
        /* Without a density there is nothing to ask the flow for. */
        double term = at->log_weight[i] == -INFINITY ? -INFINITY : at->log_prob[i] + at->log_weight[i];
        double *to = &sum[at->first_row + i % at->rows];
        *to = log_add_exp(*to, term);
    }
    return status;
}

static ad_status check(const nf_columns *columns, const nf_flow *flow, const double *context, ad_error *error)
{
    if (columns->context)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "these are columns of a context, which has no density");
    if (nf_flow_dim(flow) != columns->features)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "the columns have %zu features, but the flow has %zu",
                            columns->features, nf_flow_dim(flow));
    if (nf_flow_context_size(flow) > 0 && !context)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "the flow is conditioned on %zu numbers, which are needed",
                            nf_flow_context_size(flow));
    return AD_OK;
}

ad_status nf_columns_log_prob(const nf_columns *columns, const nf_flow *flow, const double *context,
                              const nf_table *table, size_t draws, uint64_t seed, double *log_prob, ad_pool *pool,
                              ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !columns ? "columns" : !flow ? "flow" : !table ? "table" : !log_prob ? "log_prob" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "columns: %s is NULL", missing);
    block at = {.flow = flow, .context = context, .seed = seed};
    ad_status status = check(columns, flow, context, error);
    if (status) return status;
    if (draws == 0) draws = DRAWS;
    if (columns->noise == 0) draws = 1;
    at.context_size = nf_flow_context_size(flow);
    status = nf__values_open(columns, table, &at.values, error);
    const size_t rows = status ? 0 : table->rows, most = rows < MOST_AT_ONCE ? rows : MOST_AT_ONCE;
    const size_t together = most == 0 || draws < MOST_AT_ONCE / most ? draws : MOST_AT_ONCE / most;
    const size_t points = most * together;
    at.features = ad_alloc(points * (columns->features + at.context_size + 2) + 1, sizeof *at.features);
    if (!status && !at.features) status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows", most);
    if (!status) {
        at.point_context = at.features + points * columns->features;
        at.log_weight = at.point_context + points * at.context_size;
        at.log_prob = at.log_weight + points;
    }
    for (size_t r = 0; r < rows; r++) log_prob[r] = -INFINITY;
    for (at.first_row = 0; at.first_row < rows && !status; at.first_row += most) {
        at.rows = rows - at.first_row < most ? rows - at.first_row : most;
        for (at.first_draw = 0; at.first_draw < draws && !status; at.first_draw += together) {
            size_t rest = draws - (size_t)at.first_draw;
            at.draws = rest < together ? rest : together;
            status = add_block(&at, log_prob, pool, error);
        }
    }
    if (columns->noise > 0)
        for (size_t r = 0; r < rows && !status; r++) log_prob[r] -= log((double)draws);
    ad_free(at.features);
    nf__values_close(&at.values);
    return status;
}
