/* What a flow is made of. */
#ifndef WEIR_FLOWS_CORE_FLOW_H
#define WEIR_FLOWS_CORE_FLOW_H

#include "core/evaluations.h"
#include "core/internal.h"

#include <weir/flow.h>

typedef struct {
    nf_parameter *parameter;
    size_t place;  /* in nf_flow_each_parameter()'s order */
    size_t offset; /* in flow->data, in elements */
} nf__flow_entry;

struct nf_flow {
    nf_bijector *base, *bijector;
    bool borrows; /* the base: a slice's */
    ad_dtype dtype;
    nf_density target; /* of steps that draw; no `record`: none */
    nf__flow_entry *entry; /* trained ones first */
    size_t n_entry, n_trained;
    size_t of_bijector; /* how many are the bijector's: the first in that order */
    size_t trained_elements, elements;
    void *data;
    nf__evaluations *evaluations; /* plans that evaluate it, kept for the next call */
};

/* May this thread evaluate the flow, until it leaves its evaluations? AD_ERROR_ARGUMENT where there is no flow, or
 * while another thread trains it. */
ad_status nf__flow_enter(const nf_flow *flow, ad_error *error);
/* The densities of its steps that draw, which know its base distribution. */
void nf__set_flow_densities(const nf_flow_scope *at);

/* Frees the flow, but for what it is made of, which is the caller's from now on and has its parameters' values. */
void nf__flow_release(nf_flow *flow, nf_bijector **base, nf_bijector **bijector);

#endif
