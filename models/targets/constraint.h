/* Constraints of sites: maps from the real line to a site's values, and back. */
#ifndef WEIR_MODELS_TARGETS_CONSTRAINT_H
#define WEIR_MODELS_TARGETS_CONSTRAINT_H

#include <weir/target.h>

/* What is wrong with a site, or NULL. */
const char *nf__site_fault(const nf_site *site);
/* Features of the unconstrained event that make it up; 0 where something is wrong. */
size_t nf__site_dim(const nf_site *site);
/* Rows, and columns, of a matrix of so many elements. */
size_t nf__square_root(size_t size);
/* z (nf__site_dim()) to its value, and *log_det of shape (). */
ad_var nf__site_constrain(const nf_site *site, ad_var z, ad_var *log_det);
/* And back, of numbers; false where no z has this value. */
bool nf__site_unconstrain(const nf_site *site, const double *x, double *z);

#endif
