/* Plans: what was recorded on a tape, compiled to run over rows. */
#ifndef WEIR_PLAN_H
#define WEIR_PLAN_H

#include <weir/pool.h>
#include <weir/tape.h>

WEIR_BEGIN_DECLARATIONS

typedef struct ad_plan ad_plan;

typedef struct {
    ad_dtype dtype;   /* of every value in the plan and of every bound array */
    size_t tile_rows; /* rows in a tile, a multiple of 16; 0: chosen so that a tile's intermediates fit the L2 cache */
} ad_plan_options;

/* Compile what the outputs need: dead nodes dropped, equal ones merged, split into stages where rows are summed,
 * buffers laid out. The tape may be freed afterwards; but vars in the calls below are those of this tape. NULL with
 * *error on failure. */
ad_plan *ad_plan_new(const ad_var *outputs, int count, const ad_plan_options *options, ad_error *error);
void ad_plan_free(ad_plan *plan);
/* Stages, instructions, buffer offsets and sizes, the tile. */
void ad_plan_print(const ad_plan *plan, FILE *to);
size_t ad_plan_tile_rows(const ad_plan *plan);

/* Bind an array to an input (dtype data[rows][size], row-major) or a parameter (dtype data[size]). It is not copied and
 * must outlive the runs. Binding an input that the outputs don't depend on is no error, and does nothing. */
void ad_plan_set_input(ad_plan *plan, ad_var input, const void *data);
/* Where output number i goes: [rows][size] when per-row, [size] when shared. NULL: not wanted. */
void ad_plan_set_output(ad_plan *plan, int i, void *data);

typedef struct {
    size_t rows;
    const uint32_t *index; /* not NULL: row r reads row index[r] of every per-row input (a shuffled mini-batch) */
    uint64_t seed, step;   /* of noise; step < 2^32 */
    uint64_t first_row;    /* number of the first row, for noise */
    ad_pool *pool;         /* NULL: this thread only */
    bool find_nan; /* report the first NaN or infinity that is bound, or made from finite arguments, with name or op,
                    * scope and row; slow */
} ad_run;

/* Allocates nothing after the first run with this pool size and these rows or fewer. Results are the same bits for any
 * number of threads; a per-row output's bits depend on its own row alone. */
ad_status ad_plan_run(ad_plan *plan, const ad_run *run, ad_error *error);

WEIR_END_DECLARATIONS

#endif
