/* What the files of flows/ share. */
#ifndef WEIR_FLOWS_CORE_INTERNAL_H
#define WEIR_FLOWS_CORE_INTERNAL_H

#include <weir/bijector.h>

/* Types that only code makes, not names in formulas. */
extern const nf_bijector_type nf__type_chain, nf__type_invert, nf__type_on, nf__type_mixture_of, nf__type_product_of, nf__type_conditional;
extern const nf_bijector_type nf__type_dequantize, nf__type_image, nf__type_squeeze, nf__type_split;
/* What a flow has without another. */
extern const nf_bijector_type nf__type_normal;

/* An instance without arguments that owns its children; frees them on failure. */
nf_bijector *nf__bijector_with_children(const nf_bijector_type *type, nf_bijector **child, size_t count,
                                        ad_error *error);
/* Give an instance without children its only one, which it owns then, also on failure; NULL, and the instance is freed,
 * where memory is out. NULL stays NULL, with the child freed. */
nf_bijector *nf__adopt(nf_bijector *self, nf_bijector *child, ad_error *error);
/* mixture_of: child is the base distribution and the bijector of each flow in turn, which it owns, also on failure. */
nf_bijector *nf__mixture_of(nf_bijector **child, size_t count, ad_error *error);
/* nf_conditional() with what it may take; NULL: anything. */
nf_bijector *nf__conditional(nf_bijector *child, const nf_arguments *given, size_t *room, ad_error *error);
/* dequantize(child), within what it may take (NULL: anything), of events with so much context; child's is what events
 * are. It owns the child, also on failure. */
nf_bijector *nf__dequantize(nf_bijector *child, size_t context, const nf_arguments *given, size_t *room,
                            ad_error *error);
/* How many numbers of context a step sees that follows this one in a chain. */
size_t nf__context_after(const nf_bijector *bijector);
ad_var nf__scope_context_after(const nf_scope *at);
/* That an instance's features are those of its events, each listed once. */
ad_status nf__check_features(const nf_bijector *self, ad_error *error);
/* ρ of a constrained value, element i of shape; and the value of a ρ on a tape. */
double nf__unconstrain(const nf_parameter_spec *spec, double value, size_t i);
ad_var nf__constrain(const nf_parameter_spec *spec, ad_var rho);

/* nf_each_parameter() of a base distribution. */
bool nf__each_base_parameter(const nf_bijector *base,
                             bool (*visit)(void *context, const char *name, nf_parameter *parameter), void *context);

/* Whether a base distribution is one of angles; that a bijector after it keeps turns, AD_ERROR_ARGUMENT; and an angle
 * written from -π to π. */
bool nf__is_circular(const nf_bijector *base);
ad_status nf__check_circle(const nf_bijector *base, const nf_bijector *bijector, ad_error *error);
ad_var nf__within_turn(ad_var angle);

/* What maps some features of its events, or all in another order, by its child: on, image, squeeze, split; and one. */
bool nf__maps_features(const nf_bijector *bijector);
nf_bijector *nf__on(const nf_bijector_type *type, ad_shape shape, size_t dim, const size_t *feature, size_t count,
                    nf_bijector *child, ad_error *error);
/* Is this a name that takes formulas, and so no bijector's? */
bool nf__is_operator(const char *name, size_t length);
/* v with y in the place of the features that an on() maps. */
ad_var nf__on_replace(const nf_bijector *on, ad_var v, ad_var y);

/* Number a flow's steps that draw; that a child isn't one and has none, for those that can't hold them: */
ad_status nf__number_draws(nf_bijector *bijector, ad_error *error);
ad_status nf__refuse_stochastic(const char *what, const nf_bijector *child, ad_error *error);
/* Streams of noise of step k that draws: those from NF__FIRST_DRAW + NF__STREAMS_OF_DRAW * k on. Below are a base
 * distribution's and those of estimates, from 4000 on those of mixtures. */
enum { NF__FIRST_DRAW = 3001, NF__STREAMS_OF_DRAW = 4, NF__MOST_DRAWS = 248 };
/* log p of a base distribution, (). */
ad_var nf__base_log_prob(const nf_scope *base, ad_var z);

/* Take numbers out of the room that a formula has, nf_flow_parse_within(): AD_ERROR_ARGUMENT where it has fewer. */
ad_status nf__take_room(size_t *room, const char *name, size_t numbers, ad_error *error);
/* nf_bijector_new() with what it may take; NULL: anything. */
nf_bijector *nf__bijector_within(const nf_bijector_type *type, size_t dim, size_t context, const nf_arguments *given,
                                 size_t *room, ad_error *error);
/* The same types and arguments, fresh parameters. */
nf_bijector *nf__bijector_copy(const nf_bijector *bijector, size_t *room, ad_error *error);
nf_parameter *nf__find_parameter(const nf_bijector *self, const char *name);

/* Of a bijector and of all below it. */
size_t nf__parameters_below(const nf_bijector *bijector);
/* A scope on a tape, with nothing bound; NULL where memory is out, which the tape knows. */
nf_scope *nf__scope_new(const nf_bijector *self, ad_tape *tape);
/* A scope on the same or another tape, with replace(context, var) in the place of each parameter's var, in order;
 * without a context vector. */
nf_scope *nf__scope_like(const nf_scope *at, ad_tape *tape, ad_var (*replace)(void *context, ad_var var),
                         void *context);

/* Base distribution and bijector of a flow's formula; *base NULL when it names none. */
nf_bijector *nf__parse_flow(const char *formula, size_t dim, size_t context, uint64_t seed, size_t room,
                            nf_bijector **base, ad_error *error);

#endif
