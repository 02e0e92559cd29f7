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

/* NULL: the plan doesn't read it. */
static ad__slot *slot_of(ad_plan *plan, ad_var input, const char *call)
{
    if (!plan || !ad_is_valid(input)) return NULL;
    if (input.serial != plan->tape_serial) {
        fail(plan,
             "%s: var %%%d is of another tape than the plan's; bind the vars of the tape that the plan was made from",
             call, input.id);
        return NULL;
    }
    if ((size_t)input.id >= plan->n_node || plan->slot_of_node[input.id] < 0) return NULL;
    return &plan->slot[plan->slot_of_node[input.id]];
}

static void bind_slot(ad_plan *plan, ad__slot *slot, const void *data, const ad_source *source)
{
    if (slot->data != data || slot->source != source) plan->bindings++;
    slot->data = data;
    slot->source = source;
}

void ad_plan_set_input(ad_plan *plan, ad_var input, const void *data)
{
    ad__slot *slot = slot_of(plan, input, "set_input");
    if (slot) bind_slot(plan, slot, data, NULL);
}

void ad_plan_set_source(ad_plan *plan, ad_var input, const ad_source *source)
{
    ad__slot *slot = slot_of(plan, input, "set_source");
    if (!slot) return;
    if (source && (!slot->per_row || !source->read))
        fail(plan,
             slot->per_row ? "set_source: the source of '%s' has no function to read"
                           : "set_source: '%s' is a parameter; expected an input of rows",
             slot->name);
    else
        bind_slot(plan, slot, NULL, source);
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

void ad_plan_set_squares(ad_plan *plan, int i, double *squares)
{
    if (!plan) return;
    if (i < 0 || i >= plan->n_output || plan->output[i].from.per_row) {
        if (squares)
            fail(plan, "set_squares: output %d is %s", i,
                 i < 0 || i >= plan->n_output ? "not there" : "per-row; expected a shared one");
        return;
    }
    if (plan->output[i].squares != squares) plan->bindings++;
    plan->output[i].squares = squares;
}
