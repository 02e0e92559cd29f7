#include "networks/autoregressive.h"
#include "networks/conditioner.h"
#include "networks/coupling.h"

#include <stdlib.h>

enum { HALF, ALTERNATING, RANDOM };

static bool is_seen(const nf_bijector *self, size_t feature)
{
    size_t dim = self->dim, place = feature;
    bool flipped = nf_argument_value(self, "flipped") != 0;
    if (self->feature) {
        bool listed = false;
        for (size_t i = 0; i < self->n_feature; i++) listed |= self->feature[i] == feature;
        return listed != flipped;
    }
    if (dim == 1) return false;
    switch ((int)nf_argument_value(self, "mask")) {
    case ALTERNATING:
        return (feature % 2 == 0) != flipped;
    case RANDOM:
        place = ad_random_permutation((uint64_t)nf_argument_value(self, "seed"), 0, dim, feature);
    }
    return (place < dim / 2) != flipped;
}

static size_t count_seen(const nf_bijector *self)
{
    size_t n = 0;
    for (size_t i = 0; i < self->dim; i++) n += is_seen(self, i);
    return n;
}

static int ascending(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

ad_status nf__coupling_declare(nf_bijector *self, const nf_transformer *transformer, ad_error *error)
{
    if (self->feature) qsort(self->feature, self->n_feature, sizeof *self->feature, ascending); /* a set */
    size_t seen = count_seen(self);
    if (seen == self->dim)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: all %zu features are to stay, and none is left to map",
                            self->type->name, seen);
    return nf__conditioner_declare(self, seen, transformer->parameters(self) * (self->dim - seen), error);
}

/* v_index[i]: a view where these are neighbours. */
static ad_var take(ad_var v, const size_t *index, size_t count)
{
    size_t i = 1;
    while (i < count && index[i] == index[0] + i) i++;
    return i == count ? ad_slice(v, 0, index[0], index[0] + count) : ad_gather(v, index, count);
}

/* order: the seen features, then the transformed ones; place: where each feature is in it. */
static ad_var map_parts(const nf_scope *at, const nf_transformer *transformer, const size_t *order, const size_t *place,
                        size_t seen, ad_var v, bool inverse, ad_var *log_det)
{
    size_t moved = at->self->dim - seen, needed = transformer->parameters(at->self);
    ad_var part[] = {seen ? take(v, order, seen) : (ad_var){v.tape, -1}, take(v, order + seen, moved)};
    ad_var parameters = ad_reshape(nf__conditioner_outputs(at, seen, part[0]), AD_SHAPE(needed, moved));
    ad_var log_derivative;
    part[1] = transformer->map(at, part[1], parameters, inverse, &log_derivative);
    *log_det = ad_sum(log_derivative);
    return seen ? take(ad_concat(part, 2, 0), place, at->self->dim) : part[1];
}

ad_var nf__coupling_map(const nf_scope *at, const nf_transformer *transformer, ad_var v, bool inverse, ad_var *log_det)
{
    size_t dim = at->self->dim, seen = count_seen(at->self),
           next[] = {seen, 0}; /* places of a transformed and a seen feature */
    size_t *order = ad_alloc(2 * dim, sizeof *order), *place = order + dim;
    if (!order) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for a mask of %zu features", dim);
        return (ad_var){v.tape, -1};
    }
    for (size_t i = 0; i < dim; i++) order[place[i] = next[is_seen(at->self, i)]++] = i;
    ad_var out = map_parts(at, transformer, order, place, seen, v, inverse, log_det);
    ad_free(order);
    return out;
}
