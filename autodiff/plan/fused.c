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

typedef struct {
    const ad_plan *plan;
    const ad__fused_loop *loop;
    const ad__instruction *first;
    const char *workspace;
    size_t accumulator;
    bool accumulate;
} sums;

/* Of each sum, what it is in these turns. */
static inline void finish_sums(const sums *of, size_t turn, size_t turns)
{
    const size_t length = of->loop->frame.length, vector_bytes = length * of->loop->frame.element_bytes;
    for (size_t i = 0; i < of->loop->n_sum; i++) {
        const ad__row_sum *sum = &of->loop->sum[i];
        double *to = (double *)ad__accumulator_at(of->plan, &of->first[sum->instruction], of->accumulator) + sum->at;
        const char *parts = of->workspace + sum->vector * vector_bytes;
        const bool narrow = of->plan->dtype == AD_F32 && !sum->wide;
        for (size_t t = 0; t < turns; t++, parts += of->loop->frame.scalars) {
            const double total =
                narrow ? ad__fold_floats((const float *)parts, length) : ad__fold((const double *)parts, length);
            to[turn + t] = of->accumulate ? to[turn + t] + total : total;
        }
    }
}

void ad__run_loop(const ad_plan *plan, const ad__fused_loop *loop, const ad__instruction *first, ad__worker *worker,
                  const ad__binding *binding, const ad_tile *tile, size_t accumulator)
{
    const size_t size = loop->frame.element_bytes, length = loop->frame.length;
    const size_t bytes = tile->rows > 1 ? tile->rows * size : length * size; /* shared values: one vector */
    void **pointer = binding->pointer + loop->first_pointer;
    if (tile->rows > 1) set_mask(worker, tile->rows, tile->valid, size);
    const sums of = {plan, loop, first, worker->scratch, accumulator, tile->accumulate};
    if (loop->turns == 1) {
        if (loop->n_sum) memset(worker->scratch, 0, loop->frame.scalars);
        loop->code(pointer, worker->scratch, bytes, loop->constants, 1, NULL);
        finish_sums(&of, 0, 1);
        return;
    }
    pointer = movable_pointers(loop, pointer, bytes, size, worker);
    for (size_t turn = 0, turns; turn < loop->turns; turn += turns) {
        turns = loop->turns - turn < loop->together ? loop->turns - turn : loop->together;
        for (size_t i = 0; turn > 0 && i < loop->n_place; i++) pointer[i] = (char *)pointer[i] + worker->step[i];
        loop->code(pointer, worker->scratch, bytes, loop->constants, turns, worker->step);
        finish_sums(&of, turn, turns);
    }
}
