/* MADE: a multilayer perceptron in which output group d depends on inputs 1 … d-1 alone (Germain et al. 2015).
 *
 * Every unit has a degree; a connection exists where degrees allow it. Hidden degrees are 1 … D-1, or 0 … D-1 when
 * there is a context (units of degree 0 see it alone, so that the first feature does, too), spread evenly and sorted,
 * so that the weights that may not be zero form a staircase: what lies beyond it is skipped, not multiplied by zero,
 * and the units that feature d unlocks are neighbours, so that D steps of sampling cost about one pass. */
#ifndef WEIR_FLOWS_NETWORKS_MADE_H
#define WEIR_FLOWS_NETWORKS_MADE_H

#include <weir/bijector.h>

enum { NF_MADE_DEPTH = 16 };

typedef struct {
    size_t dim;     /* inputs, and groups of outputs */
    size_t outputs; /* in a group */
    const size_t *hidden;
    size_t n_hidden;
    size_t lowest; /* degree of a hidden unit: 0 or 1 */
    size_t activation;
    double gain; /* of the first layer's initial weights */
} nf__made;

/* With the default units start nearly linear over standardized data; with 2 to 4 they bend, and a deep flow of few
 * features finds its way sooner. */
#define NF_GAIN_ARGUMENT                                                                                               \
    {                                                                                                                  \
        "gain", NF_NUMBER, 1, 0.01, 100, NULL, "of the first layer's initial weights"                                  \
    }

/* Hidden sizes, activation and gain are arguments of self. */
nf__made nf__made_of(const nf_bijector *self, size_t outputs);

/* Declare the layers (layer.h). The last one starts at a tenth of the others' size, so that the outputs start near 0;
 * the first at `gain` times it. */
ad_status nf__made_declare(nf_bijector *self, const nf__made *made, ad_error *error);

/* All outputs, (dim, outputs), from x (dim). */
ad_var nf__made_all(const nf_scope *at, const nf__made *made, ad_var x);

/* Feature by feature. Of each layer: its units known so far, and what those of the next few features get from its
 * inputs known when the first of these began: large products instead of many that read everything known again. */
enum { NF_MADE_BLOCK = 8 };

typedef struct {
    ad_var unit; /* the first `count` */
    size_t count;
    ad_var ahead; /* of units ahead_from …, without activation, from the first ahead_known inputs */
    size_t ahead_from, ahead_known;
} nf__made_layer;

/* Zero it to begin. */
typedef struct {
    nf__made_layer layer[NF_MADE_DEPTH + 1];
} nf__made_state;

/* Outputs (outputs) of group d = 0, 1, …, given x_1 … x_d in `known` (d); not read when d = 0. */
ad_var nf__made_next(const nf_scope *at, const nf__made *made, nf__made_state *state, ad_var known, size_t d);

#endif
