/* Bijectors that see the data: each is fitted to the data as they are at its place in a chain. */
#include "core/internal.h"

#include <weir/environment.h>
#include <weir/flow.h>

static ad_var pull_back(const nf_scope *at, ad_var x)
{
    ad_var log_det;
    return nf_inverse(at, x, &log_det);
}

static ad_var context_after(const nf_scope *at, ad_var x)
{
    (void)x;
    return ad_to_rows(nf__scope_context_after(at));
}

/* What `record` makes of x, and of the context, in each row, float64, on this thread. */
static ad_status evaluate(const nf_bijector *bijector, ad_var (*record)(const nf_scope *at, ad_var x), const double *x,
                          const double *context, size_t rows, double *to, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    const nf_scope *at = nf_bind(bijector, tape);
    ad_var in = ad_input(tape, "x", AD_SHAPE(bijector->dim)), out = record(at, in);
    ad_error own;
    if (!error) error = &own;
    ad_plan *plan = ad_plan_new(&out, 1, &(ad_plan_options){.dtype = AD_F64}, error);
    ad_status status = plan ? AD_OK : error->status;
    if (plan) {
        nf_bind_plan(at, plan);
        ad_plan_set_input(plan, in, x);
        ad_plan_set_input(plan, nf_context(at), context);
        ad_plan_set_output(plan, 0, to);
        status = ad_plan_run(plan, &(ad_run){.rows = rows}, error);
    }
    ad_plan_free(plan);
    ad_tape_free(tape);
    return status;
}

static bool wants_fit(const nf_bijector *bijector)
{
    if (bijector->n_child == 0 || bijector->type == &nf__type_dequantize) return bijector->type->fit != NULL;
    for (size_t i = 0; i < bijector->n_child; i++)
        if (wants_fit(bijector->child[i])) return true;
    return false;
}

static bool embeds(const nf_bijector *bijector)
{
    if (!bijector->is_chain) return bijector->type->embed && bijector->context;
    for (size_t i = 0; i < bijector->n_child; i++)
        if (embeds(bijector->child[i])) return true;
    return false;
}

/* The context that each child sees, and, where it isn't that of one before it, the memory for it. */
static ad_status find_contexts(const nf_bijector *self, const double *context, size_t rows, const double **seen,
                               double **owned, ad_error *error)
{
    ad_status status = AD_OK;
    for (size_t i = 0; i < self->n_child && status == AD_OK; i++) {
        seen[i] = context;
        if (!embeds(self->child[i])) continue;
        owned[i] = ad_alloc(rows, nf__context_after(self->child[i]) * sizeof *owned[i]);
        if (!owned[i]) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the context of %zu rows", rows);
        status = evaluate(self->child[i], context_after, NULL, context, rows, owned[i], error);
        context = owned[i];
    }
    return status;
}

/* What a bijector is fitted to. */
typedef struct {
    const double *x, *context;
    size_t rows;
    const double *ends; /* (2, dim): two rows with the means and deviations that x is to have; NULL: its own */
} data;

static ad_status fit_bijector(nf_bijector *self, data to, ad_error *error);

/* The last child sees the data; each one before it sees them pulled back through what comes after. */
static ad_status fit_steps(nf_bijector *self, size_t first, data to, const double **context, ad_error *error)
{
    const size_t rows = to.rows;
    double *seen = NULL;
    ad_status status = AD_OK;
    for (size_t i = self->n_child; i-- > first && status == AD_OK;) {
        to = seen ? (data){seen, context[i], rows, NULL} : (data){to.x, context[i], rows, to.ends};
        status = fit_bijector(self->child[i], to, error);
        if (i == first || status != AD_OK) break;
        if (!seen && !(seen = ad_alloc(rows, self->dim * sizeof *seen)))
            status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory to fit the chain to %zu rows", rows);
        else
            status = evaluate(self->child[i], pull_back, to.x, to.context, rows, seen, error);
    }
    ad_free(seen);
    return status;
}

static ad_status fit_chain(nf_bijector *self, data to, ad_error *error)
{
    size_t first = 0;
    while (first < self->n_child && !wants_fit(self->child[first])) first++;
    if (first == self->n_child) return AD_OK;
    const double **seen = ad_alloc(self->n_child, sizeof *seen);
    double **owned = ad_alloc(self->n_child, sizeof *owned);
    ad_status status = seen && owned ? find_contexts(self, to.context, to.rows, seen, owned, error)
                                     : ad_error_set(error, AD_ERROR_MEMORY, "out of memory to fit a chain");
    if (status == AD_OK) status = fit_steps(self, first, to, seen, error);
    for (size_t i = 0; owned && i < self->n_child; i++) ad_free(owned[i]);
    ad_free(owned);
    ad_free(seen);
    return status;
}

