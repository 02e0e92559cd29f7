/* Flow matching: the loss of a velocity, without solving its equation. */
#ifndef WEIR_MODELS_TRAINING_MATCHING_H
#define WEIR_MODELS_TRAINING_MATCHING_H

#include "training/fit.h"

/* AD_ERROR_ARGUMENT where options.objective isn't one for this flow or these data. */
ad_status nf__check_matching(const nf__training *t, ad_error *error);

/* The loss of each row x, (), by the flow on x's tape; *paired is then the input that the draws are bound to, or
 * invalid where they are made on the tape. */
ad_var nf__record_matching(const nf__training *t, const nf_flow_scope *at, ad_var x, ad_var *paired);

/* The pairs of a training. */
typedef struct nf__pairs {
    ad_plan *plan;       /* both ends of rows: a draw, and the row, at either side of the continuous step */
    void *end[2];        /* of a batch, (rows, dim) in the flow's dtype */
    void *paired;        /* the draw that each row goes with, (all rows, dim) */
    double *work;        /* of each group of a batch */
    const uint32_t *row; /* while pairs are being made: which rows those are, */
    size_t rows;         /* and how many */
} nf__pairs;

/* With NF_OT_FLOW_MATCHING, before the plans: room for pairs, into t->pairs. */
ad_status nf__pairs_open(nf__training *t, ad_error *error);
void nf__pairs_close(nf__pairs *pairs);
/* Pair the rows of a run with draws, which come from its seed and step: in groups of 64, so that Σ |z_1 - z_0|² is
 * least in each. */
ad_status nf__pair(nf__training *t, const ad_run *run, ad_error *error);
/* The validation rows, once. */
ad_status nf__pair_validation(nf__training *t, ad_error *error);

#endif
