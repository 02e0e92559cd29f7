/* An optimiser's formula, and the optimiser itself: for training loops. */
#ifndef WEIR_MODELS_TRAINING_OPTIMIZER_H
#define WEIR_MODELS_TRAINING_OPTIMIZER_H

#include <weir/optimizer.h>

/* One step of all parameters; arrays are of the optimiser's dtype. */
typedef struct {
    const nf_optimizer_options *o; /* with the defaults filled in */
    size_t count;
    uint64_t t; /* number of the step, from 1 */
    void *w;
    const void *gradient;
    double clip_factor; /* times the gradient */
    double decay;       /* times w, is added to it */
    double rate;
    void *state; /* [states][count], or [window][count] */
} nf__step;

typedef struct {
    const char *name;
    nf_optimizer_options defaults;
    size_t states; /* numbers to remember of each parameter; 0 of one that has a window */
    bool decays;   /* sees to the weight decay itself */
    void (*run)(const nf__step *step, size_t begin, size_t end); /* for these parameters */
} nf_optimizer_type;

/* Compiled for each instruction set and dtype. */
typedef struct {
    nf_optimizer_type type[NF_OPTIMIZERS];
    double (*squares)(const void *gradient, size_t begin, size_t end); /* their sum */
} nf__optimizer_set;

struct nf_optimizer {
    nf_optimizer_options o;
    const nf__optimizer_set *set;
    const nf_optimizer_type *type;
    size_t count;
    ad_dtype dtype;
    uint64_t steps; /* done */
    void *state;
    size_t state_bytes;
    double *partial; /* sums of squares, of each chunk */
};

/* `resume`, where it is not NULL and fits, or a new one. NULL on failure. */
nf_optimizer *nf__optimizer_take(nf_optimizer *resume, const nf_optimizer_options *options, size_t count,
                                 ad_dtype dtype, ad_error *error);

#endif
