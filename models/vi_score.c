/* Scores of a variational fit, by fresh draws: the ELBO, and what importance weights tell. */
#include "models.h"

#include <math.h>

/* Draws of a step have smaller numbers. */
static const uint64_t score_step = UINT32_MAX;

/* log p - log q of fresh draws, in the flow's dtype. */
static ad_status weigh(nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, void *log_weights,
                       ad_pool *pool, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    if (!tape) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a tape");
    nf_flow_bind(flow, tape);
    ad_var log_q, x = nf_flow_record_sample(flow, tape, &log_q);
    ad_var log_w = ad_to_rows(ad_sub(nf_target_log_density(target, x), log_q));
    ad_plan *plan = ad_plan_new(&log_w, 1, &(ad_plan_options){.dtype = nf_flow_dtype(flow)}, error);
    ad_tape_free(tape);
    if (!plan) return error->status;
    nf_flow_bind_plan(flow, plan);
    ad_plan_set_output(plan, 0, log_weights);
    ad_status status =
        ad_plan_run(plan, &(ad_run){.rows = draws, .seed = seed, .step = score_step, .pool = pool}, error);
    ad_plan_free(plan);
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

ad_status nf_vi_evaluate(nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, nf_vi_score *score,
                         ad_pool *pool, ad_error *error)
{
    ad_error own;
    if (!error) error = &own;
    *score = (nf_vi_score){draws, NAN, NAN, NAN, NAN, NAN};
    if (draws < 2) return ad_error_set(error, AD_ERROR_ARGUMENT, "scores: expected 2 draws or more, got %zu", draws);
    bool f32 = nf_flow_dtype(flow) == AD_F32;
    double *log_w = ad_alloc(draws, sizeof *log_w);
    float *narrow = ad_alloc(f32 ? draws : 0, sizeof *narrow);
    ad_status status = log_w && narrow ? weigh(flow, target, draws, seed, f32 ? (void *)narrow : log_w, pool, error)
                                       : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu draws", draws);
    if (status == AD_OK) {
        for (size_t i = 0; f32 && i < draws; i++) log_w[i] = (double)narrow[i];
        elbo_of(log_w, draws, score);
        status = nf_psis(log_w, draws, &score->khat, error);
    }
    if (status == AD_OK) importance_of(log_w, draws, score);
    ad_free(narrow);
    ad_free(log_w);
    return status;
}
