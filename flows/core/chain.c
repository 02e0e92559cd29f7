/* chain: x = f_n(… f_2(f_1(z))), log|det J| = Σ_i log|det J_i|. */
#include "core/rounding.h"

#include <weir/bijector.h>

#include <string.h>

nf_bijector *nf_chain(nf_bijector **child, size_t count, ad_error *error)
{
    nf_bijector *chain = nf__bijector_with_children(&nf__type_chain, child, count, error);
    if (chain) chain->is_chain = true;
    return chain;
}

size_t nf_chain_steps(const nf_bijector *chain)
{
    if (!chain || !chain->is_chain) return chain ? 1 : 0;
    size_t steps = 0;
    for (size_t i = 0; i < chain->n_child; i++) steps += nf_chain_steps(chain->child[i]);
    return steps;
}

/* Steps first … last-1, after those before them that embed the context which they see. */
typedef struct {
    size_t first, last, place;
    nf_bijector **step;
    size_t found;
} collection;

static void collect_steps(nf_bijector *bijector, collection *c)
{
    for (size_t i = 0; i < bijector->n_child && bijector->is_chain; i++) collect_steps(bijector->child[i], c);
    if (bijector->is_chain) return;
    const bool is_among = c->place >= c->first && c->place < c->last, embeds = bijector->type->embed != NULL;
    if (is_among || (embeds && c->place < c->first)) c->step[c->found++] = bijector;
    c->place++;
}

nf_bijector *nf_chain_slice(const nf_bijector *chain, size_t first, size_t last, ad_error *error)
{
    size_t steps = nf_chain_steps(chain);
    if (!chain) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "chain slice: expected a bijector, got NULL");
        return NULL;
    }
    if (first > last || last > steps) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "chain slice: expected steps of 0 … %zu, got %zu … %zu", steps, first,
                     last);
        return NULL;
    }
    nf_bijector *slice = ad_alloc(1, sizeof *slice), **step = ad_alloc(last, sizeof *step);
    if (!slice || !step) {
        ad_free(slice);
        ad_free(step);
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a slice of %zu steps", last - first);
        return NULL;
    }
    collection c = {.first = first, .last = last, .step = step};
    collect_steps((nf_bijector *)(uintptr_t)chain, &c);
    *slice = (nf_bijector){.type = &nf__type_chain,
                           .dim = chain->dim,
                           .context = chain->context,
                           .shape = chain->shape,
                           .child = step,
                           .n_child = c.found,
                           .is_chain = true,
                           .borrows = true};
    return slice;
}

static void enter_step(ad_tape *tape, size_t i)
{
    char step[32];
    snprintf(step, sizeof step, "%zu", i);
    ad_tape_enter(tape, step);
}

static ad_var chain_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var total = ad_scalar(z.tape, 0), one;
    for (size_t i = 0; i < at->self->n_child; i++) {
        enter_step(z.tape, i);
        z = nf_forward(&at->child[i], z, &one);
        ad_tape_leave(z.tape);
        total = ad_add(total, one);
    }
    *log_det = total;
    return z;
}

static ad_var step_back(const nf_scope *at, nf__rounded *point);

/* The steps, from the last one, of a point that may be within rounding of where a step has its range. */
static ad_var go_back(const nf_scope *at, nf__rounded *point)
{
    ad_tape *tape = point->at.tape;
    ad_var total = ad_scalar(tape, 0);
    for (size_t i = at->self->n_child; i-- > 0;) {
        enter_step(tape, i);
        total = ad_add(total, step_back(&at->child[i], point));
        ad_tape_leave(tape);
    }
    return total;
}

/* One step; what chains and on() hold are steps too. */
static ad_var step_back(const nf_scope *at, nf__rounded *point)
{
    const nf_bijector *self = at->self;
    ad_tape *tape = point->at.tape;
    ad_var log_det;
    if (!self->is_chain && !nf__maps_features(self)) {
        nf__rounded_inverse(at, point, &log_det);
        return log_det;
    }
    ad_tape_enter(tape, self->type->name);
    if (self->is_chain) {
        log_det = go_back(at, point);
    } else {
        nf__rounded part = nf__rounded_take(self, point);
        log_det = step_back(&at->child[0], &part);
        nf__rounded_replace(self, point, &part);
    }
    ad_tape_leave(tape);
    return log_det;
}

static ad_var chain_inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    nf__rounded point = nf__rounded_begin(at->self, x);
    *log_det = go_back(at, &point);
    return point.at;
}

const nf_bijector_type nf__type_chain = {
    .name = "chain",
    .help = "x = f_n(… f_1(z))",
    .forward = chain_forward,
    .inverse = chain_inverse,
    .circular = true, /* where what it is made of is */
};
