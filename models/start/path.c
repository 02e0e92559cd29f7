/* One path of L-BFGS up a log-density, and the normals along it. */
#include "start/path.h"
#include "start/ends.h"

#include <math.h>
#include <string.h>

enum { STEPS = 300, TRIALS = 40 };

/* Where L-BFGS is, on -log p. */
typedef struct {
    nf__density *density;
    size_t dim;
    double *at, *gradient, *direction, *next; /* (dim) each; the gradient of -log p */
    double *step, *change;                    /* that are taken next: of `at` and of `gradient` */
    double value, next_value, slope;          /* -log p, there too; its derivative along the direction */
    nf__curvature curvature;
} climb;

static ad_status climb_new(climb *c, nf__density *density, ad_error *error)
{
    const size_t n = density->dim;
    *c = (climb){.density = density, .dim = n, .at = ad_alloc(n, 6 * sizeof *c->at)};
    if (!nf__curvature_new(&c->curvature, n) || !c->at)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a path of %zu features", n);
    c->gradient = c->at + n;
    c->direction = c->gradient + n;
    c->next = c->direction + n;
    c->step = c->next + n;
    c->change = c->step + n;
    return AD_OK;
}

static void climb_free(climb *c)
{
    nf__curvature_free(&c->curvature);
    ad_free(c->at);
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* -log p and, in the density's room, the gradient of log p; infinite where one isn't finite. */
static ad_status value_at(climb *c, const double *z, double *value, ad_error *error)
{
    nf__density *d = c->density;
    memcpy(d->z, z, c->dim * sizeof *z);
    ad_status status = nf__density_run(d, 1, error);
    bool finite = isfinite(d->log_density[0]);
    for (size_t i = 0; i < c->dim; i++) finite &= isfinite(d->gradient[i]);
    *value = finite ? -d->log_density[0] : INFINITY;
    return status;
}

/* A step that satisfies the weak Wolfe conditions, by doubling and bisection (Lewis & Overton 2013, "Nonsmooth
 * optimization via quasi-Newton methods", algorithm 2.6), for there are densities with kinks and cliffs. Where none is
 * found in time, the best one that goes down; *moved is false where there is none. */
static ad_status search_line(climb *c, double length, bool *moved, ad_error *error)
{
    double low = 0, high = INFINITY, value;
    *moved = false;
    for (int i = 0; i < TRIALS; i++) {
        for (size_t j = 0; j < c->dim; j++) c->next[j] = c->at[j] + length * c->direction[j];
        ad_status status = value_at(c, c->next, &value, error);
        if (status) return status;
        if (value <= c->value + 1e-4 * length * c->slope) {
            *moved = true;
            c->next_value = value;
            for (size_t j = 0; j < c->dim; j++) {
                c->step[j] = c->next[j] - c->at[j];
                c->change[j] = -c->density->gradient[j] - c->gradient[j];
            }
            if (-dot(c->density->gradient, c->direction, c->dim) >= 0.9 * c->slope) break;
            low = length;
        } else {
            high = length;
        }
        length = isinf(high) ? 2 * length : (low + high) / 2;
    }
    return AD_OK;
}

/* Half way towards 0, as often as it takes, to a point that has a density. */
static ad_status begin(climb *c, const double *from, bool *found, ad_error *error)
{
    memcpy(c->at, from, c->dim * sizeof *from);
    ad_status status = value_at(c, c->at, &c->value, error);
    for (int i = 0; i < TRIALS && !status && isinf(c->value); i++) {
        for (size_t j = 0; j < c->dim; j++) c->at[j] *= 0.5;
        status = value_at(c, c->at, &c->value, error);
    }
    *found = isfinite(c->value);
    for (size_t j = 0; j < c->dim; j++) c->gradient[j] = -c->density->gradient[j];
    return status;
}

/* One step; *goes_on is false at the end of the path: what a quadratic has left to gain is nothing. */
static ad_status advance(climb *c, bool first, bool *goes_on, ad_error *error)
{
    *goes_on = false;
    memcpy(c->direction, c->gradient, c->dim * sizeof *c->direction);
    nf__curvature_apply(&c->curvature, c->direction);
    for (size_t j = 0; j < c->dim; j++) c->direction[j] = -c->direction[j];
    c->slope = dot(c->direction, c->gradient, c->dim);
    if (!(-c->slope > 1e-9)) return AD_OK;
    /* Without any curvature yet: as far as one unit. */
    const double length = first ? fmin(1, 1 / sqrt(-c->slope)) : 1, before = c->value;
    ad_status status = search_line(c, length, goes_on, error);
    if (status || !*goes_on) return status;
    for (size_t j = 0; j < c->dim; j++) {
        c->at[j] += c->step[j];
        c->gradient[j] += c->change[j];
    }
    c->value = c->next_value;
    nf__curvature_add(&c->curvature, c->step, c->change);
    *goes_on = before - c->value > 1e-10 * fabs(before);
    return AD_OK;
}

ad_status nf__path_climb(nf__density *density, const double *from, const double *noise, bool dense,
                         bool (*interrupted)(void *context), void *context, nf_start_normal *normal, bool *found,
                         ad_error *error)
{
    climb c;
    nf__end best = {0};
    bool goes_on = true;
    ad_status status = climb_new(&c, density, error);
    if (!status) status = nf__end_new(&best, density->dim, error);
    if (!status) status = begin(&c, from, found, error);
    for (int i = 0; i < STEPS && !status && *found && goes_on; i++) {
        status = advance(&c, i == 0, &goes_on, error);
        if (!status) status = nf__end_consider(&best, density, c.at, c.gradient, &c.curvature, noise, error);
        if (interrupted && interrupted(context)) break;
    }
    if (!status && *found) status = nf__end_normal(&best, density, noise, dense, normal, error);
    if (!status) *found = *found && isfinite(normal->elbo);
    nf__end_free(&best);
    climb_free(&c);
    return status;
}
