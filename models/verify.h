/* Checking bijectors and base distributions: one suite for each kind, which ours and anyone's must pass. Several
 * threads may check at once, each what is its own: a check moves the parameters. Of several ranks, one is enough: a
 * check has no pool, and talks to nobody. error may be NULL. */
#ifndef WEIR_VERIFY_H
#define WEIR_VERIFY_H

#include <weir/bijector.h>

WEIR_BEGIN_DECLARATIONS

/* One line of a check: the largest error of a property, and the bound it must keep. */
typedef struct {
    const char *property; /* "round trip z -> x -> z", "log-det against the Jacobian" … */
    double worst, bound;
    char at[256]; /* where: the event, the parameter */
} nf_check_result;

enum { NF_MOST_CHECKS = 24 };

/* Check a bijector in float64, at random parameters (its own, moved a little; they stay so) and random events:
 *   an event is mapped by itself, without noise: the same bits with other seeds and without the other rows;
 *   round trips both ways, at moderate events, near the edges and a million away; log-dets that cancel;
 *   log-dets against the LU determinant of the Jacobian, from the tape and by finite differences, at events up to a
 *   hundred away, and from the tape at other parameters;
 *   gradients of value and log-det with respect to event, parameters and context against finite differences, and of
 *   both sides of kinks; zeros of the Jacobian that are exactly zero;
 *   no NaN at events of 0 and ±1e-30 … ±1e6 and at extreme parameters, where the Jacobian's determinant has the same
 *   sign for all of them (a constraint that is wrong or missing shows there, and so does one that rounding breaks:
 *   tanh(a) of a large a is not below 1), unless a type says that it is `singular` for some: then for each of them;
 *   where an equation is stiff and has no solution here all of its row is NaN; and what the tolerance of solving
 *   (arguments rtol and atol) makes of a determinant has no sign;
 *   chains 100 deep (D <= 3, types known to formulas);
 *   a density that integrates to 1, and samples that follow it (D <= 2); float32 against float64, both ways.
 * Fills result[0 … *count-1], at most NF_MOST_CHECKS; AD_ERROR_NUMERIC when one exceeds its bound, with the first such
 * in *error. */
ad_status nf_check_bijector(nf_bijector *bijector, uint64_t seed, nf_check_result *result, int *count, ad_error *error);

/* Check a base distribution likewise, at random parameters:
 *   draws have a density, in float64 and float32;
 *   NaN where a feature is NaN and nowhere else, no density of infinity: from 0 to 1e150 and at infinity;
 *   gradients of log p with respect to event and parameters, at draws, against finite differences;
 *   a density that integrates to 1, and draws that follow it (D <= 2). */
ad_status nf_check_distribution(nf_bijector *base, uint64_t seed, nf_check_result *result, int *count, ad_error *error);

WEIR_END_DECLARATIONS

#endif
