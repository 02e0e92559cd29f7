/* What compilation knows: between plan.c, which has the parts made, and those. */
#ifndef WEIR_AUTODIFF_PLAN_COMPILER_H
#define WEIR_AUTODIFF_PLAN_COMPILER_H

#include "plan/compiled.h"
#include "plan/layout_tile.h"
#include "tape/builtin.h"

/* node[] is a copy of the tape's that simplify rewrites. */
typedef struct {
    ad_tape *tape;
    ad__node *node;
    size_t count;
    int32_t *output; /* node of each output, after simplification */
    int n_output;
    bool *needed;
    int32_t *same, *level, *shared_of; /* shared_of: index in plan->shared, or -1 */
    bool *in_pass, *kept, *is_view, *escapes;
    size_t *feature;
    int32_t *entry; /* what ad__fuse() asks for */
    ad__assembler code;
    bool fuses;
    ad_plan *plan;
} ad__compiler;

static inline bool ad__sums_rows(const ad__node *node)
{
    return (node->op->flags & AD_OP_SUMS_ROWS) != 0;
}

static inline bool ad__is_op(const ad__node *node, ad__op_id id)
{
    return node->op == ad__builtin(id);
}

/* In instruction.c. */
ad__operand ad__operand_of(const ad__compiler *c, int32_t id);
bool ad__fill_instruction(const ad__compiler *c, int32_t id, ad__instruction *to);

/* In stages.c: the height of stage s's tiles; and all that it does. */
bool ad__measure_pass(const ad__compiler *c, int s, ad__tile_height *height);
bool ad__add_stage(ad__compiler *c, int s, ad__stage *stage);

#endif
