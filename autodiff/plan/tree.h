/* The order in which the lanes of a run are added: a binary tree, whose shape follows from their number alone. Node j
 * of depth d is the sum of the lanes j L / 2^d … (j+1) L / 2^d - 1: that of its children 2 j and 2 j + 1 of depth d +
 * 1, rounded as every sum is, or that of the one which has lanes, or none. So any thread or rank may add any node, and
 * the bits of the whole are the same. */
#ifndef WEIR_AUTODIFF_PLAN_TREE_H
#define WEIR_AUTODIFF_PLAN_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The least depth with so many nodes. */
static inline int ad__tree_depth(size_t nodes)
{
    int depth = 0;
    while ((size_t)1 << depth < nodes) depth++;
    return depth;
}

/* The first lane of a node, which ends where the next begins. */
static inline size_t ad__tree_lane(size_t lanes, int depth, size_t node)
{
    return (size_t)((uint64_t)lanes * node >> depth);
}

static inline bool ad__tree_has_lanes(size_t lanes, int depth, size_t node)
{
    return ad__tree_lane(lanes, depth, node) < ad__tree_lane(lanes, depth, node + 1);
}

/* Its number among all nodes, from the root, which is 0, and depth by depth: the children of k are 2 k + 1 and 2 k + 2.
 */
static inline size_t ad__tree_number(int depth, size_t node)
{
    return ((size_t)1 << depth) - 1 + node;
}

#endif
