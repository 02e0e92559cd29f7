#ifndef WEIR_TOOLS_BENCH_PLANAR_H
#define WEIR_TOOLS_BENCH_PLANAR_H

#include "trials.h"

#include <weir/autodiff.h>

/* Optimiser steps per second, for so many planar layers and samples. */
ad_status planar_benchmark(int layers, size_t rows, int threads, trials *steps_per_second, ad_error *error);

#endif
