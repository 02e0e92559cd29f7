/* What is bound for a run doesn't overlap. */
#include "plan/compiled.h"

#include <stdlib.h>

static ad__extent extent_of(const ad_plan *plan, const void *data, size_t size, size_t rows)
{
    const uintptr_t begin = (uintptr_t)data;
    return (ad__extent){.begin = begin, .end = begin + size * rows * ad_dtype_size(plan->dtype), .output = -1};
}

/* An output may take the place of an input that stage `last_read` reads, row by row: where no later pass reads it
 * again, nor another row. */
static bool is_in_place(const ad_plan *plan, int i, const ad__slot *slot, size_t last_read, const ad_run *run)
{
    const ad__output *output = &plan->output[i];
    bool stored_later = false;
    if (output->data != slot->data || output->from.size != slot->size || run->index) return false;
    for (size_t s = last_read; s < plan->n_stage; s++)
        for (size_t k = 0; k < plan->stage[s].n_store; k++) stored_later |= plan->stage[s].store[k].output == i;
    return stored_later;
}

/* Is what is read of this slot overwritten by an output that may do so? */
static bool gives_way(const ad_plan *plan, const ad__slot *slot, size_t last_read, const ad_run *run)
{
    for (int i = 0; i < plan->n_output; i++)
        if (is_in_place(plan, i, slot, last_read, run)) return true;
    return false;
}

static size_t list_extents(const ad_plan *plan, const ad_run *run, size_t input_rows, ad__extent *all)
{
    size_t n = 0;
    for (int i = 0; i < plan->n_output; i++) {
        const ad__output *output = &plan->output[i];
        if (!output->data) continue;
        all[n] = extent_of(plan, output->data, output->from.size, output->from.per_row ? run->rows : 1);
        all[n++].output = i;
    }
    for (size_t k = 0; k < plan->n_shared; k++) {
        if (plan->shared[k].slot < 0) continue;
        const ad__slot *slot = &plan->slot[plan->shared[k].slot];
        all[n] = extent_of(plan, slot->data, slot->size, 1);
        all[n++].name = slot->name;
    }
    for (size_t s = 0; s < plan->n_stage; s++)
        for (size_t k = 0; k < plan->stage[s].n_load; k++) {
            const ad__slot *slot = &plan->slot[plan->stage[s].load[k].slot];
            if (slot->source || gives_way(plan, slot, s, run)) continue;
            all[n] = extent_of(plan, slot->data, slot->size, input_rows);
            all[n++].name = slot->name;
        }
    return n;
}

bool ad__plan_prepare_apart(ad_plan *plan)
{
    size_t most = (size_t)plan->n_output + plan->n_shared;
    for (size_t s = 0; s < plan->n_stage; s++) most += plan->stage[s].n_load;
    plan->extent = ad__arena_alloc(&plan->arena, most, sizeof *plan->extent);
    return plan->extent != NULL;
}

static int by_begin(const void *a, const void *b)
{
    const ad__extent *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static ad_status overlap(const ad__extent *a, const ad__extent *b, ad_error *error)
{
    const int first = a->output < b->output ? a->output : b->output, second = a->output + b->output - first;
    if (first >= 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "run: outputs %d and %d are bound to the same memory; give each its own", first, second);
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "run: output %d is bound to memory of '%s', which is read; give it memory of its own", second,
                        a->name ? a->name : b->name);
}

/* Sorted by where they begin, an array overlaps one before it where that of the farthest end isn't over. What is read
 * may overlap. */
static ad_status find_overlap(ad__extent *all, size_t count, ad_error *error)
{
    const ad__extent nothing = {.output = -1}, *output = &nothing, *read = &nothing;
    if (count > 0) qsort(all, count, sizeof *all, by_begin);
    for (size_t i = 0; i < count; i++) {
        const ad__extent *at = &all[i];
        if (at->begin < output->end) return overlap(at, output, error);
        if (at->output >= 0 && at->begin < read->end) return overlap(at, read, error);
        if (at->output >= 0)
            output = at;
        else if (at->end > read->end)
            read = at;
    }
    return AD_OK;
}

/* How many rows of the inputs a run reads, from the first to the last of them. */
static size_t rows_read(const ad_run *run)
{
    size_t rows = run->rows;
    for (size_t r = 0; run->index && r < run->rows; r++)
        if (run->index[r] >= rows) rows = (size_t)run->index[r] + 1;
    return rows;
}

ad_status ad__plan_check_apart(ad_plan *plan, const ad_run *run, ad_error *error)
{
    const size_t input_rows = rows_read(run);
    if (plan->apart == plan->bindings && run->rows <= plan->rows_apart && input_rows <= plan->input_rows_apart &&
        plan->indexed == (run->index != NULL))
        return AD_OK;
    const size_t count = list_extents(plan, run, input_rows, plan->extent);
    if (find_overlap(plan->extent, count, error)) return AD_ERROR_ARGUMENT;
    plan->apart = plan->bindings;
    plan->rows_apart = run->rows;
    plan->input_rows_apart = input_rows;
    plan->indexed = run->index != NULL;
    return AD_OK;
}
