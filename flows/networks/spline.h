/* What transformers that are splines share: an interval that is cut into bins, and a map of it onto itself. */
#ifndef WEIR_FLOWS_NETWORKS_SPLINE_H
#define WEIR_FLOWS_NETWORKS_SPLINE_H

#include <weir/transformer.h>

/* A spline's own, the data of a transformer whose forward, inverse and parameters are those below: the map of [0, 1]
 * onto itself, forward or inverse, of places (n), with the log-derivative of that direction; and how many parameters
 * each feature needs, so many for each bin and these others. */
typedef struct nf__spline {
    ad_var (*map)(const nf_choice *self, ad_var place, ad_var parameters, bool inverse, ad_var *log_derivative);
    size_t per_bin;
    int others;
} nf__spline;

/* Between the ends of an interval, (-tail, tail) by the argument `tail`, or (low, high) by these, the spline, with the
 * interval as [0, 1]; outside the identity. */
size_t nf__spline_parameters(const nf_choice *self);
ad_var nf__spline_forward(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative);
ad_var nf__spline_inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative);
size_t nf__spline_bins(const nf_choice *self);

/* One or more axes, each of K bins that cover [0, 1], of extents m + (1 - mK) softmax(u). */
typedef struct {
    size_t bins;
    double least; /* m */
    ad_var part; /* (axes, K, n): e^u */
    ad_var unit; /* (axes, n): (1 - mK) / Σ part */
} nf__axes;

nf__axes nf__axes_of(ad_var u, size_t axes, size_t bins); /* u: (axes K, n); m = 1e-3 */
nf__axes nf__axes_within(ad_var u, size_t axes, size_t bins, double least);
/* All extents along one axis, (K, n). */
ad_var nf__axes_extents(const nf__axes *a, size_t axis);
/* The number of the bin, (n), where a place on an axis is; of that bin, where it begins and how long it is, on each
 * axis: (axes, n). */
ad_var nf__axes_bin(const nf__axes *a, size_t axis, ad_var at);
ad_var nf__axes_corner(const nf__axes *a, ad_var number);
ad_var nf__axes_extent(const nf__axes *a, ad_var number);

/* Of one axis, without the first extent. */
ad_var nf__of_axis(ad_var both, size_t axis);
/* (count, 1): first, first + 1, … */
ad_var nf__counted(ad_tape *tape, size_t first, size_t count);
/* Σ_k weight_k q_k: weight (K, n), q (…, K, n). With a weight of 1 for one bin and 0 for the others that one's q is
 * picked, exactly. */
ad_var nf__pick(ad_var weight, ad_var q);
/* How many knots (K-1, n), ascending, are at or before a place (n). */
ad_var nf__knots_before(ad_var knots, ad_var at);
/* A positive number of any u: m + softplus(u + u_1), 1 at u = 0. */
ad_var nf__spline_positive(ad_var u);

#endif
