#ifndef WEIR_BENCH_COMPILE_H
#define WEIR_BENCH_COMPILE_H

#include <weir/models.h>

/* Time recording, gradient, plan and first step of a flow's training, by its likelihood or, of samples, by the ELBO of
 * a normal target; print them as JSON. */
ad_status measure_compilation(const nf_flow *flow, bool samples, ad_error *error);

#endif
