/* additive: x = z + μ, of slope 1: couplings that keep volumes (Dinh et al. 2015, "NICE", eq. 5). Parameter: μ. */
#include <weir/features.h>
#include <weir/transformer.h>

static size_t parameters_of(const nf_choice *self)
{
    (void)self;
    return 1;
}

static ad_var forward(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative)
{
    (void)self;
    *log_derivative = ad_mul_scalar(z, 0);
    return ad_add(z, nf_row(parameters, 0));
}

static ad_var inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    (void)self;
    *log_derivative = ad_mul_scalar(x, 0);
    return ad_sub(x, nf_row(parameters, 0));
}

const nf_transformer_type nf__transformer_additive = {
    .name = "additive",
    .help = "x = z + mu",
    .parameters = parameters_of,
    .forward = forward,
    .inverse = inverse,
};
