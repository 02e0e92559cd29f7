/* What a fit runs: the mean negative log-likelihood of rows, with its gradient and without. */
#include "training/fit.h"
#include "training/matching.h"
#include "training/prior.h"
#include "training/stream.h"

/* The mean negative log-likelihood, on a tape of its own with the rows bound to it. */
typedef struct {
    ad_tape *tape;
    nf_flow_scope flow;
    ad_var x, weight, paired;
    ad_var log_prob; /* of a row; in flow matching, minus its loss */
    ad_var loss;
} recording;

/* What is recorded: the loss as it is evaluated, a step's, that of all training rows as one batch, and log p in any
 * case. */
typedef enum { EVALUATION, STEP, STATISTICS, SCORES } form;

static recording record_loss(const nf__training *t, form as)
{
    recording r = {.tape = ad_tape_new()};
    r.paired = (ad_var){r.tape, -1};
    r.x = ad_input(r.tape, "x", AD_SHAPE(t->dim));
    r.flow = nf_flow_bind(t->flow, r.tape);
    nf_scope *const parts[] = {r.flow.base, r.flow.bijector}; /* a base may be a mixture of flows */
    for (int i = 0; i < 2 && (as == STEP || as == STATISTICS); i++)
        (as == STEP ? nf_set_training : nf_set_statistics)(parts[i]);
    if (t->o.objective != NF_LIKELIHOOD && (as == EVALUATION || as == STEP))
        r.log_prob = ad_neg(nf__record_matching(t, &r.flow, r.x, &r.paired));
    else
        r.log_prob = ad_to_rows(nf_flow_record_log_prob(&r.flow, r.x));
    r.weight = t->weight ? ad_input(r.tape, "weight", AD_SCALAR) : (ad_var){r.tape, -1};
    const ad_var weighted = t->weight ? ad_mul(r.weight, r.log_prob) : r.log_prob;
    r.loss = ad_neg(ad_div(ad_sum_rows(weighted), ad_row_count(r.tape)));
    return r;
}

/* The plan with its rows; the recording, which lives as long as its tape, isn't needed any more. */
static ad_plan *finish(const nf__training *t, recording *r, ad_plan *plan)
{
    if (plan) {
        const ad_var context = nf_context(r->flow.bijector);
        ad_plan_set_input(plan, r->x, t->data);
        ad_plan_set_input(plan, context, t->context);
        if (t->stream) ad_plan_set_source(plan, r->x, nf__stream_source(t->stream, false));
        if (t->stream) ad_plan_set_source(plan, context, nf__stream_source(t->stream, true));
        if (t->weight) ad_plan_set_input(plan, r->weight, t->weight);
        if (t->pairs) ad_plan_set_input(plan, r->paired, t->pairs->paired);
    }
    ad_tape_free(r->tape);
    return plan;
}

/* The loss with its gradient, in the form for training, and with what nf_update() recorded. */
static ad_plan *step_plan(nf__training *t, ad_error *error)
{
    const size_t trained = nf_flow_trained_parameters(t->flow), all = nf_flow_all_parameters(t->flow);
    const size_t size = ad_dtype_size(nf_flow_dtype(t->flow));
    nf__output *further = ad_alloc(all - trained + 1, sizeof *further);
    t->updated = ad_alloc(all - trained, sizeof *t->updated);
    if (!further || !t->updated) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the training plan");
        ad_free(further);
        return NULL;
    }
    recording r = record_loss(t, STEP);
    for (size_t i = trained; i < all; i++) {
        size_t offset;
        const nf_parameter *fixed = nf_flow_parameter(t->flow, i, &offset);
        const ad_var update = nf_flow_bound_parameter(&r.flow, i).update;
        if (!ad_is_valid(update)) continue;
        further[t->n_updated] = (nf__output){update, (char *)t->update + offset * size};
        t->updated[t->n_updated++] = (nf__part){offset * size, ad_shape_size(fixed->spec.shape) * size};
    }
    nf__output loss = {r.loss, &t->step_loss};
    size_t n = t->n_updated;
    if (t->o.prior) {
        further[n++] = loss;
        loss.var = ad_sub(r.loss, ad_div(nf__record_prior(t->o.prior, &r.flow), ad_scalar(r.tape, t->counted)));
        loss.to = &t->minimised;
    }
    ad_plan *plan = nf__loop_plan(&t->loop, &r.flow, loss, further, n, error);
    ad_free(further);
    return finish(t, &r, plan);
}

