#ifndef WEIR_OPTIMIZER_H
#define WEIR_OPTIMIZER_H

#include "models.h"

/* An optimiser at work on `count` parameters of a dtype. */
typedef struct {
    nf_optimizer kind;
    double momentum, beta2, weight_decay;
    double clip; /* largest global norm; infinity: none */
    ad_dtype dtype;
    size_t count;
    uint64_t steps;
    void *first, *second; /* moments; second is Adam's only */
    double *partial;      /* sums of squares, of each chunk */
} nf_optimizer_state;

/* kind … count are the caller's; the rest starts here. */
ad_status nf_optimizer_start(nf_optimizer_state *state, ad_error *error);
void nf_optimizer_stop(nf_optimizer_state *state);
/* One step. *norm: the gradient's global norm before clipping. False, and nothing changed, when that is not finite. */
bool nf_optimizer_step(nf_optimizer_state *state, void *parameters, const void *gradient, double learning_rate,
                       ad_pool *pool, double *norm);

/* Of the planned steps, at step 0 … steps-1. */
double nf_scheduled_rate(nf_schedule schedule, double learning_rate, size_t step, size_t steps);

#endif
