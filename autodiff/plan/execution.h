/* A run that is under way. */
#ifndef WEIR_AUTODIFF_PLAN_EXECUTION_H
#define WEIR_AUTODIFF_PLAN_EXECUTION_H

#include "plan/compiled.h"

typedef struct ad__execution {
    ad_plan *plan;
    const ad_run *run;
    const ad__stage *stage;
    const ad__instruction *wave; /* first of the shared instructions that run at once */
    size_t tile_rows, tiles, lanes;
    ad__cut cut;
    size_t first_lane, first_tile; /* of the round of a wide pass: the lane, and the tile of each lane */
    ad_error *error;
    bool failed;
    bool sums_faults;   /* a sum of this pass has arguments that are not finite */
    atomic_bool unread; /* rows of a source, which has told why in *error, and failed with: */
    ad_status why;
} ad__execution;

/* Rows first … first + valid - 1 of the run from a source to the tile, the padding copied from the last of them. False:
 * they can't be read, or others couldn't be before. */
bool ad__read_source(ad__execution *e, const ad_source *source, size_t first, size_t valid, size_t rows,
                     const ad_tensor *to);

/* The tiles of a lane. */
static inline size_t ad__lane_begin(const ad__execution *e, size_t lane)
{
    return lane * e->tiles / e->lanes;
}

/* Run the pass on rows first … first + valid - 1, which may be a part of a tile; sums go to a lane, or are kept. */
void ad__run_rows(ad__execution *e, size_t first, size_t valid, size_t lane, bool accumulate,
                  const ad__keeping *keeping, ad__worker *worker);

#endif
