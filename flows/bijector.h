/* Bijectors: the contract that their authors keep, making them, and recording them.
 *
 * Several threads may read one bijector and record it at once, while none changes it (nf_initialize(),
 * nf_parameter_set(), nf_bijector_fit(), nf_bijector_free()); a tape, and the scopes on it, are one thread's at a time.
 * Bijectors of their own may be made in several threads at once. Registering is for the start of the program, before
 * other threads.
 *
 * error may be NULL everywhere. A bijector or a scope that is NULL, since making it has failed, does no harm: it has no
 * parameters, arguments, steps or formula, and what is recorded of it is invalid. */
#ifndef WEIR_BIJECTOR_H
#define WEIR_BIJECTOR_H

#include <weir/autodiff.h>
#include <weir/registry.h>

WEIR_BEGIN_DECLARATIONS

typedef struct nf_bijector nf_bijector;

/* ---- Parameters ------------------------------------------------------------------------------------------------- */

/* How a parameter begins. */
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
} nf_parameter;

/* ---- Scopes ---------------------------------------------------------------------------------------------------- */

/* A parameter on a tape. */
typedef struct {
    ad_var var;    /* ρ */
    ad_var update; /* what nf_update() recorded, or invalid */
} nf_bound_parameter;

/* A log-density up to a constant, in nats: it records, of a z (dim), a value of shape (). */
typedef struct {
    ad_var (*record)(const void *context, ad_var z);
    const void *context;
} nf_density;

/* What recording a bijector needs beside its argument: nf_bind() makes it for a tape, on which it lives, and hands it
 * to forward and inverse. A bijector itself holds nothing of a tape, so the same one can be recorded on several tapes,
 * and by several threads, at once. */
typedef struct nf_scope {
    const nf_bijector *self; /* what is recorded */
    ad_tape *tape;
    nf_bound_parameter
        *parameter;         /* self->parameter[i], followed by those of the children, in nf_each_parameter()'s order */
    ad_var context;         /* nf_context() */
    bool training;          /* nf_set_training(), nf_set_statistics() */
    bool statistics;        /* nf_set_statistics() */
    struct nf_scope *child; /* of self->child[i] */
    const nf_density *base, *target; /* nf_set_densities(); NULL: none */
} nf_scope;

/* ---- The bijector contract -------------------------------------------------------------------------------------- */
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
     * is seen from what depends on what; a dense one goes through LU. Its elements are rounded, and log|det J| is off
     * by that, 1e-7 in float32, times the ratio of the map's largest stretch to its least: where that is beyond 1e5,
     * write it, or take float64. One of the two functions NULL: the other is solved for, to the precision of the dtype,
     * and differentiated implicitly: by bracketing where the Jacobian is diagonal or triangular, else by Newton's
     * method; the map must then be defined on all reals, and smooth. Where a log-det jumps, gradients don't feel the
     * jump: leaky.c shows a remedy, while at->training. */
    ad_var (*forward)(const nf_scope *at, ad_var z, ad_var *log_det);
    ad_var (*inverse)(const nf_scope *at, ad_var x, ad_var *log_det);
    /* Set parameters from data (rows, dim) on the x side; of a base distribution, from draws. NULL: nothing to set. */
    ad_status (*fit)(nf_bijector *self, const double *x, size_t rows, ad_error *error);
    /* A base distribution has these two in place of forward and inverse: log p(z), per-row, shape (); and a draw,
     * per-row, shape (dim), from ad_normal and ad_uniform, of streams below 32. */
    ad_var (*log_prob)(const nf_scope *at, ad_var z);
    ad_var (*sample)(const nf_scope *at);
    /* The open interval that forward maps every feature onto; both 0: all reals. What leaves forward is kept in it, in
     * the numbers of the dtype too, and what reaches inverse on its edge only because the steps before have rounded is
     * taken for what is next to it. Beyond that a point out of it is inverse's: see nf_into_support(). */
    double low, high;
    const void *data; /* the author's own */
    /* det J is 0 for some parameters and has another sign beyond them, x = w z with any w: it is a bijection but for
     * these, which training keeps away from, for log|det J| is -inf there. False: for no parameters. */
    bool singular;
    /* Features may be angles in radians, of which x and x + 2π are the same: forward(z + 2π) = forward(z) + 2π. Of a
     * base distribution: log_prob has that period, and integrates to 1 over a turn. Such a base goes with such
     * bijectors alone; what draws from a flow of both gives angles from -π to π. */
    bool circular;
    bool fits_moments; /* fit goes by the columns' means and standard deviations (with a divisor of rows) alone */
    /* A type that has these two, which leaves events as they are, changes the context of what follows it in a chain, of
     * either direction: how many numbers that has, and those, (embedded(self)), of nf_context(at). They aren't called
     * where there is no context. */
    size_t (*embedded)(const nf_bijector *self);
    ad_var (*embed)(const nf_scope *at);
    /* Of a continuous flow: dz/dt of z at t, (dim), from t = 0, where the base is, to t = 1, and in *divergence
     * Σ ∂velocity_i/∂z_i, (), which may be left alone, as log_det above: it then takes dim sweeps over the tape. It is
     * what nf_integrate() solves, and what flow matching trains. NULL: it isn't one. */
    ad_var (*velocity)(const nf_scope *at, ad_var t, ad_var z, ad_var *divergence);
    /* No bijector, but a step that draws its x from a density f(x | z), by ad_normal and ad_uniform of streams below 4:
     * it has forward alone, with log b(z | x) - log f(x | z) in *log_det, b being the density of the way back. See
     * <weir/stochastic.h>. */
    bool stochastic;
} nf_bijector_type;

