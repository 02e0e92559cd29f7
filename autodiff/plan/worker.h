/* What a run needs beside the plan: tiles for every thread, and lanes for its sums. */
#ifndef WEIR_AUTODIFF_PLAN_WORKER_H
#define WEIR_AUTODIFF_PLAN_WORKER_H

#include "plan/compiled.h"

/* Allocate what runs of up to `rows` rows on up to `threads` threads need. */
ad_status ad__plan_reserve(ad_plan *plan, size_t rows, int threads, ad_error *error);
/* Free what a thread holds. */
void ad__worker_free(const ad_plan *plan, ad__worker *worker);

/* The number of rows in a tile, in a run of `rows`: a function of that number alone, so that threads don't change
 * results. */
size_t ad__plan_tile_of(const ad_plan *plan, size_t rows);
/* The number of accumulators in which a sum over rows is kept; which tile adds to which depends on nothing else. */
size_t ad__plan_lanes(const ad_plan *plan, size_t rows);

#endif
