/* What the files of built-in targets share. */
#ifndef WEIR_MODELS_TARGETS_TARGET_TYPES_H
#define WEIR_MODELS_TARGETS_TARGET_TYPES_H

#include <weir/target.h>

extern const nf_target_type nf__target_pot1, nf__target_pot2, nf__target_pot3, nf__target_pot4, nf__target_u2,
    nf__target_u3, nf__target_u4, nf__target_banana, nf__target_funnel, nf__target_mixture, nf__target_gaussian,
    nf__target_eight_schools, nf__target_eight_schools_centered;

/* Of the arguments; each is {0}-ended by the table it is in. */
#define TARGET_DIM(initial, least)                                                                                     \
    {                                                                                                                  \
        .name = "dim", .kind = NF_COUNT, .value = (initial), .low = (least), .high = 65536, .help = "features"         \
    }

/* Element i of v, shape (). */
ad_var nf_element(ad_var v, size_t i);
/* log(e^a + e^b) */
ad_var nf_log_add_exp(ad_var a, ad_var b);
/* Σ log N(x; mean, sd²), broadcast against each other. */
ad_var nf_log_normal(ad_var x, ad_var mean, ad_var sd);

#endif
