/* Weir flows: bijectors, chains, and a flow = base distribution + bijector.
 *
 * A bijector maps an event z of the base distribution to an event x of the data, both vectors of D features:
 *
 *     forward   z -> x  with log|det dx/dz|        (sampling)
 *     inverse   x -> z  with log|det dz/dx|        (density)
 *
 * It is written for one event, as ops on a tape (autodiff.h): rows and gradients are the engine's business. All
 * log-determinants and log-probabilities are in nats.
 *
 * A formula names a chain: `(maf(128,128)-flip)*3-standardize`. Terms are joined by '-', the leftmost is applied to the
 * base sample first; `term*K` is K copies, each with parameters of its own; parentheses group; arguments are positional
 * or named; spaces are free. A flow's formula may name its base distribution first: `student(df=5):maf-flip`; without,
 * it is N(0, I).
 */
#ifndef WEIR_FLOWS_H
#define WEIR_FLOWS_H

#include "autodiff.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nf_bijector nf_bijector;

/* ---- Parameters ---------------------------------------------------------------------------------------------- */

typedef enum {
    NF_INIT_CONSTANT, /* every element is `value` */
    NF_INIT_UNIFORM,  /* uniform on [-value, value] */
    NF_INIT_NORMAL,   /* normal with standard deviation `value` */
} nf_init;

/* Where a parameter may be. What is stored and trained is a real number ρ; nf_param() records the value that obeys. */
typedef enum {
    NF_REAL,                  /* ρ */
    NF_POSITIVE,              /* softplus(ρ) */
    NF_UNIT_INTERVAL,         /* sigmoid(ρ), in (0, 1) */
    NF_INTERVAL,              /* low + (high - low) sigmoid(ρ) */
    NF_LOWER_TRIANGULAR,      /* (n,n): ρ below the diagonal, softplus(ρ) on it, 0 above */
    NF_UNIT_LOWER_TRIANGULAR, /* (n,n): ρ below the diagonal, 1 on it, 0 above */
} nf_constraint;

/* What a bijector declares. */
typedef struct {
    const char *name;
    ad_shape shape;
    nf_init init;
    double value; /* a constant is that of the parameter, a width that of ρ; a triangular one starts so below the
                   * diagonal, and with 1 on it */
    nf_constraint constraint;
    double low, high; /* of NF_INTERVAL */
    bool fixed;       /* saved and loaded, but not trained: set by fit (the mean of the data) or nf_update() */
} nf_parameter_spec;

/* A parameter of a bijector, as a flow sees it. */
typedef struct {
    char *name; /* within its bijector */
    nf_parameter_spec spec;
    double *value; /* [size] of ρ; the bijector's own copy, float64 */
    ad_var var;    /* ρ on the tape being recorded */
    ad_var update; /* what nf_update() recorded, or invalid */
} nf_parameter;

/* ---- The bijector contract ----------------------------------------------------------------------------------- */

typedef enum {
    NF_COUNT,    /* a whole number */
    NF_NUMBER,   /* a number */
    NF_CHOICE,   /* one of its choices */
    NF_FEATURES, /* one of its choices, or a list of features, each once, from 1: [1,3,5-8]; a type has one at most */
} nf_argument_kind;

enum { NF_LISTED = -1 }; /* the value of an NF_FEATURES argument that is a list */

/* A named argument of a bijector in formulas. */
typedef struct {
    const char *name;
    nf_argument_kind kind;
    double value;        /* default; of choices the index */
    double low, high;    /* allowed, inclusive; unused for choices and features */
    const char *choices; /* "relu|tanh|elu" */
    const char *help;
} nf_argument;

typedef struct nf_bijector_type {
    const char *name; /* in formulas */
    const char *help; /* one line, with the formula of the map */
    /* Named arguments, ended by {0}; NULL for none. */
    const nf_argument *argument;
    /* What positional arguments mean: NULL, the named ones in their order; else positive whole numbers of this name
     * (hidden sizes), any number of them, `sizes` when none are given (0 ends it). */
    const char *positional;
    const size_t *sizes;
    /* Declare parameters with nf_declare(); self->dim and the arguments are known. NULL: there are none. */
    ad_status (*build)(nf_bijector *self, ad_error *error);
    /* Record the map and, in *log_det, the log|det J| of the same pass: per-row or shared, shape (). Both may be left
     * to the engine. *log_det left alone: taken from the Jacobian on the tape, whose diagonal or triangular structure
     * is seen from what depends on what; a dense one goes through LU. One of the two functions NULL: the other is
     * solved by Newton's method to the precision of the dtype and differentiated implicitly; the map must then be
     * defined on all reals, and smooth. Where a log-det jumps, gradients don't feel the jump: leaky.c shows a remedy,
     * while self->training. */
    ad_var (*forward)(const nf_bijector *self, ad_var z, ad_var *log_det);
    ad_var (*inverse)(const nf_bijector *self, ad_var x, ad_var *log_det);
    /* Set parameters from data (rows, dim) on the x side. NULL: nothing to set. */
    ad_status (*fit)(nf_bijector *self, const double *x, size_t rows, ad_error *error);
    /* A base distribution has these two in place of forward and inverse: log p(z), per-row, shape (); and a draw,
     * per-row, shape (dim), from ad_normal and ad_uniform. */
    ad_var (*log_prob)(const nf_bijector *self, ad_var z);
    ad_var (*sample)(const nf_bijector *self, ad_tape *tape);
} nf_bijector_type;