/* An instance. Read it; change it through the functions below only. */
struct nf_bijector {
    const nf_bijector_type *type;
    size_t dim;
    size_t context;    /* numbers in the context vector; 0: unconditional */
    double *argument;  /* one value for each of type->argument */
    nf_choice *choice; /* likewise: the descriptors that they name */
    size_t *size;      /* positional sizes */
    size_t n_size;
    size_t *feature; /* the list, where an NF_FEATURES argument is NF_LISTED, and that of on: as given, from 0 */
    size_t n_feature;
    nf_parameter *parameter;
    size_t n_parameter;
    nf_bijector **child; /* of a chain, of invert, of on */
    size_t n_child;
    bool is_chain;      /* its children are steps of a formula */
    bool borrows;       /* the children belong to another: a slice of a chain */
    size_t draw, draws; /* of a step that draws: its number in its flow, from 1, and how many those are; 0: in none */
    size_t *room;       /* while build runs for a formula: what nf_flow_parse_within() has left; else NULL */
    /* Events that are images: (channels, height, width), the order that their features have. Rank 0: they aren't. See
     * nf_image_shape(). */
    ad_shape shape;
};

/* In build: add a parameter. AD_ERROR_ARGUMENT: it has no name, its constraint and where it begins don't agree, or it
 * is larger than what nf_flow_parse_within() has left. */
ad_status nf_declare(nf_bijector *self, const nf_parameter_spec *spec, ad_error *error);
/* In build and after: the named argument's value. */
double nf_argument_value(const nf_bijector *self, const char *name);
/* The same for an argument that names a descriptor; NULL when there is none of this name. */
const nf_choice *nf_argument_choice(const nf_bijector *self, const char *name);
/* In forward and inverse: the parameter on the tape. */
ad_var nf_param(const nf_scope *at, const char *name);
/* Its float64 values (of ρ), to read or to set in fit; NULL when there is none of this name. */
double *nf_parameter_value(const nf_bijector *self, const char *name);
/* Set ρ so that the parameter has these values; false when there is none of this name, or value is NULL. */
bool nf_parameter_set(nf_bijector *self, const char *name, const double *value);
/* In forward and inverse: the context vector of the row, shape (self->context); invalid when there is none. */
ad_var nf_context(const nf_scope *at);
/* In forward and inverse while at->training: a fixed parameter's value after this training step; and where
 * at->statistics is set too, its value for evaluation, of rows that are all at hand: no running average. */
void nf_update(const nf_scope *at, const char *name, ad_var value);

/* In build and after, for bijectors that go by channels or pixels: the shape of its events, (channels, height, width);
 * those that aren't images are one pixel of as many channels as they have features. NULL: of rank 0. */
ad_shape nf_image_shape(const nf_bijector *self);

/* Make a type of your own known to formulas, at the start of the program, before other threads. The type must outlive
 * all use. AD_ERROR_ARGUMENT: it is NULL, its name is taken or isn't a name, it has neither forward nor inverse, it is
 * stochastic and has an inverse, or an argument lacks what its kind needs. */
ad_status nf_register(const nf_bijector_type *type, ad_error *error);

/* ---- Making bijectors ------------------------------------------------------------------------------------------- */

