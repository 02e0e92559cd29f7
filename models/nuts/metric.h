/* The mass matrix of Hamiltonian Monte Carlo, M: momenta are drawn from N(0, M), and M⁻¹ is an estimate of the
 * covariance of the draws, or of its diagonal. */
#ifndef WEIR_MODELS_NUTS_METRIC_H
#define WEIR_MODELS_NUTS_METRIC_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    size_t dim;
    bool dense;
    double *inverse; /* M⁻¹: its diagonal (dim), or all of it (dim, dim) */
    double *factor;  /* the square root of M's diagonal (dim), or the lower Cholesky factor of M⁻¹ (dim, dim) */
    /* Of the draws added since the last update (Welford 1962): mean, and sums of squares and products about it. */
    size_t count;
    double *mean, *squares, *difference;
} nf__metric;

/* The unit matrix; false when memory is out. Release it in any case. */
bool nf__metric_new(nf__metric *metric, size_t dim, bool dense);
void nf__metric_free(nf__metric *metric);

/* M⁻¹ = L Lᵀ, L (dim, dim) lower triangular; or, not dense, its diagonal. Where only L's diagonal is given, (dim), it
 * is diagonal. */
void nf__metric_set(nf__metric *metric, const double *factor, bool triangular);

/* Standard normals to momenta, in place. */
void nf__metric_momentum(const nf__metric *metric, double *p);
/* v = M⁻¹ p */
void nf__metric_velocity(const nf__metric *metric, const double *restrict p, double *restrict v);

void nf__metric_add(nf__metric *metric, const double *q);
/* M⁻¹ from the draws added, shrunk towards 10⁻³ I as if by 5 more (Stan); then forget them. False when that is not
 * finite and positive. */
bool nf__metric_update(nf__metric *metric);

#endif
