#ifndef WEIR_TOOLS_BENCH_PLANAR_H
#define WEIR_TOOLS_BENCH_PLANAR_H

#include "trials.h"

#include <weir/autodiff.h>

enum { PLANAR_DIM = 2, PLANAR_PER_LAYER = 2 * PLANAR_DIM + 1, PLANAR_MOST_LAYERS = 64 };

/* Steps until `done`, asked after each, says that it's enough. */
ad_status planar_steps(int layers, size_t rows, ad_pool *pool, bool (*done)(void *context), void *context,
                       ad_error *error);

/* Optimiser steps per second, for so many planar layers and samples. */
ad_status planar_benchmark(int layers, size_t rows, int threads, trials *steps_per_second, ad_error *error);

/* Where optimisation begins. Parameters, and gradients, of a layer are u, w, b. */
void planar_start(int layers, float *parameters);
/* The loss of draws from z[row][PLANAR_DIM], or, where z is NULL, from the noise of the first step, and its gradient.
 */
ad_status planar_gradient(int layers, const float *parameters, size_t rows, const float *z, float *loss,
                          float *gradient, ad_error *error);

#endif
