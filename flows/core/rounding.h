/* Inverses of points that rounding has moved. */
#ifndef WEIR_FLOWS_CORE_ROUNDING_H
#define WEIR_FLOWS_CORE_ROUNDING_H

#include "core/internal.h"

/* A point on its way from the last step of a chain to the first. */
typedef struct {
    ad_var at;
    ad_var beside[2]; /* where points that differ from the first one by rounding have come to, while `ranges` > 0 */
    size_t ranges;    /* steps yet to come that have a range, and see what others have rounded */
    bool rounded;     /* it is no more the first one, nor that one in another order */
} nf__rounded;

nf__rounded nf__rounded_begin(const nf_bijector *chain, ad_var x);
/* Of an on(): the point in the features that it maps; and the whole, when they have been mapped. */
nf__rounded nf__rounded_take(const nf_bijector *on, const nf__rounded *point);
void nf__rounded_replace(const nf_bijector *on, nf__rounded *point, const nf__rounded *part);
/* The inverse of one step, which is neither a chain nor an on(). */
void nf__rounded_inverse(const nf_scope *step, nf__rounded *point, ad_var *log_det);

#endif
