/* Adding the lanes of a sum over rows; see plan/lanes.h. */
#ifndef WEIR_AUTODIFF_OPS_LANES_H
#define WEIR_AUTODIFF_OPS_LANES_H

#include <stddef.h>

/* sum_i += lane_i + lane_(stride + i) + … (n of them, or none), for i = 0 … count-1, in float64 up to the one rounding
 * at the end. Returns Σ sum_i², in float64 and in an order that depends on `count` alone. */
typedef double ad__lane_adder(void *sum, const void *lane, size_t n, size_t stride, size_t count);

#endif
