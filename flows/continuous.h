/* Continuous flows (Chen et al. 2018): bijectors that are the solution of a differential equation. Recording is one
 * thread's at a time, as in <weir/bijector.h>. */
#ifndef WEIR_CONTINUOUS_H
#define WEIR_CONTINUOUS_H

#include <weir/bijector.h>

WEIR_BEGIN_DECLARATIONS

/* Zero means the default; new members go at the end. */
typedef struct {
    ad_ode_options solver;
    /* Not the divergence itself, but uᵀ (∂velocity/∂z) u with a u of ±1, drawn once for each row of a run
     * (Hutchinson's estimate; Grathwohl et al. 2019): one sweep instead of dim, unbiased, but log_det is then a
     * function of the run's seed and step, and of the row's number. */
    bool estimates;
} nf_integrate_options;

/* For forward and inverse of a type with a velocity: v taken from t = 0 to t = 1, or inverse, from 1 to 0, by ad_ode(),
 * and in *log_det the integral of the divergence on this way, which the solver's tolerance covers too. options (the
 * defaults) and log_det may be NULL. A type without a velocity is an error of the
 * tape. */
ad_var nf_integrate(const nf_scope *at, bool inverse, ad_var v, const nf_integrate_options *options, ad_var *log_det);

WEIR_END_DECLARATIONS

#endif
