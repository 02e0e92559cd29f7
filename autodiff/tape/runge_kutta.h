/* Embedded Runge-Kutta methods: their coefficients, and the recording of a step. */
#ifndef WEIR_AUTODIFF_TAPE_RUNGE_KUTTA_H
#define WEIR_AUTODIFF_TAPE_RUNGE_KUTTA_H

#include <weir/tape.h>

enum { AD__MOST_STAGES = 12 };

/* With k_i = f(s + c_i h, z + h Σ_j<i a_ij k_j), the step goes to z + h Σ b_i k_i, where the rate is k_(stages+1); h Σ
 * e_i k_i is an estimate of its error, and there may be a second one. */
typedef struct {
    int stages;
    double c[AD__MOST_STAGES], a[AD__MOST_STAGES][AD__MOST_STAGES - 1], b[AD__MOST_STAGES];
    int n_error;
    double error[2][AD__MOST_STAGES + 1];
    /* How the next h follows from the error of this step and of the one before, relative to what is allowed (Hairer,
     * Nørsett & Wanner 1993, section II.4): h · 0.9 error^-now before^earlier, between these factors. */
    double now, earlier, least, most;
    double order; /* of the error estimate, and one more */
} ad__runge_kutta;

/* Dormand & Prince 1980, order 5(4); and Hairer, Nørsett & Wanner 1993, DOP853, order 8(5,3), which needs fewer
 * evaluations where the tolerance is below about 1e-7. */
extern const ad__runge_kutta ad__dormand_prince_5, ad__dormand_prince_8;

/* A function f(s, z, …) that was recorded: its value, and its inputs, s and z first. */
typedef struct {
    ad_var value;
    const ad_var *input;
    int n_input;
} ad__ode_function;

/* f at s and z, on their tape; given[] is f's inputs there, of which the first two are set here. */
ad_var ad__ode_rate(const ad__ode_function *f, ad_var s, ad_var z, ad_var *given);

/* Where a step of h leads from (s, z). rate[0] is the rate there, or is recorded where it is invalid; the other stages'
 * follow. */
ad_var ad__ode_step(const ad__runge_kutta *method, const ad__ode_function *f, ad_var s, ad_var h, ad_var z,
                    ad_var *given, ad_var rate[AD__MOST_STAGES + 1]);

/* h Σ coefficient_i rate_i, of those that aren't 0. */
ad_var ad__ode_combine(const double *coefficient, int count, const ad_var *rate, ad_var h);

#endif
