/* One chain of NUTS as a state machine: it names the point of which it needs the density and the gradient, and goes on
 * when it has them. So the gradient of many chains is one run of a plan, wherever in its trajectory each of them is. */
#ifndef WEIR_MODELS_NUTS_NUTS_CHAIN_H
#define WEIR_MODELS_NUTS_NUTS_CHAIN_H

#include "nuts/warmup.h"
#include "nuts/nuts_tree.h"
#include "nuts/metric.h"

#include <weir/nuts.h>

typedef struct {
    double *q, *p, *v, *gradient; /* position, momentum, velocity */
    double log_density;
} nf_state;

typedef enum { NF_CHAIN_STARTS, NF_CHAIN_SEARCHES, NF_CHAIN_TRAVELS, NF_CHAIN_DONE } nf__nuts_chain_phase;

/* Where the draw, or the search, that is under way began: it can begin there again. */
typedef struct {
    nf__nuts_chain_phase phase;
    double *q, *gradient, log_density, step_size;
    size_t gradients; /* computed by then */
} nf__nuts_origin;

typedef struct {
    const nf_nuts_options *options;
    size_t dim;
    uint64_t number;
    nf__nuts_chain_phase phase;
    nf_state now;          /* its position, gradient and log-density are a row of the plan's */
    nf_state draw, choice; /* where the trajectory begins and will end; the choice among a new subtree's states */
    nf_state end[2];       /* of the trajectory: backwards and forwards */
    size_t iteration;      /* warm-up comes first */
    size_t attempt;        /* of a start or a search, from 0 */

    nf__metric metric;
    nf__step_size adaptation;
    nf__windows windows;
    double step_size;
    int search; /* 1: the step size doubles, -1: it halves, 0: not known yet */

    nf__tree tree;
    double *p_sum;         /* of the trajectory */
    size_t depth, goal;    /* doublings done; states of the subtree that grows now */
    int direction;         /* 0: backwards, 1: forwards */
    double energy, weight; /* at the trajectory's start; log Σ exp(energy - H) over its states */
    double subtree_weight; /* the same of the subtree */
    double acceptance;     /* sum over states */

    uint32_t steps;
    bool diverges;

    nf_nuts_draw outcome; /* of the draw that was done last */
    size_t divergent;     /* such draws after the warm-up */
    size_t gradients;     /* computed */
    nf__nuts_origin origin;
    double *vectors;
} nf__nuts_chain;

/* False when memory is out. Release it in any case. The options must outlive it. */
bool nf__nuts_chain_new(nf__nuts_chain *chain, const nf_nuts_options *options, size_t dim, uint64_t number);
void nf__nuts_chain_free(nf__nuts_chain *chain);
/* Give it its row; q is where it wants the density next. */
void nf__nuts_chain_bind(nf__nuts_chain *chain, double *q, double *gradient);
/* Write the first position. */
void nf__nuts_chain_start(nf__nuts_chain *chain);
/* Begin again at its origin, where it has been put there. */
void nf__nuts_chain_go_on(nf__nuts_chain *chain);
/* Go on, with the gradient and the log-density at the position asked for, until the next is needed. *drawn: a draw is
 * done, and is in chain->draw and chain->outcome. */
ad_status nf__nuts_chain_advance(nf__nuts_chain *chain, double log_density, bool *drawn, ad_error *error);

#endif
