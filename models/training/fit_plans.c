/* What a fit runs: the mean negative log-likelihood of rows, with its gradient and without. */
#include "training/fit.h"

/* The mean negative log-likelihood, on a tape of its own with the rows bound to it. */
typedef struct {
    ad_tape *tape;
    nf_flow_scope flow;
    ad_var x, loss;
} recording;

static bool record_loss(const nf__training *t, bool training, recording *recorded, ad_error *error)
{
    recording r = {.tape = ad_tape_new()};
    if (!r.tape) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the training plan");
        return false;
    }
    r.x = ad_input(r.tape, "x", AD_SHAPE(t->dim));
    r.flow = nf_flow_bind(t->flow, r.tape);
    if (training) nf_set_training(r.flow.bijector);
    ad_var log_prob = nf_flow_record_log_prob(&r.flow, r.x);
    r.loss = ad_neg(ad_div(ad_sum_rows(ad_to_rows(log_prob)), ad_row_count(r.tape)));
    *recorded = r;
    return true;
}

static void bind_rows(const nf__training *t, const recording *r, ad_plan *plan)
{
    if (!plan) return;
    ad_plan_set_input(plan, r->x, t->data);
    ad_plan_set_input(plan, nf_context(r->flow.bijector), t->context);
}

/* The loss with its gradient, in the form for training, and with what nf_update() recorded. */
static ad_plan *step_plan(nf__training *t, ad_error *error)
{
    const size_t trained = nf_flow_trained_parameters(t->flow), all = nf_flow_all_parameters(t->flow);
    const size_t size = ad_dtype_size(nf_flow_dtype(t->flow));
    nf__output *further = ad_alloc(all - trained, sizeof *further);
    t->updated = ad_alloc(all - trained, sizeof *t->updated);
    recording r;
    if (!further || !t->updated || !record_loss(t, true, &r, error)) {
        if (!further || !t->updated) ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the training plan");
        ad_free(further);
        return NULL;
    }
    for (size_t i = trained; i < all; i++) {
        size_t offset;
        const nf_parameter *fixed = nf_flow_parameter(t->flow, i, &offset);
        const ad_var update = nf_flow_bound_parameter(&r.flow, i).update;
        if (!ad_is_valid(update)) continue;
        further[t->n_updated] = (nf__output){update, (char *)t->update + offset * size};
        t->updated[t->n_updated++] = (nf__part){offset * size, ad_shape_size(fixed->spec.shape) * size};
    }
    ad_plan *plan = nf__loop_plan(&t->loop, &r.flow, (nf__output){r.loss, &t->step_loss}, further, t->n_updated, error);
    bind_rows(t, &r, plan);
    ad_tape_free(r.tape); /* with the scope on it */
    ad_free(further);
    return plan;
}

/* The loss alone, as it is evaluated. */
static ad_plan *val_plan(nf__training *t, ad_error *error)
{
    recording r;
    if (!record_loss(t, false, &r, error)) return NULL;
    ad_plan *plan = ad_plan_new(&r.loss, 1, &(ad_plan_options){.dtype = nf_flow_dtype(t->flow)}, error);
    if (plan) {
        nf_flow_bind_plan(&r.flow, plan);
        ad_plan_set_output(plan, 0, &t->val_loss);
    }
    bind_rows(t, &r, plan);
    ad_tape_free(r.tape); /* with the scope on it */
    return plan;
}

ad_status nf__compile(nf__training *t, ad_error *error)
{
    t->step_plan = step_plan(t, error);
    if (t->step_plan) t->val_plan = val_plan(t, error);
    return t->val_plan ? AD_OK : error->status;
}
