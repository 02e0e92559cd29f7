/* Annealed importance sampling: three plans, of which that of a transition is run again and again. */
#include "vi/annealing.h"
#include "vi/inference.h"

#include <weir/stochastic.h>

#include <string.h>

/* ---- Recording -------------------------------------------------------------------------------------------------- */

/* What transitions keep, on their tape. */
typedef struct {
    const nf_flow_scope *flow;
    const nf_target *target;
    ad_var power_of_q, power_of_p;
} between;

static ad_var record_between(const void *context, ad_var z)
{
    const between *b = context;
    ad_var of_q = ad_mul(b->power_of_q, nf_flow_record_log_prob(b->flow, z));
    return ad_add(of_q, ad_mul(b->power_of_p, nf_target_log_density(b->target, z)));
}

static ad_plan *plan_of(const nf__annealing *a, ad_var *out, const nf_flow_scope *at, const nf_flow_scope *steps,
                        ad_error *error)
{
    ad_plan *plan = ad_plan_new(out, 2, &(ad_plan_options){.dtype = nf_flow_dtype(a->flow)}, error);
    if (!plan) return NULL;
    nf_flow_bind_plan(at, plan);
    if (steps) nf_flow_bind_plan(steps, plan);
    ad_plan_set_output(plan, 1, a->number);
    return plan;
}

static ad_plan *start_of(const nf__annealing *a, ad_tape *tape, ad_error *error)
{
    const nf_flow_scope at = nf_flow_bind(a->flow, tape);
    ad_var out[2];
    out[0] = nf_flow_record_sample(&at, &out[1]);
    for (int i = 0; i < 2; i++) out[i] = ad_to_rows(out[i]);
    ad_plan *plan = plan_of(a, out, &at, NULL, error);
    ad_plan_set_output(plan, 0, a->x);
    return plan;
}

static ad_plan *move_of(const nf__annealing *a, ad_tape *tape, ad_error *error)
{
    const nf_flow_scope at = nf_flow_bind(a->flow, tape), steps = nf_flow_bind(a->steps, tape);
    const between kept = {&at, a->target, ad_param(tape, "power of q", AD_SCALAR),
                          ad_param(tape, "power of p", AD_SCALAR)};
    const nf_density density = {record_between, &kept};
    nf_set_densities(steps.bijector, NULL, &density);
    ad_var out[2], x = ad_input(tape, "x", AD_SHAPE(nf_flow_dim(a->flow)));
    out[0] = nf_forward(steps.bijector, x, &out[1]);
    for (int i = 0; i < 2; i++) out[i] = ad_to_rows(out[i]);
    ad_plan *plan = plan_of(a, out, &at, &steps, error);
    ad_plan_set_input(plan, x, a->x);
    ad_plan_set_input(plan, kept.power_of_q, &a->power_of_q);
    ad_plan_set_input(plan, kept.power_of_p, &a->power_of_p);
    ad_plan_set_output(plan, 0, a->moved_x);
    return plan;
}

static ad_plan *end_of(const nf__annealing *a, ad_tape *tape, ad_error *error)
{
    const nf_flow_scope at = nf_flow_bind(a->flow, tape);
    ad_var x = ad_input(tape, "x", AD_SHAPE(nf_flow_dim(a->flow)));
    ad_var out[] = {ad_to_rows(nf_target_log_density(a->target, x)), ad_to_rows(nf_flow_record_log_prob(&at, x))};
    ad_plan *plan = plan_of(a, out, &at, NULL, error);
    ad_plan_set_input(plan, x, a->x);
    ad_plan_set_output(plan, 0, a->log_p);
    return plan;
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

static ad_status compile(nf__annealing *a, ad_error *error)
{
    static ad_plan *(*const record[])(const nf__annealing *, ad_tape *, ad_error *) = {start_of, move_of, end_of};
    ad_plan **plan[] = {&a->start, &a->move, &a->end};
    for (size_t i = 0; i < sizeof plan / sizeof *plan; i++) {
        ad_tape *tape = ad_tape_new();
        *plan[i] = record[i](a, tape, error);
        ad_tape_free(tape);
        if (!*plan[i]) return error->status;
    }
    return AD_OK;
}

ad_status nf__annealing_open(nf__annealing *a, ad_error *error)
{
    const ad_dtype dtype = nf_flow_dtype(a->flow);
    const size_t size = ad_dtype_size(dtype), dim = nf_flow_dim(a->flow);
    if (nf__vi_check_sizes(a->flow, a->target, error)) return error->status;
    if (a->distributions == 0 || !(a->alpha > 0))
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "annealed importance sampling: expected 1 density between or more, and a power above 0, got "
            "%zu, %g",
            a->distributions, a->alpha);
    if (nf_flow_is_stochastic(a->flow))
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "annealed importance sampling takes log q of moved draws, which a flow with steps that draw "
            "doesn't have");
    a->steps = nf_flow_parse(a->transition, dim, 0, dtype, 0, error);
    if (!a->steps) return error->status;
    if (!nf_flow_is_stochastic(a->steps))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "transition '%.100s': expected steps that draw, as hmc(step=0.1)",
                            a->transition);
    a->x = ad_alloc_aligned(a->rows, dim * size);
    a->moved_x = ad_alloc_aligned(a->rows, dim * size);
    a->number = ad_alloc_aligned(a->rows, size);
    a->log_p = ad_alloc_aligned(a->rows, size);
    if (!a->x || !a->moved_x || !a->number || !a->log_p)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu draws of annealed importance sampling",
                            a->rows);
    return compile(a, error);
}

