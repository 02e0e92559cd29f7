/* The picture of a flow and of the data that it was trained on, one over the other. */
#ifndef WEIR_COMMAND_PICTURES_BANANA_PICTURE_H
#define WEIR_COMMAND_PICTURES_BANANA_PICTURE_H

#include "pictures/picture.h"

/* In two features: the data over the samples, and the data on the density. */
ad_status banana_picture_draw(const struct picture *picture, struct canvas *canvas, ad_error *error);

#endif
