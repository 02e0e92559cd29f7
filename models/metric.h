/* The mass matrix of Hamiltonian Monte Carlo, M: momenta are drawn from N(0, M), and M⁻¹ is an estimate of the
 * covariance of the draws, or of its diagonal. */
#ifndef WEIR_METRIC_H
#define WEIR_METRIC_H

#include "autodiff.h"

typedef struct {
    size_t dim;
    bool dense;
    double *inverse; /* M⁻¹: its diagonal (dim), or all of it (dim, dim) */
    double *factor;  /* the square root of M's diagonal (dim), or the lower Cholesky factor of M⁻¹ (dim, dim) */
    /* Of the draws added since the last update (Welford 1962): mean, and sums of squares and products about it. */
    size_t count;
    double *mean, *squares, *difference;
} nf_metric;

/* The unit matrix; false when memory is out. Release it in any case. */
bool nf_metric_new(nf_metric *metric, size_t dim, bool dense);
void nf_metric_free(nf_metric *metric);

/* Standard normals to momenta, in place. */
void nf_metric_momentum(const nf_metric *metric, double *p);
/* v = M⁻¹ p */
void nf_metric_velocity(const nf_metric *metric, const double *restrict p, double *restrict v);

void nf_metric_add(nf_metric *metric, const double *q);
/* M⁻¹ from the draws added, shrunk towards 10⁻³ I as if by 5 more (Stan); then forget them. False when that is not
 * finite and positive. */
bool nf_metric_update(nf_metric *metric);

#endif