void nf__annealing_close(nf__annealing *a)
{
    ad_plan_free(a->start);
    ad_plan_free(a->move);
    ad_plan_free(a->end);
    ad_free_aligned(a->x);
    ad_free_aligned(a->moved_x);
    ad_free_aligned(a->number);
    ad_free_aligned(a->log_p);
    nf_flow_free(a->steps);
    *a = (nf__annealing){0};
}

/* ---- Running ---------------------------------------------------------------------------------------------------- */

/* Seeds of transitions, each of which has noise of its own. */
static const uint64_t seed_stream = (uint64_t)1 << 44;

static uint64_t seed_of(uint64_t seed, size_t transition)
{
    uint32_t bits[4];
    ad_random_bits(seed, seed_stream, transition, bits);
    return (uint64_t)bits[0] << 32 | bits[1];
}

/* One transition: the draws become the moved ones. Returns how many have moved. */
static size_t take_moved(nf__annealing *a, size_t rows)
{
    const size_t bytes = nf_flow_dim(a->flow) * ad_dtype_size(nf_flow_dtype(a->flow));
    char *x = a->x;
    const char *moved = a->moved_x;
    size_t count = 0;
    for (size_t r = 0; r < rows; r++) count += memcmp(x + r * bytes, moved + r * bytes, bytes) != 0;
    memcpy(x, moved, rows * bytes);
    return count;
}

static void add(nf__annealing *a, const void *number, double times, size_t rows, double *log_weight)
{
    const ad_dtype dtype = nf_flow_dtype(a->flow);
    for (size_t r = 0; r < rows; r++) log_weight[r] += times * ad_element(dtype, number, r);
}

ad_status nf__annealing_run(nf__annealing *a, const ad_run *run, double beta, double *log_weight, ad_error *error)
{
    const ad_dtype dtype = nf_flow_dtype(a->flow);
    const size_t rows = run->rows, transitions = a->distributions;
    size_t moved = 0;
    memset(log_weight, 0, rows * sizeof *log_weight);
    ad_status status = ad_plan_run(a->start, run, error);
    if (!status) add(a, a->number, -1, rows, log_weight);
    for (size_t m = 1; m <= transitions && !status; m++) {
        const double power = a->alpha * (double)m / (double)(transitions + 1);
        ad_run transition = *run;
        transition.seed = seed_of(run->seed, m);
        transition.find_nan = false; /* an energy that overflows is not accepted, and no fault */
        ad_set_element(dtype, &a->power_of_q, 0, 1 - power);
        ad_set_element(dtype, &a->power_of_p, 0, power * beta);
        status = ad_plan_run(a->move, &transition, error);
        if (status) break;
        add(a, a->number, 1, rows, log_weight);
        moved += take_moved(a, rows);
    }
    if (!status) status = ad_plan_run(a->end, run, error);
    if (status) return status;
    add(a, a->log_p, a->alpha * beta, rows, log_weight);
    if (a->alpha != 1) add(a, a->number, 1 - a->alpha, rows, log_weight);
    a->moved = (double)moved / (double)(rows * transitions);
    return AD_OK;
}
