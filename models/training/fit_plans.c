/* What a fit runs: the mean negative log-likelihood of rows, with its gradient and without. */
#include "training/fit.h"

/* The mean negative log-likelihood, on a tape of its own with the rows bound to it. */
typedef struct {
    ad_tape *tape;
    nf_flow_scope flow;
    ad_var x, loss;
} recording;

static recording record_loss(const nf__training *t, bool training)
{
    recording r = {.tape = ad_tape_new()};
    r.x = ad_input(r.tape, "x", AD_SHAPE(t->dim));
    r.flow = nf_flow_bind(t->flow, r.tape);
    if (training) nf_set_training(r.flow.bijector);
    ad_var log_prob = nf_flow_record_log_prob(&r.flow, r.x);
    r.loss = ad_neg(ad_div(ad_sum_rows(ad_to_rows(log_prob)), ad_row_count(r.tape)));
    return r;
}

/* The plan with its rows; the recording, which lives as long as its tape, isn't needed any more. */
static ad_plan *finish(const nf__training *t, recording *r, ad_plan *plan)
{
    if (plan) {
        ad_plan_set_input(plan, r->x, t->data);
        ad_plan_set_input(plan, nf_context(r->flow.bijector), t->context);
    }
    ad_tape_free(r->tape);
    return plan;
}

/* The loss with its gradient, in the form for training, and with what nf_update() recorded. */
static ad_plan *step_plan(nf__training *t, ad_error *error)
{
    const size_t trained = nf_flow_trained_parameters(t->flow), all = nf_flow_all_parameters(t->flow);
    const size_t size = ad_dtype_size(nf_flow_dtype(t->flow));
    nf__output *further = ad_alloc(all - trained, sizeof *further);
    t->updated = ad_alloc(all - trained, sizeof *t->updated);
    if (!further || !t->updated) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the training plan");
        ad_free(further);
        return NULL;
    }
    recording r = record_loss(t, true);
    for (size_t i = trained; i < all; i++) {
        size_t offset;
        const nf_parameter *fixed = nf_flow_parameter(t->flow, i, &offset);
        const ad_var update = nf_flow_bound_parameter(&r.flow, i).update;
        if (!ad_is_valid(update)) continue;
        further[t->n_updated] = (nf__output){update, (char *)t->update + offset * size};
        t->updated[t->n_updated++] = (nf__part){offset * size, ad_shape_size(fixed->spec.shape) * size};
    }
    ad_plan *plan = nf__loop_plan(&t->loop, &r.flow, (nf__output){r.loss, &t->step_loss}, further, t->n_updated, error);
    ad_free(further);
    return finish(t, &r, plan);
}

/* The loss alone, as it is evaluated. */
static ad_plan *val_plan(nf__training *t, ad_error *error)
{
    recording r = record_loss(t, false);
    ad_plan *plan = ad_plan_new(&r.loss, 1, &(ad_plan_options){.dtype = nf_flow_dtype(t->flow)}, error);
    if (plan) {
        nf_flow_bind_plan(&r.flow, plan);
        ad_plan_set_output(plan, 0, &t->val_loss);
    }
    return finish(t, &r, plan);
}

ad_status nf__compile(nf__training *t, ad_error *error)
{
    t->step_plan = step_plan(t, error);
    if (t->step_plan) t->val_plan = val_plan(t, error);
    return t->val_plan ? AD_OK : error->status;
}
