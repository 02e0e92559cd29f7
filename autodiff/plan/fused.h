/* Loops that compute several ops at once, in machine code. */
#ifndef WEIR_AUTODIFF_PLAN_FUSED_H
#define WEIR_AUTODIFF_PLAN_FUSED_H

#include "plan/machine.h"

/* A place that a loop reads or writes: of a row, at feature `at` of the tile; shared, at element `at` of shared[value].
 */
typedef struct {
    bool per_row, is_mask; /* is_mask: all bits of a number set, in rows that are valid; none in others */
    int32_t value;
    size_t at, step; /* features or elements from one turn to the next */
} ad__place;

typedef struct {
    size_t instruction; /* of the stage's instructions in this loop: the one that sums */
    size_t at;          /* its element in the first turn */
    size_t vector;      /* of the workspace's, from which on its partial sums are: one of the dtype, */
    bool wide;          /* or two halves of doubles where that is float32 */
} ad__row_sum;

typedef struct {
    size_t turns, together; /* `together`: of which its code takes so many in one call */
    ad__place *place;       /* of numbers of each row, then scalars */
    size_t n_place;
    ad__row_sum *sum; /* one element in each turn */
    size_t n_sum;
    ad__loop_frame frame;
    void *constants;
    ad__loop_code *code;
    size_t code_at;       /* of all code of the plan */
    size_t first_pointer; /* of ad__binding.pointer */
} ad__fused_loop;

#endif
