/* What every training loop does alike: the optimiser's step at the scheduled rate, asking who wants to stop, finding
 * out why a step failed, and keeping the best parameters. */
#ifndef WEIR_MODELS_TRAINING_LOOP_H
#define WEIR_MODELS_TRAINING_LOOP_H

#include "checkpoint/work.h"
#include "ranks/ranks.h"
#include "training/optimizer.h"

#include <weir/callbacks.h>
#include <weir/flow.h>

typedef struct {
    /* The caller's; those that its options give may be NULL as there. */
    nf_flow *flow;
    ad_pool *pool;
    nf_optimizer *resume;
    size_t warmup;
    nf_callback *const *callbacks;
    bool (*interrupted)(void *context);
    void *context;
    /* Made by nf__loop_open(). */
    bool open; /* this loop trains the flow */
    nf_optimizer *optimizer;
    nf_schedule schedule;
    void *gradient;     /* of the trained parameters */
    double *squares;    /* the sum of the squares of each parameter's gradient */
    void *best;         /* all parameters, once nf__loop_keep() has had some */
    double started;     /* by this rank's clock */
    double opened, now; /* by rank 0's: when it was opened, and when it last asked who wants to stop */
    /* Of the last step. */
    double learning_rate, norm;
    bool called_off; /* a callback wanted to stop, which is an end as any other */
} nf__loop;

size_t nf__trained_bytes(const nf_flow *flow);   /* of the trained parameters */
size_t nf__parameter_bytes(const nf_flow *flow); /* of all */

/* The optimiser, from `options` unless one is resumed, with the loop's own defaults (or NULL); and the schedule of this
 * name. nf__loop_close() comes in any case. */
ad_status nf__loop_open(nf__loop *loop, const nf_optimizer_options *options, const nf__optimizer_defaults *defaults,
                        const char *schedule, ad_error *error);
void nf__loop_close(nf__loop *loop);

/* A plan for a loss and, into loop->gradient, its gradient; and for `further` values. */
typedef struct {
    ad_var var;
    void *to;
} nf__output;
ad_plan *nf__loop_plan(const nf__loop *loop, const nf_flow_scope *at, nf__output loss, const nf__output *further,
                       size_t n_further, ad_error *error);

/* The rate of step number `step` of `steps`, from 0, times `scale`; `time` is the part of the time that is over, from 0
 * to 1, where that is limited too. */
double nf__loop_rate(nf__loop *loop, size_t step, size_t steps, double time, double scale);
/* Move the parameters against loop->gradient at that rate; and then `average` (or NULL), a moving average of them, this
 * part of the way to where they are now. */
ad_status nf__loop_step(nf__loop *loop, void *average, double part, ad_error *error);
/* The callbacks after so many iterations; *stop: they or the caller want to stop, or it was true before, on any rank.
 */
ad_status nf__loop_ask(nf__loop *loop, size_t iteration, double loss, bool *stop, ad_error *error);

/* After that: write where it stands, if it is time to, or it is stopped, but for a callback's stop: from there it would
 * go on further. */
void nf__loop_checkpoint(const nf__loop *loop, nf_checkpoint *checkpoint, bool stop);

/* How the last step failed, for a message: its loss, the norm of its gradient, and what made the first NaN when it runs
 * again, which `run` does. */
void nf__loop_explain(const nf__loop *loop, double loss,
                      ad_status (*run)(void *context, const ad_run *step, ad_error *error), void *context,
                      const ad_run *step, char how[static 800]);

/* Of callbacks that are Weir's: what they remember of `count` parameters. */
void nf__callbacks_list(nf_callback *const *callbacks, size_t count, nf__state *state);
/* Parameters, the best, and the optimiser. */
void nf__loop_list(nf__loop *loop, nf__state *state);

void nf__loop_keep(nf__loop *loop, const void *parameters); /* as the best */
void nf__loop_restore(const nf__loop *loop);                /* the best into the flow */

#endif
