/* A target's log-density and its gradient at some points at once. */
#include "start/density.h"
#include "targets/event.h"

ad_status nf__density_new(nf__density *d, const nf_target *target, size_t room, ad_error *error)
{
    const size_t dim = nf_target_dim(target);
    *d = (nf__density){.dim = dim, .room = room};
    ad_tape *tape = ad_tape_new();
    ad_var z = nf__target_event(target, tape), out[2];
    out[0] = ad_to_rows(nf_target_log_density(target, z));
    out[1] = ad_to_rows(ad_grad1(out[0], z));
    d->plan = ad_plan_new(out, 2, &(ad_plan_options){.dtype = AD_F64}, error);
    ad_status status = d->plan ? AD_OK : error->status;
    d->z = ad_alloc_aligned(ad_shape_size(AD_SHAPE(room, dim)), sizeof *d->z);
    d->log_density = ad_alloc_aligned(room, sizeof *d->log_density);
    d->gradient = ad_alloc_aligned(ad_shape_size(AD_SHAPE(room, dim)), sizeof *d->gradient);
    if (!status && (!d->z || !d->log_density || !d->gradient))
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu points of %zu features", room, dim);
    if (!status) {
        ad_plan_set_input(d->plan, z, d->z);
        ad_plan_set_output(d->plan, 0, d->log_density);
        ad_plan_set_output(d->plan, 1, d->gradient);
    }
    ad_tape_free(tape);
    return status;
}

void nf__density_free(nf__density *d)
{
    ad_plan_free(d->plan);
    ad_free_aligned(d->z);
    ad_free_aligned(d->log_density);
    ad_free_aligned(d->gradient);
}

ad_status nf__density_run(nf__density *d, size_t rows, ad_error *error)
{
    d->computed += rows;
    return ad_plan_run(d->plan, &(ad_run){.rows = rows}, error);
}
