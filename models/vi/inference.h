/* What the files of variational inference share. */
#ifndef WEIR_MODELS_VI_INFERENCE_H
#define WEIR_MODELS_VI_INFERENCE_H

#include <weir/vi.h>

/* That flow and target fit each other, that the target's log-densities at draws of the flow are numbers, and that its
 * gradient is that of its value. */
ad_status nf__vi_check(nf_flow *flow, const nf_target *target, uint64_t seed, ad_error *error);

#endif
