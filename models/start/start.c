/* Many paths, what they found, and which of it is the same. */
#include "ranks/ranks.h"
#include "start/path.h"
#include "training/clock.h"

#include <weir/environment.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t most_dense = 500;
/* Normals with less than e^-12 of the mass are left out. */
static const double least_mass = -12;

typedef struct {
    const nf_target *target;
    nf_start_options o;
    nf__normal_kind kind;
    nf__share share;         /* this rank's paths */
    double *noise;           /* (NF__END_DRAWS, dim) */
    nf_start_normal *normal; /* [searches] */
    bool *found;
    size_t *gradients;   /* [searches] */
    ad_error *error;     /* [searches] */
    nf__density density; /* for what comes after the paths */
} hunt;

/* ---- Paths ------------------------------------------------------------------------------------------------------ */

/* Streams of random numbers: of the noise, and of each path's beginning. */
enum { NOISE = 0, BEGINNING = 1 };

/* The path's distance from 0, in standard deviations of a unit normal: the first is near 0, then from 1 on to 20. */
static double radius_of(size_t path, size_t paths)
{
    return path == 0 ? 0.1 : pow(20, (double)(path - 1) / fmax(1, (double)paths - 2));
}

static void run_path(void *context, size_t number, int worker)
{
    (void)worker;
    hunt *h = context;
    const size_t dim = h->kind.dim, index = h->share.first + number;
    nf__density density;
    ad_error *error = &h->error[index];
    double *from = ad_alloc(dim, sizeof *from), radius = radius_of(index, h->o.searches);
    ad_status status = from ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a path");
    if (!status) status = nf__density_new(&density, h->target, NF__END_DRAWS, error);
    for (size_t i = 0; i < dim && !status; i++) from[i] = radius * ad_random_normal(h->o.seed, BEGINNING + index, i);
    if (!status)
        status = nf__path_climb(&density, from, h->noise, h->kind.dense, h->o.interrupted, h->o.context,
                                &h->normal[index], &h->found[index], error);
    if (from) {
        h->gradients[index] = density.computed;
        nf__density_free(&density);
    }
    ad_free(from);
    error->status = status;
}

static ad_status hunt_begin(hunt *h, ad_error *error)
{
    const size_t searches = h->o.searches, dim = h->kind.dim;
    h->noise = ad_alloc(NF__END_DRAWS, dim * sizeof *h->noise);
    h->normal = ad_alloc(searches, sizeof *h->normal);
    h->found = ad_alloc(searches, sizeof *h->found);
    h->gradients = ad_alloc(searches, sizeof *h->gradients);
    h->error = ad_alloc(searches, sizeof *h->error);
    bool good = h->noise && h->normal && h->found && h->gradients && h->error;
    for (size_t i = 0; i < searches && good; i++) good = nf__normal_new(&h->normal[i], h->kind);
    if (!good) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu paths", searches);
    for (size_t i = 0; i < NF__END_DRAWS * dim; i++) h->noise[i] = ad_random_normal(h->o.seed, NOISE, i);
    return nf__density_new(&h->density, h->target, NF__END_DRAWS, error);
}

static void hunt_end(hunt *h)
{
    for (size_t i = 0; h->normal && i < h->o.searches; i++) nf__normal_free(&h->normal[i]);
    nf__density_free(&h->density);
    ad_free(h->noise);
    ad_free(h->normal);
    ad_free(h->found);
    ad_free(h->gradients);
    ad_free(h->error);
}

/* ---- What they found -------------------------------------------------------------------------------------------- */

static int by_mass(const void *a, const void *b)
{
    const nf_start_normal *left = a, *right = b;
    return (left->log_mass < right->log_mass) - (left->log_mass > right->log_mass);
}

/* Is b's location within half a standard deviation of a's? */
static bool is_same(const nf_start_normal *a, const nf_start_normal *b, nf__normal_kind kind, double *room)
{
    double squares = 0;
    nf__normal_standardize(a, kind, b->location, room);
    for (size_t i = 0; i < kind.dim; i++) squares += room[i] * room[i];
    return squares < 0.25;
}

