/* Annealed importance sampling for its own sake: draws, weights, and what they tell of Z. */
#include "vi/annealing.h"

#include <weir/ais.h>
#include <weir/environment.h>

#include <math.h>

enum { BLOCK = 1 << 16 }; /* most draws at a time */

static ad_status draw(nf__annealing *a, const nf_ais_options *o, double *x, double *log_weight, double *moved,
                      ad_error *error)
{
    const ad_dtype dtype = nf_flow_dtype(a->flow);
    const size_t dim = nf_flow_dim(a->flow);
    ad_status status = AD_OK;
    *moved = 0;
    for (size_t first = 0; first < o->draws && !status; first += a->rows) {
        const size_t rest = o->draws - first, rows = rest < a->rows ? rest : a->rows;
        const ad_run run = {.rows = rows, .seed = o->seed, .first_row = first, .pool = o->pool};
        status = nf__annealing_run(a, &run, 1, log_weight + first, error);
        if (status) break;
        if (x) ad_to_double(dtype, a->x, x + first * dim, rows * dim);
        *moved += a->moved * (double)rows / (double)o->draws;
    }
    return status;
}

static ad_status sum_up(const nf_target *target, const double *log_weight, size_t n, nf_ais_result *result,
                        ad_error *error)
{
    double most = -INFINITY, sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(log_weight[i]) || log_weight[i] == INFINITY)
            return ad_error_set(error, AD_ERROR_NUMERIC,
                                "target '%s': the log weight of draw %zu of %zu is %g; a log-density is -inf where "
                                "there is nothing, and never NaN or +inf",
                                target->name, i + 1, n, log_weight[i]);
        most = fmax(most, log_weight[i]);
    }
    if (most == -INFINITY)
        return ad_error_set(error, AD_ERROR_NUMERIC, "target '%s': its density is 0 at all %zu draws", target->name, n);
    for (size_t i = 0; i < n; i++) {
        const double w = exp(log_weight[i] - most);
        sum += w;
        squares += w * w;
    }
    const double mean = sum / (double)n, variance = (squares / (double)n - mean * mean) / (double)(n - 1);
    result->draws = n;
    result->log_z = most + log(mean);
    result->log_z_stderr = sqrt(fmax(variance, 0)) / mean;
    result->ess = sum * sum / squares;
    return AD_OK;
}

ad_status nf_ais(const nf_flow *flow, const nf_target *target, const nf_ais_options *options, double *x,
                 double *log_weight, nf_ais_result *result, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    nf_ais_result unwanted;
    ad_error own;
    if (!result) result = &unwanted;
    if (!error) error = &own;
    *result = (nf_ais_result){0, NAN, NAN, NAN, NAN};
    const char *missing = !flow ? "flow" : !target ? "target" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "ais: %s is NULL", missing);
    nf_ais_options o = options ? *options : (nf_ais_options){0};
    if (!o.draws) o.draws = 10000;
    if (!o.distributions) o.distributions = 10;
    if (o.draws < 2) return ad_error_set(error, AD_ERROR_ARGUMENT, "ais: expected 2 draws or more, got %zu", o.draws);
    nf__annealing a = {.flow = flow,
                       .target = target,
                       .transition = o.transition ? o.transition : "hmc",
                       .alpha = 1,
                       .distributions = o.distributions,
                       .rows = o.draws < BLOCK ? o.draws : BLOCK};
    double *weight = log_weight ? log_weight : ad_alloc(o.draws, sizeof *weight), moved;
    ad_status status = weight ? nf__annealing_open(&a, error)
                              : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu draws", o.draws);
    if (!status) status = draw(&a, &o, x, weight, &moved, error);
    if (!status) status = sum_up(target, weight, o.draws, result, error);
    if (!status) result->moved = moved;
    nf__annealing_close(&a);
    if (!log_weight) ad_free(weight);
    return status;
}
