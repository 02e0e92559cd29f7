/* The smooth quantile function of one column of data, with tails. */
#ifndef WEIR_FLOWS_BIJECTORS_MARGINAL_FIT_H
#define WEIR_FLOWS_BIJECTORS_MARGINAL_FIT_H

#include <weir/error.h>

/* Of a column, in units of its own: u = (x - centre) / scale. */
typedef struct {
    double centre, scale;
    double *knot;   /* (bins+1): u at z = -reach … reach, in equal steps, increasing */
    double *slope;  /* (bins+1): du/dz there, positive */
    double tail[2]; /* ξ below and above */
} nf__marginal;

/* How far the spline reaches: the normal quantile of √rows of the rows on each side. */
double nf__marginal_reach(size_t rows);
/* Fill *to, whose arrays have room, from the values of a column, which are sorted here; all finite. */
ad_status nf__fit_marginal(double *value, size_t rows, size_t bins, double reach, nf__marginal *to, ad_error *error);

#endif
