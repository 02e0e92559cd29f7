/* A flow: a base distribution pushed through a bijector, with its parameters in one array. */
#include "core/flow.h"

#include <weir/environment.h>
#include <weir/stochastic.h>

#include <string.h>

/* ---- Parameters ---------------------------------------------------------------------------------------------- */

typedef struct {
    nf_flow *flow;
    size_t place; /* of the next parameter in nf_flow_each_parameter()'s order */
    bool fixed, count_only;
} collect_state;

static bool collect(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    collect_state *c = context;
    nf_flow *flow = c->flow;
    const size_t place = c->place++;
    if (c->count_only) {
        flow->n_entry++;
    } else if (parameter->spec.fixed == c->fixed) {
        flow->entry[flow->n_entry++] = (nf__flow_entry){parameter, place, flow->elements};
        flow->elements += ad_shape_size(parameter->spec.shape);
    }
    return true;
}

bool nf_flow_each_parameter(const nf_flow *flow,
                            bool (*visit)(void *context, const char *name, nf_parameter *parameter), void *context)
{
    return !flow || !visit ||
           (nf_each_parameter(flow->bijector, visit, context) && nf__each_base_parameter(flow->base, visit, context));
}

static bool collect_parameters(nf_flow *flow)
{
    nf_flow_each_parameter(flow, collect, &(collect_state){.flow = flow, .count_only = true});
    flow->entry = ad_alloc(flow->n_entry, sizeof *flow->entry);
    if (!flow->entry) return false;
    flow->n_entry = 0;
    nf_flow_each_parameter(flow, collect, &(collect_state){.flow = flow});
    flow->n_trained = flow->n_entry;
    flow->of_bijector = nf__parameters_below(flow->bijector);
    flow->trained_elements = flow->elements;
    nf_flow_each_parameter(flow, collect, &(collect_state){.flow = flow, .fixed = true});
    flow->data = ad_alloc_aligned(flow->elements, ad_dtype_size(flow->dtype));
    flow->evaluations = nf__evaluations_new();
    return flow->data && flow->evaluations;
}

nf_flow *nf_flow_new(nf_bijector *base, nf_bijector *bijector, ad_dtype dtype, ad_error *error)
{
    if (bijector && !base) base = nf_bijector_new(&nf__type_normal, bijector->dim, bijector->context, NULL, error);
    bool good = base && bijector;
    if (good && (!base->type->log_prob || !base->type->sample || base->dim != bijector->dim)) {
        ad_error_set(error, AD_ERROR_ARGUMENT,
                     "flow: '%s' of dimension %zu can't be the base distribution of dimension %zu", base->type->name,
                     base->dim, bijector->dim);
        good = false;
    }
    good = good && nf__check_circle(base, bijector, error) == AD_OK;
    good = good && nf__number_draws(bijector, error) == AD_OK;
    nf_flow *flow = good ? ad_alloc(1, sizeof *flow) : NULL;
    if (!flow) {
        if (good) ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a flow");
        nf_bijector_free(base);
        nf_bijector_free(bijector);
        return NULL;
    }
    *flow = (nf_flow){.base = base, .bijector = bijector, .dtype = dtype};
    if (!collect_parameters(flow)) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a flow");
        nf_flow_free(flow);
        return NULL;
    }
    nf_flow_push(flow);
    return flow;
}

nf_flow *nf_flow_slice(const nf_flow *flow, size_t steps, ad_error *error)
{
    if (!flow) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "slice: expected a flow, got NULL");
        return NULL;
    }
    nf_bijector *bijector = nf_chain_slice(nf_flow_bijector(flow), 0, steps, error);
    if (!bijector) return NULL;
    nf_flow *slice = ad_alloc(1, sizeof *slice);
    if (slice)
        *slice = (nf_flow){
            .base = flow->base, .bijector = bijector, .borrows = true, .dtype = flow->dtype, .target = flow->target};
    if (slice && collect_parameters(slice)) {
        nf_flow_push(slice);
        return slice;
    }
    ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a slice of a flow");
    if (slice)
        nf_flow_free(slice);
    else
        nf_bijector_free(bijector);
    return NULL;
}

nf_flow *nf_flow_parse(const char *formula, size_t dim, size_t context, ad_dtype dtype, uint64_t seed, ad_error *error)
{
    return nf_flow_parse_within(formula, dim, context, dtype, seed, SIZE_MAX, error);
}

nf_flow *nf_flow_parse_within(const char *formula, size_t dim, size_t context, ad_dtype dtype, uint64_t seed,
                              size_t most, ad_error *error)
{
    nf_bijector *base, *bijector = nf__parse_flow(formula, dim, context, seed, most, &base, error);
    return bijector ? nf_flow_new(base, bijector, dtype, error) : NULL;
}

void nf_flow_free(nf_flow *flow)
{
    if (!flow) return;
    nf__evaluations_free(flow->evaluations);
    ad_free_aligned(flow->data);
    ad_free(flow->entry);
    nf_bijector_free(flow->bijector);
    if (!flow->borrows) nf_bijector_free(flow->base);
    ad_free(flow);
}

void nf__flow_release(nf_flow *flow, nf_bijector **base, nf_bijector **bijector)
{
    nf_flow_pull(flow);
    *base = flow->base;
    *bijector = flow->bijector;
    flow->base = flow->bijector = NULL;
    nf_flow_free(flow);
}

nf_bijector *nf_flow_bijector(const nf_flow *flow)
{
    return flow ? flow->bijector : NULL;
}

nf_bijector *nf_flow_base(const nf_flow *flow)
{
    return flow ? flow->base : NULL;
}

size_t nf_flow_dim(const nf_flow *flow)
{
    return flow ? flow->bijector->dim : 0;
}

