/* Continuous flows: the event and the integral of the divergence, solved for together. */
#include "core/capture.h"

#include <weir/continuous.h>

#include <string.h>

typedef struct {
    nf__capture values; /* of what is captured: those of the scope; then, for estimates, u */
    bool estimates;
} problem;

/* Σ ∂v_i/∂z_i */
static ad_var exact_divergence(ad_var v, ad_var z)
{
    return ad_sum(ad_diagonal(ad_jacobian(v, z)));
}

/* dz/dt, and behind it the divergence. */
static ad_var rate(void *context, ad_tape *inner, ad_var t, ad_var state, const ad_var *captured)
{
    const problem *p = context;
    const nf_bijector *self = p->values.at->self;
    const nf_scope *at = nf__inner_scope(&p->values, inner, captured);
    ad_var z = ad_slice(state, 0, 0, self->dim), divergence = {inner, -1};
    if (!at) return divergence;
    ad_var v = self->type->velocity(at, t, z, &divergence);
    if (p->estimates) {
        ad_var u = captured[p->values.count - 1];
        divergence = ad_sum(ad_mul(ad_grad1(ad_sum(ad_mul(v, u)), z), u));
    } else if (!ad_is_valid(divergence)) {
        divergence = exact_divergence(v, z);
    }
    return ad_concat((const ad_var[]){v, ad_reshape(divergence, AD_SHAPE(1))}, 2, 0);
}

/* ±1, the same for all times. */
static ad_var draw_signs(ad_tape *tape, size_t dim)
{
    enum { SIGN_STREAM = 3000 };
    ad_var u = ad_add_scalar(ad_uniform(tape, AD_SHAPE(dim), SIGN_STREAM), -0.5);
    return ad_sub(ad_mul_scalar(ad_greater(u, ad_scalar(tape, 0)), 2), ad_scalar(tape, 1));
}

ad_var nf_integrate(const nf_scope *at, bool inverse, ad_var v, const nf_integrate_options *options, ad_var *log_det)
{
    static const nf_integrate_options defaults = {0};
    if (!options) options = &defaults;
    ad_tape *tape = v.tape;
    ad_var unwanted, failed = {tape, -1};
    if (!log_det) log_det = &unwanted;
    *log_det = failed;
    if (!at) return failed;
    if (!at->self->type->velocity) {
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "integrate: '%s' has no velocity", at->self->type->name);
        return failed;
    }
    const size_t dim = at->self->dim;
    problem p = {.values = {.at = at}, .estimates = options->estimates};
    if (!nf__open_capture(&p.values)) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a continuous flow");
        return failed;
    }
    if (p.estimates) p.values.outer[p.values.count++] = draw_signs(tape, dim);
    ad_var begin = ad_concat((const ad_var[]){v, ad_constant(tape, AD_SHAPE(1), (const double[]){0})}, 2, 0);
    ad_var end = ad_ode(begin, ad_scalar(tape, inverse ? 1 : 0), ad_scalar(tape, inverse ? 0 : 1), p.values.outer,
                        p.values.count, &options->solver, rate, &p);
    ad_free(p.values.outer);
    *log_det = ad_reshape(ad_slice(end, 0, dim, dim + 1), AD_SCALAR);
    return ad_slice(end, 0, 0, dim);
}
