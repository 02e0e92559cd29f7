/* bernstein: increasing Bernstein polynomials (Ramasinghe et al. 2021, "Robust normalizing flows using Bernstein-type
 * polynomials", eq. 4; Sick et al. 2020, "Deep transformation models", eq. 5) of degree M, with lines beyond them:
 *
 *     z = μ + Σ_(k=0)^M c_k b_(k,M)(t),      dz/dx = Σ_(k=1)^M δ_k b_(k-1,M-1)(t),      t = (x + B) / 2B in 0 … 1,
 *     b_(k,M)(t) = (M choose k) t^k (1-t)^(M-k),      c_k = 2B/M (δ_1 + … + δ_k - (δ_1 + … + δ_M)/2).
 *
 * The parameters are μ and M of the δ_k = m + softplus(u + u_1), 1 at u = 0, which are the slopes that the polynomial
 * is made of: those of its ends, by which it goes on beyond ±B, the argument `tail`, are δ_1 and δ_M. */
#include "spline.h"

#include <weir/features.h>
#include <weir/memory.h>

enum { MOST = 64 }; /* of the degree: binomials and powers are numbers of float32 still */

/* (count, n): 1, t, t² … */
static ad_var powers(ad_var t, size_t count)
{
    const size_t n = ad_shape_of(t).dim[0];
    ad_var all = ad_broadcast(ad_scalar(t.tape, 1), AD_SHAPE(1, n));
    for (size_t have = 1; have < count; have *= 2, t = ad_square(t))
        all = ad_concat((ad_var[]){all, ad_mul(all, t)}, 2, 0);
    return ad_slice(all, 0, 0, count);
}

/* The (degree choose k), (degree + 1, 1). */
static ad_var binomials(ad_tape *tape, size_t degree)
{
    double *binomial = ad_alloc(degree + 1, sizeof *binomial);
    if (!binomial) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a polynomial of degree %zu", degree);
        return (ad_var){tape, -1};
    }
    binomial[0] = 1;
    for (size_t k = 1; k <= degree; k++) binomial[k] = binomial[k - 1] * (double)(degree - k + 1) / (double)k;
    ad_var column = ad_constant(tape, AD_SHAPE(degree + 1, 1), binomial);
    ad_free(binomial);
    return column;
}

/* Σ_k coefficient_k b_k, of powers of t and, in reverse, of 1-t: all (degree + 1, n). */
static ad_var combine(ad_var coefficient, ad_var rising, ad_var falling, size_t degree)
{
    ad_var basis = ad_mul(ad_mul(rising, falling), binomials(coefficient.tape, degree));
    return ad_sum_axis(ad_mul(coefficient, basis), 0);
}

static ad_var in_reverse(ad_var a, size_t count)
{
    size_t index[MOST + 1];
    for (size_t k = 0; k < count; k++) index[k] = count - 1 - k;
    return ad_gather(a, index, count);
}

static size_t degree_of(const nf_choice *self)
{
    return (size_t)nf_choice_value(self, "degree");
}

static size_t parameters_of(const nf_choice *self)
{
    return degree_of(self) + 1;
}

static ad_var inverse(const nf_choice *self, ad_var x, ad_var parameters, ad_var *log_derivative)
{
    const double tail = nf_choice_value(self, "tail");
    const size_t degree = degree_of(self), n = ad_shape_of(x).dim[0];
    ad_var within = ad_maximum(ad_minimum(x, ad_scalar(x.tape, tail)), ad_scalar(x.tape, -tail));
    ad_var place = ad_mul_scalar(within, 0.5 / tail);
    ad_var rising = powers(ad_add_scalar(place, 0.5), degree + 1);
    ad_var falling = in_reverse(powers(ad_add_scalar(ad_neg(place), 0.5), degree + 1), degree + 1);
    ad_var delta = nf__spline_positive(ad_slice(parameters, 0, 1, degree + 1));
    ad_var none = ad_broadcast(ad_scalar(x.tape, 0), AD_SHAPE(1, n));
    ad_var sums = ad_concat((ad_var[]){none, ad_cumsum(delta, 0, false)}, 2, 0);
    ad_var half = ad_mul_scalar(ad_sum_axis(delta, 0), 0.5);
    ad_var c = ad_mul_scalar(ad_sub(sums, half), 2 * tail / (double)degree);
    ad_var slope = combine(delta, ad_slice(rising, 0, 0, degree), ad_slice(falling, 0, 1, degree + 1), degree - 1);
    *log_derivative = ad_log(slope);
    ad_var z = ad_add(combine(c, rising, falling, degree), ad_mul(slope, ad_sub(x, within)));
    return ad_add(z, nf_row(parameters, 0));
}

const nf_transformer_type nf__transformer_bernstein = {
    .name = "bernstein",
    .help = "z = an increasing Bernstein polynomial of x (Ramasinghe et al. 2021)",
    .argument =
        (const nf_argument[]){{"degree", NF_COUNT, 16, 1, MOST, NULL, "of the polynomial"}, NF_TAIL_ARGUMENT, {0}},
    .parameters = parameters_of,
    .inverse = inverse,
};
