/* weir-bench width: how a training step would fill more cores than there are. Jobs are timed in one thread, cut as for
 * so many, and placed on threads in a model: each takes the next job when it is done with one, and whoever began a run
 * of jobs waits for the last of them. What stands between runs is one thread's.
 *
 * What the model doesn't know: that cores share caches, memory and clock speed. */
#ifndef WEIR_TOOLS_BENCH_WIDTH_H
#define WEIR_TOOLS_BENCH_WIDTH_H

#include <weir/flow.h>

ad_status measure_width(nf_flow *flow, size_t batch, ad_error *error);
ad_status measure_planar_width(int layers, size_t rows, ad_error *error);

#endif
