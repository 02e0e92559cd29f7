/* Binding arrays to what a plan reads and writes. */
#include "plan/compiled.h"

#include <stdarg.h>

/* A mistake in what is bound sticks to the plan, the first one: its runs report it. */
static void AD_PRINTF(2, 3) fail(ad_plan *plan, const char *format, ...)
{
    if (plan->error.status != AD_OK) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(plan->error.message, sizeof plan->error.message, format, arguments);
    va_end(arguments);
    plan->error.status = AD_ERROR_ARGUMENT;
}

void ad_plan_set_input(ad_plan *plan, ad_var input, const void *data)
{
    if (!plan || !ad_is_valid(input)) return;
    if (input.serial != plan->tape_serial) {
        fail(plan,
             "set_input: var %%%d is of another tape than the plan's; bind the vars of the tape that the plan was "
             "made from",
             input.id);
        return;
    }
    if ((size_t)input.id >= plan->n_node || plan->slot_of_node[input.id] < 0) return;
    ad__slot *slot = &plan->slot[plan->slot_of_node[input.id]];
    if (slot->data != data) plan->bindings++;
    slot->data = data;
}

void ad_plan_set_output(ad_plan *plan, int i, void *data)
{
    if (!plan) return;
    if (i < 0 || i >= plan->n_output) {
        if (data) fail(plan, "set_output: there is no output %d; this plan has %d, numbered from 0", i, plan->n_output);
        return;
    }
    if (plan->output[i].data != data) plan->bindings++;
    plan->output[i].data = data;
}

/* ---- What is bound is apart -------------------------------------------------------------------------------------- */

/* Bytes that an array takes. */
typedef struct {
    uintptr_t begin, end;
} extent;

static extent extent_of(const ad_plan *plan, const void *data, size_t size, bool per_row, size_t rows)
{
    const uintptr_t begin = (uintptr_t)data;
    return (extent){begin, begin + size * (per_row ? rows : 1) * ad_dtype_size(plan->dtype)};
}

static bool overlap(extent a, extent b)
{
    return a.begin < b.end && b.begin < a.end;
}

static extent output_extent(const ad_plan *plan, int i, size_t rows)
{
    const ad__output *output = &plan->output[i];
    return extent_of(plan, output->data, output->from.size, output->from.per_row, rows);
}

/* An output may take the place of an input, row by row: where no later pass reads it again, nor another row. */
static bool is_in_place(const ad_plan *plan, int i, const ad__slot *slot, size_t last_read, const ad_run *run)
{
    const ad__output *output = &plan->output[i];
    bool stored_later = false;
    for (size_t s = last_read; s < plan->n_stage; s++)
        for (size_t k = 0; k < plan->stage[s].n_store; k++) stored_later |= plan->stage[s].store[k].output == i;
    return stored_later && output->data == slot->data && output->from.size == slot->size && !run->index;
}

/* The input or parameter whose memory output i is in; NULL: none. */
static const char *input_within(const ad_plan *plan, int i, const ad_run *run, size_t input_rows)
{
    const extent taken = output_extent(plan, i, run->rows);
    for (size_t k = 0; k < plan->n_shared; k++) {
        if (plan->shared[k].slot < 0) continue;
        const ad__slot *slot = &plan->slot[plan->shared[k].slot];
        if (overlap(taken, extent_of(plan, slot->data, slot->size, false, 1))) return slot->name;
    }
    for (size_t s = 0; s < plan->n_stage; s++)
        for (size_t k = 0; k < plan->stage[s].n_load; k++) {
            const ad__slot *slot = &plan->slot[plan->stage[s].load[k].slot];
            if (overlap(taken, extent_of(plan, slot->data, slot->size, true, input_rows)) &&
                !is_in_place(plan, i, slot, s, run))
                return slot->name;
        }
    return NULL;
}

ad_status ad__plan_check_apart(ad_plan *plan, const ad_run *run, ad_error *error)
{
    size_t input_rows = run->rows;
    for (size_t r = 0; run->index && r < run->rows; r++)
        if (run->index[r] >= input_rows) input_rows = (size_t)run->index[r] + 1;
    if (plan->apart == plan->bindings && run->rows <= plan->rows_apart && input_rows <= plan->input_rows_apart &&
        plan->indexed == (run->index != NULL))
        return AD_OK;
    for (int i = 0; i < plan->n_output; i++) {
        if (!plan->output[i].data) continue;
        const extent taken = output_extent(plan, i, run->rows);
        const char *name = input_within(plan, i, run, input_rows);
        if (name)
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "run: output %d is bound to memory of '%s', which is read; give it memory of its own",
                                i, name);
        for (int j = 0; j < i; j++)
            if (plan->output[j].data && overlap(taken, output_extent(plan, j, run->rows)))
                return ad_error_set(error, AD_ERROR_ARGUMENT,
                                    "run: outputs %d and %d are bound to the same memory; give each its own", j, i);
    }
    plan->apart = plan->bindings;
    plan->rows_apart = run->rows;
    plan->input_rows_apart = input_rows;
    plan->indexed = run->index != NULL;
    return AD_OK;
}
