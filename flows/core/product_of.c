/* product_of([1,3]:A|[2]:B|…): a base distribution whose features are those of several independent ones,
 *
 *     log p(z) = Σ_k log p_k(z of the features in list k).
 *
 * Its children are on(features, distribution). Their noise is of streams of their own, STREAMS for each. */
#include "core/internal.h"

#include <weir/features.h>

enum { STREAMS = 32 };

/* What these can't be a product of; NULL: nothing. */
static const char *fault_of(const nf_bijector *self)
{
    size_t listed = 0;
    bool *seen = ad_alloc(self->dim, sizeof *seen);
    const char *fault = seen ? NULL : "out of memory";
    for (size_t k = 0; k < self->n_child && !fault; k++) {
        const nf_bijector *part = self->child[k];
        if (part->type != &nf__type_on || !part->child[0]->type->log_prob || !part->child[0]->type->sample)
            fault = "expected base distributions of some features";
        for (size_t i = 0; i < part->n_feature && !fault; i++) {
            if (seen[part->feature[i]]) fault = "a feature is of two of its distributions";
            seen[part->feature[i]] = true;
            listed++;
        }
    }
    if (!fault && listed < self->dim) fault = "a feature is of none of its distributions";
    ad_free(seen);
    return fault;
}

nf_bijector *nf_product_of(nf_bijector **part, size_t count, ad_error *error)
{
    if (!part) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "product_of: expected %zu distributions, but part is NULL", count);
        return NULL;
    }
    nf_bijector *self = nf__bijector_with_children(&nf__type_product_of, part, count, error);
    const char *fault = self ? fault_of(self) : NULL;
    if (!fault) return self;
    ad_error_set(error, AD_ERROR_ARGUMENT, "product_of: %s", fault);
    nf_bijector_free(self);
    return NULL;
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    ad_var sum = ad_scalar(at->tape, 0);
    for (size_t k = 0; k < at->self->n_child; k++) {
        const nf_bijector *part = at->self->child[k];
        const nf_scope *inside = &at->child[k].child[0];
        ad_tape_enter(at->tape, inside->self->type->name);
        sum = ad_add(sum, inside->self->type->log_prob(inside, nf_take(z, part->feature, part->n_feature)));
        ad_tape_leave(at->tape);
    }
    return sum;
}

/* The draws of all, one after the other, each feature put in its place. */
static ad_var assemble(const nf_scope *at, const ad_var *draw)
{
    const nf_bijector *self = at->self;
    size_t *place = ad_alloc(self->dim, sizeof *place), filled = 0;
    if (!place) {
        ad_tape_fail(at->tape, AD_ERROR_MEMORY, "out of memory for %zu features", self->dim);
        return (ad_var){at->tape, -1};
    }
    for (size_t k = 0; k < self->n_child; k++)
        for (size_t i = 0; i < self->child[k]->n_feature; i++) place[self->child[k]->feature[i]] = filled++;
    ad_var z = nf_take(ad_concat(draw, (int)self->n_child, 0), place, self->dim);
    ad_free(place);
    return z;
}

static ad_var sample(const nf_scope *at)
{
    const size_t count = at->self->n_child;
    ad_var *draw = ad_tape_alloc(at->tape, count, sizeof *draw);
    if (!draw) return (ad_var){at->tape, -1};
    const unsigned before = ad_tape_shift_streams(at->tape, 0);
    for (size_t k = 0; k < count; k++) {
        const nf_scope *inside = &at->child[k].child[0];
        ad_tape_enter(at->tape, inside->self->type->name);
        ad_tape_shift_streams(at->tape, before + (unsigned)(STREAMS * k));
        draw[k] = ad_to_rows(inside->self->type->sample(inside));
        ad_tape_leave(at->tape);
    }
    ad_tape_shift_streams(at->tape, before);
    return assemble(at, draw);
}

const nf_bijector_type nf__type_product_of = {
    .name = "product_of",
    .help = "independent distributions of different features",
    .log_prob = log_prob,
    .sample = sample,
};
