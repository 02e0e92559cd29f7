/* Warm-up of Hamiltonian Monte Carlo: its step size, and when the mass matrix is learnt. */
#ifndef WEIR_MODELS_NUTS_WARMUP_H
#define WEIR_MODELS_NUTS_WARMUP_H

#include <stdbool.h>
#include <stddef.h>

/* Dual averaging of the log of the step size (Hoffman & Gelman 2014, section 3.2): γ 0.05, t₀ 10, κ 0.75. */
typedef struct {
    double target; /* of the mean acceptance */
    double mu, error_sum, log_mean;
    double count;
} nf__step_size;

/* Begin anew, near 10 times this step size. */
void nf__step_size_restart(nf__step_size *state, double step_size);
/* The next one to try, after a draw with this acceptance. */
double nf__step_size_learn(nf__step_size *state, double acceptance);
/* The one to keep. */
double nf__step_size_mean(const nf__step_size *state);

/* Stan's windows (reference manual, "Automatic parameter tuning"): 75 draws at the start and 50 at the end for the step
 * size alone; between them the mass matrix is learnt from windows of 25, 50, 100 … draws, the last one as long as it
 * takes. A warm-up of less than 150 gives 15, 75 and 10 percent to the three; less than 20, all to the step size. */
typedef struct {
    size_t draws, begin, end; /* the mass matrix learns from draws begin … end-1 */
    size_t window, close;     /* size of this window, and the draw that is its last */
} nf__windows;

nf__windows nf__windows_of(size_t warmup);
bool nf__windows_learn(const nf__windows *windows, size_t draw);
/* True when this draw is the last of its window; the next one then begins. */
bool nf__windows_close(nf__windows *windows, size_t draw);

#endif
