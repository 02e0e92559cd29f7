/* The curves of an inference, for the pictures of flows that were fitted to a target. */
#ifndef WEIR_COMMAND_PICTURES_INFERENCE_PICTURE_H
#define WEIR_COMMAND_PICTURES_INFERENCE_PICTURE_H

#include "pictures/panels.h"

#include <jansson.h>

/* A block of data, whose length is returned, and a panel for each curve. */
enum inference_curve { INFERENCE_LOSS, INFERENCE_GRADIENT, INFERENCE_PARAMETERS };
size_t inference_history(FILE *script, const json_t *record);
void inference_curve(FILE *script, struct box box, const json_t *record, enum inference_curve curve);

#endif
