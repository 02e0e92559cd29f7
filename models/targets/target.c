/* Targets on an unconstrained event: their log-densities with the log-determinants of all sites' maps. */
#include "targets/constraint.h"
#include "targets/event.h"
#include "targets/target_external.h"

#include <weir/environment.h>
#include <weir/stochastic.h>
#include <weir/target.h>

#include <math.h>
#include <string.h>

/* ---- The event ----------------------------------------------------------------------------------------------- */

size_t nf_target_dim(const nf_target *target)
{
    size_t dim = 0;
    for (size_t i = 0; target && i < target->n_site; i++) dim += nf__site_dim(&target->site[i]);
    return dim;
}

size_t nf_target_size(const nf_target *target)
{
    size_t size = 0;
    for (size_t i = 0; target && i < target->n_site; i++) size += target->site[i].size;
    return size;
}

const char *nf_target_element(const nf_target *target, size_t i, char *buffer)
{
    if (!target || !buffer) return "";
    const nf_site *site = target->site;
    while (i >= site->size) i -= site++->size;
    size_t columns = nf__square_root(site->size);
    if (site->constraint == NF_SITE_CORRELATION_CHOLESKY)
        snprintf(buffer, 64, "%.20s[%zu,%zu]", site->name, i / columns + 1, i % columns + 1);
    else if (site->size > 1)
        snprintf(buffer, 64, "%.40s[%zu]", site->name, i + 1);
    else
        snprintf(buffer, 64, "%.63s", site->name);
    return buffer;
}

ad_status nf__target_check_sites(const nf_target *target, ad_error *error)
{
    for (size_t i = 0; i < target->n_site; i++) {
        const nf_site *site = &target->site[i];
        const char *fault = nf__site_fault(site);
        for (size_t j = 0; j < i && !fault; j++)
            if (strcmp(target->site[j].name, site->name) == 0) fault = "has the name of another";
        if (fault)
            return ad_error_set(error, AD_ERROR_ARGUMENT, "target '%s': site '%s' (size %zu) %s", target->name,
                                site->name ? site->name : "", site->size, fault);
    }
    return AD_OK;
}

/* Whether it has sites that can be; else the tape fails. */
static bool has_sites(const nf_target *target, ad_tape *tape)
{
    ad_error error;
    if (!target)
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "target is NULL");
    else if (nf__target_check_sites(target, &error))
        ad_tape_fail(tape, error.status, "%s", error.message);
    else if (nf_target_dim(target) == 0)
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "target '%s' has no unconstrained features", target->name);
    else
        return true;
    return false;
}

ad_var nf__target_event(const nf_target *target, ad_tape *tape)
{
    if (!has_sites(target, tape)) return (ad_var){tape, -1};
    return ad_input(tape, "z", AD_SHAPE(nf_target_dim(target)));
}

static bool is_sound(const nf_target *target, ad_var z)
{
    char got[128];
    if (!has_sites(target, z.tape) || !ad_is_valid(z)) return false;
    size_t dim = nf_target_dim(target);
    if (ad_shape_equal(ad_shape_of(z), AD_SHAPE(dim))) return true;
    ad_tape_fail(z.tape, AD_ERROR_ARGUMENT, "target '%s' has %zu unconstrained features, got an event of shape %s",
                 target->name, dim, ad_shape_text(ad_shape_of(z), got));
    return false;
}

/* The value of every site, to be freed; NULL when something is wrong. */
static ad_var *constrain(const nf_target *target, ad_var z, ad_var *log_det)
{
    if (!is_sound(target, z)) return NULL;
    ad_var *value = ad_alloc(target->n_site, sizeof *value), one;
    if (!value) {
        ad_tape_fail(z.tape, AD_ERROR_MEMORY, "out of memory for target '%s'", target->name);
        return NULL;
    }
    size_t first = 0;
    *log_det = ad_scalar(z.tape, 0);
    for (size_t i = 0; i < target->n_site; i++) {
        const nf_site *site = &target->site[i];
        size_t size = nf__site_dim(site);
        /* a simplex of 1 and a correlation matrix of 1 are constants */
        ad_var part = size > 0 ? ad_slice(z, 0, first, first + size) : z;
        ad_tape_enter(z.tape, site->name);
        value[i] = nf__site_constrain(site, part, &one);
        ad_tape_leave(z.tape);
        *log_det = ad_add(*log_det, one);
        first += size;
    }
    return value;
}

