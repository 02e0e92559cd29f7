/* Stochastic normalizing flows (Wu, Köhler & Noé 2020, "Stochastic normalizing flows"): flows with steps that draw,
 * which move mass where no bijection of an unbroken base can. With them a flow has no exact log p, since many paths
 * z_0, z_1 … lead to one x, but each draw has that of its path,
 *
 *     log q(path) = log p_base(z_0) - Σ ΔS,
 *
 * where ΔS is log|det J| of a bijector and, of a step that draws, log b(z_t | z_t+1) - log f(z_t+1 | z_t): the
 * densities of the way back and of the way there. p(x) / q(path) is an importance weight as p/q is of an exact flow:
 * its mean is Z, and draws with such weights are p's; and E[log q(path) - log p(x)], at least -log Z, is what nf_vi()
 * trains by.
 *
 * nf_flow_record_sample(), and all that draws, gives log q(path) in the place of log p. What needs log p itself of a
 * point, or an inverse, is an error that says so: a likelihood fit, nf_log_prob(), nf_transform().
 *
 * Steps are drawn towards densities between the base distribution and a target, which the flow has to be told:
 *
 *     log π_λ(z) = (1 - λ) log p_base(z) + λ log p(z),      λ = k / K for step k of K that draw.
 *
 * error may be NULL. Threads: as in <weir/bijector.h> and <weir/flow.h>. */
#ifndef WEIR_STOCHASTIC_H
#define WEIR_STOCHASTIC_H

#include <weir/flow.h>

WEIR_BEGIN_DECLARATIONS

/* Steps that draw, which formulas know beside bijectors, ended by NULL; nf_register() adds to them. */
const nf_bijector_type *const *nf_stochastic_types(void);
extern const nf_registry nf_stochastic_steps;

/* Is a step of it, or of its bijector, one that draws? */
bool nf_bijector_is_stochastic(const nf_bijector *bijector);
bool nf_flow_is_stochastic(const nf_flow *flow);

/* Tell the flow what its steps are drawn towards; it is a change of the flow, and slices take it as it is when they are
 * made. density->context must outlive what is recorded and drawn. NULL takes it away. */
void nf_flow_set_density(nf_flow *flow, const nf_density *density);
/* What a scope's steps see as base and target, for all below: nf_flow_bind() does that. Both must outlive the tape; a
 * NULL one is not there, and π_λ is the other. */
void nf_set_densities(nf_scope *at, const nf_density *base, const nf_density *target);

/* For forward of a step that draws: log π_λ(z), (), of a z (dim). */
ad_var nf_intermediate_log_density(const nf_scope *at, ad_var z);
/* The same with its gradient with respect to z, (dim), in *gradient. */
ad_var nf_intermediate_gradient(const nf_scope *at, ad_var z, ad_var *gradient);

WEIR_END_DECLARATIONS

#endif
