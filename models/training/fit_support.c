/* What a flow cannot reach, said of its terms: rows outside of its support, and features that are the base's. */
#include "training/fit.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

/* ---- Text ---------------------------------------------------------------------------------------------------- */

static void AD_PRINTF(3, 4) append(char *text, size_t size, const char *format, ...)
{
    const size_t filled = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + filled, size - filled, format, arguments);
    va_end(arguments);
}

/* "(0, 0.37)" */
static void append_event(char *text, size_t size, const double *x, size_t dim)
{
    enum { MOST = 6 };
    append(text, size, "(");
    for (size_t i = 0; i < dim && i < MOST; i++) append(text, size, "%s%.6g", i ? ", " : "", x[i]);
    append(text, size, dim > MOST ? ", …)" : ")");
}

/* ---- A row of density 0 -------------------------------------------------------------------------------------- */

/* One event through a step of the chain, in place, in float64; false where it gets nowhere. */
static bool pull_back(const nf_bijector *step, const double *context, double *x)
{
    double log_det = NAN, *z = ad_alloc(step->dim, sizeof *z);
    ad_tape *tape = ad_tape_new();
    const nf_scope *at = nf_bind(step, tape);
    ad_var in = ad_input(tape, "x", AD_SHAPE(step->dim)), out[2];
    out[0] = nf_inverse(at, in, &out[1]);
    out[1] = ad_to_rows(out[1]);
    ad_error unwanted;
    ad_plan *plan = z ? ad_plan_new(out, 2, &(ad_plan_options){.dtype = AD_F64}, &unwanted) : NULL;
    bool arrived = false;
    if (plan) {
        nf_bind_plan(at, plan);
        ad_plan_set_input(plan, in, x);
        ad_plan_set_input(plan, nf_context(at), context);
        ad_plan_set_output(plan, 0, z);
        ad_plan_set_output(plan, 1, &log_det);
        arrived = ad_plan_run(plan, &(ad_run){.rows = 1}, &unwanted) == AD_OK && isfinite(log_det);
        for (size_t i = 0; i < step->dim && arrived; i++) arrived = isfinite(z[i]);
        if (arrived) memcpy(x, z, step->dim * sizeof *x);
    }
    ad_plan_free(plan);
    ad_tape_free(tape);
    ad_free(z);
    return arrived;
}

/* Back through the flow, up to the step that doesn't reach x, which *formula is of; NULL: all do. */
static size_t step_that_fails(const nf_flow *flow, const double *context, double *x, char **formula)
{
    const nf_bijector *chain = nf_flow_bijector(flow);
    *formula = NULL;
    for (size_t i = chain->is_chain ? nf_chain_steps(chain) : 0; i-- > 0;) {
        nf_bijector *step = nf_chain_slice(chain, i, i + 1, NULL);
        const bool arrived = step && pull_back(step, context, x);
        if (!arrived && step) *formula = nf_formula(step);
        nf_bijector_free(step);
        if (!arrived) return i;
    }
    return 0;
}

void nf__explain_support(const nf__training *t, size_t place, char *text, size_t size)
{
    const ad_dtype dtype = nf_flow_dtype(t->flow);
    const size_t columns = nf_flow_context_size(t->flow);
    double *x = ad_alloc(t->dim, sizeof *x), *context = ad_alloc(columns, sizeof *context);
    char *formula = NULL;
    *text = 0;
    if (x && context && nf__row_at(t, NF__TRAINING, place, x, context)) {
        size_t step = step_that_fails(t->flow, context, x, &formula);
        if (formula) {
            append(text, size, "it comes to term %zu of the flow, %.60s, as ", step + 1, formula);
            append_event(text, size, x, t->dim);
            append(text, size, ", outside of its support or on the edge; ");
        } else {
            append(text, size, "it comes to the base distribution, %s, as ", nf_flow_base(t->flow)->type->name);
            append_event(text, size, x, t->dim);
            append(text, size,
                   dtype == AD_F32 ? ", outside of its support or too far out for float32; "
                                   : ", outside of its support or too far out; ");
        }
    }
    append(text, size, "leave such rows out, rescale the data, or take other terms");
    ad_free(formula);
    ad_free(context);
    ad_free(x);
}

/* ---- Features that are the base's ---------------------------------------------------------------------------- */

/* z_i depends on x_j alone, and dz_i/dx_j not on x: then x_j is z_i, shifted and scaled. */
static bool is_affine(ad_var z, ad_var x, const bool *depends, size_t dim, size_t i, size_t *j, bool *scratch)
{
    size_t count = 0;
    for (size_t k = 0; k < dim; k++) {
        if (!depends[i * dim + k]) continue;
        *j = k;
        count++;
    }
    if (count != 1) return false;
    ad_var slope = ad_slice(ad_grad1(ad_sum(ad_slice(z, 0, i, i + 1)), x), 0, *j, *j + 1);
    if (ad_dependence(slope, x, scratch, NULL) != AD_OK) return false;
    for (size_t k = 0; k < dim; k++)
        if (scratch[k]) return false;
    return true;
}

void nf__tell_affine(const nf_flow *flow, char *text, size_t size)
{
    enum { MOST_FEATURES = 64 }; /* where dependence is looked at soon enough */
    const size_t dim = nf_flow_dim(flow), context = nf_flow_context_size(flow);
    *text = 0;
    const nf_bijector *base = nf_flow_base(flow);
    if (dim > MOST_FEATURES || base->n_parameter || base->n_child) return; /* a base that fits itself bends all */
    ad_tape *tape = ad_tape_new();
    nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var x = ad_input(tape, "x", AD_SHAPE(dim)), z = nf_inverse(at.bijector, x, NULL);
    bool *depends = ad_alloc(dim + 1, dim * sizeof *depends);
    if (depends && nf_flow_trained_elements(flow) > 0 && ad_dependence(z, x, depends, NULL) == AD_OK) {
        size_t count = 0, j;
        for (size_t i = 0; i < dim; i++) {
            if (!is_affine(z, x, depends, dim, i, &j, depends + dim * dim)) continue;
            append(text, size, "%s%zu", count++ ? ", " : "column ", j + 1);
        }
        if (count)
            append(text, size,
                   " can only be as the base distribution, %s, shifted and scaled%s: no term bends it; take rqs or "
                   "rqsar",
                   base->type->name, context ? " by the context" : "");
    }
    ad_free(depends);
    ad_tape_free(tape);
}
