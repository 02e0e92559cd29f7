/* Annealed importance sampling (Neal 2001, "Annealed importance sampling"): draws of a flow, moved towards a target by
 * transitions that each keep a density between the two. Far better than the flow's own draws where it misses parts of
 * the target, at the cost of gradients of both. */
#ifndef WEIR_AIS_H
#define WEIR_AIS_H

#include <weir/target.h>

WEIR_BEGIN_DECLARATIONS

/* A zero means the default; new members will be added at the end. */
typedef struct {
    size_t draws;           /* 10000 */
    size_t distributions;   /* 10: densities between flow and target */
    const char *transition; /* a formula of steps that draw (<weir/stochastic.h>); NULL: "hmc" */
    uint64_t seed;
    ad_pool *pool; /* NULL: this thread */
} nf_ais_options;

/* Log-densities are in nats. */
typedef struct {
    size_t draws;
    double log_z, log_z_stderr; /* log of the target's integral, and its standard error (delta method) */
    double ess;                 /* (Σ w)² / Σ w²: of so many draws of the target the weights are worth */
    double moved; /* part of the draws that a transition moved, in the mean over them all: of one hmc or metropolis
                   * step, its acceptance. About 0.65 is best for hmc, 0.25 for metropolis; a smaller step has more */
} nf_ais_result;

/* With q the flow, p the target, and π_m = q^(1-β) p^β for β = m / (M + 1), m = 1 … M:
 *
 *     x_0 ~ q;   x_m from x_(m-1) by a transition that keeps π_m;   log w = log p(x_M) - log q(x_0) + Σ_m ΔS_m,
 *
 * where ΔS_m = log π_m(x_(m-1)) - log π_m(x_m), or what an unadjusted step has in its place. E[w] = Z, and draws x_M
 * with weights w are the target's. The last draws go to x (draws, dim), unconstrained, and log w to log_weight (draws),
 * unless they are NULL. A result is a function of the seed, the same bits for any pool. options (all defaults), result
 * and error may be NULL. From any thread, as nf_log_prob(); ranks divide the draws. AD_ERROR_ARGUMENT: the dimensions
 * differ, the flow has a context or is stochastic itself, the transition isn't one; AD_ERROR_NUMERIC: a weight is NaN
 * or +inf, or none is above 0. */
ad_status nf_ais(const nf_flow *flow, const nf_target *target, const nf_ais_options *options, double *x,
                 double *log_weight, nf_ais_result *result, ad_error *error);

WEIR_END_DECLARATIONS

#endif
