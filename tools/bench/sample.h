#ifndef WEIR_TOOLS_BENCH_SAMPLE_H
#define WEIR_TOOLS_BENCH_SAMPLE_H

#include <weir/flows.h>

/* Time a batch's log_prob and its samples in turns, and print the rows per second of each as JSON. */
ad_status measure_sampling(nf_flow *flow, size_t batch, int threads, ad_error *error);

#endif