/* The start takes each place once, from the paths that found it. */
static ad_status gather(hunt *h, nf_start *start, ad_error *error)
{
    double *room = ad_alloc(h->kind.dim, sizeof *room);
    start->normal = ad_alloc(h->o.searches, sizeof *start->normal);
    if (!room || !start->normal) {
        ad_free(room);
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a start");
    }
    nf_start_normal none = {0};
    for (size_t i = 0; i < h->o.searches; i++) {
        if (h->found[i]) {
            start->normal[start->count++] = h->normal[i];
            h->normal[i] = none;
        } else {
            start->failed++;
        }
    }
    qsort(start->normal, start->count, sizeof *start->normal, by_mass);
    size_t kept = 0;
    for (size_t i = 0; i < start->count; i++) {
        nf_start_normal *one = &start->normal[i];
        size_t same = 0;
        while (same < kept && !is_same(&start->normal[same], one, h->kind, room)) same++;
        if (same == kept && one->log_mass >= start->normal[0].log_mass + least_mass) {
            start->normal[kept++] = *one;
            continue;
        }
        if (same < kept) start->normal[same].found++;
        nf__normal_free(one);
    }
    start->count = kept;
    ad_free(room);
    return AD_OK;
}

/* How far log p falls, below the lower of two locations, on the straight line between them. */
static ad_status dip_between(hunt *h, const nf_start_normal *a, const nf_start_normal *b, double *dip, ad_error *error)
{
    enum { POINTS = 31 };
    nf__density *d = &h->density;
    for (size_t k = 0; k < POINTS; k++) {
        const double t = (double)(k + 1) / (POINTS + 1);
        for (size_t j = 0; j < d->dim; j++) d->z[k * d->dim + j] = (1 - t) * a->location[j] + t * b->location[j];
    }
    ad_status status = nf__density_run(d, POINTS, error);
    *dip = 0;
    for (size_t k = 0; k < POINTS && !status; k++)
        *dip =
            fmax(*dip, isnan(d->log_density[k]) ? INFINITY : fmin(a->log_density, b->log_density) - d->log_density[k]);
    return status;
}

/* Far out, where no posterior is, does log p still rise on the way from 0? Then there is no mode, and no density. */
static ad_status check_bounded(hunt *h, const nf_start_normal *best, ad_error *error)
{
    const double far = 1e8;
    nf__density *d = &h->density;
    double most = 0;
    for (size_t j = 0; j < d->dim; j++) most = fmax(most, fabs(best->location[j]));
    if (most < far) return AD_OK;
    for (size_t j = 0; j < d->dim; j++) d->z[j] = 2 * best->location[j];
    ad_status status = nf__density_run(d, 1, error);
    if (status || !(d->log_density[0] > best->log_density)) return status;
    return ad_error_set(error, AD_ERROR_NUMERIC,
                        "target '%s': log p rises without end: it is %.4g at a distance of %.4g from 0, and %.4g twice "
                        "as far; is a prior missing, or a constraint of a site?",
                        h->target->name, best->log_density, most, d->log_density[0]);
}

