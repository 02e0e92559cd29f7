/* A step of variational inference, as plans. The weights of its draws come from a plan that runs before: the noise is
 * the same, so are the draws. */
#include "vi/objective.h"

#include <math.h>

/* ---- Recording ----------------------------------------------------------------------------------------------- */

/* The flow on a tape, and the free ends of what is recorded. */
typedef struct {
    nf_flow_scope flow;
    ad_var beta, weight; /* to bind */
    ad_var x;            /* likewise, where draws are moved */
    ad_var log_weight;   /* per-row */
    ad_var loss;         /* shared */
} recording;

static bool is_weighted(const nf__vi_objective *o)
{
    return o->what.type->weigh != NULL;
}

static void record(const nf__vi_objective *o, ad_tape *tape, recording *r)
{
    r->flow = nf_flow_bind(o->flow, tape);
    nf_objective_draw draw = {.type = o->what.type, .argument = o->what.argument, .flow = &r->flow};
    r->x = (ad_var){tape, -1};
    if (o->what.type->anneal) {
        draw.x = r->x = ad_input(tape, "x", AD_SHAPE(nf_flow_dim(o->flow)));
        draw.log_q = nf_flow_record_log_prob(&r->flow, draw.x);
    } else {
        draw.x = nf_flow_record_sample(&r->flow, &draw.log_q);
    }
    draw.log_p = nf_target_log_density(o->target, draw.x);
    r->beta = o->tempered ? ad_param(tape, "beta", AD_SCALAR) : (ad_var){tape, -1};
    if (o->tempered) draw.log_p = ad_mul(r->beta, draw.log_p);
    r->log_weight = ad_to_rows(ad_sub(draw.log_p, draw.log_q));
    ad_var term = o->what.type->term(&draw);
    char got[128];
    if (ad_is_valid(term) && ad_shape_of(term).rank != 0)
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "objective '%s' gave a term of shape %s, expected ()", o->what.type->name,
                     ad_shape_text(ad_shape_of(term), got));
    if (is_weighted(o)) {
        r->weight = ad_input(tape, "weight", AD_SCALAR);
        r->loss = ad_sum_rows(ad_mul(r->weight, term));
    } else {
        r->weight = (ad_var){tape, -1};
        r->loss = ad_div(ad_sum_rows(ad_to_rows(term)), ad_row_count(tape));
    }
}

static ad_status compile(nf__vi_objective *o, ad_tape *tape, ad_error *error)
{
    recording r;
    record(o, tape, &r);
    o->step = nf__loop_plan(o->loop, &r.flow, (nf__output){r.loss, &o->step_loss}, NULL, 0, error);
    const bool moves = o->what.type->anneal;
    if (o->step && is_weighted(o)) {
        ad_plan_set_input(o->step, r.weight, o->weights);
        if (!moves)
            o->weigh = ad_plan_new(&r.log_weight, 1, &(ad_plan_options){.dtype = nf_flow_dtype(o->flow)}, error);
    }
    if (!o->step || (is_weighted(o) && !moves && !o->weigh)) return error->status;
    ad_plan_set_input(o->step, r.x, o->annealing.x);
    if (o->weigh) {
        nf_flow_bind_plan(&r.flow, o->weigh);
        ad_plan_set_output(o->weigh, 0, o->log_weights);
    }
    if (o->tempered) ad_plan_set_input(o->step, r.beta, &o->bound_beta);
    if (o->tempered && o->weigh) ad_plan_set_input(o->weigh, r.beta, &o->bound_beta);
    return AD_OK;
}

static ad_status open_annealing(nf__vi_objective *o, ad_error *error)
{
    o->what.type->anneal(o->what.type, o->what.argument, &o->how);
    o->annealing = (nf__annealing){.flow = o->flow,
                                   .target = o->target,
                                   .transition = o->how.transition,
                                   .alpha = o->how.alpha,
                                   .distributions = o->how.distributions,
                                   .rows = o->rows};
    o->annealed = ad_alloc(o->rows, sizeof *o->annealed);
    if (!o->annealed) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the objective");
    return nf__annealing_open(&o->annealing, error);
}