/* The inner map sees its columns. */
static ad_status fit_on(nf_bijector *self, const double *x, const double *context, size_t rows, ad_error *error)
{
    const size_t count = self->n_feature;
    if (!wants_fit(self)) return AD_OK;
    double *seen = ad_alloc(rows, count * sizeof *seen);
    if (!seen) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to fit '%s' to %zu rows", self->type->name, rows);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < count; i++) seen[r * count + i] = x[r * self->dim + self->feature[i]];
    ad_status status = nf_bijector_fit(self->child[0], seen, context, rows, error);
    ad_free(seen);
    return status;
}

static ad_status fit_bijector(nf_bijector *self, data to, ad_error *error)
{
    if (to.rows && !to.x)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: expected %zu rows, but x is NULL", to.rows);
    if (self->is_chain) return fit_chain(self, to, error);
    if (nf__maps_features(self)) return fit_on(self, to.x, to.context, to.rows, error);
    if (self->type == &nf__type_conditional) return fit_bijector(self->child[0], to, error);
    if (!self->type->fit) return AD_OK;
    const bool by_ends = to.ends && self->type->fits_moments;
    return self->type->fit(self, by_ends ? to.ends : to.x, by_ends ? 2 : to.rows, error);
}

ad_status nf_bijector_fit(nf_bijector *bijector, const double *x, const double *context, size_t rows, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!bijector) return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: expected a bijector, got NULL");
    return fit_bijector(bijector, (data){x, context, rows, NULL}, error);
}

static ad_status fit_flow(nf_bijector *base, nf_bijector *bijector, data to, ad_error *error);

/* x, at the side of the base distribution; each flow of a mixture sees all of it, and what is of some features these.
 */
static ad_status fit_base(nf_bijector *base, const double *z, const double *context, size_t rows, ad_error *error)
{
    ad_status status = AD_OK;
    if (base->n_child == 0) return base->type->fit(base, z, rows, error);
    for (size_t i = 0; base->type == &nf__type_product_of && i < base->n_child && status == AD_OK; i++)
        status = fit_on(base->child[i], z, context, rows, error);
    if (base->type == &nf__type_product_of) return status;
    for (size_t i = 0; i < base->n_child && status == AD_OK; i += 2)
        status = fit_flow(base->child[i], base->child[i + 1], (data){z, context, rows, NULL}, error);
    return status;
}

static ad_status fit_flow(nf_bijector *base, nf_bijector *bijector, data to, ad_error *error)
{
    const size_t rows = to.rows;
    ad_status status = fit_bijector(bijector, to, error);
    if (status != AD_OK || !wants_fit(base)) return status;
    double *z = ad_alloc(rows, base->dim * sizeof *z);
    if (!z)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to fit '%s' to %zu rows", base->type->name, rows);
    status = evaluate(bijector, pull_back, to.x, to.context, rows, z, error);
    if (status == AD_OK) status = fit_base(base, z, to.context, rows, error);
    ad_free(z);
    return status;
}

static ad_status fit(nf_flow *flow, data to, ad_error *error)
{
    nf_flow_pull(flow);
    ad_status status = fit_flow(nf_flow_base(flow), nf_flow_bijector(flow), to, error);
    nf_flow_push(flow);
    return status;
}

ad_status nf_flow_fit_data(nf_flow *flow, const double *x, const double *context, size_t rows, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!flow) return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: expected a flow, got NULL");
    return fit(flow, (data){x, context, rows, NULL}, error);
}

ad_status nf_flow_fit_sample(nf_flow *flow, const double *x, const double *context, size_t rows, const double *mean,
                             const double *sd, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !flow ? "flow" : !mean ? "mean" : !sd ? "sd" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: %s is NULL", missing);
    const size_t dim = nf_flow_dim(flow);
    double *ends = ad_alloc(2 * dim, sizeof *ends);
    if (!ends) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to fit %zu features", dim);
    for (size_t i = 0; i < dim; i++) {
        ends[i] = mean[i] - sd[i];
        ends[dim + i] = mean[i] + sd[i];
    }
    const ad_status status = fit(flow, (data){x, context, rows, ends}, error);
    ad_free(ends);
    return status;
}
