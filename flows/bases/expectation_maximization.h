/* A Gaussian mixture that is set from data. */
#ifndef WEIR_FLOWS_BASES_EXPECTATION_MAXIMIZATION_H
#define WEIR_FLOWS_BASES_EXPECTATION_MAXIMIZATION_H

#include <weir/error.h>

/* Into log_weight (K), loc (K, dim) and factor (K, dim, dim), lower triangular: log w_k, μ_k, and L_k with
 * Σ_k = L_k L_kᵀ, of `components` normals, by EM from data x (rows, dim). Their prior counts for prior * dim rows. The
 * same seed gives the same. */
ad_status nf__fit_gaussian_mixture(const double *x, size_t rows, size_t dim, size_t components, double prior,
                                   uint64_t seed, double *log_weight, double *loc, double *factor, ad_error *error);

#endif
