/* Autoregressive flows, from the last feature to the first: a masked network (MADE) computes the parameters of feature
 * d's transformer from features d+1 … D, and from the context. So a chain that ends in a flip, as `(maf-flip)*K` does,
 * has p(x_1) p(x_2 | x_1) … in the data's own order next to the data.
 *
 * `inverse` is the transformer's direction. In one pass when the network sees what comes in; feature by feature when it
 * sees what comes out, at about the price of one pass (made.h). */
#ifndef WEIR_FLOWS_NETWORKS_AUTOREGRESSIVE_H
#define WEIR_FLOWS_NETWORKS_AUTOREGRESSIVE_H

#include "networks/transformer.h"
#include <weir/bijector.h>

ad_status nf__autoregressive_declare(nf_bijector *self, const nf_transformer *transformer, ad_error *error);
/* The network sees what comes in. */
ad_var nf__autoregressive_at_once(const nf_scope *at, const nf_transformer *transformer, ad_var v, bool inverse,
                                  ad_var *log_det);
/* It sees what comes out. */
ad_var nf__autoregressive_by_feature(const nf_scope *at, const nf_transformer *transformer, ad_var v, bool inverse,
                                     ad_var *log_det);

#endif
