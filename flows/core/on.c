/* on(features, f): u = f(z) of the features in a list, in its order, each back in its place; the others stay as they
 * are. log|det J| is f's. */
#include "core/internal.h"

#include <weir/features.h>

#include <string.h>

nf_bijector *nf__on(const nf_bijector_type *type, ad_shape shape, size_t dim, const size_t *feature, size_t count,
                    nf_bijector *child, ad_error *error)
{
    nf_bijector *self = nf__bijector_with_children(type, &child, 1, error);
    if (!self) return NULL;
    ad_status status = AD_OK;
    self->shape = shape;
    if (!feature || count != child->dim)
        status = ad_error_set(error, AD_ERROR_ARGUMENT,
                              "on: expected a list (feature) of as many features as its map has, %zu, got %zu",
                              child->dim, feature ? count : 0);
    else if (!(self->feature = ad_alloc(count, sizeof *self->feature)))
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a list of features");
    if (status == AD_OK) {
        self->dim = dim;
        self->n_feature = count;
        memcpy(self->feature, feature, count * sizeof *feature);
        status = nf__check_features(self, error);
    }
    if (status == AD_OK) return self;
    nf_bijector_free(self);
    return NULL;
}

nf_bijector *nf_on(size_t dim, const size_t *feature, size_t count, nf_bijector *child, ad_error *error)
{
    return nf__on(&nf__type_on, (ad_shape){0}, dim, feature, count, child, error);
}

bool nf__maps_features(const nf_bijector *bijector)
{
    return bijector->n_child == 1 && bijector->feature;
}

static bool is_beginning(const size_t *feature, size_t count)
{
    size_t i = 0;
    while (i < count && feature[i] == i) i++;
    return i == count;
}

ad_var nf__on_replace(const nf_bijector *self, ad_var v, ad_var y)
{
    const size_t dim = self->dim, count = self->n_feature;
    if (is_beginning(self->feature, count))
        return count == dim ? y : ad_concat((const ad_var[]){y, ad_slice(v, 0, count, dim)}, 2, 0);
    size_t *index = ad_alloc(dim, sizeof *index);
    if (!index) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for %zu features", dim);
        return v;
    }
    const size_t kept = count == dim ? 0 : dim;
    for (size_t i = 0; i < dim; i++) index[i] = i;
    for (size_t i = 0; i < count; i++) index[self->feature[i]] = kept + i;
    ad_var all = ad_gather(kept ? ad_concat((const ad_var[]){v, y}, 2, 0) : y, index, dim);
    ad_free(index);
    return all;
}

static ad_var on_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    const nf_bijector *self = at->self;
    return nf__on_replace(self, z, nf_forward(&at->child[0], nf_take(z, self->feature, self->n_feature), log_det));
}

static ad_var on_inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    const nf_bijector *self = at->self;
    return nf__on_replace(self, x, nf_inverse(&at->child[0], nf_take(x, self->feature, self->n_feature), log_det));
}

/* Circular is what is made of circular maps. */
#define MAP_OF_FEATURES(its_name, its_help)                                                                            \
    {                                                                                                                  \
        .name = its_name, .help = its_help, .forward = on_forward, .inverse = on_inverse, .circular = true             \
    }

const nf_bijector_type nf__type_on = MAP_OF_FEATURES("on", "x = f(z) of some features");
const nf_bijector_type nf__type_image = MAP_OF_FEATURES("image", "x = f(z) of an image");
const nf_bijector_type nf__type_squeeze = MAP_OF_FEATURES("squeeze", "x = f(z), blocks of 2 x 2 pixels being channels");
const nf_bijector_type nf__type_split = MAP_OF_FEATURES("split", "x = f(z) of the first half of the channels");