/* What a formula gives in parentheses. */
typedef struct {
    const double *value;     /* of each of type->argument; NULL: the defaults */
    const nf_choice *choice; /* likewise, of those that name a descriptor; NULL: the defaults, and so where a choice's
                              * descriptor is NULL, or its value, which has what its arguments begin as */
    const size_t *size;      /* positional sizes */
    size_t n_size;           /* 0: the default ones */
    const size_t *feature;   /* what the NF_FEATURES argument lists, from 0; NULL: one of its choices */
    size_t n_feature;
    ad_shape shape; /* of events that are images, whose dim features these are: (channels, height, width) */
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
 * Where a child is NULL, what was to make it has failed and has said why: they return NULL and leave *error alone. */
nf_bijector *nf_chain(nf_bijector **child, size_t count, ad_error *error);
nf_bijector *nf_invert(nf_bijector *child, ad_error *error);
/* `conditional(…)`: a bijector whose parameters are moved by a network of the context, with `given` hidden sizes and
 * activation, NULL: (64, 64) and tanh. What records with a parameter of each row's own can be it: planar, lu and the
 * like, not those with networks of their own. It owns the child, as these do. */
nf_bijector *nf_conditional(nf_bijector *child, const nf_arguments *given, ad_error *error);
/* A bijector on `count` features of events that have dim, listed from 0, each once; the others stay as they are. The
 * child's events have `count` features, in the list's order: nf_on(5, (const size_t[]){0, 2}, 2, child, &error) is
 * `on([1,3],…)`. It owns the child, as these do. */
nf_bijector *nf_on(size_t dim, const size_t *feature, size_t count, nf_bijector *child, ad_error *error);
/* Images, within which actnorm and conv1x1 go by channels, masks of couplings by channels or pixels, and networks may
 * be convolutions. `image(8,8,3,…)`: a bijector of images on events that are images as files have them, a pixel's
 * channels side by side: (height, width, channels). `squeeze(…)`: on images of which each block of 2 x 2 pixels is one
 * pixel of the child's, with four times the channels, of which number 4 c + 2 i + j is channel c at (i, j) in the block
 * (Dinh et al. 2017, section 3.6). `split(…)`: on the first of an image's `channels`, as many as the child's images
 * have, the others stay: where an image flow is split before each squeeze, this makes its scales. They own the child,
 * as these do; AD_ERROR_ARGUMENT where its events are no images, or of no size for this. */
nf_bijector *nf_image(nf_bijector *child, ad_error *error);
nf_bijector *nf_squeeze(nf_bijector *child, ad_error *error);
nf_bijector *nf_split(size_t channels, nf_bijector *child, ad_error *error);
/* A base distribution, `product_of([1,3]:A|[2]:B)`: each part is nf_on() of a base distribution, and each feature of
 * one of them. It owns them, as these do. */
nf_bijector *nf_product_of(nf_bijector **part, size_t count, ad_error *error);
/* Steps first … last-1 of a chain, counted as its formula has them (chains within it are their steps); none are the
 * identity. It shares the chain's parameters and must not outlive it. */
nf_bijector *nf_chain_slice(const nf_bijector *chain, size_t first, size_t last, ad_error *error);
size_t nf_chain_steps(const nf_bijector *chain); /* 1 for what isn't a chain, 0 for NULL */
void nf_bijector_free(nf_bijector *bijector);
/* The shortest formula that parses to the same bijector; the caller frees it with ad_free(). NULL when memory is out.
 */
char *nf_formula(const nf_bijector *bijector);
/* Bijectors and base distributions that formulas know, ended by NULL. */
const nf_bijector_type *const *nf_bijector_types(void);
const nf_bijector_type *const *nf_distribution_types(void);
extern const nf_registry nf_bijectors, nf_distributions;

/* ---- Recording -------------------------------------------------------------------------------------------------- */

/* Put the parameters of a bijector and of all below it on a tape, and its context vector, if it has one, as an input.
 * The scope is the tape's. NULL where memory is out or the tape is NULL: the error sticks to the tape, and what is
 * recorded on this scope does nothing. */
nf_scope *nf_bind(const nf_bijector *bijector, ad_tape *tape);
/* After nf_bind: another value as the context vector (an embedding recorded on the tape), for all below. */
void nf_set_context(nf_scope *at, ad_var context);
/* After nf_bind: record the training step's form, for bijectors that see the batch (batchnorm), for all below. */
void nf_set_training(nf_scope *at);
/* Likewise, but the batch is the training rows: what nf_update() records then are their statistics. */
void nf_set_statistics(nf_scope *at);
/* A scope like another, in which no gradient passes through the parameters. */
nf_scope *nf_stop_gradient(const nf_scope *at);
/* Record x of z (dim), and z of x, with the log|det J| of the same pass, (), in nats, where log_det isn't NULL: by the
 * type's own functions, and by what the engine derives in the place of those that are missing. */
ad_var nf_forward(const nf_scope *at, ad_var z, ad_var *log_det);
ad_var nf_inverse(const nf_scope *at, ad_var x, ad_var *log_det);
/* For a float64 plan made from the tape, which must still be there: bind every parameter below to its bijector's
 * values. */
void nf_bind_plan(const nf_scope *at, ad_plan *plan);
/* nf_bijector_type.fit of every bijector that has one, each with the data as seen at its place in the chain. context:
 * (rows, bijector->context), or NULL when that is 0. AD_ERROR_ARGUMENT where bijector or x is NULL. */
ad_status nf_bijector_fit(nf_bijector *bijector, const double *x, const double *context, size_t rows, ad_error *error);

/* Call visit for every parameter below, with its full name: "0.maf.weight0". Stops when it returns false. */
bool nf_each_parameter(const nf_bijector *bijector,
                       bool (*visit)(void *context, const char *name, nf_parameter *parameter), void *context);

WEIR_END_DECLARATIONS

#endif
