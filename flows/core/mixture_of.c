/* mixture_of(A|B|…): a mixture of flows, as a base distribution,
 *
 *     log p(z) = log Σ_k w_k p_k(z),      w = softmax(logit).
 *
 * Its children are the base distribution and the bijector of each flow in turn. A draw is made of every flow, of which
 * one is taken that a uniform number chooses: its gradient with respect to the weights is zero. A flow may be far off,
 * or infinitely unlikely, where another one is right: only the sum counts, in log space. */
#include "core/flow.h"

#include <weir/features.h>

#include <math.h>

/* Streams of noise: a flow's own, which may be the same in each for only one of them is seen, are small numbers; those
 * that choose are told apart by how deep mixtures stand in mixtures, which names of scopes have room for. */
enum { CHOOSING_STREAM = 4000, MOST_DEPTH = 16 };

static size_t members(const nf_bijector *self)
{
    return self->n_child / 2;
}

static unsigned depth_of(const nf_bijector *self)
{
    unsigned deepest = 0;
    for (size_t i = 0; i < self->n_child; i++) {
        unsigned depth = depth_of(self->child[i]) + (self->child[i]->type == &nf__type_mixture_of);
        if (depth > deepest) deepest = depth;
    }
    return deepest;
}

nf_bijector *nf__mixture_of(nf_bijector **child, size_t count, ad_error *error)
{
    nf_bijector *self = nf__bijector_with_children(&nf__type_mixture_of, child, count, error);
    ad_status status = self ? AD_OK : AD_ERROR_MEMORY;
    if (self && depth_of(self) >= MOST_DEPTH)
        status = ad_error_set(error, AD_ERROR_ARGUMENT,
                              "mixture_of: nested too deep, expected at most %d within one another", MOST_DEPTH);
    if (status == AD_OK)
        status = nf_declare(self, &(nf_parameter_spec){.name = "logit", .shape = AD_SHAPE(members(self))}, error);
    if (status == AD_OK) return self;
    nf_bijector_free(self);
    return NULL;
}

/* What `each` gives of the members, one under the other: (K, …). */
static ad_var of_members(const nf_scope *at, ad_var (*each)(const nf_flow_scope *member, ad_var z), ad_var z)
{
    const size_t count = members(at->self);
    ad_var *part = ad_alloc(count, sizeof *part), all = {at->tape, -1};
    if (!part) ad_tape_fail(at->tape, AD_ERROR_MEMORY, "out of memory for a mixture of %zu flows", count);
    for (size_t k = 0; part && k < count; k++) {
        const nf_flow_scope member = {NULL, at->tape, &at->child[2 * k], &at->child[2 * k + 1]};
        ad_var value = each(&member, z);
        ad_shape shape = ad_shape_of(value);
        part[k] = ad_reshape(value, shape.rank ? AD_SHAPE(1, shape.dim[0]) : AD_SHAPE(1));
    }
    if (part) all = ad_concat(part, (int)count, 0);
    ad_free(part);
    return all;
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    return ad_logsumexp(ad_add(of_members(at, nf_flow_record_log_prob, z), nf_log_softmax(nf_param(at, "logit"))));
}

static ad_var draw(const nf_flow_scope *member, ad_var unused)
{
    (void)unused;
    return nf_flow_record_sample(member, NULL);
}

/* That member's draw within whose share of the cumulative weights a uniform number falls. */
static ad_var sample(const nf_scope *at)
{
    const size_t count = members(at->self), dim = at->self->dim;
    ad_var all = of_members(at, draw, (ad_var){at->tape, -1}); // (K, dim)
    ad_var u = ad_uniform(at->tape, AD_SCALAR, CHOOSING_STREAM + depth_of(at->self));
    ad_var upper = ad_cumsum(ad_exp(nf_log_softmax(nf_param(at, "logit"))), 0, false); // (K)
    ad_var x = ad_reshape(ad_slice(all, 0, 0, 1), AD_SHAPE(dim));
    for (size_t k = 1; k < count; k++) {
        ad_var is_past = ad_greater_equal(u, ad_reshape(ad_slice(upper, 0, k - 1, k), AD_SCALAR));
        x = ad_where(is_past, ad_reshape(ad_slice(all, 0, k, k + 1), AD_SHAPE(dim)), x);
    }
    return x;
}

const nf_bijector_type nf__type_mixture_of = {
    .name = "mixture_of",
    .help = "a mixture of flows",
    .log_prob = log_prob,
    .sample = sample,
    .circular = true, /* where what it is made of is */
};

/* What these can't be a mixture for; NULL: nothing. */
static const char *fault_of(nf_flow **member, const double *weight, size_t count, const nf_bijector *bijector)
{
    if (count == 0) return "expected one flow or more, got none";
    for (size_t k = 0; k < count; k++) {
        const nf_flow *first = member[0], *flow = member[k];
        if (flow->borrows) return "a slice of a flow can't be owned by another flow";
        if (nf_flow_dim(flow) != nf_flow_dim(first) || nf_flow_context_size(flow) != nf_flow_context_size(first) ||
            nf_flow_dtype(flow) != nf_flow_dtype(first) || nf_flow_dim(flow) != bijector->dim ||
            nf_flow_context_size(flow) != bijector->context)
            return "expected flows and a bijector of one dimension, context and dtype";
        if (weight && !(weight[k] > 0 && isfinite(weight[k]))) return "expected weights above 0";
    }
    return NULL;
}

static nf_flow *mix(nf_flow **member, const double *weight, size_t count, nf_bijector **child, nf_bijector *bijector,
                    ad_error *error)
{
    const ad_dtype dtype = nf_flow_dtype(member[0]);
    for (size_t k = 0; k < count; k++) nf__flow_release(member[k], &child[2 * k], &child[2 * k + 1]);
    nf_bijector *base = nf__mixture_of(child, 2 * count, error);
    double *logit = base ? nf_parameter_value(base, "logit") : NULL;
    for (size_t k = 0; logit && weight && k < count; k++) logit[k] = log(weight[k]);
    if (base) return nf_flow_new(base, bijector, dtype, error);
    nf_bijector_free(bijector);
    return NULL;
}

nf_flow *nf_flow_mixture(nf_flow **member, const double *weight, size_t count, nf_bijector *bijector, ad_error *error)
{
    bool whole = member && bijector;
    for (size_t k = 0; k < count && whole; k++) whole = member[k];
    const char *fault = whole ? fault_of(member, weight, count, bijector) : NULL;
    nf_bijector **child = whole && !fault ? ad_alloc(2 * count, sizeof *child) : NULL;
    if (child) {
        nf_flow *made = mix(member, weight, count, child, bijector, error);
        ad_free(child);
        return made;
    }
    if (!member)
        ad_error_set(error, AD_ERROR_ARGUMENT, "mixture of flows: member is NULL");
    else if (fault)
        ad_error_set(error, AD_ERROR_ARGUMENT, "mixture of flows: %s", fault);
    else if (whole)
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a mixture of %zu flows", count);
    for (size_t k = 0; member && k < count; k++) nf_flow_free(member[k]);
    nf_bijector_free(bijector);
    return NULL;
}
