/* Gradients of what a flow evaluates to, for those who train it inside something else: one plan gives values and
 * gradients, and is kept for the next call. */
#include "core/evaluations.h"
#include "core/flow.h"

#include <weir/environment.h>

/* The arrays of a call, float64, one row after the other; those that aren't wanted or needed are NULL. */
typedef struct {
    const double *x, *context, *x_weight, *weight;
    size_t rows;
    uint64_t seed;
    double *log_prob, *x_gradient, *context_gradient, *parameter_gradient;
} arrays;

/* Outputs of the plan; of the draws there is no gradient. Behind them are the gradients of the trained parameters. */
enum { LOG_PROB, X_GRADIENT, CONTEXT_GRADIENT, PARAMETERS };

/* ---- Recording ------------------------------------------------------------------------------------------------- */

/* Σ weights × results of a row, of which the gradient is wanted. */
static ad_var record(const nf_flow_scope *at, int which, nf__evaluation *e, ad_var *log_prob)
{
    const ad_shape event = AD_SHAPE(nf_flow_dim(at->flow));
    e->weight = ad_input(at->tape, "weight", AD_SCALAR);
    if (which == NF__LOG_PROB_GRADIENT) {
        e->in = ad_input(at->tape, "x", event);
        *log_prob = nf_flow_record_log_prob(at, e->in);
        return ad_mul(e->weight, *log_prob);
    }
    e->in = ad_input(at->tape, "x_weight", event);
    const ad_var x = nf_flow_record_sample(at, log_prob);
    return ad_add(ad_sum(ad_mul(e->in, x)), ad_mul(e->weight, *log_prob));
}

static ad_status compile(const nf_flow *flow, int which, nf__evaluation *e, ad_tape *tape, ad_error *error)
{
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    const size_t trained = nf_flow_trained_parameters(flow);
    ad_var *wrt = ad_tape_alloc(tape, PARAMETERS + trained, sizeof *wrt);
    ad_var *out = ad_tape_alloc(tape, PARAMETERS + trained, sizeof *out);
    if (!wrt || !out) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the gradient of a flow");
    ad_var log_prob;
    const ad_var y = record(&at, which, e, &log_prob);
    /* Where there are no draws of x's own, or no context, its place is taken by the weights, whose gradient nobody
     * wants. */
    e->context = nf_context(at.bijector);
    wrt[LOG_PROB] = e->weight;
    wrt[X_GRADIENT] = which == NF__LOG_PROB_GRADIENT ? e->in : e->weight;
    wrt[CONTEXT_GRADIENT] = ad_is_valid(e->context) ? e->context : e->weight;
    for (size_t i = 0; i < trained; i++) wrt[PARAMETERS + i] = nf_flow_bound_parameter(&at, i).var;
    ad_grad(y, wrt, (int)(PARAMETERS + trained), out);
    out[LOG_PROB] = log_prob;
    for (int i = 0; i < PARAMETERS; i++) out[i] = ad_to_rows(out[i]);
    e->plan = ad_plan_new(out, (int)(PARAMETERS + trained), &(ad_plan_options){.dtype = flow->dtype}, error);
    if (!e->plan) return error->status;
    nf_flow_bind_plan(&at, e->plan);
    return AD_OK;
}

static nf__evaluation *make(const nf_flow *flow, int which, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    nf__evaluation *e = ad_alloc(1, sizeof *e);
    ad_status status =
        e ? compile(flow, which, e, tape, error) : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a plan");
    ad_tape_free(tape);
    if (status == AD_OK) return e;
    ad_free(e);
    return NULL;
}

/* ---- Running --------------------------------------------------------------------------------------------------- */

enum { CHUNK = 65536 }; /* rows whose numbers are converted at once, so that memory stays bounded */

/* A chunk of rows, in the flow's dtype. */
typedef struct {
    ad_dtype dtype;
    size_t dim, context, trained;
    void *in, *context_in, *weight, *log_prob, *x_gradient, *context_gradient, *parameter_gradient;
} chunk;

static void *make_chunk(const nf_flow *flow, size_t rows, chunk *c)
{
    const size_t size = ad_dtype_size(flow->dtype);
    *c = (chunk){flow->dtype, nf_flow_dim(flow), nf_flow_context_size(flow), nf_flow_trained_elements(flow)};
    const size_t wide = 2 * c->dim + 2 * c->context + 2;
    char *at = ad_alloc_aligned(rows * wide + c->trained, size), *const block = at;
    if (!block) return NULL;
    void **const part[] = {
        &c->in, &c->context_in, &c->weight, &c->log_prob, &c->x_gradient, &c->context_gradient, &c->parameter_gradient};
    const size_t width[] = {c->dim, c->context, 1, 1, c->dim, c->context, 0};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        *part[i] = at;
        at += rows * width[i] * size;
    }
    return block;
}

