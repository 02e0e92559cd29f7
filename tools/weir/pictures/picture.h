/* The picture of a trained flow. */
#ifndef WEIR_COMMAND_PICTURES_PICTURE_H
#define WEIR_COMMAND_PICTURES_PICTURE_H

#include <weir/models.h>

#include <jansson.h>

struct picture {
    nf_flow *flow;
    const json_t *record; /* of its training: the loss curve, names of columns */
    const nf_table *data; /* to show beside; NULL: none */
    const nf_table *samples;
    ad_pool *pool;
    const char *context; /* of a conditional flow, as numbers; else NULL */
};

/* AD_ERROR_ARGUMENT when the name doesn't end in .png or .svg. */
ad_status picture_check_name(const char *path, ad_error *error);

/* Two features: the density as a heat map, data and samples. Otherwise: the marginals of each and of each two of the
 * first features. And the loss curve. */
ad_status picture_draw(const struct picture *picture, const char *path, ad_error *error);

#endif
