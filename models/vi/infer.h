/* What the files of inference without settings share. */
#ifndef WEIR_MODELS_VI_INFER_H
#define WEIR_MODELS_VI_INFER_H

#include "checkpoint/work.h"

#include <weir/infer.h>

/* Fit the flow to draws of the start, by maximum likelihood. */
ad_status nf__infer_begin(nf_flow *flow, const nf_target *target, const nf_start *start, const nf_infer_options *o,
                          ad_error *error);
/* Lower the loss at one learning rate for as long as it falls; the parameters end as an average. */
typedef struct {
    double learning_rate;
    size_t mc, least; /* draws a step; iterations at least */
    const char *objective;
    double offset;   /* what its losses have in the history beside their own value: all of them are from -log Z on */
    double deadline; /* of rank 0's nf__clock() */
    uint64_t seed;
} nf__stage;
ad_status nf__infer_descend(nf_inference *inference, const nf_target *target, const nf_infer_options *o,
                            const nf__stage *stage, bool *stopped, ad_error *error);

/* The best parameters so far, by the ELBO. */
typedef struct {
    void *parameters;
    size_t bytes;
    double elbo;
} nf__best_fit;

/* Rounds that are under way. */
typedef enum { NF__ROUND_BEGINS, NF__ROUND_DESCENDS, NF__ROUND_ENDS } nf__round_place;
typedef struct {
    const nf_target *target;
    const nf_infer_options *o;
    nf_inference *fit;
    double begun; /* of rank 0's nf__clock() */
    nf__best_fit best;
    double clock;  /* what it was when ranks agreed on it, before the rounds */
    double before; /* the best ELBO before this round */
    nf__round_place place;
    size_t stage, diverged; /* of this round; how often it did */
    bool descended;         /* in this stage, whose score is still to come */
    double rate;            /* of this stage */
    nf_vi_score now;        /* before it */
} nf__rounds;

/* What they go on from, for checkpoints; context is an nf__rounds. */
void nf__list_rounds(void *context, nf__state *state);

#endif
