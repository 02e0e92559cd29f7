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
    double worst;    /* largest error found, see below; infinity where the tape's gradient is zero and shouldn't be */
    int wrt;         /* for which argument; -1 before any was checked */
    size_t element;  /* at which element, where it is above the tolerance */
    double expected; /* by finite differences, of that element */
    double got;      /* by the tape */
} ad_gradcheck_report;

/* Compare the tape's gradient g of f = Σ_rows Σ_i c_i y_i (c random, 0.5 to 1.5) with respect to each wrt with central
 * differences along three random directions u, in float64:
 *
 *     D(h) = [f(x − 2hu) − 8 f(x − hu) + 8 f(x + hu) − f(x + 2hu)] / 12 h,
 *     doubt(h) = |D(h) − D(h/4)| + 5 ε / h,
 *     error = max(0, |D(h) − g·u| − doubt(h)) / Σ|g_j u_j|,
 *
 * with the h of step, step/4 … step/4⁷ that has the least doubt. Its first term is large where a step is too long for
 * the four points or reaches past a kink (of a relu, say), the second is the rounding of f: ε is its standard
 * deviation, from the sixth differences of f at points 1e-5 steps apart (Moré & Wild 2011, "Estimating computational
 * noise"), and at least 2^-52 Σ|c_i y_i|. So a right gradient is right whatever the size of y and of g, and a wrong one
 * is wrong if it is off by more than the rounding of f lets differences see. Where |D(h) − g·u| is within the tolerance
 * of Σ|g_j u_j| for an h, that is all; its quotient is then the error.
 *
 * A direction that fails is halved until an element is left: some 2 log₂ n comparisons of n elements.
 *
 * inputs/values: every input and parameter of the tape that y depends on, with its point: double[rows][size] or
 * double[size]. wrt must be among inputs. AD_ERROR_NUMERIC when worst > tolerance, with the place in *error. options,
 * report and error may be NULL. */
ad_status ad_gradcheck(ad_var y, const ad_var *wrt, int n_wrt, const ad_var *inputs, const double *const *values,
                       int n_inputs, const ad_gradcheck_options *options, ad_gradcheck_report *report, ad_error *error);

WEIR_END_DECLARATIONS

#endif
