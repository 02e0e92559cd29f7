/* Scores of a variational fit, by fresh draws: the ELBO, and what importance weights tell. */
#include "ranks/ranks.h"
#include "vi/inference.h"

#include <weir/environment.h>
#include <weir/psis.h>

#include <math.h>

/* Draws of a step have smaller numbers. */
static const uint64_t score_step = UINT32_MAX;

/* A plan for log p - log q of draws and, with `values`, for their sites on the user's scale. */
static ad_plan *plan_of(const nf_flow *flow, const nf_target *target, bool values, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var log_q, x = nf_flow_record_sample(&at, &log_q), out[2];
    out[0] = ad_to_rows(ad_sub(nf_target_log_density(target, x), log_q));
    if (values) out[1] = ad_to_rows(nf_target_constrain(target, x));
    ad_plan *plan = ad_plan_new(out, values ? 2 : 1, &(ad_plan_options){.dtype = nf_flow_dtype(flow)}, error);
    if (plan) nf_flow_bind_plan(&at, plan);
    ad_tape_free(tape);
    return plan;
}

enum { BLOCK = 1 << 16 };          /* most draws between two looks at whether to stop: more keeps every thread busy */
static const double prompt = 0.05; /* seconds; of a target that takes its time there are fewer */

static ad_status check_weights(const nf_target *target, const double *log_weight, size_t draws, ad_error *error)
{
    for (size_t i = 0; i < draws; i++)
        if (isnan(log_weight[i]) || log_weight[i] == INFINITY)
            return ad_error_set(
                error, AD_ERROR_NUMERIC,
                "target '%s': log p - log q of draw %zu of %zu from the flow is %g; a log-density is "
                "-inf where there is nothing, and never NaN or +inf: declare the sites' constraints, or "
                "mend it",
                target->name, i + 1, draws, log_weight[i]);
    return AD_OK;
}

/* log_weights [draws] and, unless NULL, values [draws][nf_target_size()]; *stopped where they aren't complete. */
static ad_status weigh(const nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, double *log_weights,
                       double *values, nf__vi_stop stop, bool *stopped, ad_pool *pool, ad_error *error)
{
    const ad_dtype dtype = nf_flow_dtype(flow);
    const size_t size = values ? nf_target_size(target) : 0, element = ad_dtype_size(dtype);
    char *drawn = ad_alloc_aligned(draws, (1 + size) * element), *drawn_values = drawn ? drawn + draws * element : NULL;
    ad_plan *plan = drawn ? plan_of(flow, target, values != NULL, error) : NULL;
    ad_status status = !drawn  ? ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu draws", draws)
                       : !plan ? error->status
                               : AD_OK;
    /* Tiles are those of a single run, so that the numbers are, too. */
    const size_t tile = status == AD_OK ? ad_plan_tile_rows(plan) : 1;
    /* Others may be asked where this rank isn't. */
    const size_t ranks = (size_t)nf__ranks(pool), whole = (BLOCK + tile - 1) / tile * tile;
    size_t block = stop.interrupted || ranks > 1 ? ranks * tile : whole, rows = 0;
    double begun = 0, now = 0;
    *stopped = false;
    if (status == AD_OK) status = nf__agree(pool, NULL, &begun, error);
    for (size_t done = 0; done < draws && status == AD_OK && !*stopped; done += rows, begun = now) {
        rows = draws - done < block ? draws - done : block;
        const ad_run run = {.rows = rows, .seed = seed, .step = score_step, .first_row = done, .pool = pool};
        ad_plan_set_output(plan, 0, drawn + done * element);
        if (values) ad_plan_set_output(plan, 1, drawn_values + done * size * element);
        status = ad_plan_run(plan, &run, error);
        *stopped = done + rows < draws && nf__vi_stops(stop);
        if (status == AD_OK) status = nf__agree(pool, stopped, &now, error);
        if (block < BLOCK && now - begun < prompt) block *= 2;
    }
    if (status == AD_OK) {
        ad_to_double(dtype, drawn, log_weights, draws);
        ad_to_double(dtype, drawn_values, values, draws * size);
        if (!*stopped) status = check_weights(target, log_weights, draws, error);
    }
    ad_plan_free(plan);
    ad_free_aligned(drawn);
    return status;
}

static void elbo_of(const double *log_w, size_t n, nf_vi_score *score)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += log_w[i];
    score->elbo = sum / (double)n;
    for (size_t i = 0; i < n; i++) squares += (log_w[i] - score->elbo) * (log_w[i] - score->elbo);
    score->elbo_stderr = sqrt(squares / ((double)n - 1) / (double)n);
}

/* Of smoothed weights. */
static void importance_of(const double *log_w, size_t n, nf_vi_score *score)
{
    double most = -INFINITY, sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, log_w[i]);
    for (size_t i = 0; i < n; i++) {
        double w = isfinite(most) ? exp(log_w[i] - most) : 0;
        sum += w;
        squares += w * w;
    }
    score->log_z = isfinite(most) ? most + log(sum / (double)n) : -INFINITY;
    score->ess = sum > 0 ? sum * sum / squares : 0;
}

