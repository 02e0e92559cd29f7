/* For inverses that exist on an interval only. Outside it a density is 0: log-det -inf, the value somewhere inside. */
#ifndef WEIR_FLOWS_BIJECTORS_SUPPORT_H
#define WEIR_FLOWS_BIJECTORS_SUPPORT_H

#include <weir/tape.h>

/* x, with features that are not in the open interval moved to `inside`, so that nothing computed from it is undefined;
 * *outside is 1 for those, else 0. A NaN isn't outside, and stays a NaN. `high` may be INFINITY. */
ad_var nf_into_support(ad_var x, double low, double high, double inside, ad_var *outside);
/* The sum over features of log|dz_i/dx_i|, and -inf where one is outside. */
ad_var nf_log_det_on_support(ad_var log_slope, ad_var outside);

#endif
