/* chain: x = f_n(… f_2(f_1(z))), log|det J| = Σ_i log|det J_i|. */
#include "core/internal.h"

#include <weir/bijector.h>

#include <string.h>

nf_bijector *nf_chain(nf_bijector **child, size_t count, ad_error *error)
{
    return nf__bijector_with_children(&nf__type_chain, child, count, error);
}

size_t nf_chain_steps(const nf_bijector *chain)
{
    if (chain->type != &nf__type_chain) return 1;
    size_t steps = 0;
    for (size_t i = 0; i < chain->n_child; i++) steps += nf_chain_steps(chain->child[i]);
    return steps;
}

/* Steps that are left after `skip`, until there are `count` of them. */
static void collect_steps(nf_bijector *bijector, size_t *skip, nf_bijector **step, size_t count, size_t *found)
{
    if (*found == count) return;
    if (bijector->type == &nf__type_chain)
        for (size_t i = 0; i < bijector->n_child; i++) collect_steps(bijector->child[i], skip, step, count, found);
    else if (*skip > 0)
        --*skip;
    else
        step[(*found)++] = bijector;
}

nf_bijector *nf_chain_slice(const nf_bijector *chain, size_t first, size_t last, ad_error *error)
{
    size_t steps = nf_chain_steps(chain), count = last - first, found = 0;
    if (first > last || last > steps) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "chain slice: expected steps of 0 … %zu, got %zu … %zu", steps, first,
                     last);
        return NULL;
    }
    nf_bijector *slice = ad_alloc(1, sizeof *slice), **step = ad_alloc(count, sizeof *step);
    if (!slice || !step) {
        ad_free(slice);
        ad_free(step);
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a slice of %zu steps", count);
        return NULL;
    }
    collect_steps((nf_bijector *)(uintptr_t)chain, &first, step, count, &found);
    *slice = (nf_bijector){.type = &nf__type_chain,
                           .dim = chain->dim,
                           .context = chain->context,
                           .child = step,
                           .n_child = count,
                           .borrows = true};
    return slice;
}

static ad_var pass(const nf_bijector *self, ad_var v, ad_var *log_det, bool inverse)
{
    ad_var total = ad_scalar(v.tape, 0), one;
    for (size_t k = 0; k < self->n_child; k++) {
        size_t i = inverse ? self->n_child - 1 - k : k;
        char step[32];
        snprintf(step, sizeof step, "%zu", i);
        ad_tape_enter(v.tape, step);
        v = inverse ? nf_inverse(self->child[i], v, &one) : nf_forward(self->child[i], v, &one);
        ad_tape_leave(v.tape);
        total = ad_add(total, one);
    }
    *log_det = total;
    return v;
}

static ad_var chain_forward(const nf_bijector *self, ad_var z, ad_var *log_det)
{
    return pass(self, z, log_det, false);
}

static ad_var chain_inverse(const nf_bijector *self, ad_var x, ad_var *log_det)
{
    return pass(self, x, log_det, true);
}

static bool wants_fit(const nf_bijector *bijector)
{
    if (bijector->n_child == 0) return bijector->type->fit != NULL;
    for (size_t i = 0; i < bijector->n_child; i++)
        if (wants_fit(bijector->child[i])) return true;
    return false;
}

/* The last child sees the data; each one before it sees them pulled back through what comes after. */
ad_status nf__chain_fit(nf_bijector *self, const double *x, const double *context, size_t rows, ad_error *error)
{
    size_t first = 0;
    while (first < self->n_child && !wants_fit(self->child[first])) first++;
    double *seen = NULL;
    ad_status status = AD_OK;
    for (size_t i = self->n_child; i-- > first && status == AD_OK;) {
        const double *data = seen ? seen : x;
        status = nf_bijector_fit(self->child[i], data, context, rows, error);
        if (i == first || status != AD_OK) break;
        if (!seen && !(seen = ad_alloc(rows, self->dim * sizeof *seen)))
            status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory to fit the chain to %zu rows", rows);
        else
            status = nf__bijector_inverse_rows(self->child[i], data, context, rows, seen, error);
    }
    ad_free(seen);
    return status;
}

const nf_bijector_type nf__type_chain = {
    .name = "chain",
    .help = "x = f_n(… f_1(z))",
    .forward = chain_forward,
    .inverse = chain_inverse,
};
