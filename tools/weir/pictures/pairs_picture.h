/* The picture of any number of columns: each by itself, and each two of them. */
#ifndef WEIR_COMMAND_PICTURES_PAIRS_PICTURE_H
#define WEIR_COMMAND_PICTURES_PAIRS_PICTURE_H

#include "pictures/picture.h"

enum { PAIRS_MOST = 24 }; /* columns that can be made out */

/* What so many columns take, in pixels. */
void pairs_size(size_t columns, int *width, int *height);
/* Behind canvas_begin() of this size. Points of data and samples lie among each other, as many of both, so that their
 * colours mix where the densities agree. loss: is there a block to draw the curve from? */
ad_status pairs_draw(FILE *script, const struct canvas *canvas, const struct picture *picture, const char *title,
                     bool loss, ad_error *error);

#endif
