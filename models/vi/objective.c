/* Objectives of variational inference. All are the sum over draws x of weight(x) times a term, or its mean:
 *
 *            term                     weight
 *   elbo     log q - β log p          1/n
 *   stl      log q* - β log p         1/n
 *   iwae     log q - β log p          w̃ / groups
 *   dreg     log q* - β log p         w̃² / groups
 *   forward  -log q(x*)               w̃, all draws being one group
 *
 * q*: no gradient through its parameters; x*: none through the draw; w̃ = w / Σ w over a group, w = p^β / q, without
 * gradient. The weights of a step come from a plan that runs before: the noise is the same, so are the draws. */
#include "vi/objective.h"

#include <weir/vi.h>

#include <math.h>

static const struct {
    const char *name;
    bool weighted, squared, stopped, forward;
} objectives[NF_OBJECTIVES] = {
    [NF_ELBO] = {"elbo"},
    [NF_STL] = {"stl", .stopped = true},
    [NF_IWAE] = {"iwae", .weighted = true},
    [NF_DREG] = {"dreg", .weighted = true, .squared = true, .stopped = true},
    [NF_FORWARD] = {"forward", .weighted = true, .forward = true},
};

const char *nf_objective_name(nf_objective objective)
{
    return objectives[objective].name;
}

/* ---- Recording ----------------------------------------------------------------------------------------------- */

/* The flow on a tape, and the free ends of what is recorded. */
typedef struct {
    nf_flow_scope flow;
    ad_var beta, weight; /* to bind */
    ad_var log_weight;   /* per-row */
    ad_var loss;         /* shared */
} recording;

static void record(const nf__vi_objective *o, ad_tape *tape, recording *r)
{
    r->flow = nf_flow_bind(o->flow, tape);
    ad_var log_q, x = nf_flow_record_sample(&r->flow, &log_q);
    ad_var log_p = nf_target_log_density(o->target, x);
    r->beta = o->tempered ? ad_param(tape, "beta", AD_SCALAR) : (ad_var){tape, -1};
    if (o->tempered) log_p = ad_mul(r->beta, log_p);
    r->log_weight = ad_to_rows(ad_sub(log_p, log_q));
    if (objectives[o->kind].stopped) {
        const nf_flow_scope stopped = nf_flow_stop_gradient(&r->flow);
        log_q = nf_flow_record_log_prob(&stopped, x);
    }
    ad_var term = objectives[o->kind].forward ? ad_neg(nf_flow_record_log_prob(&r->flow, ad_stop_gradient(x)))
                                              : ad_sub(log_q, log_p);
    if (objectives[o->kind].weighted) {
        r->weight = ad_input(tape, "weight", AD_SCALAR);
        r->loss = ad_sum_rows(ad_mul(r->weight, term));
    } else {
        r->weight = (ad_var){tape, -1};
        r->loss = ad_div(ad_sum_rows(ad_to_rows(term)), ad_row_count(tape));
    }
}

static ad_plan *plan_of(const nf__vi_objective *o, const recording *r, const ad_var *outputs, size_t count,
                        ad_error *error)
{
    ad_plan *plan = ad_plan_new(outputs, (int)count, &(ad_plan_options){.dtype = nf_flow_dtype(o->flow)}, error);
    if (!plan) return NULL;
    nf_flow_bind_plan(&r->flow, plan);
    if (o->tempered) ad_plan_set_input(plan, r->beta, &o->bound_beta);
    if (objectives[o->kind].weighted) ad_plan_set_input(plan, r->weight, o->weights);
    return plan;
}

