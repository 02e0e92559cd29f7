/* Flows: a base distribution pushed through a bijector.
 *
 * Several threads may read one flow, record it and evaluate it (nf_log_prob(), nf_sample(), nf_transform()) at once,
 * with one pool or with their own, while none changes it. While one trains it, evaluating it in others is
 * AD_ERROR_ARGUMENT, and so is training it twice at once; any other change (its parameters, nf_flow_push(), freeing it)
 * is for when nobody uses it. Different flows may be changed in different threads, unless one is a slice of the other.
 * A child process, after fork(), has flows of its own, equal to its parent's.
 *
 * error and pool may be NULL everywhere. A flow that is NULL, since making it has failed, does no harm: it has no
 * parameters and no formula, what is recorded of it is invalid, and evaluating it is AD_ERROR_ARGUMENT. */
#ifndef WEIR_FLOW_H
#define WEIR_FLOW_H

#include <weir/bijector.h>

WEIR_BEGIN_DECLARATIONS

/* A base distribution pushed through a bijector: log p(x) = log p_base(z) + log|det dz/dx|. */
typedef struct nf_flow nf_flow;

/* The flow owns both, also on failure; base NULL: N(0, I). bijector NULL: what was to make it has failed and has said
 * why; the result is NULL and *error left alone. dtype is that of training and of evaluation. */
nf_flow *nf_flow_new(nf_bijector *base, nf_bijector *bijector, ad_dtype dtype, ad_error *error);
/* From a formula, with or without a base distribution; see nf_bijector_parse(). */
nf_flow *nf_flow_parse(const char *formula, size_t dim, size_t context, ad_dtype dtype, uint64_t seed, ad_error *error);
/* The same of a formula that comes from anywhere, as a few bytes of it may ask for all memory: it takes no more room
 * than `most` numbers, of which a parameter takes two for each of its elements, a list of features as many as it lists,
 * and every bijector, as on([…],…), the dimension of its events. AD_ERROR_ARGUMENT where that is too little, before
 * there is memory for more. */
nf_flow *nf_flow_parse_within(const char *formula, size_t dim, size_t context, ad_dtype dtype, uint64_t seed,
                              size_t most, ad_error *error);
/* A mixture of flows of one dimension, context and dtype, and a bijector after it: log p(x) = log Σ_k w_k p_k(z) +
 * log|det dz/dx|, as the formula mixture_of(A|B|…):bijector. It owns all of them, also on failure; a NULL
 * among them is what has failed and has said why, as in nf_flow_new(). The weights are positive, and what counts is
 * their ratios; NULL: equal ones. Fitted, they are trained along (Smyth & Wolpert 1999, "Linearly combining
 * density estimators via stacking", set them by held-out rows instead). There is no single z of an x: nf_transform()
 * is that of the bijector alone. */
nf_flow *nf_flow_mixture(nf_flow **member, const double *weight, size_t count, nf_bijector *bijector, ad_error *error);
/* The flow that ends after the first `steps` steps of its chain (nf_chain_steps()); after none, its base distribution.
 * Drawn from with the same seed, it shows the same samples after so many steps. It shares the flow's bijectors, takes
 * their parameters as nf_flow_pull() last left them, and must not outlive the flow. */
nf_flow *nf_flow_slice(const nf_flow *flow, size_t steps, ad_error *error);
void nf_flow_free(nf_flow *flow);

nf_bijector *nf_flow_bijector(const nf_flow *flow);
nf_bijector *nf_flow_base(const nf_flow *flow);
/* As nf_formula(), with the base distribution where it isn't N(0, I). with_defaults: with every default written out, so
 * that it means the same when they change. */
char *nf_flow_formula(const nf_flow *flow, bool with_defaults);
/* nf_each_parameter() of the bijector and, named "base.", of the base distribution. */
bool nf_flow_each_parameter(const nf_flow *flow,
                            bool (*visit)(void *context, const char *name, nf_parameter *parameter), void *context);
size_t nf_flow_dim(const nf_flow *flow);
size_t nf_flow_context_size(const nf_flow *flow); /* length of the context vector; 0: unconditional */
ad_dtype nf_flow_dtype(const nf_flow *flow);
bool nf_flow_is_circular(const nf_flow *flow); /* features are angles: see nf_bijector_type.circular */
/* All parameters as one array of the flow's dtype: the trained ones first, then the fixed. It is what runs use; the
 * bijectors' own float64 copies follow it with nf_flow_pull(), and it follows them with nf_flow_push(). */
void *nf_flow_parameters(const nf_flow *flow);
size_t nf_flow_trained_elements(const nf_flow *flow); /* how many numbers are trained */
size_t nf_flow_fixed_elements(const nf_flow *flow);   /* and how many are not */
void nf_flow_push(nf_flow *flow);
void nf_flow_pull(nf_flow *flow);

/* Set what can be set from data without training (nf_bijector_type.fit): nf_bijector_fit() of the bijector, then the
 * base distribution's, which sees the data pulled back through all of it. context: (rows, nf_flow_context_size()), or
 * NULL when that is 0. nf_fit() does it first; for `gaussian_mixture(components=3):standardize` and the like it is all
 * that there is to do. */
