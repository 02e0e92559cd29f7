/* The panel of how a fit went. */
#ifndef WEIR_COMMAND_PICTURES_LOSS_PANEL_H
#define WEIR_COMMAND_PICTURES_LOSS_PANEL_H

#include "pictures/panels.h"

#include <jansson.h>

/* The block of data that the panel draws. false: there is no history on record, and no panel to draw. */
bool loss_write(FILE *script, const json_t *record);
void loss_draw(FILE *script, struct box box, const json_t *record);

#endif
