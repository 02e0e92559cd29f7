/* What a plan looks like. */
#include "plan/compiled.h"

static void print_operand(const ad__operand *operand, FILE *to)
{
    char shape[128];
    ad_shape_text(operand->shape, shape);
    if (operand->per_row)
        fprintf(to, " tile[%zu…%zu]%s", operand->at, operand->at + operand->size, shape);
    else
        fprintf(to, " shared[%d]%s", operand->value, shape);
}

static void print_instruction(const ad__instruction *instruction, FILE *to)
{
    print_operand(&instruction->out, to);
    fprintf(to, " %s %s", instruction->op->flags & AD_OP_SUMS_ROWS ? "+=" : "=", instruction->op->name);
    for (int j = 0; j < instruction->n_in; j++) print_operand(&instruction->in[j], to);
    fprintf(to, "   # %%%d %s\n", instruction->node, instruction->scope);
}

/* What is fused is drawn together by a line. */
static void print_steps(const ad__instruction *all, const ad__run_step *step, size_t count, FILE *to)
{
    for (size_t s = 0; s < count; s++) {
        const ad__fused_loop *loop = step[s].loop;
        if (loop)
            fprintf(to, "   /  one loop of %zu turns: %zu operations, %zu numbers put aside, %zu sums over rows\n",
                    loop->turns, loop->frame.operations, loop->frame.set_aside, loop->n_sum);
        for (size_t i = 0; i < step[s].count; i++) {
            fprintf(to, loop ? "   | " : "     ");
            print_instruction(&all[step[s].first + i], to);
        }
    }
}

void ad_plan_print(const ad_plan *plan, FILE *to)
{
    if (!plan || !to) return;
    size_t size = ad_dtype_size(plan->dtype);
    fprintf(to, "plan: %s, tiles of %zu rows, %zu features = %zu KiB each; %zu KiB of sums in each lane\n",
            ad_dtype_name(plan->dtype), plan->tile_rows, plan->used_features,
            plan->used_features * plan->tile_rows * size / 1024, plan->lane_bytes / 1024);
    for (size_t s = 0; s < plan->n_stage; s++) {
        const ad__stage *stage = &plan->stage[s];
        fprintf(to, "stage %zu\n  shared: %zu instructions\n", s, stage->n_shared);
        if (stage->shared_is_work)
            print_steps(stage->shared, &(ad__run_step){.count = stage->n_shared}, 1, to);
        else
            print_steps(stage->shared, stage->shared_step, stage->n_shared_step, to);
        fprintf(to, "  for each tile: %zu loads, %zu instructions, %zu sums over rows, %zu stores\n", stage->n_load,
                stage->n_row, stage->n_sum, stage->n_store);
        for (size_t i = 0; i < stage->n_load; i++) {
            fprintf(to, "    ");
            print_operand(&stage->load[i].to, to);
            fprintf(to, " = rows of '%s'\n", plan->slot[stage->load[i].slot].name);
        }
        print_steps(stage->row, stage->row_step, stage->n_row_step, to);
    }
}
