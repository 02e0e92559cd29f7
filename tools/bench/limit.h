/* weir-bench limit: the step that planar.c records, as a loop written by hand: see limit.c. */
#ifndef WEIR_TOOLS_BENCH_LIMIT_H
#define WEIR_TOOLS_BENCH_LIMIT_H

#include "planar.h"

/* As planar_benchmark(), and what it computes is the same. */
ad_status limit_benchmark(int layers, size_t rows, int threads, trials *steps_per_second, ad_error *error);
/* As planar_gradient(). */
ad_status limit_gradient(int layers, const float *parameters, size_t rows, const float *z, float *loss, float *gradient,
                         ad_error *error);

#endif
