/* A training under way: what fit.c and starts.c share. */
#ifndef WEIR_FIT_H
#define WEIR_FIT_H

#include "optimizer.h"

typedef struct {
    nf_fit_options o;
    nf_flow *flow;
    size_t dim;
    void *data;            /* (rows, dim) in the flow's dtype */
    uint32_t *train, *val; /* rows of each part */
    uint32_t *order;       /* the training rows as this epoch shuffles them */
    size_t n_train, n_val;
    ad_plan *step_plan, *val_plan;
    ad_var x;
    void *gradient, *best;      /* of and like the trained parameters */
    void *average;              /* likewise; NULL where options.ema is 0 */
    char *step_loss, *val_loss; /* one element each */
    nf_optimizer *optimizer;
    nf_progress now;
    nf_fit_report *report;
    size_t history_room; /* of the report's: it grows */
    double started, first_nll;
} nf_training;

/* Train until so many epochs are done, or the outcome is decided; patience counts on the way to the last one only.
 * Where it fails, the report tells what came of it. */
ad_status nf_train_until(nf_training *t, size_t epochs, bool *stop, ad_error *error);

/* Train from options.starts different initial weights for a while, and leave the training where the best of them is. */
ad_status nf_choose_start(nf_training *t, bool *stop, ad_error *error);

/* options.ema, after now.step steps. */
void nf_update_average(nf_training *t);
/* The averages change places with the weights that are being trained. */
void nf_exchange_average(nf_training *t);

#endif
