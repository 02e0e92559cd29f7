#include "core/internal.h"
#include "networks/autoregressive.h"
#include "networks/made.h"

ad_status nf__autoregressive_declare(nf_bijector *self, const nf_transformer *transformer, ad_error *error)
{
    nf__made made = nf__made_of(self, transformer->parameters(self));
    return nf__made_declare(self, &made, error);
}

/* The network, and what follows it, see the features in reverse. */
ad_var nf__autoregressive_at_once(const nf_bijector *self, const nf_transformer *transformer, ad_var v, bool inverse,
                                  ad_var *log_det)
{
    v = nf_reverse(v);
    nf__made made = nf__made_of(self, transformer->parameters(self));
    ad_var parameters = ad_transpose(nf__made_all(self, &made, v)), log_derivative;
    v = transformer->map(self, v, parameters, inverse, &log_derivative);
    *log_det = ad_sum(log_derivative);
    return nf_reverse(v);
}

ad_var nf__autoregressive_by_feature(const nf_bijector *self, const nf_transformer *transformer, ad_var v, bool inverse,
                                     ad_var *log_det)
{
    v = nf_reverse(v);
    nf__made made = nf__made_of(self, transformer->parameters(self));
    nf__made_state state = {0};
    ad_var known = {v.tape, -1}, *log_derivative = ad_alloc(self->dim, sizeof *log_derivative);
    if (!log_derivative) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for %zu features", self->dim);
        return known;
    }
    for (size_t d = 0; d < self->dim; d++) {
        ad_var parameters = ad_reshape(nf__made_next(self, &made, &state, known, d), AD_SHAPE(made.outputs, 1));
        ad_var next = transformer->map(self, ad_slice(v, 0, d, d + 1), parameters, inverse, &log_derivative[d]);
        known = d ? ad_concat((ad_var[]){known, next}, 2, 0) : next;
    }
    *log_det = ad_sum(ad_concat(log_derivative, (int)self->dim, 0));
    ad_free(log_derivative);
    return nf_reverse(known);
}
