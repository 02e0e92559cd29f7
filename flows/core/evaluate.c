/* Evaluating a flow: log_prob, sample, forward and inverse, each by a plan that is kept for the next call. */
#include "core/evaluations.h"
#include "core/flow.h"

#include <weir/environment.h>
#include <weir/stochastic.h>

/* ---- Recording ------------------------------------------------------------------------------------------------- */

static int record_log_prob(const nf_flow_scope *at, ad_tape *tape, ad_var *in, ad_var out[2])
{
    *in = ad_input(tape, "x", AD_SHAPE(nf_flow_dim(at->flow)));
    out[0] = nf_flow_record_log_prob(at, *in);
    return 1;
}

static int record_sample(const nf_flow_scope *at, ad_tape *tape, ad_var *in, ad_var out[2])
{
    *in = (ad_var){tape, -1};
    out[0] = nf_flow_record_sample(at, &out[1]);
    return 2;
}

static int record_forward(const nf_flow_scope *at, ad_tape *tape, ad_var *in, ad_var out[2])
{
    *in = ad_input(tape, "z", AD_SHAPE(nf_flow_dim(at->flow)));
    out[0] = nf_forward(at->bijector, *in, &out[1]);
    return 2;
}

static int record_inverse(const nf_flow_scope *at, ad_tape *tape, ad_var *in, ad_var out[2])
{
    *in = ad_input(tape, "x", AD_SHAPE(nf_flow_dim(at->flow)));
    out[0] = nf_inverse(at->bijector, *in, &out[1]);
    return 2;
}

static ad_status compile(const nf_flow *flow, int which, nf__evaluation *e, ad_tape *tape, ad_error *error)
{
    static int (*const record[NF_EVALUATIONS])(const nf_flow_scope *, ad_tape *, ad_var *,
                                               ad_var[2]) = {[NF__LOG_PROB] = record_log_prob,
                                                             [NF__SAMPLE] = record_sample,
                                                             [NF__FORWARD] = record_forward,
                                                             [NF__INVERSE] = record_inverse};
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var out[2];
    int outputs = record[which](&at, tape, &e->in, out);
    e->context = nf_context(at.bijector);
    for (int i = 0; i < outputs; i++) out[i] = ad_to_rows(out[i]);
    ad_error own;
    if (!error) error = &own;
    e->plan = ad_plan_new(out, outputs, &(ad_plan_options){.dtype = flow->dtype}, error);
    if (!e->plan) return error->status;
    nf_flow_bind_plan(&at, e->plan);
    return AD_OK;
}

static nf__evaluation *make(const nf_flow *flow, int which, ad_status *status, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    nf__evaluation *e = ad_alloc(1, sizeof *e);
    *status =
        e ? compile(flow, which, e, tape, error) : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a plan");
    ad_tape_free(tape);
    if (*status == AD_OK) return e;
    ad_free(e);
    return NULL;
}

/* ---- Evaluation ---------------------------------------------------------------------------------------------- */

/* The arrays of an evaluation, float64, one row after the other; those that aren't wanted or needed are NULL. */
typedef struct {
    const double *in, *context;
    size_t rows;
    uint64_t seed, first; /* of noise */
    double *vector, *scalar;
} arrays;

/* Arrays of float64 outside, of the flow's dtype inside: converted a chunk of rows at a time, so that memory stays
 * bounded. A row's result doesn't depend on its chunk. */
