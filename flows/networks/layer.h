/* A linear layer of a conditioner network, y = W x + b; the first one of a network sees the context c, if there is one,
 * through a weight of its own: y = W x + C c + b. Parameters weight0, bias0, weight1 … and context. */
#ifndef WEIR_FLOWS_NETWORKS_LAYER_H
#define WEIR_FLOWS_NETWORKS_LAYER_H

#include <weir/bijector.h>

/* Declare layer number `layer`, of `in` inputs (0: no weight) and `out` outputs. Initially uniform within gain/√inputs;
 * a gain of 1 is PyTorch's Linear. */
ad_status nf__layer_declare(nf_bijector *self, size_t layer, size_t in, size_t out, double gain, ad_error *error);

ad_var nf__layer_weight(const nf_scope *at, size_t layer); /* (out, in) */
/* b, and for layer 0 with a context b + C c, which is per-row: (out). */
ad_var nf__layer_bias(const nf_scope *at, size_t layer);

#endif
