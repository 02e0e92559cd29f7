/* What transformers that are mixtures of sigmoids share. */
#ifndef WEIR_FLOWS_NETWORKS_SIGMOIDS_H
#define WEIR_FLOWS_NETWORKS_SIGMOIDS_H

#include <weir/tape.h>

/* logit(p) of p = Σ_k w_k sigmoid(v_k): log w_k, v_k and log dv_k/dx are (K, n), and what is added to *log_derivative
 * (n), log dy/dx, is
 *
 *     log Σ_k w_k sigmoid(v_k) sigmoid(-v_k) dv_k/dx  -  log p  -  log(1-p).
 *
 * Logarithms of p and of 1-p are sums of positive numbers each, so no tail is lost to rounding: where all v_k are
 * large, the map is a line. */
ad_var nf__sigmoids_logit(ad_var log_weight, ad_var v, ad_var log_slope, ad_var *log_derivative);

#endif
