/* sum_of_squares: the integral of a sum of squared polynomials, which any positive polynomial is (Jaini et al. 2019,
 * "Sum-of-squares polynomial flow", eq. 9), here with the constant 1 in each, as zuko has them, and a least slope:
 *
 *     z = c + ∫_0^x g,      g = m + (1-m)/K Σ_k (1 + Σ_(l=0)^L a_kl t^l)²,      t = x / tail in -1 … 1,      m = 1e-3.
 *
 * Beyond the tail it goes on with the slope that it has there. Parameters: c, then a_10 … a_1L, a_20 …. The integral is
 * that of a quadrature that is exact for the polynomial: a sum of positive numbers. */
#include "integral.h"

#include <weir/features.h>

static size_t polynomials_of(const nf_choice *self)
{
    return (size_t)nf_choice_value(self, "polynomials");
}

static size_t degree_of(const nf_choice *self)
{
    return (size_t)nf_choice_value(self, "degree");
}

static size_t parameters_of(const nf_choice *self)
{
    return 1 + polynomials_of(self) * (degree_of(self) + 1);
}

/* All polynomials at once, by Horner's scheme: (K, m, n). */
static ad_var density(const nf_choice *self, ad_var t, ad_var parameters)
{
    const double least = 1e-3;
    const size_t k = polynomials_of(self), degree = degree_of(self), n = ad_shape_of(t).dim[1];
    ad_var a = ad_reshape(ad_slice(parameters, 0, 1, 1 + k * (degree + 1)), AD_SHAPE(k, degree + 1, n));
    ad_var p = ad_slice(a, 1, degree, degree + 1);
    for (size_t l = degree; l-- > 0;) p = ad_add(ad_mul(p, t), ad_slice(a, 1, l, l + 1));
    ad_var squares = ad_sum_axis(ad_square(ad_add_scalar(p, 1)), 0);
    return ad_add_scalar(ad_mul_scalar(squares, (1 - least) / (double)k), least);
}

static ad_var inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    ad_var slope, z = nf__integral(self, density, 2 * degree_of(self), x, parameters, &slope);
    *log_derivative = ad_log(slope);
    return ad_add(z, nf_row(parameters, 0));
}

const nf_transformer_type nf__transformer_sum_of_squares = {
    .name = "sum_of_squares",
    .help = "z = c + the integral of a sum of squared polynomials (Jaini et al. 2019)",
    .argument = (const nf_argument[]){{"polynomials", NF_COUNT, 3, 1, 64, NULL, "that are squared"},
                                      {"degree", NF_COUNT, 4, 1, 32, NULL, "of each"},
                                      NF_TAIL_ARGUMENT,
                                      {0}},
    .parameters = parameters_of,
    .inverse = inverse,
};
