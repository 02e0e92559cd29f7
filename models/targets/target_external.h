#ifndef WEIR_MODELS_TARGETS_TARGET_EXTERNAL_H
#define WEIR_MODELS_TARGETS_TARGET_EXTERNAL_H

#include <weir/target.h>

/* Record target->external, or external_rows, of all sites' values, one after the other. */
ad_var nf__target_external(const nf_target *target, ad_var value);

#endif
