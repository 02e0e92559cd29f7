/* Optimisers, for training loops and for the files that they are made of. */
#ifndef WEIR_MODELS_TRAINING_OPTIMIZER_H
#define WEIR_MODELS_TRAINING_OPTIMIZER_H

#include "checkpoint/state.h"

#include <weir/optimizer.h>

/* The built-in optimisers, as optimizers.c is compiled for an instruction set and a dtype: of type[i].update only the
 * one for that dtype is there. */
typedef struct {
    const nf_optimizer_type *type;
    size_t count;
    double (*squares)(const void *gradient, size_t begin, size_t end); /* their sum */
    /* average += part * (parameter - average) */
    void (*average)(void *average, const void *parameter, size_t begin, size_t end, double part);
} nf__optimizer_set;

/* For this CPU. */
const nf__optimizer_set *nf__optimizers(ad_dtype dtype);

/* The type that "adam(beta2=0.98)" begins with, and the values of its arguments; NULL with *error on failure. */
const nf_optimizer_type *nf__optimizer_parse(const char *text, double value[static NF_MOST_ARGUMENTS], ad_error *error);

/* What a training loop takes for the defaults of an optimiser, other than the optimiser itself: its learning rate, and
 * the value of an argument. */
typedef struct {
    const char *optimizer;
    double learning_rate;
    const char *argument;
    double value;
} nf__optimizer_defaults;

/* `resume`, where it is not NULL and fits, or a new one. defaults may be NULL. NULL on failure. */
nf_optimizer *nf__optimizer_take(nf_optimizer *resume, const nf_optimizer_options *options,
                                 const nf__optimizer_defaults *defaults, size_t count, ad_dtype dtype, ad_error *error);

/* What it remembers. */
void nf__optimizer_list(nf_optimizer *optimizer, nf__state *state);
/* Its name with its arguments, and its options. */
void nf__optimizer_settings(const nf_optimizer *optimizer, nf__state *state);

/* A step, and what is done beside it while the parameters are at hand. */
typedef struct {
    void *parameters;
    const void *gradient;
    double squares; /* the sum of the gradient's */
    double learning_rate;
    void *average; /* of the parameters, which goes this part of the way to where they are now; or NULL */
    double part;
} nf__step;

/* nf_optimizer_step(), by who knows the gradient's squares. */
ad_status nf__optimizer_step(nf_optimizer *optimizer, const nf__step *step, ad_pool *pool, double *norm,
                             ad_error *error);

/* nf_scheduled_rate(), where t is at least `time`. */
double nf__scheduled_rate(const nf_schedule *schedule, double learning_rate, size_t warmup, size_t step, size_t steps,
                          double time);

#endif