size_t nf_flow_context_size(const nf_flow *flow)
{
    return flow ? flow->bijector->context : 0;
}

ad_dtype nf_flow_dtype(const nf_flow *flow)
{
    return flow ? flow->dtype : AD_F32;
}

void *nf_flow_parameters(const nf_flow *flow)
{
    return flow ? flow->data : NULL;
}

size_t nf_flow_trained_elements(const nf_flow *flow)
{
    return flow ? flow->trained_elements : 0;
}

size_t nf_flow_fixed_elements(const nf_flow *flow)
{
    return flow ? flow->elements - flow->trained_elements : 0;
}

size_t nf_flow_trained_parameters(const nf_flow *flow)
{
    return flow ? flow->n_trained : 0;
}

size_t nf_flow_all_parameters(const nf_flow *flow)
{
    return flow ? flow->n_entry : 0;
}

const nf_parameter *nf_flow_parameter(const nf_flow *flow, size_t i, size_t *offset)
{
    if (i >= nf_flow_all_parameters(flow)) return NULL;
    if (offset) *offset = flow->entry[i].offset;
    return flow->entry[i].parameter;
}

void nf_flow_push(nf_flow *flow)
{
    AD_DEFAULT_ENVIRONMENT;
    for (size_t e = 0; e < nf_flow_all_parameters(flow); e++) {
        const nf_parameter *parameter = flow->entry[e].parameter;
        char *to = (char *)flow->data + flow->entry[e].offset * ad_dtype_size(flow->dtype);
        ad_from_double(flow->dtype, parameter->value, to, ad_shape_size(parameter->spec.shape));
    }
}

void nf_flow_pull(nf_flow *flow)
{
    AD_DEFAULT_ENVIRONMENT;
    for (size_t e = 0; e < nf_flow_all_parameters(flow); e++) {
        nf_parameter *parameter = flow->entry[e].parameter;
        const char *from = (const char *)flow->data + flow->entry[e].offset * ad_dtype_size(flow->dtype);
        ad_to_double(flow->dtype, from, parameter->value, ad_shape_size(parameter->spec.shape));
    }
}

/* ---- Recording ----------------------------------------------------------------------------------------------- */

nf_flow_scope nf_flow_bind(const nf_flow *flow, ad_tape *tape)
{
    nf_flow_scope at = {flow, tape, nf_bind(nf_flow_base(flow), tape), nf_bind(nf_flow_bijector(flow), tape)};
    nf_set_context(at.base, nf_context(at.bijector));
    if (nf_flow_is_stochastic(flow)) nf__set_flow_densities(&at);
    return at;
}

nf_flow_scope nf_flow_stop_gradient(const nf_flow_scope *at)
{
    if (!at) return (nf_flow_scope){0};
    return (nf_flow_scope){at->flow, at->tape, nf_stop_gradient(at->base), nf_stop_gradient(at->bijector)};
}

nf_bound_parameter nf_flow_bound_parameter(const nf_flow_scope *at, size_t i)
{
    if (!at) return (nf_bound_parameter){{NULL, -1}, {NULL, -1}};
    if (i >= nf_flow_all_parameters(at->flow)) return (nf_bound_parameter){{at->tape, -1}, {at->tape, -1}};
    size_t place = at->flow->entry[i].place, of_bijector = at->flow->of_bijector;
    const nf_scope *scope = place < of_bijector ? at->bijector : at->base;
    if (!scope) return (nf_bound_parameter){{at->tape, -1}, {at->tape, -1}};
    return scope->parameter[place < of_bijector ? place : place - of_bijector];
}

void nf_flow_bind_plan(const nf_flow_scope *at, ad_plan *plan)
{
    const nf_flow *flow = at ? at->flow : NULL;
    size_t size = ad_dtype_size(nf_flow_dtype(flow));
    for (size_t e = 0; e < nf_flow_all_parameters(flow); e++)
        ad_plan_set_input(plan, nf_flow_bound_parameter(at, e).var, (char *)flow->data + flow->entry[e].offset * size);
}

ad_var nf__base_log_prob(const nf_scope *base, ad_var z)
{
    if (!base) return (ad_var){z.tape, -1};
    ad_tape_enter(z.tape, base->self->type->name);
    ad_var log_prob = base->self->type->log_prob(base, z);
    if (ad_is_valid(z) && (!ad_is_valid(log_prob) || log_prob.tape != z.tape))
        ad_tape_fail(z.tape, AD_ERROR_ARGUMENT, "log_prob of '%s' returned no value", base->self->type->name);
    ad_tape_leave(z.tape);
    return log_prob;
}

ad_var nf_flow_record_log_prob(const nf_flow_scope *at, ad_var x)
{
    if (!at) return (ad_var){x.tape, -1};
    ad_var log_det, z = nf_inverse(at->bijector, x, &log_det);
    return ad_add(nf__base_log_prob(at->base, z), log_det);
}

ad_var nf_flow_record_sample(const nf_flow_scope *at, ad_var *log_prob)
{
    const nf_scope *base = at ? at->base : NULL;
    ad_var unwanted;
    if (!log_prob) log_prob = &unwanted;
    if (!base) return *log_prob = (ad_var){at ? at->tape : NULL, -1};
    ad_tape_enter(base->tape, base->self->type->name);
    ad_var z = base->self->type->sample(base);
    if (!ad_is_valid(z) || z.tape != base->tape)
        ad_tape_fail(base->tape, AD_ERROR_ARGUMENT, "sample of '%s' returned no value", base->self->type->name);
    ad_tape_leave(base->tape);
    ad_var log_det, x = nf_forward(at->bijector, z, &log_det);
    *log_prob = ad_sub(nf__base_log_prob(base, z), log_det);
    return nf__is_circular(base->self) ? nf__within_turn(x) : x;
}
