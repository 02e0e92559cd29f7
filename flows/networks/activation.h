/* Activations of conditioner networks, as a choice argument. */
#ifndef WEIR_FLOWS_NETWORKS_ACTIVATION_H
#define WEIR_FLOWS_NETWORKS_ACTIVATION_H

#include <weir/bijector.h>

#define NF_ACTIVATIONS "tanh|relu|elu|silu|gelu|sin"
#define NF_ACTIVATION_ARGUMENT                                                                                         \
    {                                                                                                                  \
        "activation", NF_CHOICE, 0, 0, 0, NF_ACTIVATIONS, "of the hidden units"                                        \
    }

/* which: the index in NF_ACTIVATIONS. */
ad_var nf__activation(ad_var x, size_t which);

#endif
