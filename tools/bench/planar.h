#ifndef WEIR_TOOLS_BENCH_PLANAR_H
#define WEIR_TOOLS_BENCH_PLANAR_H

#include <weir/autodiff.h>

/* Optimiser steps per second, of the best of many trials, for so many planar layers and samples. */
ad_status planar_benchmark(int layers, size_t rows, int threads, double *steps_per_second, ad_error *error);

#endif
