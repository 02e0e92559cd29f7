/* Does the flow hold the modes that searches found? */
#include "start/normal.h"
#include "vi/infer.h"

#include <math.h>

enum { DRAWS = 8000 };
static const uint64_t stream = (uint64_t)1 << 43;
static const double small = 1e-3, part = 0.25;

/* By draws of the start's mixture m: of the target's mass ∫ p and of the flow's ∫ q, what is around each mode, where
 * the normals of that mode make up a part of m. The same draws for both, so that what they miss they miss in both. */
static ad_status share_out(nf_inference *fit, const double *z, const double *log_p, const double *log_q,
                           const double *log_m, ad_error *error)
{
    const nf_start *start = &fit->start;
    const nf__normal_kind kind = {start->dim, start->dense};
    double *room = ad_alloc(start->dim + start->count, sizeof *room), *each = room ? room + start->dim : NULL;
    if (!room) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu modes", start->modes);
    double most = -INFINITY, all = 0;
    for (size_t r = 0; r < DRAWS; r++) most = fmax(most, log_p[r] - log_m[r]);
    for (size_t r = 0; r < DRAWS; r++) {
        double highest = -INFINITY, sum = 0;
        for (size_t k = 0; k < start->count; k++) {
            each[k] = nf__normal_log_prob(&start->normal[k], kind, z + r * start->dim, room);
            highest = fmax(highest, each[k]);
        }
        for (size_t k = 0; k < start->count; k++) sum += each[k] = exp(each[k] - highest);
        const double of_p = exp(log_p[r] - log_m[r] - most), of_q = exp(log_q[r] - log_m[r]) / DRAWS;
        all += of_p;
        for (size_t k = 0; k < start->count; k++) {
            nf_infer_mode *mode = &fit->mode[start->normal[k].mode];
            mode->target_share += of_p * each[k] / sum;
            mode->flow_share += of_q * each[k] / sum;
        }
    }
    for (size_t m = 0; m < start->modes; m++) fit->mode[m].target_share /= all;
    ad_free(room);
    return AD_OK;
}

ad_status nf__infer_modes(nf_inference *fit, const nf_target *target, uint64_t seed, ad_pool *pool, ad_error *error)
{
    const size_t dim = fit->start.dim;
    ad_free(fit->mode);
    fit->mode = ad_alloc(fit->start.modes, sizeof *fit->mode);
    double *z = ad_alloc(DRAWS, (dim + 3) * sizeof *z), *log_p = z + DRAWS * dim, *log_q = log_p + DRAWS;
    double *log_m = log_q + DRAWS;
    ad_status status =
        z && fit->mode ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %d draws", DRAWS);
    if (!status) status = nf_start_draw(&fit->start, DRAWS, seed + stream, z, error);
    if (!status) status = nf_start_log_prob(&fit->start, z, DRAWS, log_m, error);
    if (!status) status = nf_target_log_densities(target, z, DRAWS, log_p, pool, error);
    if (!status) status = nf_log_prob(fit->flow, z, NULL, DRAWS, log_q, pool, error);
    if (!status) status = share_out(fit, z, log_p, log_q, log_m, error);
    fit->held = 0;
    for (size_t m = 0; m < fit->start.modes && !status; m++) {
        nf_infer_mode *mode = &fit->mode[m];
        mode->held = mode->target_share < small || mode->flow_share > part * mode->target_share;
        fit->held += mode->held;
    }
    ad_free(z);
    return status;
}
