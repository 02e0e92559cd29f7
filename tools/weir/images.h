/* Rows that are images: what the command line and files say of their size, and flows of them. */
#ifndef WEIR_COMMAND_IMAGES_H
#define WEIR_COMMAND_IMAGES_H

#include "command.h"

#include <weir/models.h>

#include <jansson.h>

/* The size of the images that --shape tells or, where that isn't given, the file has by its own dimensions: (height,
 * width, channels). Rank 0: rows are no images. */
ad_status images_size(const struct arguments *arguments, const char *path, ad_shape *size, ad_error *error);
/* A formula of such images: `image(height,width,channels,…)` around the bijectors of the one given, unless that says so
 * itself; levels: behind them the dequantization of pixels from 0 to levels - 1 is learned, 0: not. For free(); NULL
 * when memory is out. */
char *images_formula(const char *formula, ad_shape size, size_t levels);
/* Of a flow of images, (height, width, channels); rank 0: it is none. */
ad_shape images_of_flow(const nf_flow *flow);
/* Is its log p a lower bound, since the dequantization is learned? */
bool images_bound(const nf_flow *flow);
/* As an array has it, one channel without a dimension of its own. */
ad_shape images_event(ad_shape size);

/* Of a mean negative log p with its standard error under these two names of a result, which is of images, the bits per
 * dimension: nll / (D log 2), under "bits_per_dim" and "bits_per_dim_stderr". */
void images_tell_bits(json_t *result, const nf_flow *flow, const char *nll, const char *standard_error);
/* A line of them, behind `title`, where the result has them. */
void images_print_bits(const json_t *result, const char *title, FILE *to);

#endif
