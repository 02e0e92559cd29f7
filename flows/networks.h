/* Networks that compute the parameters of transformers: activations, layers, conditioners of couplings, and masked
 * networks. Their parameters are those of the bijector that they belong to. What bijector.h says of threads goes for
 * them. */
#ifndef WEIR_NETWORKS_H
#define WEIR_NETWORKS_H

#include <weir/bijector.h>

WEIR_BEGIN_DECLARATIONS

/* ---- Activations ----------------------------------------------------------------------------------------------- */

/* `self` is the activation with its arguments; self->descriptor is this struct. */
typedef struct {
    const char *name, *help;
    const nf_argument *argument;                      /* ended by {0}; NULL for none */
    ad_var (*apply)(const nf_choice *self, ad_var x); /* required: elementwise */
    const void *data;                                 /* the author's own */
} nf_activation_type;

/* Make an activation known to formulas, as nf_register() does a bijector. */
ad_status nf_register_activation(const nf_activation_type *type, ad_error *error);
/* All that are known, ended by NULL. */
const nf_activation_type *const *nf_activation_types(void);
extern const nf_registry nf_activations;

/* No activation, NULL, is an error of the tape. */
ad_var nf_activate(const nf_choice *activation, ad_var x);

#define NF_ACTIVATION_ARGUMENT                                                                                         \
    {                                                                                                                  \
        "activation", NF_DESCRIPTOR, 0, 0, 0, NULL, "of the hidden units", "tanh", &nf_activations                     \
    }

/* ---- Layers ---------------------------------------------------------------------------------------------------- */

/* A linear layer, y = W x + b; the first one of a network sees the context c, if there is one, through a weight of its
 * own: y = W x + C c + b. Parameters weight0, bias0, weight1 … and context. */

/* Declare layer number `layer`, of `in` inputs (0: no weight) and `out` outputs. Initially uniform within gain/√inputs;
 * a gain of 1 is PyTorch's Linear. */
ad_status nf_layer_declare(nf_bijector *self, size_t layer, size_t in, size_t out, double gain, ad_error *error);
ad_var nf_layer_weight(const nf_scope *at, size_t layer); /* (out, in) */
/* b, and for layer 0 with a context b + C c, which is per-row: (out). */
ad_var nf_layer_bias(const nf_scope *at, size_t layer);

/* What a network sees of features or of a context: v, within ±1e15. Beyond that a few layers could carry float32 to
 * infinity, and differences of infinities are none. nf_layer_bias() sees the context so; the features of couplings and
 * autoregressive maps are given so. */
ad_var nf_network_input(ad_var v);

/* ---- Conditioners ---------------------------------------------------------------------------------------------- */

/* A conditioner: a network from the features that a coupling's network sees, and the context, to the parameters of its
 * transformer. `self` is the conditioner with its arguments; hidden sizes are the bijector's, its `size`, and its
 * activation is the argument of that name. */
typedef struct {
    const char *name, *help;
    const nf_argument *argument; /* ended by {0}; NULL for none */
    /* Required: declare the parameters of a network with so many inputs, which may be none, and outputs. The outputs
     * should start near 0. */
    ad_status (*declare)(const nf_choice *self, nf_bijector *owner, size_t inputs, size_t outputs, ad_error *error);
    /* Required: the outputs; of x (inputs), which isn't read when there are none. */
    ad_var (*outputs)(const nf_choice *self, const nf_scope *at, size_t inputs, ad_var x);
    const void *data; /* the author's own */
    /* It goes by nf_image_shape(): inputs are whole channels, and so are outputs, of as many
     * pixels. Where the features that it may see aren't channels, it sees all of the image, with zeros in the place of
     * the others, and its outputs are for all, of which those are left that are needed. */
    bool of_images;
} nf_conditioner_type;

/* Make a conditioner known to formulas, as nf_register() does a bijector. */
ad_status nf_register_conditioner(const nf_conditioner_type *type, ad_error *error);
/* All that are known, ended by NULL. */
const nf_conditioner_type *const *nf_conditioner_types(void);
extern const nf_registry nf_conditioners;

#define NF_NETWORK_ARGUMENT                                                                                            \
    {                                                                                                                  \
        "network", NF_DESCRIPTOR, 0, 0, 0, NULL, "that computes the map's parameters", "mlp", &nf_conditioners         \
    }

/* ---- Masked networks ------------------------------------------------------------------------------------------- */

/* MADE: a multilayer perceptron in which output group d depends on inputs 1 … d-1 alone (Germain et al. 2015).
 *
 * Every unit has a degree; a connection exists where degrees allow it. Hidden degrees are 1 … D-1, or 0 … D-1 when
 * there is a context (units of degree 0 see it alone, so that the first feature does, too), spread evenly and sorted,
 * so that the weights that may not be zero form a staircase: what lies beyond it is skipped, not multiplied by zero,
 * and the units that feature d unlocks are neighbours, so that D steps of sampling cost about one pass. */
enum { NF_MADE_DEPTH = 16 };

typedef struct {
    size_t dim;     /* inputs, and groups of outputs */
    size_t outputs; /* in a group */
    const size_t *hidden;
    size_t n_hidden;
    size_t lowest; /* degree of a hidden unit: 0 or 1 */
    const nf_choice *activation;
    double gain;    /* of the first layer's initial weights */
    size_t numbers; /* inputs of each feature, side by side; 0: 1 */
} nf_made;

/* With the default units start nearly linear over standardized data; with 2 to 4 they bend, and a deep flow of few
 * features finds its way sooner. */
#define NF_GAIN_ARGUMENT                                                                                               \
    {                                                                                                                  \
        "gain", NF_NUMBER, 1, 0.01, 100, NULL, "of the first layer's initial weights"                                  \
    }

/* Hidden sizes, activation and gain are arguments of self, which it must not outlive. */
nf_made nf_made_of(const nf_bijector *self, size_t outputs);

/* Declare its layers. The last one starts at a tenth of the others' size, so that the outputs start near 0; the first
 * at `gain` times it. */
ad_status nf_made_declare(nf_bijector *self, const nf_made *made, ad_error *error);

/* All outputs, (dim, outputs), from x (dim numbers). */
ad_var nf_made_all(const nf_scope *at, const nf_made *made, ad_var x);

/* Feature by feature. Of each layer: its units known so far, and what those of the next few features get from its
 * inputs known when the first of these began: large products instead of many that read everything known again. */
enum { NF_MADE_BLOCK = 8 };

typedef struct {
    ad_var unit; /* the first `count` */
    size_t count;
    ad_var ahead; /* of units ahead_from …, without activation, from the first ahead_known inputs */
    size_t ahead_from, ahead_known;
} nf_made_layer;

/* Zero it to begin. */
typedef struct {
    nf_made_layer layer[NF_MADE_DEPTH + 1];
} nf_made_state;

/* Outputs (outputs) of group d = 0, 1, …, given x_1 … x_d in `known` (d numbers); not read when d = 0. */
ad_var nf_made_next(const nf_scope *at, const nf_made *made, nf_made_state *state, ad_var known, size_t d);

WEIR_END_DECLARATIONS

#endif
