/* The picture of any number of columns: each by itself, and each two of them. */
#ifndef WEIR_COMMAND_PICTURES_PAIRS_PICTURE_H
#define WEIR_COMMAND_PICTURES_PAIRS_PICTURE_H

#include "pictures/picture.h"

enum { PAIRS_MOST = 8, PAIRS_HEIGHT = 1400 }; /* columns that can be made out */

/* Behind panels_begin() of this height where there are several columns, PICTURE_HEIGHT for one. Points of data and
 * samples lie among each other, as many of both, so that their colours mix where the densities agree. loss: is there a
 * block to draw the curve from? */
ad_status pairs_draw(FILE *script, const struct picture *picture, const char *title, bool loss, ad_error *error);

#endif
