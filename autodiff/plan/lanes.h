/* The lanes in which a run keeps its sums over rows, and how they are added.
 *
 * A lane takes a fixed run of consecutive tiles, in order. Lanes are the leaves of a tree (see tree.h), whose nodes of
 * some depth are one job each, and are dealt to the ranks: a job adds up its lanes one after the other, each in an
 * accumulator of its own, of which two become one as soon as both children of a node are there. So a node needs no more
 * accumulators than its tree is high, and the number of lanes may grow with the rows. How many nodes there are is a
 * question of memory and of ranks, and changes no bit.
 *
 * The first accumulator of a sum is the sum's own place; but for sums that are kept in a wider type than the plan's,
 * all of whose accumulators are apart. */
#ifndef WEIR_AUTODIFF_PLAN_LANES_H
#define WEIR_AUTODIFF_PLAN_LANES_H

#include "plan/compiled.h"

#include <weir/communicator.h>

/* Of a run: the lanes, which follow from the rows alone, and this rank's nodes. */
typedef struct ad__lanes {
    size_t tile_rows, tiles, count;
    int depth; /* of the leaves */
    int at;    /* the depth of the nodes that are jobs */
    size_t first, nodes;
} ad__lanes;

/* Of a run of so many rows; of the rank that the communicator says, which may be NULL. */
ad__lanes ad__plan_lanes(const ad_plan *plan, size_t rows, const ad_communicator *communicator);
/* Those of one rank among so many. */
void ad__lanes_of_rank(ad__lanes *lanes, int rank, int size);

/* The first tile of a lane, which ends where the next begins. */
static inline size_t ad__lane_begin(const ad__lanes *lanes, size_t lane)
{
    return lane * lanes->tiles / lanes->count;
}

/* The leaves of a node, some of which may have no lane; and the lane of one of this rank's nodes there, or `count`. */
static inline size_t ad__leaves(const ad__lanes *lanes)
{
    return (size_t)1 << (lanes->depth - lanes->at);
}
size_t ad__lane_of_leaf(const ad__lanes *lanes, size_t node, size_t leaf);
/* In which accumulator of the rank it is added up: behind those that wait for it. */
size_t ad__accumulator_of_leaf(const ad__lanes *lanes, size_t node, size_t leaf);
/* How many of them the rank has. */
size_t ad__accumulators(const ad__lanes *lanes);

/* Give a stage's sums their places in accumulators, and the parts in which these are added. */
void ad__place_lanes(ad_plan *plan, ad__stage *stage);
/* Bytes of so many accumulators. */
size_t ad__accumulator_bytes(const ad_plan *plan, size_t accumulators);
/* Where it is, of a sum. */
static inline void *ad__accumulator_at(const ad_plan *plan, const ad__instruction *sum, size_t accumulator)
{
    const size_t capacity = plan->accumulators, size = sum->out.size;
    if (sum->wide) return plan->lanes + sum->lane_element * capacity + accumulator * size * sizeof(double);
    if (accumulator == 0) return plan->shared[sum->out.value].data;
    return plan->lanes + plan->wide_bytes * capacity + sum->lane_element * (capacity - 1) +
           (accumulator - 1) * size * ad_dtype_size(plan->dtype);
}

/* A leaf of a node is done: add those accumulators of which both are there now. */
void ad__add_leaf(const ad_plan *plan, const ad__stage *stage, const ad__lanes *lanes, size_t node, size_t leaf);

/* A part of a sum, as it is added and goes to other ranks. */
typedef struct {
    const ad__instruction *sum;
    size_t begin, count; /* elements */
    bool wide;           /* nodes are in float64, and only the whole is in the plan's dtype */
} ad__part;

ad__part ad__part_of(const ad__stage *stage, size_t part);
/* Point those nodes of the table that this rank has itself to where the part begins in them. */
void ad__list_nodes(const ad_plan *plan, const ad__lanes *lanes, const ad__part *part, const void **node);
/* A node of the part, in the type in which nodes are; and the whole, in the plan's dtype, with the sum of its squares.
 */
void ad__add_node(const ad_plan *plan, const ad__part *part, const void *const *node, size_t nodes, size_t root,
                  void *to);
double ad__add_whole(const ad_plan *plan, const ad__part *part, const void *const *node, size_t nodes, void *to);

/* Add a stage's nodes, of which this rank has all, and the squares of the sums where they are wanted. In parts whose
 * number depends on the sums' sizes alone: the same bits whatever the pool. */
void ad__add_lanes(ad_plan *plan, const ad__stage *stage, const ad__lanes *lanes, ad_pool *pool);
/* The squares of each sum from those of its parts. */
void ad__add_squares(ad_plan *plan, const ad__stage *stage);
/* Give the outputs' squares to who wants them, at the end of a run. */
void ad__give_squares(ad_plan *plan, ad_pool *pool);

#endif
