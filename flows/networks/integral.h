/* What transformers that are integrals of a positive function share. */
#ifndef WEIR_FLOWS_NETWORKS_INTEGRAL_H
#define WEIR_FLOWS_NETWORKS_INTEGRAL_H

#include <weir/transformer.h>

/* The function, at places t (m, n), in -1 … 1, of features whose parameters are (p, n): (m, n). */
typedef ad_var nf__density(const nf_choice *self, ad_var t, ad_var parameters);

/* z = B ∫ g from 0 to x/B, by Clenshaw and Curtis's rule of `steps` steps, one more where that is odd, which is exact
 * for polynomials of that degree; beyond B, the argument `tail`, on with the slope g(±1) that it has there. *end is
 * g(x/B), or that slope, (n). */
ad_var nf__integral(const nf_choice *self, nf__density *g, size_t steps, ad_var x, ad_var parameters, ad_var *end);

#endif
