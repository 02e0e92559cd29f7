/* What every training loop does alike. */
#include "training/clock.h"
#include "training/loop.h"

#include <math.h>
#include <string.h>

size_t nf__trained_bytes(const nf_flow *flow)
{
    return nf_flow_trained_elements(flow) * ad_dtype_size(nf_flow_dtype(flow));
}

size_t nf__parameter_bytes(const nf_flow *flow)
{
    return (nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow)) * ad_dtype_size(nf_flow_dtype(flow));
}

ad_status nf__loop_open(nf__loop *loop, const nf_optimizer_options *options, const nf__optimizer_defaults *defaults,
                        const char *schedule, ad_error *error)
{
    const ad_dtype dtype = nf_flow_dtype(loop->flow);
    const size_t count = nf_flow_trained_elements(loop->flow);
    loop->started = nf__clock();
    ad_status status = nf__agree(loop->pool, NULL, &loop->opened, error);
    if (status == AD_OK) status = nf_flow_begin_training(loop->flow, error);
    if (status != AD_OK) return status;
    loop->now = loop->opened;
    loop->open = true;
    status = nf_schedule_parse(schedule, &loop->schedule, error);
    if (status != AD_OK) return status;
    loop->optimizer = nf__optimizer_take(loop->resume, options, defaults, count, dtype, error);
    if (!loop->optimizer) return error->status;
    loop->gradient = ad_alloc_aligned(count, ad_dtype_size(dtype));
    loop->squares = ad_alloc(nf_flow_trained_parameters(loop->flow), sizeof *loop->squares);
    loop->best = ad_alloc_aligned(nf__parameter_bytes(loop->flow), 1);
    if (!loop->gradient || !loop->squares || !loop->best)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to train %zu parameters", count);
    return AD_OK;
}

void nf__loop_close(nf__loop *loop)
{
    if (loop->optimizer != loop->resume) nf_optimizer_free(loop->optimizer);
    ad_free_aligned(loop->best);
    ad_free(loop->squares);
    ad_free_aligned(loop->gradient);
    if (loop->open) nf_flow_end_training(loop->flow);
}

ad_plan *nf__loop_plan(const nf__loop *loop, const nf_flow_scope *at, nf__output loss, const nf__output *further,
                       size_t n_further, ad_error *error)
{
    const ad_dtype dtype = nf_flow_dtype(loop->flow);
    const size_t n = nf_flow_trained_parameters(loop->flow);
    ad_var *wrt = ad_alloc(n, sizeof *wrt), *out = ad_alloc(1 + n + n_further, sizeof *out);
    ad_plan *plan = NULL;
    if (wrt && out) {
        out[0] = loss.var;
        for (size_t i = 0; i < n; i++) wrt[i] = nf_flow_bound_parameter(at, i).var;
        ad_grad(loss.var, wrt, (int)n, out + 1);
        for (size_t i = 0; i < n_further; i++) out[1 + n + i] = further[i].var;
        plan = ad_plan_new(out, (int)(1 + n + n_further), &(ad_plan_options){.dtype = dtype}, error);
    } else {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the training plan");
    }
    ad_free(out);
    ad_free(wrt);
    if (!plan) return NULL;
    nf_flow_bind_plan(at, plan);
    ad_plan_set_output(plan, 0, loss.to);
    for (size_t i = 0; i < n; i++) {
        size_t offset;
        nf_flow_parameter(loop->flow, i, &offset);
        ad_plan_set_output(plan, (int)(1 + i), (char *)loop->gradient + offset * ad_dtype_size(dtype));
        ad_plan_set_squares(plan, (int)(1 + i), &loop->squares[i]);
    }
    for (size_t i = 0; i < n_further; i++) ad_plan_set_output(plan, (int)(1 + n + i), further[i].to);
    return plan;
}

double nf__loop_rate(nf__loop *loop, size_t step, size_t steps, double time, double scale)
{
    loop->norm = NAN;
    loop->learning_rate =
        scale * nf__scheduled_rate(&loop->schedule, nf_optimizer_settings(loop->optimizer)->learning_rate, loop->warmup,
                                   step, steps, time);
    return loop->learning_rate;
}

ad_status nf__loop_step(nf__loop *loop, void *average, double part, ad_error *error)
{
    nf__step step = {.parameters = nf_flow_parameters(loop->flow),
                     .gradient = loop->gradient,
                     .learning_rate = loop->learning_rate,
                     .average = average,
                     .part = part};
    for (size_t i = 0; i < nf_flow_trained_parameters(loop->flow); i++) step.squares += loop->squares[i];
    return nf__optimizer_step(loop->optimizer, &step, loop->pool, &loop->norm, error);
}

ad_status nf__loop_ask(nf__loop *loop, size_t iteration, double loss, bool *stop, ad_error *error)
{
    const nf_iteration at = {.iteration = iteration,
                             .loss = loss,
                             .parameters = nf_flow_parameters(loop->flow),
                             .gradient = loop->gradient,
                             .count = nf_flow_trained_elements(loop->flow),
                             .dtype = nf_flow_dtype(loop->flow)};
    loop->called_off = !nf_call_back(loop->callbacks, &at);
    if (loop->called_off) *stop = true;
    if (!*stop && loop->interrupted) *stop = loop->interrupted(loop->context);
    return nf__agree(loop->pool, stop, &loop->now, error);
}

void nf__loop_checkpoint(const nf__loop *loop, nf_checkpoint *checkpoint, bool stop)
{
    if (loop->called_off) return;
    if (stop || nf__checkpoint_is_due(checkpoint)) nf__checkpoint_write(checkpoint, loop->pool);
}

void nf__loop_explain(const nf__loop *loop, double loss,
                      ad_status (*run)(void *context, const ad_run *step, ad_error *error), void *context,
                      const ad_run *step, char how[static 800])
{
    ad_error cause = {AD_OK, ""};
    ad_run again = *step;
    again.find_nan = true;
    run(context, &again, &cause);
    snprintf(how, 800, "loss %g, gradient norm %g%s%.700s", loss, loop->norm, *cause.message ? "; " : "",
             cause.message);
}

void nf__loop_list(nf__loop *loop, nf__state *state)
{
    const ad_dtype dtype = nf_flow_dtype(loop->flow);
    const size_t count = nf_flow_trained_elements(loop->flow) + nf_flow_fixed_elements(loop->flow);
    nf__state_array(state, "parameters", dtype, nf_flow_parameters(loop->flow), count);
    nf__state_array(state, "best", dtype, loop->best, count);
    nf__optimizer_list(loop->optimizer, state);
}

void nf__loop_keep(nf__loop *loop, const void *parameters)
{
    memcpy(loop->best, parameters, nf__parameter_bytes(loop->flow));
}

void nf__loop_restore(const nf__loop *loop)
{
    memcpy(nf_flow_parameters(loop->flow), loop->best, nf__parameter_bytes(loop->flow));
}
