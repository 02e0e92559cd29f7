/* Where a density lies: a start for variational inference and for samplers, found by optimisation.
 *
 *     nf_start start;
 *     if (nf_find_start(target, NULL, &start, &error)) …
 *     start.normal[0].location, start.normal[0].factor           // a normal where most of the mass seems to be
 *     nf_start_draw(&start, rows, 1, z, &error);                 // points near all that was found
 *     nf_start_free(&start);
 *
 * Pathfinder (Zhang, Carpenter, Gelman & Vehtari 2022, "Pathfinder: parallel quasi-Newton variational inference"), with
 * several paths: from dispersed points L-BFGS climbs log p, of the unconstrained z with the log-determinants of the
 * sites' maps. At each point of its path, the quasi-Newton estimate of the curvature makes a normal, N(z + H ∇log p,
 * H); the one with the largest ELBO is kept, so that a path along which log p grows without end (a funnel's) is left in
 * time. There the Hessian by finite differences of the gradient takes the estimate's place where that has the larger
 * ELBO: of a normal target the result is exact.
 *
 * Any function here may be called from several threads at once, with one pool or with several. */
#ifndef WEIR_START_H
#define WEIR_START_H

#include <weir/target.h>

WEIR_BEGIN_DECLARATIONS

/* A zero means the default; new members will be added at the end. */
typedef struct {
    /* 24 paths. The first begins near 0; the others at points of N(0, r² I), r growing from 1 to 20. */
    size_t searches;
    uint64_t seed; /* of these points, and of the draws that normals are judged by */
    ad_pool *pool; /* NULL: this thread */
    /* Polled between steps, by the pool's threads: true stops all paths where they are. NULL: none. */
    bool (*interrupted)(void *context);
    void *context;
} nf_start_options;

/* A normal on the unconstrained space, N(location, factor factorᵀ). */
typedef struct {
    double *location;   /* (dim) */
    double *factor;     /* (dim, dim), lower triangular; where the start isn't dense, its diagonal (dim) */
    double log_density; /* of the target, at the location */
    double elbo;        /* of this normal; a draw without a density counts as -1000 */
    double log_mass;    /* log of the integral of what is around it, by importance sampling from it */
    size_t mode;        /* its number among the modes, from 0 */
    size_t found;       /* paths that ended there */
} nf_start_normal;

typedef struct {
    size_t dim;
    bool dense;   /* dim <= 500 */
    size_t count; /* normals, those with the largest log_mass first; what has less than e^-12 of it is left out */
    nf_start_normal *normal;
    /* Normals between whose locations log p nowhere falls by 1 nat below the lower of the two, along the straight line,
     * are of one mode, and so are those that a sequence of such lines joins. */
    size_t modes;
    size_t searches, failed; /* paths, and those that found no point with a finite density and gradient */
    size_t gradients;        /* computed */
    double seconds;
} nf_start;

/* Fill *start, to be released with nf_start_free(); on failure it is empty. options and error may be NULL. A function
 * of the target, the seed and the number of paths, whatever the pool. Where that has a communicator, ranks divide the
 * paths, and all have what was found; a rank that is interrupted stops its own. AD_ERROR_NUMERIC: no path found a point.
 */
ad_status nf_find_start(const nf_target *target, const nf_start_options *options, nf_start *start, ad_error *error);
void nf_start_free(nf_start *start);

/* Draw z (rows, dim) from the mixture of the normals, weighted by their mass but each with at least 1 of 10 parts of an
 * equal share, so that none is forgotten; row i is a function of (seed, i). */
ad_status nf_start_draw(const nf_start *start, size_t rows, uint64_t seed, double *z, ad_error *error);
/* The log-density of that mixture at each z (rows, dim). */
ad_status nf_start_log_prob(const nf_start *start, const double *z, size_t rows, double *log_prob, ad_error *error);

WEIR_END_DECLARATIONS

#endif