ad_status nf__vi_evaluate(const nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, nf_vi_score *score,
                          nf__vi_stop stop, ad_pool *pool, ad_error *error)
{
    bool stopped = false;
    *score = (nf_vi_score){draws, NAN, NAN, NAN, NAN, NAN};
    if (draws < 2) return ad_error_set(error, AD_ERROR_ARGUMENT, "scores: expected 2 draws or more, got %zu", draws);
    double *log_w = ad_alloc(draws, sizeof *log_w);
    ad_status status = log_w ? weigh(flow, target, draws, seed, log_w, NULL, stop, &stopped, pool, error)
                             : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu draws", draws);
    if (stopped) score->draws = 0;
    if (status == AD_OK && !stopped) {
        elbo_of(log_w, draws, score);
        status = nf_psis(log_w, draws, &score->khat, error);
    }
    if (status == AD_OK && !stopped) importance_of(log_w, draws, score);
    ad_free(log_w);
    return status;
}

ad_status nf_vi_evaluate(const nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, nf_vi_score *score,
                         ad_pool *pool, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !flow ? "flow" : !target ? "target" : !score ? "score" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "vi: %s is NULL", missing);
    ad_error own;
    return nf__vi_evaluate(flow, target, draws, seed, score, (nf__vi_stop){NULL}, pool, error ? error : &own);
}

/* ---- Moments ------------------------------------------------------------------------------------------------- */

/* Log weights to weights that add up to 1. */
static void normalize(double *w, size_t n)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, w[i]);
    for (size_t i = 0; i < n; i++) sum += w[i] = exp(w[i] - most);
    for (size_t i = 0; i < n; i++) w[i] /= sum;
}

/* Errors of self-normalised estimates: Owen 2013, "Monte Carlo theory, methods and examples", section 9.2. */
static nf_vi_moments moments_of(const double *w, const double *x, size_t n, size_t stride)
{
    double mean = 0, variance = 0, error_mean = 0, error_variance = 0;
    for (size_t i = 0; i < n; i++) mean += w[i] * x[i * stride];
    for (size_t i = 0; i < n; i++) variance += w[i] * (x[i * stride] - mean) * (x[i * stride] - mean);
    for (size_t i = 0; i < n; i++) {
        double square = (x[i * stride] - mean) * (x[i * stride] - mean);
        error_mean += w[i] * w[i] * square;
        error_variance += w[i] * w[i] * (square - variance) * (square - variance);
    }
    double error_sd = variance > 0 ? sqrt(error_variance / variance) / 2 : sqrt(error_variance);
    return (nf_vi_moments){mean, sqrt(variance), sqrt(error_mean), error_sd};
}

ad_status nf__vi_summarize(const nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed,
                           nf_vi_moments *moments, double *khat, nf__vi_stop stop, bool *stopped, ad_pool *pool,
                           ad_error *error)
{
    const size_t size = nf_target_size(target);
    *stopped = false;
    if (draws < 2) return ad_error_set(error, AD_ERROR_ARGUMENT, "moments: expected 2 draws or more, got %zu", draws);
    double *w = ad_alloc(draws, sizeof *w), *x = ad_alloc(draws, size * sizeof *x);
    ad_status status = w && x ? weigh(flow, target, draws, seed, w, x, stop, stopped, pool, error)
                              : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu draws", draws);
    if (status == AD_OK && !*stopped) status = nf_psis(w, draws, khat, error);
    if (status == AD_OK && !*stopped) {
        normalize(w, draws);
        for (size_t i = 0; i < size; i++) moments[i] = moments_of(w, x + i, draws, size);
    }
    ad_free(x);
    ad_free(w);
    return status;
}

ad_status nf_vi_summarize(const nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed,
                          nf_vi_moments *moments, double *khat, ad_pool *pool, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !flow ? "flow" : !target ? "target" : !moments ? "moments" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "vi: %s is NULL", missing);
    ad_error own;
    bool stopped;
    return nf__vi_summarize(flow, target, draws, seed, moments, khat, (nf__vi_stop){NULL}, &stopped, pool,
                            error ? error : &own);
}

/* ---- Log-densities on the user's scale ------------------------------------------------------------------------- */

ad_status nf_vi_log_prob(const nf_flow *flow, const nf_target *target, const double *value, size_t rows,
                         double *log_prob, ad_pool *pool, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !flow               ? "flow"
                          : !target           ? "target"
                          : rows && !value    ? "value"
                          : rows && !log_prob ? "log_prob"
                                              : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "vi: %s is NULL", missing);
    ad_error own;
    const size_t dim = nf_target_dim(target);
    if (!error) error = &own;
    if (nf__vi_check_sizes(flow, target, error)) return error->status;
    double *z = ad_alloc(rows, (dim + 1) * sizeof *z), *log_det = z ? z + rows * dim : NULL;
    ad_status status = z ? nf_target_unconstrain(target, value, rows, z, log_det, pool, error)
                         : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu log-densities", rows);
    /* Whatever the flow makes of a row without z, its density is known. */
    for (size_t r = 0; r < rows && !status; r++)
        for (size_t j = 0; j < dim && log_det[r] == INFINITY; j++) z[r * dim + j] = 0;
    if (!status) status = nf_log_prob(flow, z, NULL, rows, log_prob, pool, error);
    for (size_t r = 0; r < rows && !status; r++) log_prob[r] -= log_det[r];
    ad_free(z);
    return status;
}