/* One value, as it is evaluated. */
static ad_plan *plan_of(nf__training *t, recording *r, ad_var value, void *to, ad_error *error)
{
    ad_plan *plan = ad_plan_new(&value, 1, &(ad_plan_options){.dtype = nf_flow_dtype(t->flow)}, error);
    if (plan) {
        nf_flow_bind_plan(&r->flow, plan);
        ad_plan_set_output(plan, 0, to);
    }
    return finish(t, r, plan);
}

/* A context that nothing sees is a mistake in the formula. */
static ad_status check_context(const nf__training *t, const recording *r, ad_error *error)
{
    const size_t size = nf_flow_context_size(t->flow);
    bool *depends = ad_alloc(size, sizeof *depends), seen = size == 0;
    if (!depends) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the training plan");
    ad_status status = size ? ad_dependence(r->log_prob, nf_context(r->flow.bijector), depends, error) : AD_OK;
    for (size_t i = 0; i < size && status == AD_OK; i++) seen |= depends[i];
    ad_free(depends);
    if (status != AD_OK || seen) return status;
    char *formula = nf_flow_formula(t->flow, false);
    ad_error_set(
        error, AD_ERROR_ARGUMENT,
        "fit: no term of '%.200s' sees the context, of %zu numbers a row: expected one that has a network, such "
        "as maf, realnvp, rqs or rqsar; or leave the context out",
        formula ? formula : "", size);
    ad_free(formula);
    return AD_ERROR_ARGUMENT;
}

static ad_plan *val_plan(nf__training *t, ad_error *error)
{
    recording r = record_loss(t, EVALUATION);
    if (check_context(t, &r, error) != AD_OK) {
        ad_tape_free(r.tape);
        return NULL;
    }
    return plan_of(t, &r, r.loss, &t->val_loss, error);
}

static ad_plan *score_plan(nf__training *t, ad_error *error)
{
    recording r = record_loss(t, SCORES);
    return plan_of(t, &r, r.log_prob, NULL, error);
}

/* What nf_update() recorded, of all rows as one batch. */
static ad_plan *statistics_plan(nf__training *t, ad_error *error)
{
    const size_t size = ad_dtype_size(nf_flow_dtype(t->flow));
    ad_var *out = ad_alloc(t->n_updated, sizeof *out);
    if (!out) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the training plan");
        return NULL;
    }
    recording r = record_loss(t, STATISTICS);
    size_t n = 0, offset;
    for (size_t i = 0; i < nf_flow_all_parameters(t->flow) && n < t->n_updated; i++) {
        nf_flow_parameter(t->flow, i, &offset);
        if (offset * size == t->updated[n].offset) out[n++] = nf_flow_bound_parameter(&r.flow, i).update;
    }
    ad_plan *plan = ad_plan_new(out, (int)n, &(ad_plan_options){.dtype = nf_flow_dtype(t->flow)}, error);
    if (plan) nf_flow_bind_plan(&r.flow, plan);
    for (size_t i = 0; i < n; i++) ad_plan_set_output(plan, (int)i, (char *)t->update + t->updated[i].offset);
    ad_free(out);
    return finish(t, &r, plan);
}

ad_status nf__compile(nf__training *t, ad_error *error)
{
    t->step_plan = step_plan(t, error);
    if (t->step_plan) t->val_plan = val_plan(t, error);
    if (t->val_plan) t->score_plan = score_plan(t, error);
    if (t->score_plan && t->n_updated > 0) t->statistics_plan = statistics_plan(t, error);
    return t->score_plan && (t->statistics_plan || t->n_updated == 0) ? AD_OK : error->status;
}

ad_status nf__loss_of(nf__training *t, nf__list list, size_t first, size_t rows, double *loss, ad_error *error)
{
    ad_run run = {.rows = rows, .pool = t->o.pool};
    nf__show(t, list, first, &run);
    ad_status status = ad_plan_run(t->val_plan, &run, error);
    *loss = ad_element(nf_flow_dtype(t->flow), &t->val_loss, 0);
    return status;
}
