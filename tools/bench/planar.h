#ifndef WEIR_TOOLS_BENCH_PLANAR_H
#define WEIR_TOOLS_BENCH_PLANAR_H

#include "trials.h"

#include <weir/autodiff.h>

/* Steps until `done`, asked after each, says that it's enough. */
ad_status planar_steps(int layers, size_t rows, ad_pool *pool, bool (*done)(void *context), void *context,
                       ad_error *error);

/* Optimiser steps per second, for so many planar layers and samples. */
ad_status planar_benchmark(int layers, size_t rows, int threads, trials *steps_per_second, ad_error *error);

#endif
