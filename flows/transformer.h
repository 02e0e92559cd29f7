/* Transformers: increasing maps of single features, whose parameters a network computes.
 *
 * A coupling and an autoregressive bijector differ in what the network sees; each transformer goes with either, so one
 * transformer gives two bijectors: `coupling(64,64,transformer=NAME)` and `autoregressive(64,64,transformer=NAME)`.
 * realnvp, rqs, maf, iaf and rqsar are short names of such. What bijector.h says of threads goes for them. */
#ifndef WEIR_TRANSFORMER_H
#define WEIR_TRANSFORMER_H

#include <weir/bijector.h>

WEIR_BEGIN_DECLARATIONS

/* `self` is the transformer with its arguments: nf_choice_value(self, "bins"); self->descriptor is this struct. */
typedef struct {
    const char *name, *help;
    const nf_argument *argument; /* ended by {0}; NULL for none */
    /* Required: how many parameters each feature needs. */
    size_t (*parameters)(const nf_choice *self);
    /* Record the map of features z (n), z to x or back, and the log-derivative of that direction at each, (n).
     * parameters (p, n): those of feature i in column i. The map must increase strictly in its feature, and should be
     * the identity where its parameters are 0, which those of a new network are near.
     *
     * One of the two is required. The other, if NULL, is solved for by bracketing, to the precision of the dtype, and
     * differentiated implicitly: the map must then reach all reals. *log_derivative left alone is taken from the
     * gradient on the tape. The map may have kinks; what its derivative jumps there, gradients don't feel. */
    ad_var (*forward)(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative);
    ad_var (*inverse)(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative);
    const void *data; /* the author's own */
    /* Features are angles in radians, of which x and x + 2π are the same: forward(z + 2π) = forward(z) + 2π. Networks
     * see them as their cosines and sines, so that parameters are the same for both. */
    bool circular;
} nf_transformer_type;

/* Make a transformer known to formulas, as nf_register() does a bijector. */
ad_status nf_register_transformer(const nf_transformer_type *type, ad_error *error);
/* All that are known, ended by NULL. */
const nf_transformer_type *const *nf_transformer_types(void);
extern const nf_registry nf_transformers;

/* For bijectors with transformers. Record one, with what its author left out supplied by the engine, and without the
 * log-derivative where that is NULL. No transformer, NULL, is an error of the tape. */
ad_var nf_apply_transformer(const nf_choice *transformer, bool inverse, ad_var v, ad_var parameters,
                            ad_var *log_derivative);
/* What networks see of features v (n): nf_network_input(), or, where the transformer is one of angles, the cosine and
 * the sine of each, side by side, (2n). And how many numbers that are for each feature: 1 or 2. */
ad_var nf_transformer_seen(const nf_choice *transformer, ad_var v);
size_t nf_transformer_sees(const nf_choice *transformer);
/* A bijector's own: what its argument `transformer` names, NF_TRANSFORMER_ARGUMENT; or, of a type whose data is a
 * transformer's descriptor, that one, whose arguments the type has among its own, in their order. {NULL} where it has
 * neither. */
nf_choice nf_transformer_of(const nf_bijector *self);

#define NF_TRANSFORMER_ARGUMENT                                                                                        \
    {                                                                                                                  \
        "transformer", NF_DESCRIPTOR, 0, 0, 0, NULL, "the map of a feature", "affine", &nf_transformers                \
    }

/* Two that are transformers of short names, and the arguments that a bijector with one of them has among its own. */
#define NF_AFFINE_ARGUMENTS                                                                                            \
    {                                                                                                                  \
        "bound", NF_NUMBER, 3, 1e-3, 50, NULL, "of the log-scale: |α| < bound"                                        \
    }

#define NF_BINS_ARGUMENT                                                                                               \
    {                                                                                                                  \
        "bins", NF_COUNT, 8, 2, 256, NULL, "of the spline"                                                             \
    }

/* Of those that are lines beyond it. */
#define NF_TAIL_ARGUMENT                                                                                               \
    {                                                                                                                  \
        "tail", NF_NUMBER, 5, 1e-3, 1e6, NULL, "outside [-tail, tail] the map is a line"                               \
    }

#define NF_RATIONAL_QUADRATIC_ARGUMENTS                                                                                \
    NF_BINS_ARGUMENT,                                                                                                  \
    {                                                                                                                  \
        "tail", NF_NUMBER, 5, 1e-3, 1e6, NULL, "outside [-tail, tail] the spline is the identity"                      \
    }

/* Of rational-quadratic ones: how they are bounded. */
#define NF_SLOPE_ARGUMENT                                                                                              \
    {                                                                                                                  \
        "slope", NF_NUMBER, 0, 0, 0.5, NULL,                                                                           \
            "parameters are bounded softly, for slopes from about this on, as by zuko; 0: as by nflows"                \
    }

extern const nf_transformer_type nf_transformer_affine, nf_transformer_rational_quadratic;

WEIR_END_DECLARATIONS

#endif
