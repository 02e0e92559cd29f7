/* A training under way: what fit.c and starts.c share. */
#ifndef WEIR_MODELS_TRAINING_FIT_H
#define WEIR_MODELS_TRAINING_FIT_H

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
    void *data, *context;  /* (rows, dim) and (rows, nf_flow_context()) in the flow's dtype */
    uint32_t *train, *val; /* rows of each part */
    uint32_t *order;       /* the training rows as this epoch shuffles them */
    size_t n_train, n_val;
    ad_plan *step_plan, *val_plan;
    void *gradient;    /* of the trained parameters */
    void *average;     /* like them; NULL where options.ema is 0 */
    void *best;        /* like all parameters */
    void *update;      /* likewise: what the step makes of those that it updates */
    nf__part *updated; /* which those are */
    size_t n_updated;
    char *step_loss, *val_loss; /* one element each */
    nf_optimizer *optimizer;
    nf_schedule schedule;
    nf_progress now;
    nf_fit_report *report;
    size_t history_room; /* of the report's: it grows */
    double started, first_nll;
} nf__training;

/* Train until so many epochs are done, or the outcome is decided; patience counts on the way to the last one only.
 * Where it fails, the report tells what came of it. */
ad_status nf__train_until(nf__training *t, size_t epochs, bool *stop, ad_error *error);

/* Train from options.starts different initial weights for a while, and leave the training where the best of them is. */
ad_status nf__choose_start(nf__training *t, bool *stop, ad_error *error);

/* Fit the bijectors that see the data, to the training rows only. */
ad_status nf__fit_bijectors(nf__training *t, ad_error *error);

/* Bytes of the trained parameters, and of all. */
size_t nf__trained_bytes(const nf__training *t);
size_t nf__parameter_bytes(const nf__training *t);

/* options.ema, after now.step steps. */
void nf__update_average(nf__training *t);
/* The averages change places with the weights that are being trained. */
void nf__exchange_average(nf__training *t);

#endif
