/* Checking gradients against finite differences. It records on y's tape, which is one thread's at a time; several
 * threads may check on tapes of their own at once. */
#ifndef WEIR_GRADCHECK_H
#define WEIR_GRADCHECK_H

#include <weir/tape.h>

WEIR_BEGIN_DECLARATIONS

/* Zero means the default; new members go at the end. */
typedef struct {
    size_t rows;      /* default 3 */
    uint64_t seed;    /* of directions and noise */
    double step;      /* largest of the finite difference, relative to max(1, |x|); default 1e-3 */
    double tolerance; /* default 1e-8 */
} ad_gradcheck_options;

typedef struct {
    double worst; /* largest error found: |finite difference − g·u| / Σ|g_j u_j| (or over 1 where that is smaller) */
    int wrt;      /* for which argument; -1 before any was checked */
    size_t element;  /* at which element: the one with the largest disagreement of its own */
    double expected; /* by finite difference, of that element */
    double got;      /* by the tape */
} ad_gradcheck_report;

/* Compare the tape's gradient of Σ_rows Σ_i c_i y_i (c random) with respect to each wrt with the 4-point central
 * difference [f(x−2h) − 8f(x−h) + 8f(x+h) − f(x+2h)] / 12h along random directions u, in float64; h shrinks up to
 * 10⁴-fold until no kink (of a relu, say) is between. inputs/values: every input and parameter of the tape that y
 * depends on, with its point: double[rows][size] or double[size]. wrt must be among inputs. AD_ERROR_NUMERIC when worst
 * > tolerance, with the place in *error. options and report may be NULL. */
ad_status ad_gradcheck(ad_var y, const ad_var *wrt, int n_wrt, const ad_var *inputs, const double *const *values,
                       int n_inputs, const ad_gradcheck_options *options, ad_gradcheck_report *report, ad_error *error);

WEIR_END_DECLARATIONS

#endif
