/* weir-bench alone: what a step costs one rank of many, but for the network. It trains as the last rank, which has as
 * many rows as any, of a communicator that sends nothing and says that all went well: the rank computes on its rows,
 * packs what it would send, adds what it would have received, and takes its part of the optimiser's work. What goes
 * through each function is counted.
 *
 * What it doesn't know: that ranks wait for the slowest of them, and that those of one machine share its memory. */
#ifndef WEIR_TOOLS_BENCH_ALONE_H
#define WEIR_TOOLS_BENCH_ALONE_H

#include <weir/flow.h>

ad_status measure_alone(nf_flow *flow, size_t batch, int ranks, ad_error *error);

#endif