ad_status nf__vi_objective_open(nf__vi_objective *o, ad_error *error)
{
    size_t size = ad_dtype_size(nf_flow_dtype(o->flow));
    o->log_weights = ad_alloc_aligned(o->rows, size);
    o->weights = ad_alloc_aligned(o->rows, size);
    o->group_numbers = ad_alloc(2 * o->group, sizeof *o->group_numbers);
    if (!o->log_weights || !o->weights || !o->group_numbers)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the objective");
    ad_status status = o->what.type->anneal ? open_annealing(o, error) : AD_OK;
    if (status) return status;
    ad_tape *tape = ad_tape_new();
    status = compile(o, tape, error);
    ad_tape_free(tape);
    return status;
}

void nf__vi_objective_close(nf__vi_objective *o)
{
    ad_plan_free(o->step);
    ad_plan_free(o->weigh);
    nf__annealing_close(&o->annealing);
    ad_free(o->annealed);
    ad_free(o->group_numbers);
    ad_free_aligned(o->weights);
    ad_free_aligned(o->log_weights);
}

/* ---- Running ------------------------------------------------------------------------------------------------- */

/* As many draws as are worth these; none where they cancel out. */
static double effective_draws(const double *weight, size_t draws)
{
    double most = 0, sum = 0, squares = 0;
    for (size_t i = 0; i < draws; i++) most = fmax(most, fabs(weight[i]));
    for (size_t i = 0; i < draws && most > 0; i++) {
        const double part = fabs(weight[i]) / most;
        sum += part;
        squares += part * part;
    }
    return most > 0 ? sum * sum / squares : 0;
}

/* The weights of the group of draws from `first` on; returns its part of the loss. */
static double weigh_group(nf__vi_objective *o, size_t first)
{
    const ad_dtype dtype = nf_flow_dtype(o->flow);
    const double groups = (double)(o->rows / o->group);
    double *log_weight = o->group_numbers, *weight = log_weight + o->group, most = -INFINITY;
    for (size_t i = 0; i < o->group; i++) {
        log_weight[i] = ad_element(dtype, o->log_weights, first + i);
        if (isnan(log_weight[i])) return NAN;
        most = fmax(most, log_weight[i]);
    }
    if (most == -INFINITY) o->beyond = true;
    if (!isfinite(most)) return -most;
    double loss = o->what.type->weigh(o->what.type, o->what.argument, log_weight, o->group, weight);
    for (size_t i = 0; i < o->group; i++) ad_set_element(dtype, o->weights, first + i, weight[i] / groups);
    o->ess += effective_draws(weight, o->group) / groups;
    return loss / groups;
}

ad_status nf__vi_objective_run(nf__vi_objective *o, const ad_run *run, double *loss, ad_error *error)
{
    const ad_dtype dtype = nf_flow_dtype(o->flow);
    ad_set_element(dtype, &o->bound_beta, 0, o->beta);
    if (!is_weighted(o)) {
        ad_status status = ad_plan_run(o->step, run, error);
        *loss = ad_element(dtype, &o->step_loss, 0);
        return status;
    }
    ad_status status = o->weigh ? ad_plan_run(o->weigh, run, error)
                                : nf__annealing_run(&o->annealing, run, o->beta, o->annealed, error);
    if (!o->weigh && !status) ad_from_double(dtype, o->annealed, o->log_weights, o->rows);
    *loss = o->ess = 0;
    o->beyond = false;
    for (size_t first = 0; first < o->rows && status == AD_OK; first += o->group) *loss += weigh_group(o, first);
    if (status == AD_OK && isfinite(*loss)) status = ad_plan_run(o->step, run, error);
    return status;
}
