/* A fit under way: what its files share. */
#ifndef WEIR_MODELS_TRAINING_FIT_H
#define WEIR_MODELS_TRAINING_FIT_H

#include "training/loop.h"

#include <weir/training.h>

/* Some of the parameters, in bytes. */
typedef struct {
    size_t offset, bytes;
} nf__part;

typedef struct {
    nf_fit_options o;
    nf_flow *flow;
    size_t dim;
    const double *given;   /* (rows, dim), as the caller has them */
    void *data, *context;  /* (rows, dim) and (rows, nf_flow_context_size()) in the flow's dtype */
    uint32_t *train, *val; /* rows of each part */
    uint32_t *order;       /* the training rows as this epoch shuffles them */
    size_t n_train, n_val;
    ad_plan *step_plan, *val_plan;
    void *average;     /* like the trained parameters; NULL where options.ema is 0 */
    void *update;      /* like all parameters: what the step makes of those that it updates */
    nf__part *updated; /* which those are */
    size_t n_updated;
    double step_loss, val_loss; /* room for an element of the flow's dtype */
    nf__loop loop;
    nf_progress now;
    nf_fit_report *report;
    size_t history_room; /* of the report's: it grows */
    double first_nll;
} nf__training;

/* Streams of random numbers; an epoch's shuffle uses NF__SHUFFLE_STREAM + epoch. */
enum { NF__SPLIT_STREAM = 0, NF__SHUFFLE_STREAM = 1 };

/* The data in the flow's dtype, and which rows are for what. */
ad_status nf__take_data(nf__training *t, size_t rows, ad_error *error);
/* The plans of a step, and of the loss alone. */
ad_status nf__compile(nf__training *t, ad_error *error);
/* The flow's weights are the best so far, of this loss. */
void nf__keep_best(nf__training *t, double nll);

/* Train until so many epochs are done, or the outcome is decided; patience counts on the way to the last one only.
 * Where it fails, the report tells what came of it. */
ad_status nf__train_until(nf__training *t, size_t epochs, bool *stop, ad_error *error);

/* Train from options.starts different initial weights for a while, and leave the training where the best of them is. */
ad_status nf__choose_start(nf__training *t, bool *stop, ad_error *error);

/* Fit the bijectors that see the data, to the training rows only. */
ad_status nf__fit_bijectors(nf__training *t, ad_error *error);

/* options.ema, after now.step steps. */
void nf__update_average(nf__training *t);
/* The averages change places with the weights that are being trained. */
void nf__exchange_average(nf__training *t);

#endif