static ad_status tell_modes(hunt *h, nf_start *start, ad_error *error)
{
    const double deep = 1;
    for (size_t i = 0; i < start->count; i++) start->normal[i].mode = i;
    for (size_t i = 1; i < start->count; i++)
        for (size_t j = 0; j < i; j++) {
            const size_t mine = start->normal[i].mode, other = start->normal[j].mode;
            double dip;
            if (mine == other) continue;
            ad_status status = dip_between(h, &start->normal[i], &start->normal[j], &dip, error);
            if (status) return status;
            if (dip >= deep) continue;
            for (size_t k = 0; k < start->count; k++)
                if (start->normal[k].mode == mine || start->normal[k].mode == other)
                    start->normal[k].mode = mine < other ? mine : other;
        }
    /* Numbered without gaps: a mode has the index of its first normal. */
    for (size_t i = 0; i < start->count; i++)
        start->normal[i].mode = start->normal[i].mode == i ? start->modes++ : start->normal[start->normal[i].mode].mode;
    return AD_OK;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

/* What a path has found as numbers, one behind the other, and back. */
static size_t packed_size(nf__normal_kind kind)
{
    return 3 + kind.dim + nf__normal_factor_size(kind);
}

static void pack(const nf_start_normal *n, nf__normal_kind kind, double *to)
{
    *to++ = n->log_density;
    *to++ = n->elbo;
    *to++ = n->log_mass;
    memcpy(to, n->location, kind.dim * sizeof *to);
    memcpy(to + kind.dim, n->factor, nf__normal_factor_size(kind) * sizeof *to);
}

static void unpack(nf_start_normal *n, nf__normal_kind kind, const double *from)
{
    n->log_density = *from++;
    n->elbo = *from++;
    n->log_mass = *from++;
    memcpy(n->location, from, kind.dim * sizeof *from);
    memcpy(n->factor, from + kind.dim, nf__normal_factor_size(kind) * sizeof *from);
}

/* Each rank gets what the others' paths have found. */
static ad_status share_paths(hunt *h, ad_error *error)
{
    ad_pool *pool = h->o.pool;
    const size_t paths = h->o.searches, size = packed_size(h->kind);
    if (nf__ranks(pool) == 1) return AD_OK;
    double *all = ad_alloc(paths, size * sizeof *all);
    if (!all) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu paths of all ranks", paths);
    for (size_t i = h->share.first; i < h->share.end; i++) pack(&h->normal[i], h->kind, all + i * size);
    ad_status status = nf__gather(pool, all, paths, size * sizeof *all, error);
    if (!status) status = nf__gather(pool, h->found, paths, sizeof *h->found, error);
    if (!status) status = nf__gather(pool, h->gradients, paths, sizeof *h->gradients, error);
    if (!status) status = nf__gather(pool, h->error, paths, sizeof *h->error, error);
    for (size_t i = 0; i < paths && !status; i++) unpack(&h->normal[i], h->kind, all + i * size);
    ad_free(all);
    return status;
}

static ad_status search(hunt *h, nf_start *start, ad_error *error)
{
    h->share = nf__share_of(h->o.pool, h->o.searches);
    ad_pool_run(h->o.pool, h->share.end - h->share.first, run_path, h);
    ad_status status = share_paths(h, error);
    if (status) return status;
    for (size_t i = 0; i < h->o.searches; i++) {
        start->gradients += h->gradients[i];
        if (!h->error[i].status) continue;
        *error = h->error[i];
        return error->status;
    }
    status = gather(h, start, error);
    if (!status && start->count == 0)
        status =
            ad_error_set(error, AD_ERROR_NUMERIC,
                         "target '%s': none of %zu searches, from points of N(0, r²), r up to 20, found one with a "
                         "finite density and gradient; declare the sites' constraints, or move the density towards 0",
                         h->target->name, h->o.searches);
    if (!status) status = check_bounded(h, &start->normal[0], error);
    if (!status) status = tell_modes(h, start, error);
    start->gradients += h->density.computed;
    return status;
}

ad_status nf_find_start(const nf_target *target, const nf_start_options *options, nf_start *start, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (start) *start = (nf_start){0};
    const char *missing = !target ? "target" : !start ? "start" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "start: %s is NULL", missing);
    ad_error own;
    if (!error) error = &own;
    const size_t dim = nf_target_dim(target);
    const double begun = nf__clock();
    hunt h = {.target = target, .o = options ? *options : (nf_start_options){0}, .kind = {dim, dim <= most_dense}};
    if (h.o.searches == 0) h.o.searches = 24;
    *start = (nf_start){.dim = dim, .dense = h.kind.dense, .searches = h.o.searches};
    ad_status status = hunt_begin(&h, error);
    if (!status) status = search(&h, start, error);
    hunt_end(&h);
    if (status)
        nf_start_free(start);
    else
        start->seconds = nf__clock() - begun;
    return status;
}

void nf_start_free(nf_start *start)
{
    if (!start) return;
    for (size_t i = 0; i < start->count; i++) nf__normal_free(&start->normal[i]);
    ad_free(start->normal);
    *start = (nf_start){0};
}
