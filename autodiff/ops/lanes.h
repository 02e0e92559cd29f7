/* Adding the lanes of a sum over rows; see plan/tree.h. */
#ifndef WEIR_AUTODIFF_OPS_LANES_H
#define WEIR_AUTODIFF_OPS_LANES_H

#include <stddef.h>

enum { AD__MOST_DEPTH = 12 }; /* of a node below the one that is added up */

/* sum_i = element i of node `root`, i = 0 … count-1. node[k] is where that number of node k begins, if it is known, of
 * `nodes` nodes; the others are added up from their children, and have no lanes where these have none. One of them may
 * be the sum's own place; sum NULL: it isn't wanted. Returns Σ sum_i², in float64 and in an order that depends on
 * `count` alone. */
typedef double ad__lane_adder(void *sum, const void *const *node, size_t nodes, size_t root, size_t count);

#endif
