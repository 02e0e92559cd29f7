/* The picture of a flow that was fitted to a target. */
#ifndef WEIR_COMMAND_PICTURES_TARGET_PICTURE_H
#define WEIR_COMMAND_PICTURES_TARGET_PICTURE_H

#include "pictures/picture.h"

/* In two features: the target's density and the flow's, the samples with their marginals beside those of the target,
 * and the curves of the inference. */
ad_status target_picture_draw(const struct picture *picture, const nf_target *target, struct canvas *canvas,
                              ad_error *error);

#endif
