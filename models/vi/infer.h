/* What the files of inference without settings share. */
#ifndef WEIR_MODELS_VI_INFER_H
#define WEIR_MODELS_VI_INFER_H

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

#endif
