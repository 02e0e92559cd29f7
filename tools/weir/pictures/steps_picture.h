/* The picture of what each step of a chain does. */
#ifndef WEIR_COMMAND_PICTURES_STEPS_PICTURE_H
#define WEIR_COMMAND_PICTURES_STEPS_PICTURE_H

#include "pictures/picture.h"

/* The first two features: draws of the base, and the same draws after each step of the chain; a last step `standardize`
 * goes with the step before. Of the samples names alone are looked at,
 * where there are no features. */
ad_status steps_picture_draw(const struct picture *picture, uint64_t seed, struct canvas *canvas, ad_error *error);

#endif
