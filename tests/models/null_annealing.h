/* For tests with NULL: the public functions of annealed importance sampling, and of targets of steps that draw. */
#ifndef WEIR_TESTS_NULL_ANNEALING_H
#define WEIR_TESTS_NULL_ANNEALING_H

#include "null_cases.h"

#include <weir/models.h>

static inline void call_annealing(nf_flow *flow, const nf_target *target)
{
    enum { FEW = 2 };
    const nf_ais_options o = {.draws = FEW, .distributions = 1};
    double *x = calloc(FEW * nf_flow_dim(flow), sizeof *x), log_weight[FEW];
    nf_ais_result result;
    CASE(nf_ais)
    status(nf_ais(NEEDED(flow, flow), NEEDED(target, target),
                  strcmp(null_call.parameter, "options") == 0 ? OPTIONAL(options, &o) : &o,
                  strcmp(null_call.parameter, "options") == 0 ? NULL : OPTIONAL(x, x),
                  strcmp(null_call.parameter, "options") == 0 ? NULL : OPTIONAL(log_weight, log_weight),
                  OPTIONAL(result, &result), ERROR));
    CASE(nf_flow_set_target)
    {
        QUIET(nf_flow_set_target(HARMLESS(flow, flow), HARMLESS(target, target)));
        nf_flow_set_target(flow, NULL);
    }
    free(x);
}

#endif
