/* The picture of what each step of a chain does. */
#ifndef WEIR_COMMAND_PICTURES_STEPS_PICTURE_H
#define WEIR_COMMAND_PICTURES_STEPS_PICTURE_H

#include <weir/models.h>

/* The first two features: draws of the base, and the same draws after each step of the chain; a last step `standardize`
 * goes with the step before. context: numbers, of a conditional flow; else NULL. */
ad_status steps_picture_draw(nf_flow *flow, const double *given, uint64_t seed, const char *path, ad_pool *pool,
                             ad_error *error);

#endif
