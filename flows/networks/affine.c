/* affine: x = μ + exp(α) z, log dx/dz = α, with α = b tanh(a / b) of what the network says: bounded, smoothly, so that
 * no step of training can blow it up. Parameters: μ, a. */
#include <weir/features.h>
#include <weir/transformer.h>

static size_t parameters_of(const nf_choice *self)
{
    (void)self;
    return 2;
}

static ad_var log_scale_of(const nf_choice *self, ad_var parameters)
{
    double bound = nf_choice_value(self, "bound");
    return ad_mul_scalar(ad_tanh(ad_mul_scalar(nf_row(parameters, 1), 1 / bound)), bound);
}

static ad_var forward(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative)
{
    ad_var shift = nf_row(parameters, 0);
    *log_derivative = log_scale_of(self, parameters);
    return ad_add(ad_mul(z, ad_exp(*log_derivative)), shift);
}

static ad_var inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    ad_var shift = nf_row(parameters, 0);
    *log_derivative = ad_neg(log_scale_of(self, parameters));
    return ad_mul(ad_sub(x, shift), ad_exp(*log_derivative));
}

const nf_transformer_type nf_transformer_affine = {
    .name = "affine",
    .help = "x = mu + exp(alpha) z, |alpha| < bound",
    .argument = (const nf_argument[]){NF_AFFINE_ARGUMENTS, {0}},
    .parameters = parameters_of,
    .forward = forward,
    .inverse = inverse,
};
