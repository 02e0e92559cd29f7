/* What the files of variational inference share. */
#ifndef WEIR_MODELS_VI_INFERENCE_H
#define WEIR_MODELS_VI_INFERENCE_H

#include "checkpoint/state.h"

#include <weir/vi.h>

/* That flow and target fit each other. */
ad_status nf__vi_check_sizes(const nf_flow *flow, const nf_target *target, ad_error *error);
/* The same, that the target's log-densities at draws of the flow are numbers, and that its
 * gradient is that of its value. */
ad_status nf__vi_check(nf_flow *flow, const nf_target *target, uint64_t seed, ad_error *error);

/* These points, as "history". */
void nf__point_list(nf_vi_point *point, size_t points, nf__state *state);

/* When to stop: `interrupted` is NULL where nothing does. */
typedef struct {
    bool (*interrupted)(void *context);
    void *context;
} nf__vi_stop;

/* On this rank. */
static inline bool nf__vi_stops(nf__vi_stop stop)
{
    return stop.interrupted && stop.interrupted(stop.context);
}

/* Draws for the scores of whoever waits for an end, and may kill what doesn't come to it: they take no longer than a
 * step, which has `mc` draws and had to be waited for as well. Fewer than two have no standard error. */
static inline size_t nf__vi_few(size_t draws, size_t mc)
{
    const size_t few = mc > 2 ? mc : 2;
    return draws < few ? draws : few;
}

/* nf_vi_evaluate() and nf_vi_summarize(), which ask now and then whether to stop. Then they are AD_OK, with a score of
 * 0 draws and with *stopped. */
ad_status nf__vi_evaluate(const nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, nf_vi_score *score,
                          nf__vi_stop stop, ad_pool *pool, ad_error *error);
ad_status nf__vi_summarize(const nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed,
                           nf_vi_moments *moments, double *khat, nf__vi_stop stop, bool *stopped, ad_pool *pool,
                           ad_error *error);

#endif
