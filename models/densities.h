/* Pieces that log-densities of targets are made of. They record on the tape, as the functions of <weir/tape.h> do: any
 * thread may call them, each tape from one thread at a time. */
#ifndef WEIR_DENSITIES_H
#define WEIR_DENSITIES_H

#include <weir/autodiff.h>

WEIR_BEGIN_DECLARATIONS

/* Element i of a vector v, counted from 0, as a number: shape (). */
ad_var nf_element(ad_var v, size_t i);
/* log(e^a + e^b) of each element, without overflow. */
ad_var nf_log_add_exp(ad_var a, ad_var b);
/* Σ log N(x; mean, sd²) in nats, the sum over all elements of what the three are when broadcast against each other:
 * shape (). */
ad_var nf_log_normal(ad_var x, ad_var mean, ad_var sd);

WEIR_END_DECLARATIONS

#endif
