/* Exponential moving average of the weights w (Polyak & Juditsky 1992): at a large learning rate the weights scatter
 * about a better place, and their average is near it. After step t
 *
 *     a += (1 - d) (w - a),      d = min(decay, (1 + t) / (10 + t)),
 *
 * which soon forgets the initial weights (TensorFlow's ExponentialMovingAverage with num_updates). */
#include "training/fit.h"

#include <weir/flow.h>

#include <math.h>

#define DEFINE_EXCHANGE(real, suffix)                                                                                  \
    static void exchange_##suffix(real *restrict average, real *restrict weights, size_t count)                        \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++) {                                                                           \
            real w = weights[i];                                                                                       \
            weights[i] = average[i];                                                                                   \
            average[i] = w;                                                                                            \
        }                                                                                                              \
    }
DEFINE_EXCHANGE(float, f32)
DEFINE_EXCHANGE(double, f64)

double nf__average_part(const nf__training *t)
{
    const double steps = (double)(t->now.step + 1);
    return 1 - fmin(t->o.ema, (1 + steps) / (10 + steps));
}

void nf__exchange_average(nf__training *t)
{
    size_t count = nf_flow_trained_elements(t->flow);
    if (nf_flow_dtype(t->flow) == AD_F32)
        exchange_f32(t->average, nf_flow_parameters(t->flow), count);
    else
        exchange_f64(t->average, nf_flow_parameters(t->flow), count);
}
