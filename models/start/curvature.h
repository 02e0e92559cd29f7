/* The inverse Hessian that L-BFGS sees along its path, H = J Jᵀ, as a product:
 *
 *     J = M_n … M_1 D^½,   M_k = I - ρ_k s_k w_kᵀ,   ρ_k = 1 / y_kᵀ s_k,   w_k = y_k + √(y_kᵀ s_k / s_kᵀ B s_k) B s_k
 *
 * with B the inverse of what M_1 … M_(k-1) make: then M_k H M_kᵀ is the BFGS update of H (Brodlie, Gourlay & Greenstadt
 * 1973, "Rank-one and rank-two corrections to positive definite matrices expressed in product form"). It gives draws,
 * determinants and solutions in O(n dim) each. D is the diagonal that Pathfinder keeps (Zhang et al. 2022, appendix).
 */
#ifndef WEIR_MODELS_START_CURVATURE_H
#define WEIR_MODELS_START_CURVATURE_H

#include <stdbool.h>
#include <stddef.h>

enum { NF__MEMORY = 8 };

typedef struct {
    size_t dim, count; /* pairs */
    double *diagonal;  /* (dim): D */
    double *s, *y, *w; /* (NF__MEMORY, dim), the oldest pair first: steps and differences of gradients of -log p */
    double rho[NF__MEMORY];
    double shrink[NF__MEMORY]; /* |det M_k| */
} nf__curvature;

/* The unit matrix; false when memory is out. Release it in any case. */
bool nf__curvature_new(nf__curvature *c, size_t dim);
void nf__curvature_free(nf__curvature *c);
void nf__curvature_copy(nf__curvature *to, const nf__curvature *from);
/* Learn from a step, unless it has no positive curvature to a relative 1e-10. */
void nf__curvature_add(nf__curvature *c, const double *s, const double *y);
/* v := J v; H v. */
void nf__curvature_spread(const nf__curvature *c, double *v);
void nf__curvature_apply(const nf__curvature *c, double *v);
double nf__curvature_log_det(const nf__curvature *c); /* of J */

#endif
