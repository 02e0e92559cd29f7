/* weir-bench compile: what stands between a formula and the first step of its training. */
#include "compile.h"
#include "trials.h"

#include <stdio.h>

enum { ROWS = 256 };

/* What is minimised, summed over rows. */
static ad_var record_loss(const nf_flow_scope *at, ad_var x, bool samples)
{
    if (!samples) return ad_neg(ad_sum_rows(nf_flow_record_log_prob(at, x)));
    ad_var log_prob, draw = nf_flow_record_sample(at, &log_prob);
    return ad_sum_rows(ad_add(log_prob, ad_mul_scalar(ad_sum(ad_mul(draw, draw)), 0.5)));
}

static int32_t largest(const ad_var *var, size_t count)
{
    int32_t id = 0;
    for (size_t i = 0; i < count; i++) id = var[i].id > id ? var[i].id : id;
    return id;
}

ad_status measure_compilation(const nf_flow *flow, bool samples, ad_error *error)
{
    const size_t dim = nf_flow_dim(flow), count = nf_flow_trained_parameters(flow),
                 size = ad_dtype_size(nf_flow_dtype(flow));
    ad_var *wrt = ad_alloc(count, sizeof *wrt), *output = ad_alloc(1 + count, sizeof *output);
    char *data = ad_alloc(ROWS, dim * size), *gradient = ad_alloc(nf_flow_trained_elements(flow), size);
    ad_tape *tape = ad_tape_new();
    ad_plan *plan = NULL;
    ad_status status = AD_OK;
    double time[5] = {0};
    if (wrt && output && data && gradient) {
        time[0] = now();
        const nf_flow_scope at = nf_flow_bind(flow, tape);
        const ad_var x = ad_input(tape, "x", AD_SHAPE(dim));
        output[0] = record_loss(&at, x, samples);
        for (size_t i = 0; i < count; i++) wrt[i] = nf_flow_bound_parameter(&at, i).var;
        time[1] = now();
        ad_grad(output[0], wrt, (int)count, output + 1);
        time[2] = now();
        plan = ad_plan_new(output, (int)count + 1, &(ad_plan_options){.dtype = nf_flow_dtype(flow)}, error);
        time[3] = now();
        nf_flow_bind_plan(&at, plan);
        ad_plan_set_input(plan, x, data);
        for (size_t i = 0; i < count; i++) {
            size_t offset;
            nf_flow_parameter(flow, i, &offset);
            ad_plan_set_output(plan, (int)i + 1, gradient + offset * size);
        }
        status = plan ? ad_plan_run(plan, &(ad_run){.rows = ROWS}, error) : error->status;
        time[4] = now();
    } else {
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the gradient");
    }
    if (!status)
        printf("{\"nodes\": %d, \"record_s\": %.4g, \"gradient_s\": %.4g, \"plan_s\": %.4g, \"first_step_s\": %.4g}\n",
               largest(output, 1 + count) + 1, time[1] - time[0], time[2] - time[1], time[3] - time[2],
               time[4] - time[3]);
    ad_plan_free(plan);
    ad_tape_free(tape);
    ad_free(gradient);
    ad_free(data);
    ad_free(output);
    ad_free(wrt);
    return status;
}
