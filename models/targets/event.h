/* A target's sites, and the event that its densities are recorded of. */
#ifndef WEIR_MODELS_TARGETS_EVENT_H
#define WEIR_MODELS_TARGETS_EVENT_H

#include <weir/target.h>

/* AD_ERROR_ARGUMENT where a site can't be, or has the name of another; the message has its name. */
ad_status nf__target_check_sites(const nf_target *target, ad_error *error);
/* An input z, (nf_target_dim()). What is wrong with the target or its sites sticks to the tape. */
ad_var nf__target_event(const nf_target *target, ad_tape *tape);

#endif
