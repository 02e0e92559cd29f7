/* What chains go on from. */
#ifndef WEIR_MODELS_NUTS_NUTS_STATE_H
#define WEIR_MODELS_NUTS_NUTS_STATE_H

#include "checkpoint/work.h"
#include "nuts/nuts_chain.h"

typedef struct {
    const nf_target *target;
    const nf_nuts_options *o; /* resolved */
    nf__nuts_chain *chain;    /* [o->chains], at work */
    nf_nuts_result *result;   /* with the draws so far, and room for all */
    double began;             /* of nf__clock() */
} nf__nuts_work;

/* For checkpoints: context is an nf__nuts_work. A chain goes on from where its last draw was done, and makes what there
 * is of the next again: that is nothing to keep but a point. */
void nf__list_nuts(void *context, nf__state *state);

#endif