static ad_status evaluate_rows(const nf_flow *flow, int which, const arrays *a, ad_pool *pool, ad_error *error)
{
    enum { CHUNK = 65536 };
    size_t dim = nf_flow_dim(flow), context = nf_flow_context_size(flow), size = ad_dtype_size(nf_flow_dtype(flow));
    if (which != NF__SAMPLE && !a->in && a->rows)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "expected %zu rows of %zu numbers, got NULL for x (in)", a->rows,
                            dim);
    if (context && !a->context)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "this flow is conditional: expected a context of %zu numbers a row", context);
    size_t most = a->rows < CHUNK ? a->rows : CHUNK;
    char *buffer = ad_alloc_aligned(most, (2 * dim + context + 1) * size);
    if (!buffer) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to evaluate %zu rows", a->rows);
    ad_status status = AD_OK;
    nf__evaluation *e = nf__evaluations_take(flow->evaluations, which);
    if (!e) e = make(flow, which, &status, error);
    if (!e) {
        ad_free_aligned(buffer);
        return status;
    }
    char *vector_buffer = buffer + most * dim * size, *context_buffer = vector_buffer + most * dim * size;
    char *scalar_buffer = context_buffer + most * context * size;
    ad_plan_set_input(e->plan, e->in, buffer);
    ad_plan_set_input(e->plan, e->context, context_buffer);
    ad_plan_set_output(e->plan, 0, which == NF__LOG_PROB ? scalar_buffer : vector_buffer);
    ad_plan_set_output(e->plan, 1, which != NF__LOG_PROB && a->scalar ? scalar_buffer : NULL);
    for (size_t first = 0; first < a->rows && status == AD_OK; first += CHUNK) {
        size_t n = a->rows - first < CHUNK ? a->rows - first : CHUNK;
        if (a->in) ad_from_double(flow->dtype, a->in + first * dim, buffer, n * dim);
        if (context) ad_from_double(flow->dtype, a->context + first * context, context_buffer, n * context);
        ad_run run = {.rows = n, .seed = a->seed, .first_row = a->first + first, .pool = pool};
        status = ad_plan_run(e->plan, &run, error);
        if (status == AD_OK && a->vector) ad_to_double(flow->dtype, vector_buffer, a->vector + first * dim, n * dim);
        if (status == AD_OK && a->scalar) ad_to_double(flow->dtype, scalar_buffer, a->scalar + first, n);
    }
    nf__evaluations_give_back(flow->evaluations, which, e);
    ad_free_aligned(buffer);
    return status;
}

ad_status nf__flow_enter(const nf_flow *flow, ad_error *error)
{
    if (!flow)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "expected a flow, got NULL: was the making of it checked?");
    if (!nf__evaluations_enter(flow->evaluations))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "another thread is training this flow: evaluate it afterwards");
    return AD_OK;
}

static ad_status evaluate(const nf_flow *flow, int which, const arrays *a, ad_pool *pool, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    ad_status status = nf__flow_enter(flow, error);
    if (status) return status;
    status = evaluate_rows(flow, which, a, pool, error);
    nf__evaluations_leave(flow->evaluations);
    return status;
}

ad_status nf_flow_begin_training(nf_flow *flow, ad_error *error)
{
    if (!flow) return ad_error_set(error, AD_ERROR_ARGUMENT, "train: flow is NULL: was the making of it checked?");
    if (nf__evaluations_begin_training(flow->evaluations)) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "this flow is being trained, or evaluated in another thread: train it afterwards, or a copy");
}

void nf_flow_end_training(nf_flow *flow)
{
    if (flow) nf__evaluations_end_training(flow->evaluations);
}

ad_status nf_log_prob(const nf_flow *flow, const double *x, const double *context, size_t rows, double *log_prob,
                      ad_pool *pool, ad_error *error)
{
    arrays a = {.in = x, .context = context, .rows = rows, .scalar = log_prob};
    return evaluate(flow, NF__LOG_PROB, &a, pool, error);
}

ad_status nf_sample(const nf_flow *flow, const double *context, size_t rows, uint64_t seed, double *x, double *log_prob,
                    ad_pool *pool, ad_error *error)
{
    return nf_sample_part(flow, context, 0, rows, seed, x, log_prob, pool, error);
}

ad_status nf_sample_part(const nf_flow *flow, const double *context, uint64_t first, size_t rows, uint64_t seed,
                         double *x, double *log_prob, ad_pool *pool, ad_error *error)
{
    arrays a = {.context = context, .rows = rows, .seed = seed, .first = first, .vector = x, .scalar = log_prob};
    return evaluate(flow, NF__SAMPLE, &a, pool, error);
}

ad_status nf_transform(const nf_flow *flow, bool inverse, const double *in, const double *context, size_t rows,
                       double *out, double *log_det, ad_pool *pool, ad_error *error)
{
    arrays a = {.in = in, .context = context, .rows = rows, .vector = out, .scalar = log_det};
    if (nf_flow_is_stochastic(flow))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "transform: this flow has steps that draw, by which a z goes to many x");
    return evaluate(flow, inverse ? NF__INVERSE : NF__FORWARD, &a, pool, error);
}
