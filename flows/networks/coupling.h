/* Coupling layers (Dinh et al. 2017, eq. 4 to 8): some features, the seen ones, stay as they are; a network computes
 * from them, and from the context, the parameters of a transformer of the others. Both directions are one pass.
 *
 * Which features are seen: the first half of them (mask=half, ⌊D/2⌋), every other one from the first (alternating), a
 * random half (random, by seed), or any list, mask=[1,3,5-8]; flipped=1 swaps seen and transformed. Of D = 1 the
 * feature is transformed, and the network sees the context alone; so where the list is all of them and flipped. */
#ifndef WEIR_FLOWS_NETWORKS_COUPLING_H
#define WEIR_FLOWS_NETWORKS_COUPLING_H

#include "networks/transformer.h"

#define NF_MASK_ARGUMENTS                                                                                              \
    {"mask", NF_FEATURES, 0, 0, 0, "half|alternating|random", "the features that stay, and that the network sees"},    \
        {"flipped", NF_COUNT, 0, 0, 1, NULL, "1: the other features stay, and are seen"},                              \
    {                                                                                                                  \
        "seed", NF_COUNT, 0, 0, 9007199254740992, NULL, "of a random mask"                                             \
    }

ad_status nf__coupling_declare(nf_bijector *self, const nf_transformer *transformer, ad_error *error);
ad_var nf__coupling_map(const nf_scope *at, const nf_transformer *transformer, ad_var v, bool inverse, ad_var *log_det);

#endif
