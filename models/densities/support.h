/* What log-densities share: supports, ranges, and sums. */
#ifndef WEIR_MODELS_DENSITIES_SUPPORT_H
#define WEIR_MODELS_DENSITIES_SUPPORT_H

#include <weir/densities.h>

#include <math.h>

/* Define nf_log_NAME(x, …) from nf_log_NAME_each(), of one to three parameters. */
#define NF_SUM_1(name)                                                                                                 \
    ad_var nf_log_##name(ad_var x, ad_var a)                                                                           \
    {                                                                                                                  \
        return ad_sum(nf_log_##name##_each(x, a));                                                                     \
    }
#define NF_SUM_2(name)                                                                                                 \
    ad_var nf_log_##name(ad_var x, ad_var a, ad_var b)                                                                 \
    {                                                                                                                  \
        return ad_sum(nf_log_##name##_each(x, a, b));                                                                  \
    }
#define NF_SUM_3(name)                                                                                                 \
    ad_var nf_log_##name(ad_var x, ad_var a, ad_var b, ad_var c)                                                       \
    {                                                                                                                  \
        return ad_sum(nf_log_##name##_each(x, a, b, c));                                                               \
    }

/* Conditions are 1 or 0. NaN fulfils none, so it is never outside of a support, and passes. */
static inline ad_var below(ad_var x, double c)
{
    return ad_greater(ad_scalar(x.tape, c), x);
}

static inline ad_var above(ad_var x, double c)
{
    return ad_greater(x, ad_scalar(x.tape, c));
}

static inline ad_var either(ad_var a, ad_var b)
{
    return ad_maximum(a, b);
}

/* x, but `inside` where it is outside: there nothing that isn't finite may be computed, not even for the gradient. */
static inline ad_var kept(ad_var outside, ad_var x, double inside)
{
    return ad_where(outside, ad_scalar(x.tape, inside), x);
}

static inline ad_var supported(ad_var outside, ad_var log_density)
{
    return ad_where(outside, ad_scalar(outside.tape, -INFINITY), log_density);
}

/* A parameter that must be positive: NaN where it isn't. */
static inline ad_var positive(ad_var parameter)
{
    return ad_where(above(parameter, 0), parameter, ad_scalar(parameter.tape, NAN));
}

/* a log x, 0 where both are 0. */
static inline ad_var times_log(ad_var a, ad_var x)
{
    ad_var zero = ad_scalar(x.tape, 0), corner = ad_mul(ad_equal(a, zero), ad_equal(x, zero));
    return ad_mul(a, ad_log(ad_where(corner, ad_scalar(x.tape, 1), x)));
}

/* a log(1 - x) */
static inline ad_var times_log_1_minus(ad_var a, ad_var x)
{
    ad_var zero = ad_scalar(x.tape, 0), one = ad_scalar(x.tape, 1);
    ad_var corner = ad_mul(ad_equal(a, zero), ad_equal(x, one));
    return ad_mul(a, ad_log1p(ad_neg(ad_where(corner, zero, x))));
}

#endif