ad_status nf_flow_fit_data(nf_flow *flow, const double *x, const double *context, size_t rows, ad_error *error);

/* The same where x is a sample of more rows, whose means and standard deviations, (dim) each, are known: what goes by
 * these alone and sees x itself, as standardize does that ends a flow, is set from them. */
ad_status nf_flow_fit_sample(nf_flow *flow, const double *x, const double *context, size_t rows, const double *mean,
                             const double *sd, ad_error *error);

/* For what trains a flow, as nf_fit() and nf_vi() do: from here to nf_flow_end_training() its parameters may change,
 * and only this thread may evaluate it. AD_ERROR_ARGUMENT where it is being trained already, or evaluated in another
 * thread. */
ad_status nf_flow_begin_training(nf_flow *flow, ad_error *error);
void nf_flow_end_training(nf_flow *flow);

/* The flow on a tape: scopes of its two parts. */
typedef struct {
    const nf_flow *flow;
    ad_tape *tape;
    nf_scope *base, *bijector; /* NULL where memory was out, which the tape knows */
} nf_flow_scope;

/* Put the flow's parameters, and its context vector, on a tape. */
nf_flow_scope nf_flow_bind(const nf_flow *flow, ad_tape *tape);
/* The same vars, but no gradient passes through the parameters. */
nf_flow_scope nf_flow_stop_gradient(const nf_flow_scope *at);
/* Record log p(x); and a draw x with its log p(x) from the same pass, where log_prob isn't NULL. */
ad_var nf_flow_record_log_prob(const nf_flow_scope *at, ad_var x);
ad_var nf_flow_record_sample(const nf_flow_scope *at, ad_var *log_prob);
/* For a plan made from this tape, which must still be there: bind every parameter to nf_flow_parameters(). */
void nf_flow_bind_plan(const nf_flow_scope *at, ad_plan *plan);

/* Parameters are numbered, trained ones first: how many are trained, and how many there are; number i, and where it
 * begins in nf_flow_parameters(), in elements, into *offset unless that is NULL; and number i on a tape. Past the last,
 * NULL and invalid vars. */
size_t nf_flow_trained_parameters(const nf_flow *flow);
size_t nf_flow_all_parameters(const nf_flow *flow);
const nf_parameter *nf_flow_parameter(const nf_flow *flow, size_t i, size_t *offset);
nf_bound_parameter nf_flow_bound_parameter(const nf_flow_scope *at, size_t i);

/* In what follows, context is (rows, nf_flow_context_size()): what each row is conditioned on; NULL when that is 0.
 * A result that isn't wanted is NULL.
 * The plans that they run are kept with the flow: of each kind as many as threads have called at once.
 * Where the pool has a communicator, ranks divide the rows, and each gets the results of all of them. */

/* log p of each row of x (rows, dim), in nats, into log_prob (rows). */
ad_status nf_log_prob(const nf_flow *flow, const double *x, const double *context, size_t rows, double *log_prob,
                      ad_pool *pool, ad_error *error);
/* Draw x (rows, dim); sample number i is a function of (seed, i). log_prob: of each, from the same pass. */
ad_status nf_sample(const nf_flow *flow, const double *context, size_t rows, uint64_t seed, double *x, double *log_prob,
                    ad_pool *pool, ad_error *error);
/* Of a larger sample, those from number `first` on, whose context begins there too. */
ad_status nf_sample_part(const nf_flow *flow, const double *context, uint64_t first, size_t rows, uint64_t seed,
                         double *x, double *log_prob, ad_pool *pool, ad_error *error);
/* The gradient of Σ_r weight_r log p(x_r), for those who train a flow, or look for a mode of it, inside something else:
 * with respect to x, into x_gradient (rows, dim); to the context, into context_gradient, which is of its size; and to
 * what is trained, into parameter_gradient, nf_flow_trained_elements() numbers in nf_flow_parameters()'s order. weight
 * (rows); NULL: all 1. log_prob (rows): as nf_log_prob() has it, from the same pass. */
ad_status nf_log_prob_gradient(const nf_flow *flow, const double *x, const double *context, const double *weight,
                               size_t rows, double *log_prob, double *x_gradient, double *context_gradient,
                               double *parameter_gradient, ad_pool *pool, ad_error *error);
/* The same of Σ_r (x_weight_r · x_r + weight_r log p(x_r)), for the draws x_r that nf_sample() makes with this seed, as
 * functions of noise and of the parameters (reparametrised: Kingma & Welling 2014). x_weight (rows, dim) and weight
 * (rows); NULL: all 0. */
ad_status nf_sample_gradient(const nf_flow *flow, const double *context, const double *x_weight, const double *weight,
                             size_t rows, uint64_t seed, double *context_gradient, double *parameter_gradient,
                             ad_pool *pool, ad_error *error);
/* x (rows, dim) from z and back, with the log-determinant of the direction taken. */
ad_status nf_transform(const nf_flow *flow, bool inverse, const double *in, const double *context, size_t rows,
                       double *out, double *log_det, ad_pool *pool, ad_error *error);

WEIR_END_DECLARATIONS

#endif