/* An instance. Read it; change it through the functions below only. */
struct nf_bijector {
    const nf_bijector_type *type;
    size_t dim;
    size_t context;   /* numbers in the context vector; 0: unconditional */
    double *argument; /* one value for each of type->argument */
    size_t *size;     /* positional sizes */
    size_t n_size;
    size_t *feature; /* the list, where an NF_FEATURES argument is NF_LISTED: in the given order, from 0 */
    size_t n_feature;
    nf_parameter *parameter;
    size_t n_parameter;
    nf_bijector **child; /* of a chain, of invert */
    size_t n_child;
    bool borrows;       /* the children belong to another: a slice of a chain */
    ad_var context_var; /* on the tape being recorded; nf_context() */
    bool training;      /* nf_set_training() */
};

/* In build: add a parameter. */
ad_status nf_declare(nf_bijector *self, const nf_parameter_spec *spec, ad_error *error);
/* In forward and inverse: the parameter on the tape. In build and after: the named argument's value. */
ad_var nf_param(const nf_bijector *self, const char *name);
double nf_argument_value(const nf_bijector *self, const char *name);
/* Its float64 values (of ρ), to read or to set in fit; NULL when there is none of this name. */
double *nf_parameter_value(const nf_bijector *self, const char *name);
/* Set ρ so that the parameter has these values; false when there is none of this name. */
bool nf_parameter_set(nf_bijector *self, const char *name, const double *value);
/* In forward and inverse: the context vector of the row, shape (self->context); invalid when there is none. */
ad_var nf_context(const nf_bijector *self);
/* In forward and inverse while self->training: a fixed parameter's value after this training step. */
void nf_update(const nf_bijector *self, const char *name, ad_var value);

/* Make a type of your own known to formulas, at the start of the program, before other threads. The type must outlive
 * all use. AD_ERROR_ARGUMENT: its name is taken or isn't a name, or it has neither forward nor inverse. */
ad_status nf_register(const nf_bijector_type *type, ad_error *error);

/* ---- Making bijectors ---------------------------------------------------------------------------------------- */

/* What a formula gives in parentheses. */
typedef struct {
    const double *value;   /* of each of type->argument; NULL: the defaults */
    const size_t *size;    /* positional sizes */
    size_t n_size;         /* 0: the default ones */
    const size_t *feature; /* what the NF_FEATURES argument lists, from 0; NULL: one of its choices */
    size_t n_feature;
} nf_arguments;

/* One bijector of a type; everything in `given` is copied, and NULL gives the defaults. context is the length of the
 * context vector, 0 for none. Random parameters are zero until nf_initialize(). NULL on failure. */
nf_bijector *nf_bijector_new(const nf_bijector_type *type, size_t dim, size_t context, const nf_arguments *given,
                             ad_error *error);
/* Give every trained parameter below its initial value, random ones as a function of seed. */
void nf_initialize(nf_bijector *bijector, uint64_t seed);

/* From a formula, for events of dim features, and a context vector of `context` numbers (0: none). NULL on failure;
 * *error then shows the formula with a caret under the fault and what would be valid there. Initial values are a
 * function of seed. */
nf_bijector *nf_bijector_parse(const char *formula, size_t dim, size_t context, uint64_t seed, ad_error *error);
/* A chain of bijectors, child[0] applied to z first; and the inverse of one. They own their children, also on failure.
 */
nf_bijector *nf_chain(nf_bijector **child, size_t count, ad_error *error);
nf_bijector *nf_invert(nf_bijector *child, ad_error *error);
/* Steps first … last-1 of a chain, counted as its formula has them (chains within it are their steps); none are the
 * identity. It shares the chain's parameters and must not outlive it. */
nf_bijector *nf_chain_slice(const nf_bijector *chain, size_t first, size_t last, ad_error *error);
size_t nf_chain_steps(const nf_bijector *chain); /* 1 for what isn't a chain */
void nf_bijector_free(nf_bijector *bijector);
/* The shortest formula that parses to the same bijector; the caller frees it with ad_free(). NULL when memory is out.
 */
char *nf_formula(const nf_bijector *bijector);
/* Read the arguments behind a name of `length` bytes at the beginning of text, "funnel(dim=10)", as a formula's are
 * read: a value for each of argument[], which ends with {0} (NULL: none). False on failure. */
