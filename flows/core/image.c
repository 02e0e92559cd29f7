/* Images: an event's features as (channels, height, width), and as image files have them. image, squeeze and split are
 * on() of features in another order, or of some, whose child knows the shape that they have there. Shapes go from the
 * outside in: each step of a chain has the shape of the whole, and nothing has to be found out. */
#include "core/internal.h"

/* What the child's feature at (channel, row, column) is of the events of `self`. */
typedef size_t place(ad_shape self, ad_shape child, size_t channel, size_t row, size_t column);

static nf_bijector *make(const nf_bijector_type *type, ad_shape shape, size_t dim, place *of, nf_bijector *child,
                         ad_error *error)
{
    const ad_shape inside = child->shape;
    size_t *feature = ad_alloc(child->dim, sizeof *feature), filled = 0;
    if (!feature) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for an image of %zu features", child->dim);
        nf_bijector_free(child);
        return NULL;
    }
    for (size_t c = 0; c < inside.dim[0]; c++)
        for (size_t i = 0; i < inside.dim[1]; i++)
            for (size_t j = 0; j < inside.dim[2]; j++) feature[filled++] = of(shape, inside, c, i, j);
    nf_bijector *self = nf__on(type, shape, dim, feature, child->dim, child, error);
    ad_free(feature);
    return self;
}

/* False, and the child is freed, where its events are no images, or `fits` is false. */
static bool check(const nf_bijector_type *type, nf_bijector *child, bool fits, const char *expected, ad_error *error)
{
    char text[128];
    if (child && child->shape.rank == 3 && fits) return true;
    if (child)
        ad_error_set(error, AD_ERROR_ARGUMENT, "%s: expected a bijector of %s, got one of events %s", type->name,
                     expected, ad_shape_text(child->shape.rank ? child->shape : AD_SHAPE(child->dim), text));
    nf_bijector_free(child);
    return false;
}

static size_t channels_last(ad_shape self, ad_shape child, size_t channel, size_t row, size_t column)
{
    (void)self;
    return (row * child.dim[2] + column) * child.dim[0] + channel;
}

nf_bijector *nf_image(nf_bijector *child, ad_error *error)
{
    if (!check(&nf__type_image, child, true, "images (channels,height,width)", error)) return NULL;
    return make(&nf__type_image, (ad_shape){0}, child->dim, channels_last, child, error);
}

static size_t unsqueezed(ad_shape self, ad_shape child, size_t channel, size_t row, size_t column)
{
    (void)child;
    const size_t i = 2 * row + channel / 2 % 2, j = 2 * column + channel % 2;
    return (channel / 4 * self.dim[1] + i) * self.dim[2] + j;
}

nf_bijector *nf_squeeze(nf_bijector *child, ad_error *error)
{
    const ad_shape inside = child ? child->shape : (ad_shape){0};
    if (!check(&nf__type_squeeze, child, inside.dim[0] % 4 == 0, "images with a multiple of four channels", error))
        return NULL;
    const ad_shape shape = AD_SHAPE(inside.dim[0] / 4, 2 * inside.dim[1], 2 * inside.dim[2]);
    return make(&nf__type_squeeze, shape, child->dim, unsqueezed, child, error);
}

static size_t same_place(ad_shape self, ad_shape child, size_t channel, size_t row, size_t column)
{
    (void)child;
    return (channel * self.dim[1] + row) * self.dim[2] + column;
}

nf_bijector *nf_split(size_t channels, nf_bijector *child, ad_error *error)
{
    const ad_shape inside = child ? child->shape : (ad_shape){0};
    if (!check(&nf__type_split, child, inside.dim[0] < channels, "images with fewer channels than are split", error))
        return NULL;
    const ad_shape shape = AD_SHAPE(channels, inside.dim[1], inside.dim[2]);
    const size_t dim = ad_shape_size(shape);
    if (dim < SIZE_MAX / sizeof(size_t)) return make(&nf__type_split, shape, dim, same_place, child, error);
    ad_error_set(error, AD_ERROR_ARGUMENT, "split: an image of %zu channels is too large", channels);
    nf_bijector_free(child);
    return NULL;
}
