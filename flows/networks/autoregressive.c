#include "core/internal.h"
#include "networks/autoregressive.h"
#include "networks/made.h"

ad_status nf__autoregressive_declare(nf_bijector *self, const nf_transformer *transformer, ad_error *error)
{
    nf__made made = nf__made_of(self, transformer->parameters(self));
    return nf__made_declare(self, &made, error);
}

/* The network, and what follows it, see the features in reverse. */
ad_var nf__autoregressive_at_once(const nf_scope *at, const nf_transformer *transformer, ad_var v, bool inverse,
                                  ad_var *log_det)
{
    v = nf_reverse(v);
    nf__made made = nf__made_of(at->self, transformer->parameters(at->self));
    ad_var parameters = ad_transpose(nf__made_all(at, &made, v)), log_derivative;
    v = transformer->map(at, v, parameters, inverse, &log_derivative);
    *log_det = ad_sum(log_derivative);
    return nf_reverse(v);
}

ad_var nf__autoregressive_by_feature(const nf_scope *at, const nf_transformer *transformer, ad_var v, bool inverse,
                                     ad_var *log_det)
{
    v = nf_reverse(v);
    nf__made made = nf__made_of(at->self, transformer->parameters(at->self));
    nf__made_state state = {0};
    ad_var known = {v.tape, -1}, *log_derivative = ad_alloc(at->self->dim, sizeof *log_derivative);
    if (!log_derivative) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for %zu features", at->self->dim);
        return known;
    }
    for (size_t d = 0; d < at->self->dim; d++) {
        ad_var parameters = ad_reshape(nf__made_next(at, &made, &state, known, d), AD_SHAPE(made.outputs, 1));
        ad_var next = transformer->map(at, ad_slice(v, 0, d, d + 1), parameters, inverse, &log_derivative[d]);
        known = d ? ad_concat((ad_var[]){known, next}, 2, 0) : next;
    }
    *log_det = ad_sum(ad_concat(log_derivative, (int)at->self->dim, 0));
    ad_free(log_derivative);
    return nf_reverse(known);
}