/* All sites, one after the other. */
static ad_var join(const nf_target *target, ad_var *value)
{
    for (size_t i = 0; i < target->n_site; i++) value[i] = ad_reshape(value[i], AD_SHAPE(target->site[i].size));
    return ad_concat(value, (int)target->n_site, 0);
}

ad_var nf_target_constrain(const nf_target *target, ad_var z)
{
    ad_var log_det, all = {z.tape, -1}, *value = constrain(target, z, &log_det);
    if (!value) return all;
    all = join(target, value);
    ad_free(value);
    return all;
}

ad_var nf_target_log_density(const nf_target *target, ad_var z)
{
    char got[128];
    ad_var log_det, density = {z.tape, -1}, *value = constrain(target, z, &log_det);
    if (!value) return density;
    if (!target->external && !target->external_rows && !target->log_density) {
        ad_tape_fail(z.tape, AD_ERROR_ARGUMENT, "target '%s' has no density: its sites alone are known", target->name);
        ad_free(value);
        return density;
    }
    ad_tape_enter(z.tape, target->name);
    density =
        target->log_density ? target->log_density(target, value) : nf__target_external(target, join(target, value));
    if (ad_is_valid(density) && ad_shape_of(density).rank != 0)
        ad_tape_fail(z.tape, AD_ERROR_ARGUMENT, "target '%s' gave a log-density of shape %s, expected ()", target->name,
                     ad_shape_text(ad_shape_of(density), got));
    ad_tape_leave(z.tape);
    ad_free(value);
    return ad_add(density, log_det);
}

/* (N) */
static ad_var record_log_likelihood(const nf_target *target, ad_var z)
{
    char got[128];
    ad_var log_det, each = {z.tape, -1}, *value = constrain(target, z, &log_det);
    if (!value) return each;
    ad_tape_enter(z.tape, target->name);
    each = target->log_likelihood(target, value);
    if (ad_is_valid(each) && ad_shape_of(each).rank != 1)
        ad_tape_fail(z.tape, AD_ERROR_ARGUMENT,
                     "target '%s' gave log-likelihoods of shape %s, expected one for each observation", target->name,
                     ad_shape_text(ad_shape_of(each), got));
    ad_tape_leave(z.tape);
    ad_free(value);
    return each;
}

static ad_var record_density(const void *context, ad_var z)
{
    return nf_target_log_density(context, z);
}

void nf_flow_set_target(nf_flow *flow, const nf_target *target)
{
    nf_flow_set_density(flow, target ? &(nf_density){record_density, target} : NULL);
}

/* ---- Rows ---------------------------------------------------------------------------------------------------- */

static ad_status evaluate(const nf_target *target, ad_var (*record)(const nf_target *, ad_var), const double *z,
                          size_t rows, double *result, ad_pool *pool, ad_error *error)
{
    ad_error own;
    if (!error) error = &own;
    ad_tape *tape = ad_tape_new();
    ad_var in = nf__target_event(target, tape);
    ad_var out = ad_to_rows(record(target, in));
    ad_plan *plan = ad_plan_new(&out, 1, &(ad_plan_options){.dtype = AD_F64}, error);
    ad_tape_free(tape);
    if (!plan) return error->status;
    ad_plan_set_input(plan, in, z);
    ad_plan_set_output(plan, 0, result);
    ad_status status = ad_plan_run(plan, &(ad_run){.rows = rows, .pool = pool}, error);
    ad_plan_free(plan);
    return status;
}

ad_status nf_target_values(const nf_target *target, const double *z, size_t rows, double *value, ad_pool *pool,
                           ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !target ? "target" : rows && !z ? "z" : rows && !value ? "value" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "target: %s is NULL", missing);
    return evaluate(target, nf_target_constrain, z, rows, value, pool, error);
}

ad_status nf_target_log_densities(const nf_target *target, const double *z, size_t rows, double *log_density,
                                  ad_pool *pool, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !target ? "target" : rows && !z ? "z" : rows && !log_density ? "log_density" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "target: %s is NULL", missing);
    return evaluate(target, nf_target_log_density, z, rows, log_density, pool, error);
}

