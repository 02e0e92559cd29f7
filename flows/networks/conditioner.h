/* Conditioner networks of coupling layers: from the features that they see, and the context, to the parameters of a
 * transformer. With activation a and layers L_i:
 *
 *   mlp        h_1 = a(L_0 x),  h_(i+1) = a(L_i h_i),                          output L_n h_n
 *   residual   h_1 = L_0 x,     h_(i+1) = h_i + L_(2i) a(L_(2i-1) a(h_i)),     output L_(2n+1) h_(n+1)
 *
 * The second has n blocks, all of one width (He et al. 2016, "Identity mappings in deep residual networks"; ResidualNet
 * in nflows). Which of them, its hidden sizes and its activation are arguments of the bijector. */
#ifndef WEIR_FLOWS_NETWORKS_CONDITIONER_H
#define WEIR_FLOWS_NETWORKS_CONDITIONER_H

#include <weir/bijector.h>

#define NF_NETWORK_ARGUMENT                                                                                            \
    {                                                                                                                  \
        "network", NF_CHOICE, 0, 0, 0, "mlp|residual", "residual: a block for each hidden size, all of one width"      \
    }

/* Declare the network's layers. The last one of the network starts at a tenth of the others' size and the last one of a
 * block within 1e-3, so that outputs start near 0 and blocks near the identity. */
ad_status nf__conditioner_declare(nf_bijector *self, size_t inputs, size_t outputs, ad_error *error);

/* The outputs; of x (inputs), which is not read when there are none. */
ad_var nf__conditioner_outputs(const nf_scope *at, size_t inputs, ad_var x);

#endif
