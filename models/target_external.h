#ifndef WEIR_TARGET_EXTERNAL_H
#define WEIR_TARGET_EXTERNAL_H

#include "target.h"

/* Record target->external of all sites' values, one after the other. */
ad_var nf_target_external(const nf_target *target, ad_var value);

#endif
