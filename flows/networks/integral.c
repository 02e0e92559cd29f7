/* Integrals by Clenshaw and Curtis (1960, "A method for numerical integration on an automatic computer"): at the
 * extrema of a Chebyshev polynomial, with all weights positive. */
#include "integral.h"

#include <weir/memory.h>

#include <math.h>

/* Nodes and weights of [0, 1]. */
static void fill_rule(size_t steps, double *node, double *weight)
{
    const double pi = 3.14159265358979323846, n = (double)steps;
    for (size_t j = 0; j <= steps; j++) {
        double sum = 1;
        for (size_t k = 1; k <= steps / 2; k++)
            sum -= (2 * k == steps ? 1 : 2) / (4.0 * (double)(k * k) - 1) * cos(2 * (double)(k * j) * pi / n);
        weight[j] = (j == 0 || j == steps ? 0.5 : 1) * sum / n;
        node[j] = (1 - cos((double)j * pi / n)) / 2;
    }
}

ad_var nf__integral(const nf_choice *self, nf__density *g, size_t steps, ad_var x, ad_var parameters, ad_var *end)
{
    const double tail = nf_choice_value(self, "tail");
    steps += steps % 2;
    const size_t n = ad_shape_of(x).dim[0], count = steps + 1;
    double *node = ad_alloc(2 * count, sizeof *node), *weight = node + count;
    if (!node) {
        ad_tape_fail(x.tape, AD_ERROR_MEMORY, "out of memory for an integral of %zu nodes", count);
        return *end = (ad_var){x.tape, -1};
    }
    fill_rule(steps, node, weight);
    ad_var within = ad_maximum(ad_minimum(x, ad_scalar(x.tape, tail)), ad_scalar(x.tape, -tail));
    ad_var t = ad_mul_scalar(within, 1 / tail);
    ad_var at = ad_mul(ad_constant(x.tape, AD_SHAPE(count, 1), node), t), values = g(self, at, parameters);
    ad_var mean = ad_sum_axis(ad_mul(ad_constant(x.tape, AD_SHAPE(count, 1), weight), values), 0);
    ad_free(node);
    *end = ad_reshape(ad_slice(values, 0, steps, count), AD_SHAPE(n)); /* the last node is 1 */
    return ad_add(ad_mul(within, mean), ad_mul(*end, ad_sub(x, within)));
}
