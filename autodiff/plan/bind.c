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