static ad_status compile(nf__vi_objective *o, ad_tape *tape, ad_error *error)
{
    size_t n = nf_flow_trained_parameters(o->flow), size = ad_dtype_size(nf_flow_dtype(o->flow));
    ad_var *wrt = ad_alloc(n, sizeof *wrt), *out = ad_alloc(n + 1, sizeof *out);
    size_t *offset = ad_alloc(n, sizeof *offset);
    recording r;
    ad_status status = AD_OK;
    if (wrt && out && offset) {
        record(o, tape, &r);
        for (size_t i = 0; i < n; i++) {
            wrt[i] = nf_flow_bound_parameter(&r.flow, i).var;
            nf_flow_parameter(o->flow, i, &offset[i]);
        }
        out[0] = r.loss;
        ad_grad(out[0], wrt, (int)n, out + 1);
        o->step = plan_of(o, &r, out, n + 1, error);
        if (o->step && objectives[o->kind].weighted) o->weigh = plan_of(o, &r, &r.log_weight, 1, error);
        if (!o->step || (objectives[o->kind].weighted && !o->weigh)) status = error->status;
    } else {
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the objective");
    }
    if (status == AD_OK) {
        if (o->weigh) ad_plan_set_output(o->weigh, 0, o->log_weights);
        ad_plan_set_output(o->step, 0, &o->step_loss);
        for (size_t i = 0; i < n; i++) ad_plan_set_output(o->step, (int)i + 1, (char *)o->gradient + offset[i] * size);
    }
    ad_free(offset);
    ad_free(out);
    ad_free(wrt);
    return status;
}

ad_status nf__vi_objective_open(nf__vi_objective *o, ad_error *error)
{
    size_t size = ad_dtype_size(nf_flow_dtype(o->flow));
    if (objectives[o->kind].forward) o->group = o->rows;
    o->gradient = ad_alloc_aligned(nf_flow_parameter_count(o->flow), size);
    o->log_weights = ad_alloc_aligned(o->rows, size);
    o->weights = ad_alloc_aligned(o->rows, size);
    ad_tape *tape = ad_tape_new();
    ad_status status = o->gradient && o->log_weights && o->weights && tape
                           ? compile(o, tape, error)
                           : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the objective");
    ad_tape_free(tape);
    return status;
}

void nf__vi_objective_close(nf__vi_objective *o)
{
    ad_plan_free(o->step);
    ad_plan_free(o->weigh);
    ad_free_aligned(o->weights);
    ad_free_aligned(o->log_weights);
    ad_free_aligned(o->gradient);
}

/* ---- Running ------------------------------------------------------------------------------------------------- */

static double at(const nf__vi_objective *o, const void *values, size_t i)
{
    return nf_flow_dtype(o->flow) == AD_F32 ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

static void set(const nf__vi_objective *o, void *values, size_t i, double value)
{
    if (nf_flow_dtype(o->flow) == AD_F32)
        ((float *)values)[i] = (float)value;
    else
        ((double *)values)[i] = value;
}

/* The weights of the group of draws from `first` on; returns its loss. */
static double weigh_group(nf__vi_objective *o, size_t first)
{
    const bool squared = objectives[o->kind].squared, forward = objectives[o->kind].forward;
    const double k = (double)o->group, groups = (double)(o->rows / o->group);
    double most = -INFINITY, sum = 0, mean = 0;
    for (size_t i = first; i < first + o->group; i++) {
        double log_w = at(o, o->log_weights, i);
        if (isnan(log_w)) return NAN;
        most = fmax(most, log_w);
    }
    if (!isfinite(most)) return -most;
    for (size_t i = first; i < first + o->group; i++) sum += exp(at(o, o->log_weights, i) - most);
    double log_mean = most + log(sum / k);
    for (size_t i = first; i < first + o->group; i++) {
        double log_w = at(o, o->log_weights, i), w = exp(log_w - most) / sum;
        set(o, o->weights, i, (squared ? w * w : w) / groups);
        if (w > 0) mean += w * log_w;
    }
    return forward ? mean - log_mean : -log_mean / groups;
}

ad_status nf__vi_objective_run(nf__vi_objective *o, const ad_run *run, double *loss, ad_error *error)
{
    set(o, &o->bound_beta, 0, o->beta);
    if (!o->weigh) {
        ad_status status = ad_plan_run(o->step, run, error);
        *loss = at(o, &o->step_loss, 0);
        return status;
    }
    ad_status status = ad_plan_run(o->weigh, run, error);
    *loss = 0;
    for (size_t first = 0; first < o->rows && status == AD_OK; first += o->group) *loss += weigh_group(o, first);
    if (status == AD_OK && isfinite(*loss)) status = ad_plan_run(o->step, run, error);
    return status;
}
