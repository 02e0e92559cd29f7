/* What an author leaves out. */
#ifndef WEIR_FLOWS_CORE_DERIVE_H
#define WEIR_FLOWS_CORE_DERIVE_H

#include "core/internal.h"

/* log|det d out / d in|, both of shape (dim). */
ad_var nf__derive_log_det(ad_var out, ad_var in);

/* forward or inverse of a bijector. */
typedef ad_var nf__map(const nf_scope *at, ad_var in, ad_var *log_det);
/* It recorded; what it gives is a value of in's tape, or none, which the tape knows. */
ad_var nf__call_map(const nf_scope *at, nf__map *map, ad_var in, ad_var *log_det);
/* The u with map(u) = v, solved numerically, and the log-det of that direction. */
ad_var nf__derive_inverse(const nf_scope *at, nf__map *map, ad_var v, ad_var *log_det);

#endif
