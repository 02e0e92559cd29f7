/* What a run needs beside the plan: tiles for every thread, and lanes for its sums. */
#include "plan/worker.h"
#include "plan/lanes.h"

#include <weir/memory.h>

size_t ad__plan_tile_of(const ad_plan *plan, size_t rows)
{
    return plan->halves && rows <= plan->tile_rows ? plan->tile_rows / 2 : plan->tile_rows;
}

void ad__worker_free(const ad_plan *plan, ad__worker *worker)
{
    for (const ad__instruction *owner = plan->owner; owner && worker->state; owner = owner->next_owner)
        if (worker->state[owner->state]) owner->op->close(worker->state[owner->state]);
    ad_free(worker->state);
    ad_free(worker->finite);
    ad_free(worker->step);
    ad_free(worker->pointer);
    ad_free_aligned(worker->mask);
    for (int i = 0; i < 2; i++) {
        ad_free(worker->binding[i].pointer);
        ad_free(worker->binding[i].run);
        ad_free(worker->binding[i].tensor);
    }
    ad_free_aligned(worker->scratch);
    ad_free_aligned(worker->tile);
}

static ad_status start_worker(const ad_plan *plan, ad__worker *worker, ad_error *error)
{
    *worker = (ad__worker){.tile = ad_alloc_aligned(plan->features * plan->tile_rows, ad_dtype_size(plan->dtype)),
                           .scratch = ad_alloc_aligned(plan->scratch, 1),
                           .mask = ad_alloc_aligned(plan->tile_rows, ad_dtype_size(plan->dtype)),
                           .pointer = ad_alloc(plan->most_pointers, sizeof *worker->pointer),
                           .step = ad_alloc(plan->most_pointers, sizeof *worker->step),
                           .finite = ad_alloc(plan->tile_rows, sizeof *worker->finite),
                           .state = ad_alloc(plan->n_state + 1, sizeof *worker->state)};
    bool good = worker->tile && worker->scratch && worker->mask && worker->pointer && worker->step && worker->finite &&
                worker->state;
    for (int i = 0; i < 2 && good; i++) {
        ad__binding *binding = &worker->binding[i];
        binding->tensor = ad_alloc(plan->n_tensor, sizeof *binding->tensor);
        binding->run = ad_alloc(plan->n_run, sizeof *binding->run);
        binding->pointer = ad_alloc(plan->n_pointer, sizeof *binding->pointer);
        good = binding->tensor && binding->run && binding->pointer;
    }
    ad_status status = AD_OK;
    if (!good) status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for tiles of %zu rows", plan->tile_rows);
    for (const ad__instruction *owner = plan->owner; owner && status == AD_OK; owner = owner->next_owner) {
        if (!owner->op->open) continue;
        ad_error own = {AD_ERROR_MEMORY, "out of memory"};
        worker->state[owner->state] = owner->op->open(owner->object, plan->dtype, plan->tile_rows, &own);
        if (!worker->state[owner->state])
            status = ad_error_set(error, own.status, "op '%s' (%%%d%s%s): %s", owner->op->name, owner->node,
                                  *owner->scope ? ", in " : "", owner->scope, own.message);
    }
    if (status != AD_OK) ad__worker_free(plan, worker);
    return status;
}

ad_status ad__plan_reserve(ad_plan *plan, size_t rows, int threads, const ad_communicator *communicator,
                           ad_error *error)
{
    if (threads > plan->n_worker) {
        ad__worker *worker = ad_realloc(plan->worker, (size_t)threads, sizeof *worker);
        if (!worker) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %d threads", threads);
        plan->worker = worker;
        for (; plan->n_worker < threads; plan->n_worker++) {
            ad_status status = start_worker(plan, &worker[plan->n_worker], error);
            if (status != AD_OK) return status;
        }
    }
    const ad__lanes lanes = ad__plan_lanes(plan, rows, communicator);
    const size_t accumulators = ad__accumulators(&lanes);
    if (accumulators > plan->accumulators) {
        char *memory = ad_alloc_aligned(ad__accumulator_bytes(plan, accumulators), 1);
        if (!memory) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a run of %zu rows", rows);
        ad_free_aligned(plan->lanes);
        plan->lanes = memory;
        plan->accumulators = accumulators;
    }
    if (!ad__plan_reserve_wide(plan, rows, threads, communicator))
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a run of %zu rows on %d threads", rows, threads);
    return AD_OK;
}