bool nf_parse_arguments(const char *text, size_t length, const nf_argument *argument, double *value, ad_error *error);
/* Bijectors and base distributions that formulas know, ended by NULL. */
const nf_bijector_type *const *nf_bijector_types(void);
const nf_bijector_type *const *nf_distribution_types(void);

/* ---- Recording ----------------------------------------------------------------------------------------------- */

/* Put the parameters of a bijector and of all below it on a tape, and its context vector, if it has one, as an input;
 * before nf_forward and nf_inverse, once for each tape. */
void nf_bind(nf_bijector *bijector, ad_tape *tape);
/* After nf_bind: another value as the context vector (an embedding recorded on the tape), for all below. */
void nf_set_context(nf_bijector *bijector, ad_var context);
/* After nf_bind: record the training step's form, for bijectors that see the batch (batchnorm), for all below. */
void nf_set_training(nf_bijector *bijector);
ad_var nf_forward(const nf_bijector *bijector, ad_var z, ad_var *log_det);
ad_var nf_inverse(const nf_bijector *bijector, ad_var x, ad_var *log_det);
/* nf_bijector_type.fit of every bijector that has one, each with the data as seen at its place in the chain. context:
 * (rows, bijector->context), or NULL when that is 0. */
ad_status nf_bijector_fit(nf_bijector *bijector, const double *x, const double *context, size_t rows, ad_error *error);

/* Call visit for every parameter below, with its full name: "0.maf.weight0". Stops when it returns false. */
bool nf_each_parameter(nf_bijector *bijector, bool (*visit)(void *context, const char *name, nf_parameter *parameter),
                       void *context);

/* ---- Flows --------------------------------------------------------------------------------------------------- */

/* A base distribution pushed through a bijector: log p(x) = log p_base(z) + log|det dz/dx|. */
typedef struct nf_flow nf_flow;

/* The flow owns both, also on failure; base NULL: N(0, I). dtype is that of training and of evaluation. */
nf_flow *nf_flow_new(nf_bijector *base, nf_bijector *bijector, ad_dtype dtype, ad_error *error);
/* From a formula, with or without a base distribution; see nf_bijector_parse(). */
nf_flow *nf_flow_parse(const char *formula, size_t dim, size_t context, ad_dtype dtype, uint64_t seed, ad_error *error);
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
size_t nf_flow_context(const nf_flow *flow); /* length of the context vector; 0: unconditional */
ad_dtype nf_flow_dtype(const nf_flow *flow);
/* All parameters as one array of the flow's dtype: the trained ones first, then the fixed. It is what runs use; the
 * bijectors' own float64 copies follow it with nf_flow_pull(), and it follows them with nf_flow_push(). */
void *nf_flow_parameters(const nf_flow *flow);
size_t nf_flow_parameter_count(const nf_flow *flow); /* trained elements */
size_t nf_flow_fixed_count(const nf_flow *flow);
void nf_flow_push(nf_flow *flow);
void nf_flow_pull(nf_flow *flow);

/* Put the flow's parameters, and its context vector, on a tape: once for each, before the two below. */
void nf_flow_bind(const nf_flow *flow, ad_tape *tape);
/* Record log p(x); and a draw x with its log p(x) from the same pass. */
ad_var nf_flow_record_log_prob(const nf_flow *flow, ad_var x);
ad_var nf_flow_record_sample(const nf_flow *flow, ad_tape *tape, ad_var *log_prob);
/* For a plan made from a tape on which the flow was bound: bind every parameter. */
void nf_flow_bind_plan(const nf_flow *flow, ad_plan *plan);
/* Parameter number i, trained ones first, and where it begins in nf_flow_parameters(), in elements; how many parameters
 * are trained, and how many there are. */
const nf_parameter *nf_flow_parameter(const nf_flow *flow, size_t i, size_t *offset);
size_t nf_flow_trained_parameters(const nf_flow *flow);
size_t nf_flow_all_parameters(const nf_flow *flow);

/* In the next three, context is (rows, nf_flow_context()): what each row is conditioned on; NULL when that is 0. */

/* log p of each row of x (rows, dim), in nats, into log_prob (rows). */
ad_status nf_log_prob(nf_flow *flow, const double *x, const double *context, size_t rows, double *log_prob,
                      ad_pool *pool, ad_error *error);
/* Draw x (rows, dim); sample number i is a function of (seed, i). log_prob: of each, from the same pass; or NULL. */
ad_status nf_sample(nf_flow *flow, const double *context, size_t rows, uint64_t seed, double *x, double *log_prob,
                    ad_pool *pool, ad_error *error);
/* x (rows, dim) from z and back, with the log-determinant of the direction taken, or NULL. */
ad_status nf_transform(nf_flow *flow, bool inverse, const double *in, const double *context, size_t rows, double *out,
                       double *log_det, ad_pool *pool, ad_error *error);

#ifdef __cplusplus
}
#endif
#endif
