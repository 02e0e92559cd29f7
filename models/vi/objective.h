/* What a step of variational inference minimises, as plans. */
#ifndef WEIR_MODELS_VI_OBJECTIVE_H
#define WEIR_MODELS_VI_OBJECTIVE_H

#include "training/loop.h"
#include "vi/annealing.h"

#include <weir/vi.h>

typedef struct {
    const nf__loop *loop; /* where the gradient goes */
    nf_flow *flow;
    const nf_target *target;
    nf_objective what;
    size_t rows, group; /* draws a step, and in a group: all of them where there are no groups */
    bool tempered;      /* β is not 1, or changes */
    double beta;        /* of the next step */

    ad_plan *weigh;               /* log w of each draw; NULL where draws aren't weighted, or are moved */
    nf_annealing how;             /* of an objective that moves draws, as the next */
    nf__annealing annealing;      /* what moves them */
    ad_plan *step;                /* loss and gradient */
    double bound_beta, step_loss; /* room for an element of the flow's dtype */
    void *log_weights;            /* [rows], as the next one */
    void *weights;                /* of each draw in the step */
    double *group_numbers;        /* log weights and weights of a group */
    double *annealed;             /* [rows], log weights of draws that are moved */
    bool beyond;                  /* in the last step all draws of a group were where the target's density is 0 */
    double ess; /* of the last step, where draws are weighed: (Σ|w|)² / Σ w² of its weights, the mean over groups */
} nf__vi_objective;

/* flow … beta are the caller's; the rest is made here. */
ad_status nf__vi_objective_open(nf__vi_objective *objective, ad_error *error);
void nf__vi_objective_close(nf__vi_objective *objective);
/* The loss of one step, and its gradient into the loop's. `run` says which draws. */
ad_status nf__vi_objective_run(nf__vi_objective *objective, const ad_run *run, double *loss, ad_error *error);

#endif
