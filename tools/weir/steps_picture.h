/* The picture of what each step of a chain does. */
#ifndef WEIR_STEPS_PICTURE_H
#define WEIR_STEPS_PICTURE_H

#include "models.h"

/* Of a flow in two features whose formula is a chain: draws of the base, and the same draws after each step of it; a
 * last step `standardize` goes with the step before. */
ad_status steps_picture_draw(nf_flow *flow, uint64_t seed, const char *path, ad_pool *pool, ad_error *error);

#endif
