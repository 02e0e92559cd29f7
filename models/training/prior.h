/* The prior of a fit, on its tape. */
#ifndef WEIR_MODELS_TRAINING_PRIOR_H
#define WEIR_MODELS_TRAINING_PRIOR_H

#include <weir/flow.h>
#include <weir/prior.h>

/* Σ log prior of the flow's trained parameters: shared, shape (). `text` is as nf_fit_options.prior has it; a mistake
 * in it is the tape's error. */
ad_var nf__record_prior(const char *text, const nf_flow_scope *at);

#endif
