/* Running fused loops. */
#include "base/fold.h"
#include "plan/lanes.h"

#include <string.h>

void ad__bind_loop(const ad_plan *plan, const ad__fused_loop *loop, const ad__worker *worker, size_t rows,
                   void **pointer)
{
    const size_t size = ad_dtype_size(plan->dtype);
    for (size_t i = 0; i < loop->n_place; i++) {
        const ad__place *place = &loop->place[i];
        if (place->is_mask)
            pointer[i] = worker->mask;
        else if (place->per_row)
            pointer[i] = worker->tile + place->at * rows * size;
        else
            pointer[i] = (char *)plan->shared[place->value].data + place->at * size;
    }
}

/* Turns that the code takes in one call: where there are sums, as many as the L1 cache easily holds those of. */
static size_t turns_together(const ad__fused_loop *loop)
{
    enum { BYTES = 8192 };
    const size_t most = loop->n_sum ? BYTES / loop->frame.scalars + 1 : loop->turns;
    return most < loop->turns ? most : loop->turns;
}

size_t ad__loop_workspace(const ad__fused_loop *loop)
{
    return loop->frame.bytes + (turns_together(loop) - 1) * loop->frame.scalars;
}

/* Where they may be moved, with how far that is from one turn to the next. */
static void **movable_pointers(const ad__fused_loop *loop, void *const *pointer, size_t row_bytes, size_t size,
                               ad__worker *worker)
{
    for (size_t i = 0; i < loop->n_place; i++) {
        worker->pointer[i] = pointer[i];
        worker->step[i] = loop->place[i].step * (loop->place[i].per_row ? row_bytes : size);
    }
    return worker->pointer;
}

static void set_mask(ad__worker *worker, size_t rows, size_t valid, size_t size)
{
    if (worker->mask_rows == rows && worker->mask_valid == valid) return;
    memset(worker->mask, 0xFF, valid * size);
    memset((char *)worker->mask + valid * size, 0, (rows - valid) * size);
    worker->mask_rows = rows;
    worker->mask_valid = valid;
}

/* Of each turn, its partial sums. */
static void fold_sums(const ad_plan *plan, const ad__fused_loop *loop, const ad__row_sum *sum, const char *workspace,
                      size_t turns, bool accumulate, double *to)
{
    const size_t length = ad__vector_length(plan->dtype);
    const bool narrow = plan->dtype == AD_F32 && !sum->wide;
    const char *parts = workspace + sum->vector * length * ad_dtype_size(plan->dtype);
    for (size_t turn = 0; turn < turns; turn++, parts += loop->frame.scalars) {
        const double total =
            narrow ? ad__fold_floats((const float *)parts, length) : ad__fold((const double *)parts, length);
        to[turn] = accumulate ? to[turn] + total : total;
    }
}

void ad__run_loop(const ad_plan *plan, const ad__fused_loop *loop, const ad__instruction *first, ad__worker *worker,
                  const ad__binding *binding, const ad_tile *tile, size_t accumulator)
{
    const size_t size = ad_dtype_size(plan->dtype), length = ad__vector_length(plan->dtype);
    const size_t bytes = tile->rows > 1 ? tile->rows * size : length * size; /* shared values: one vector */
    void **pointer = binding->pointer + loop->first_pointer;
    if (tile->rows > 1) set_mask(worker, tile->rows, tile->valid, size);
    if (loop->turns > 1) pointer = movable_pointers(loop, pointer, bytes, size, worker);
    const size_t together = turns_together(loop);
    for (size_t turn = 0, turns; turn < loop->turns; turn += turns) {
        turns = loop->turns - turn < together ? loop->turns - turn : together;
        for (size_t i = 0; turn > 0 && i < loop->n_place; i++) pointer[i] = (char *)pointer[i] + worker->step[i];
        loop->code(pointer, worker->scratch, bytes, loop->constants, turns, worker->step);
        for (size_t i = 0; i < loop->n_sum; i++) {
            double *to = (double *)ad__accumulator_at(plan, &first[loop->sum[i].instruction], accumulator);
            fold_sums(plan, loop, &loop->sum[i], worker->scratch, turns, tile->accumulate, to + loop->sum[i].at + turn);
        }
    }
}
