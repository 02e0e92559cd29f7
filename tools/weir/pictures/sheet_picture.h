/* The picture of a flow of images: a sheet of samples, beside one of the data. */
#ifndef WEIR_COMMAND_PICTURES_SHEET_PICTURE_H
#define WEIR_COMMAND_PICTURES_SHEET_PICTURE_H

#include "pictures/canvas.h"

#include <weir/models.h>

enum { SHEET_ACROSS = 12, SHEET_DOWN = 8 };

/* size: (height, width, channels) of the images, whose one channel is shown as grey, and three as red, green and blue;
 * others are AD_ERROR_ARGUMENT. data: NULL for none. At most SHEET_ACROSS x SHEET_DOWN of each are shown, from the
 * first on. What is black and white: the least and the most of all pixels that `columns` were learned from or, where
 * they tell nothing, of the samples'. */
ad_status sheet_picture_draw(ad_shape size, const nf_columns *columns, const nf_table *samples, const nf_table *data,
                             struct canvas *canvas, ad_error *error);

#endif
