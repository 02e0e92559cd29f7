/* Exponential moving average of the weights w (Polyak & Juditsky 1992): at a large learning rate the weights scatter
 * about a better place, and their average is near it. After step t
 *
 *     a += (1 - d) (w - a),      d = min(decay, (1 + t) / (10 + t)),
 *
 * which soon forgets the initial weights (TensorFlow's ExponentialMovingAverage with num_updates). */
#include "training/fit.h"

#include <weir/flow.h>

#include <math.h>

#define DEFINE_AVERAGE(real, suffix)                                                                                   \
    static void update_##suffix(real *restrict average, const real *restrict weights, size_t count, real part)         \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++) average[i] += part * (weights[i] - average[i]);                             \
    }                                                                                                                  \
    static void exchange_##suffix(real *restrict average, real *restrict weights, size_t count)                        \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++) {                                                                           \
            real w = weights[i];                                                                                       \
            weights[i] = average[i];                                                                                   \
            average[i] = w;                                                                                            \
        }                                                                                                              \
    }
DEFINE_AVERAGE(float, f32)
DEFINE_AVERAGE(double, f64)

void nf__update_average(nf__training *t)
{
    double steps = (double)t->now.step, part = 1 - fmin(t->o.ema, (1 + steps) / (10 + steps));
    size_t count = nf_flow_trained_elements(t->flow);
    if (nf_flow_dtype(t->flow) == AD_F32)
        update_f32(t->average, nf_flow_parameters(t->flow), count, (float)part);
    else
        update_f64(t->average, nf_flow_parameters(t->flow), count, part);
}

void nf__exchange_average(nf__training *t)
{
    size_t count = nf_flow_trained_elements(t->flow);
    if (nf_flow_dtype(t->flow) == AD_F32)
        exchange_f32(t->average, nf_flow_parameters(t->flow), count);
    else
        exchange_f64(t->average, nf_flow_parameters(t->flow), count);
}
