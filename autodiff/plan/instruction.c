/* One op of a plan. */
#include "plan/compiler.h"

#include <weir/memory.h>

#include <string.h>

ad__operand ad__operand_of(const ad__compiler *c, int32_t id)
{
    const ad__node *node = &c->node[id];
    return (ad__operand){.per_row = node->per_row,
                         .value = c->shared_of[id],
                         .at = node->per_row ? c->feature[id] : 0,
                         .size = ad_shape_size(node->shape),
                         .shape = node->shape};
}

static void count_runs(ad_plan *plan, ad__instruction *instruction)
{
    const ad_tensor out = ad__tensor_at(&instruction->out, NULL);
    ad_tensor in[AD_MAX_LOOP_ARGUMENTS];
    for (int j = 0; j < instruction->n_in; j++) in[j] = ad__tensor_at(&instruction->in[j], NULL);
    instruction->first_run = plan->n_run;
    instruction->n_run =
        ad__find_runs(&out, in, instruction->n_in, AD_ROW_QUANTUM, ad_dtype_size(plan->dtype), NULL, NULL, NULL);
    plan->n_run += instruction->n_run;
}

bool ad__fill_instruction(const ad__compiler *c, int32_t id, ad__instruction *to)
{
    const ad__node *node = &c->node[id];
    ad_plan *plan = c->plan;
    ad__operand *in = ad__arena_alloc(&plan->arena, (size_t)node->n_in, sizeof *in);
    double *attribute = ad__arena_alloc(&plan->arena, node->n_attribute, sizeof *attribute);
    size_t length = strlen(node->scope) + 1;
    char *scope = ad__arena_alloc(&plan->arena, length, 1);
    ad_var *var = ad_alloc((size_t)node->n_in, sizeof *var);
    if (!in || !attribute || !scope || !var) {
        ad_free(var);
        return false;
    }
    for (int j = 0; j < node->n_in; j++) {
        in[j] = ad__operand_of(c, node->in[j]);
        var[j] = ad__var(c->tape, node->in[j]);
    }
    if (node->n_attribute) memcpy(attribute, node->attribute, node->n_attribute * sizeof *attribute);
    *to = (ad__instruction){.evaluate = node->op->evaluate[plan->dtype],
                            .attribute = attribute,
                            .n_attribute = node->n_attribute,
                            .object = node->object,
                            .n_in = node->n_in,
                            .sums_rows = ad__sums_rows(node),
                            .tensor = plan->n_tensor,
                            .op = node->op,
                            .in = in,
                            .out = ad__operand_of(c, id),
                            .node = id,
                            .scope = memcpy(scope, node->scope, length)};
    if (node->object || node->op->open) {
        ad__object_retain(node->object);
        to->state = ++plan->n_state;
        to->next_owner = plan->owner;
        plan->owner = to;
    }
    if (node->op->scratch) {
        ad_call call = {c->tape, var, node->n_in, attribute, node->n_attribute, node->object};
        bool tiled = node->per_row || ad__sums_rows(node);
        to->scratch = node->op->scratch(&call, tiled ? plan->tile_rows : 1, plan->dtype);
        if (to->scratch > plan->scratch) plan->scratch = to->scratch;
    }
    plan->n_tensor += 1 + (size_t)node->n_in;
    if (!to->evaluate) count_runs(plan, to);
    ad_free(var);
    return true;
}
