/* Targets and flows, known again. */
#include "checkpoint/hash.h"
#include "checkpoint/work.h"

#include <weir/memory.h>
#include <weir/random.h>

#include <inttypes.h>

/* Its log-densities at a few points tell its data, too. */
static uint64_t hash_of(const nf_target *target)
{
    enum { POINTS = 4 };
    const size_t dim = nf_target_dim(target);
    double log_p[POINTS] = {0}, *z = ad_alloc(POINTS, dim * sizeof *z);
    ad_error unwanted;
    uint64_t hash = 0;
    for (size_t i = 0; z && i < POINTS * dim; i++) z[i] = ad_random_normal(0, 0, i);
    if (z && nf_target_log_densities(target, z, POINTS, log_p, NULL, &unwanted) == AD_OK)
        hash = nf__hash(0, log_p, sizeof log_p);
    ad_free(z);
    return hash;
}

void nf__start_settings(const nf_start *start, nf__state *state)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < start->count; i++) {
        hash = nf__hash_numbers(hash, start->normal[i].location, start->dim);
        hash = nf__hash_numbers(hash, start->normal[i].factor, start->dense ? start->dim * start->dim : start->dim);
    }
    nf__state_setting(state, "start", "%016" PRIx64, hash);
}

void nf__flow_settings(const nf_flow *flow, nf__state *state)
{
    char *formula = nf_flow_formula(flow, false);
    if (!formula) nf__state_fail(state, AD_ERROR_MEMORY, "out of memory for a formula");
    nf__state_setting(state, "flow", "%s", formula ? formula : "");
    nf__state_setting(state, "dtype", "%s", ad_dtype_name(nf_flow_dtype(flow)));
    ad_free(formula);
}

void nf__target_settings(const nf_target *target, nf__state *state)
{
    nf__state_setting(state, "target", "%s", target->text ? target->text : target->name);
    nf__state_setting(state, "number of features", "%zu", nf_target_dim(target));
    nf__state_setting(state, "density of the target", "%016" PRIx64, hash_of(target));
}
