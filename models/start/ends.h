/* The normal that stands for a path: the best by its ELBO. */
#ifndef WEIR_MODELS_START_ENDS_H
#define WEIR_MODELS_START_ENDS_H

#include "start/curvature.h"
#include "start/density.h"
#include "start/normal.h"

/* Draws that an ELBO is estimated by: of each point of a path, and of its end. `noise` below is NF__END_DRAWS rows of
 * standard normals, of which the first are for the points. */
enum { NF__PATH_DRAWS = 12, NF__END_DRAWS = 200 };

/* The best point so far. */
typedef struct {
    size_t dim;
    double elbo;
    double *at, *mean, *draw; /* (dim): the point, and the mean of the normal there; room */
    nf__curvature curvature;
} nf__end;

/* Release it in any case. */
ad_status nf__end_new(nf__end *end, size_t dim, ad_error *error);
void nf__end_free(nf__end *end);
/* Is N(at - H gradient, H) better, with the gradient of -log p? */
ad_status nf__end_consider(nf__end *end, nf__density *density, const double *at, const double *gradient,
                           const nf__curvature *curvature, const double *noise, ad_error *error);
/* That normal, or one with the Hessian by finite differences at the point, whichever is better. */
ad_status nf__end_normal(const nf__end *end, nf__density *density, const double *noise, bool dense,
                         nf_start_normal *normal, ad_error *error);

#endif
