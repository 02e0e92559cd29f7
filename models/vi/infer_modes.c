/* Does the flow hold the modes that searches found? */
#include "start/normal.h"
#include <weir/environment.h>
#include <weir/infer.h>

#include <math.h>

enum { DRAWS = 4000 };
static const uint64_t stream = (uint64_t)1 << 43;
static const double small = 1e-3, part = 0.25;

/* By draws of the start's mixture m: of the target's mass ∫ p/m and of the flow's ∫ q/m, what is around each mode,
 * where the normals of that mode make up a part of m. The same draws for both: what few draws in many dimensions miss
 * they miss in both, so that shares are of what was seen. Where the flow has next to nothing of all that, beside log Z
 * by its own draws, it is elsewhere, and its shares are small. */
static ad_status share_out(const nf_start *start, nf_infer_mode *share, const double *z, const double *log_p,
                           const double *log_q, const double *log_m, double log_z, ad_error *error)
{
    const nf__normal_kind kind = {start->dim, start->dense};
    double *room = ad_alloc(start->dim + start->count, sizeof *room), *each = room ? room + start->dim : NULL;
    if (!room) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu modes", start->modes);
    double most = -INFINITY, all = 0, all_of_flow = 0;
    for (size_t r = 0; r < DRAWS; r++) most = fmax(most, log_p[r] - log_m[r]);
    for (size_t r = 0; r < DRAWS; r++) {
        double highest = -INFINITY, sum = 0;
        for (size_t k = 0; k < start->count; k++) {
            each[k] = nf__normal_log_prob(&start->normal[k], kind, z + r * start->dim, room);
            highest = fmax(highest, each[k]);
        }
        for (size_t k = 0; k < start->count; k++) sum += each[k] = exp(each[k] - highest);
        /* A flow whose inverse isn't found at a point has nothing there that it could be asked for. */
        const double of_p = isnan(log_p[r]) ? 0 : exp(log_p[r] - log_m[r] - most);
        const double of_q = isnan(log_q[r]) ? 0 : exp(log_q[r] - log_m[r]);
        all += of_p;
        all_of_flow += of_q;
        for (size_t k = 0; k < start->count; k++) {
            nf_infer_mode *mode = &share[start->normal[k].mode];
            mode->target_share += of_p * each[k] / sum;
            mode->flow_share += of_q * each[k] / sum;
        }
    }
    const double least = 0.05 * exp(log(all) + most - log_z), flow_seen = fmax(all_of_flow, isnan(least) ? 0 : least);
    for (size_t m = 0; m < start->modes; m++) {
        share[m].target_share /= all;
        share[m].flow_share = flow_seen > 0 ? share[m].flow_share / flow_seen : 0;
    }
    ad_free(room);
    return AD_OK;
}

ad_status nf_infer_modes(const nf_flow *flow, const nf_target *target, const nf_start *start, uint64_t seed,
                         nf_infer_mode *mode, size_t *held, ad_pool *pool, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !flow     ? "flow"
                          : !target ? "target"
                          : !start  ? "start"
                          : !mode   ? "mode"
                          : !held   ? "held"
                                    : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "modes: %s is NULL", missing);
    const size_t dim = start->dim;
    double *z = ad_alloc(DRAWS, (dim + 3) * sizeof *z), *log_p = z + DRAWS * dim, *log_q = log_p + DRAWS;
    double *log_m = log_q + DRAWS;
    ad_status status = z ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %d draws", DRAWS);
    for (size_t m = 0; m < start->modes; m++) mode[m] = (nf_infer_mode){0};
    *held = 0;
    if (!status) status = nf_start_draw(start, DRAWS, seed + stream, z, error);
    if (!status) status = nf_start_log_prob(start, z, DRAWS, log_m, error);
    if (!status) status = nf_target_log_densities(target, z, DRAWS, log_p, pool, error);
    if (!status) status = nf_log_prob(flow, z, NULL, DRAWS, log_q, pool, error);
    nf_vi_score score = {.log_z = NAN};
    if (!status) status = nf_vi_evaluate(flow, target, DRAWS, seed, &score, pool, error);
    if (!status) status = share_out(start, mode, z, log_p, log_q, log_m, score.log_z, error);
    for (size_t m = 0; m < start->modes && !status; m++) {
        mode[m].held = mode[m].target_share < small || mode[m].flow_share > part * mode[m].target_share;
        *held += mode[m].held;
    }
    ad_free(z);
    return status;
}
