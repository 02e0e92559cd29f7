/* The picture of a trained flow. */
#ifndef WEIR_COMMAND_PICTURES_PICTURE_H
#define WEIR_COMMAND_PICTURES_PICTURE_H

#include "pictures/canvas.h"

#include <weir/models.h>

#include <jansson.h>

struct picture {
    nf_flow *flow;
    const json_t *record;    /* of its training: the loss curve, names of columns */
    const nf_table *data;    /* to show beside; NULL: none */
    const nf_table *samples; /* of no more than PAIRS_MOST columns, under their names */
    ad_pool *pool;
    const char *context;        /* of a conditional flow, as it was given; else NULL */
    const double *given;        /* and as the flow takes it */
    const nf_columns *features; /* what the columns are; NULL: plain numbers */
    size_t near;                /* rows of the data, which are those of the nearest context; 0: they are all */
    size_t columns;             /* how many there are, of which those of the samples are shown; 0: no others */
};

/* Two features: the density as a heat map, data and samples. Otherwise: each column
 * by itself, and each two of them. And the loss curve. */
ad_status picture_draw(const struct picture *picture, struct canvas *canvas, ad_error *error);

#endif
