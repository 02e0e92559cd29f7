/* umnn: the integral of a positive network of one variable, by Clenshaw and Curtis (Wehenkel & Louppe 2019,
 * "Unconstrained monotonic neural networks", eq. 2 and section 4.1):
 *
 *     z = c + ∫_0^x f,      f = exp(b + Σ_i v_i tanh(w_i t + d_i)),      t = x / tail in -1 … 1.
 *
 * There the network sees t and an embedding; here the conditioner's outputs are all of its numbers, which, as the last
 * layer of a conditioner is linear, holds the former: a hidden layer whose biases alone depend on what is seen. It is
 * bounded, so that the quadrature keeps digits and its derivative is positive, whatever the parameters are:
 * |w_i| < 10, |b| < 3, Σ |v_i| < 3. With 32 steps that derivative is within 3% of f at the worst of parameters (and
 * 1e-9 at usual ones); it is the derivative, by the tape, that goes into the density, which so is the map's own
 * exactly.
 *
 * Units are spread over -1 … 1, each with a slope of as many as they are, half of 10 at most, where their parameters
 * are 0. Beyond the tail the map goes on with the slope f that it has there. Parameters: c, b, then H of v, w and d. */
#include "integral.h"

#include <weir/features.h>
#include <weir/memory.h>

#include <math.h>

#include <math.h>

static const double steepest = 10, bound = 3;

static size_t units_of(const nf_choice *self)
{
    return (size_t)nf_choice_value(self, "units");
}

static size_t parameters_of(const nf_choice *self)
{
    return 2 + 3 * units_of(self);
}

/* (H, 1, 1): where the units are, from -1 to 1. */
static ad_var centres(ad_tape *tape, size_t units)
{
    double *centre = ad_alloc(units, sizeof *centre);
    if (!centre) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a network of %zu units", units);
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < units; i++) centre[i] = (2 * (double)i + 1) / (double)units - 1;
    ad_var column = ad_constant(tape, AD_SHAPE(units, 1, 1), centre);
    ad_free(centre);
    return column;
}

/* u, bounded: bound u / √(bound² + H Σ u²), of which the sum of absolute values is below the bound. */
static ad_var bounded(ad_var u, size_t units)
{
    ad_var squares = ad_sum_axis(ad_square(u), 0);
    ad_var norm = ad_sqrt(ad_add_scalar(ad_mul_scalar(squares, (double)units), bound * bound));
    return ad_mul_scalar(ad_div(u, norm), bound);
}

static ad_var density(const nf_choice *self, ad_var t, ad_var parameters)
{
    const size_t h = units_of(self), n = ad_shape_of(t).dim[1];
    ad_var own = ad_reshape(ad_slice(parameters, 0, 2, 2 + 3 * h), AD_SHAPE(3, h, n));
    ad_var v = bounded(ad_reshape(ad_slice(own, 0, 0, 1), AD_SHAPE(h, n)), h);
    ad_var w = ad_reshape(ad_slice(own, 0, 1, 2), AD_SHAPE(h, 1, n));
    ad_var d = ad_reshape(ad_slice(own, 0, 2, 3), AD_SHAPE(h, 1, n));
    const double share = fmin((double)h / steepest, 0.5), w1 = atanh(share);
    ad_var slope = ad_mul_scalar(ad_tanh(ad_add_scalar(w, w1)), steepest);
    ad_var unit = ad_tanh(ad_add(ad_mul(slope, ad_sub(t, centres(t.tape, h))), d));
    ad_var b = ad_mul_scalar(ad_tanh(ad_mul_scalar(nf_row(parameters, 1), 1 / bound)), bound);
    return ad_exp(ad_add(ad_sum_axis(ad_mul(ad_reshape(v, AD_SHAPE(h, 1, n)), unit), 0), b));
}

static ad_var inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    (void)log_derivative; /* left to the engine */
    ad_var slope, z = nf__integral(self, density, (size_t)nf_choice_value(self, "steps"), x, parameters, &slope);
    return ad_add(z, nf_row(parameters, 0));
}

const nf_transformer_type nf__transformer_umnn = {
    .name = "umnn",
    .help = "z = c + the integral of a positive network (Wehenkel & Louppe 2019)",
    .argument = (const nf_argument[]){{"units", NF_COUNT, 16, 1, 256, NULL, "of the network"},
                                      {"steps", NF_COUNT, 32, 32, 1024, NULL, "of the quadrature, made even"},
                                      NF_TAIL_ARGUMENT,
                                      {0}},
    .parameters = parameters_of,
    .inverse = inverse,
};
