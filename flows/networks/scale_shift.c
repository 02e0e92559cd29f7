/* scale_shift: z = s x + t, the affine map from the data's side, as other libraries have it, with a scale s of one of
 * these forms. Parameters: t, a. Each is the identity where they are 0.
 *
 *     exp        s = exp(a / (1 + |a| / log 1000)), from 1/1000 to 1000 (zuko's MonotonicAffineTransform)
 *     softplus   s = 1e-3 + softplus(a + a_1), s = 1 at a = 0 (nflows' MaskedAffineAutoregressiveTransform)
 *     sigmoid    s = 1e-3 + sigmoid(a + a_1), at most 1.001, s = 1 at a = 0 (nflows' AffineCouplingTransform) */
#include <weir/features.h>
#include <weir/transformer.h>

#include <math.h>

static const double least = 1e-3;

static size_t parameters_of(const nf_choice *self)
{
    (void)self;
    return 2;
}

static ad_var log_exponential(ad_var a)
{
    return ad_div(a, ad_add_scalar(ad_mul_scalar(ad_abs(a), -1 / log(least)), 1));
}

static ad_var log_softplus(ad_var a)
{
    return ad_log(ad_add_scalar(ad_softplus(ad_add_scalar(a, log(expm1(1 - least)))), least));
}

static ad_var log_sigmoid(ad_var a)
{
    return ad_log(ad_add_scalar(ad_sigmoid(ad_add_scalar(a, log(1 / least - 1))), least));
}

static ad_var log_scale_of(const nf_choice *self, ad_var parameters)
{
    static ad_var (*const forms[])(ad_var) = {log_exponential, log_softplus, log_sigmoid};
    return forms[(int)nf_choice_value(self, "scale")](nf_row(parameters, 1));
}

static ad_var forward(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative)
{
    *log_derivative = ad_neg(log_scale_of(self, parameters));
    return ad_mul(ad_sub(z, nf_row(parameters, 0)), ad_exp(*log_derivative));
}

static ad_var inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    *log_derivative = log_scale_of(self, parameters);
    return ad_add(ad_mul(x, ad_exp(*log_derivative)), nf_row(parameters, 0));
}

const nf_transformer_type nf__transformer_scale_shift = {
    .name = "scale_shift",
    .help = "z = scale x + shift, as zuko and nflows have it",
    .argument = (const nf_argument[]){{"scale", NF_CHOICE, 0, 0, 0, "exp|softplus|sigmoid", "its form"}, {0}},
    .parameters = parameters_of,
    .forward = forward,
    .inverse = inverse,
};
