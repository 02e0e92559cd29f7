/* The lanes in which a run keeps its sums over rows. The first lane of a sum is the sum's own place, to which the
 * others are added; but for sums that are kept in a wider type than the plan's, all of whose lanes are apart. */
#ifndef WEIR_AUTODIFF_PLAN_LANES_H
#define WEIR_AUTODIFF_PLAN_LANES_H

#include "plan/compiled.h"

/* Give a stage's sums their places in lanes, and the parts in which these are added. */
void ad__place_lanes(ad_plan *plan, ad__stage *stage);
/* Bytes of so many lanes. */
size_t ad__lane_bytes(const ad_plan *plan, size_t lanes);
/* Where a lane of a sum adds up. */
void *ad__lane_of(const ad_plan *plan, const ad__instruction *sum, size_t lane);

/* Add a stage's lanes, in order, and the squares of the sums where they are wanted. In parts whose number depends on
 * the sums' sizes alone: the same bits whatever the pool. */
void ad__add_lanes(ad_plan *plan, const ad__stage *stage, size_t lanes, ad_pool *pool);
/* Give the outputs' squares to who wants them, at the end of a run. */
void ad__give_squares(ad_plan *plan, ad_pool *pool);

#endif
