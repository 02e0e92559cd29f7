/* What is looked at before the first step of variational inference: a target that can't be fitted is told of at once.
 */
#include "vi/inference.h"

#include <math.h>

enum { DRAWS = 256, GRADIENT_DRAWS = 3 };

static ad_status check_values(const nf_target *target, const double *z, const double *log_p, ad_error *error)
{
    size_t dim = nf_target_dim(target), nan = 0, infinite = 0, none = 0, first = 0;
    for (size_t i = DRAWS; i-- > 0;) {
        none += log_p[i] == -INFINITY;
        if (log_p[i] < INFINITY) continue;
        if (isnan(log_p[i]))
            nan++;
        else
            infinite++;
        first = i;
    }
    char at[128];
    size_t n = 0;
    for (size_t j = 0; j < dim && n < 100; j++)
        n += (size_t)snprintf(at + n, sizeof at - n, "%s%.4g", j ? ", " : "", z[first * dim + j]);
    if (nan + infinite > 0)
        return ad_error_set(
            error, AD_ERROR_NUMERIC,
            "target '%s': the log-density is %s at %zu of %d draws of the flow, first at z = (%s); every "
            "real z needs a number, or -inf",
            target->name, nan ? "NaN" : "+inf", nan + infinite, DRAWS, at);
    if (none == DRAWS)
        return ad_error_set(
            error, AD_ERROR_NUMERIC,
            "target '%s': the log-density is -inf at all %d draws of the flow: the flow starts where the "
            "target has no mass; move it there (loc, scale), or declare the sites' constraints",
            target->name, DRAWS);
    return AD_OK;
}

/* At the first draws where there is a density. */
static ad_status check_gradient(const nf_target *target, const double *z, const double *log_p, ad_error *error)
{
    size_t dim = nf_target_dim(target), rows = 0;
    double *point = ad_alloc(GRADIENT_DRAWS * dim, sizeof *point);
    if (!point) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to check the target's gradient");
    for (size_t i = 0; i < DRAWS && rows < GRADIENT_DRAWS; i++) {
        if (!isfinite(log_p[i])) continue;
        for (size_t j = 0; j < dim; j++) point[rows * dim + j] = z[i * dim + j];
        rows++;
    }
    ad_status status = nf_target_check_gradient(target, point, rows, error);
    ad_free(point);
    return status;
}

ad_status nf__vi_check_sizes(const nf_flow *flow, const nf_target *target, ad_error *error)
{
    size_t dim = nf_target_dim(target);
    if (nf_flow_dim(flow) != dim)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "target '%s' has %zu unconstrained features, but the flow is of dimension %zu",
                            target->name, dim, nf_flow_dim(flow));
    if (nf_flow_context_size(flow) > 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "the flow is conditional on %zu numbers, and a target has none to give",
                            nf_flow_context_size(flow));
    return AD_OK;
}

ad_status nf__vi_check(nf_flow *flow, const nf_target *target, uint64_t seed, ad_error *error)
{
    if (nf__vi_check_sizes(flow, target, error)) return error->status;
    const size_t dim = nf_target_dim(target);
    double *z = ad_alloc(DRAWS * dim, sizeof *z), *log_p = ad_alloc(DRAWS, sizeof *log_p);
    ad_status status = z && log_p ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory to check the target");
    if (status == AD_OK) status = nf_sample(flow, NULL, DRAWS, seed, z, NULL, NULL, error);
    if (status == AD_OK) status = nf_target_log_densities(target, z, DRAWS, log_p, NULL, error);
    if (status == AD_OK) status = check_values(target, z, log_p, error);
    if (status == AD_OK) status = check_gradient(target, z, log_p, error);
    ad_free(log_p);
    ad_free(z);
    return status;
}
