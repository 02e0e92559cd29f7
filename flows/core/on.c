/* on(features, f): u = f(z) of the features in a list, in its order, each back in its place; the others stay as they
 * are. log|det J| is f's. */
#include "core/internal.h"

#include <weir/features.h>

#include <string.h>

nf_bijector *nf_on(size_t dim, const size_t *feature, size_t count, nf_bijector *child, ad_error *error)
{
    nf_bijector *self = nf__bijector_with_children(&nf__type_on, &child, 1, error);
    if (!self) return NULL;
    ad_status status = AD_OK;
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

ad_var nf__on_replace(const nf_bijector *self, ad_var v, ad_var y)
{
    size_t *index = ad_alloc(self->dim, sizeof *index);
    if (!index) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for %zu features", self->dim);
        return v;
    }
    for (size_t i = 0; i < self->dim; i++) index[i] = i;
    for (size_t i = 0; i < self->n_feature; i++) index[self->feature[i]] = self->dim + i;
    ad_var all = ad_gather(ad_concat((const ad_var[]){v, y}, 2, 0), index, self->dim);
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

const nf_bijector_type nf__type_on = {
    .name = "on",
    .help = "x = f(z) of some features",
    .forward = on_forward,
    .inverse = on_inverse,
    .circular = true, /* where what it is made of is */
};