size_t nf_target_observations(const nf_target *target)
{
    if (!target || !target->log_likelihood) return 0;
    AD_DEFAULT_ENVIRONMENT;
    ad_tape *tape = ad_tape_new();
    ad_var each = record_log_likelihood(target, nf__target_event(target, tape));
    const size_t count = ad_is_valid(each) ? ad_shape_size(ad_shape_of(each)) : 0;
    ad_tape_free(tape);
    return count;
}

ad_status nf_target_log_likelihoods(const nf_target *target, const double *z, size_t rows, size_t n,
                                    double *log_likelihood, ad_pool *pool, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !target                            ? "target"
                          : rows && !z                       ? "z"
                          : rows && n > 0 && !log_likelihood ? "log_likelihood"
                                                             : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "target: %s is NULL", missing);
    if (n == 0 || n != nf_target_observations(target))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "target '%s' gives the log-likelihood of %zu observations, not of %zu", target->name,
                            nf_target_observations(target), n);
    return evaluate(target, record_log_likelihood, z, rows, log_likelihood, pool, error);
}

/* The log-determinant alone. */
static ad_var record_log_det(const nf_target *target, ad_var z)
{
    ad_var log_det = {z.tape, -1}, *value = constrain(target, z, &log_det);
    ad_free(value);
    return log_det;
}

/* Into z, which is NaN where there is none; returns what the log-determinant then is, 0 where there is one. */
static double unconstrain_row(const nf_target *target, const double *value, double *z)
{
    const size_t dim = nf_target_dim(target), size = nf_target_size(target);
    double outcome = 0;
    for (size_t i = 0; i < size; i++)
        if (isnan(value[i])) outcome = NAN;
    const double *x = value;
    double *to = z;
    for (size_t i = 0; i < target->n_site && outcome == 0; i++) {
        if (!nf__site_unconstrain(&target->site[i], x, to)) outcome = INFINITY;
        x += target->site[i].size;
        to += nf__site_dim(&target->site[i]);
    }
    for (size_t j = 0; j < dim && outcome != 0; j++) z[j] = NAN;
    return outcome;
}

ad_status nf_target_unconstrain(const nf_target *target, const double *value, size_t rows, double *z, double *log_det,
                                ad_pool *pool, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !target ? "target" : rows && !value ? "value" : rows && !z ? "z" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "target: %s is NULL", missing);
    const size_t dim = nf_target_dim(target), size = nf_target_size(target);
    if (nf__target_check_sites(target, error)) return AD_ERROR_ARGUMENT;
    for (size_t r = 0; r < rows; r++) unconstrain_row(target, value + r * size, z + r * dim);
    if (!log_det) return AD_OK;
    ad_status status = evaluate(target, record_log_det, z, rows, log_det, pool, error);
    for (size_t r = 0; r < rows && !status; r++)
        if (isnan(z[r * dim])) log_det[r] = unconstrain_row(target, value + r * size, z + r * dim);
    return status;
}

/* ---- The gradient -------------------------------------------------------------------------------------------- */

/* A finite difference of a density that comes from elsewhere (of an ODE, say) may be this far off. */
static const double tolerance = 1e-4;

ad_status nf_target_check_gradient(const nf_target *target, const double *z, size_t rows, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !target ? "target" : rows && !z ? "z" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "target: %s is NULL", missing);
    ad_tape *tape = ad_tape_new();
    if (!tape) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to check the target's gradient");
    ad_error cause = {AD_OK, ""}; /* in its own terms; ours name the target */
    ad_gradcheck_report found;
    size_t dim = nf_target_dim(target);
    ad_var in = nf__target_event(target, tape), log_density = nf_target_log_density(target, in);
    ad_status status = ad_gradcheck(log_density, &in, 1, &in, &z, 1,
                                    &(ad_gradcheck_options){.rows = rows, .tolerance = tolerance}, &found, &cause);
    if (status == AD_ERROR_NUMERIC)
        ad_error_set(
            error, status,
            "target '%s': its gradient disagrees with its value: along feature %zu at z = %.4g finite differences "
            "give %.6g, the gradient is %.6g",
            target->name, found.element % dim + 1, z[found.element], found.expected, found.got);
    else if (status != AD_OK)
        ad_error_set(error, status, "%s", cause.message);
    ad_tape_free(tape);
    return status;
}