static void bind(const nf_flow *flow, const nf__evaluation *e, const arrays *a, const chunk *c)
{
    ad_plan_set_input(e->plan, e->in, c->in);
    ad_plan_set_input(e->plan, e->context, c->context_in);
    ad_plan_set_input(e->plan, e->weight, c->weight);
    ad_plan_set_output(e->plan, LOG_PROB, a->log_prob ? c->log_prob : NULL);
    ad_plan_set_output(e->plan, X_GRADIENT, a->x_gradient ? c->x_gradient : NULL);
    ad_plan_set_output(e->plan, CONTEXT_GRADIENT, c->context && a->context_gradient ? c->context_gradient : NULL);
    for (size_t i = 0; i < nf_flow_trained_parameters(flow); i++) {
        size_t offset;
        nf_flow_parameter(flow, i, &offset);
        char *gradient = (char *)c->parameter_gradient + offset * ad_dtype_size(c->dtype);
        ad_plan_set_output(e->plan, PARAMETERS + (int)i, a->parameter_gradient ? gradient : NULL);
    }
}

/* Weights that are NULL are all `otherwise`. */
static void take(const chunk *c, const double *from, size_t first, size_t count, double otherwise, void *to)
{
    if (from) ad_from_double(c->dtype, from + first, to, count);
    for (size_t i = 0; !from && i < count; i++) ad_set_element(c->dtype, to, i, otherwise);
}

static ad_status run(const nf_flow *flow, int which, const arrays *a, nf__evaluation *e, chunk *c, ad_pool *pool,
                     ad_error *error)
{
    const bool draws = which == NF__SAMPLE_GRADIENT;
    bind(flow, e, a, c);
    for (size_t i = 0; a->parameter_gradient && i < c->trained; i++) a->parameter_gradient[i] = 0;
    for (size_t first = 0; first < a->rows; first += CHUNK) {
        const size_t n = a->rows - first < CHUNK ? a->rows - first : CHUNK;
        take(c, draws ? a->x_weight : a->x, first * c->dim, n * c->dim, 0, c->in);
        take(c, a->weight, first, n, draws ? 0 : 1, c->weight);
        if (c->context) ad_from_double(c->dtype, a->context + first * c->context, c->context_in, n * c->context);
        ad_status status =
            ad_plan_run(e->plan, &(ad_run){.rows = n, .seed = a->seed, .first_row = first, .pool = pool}, error);
        if (status) return status;
        if (a->log_prob) ad_to_double(c->dtype, c->log_prob, a->log_prob + first, n);
        if (a->x_gradient) ad_to_double(c->dtype, c->x_gradient, a->x_gradient + first * c->dim, n * c->dim);
        if (c->context && a->context_gradient)
            ad_to_double(c->dtype, c->context_gradient, a->context_gradient + first * c->context, n * c->context);
        for (size_t i = 0; a->parameter_gradient && i < c->trained; i++)
            a->parameter_gradient[i] += ad_element(c->dtype, c->parameter_gradient, i);
    }
    return AD_OK;
}

static ad_status differentiate(const nf_flow *flow, int which, const arrays *a, ad_pool *pool, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    ad_error own;
    if (!error) error = &own;
    ad_status status = nf__flow_enter(flow, error);
    if (status) return status;
    chunk c;
    void *block = NULL;
    nf__evaluation *e = NULL;
    if (which == NF__LOG_PROB_GRADIENT && !a->x && a->rows)
        status = ad_error_set(error, AD_ERROR_ARGUMENT, "expected %zu rows of %zu numbers, got NULL for x", a->rows,
                              nf_flow_dim(flow));
    else if (nf_flow_context_size(flow) && !a->context && a->rows)
        status =
            ad_error_set(error, AD_ERROR_ARGUMENT, "this flow is conditional: expected a context of %zu numbers a row",
                         nf_flow_context_size(flow));
    else if (!(block = make_chunk(flow, a->rows < CHUNK ? a->rows : CHUNK, &c)))
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory to differentiate %zu rows", a->rows);
    else if (!(e = nf__evaluations_take(flow->evaluations, which)) && !(e = make(flow, which, error)))
        status = error->status;
    else
        status = run(flow, which, a, e, &c, pool, error);
    if (e) nf__evaluations_give_back(flow->evaluations, which, e);
    ad_free_aligned(block);
    nf__evaluations_leave(flow->evaluations);
    return status;
}

ad_status nf_log_prob_gradient(const nf_flow *flow, const double *x, const double *context, const double *weight,
                               size_t rows, double *log_prob, double *x_gradient, double *context_gradient,
                               double *parameter_gradient, ad_pool *pool, ad_error *error)
{
    const arrays a = {.x = x,
                      .context = context,
                      .weight = weight,
                      .rows = rows,
                      .log_prob = log_prob,
                      .x_gradient = x_gradient,
                      .context_gradient = context_gradient,
                      .parameter_gradient = parameter_gradient};
    return differentiate(flow, NF__LOG_PROB_GRADIENT, &a, pool, error);
}

ad_status nf_sample_gradient(const nf_flow *flow, const double *context, const double *x_weight, const double *weight,
                             size_t rows, uint64_t seed, double *context_gradient, double *parameter_gradient,
                             ad_pool *pool, ad_error *error)
{
    const arrays a = {.context = context,
                      .x_weight = x_weight,
                      .weight = weight,
                      .rows = rows,
                      .seed = seed,
                      .context_gradient = context_gradient,
                      .parameter_gradient = parameter_gradient};
    return differentiate(flow, NF__SAMPLE_GRADIENT, &a, pool, error);
}
