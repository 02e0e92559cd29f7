/* Inverses on an interval. */
#include "bijectors/support.h"

#include <weir/tape.h>

#include <math.h>

ad_var nf_into_support(ad_var x, double low, double high, double inside, ad_var *outside)
{
    *outside = ad_greater_equal(ad_scalar(x.tape, low), x);
    if (isfinite(high)) *outside = ad_maximum(*outside, ad_greater_equal(x, ad_scalar(x.tape, high)));
    return ad_where(*outside, ad_scalar(x.tape, inside), x);
}

ad_var nf_log_det_on_support(ad_var log_slope, ad_var outside)
{
    return ad_sum(ad_where(outside, ad_scalar(outside.tape, -INFINITY), log_slope));
}
