/* x = μ + exp(α) z, log dx/dz = α, with α = b tanh(a / b) of what the network says: bounded, smoothly, so that no step
 * of training can blow it up. Parameters: μ, a. */
#include "networks/autoregressive.h"
#include "networks/transformer.h"

#include <weir/bijector.h>

static size_t parameters_of(const nf_bijector *self)
{
    (void)self;
    return 2;
}

static ad_var row(ad_var matrix, size_t i)
{
    return ad_reshape(ad_slice(matrix, 0, i, i + 1), AD_SHAPE(ad_shape_of(matrix).dim[1]));
}

static ad_var map(const nf_scope *at, ad_var v, ad_var parameters, bool inverse, ad_var *log_derivative)
{
    double bound = nf_argument_value(at->self, "bound");
    ad_var shift = row(parameters, 0), a = row(parameters, 1);
    ad_var log_scale = ad_mul_scalar(ad_tanh(ad_mul_scalar(a, 1 / bound)), bound);
    if (!inverse) {
        *log_derivative = log_scale;
        return ad_add(ad_mul(v, ad_exp(log_scale)), shift);
    }
    *log_derivative = ad_neg(log_scale);
    return ad_mul(ad_sub(v, shift), ad_exp(*log_derivative));
}

const nf_transformer nf__affine_transformer = {.parameters = parameters_of, .map = map};
