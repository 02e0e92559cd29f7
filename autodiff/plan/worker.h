/* What a run needs beside the plan: tiles for every thread, and lanes for its sums. */
#ifndef WEIR_AUTODIFF_PLAN_WORKER_H
#define WEIR_AUTODIFF_PLAN_WORKER_H

#include "plan/lanes.h"

/* Allocate what runs of up to `rows` rows need, on up to `threads` threads of one of the communicator's ranks (NULL:
 * there is one). */
ad_status ad__plan_reserve(ad_plan *plan, size_t rows, int threads, const ad_communicator *communicator,
                           ad_error *error);
/* Free what a thread holds. */
void ad__worker_free(const ad_plan *plan, ad__worker *worker);

/* The number of rows in a tile, in a run of `rows`: a function of that number alone, so that threads don't change
 * results. */
size_t ad__plan_tile_of(const ad_plan *plan, size_t rows);

#endif
