/* Importance weights, smoothed. nf_psis() may be called from several threads at once; error may be NULL. */
#ifndef WEIR_PSIS_H
#define WEIR_PSIS_H

#include <weir/error.h>

WEIR_BEGIN_DECLARATIONS

/* Pareto smoothed importance sampling (Vehtari et al. 2024): replaces the largest of n log weights by the expected
 * order statistics of a generalised Pareto distribution fitted to them, and gives its shape. khat < 0.7: what is
 * estimated with the weights can be trusted; otherwise it can't, and the proposal misses a part of the target. Infinity
 * when the tail is too short to be fitted, 0 when all weights are equal. -inf weighs nothing; NaN and +inf are
 * AD_ERROR_NUMERIC, and the weights are as they were. khat and error may be NULL. From any thread. */
ad_status nf_psis(double *log_weight, size_t n, double *khat, ad_error *error);

WEIR_END_DECLARATIONS

#endif
