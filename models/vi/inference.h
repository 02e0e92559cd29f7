/* What the files of variational inference share. */
#ifndef WEIR_MODELS_VI_INFERENCE_H
#define WEIR_MODELS_VI_INFERENCE_H

#include <weir/vi.h>

/* That flow and target fit each other. */
ad_status nf__vi_check_sizes(const nf_flow *flow, const nf_target *target, ad_error *error);
/* The same, that the target's log-densities at draws of the flow are numbers, and that its
 * gradient is that of its value. */
ad_status nf__vi_check(nf_flow *flow, const nf_target *target, uint64_t seed, ad_error *error);

/* When to stop: `interrupted` is NULL where nothing does. */
typedef struct {
    bool (*interrupted)(void *context);
    void *context;
} nf__vi_stop;

/* nf_vi_evaluate(), which asks now and then whether to stop; then it is AD_OK, and a score of 0 draws. */
ad_status nf__vi_evaluate(const nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, nf_vi_score *score,
                          nf__vi_stop stop, ad_pool *pool, ad_error *error);

#endif
