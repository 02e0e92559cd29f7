/* What chains go on from. */
#ifndef WEIR_MODELS_NUTS_NUTS_STATE_H
#define WEIR_MODELS_NUTS_NUTS_STATE_H

#include "checkpoint/work.h"
#include "nuts/nuts_chain.h"
#include "ranks/ranks.h"

typedef struct {
    const nf_target *target;
    const nf_nuts_options *o; /* resolved */
    nf__share share;          /* this rank's chains */
    nf__nuts_chain *chain;    /* these, at work */
    nf_nuts_result *result;   /* with the draws so far, and room for all */
    double began;             /* of nf__clock() */
    double *rows;             /* of all chains, each in as many numbers as it takes; NULL without a checkpoint */
    size_t width;
} nf__nuts_work;

/* Make room, and go on from what the checkpoint has, if it has any. A chain goes on from where its last draw was done,
 * and makes what there is of the next again: that is nothing to keep but a point. */
ad_status nf__nuts_enter(nf__nuts_work *work, bool *resumed, ad_error *error);
void nf__nuts_leave(nf__nuts_work *work);
/* Write, if it is time to or the work stops: together with all ranks, which have agreed on `stop`. */
ad_status nf__nuts_write(nf__nuts_work *work, bool stop, ad_error *error);

#endif
