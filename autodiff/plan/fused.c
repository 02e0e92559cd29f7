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

static void next_turn(const ad__fused_loop *loop, size_t row_bytes, size_t size, void **pointer)
{
    for (size_t i = 0; i < loop->n_place; i++) {
        const ad__place *place = &loop->place[i];
        pointer[i] = (char *)pointer[i] + place->step * (place->per_row ? row_bytes : size);
    }
}

static void set_mask(ad__worker *worker, size_t rows, size_t valid, size_t size)
{
    if (worker->mask_rows == rows && worker->mask_valid == valid) return;
    memset(worker->mask, 0xFF, valid * size);
    memset((char *)worker->mask + valid * size, 0, (rows - valid) * size);
    worker->mask_rows = rows;
    worker->mask_valid = valid;
}

void ad__run_loop(const ad_plan *plan, const ad__fused_loop *loop, const ad__instruction *first, ad__worker *worker,
                  const ad__binding *binding, const ad_tile *tile, size_t accumulator)
{
    const size_t size = ad_dtype_size(plan->dtype), length = ad__vector_length(plan->dtype);
    const size_t bytes = tile->rows > 1 ? tile->rows * size : length * size; /* shared values: one vector */
    void **pointer = binding->pointer + loop->first_pointer;
    if (tile->rows > 1) set_mask(worker, tile->rows, tile->valid, size);
    const size_t vector_bytes = length * size;
    if (loop->turns > 1) pointer = memcpy(worker->pointer, pointer, loop->n_place * sizeof *pointer);
    for (size_t turn = 0; turn < loop->turns; turn++) {
        if (loop->n_sum) memset(worker->scratch, 0, loop->sum_vectors * vector_bytes);
        loop->code(pointer, worker->scratch, bytes, loop->constants);
        for (size_t i = 0; i < loop->n_sum; i++) {
            const ad__row_sum *sum = &loop->sum[i];
            double *to = (double *)ad__accumulator_at(plan, &first[sum->instruction], accumulator) + sum->at + turn;
            const char *parts = (const char *)worker->scratch + sum->vector * vector_bytes;
            const bool narrow = plan->dtype == AD_F32 && !sum->wide;
            const double total =
                narrow ? ad__fold_floats((const float *)parts, length) : ad__fold((const double *)parts, length);
            *to = tile->accumulate ? *to + total : total;
        }
        if (turn + 1 < loop->turns) next_turn(loop, bytes, size, pointer);
    }
}
