/* Steps that draw, in flows: how they are numbered, and the densities that they are drawn towards. */
#include "core/flow.h"

#include <weir/stochastic.h>

static size_t count(const nf_bijector *bijector)
{
    size_t found = bijector->type->stochastic;
    for (size_t i = 0; i < bijector->n_child; i++) found += count(bijector->child[i]);
    return found;
}

bool nf_bijector_is_stochastic(const nf_bijector *bijector)
{
    return bijector && count(bijector) > 0;
}

bool nf_flow_is_stochastic(const nf_flow *flow)
{
    return nf_bijector_is_stochastic(nf_flow_bijector(flow));
}

/* Returns how many are numbered now. */
static size_t number(nf_bijector *bijector, size_t done, size_t all)
{
    if (bijector->type->stochastic) {
        bijector->draw = ++done;
        bijector->draws = all;
    }
    for (size_t i = 0; i < bijector->n_child; i++) done = number(bijector->child[i], done, all);
    return done;
}

ad_status nf__number_draws(nf_bijector *bijector, ad_error *error)
{
    const size_t all = count(bijector);
    if (all > NF__MOST_DRAWS)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "flow: expected at most %d steps that draw, got %zu",
                            NF__MOST_DRAWS, all);
    number(bijector, 0, all);
    return AD_OK;
}

ad_status nf__refuse_stochastic(const char *what, const nf_bijector *child, ad_error *error)
{
    if (!nf_bijector_is_stochastic(child)) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "%s: steps that draw, as metropolis does, have no inverse and no log p, and see all features: "
                        "they stand in a flow's own chain",
                        what);
}

/* ---- Densities -------------------------------------------------------------------------------------------------- */

void nf_set_densities(nf_scope *at, const nf_density *base, const nf_density *target)
{
    if (!at) return;
    at->base = base;
    at->target = target;
    for (size_t i = 0; i < at->self->n_child; i++) nf_set_densities(&at->child[i], base, target);
}

static ad_var record_base(const void *context, ad_var z)
{
    return nf__base_log_prob(context, z);
}

void nf__set_flow_densities(const nf_flow_scope *at)
{
    nf_density *density = ad_tape_alloc(at->tape, 2, sizeof *density);
    if (!density) return;
    density[0] = (nf_density){record_base, at->base};
    density[1] = at->flow->target;
    nf_set_densities(at->bijector, &density[0], density[1].record ? &density[1] : NULL);
}

void nf_flow_set_density(nf_flow *flow, const nf_density *density)
{
    if (!flow) return;
    flow->target = density ? *density : (nf_density){0};
    nf__evaluations_forget(flow->evaluations);
}

ad_var nf_intermediate_log_density(const nf_scope *at, ad_var z)
{
    if (!at) return (ad_var){z.tape, -1};
    const nf_bijector *self = at->self;
    if (!at->target || !at->target->record) {
        ad_tape_fail(z.tape, AD_ERROR_ARGUMENT,
                     "'%s' draws towards a target's density, and the flow hasn't been told of one: "
                     "inference tells it, and nf_flow_set_target()",
                     self->type->name);
        return (ad_var){z.tape, -1};
    }
    ad_var target = at->target->record(at->target->context, z);
    if (self->draw == self->draws || !at->base || !at->base->record) return target;
    const double reached = (double)self->draw / (double)self->draws;
    return ad_add(ad_mul_scalar(at->base->record(at->base->context, z), 1 - reached), ad_mul_scalar(target, reached));
}

ad_var nf_intermediate_gradient(const nf_scope *at, ad_var z, ad_var *gradient)
{
    ad_var log_density = nf_intermediate_log_density(at, z);
    if (gradient) *gradient = ad_grad1(log_density, z);
    return log_density;
}
