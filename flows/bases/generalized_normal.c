/* generalized_normal: independent variables of a learned power β in each feature (Nadarajah 2005, "A generalized normal
 * distribution", eq. 1; the exponential power distribution of Box & Tiao),
 *
 *     log p(z) = Σ_d -|z_d|^{β_d} - log 2Γ(1 + 1/β_d):
 *
 * Laplace's at β = 1, N(0, 1/2) at 2, and the uniform one on (-1, 1) as β grows; 0.2 < β < 20.
 *
 * A draw is s u G^{1/β}, with a sign s, u uniform on (0, 1), and G from Gamma(1 + 1/β) (Devroye 1986, "Non-uniform
 * random variate generation", p. 175), which is Marsaglia & Tsang's (2000, "A simple method for generating gamma
 * variables"): with d = 1 + 1/β - 1/3, c = 1 / √(9d), the first d (1 + c n)³ of normals n that is accepted,
 *
 *     log v < n²/2 + d - d w + d log w,      w = (1 + c n)³ > 0,
 *
 * as more than 95 of 100 are: 16 are drawn, of which none is once in 10²¹ draws; G is then what it is at most likely to
 * be, d. Which one is accepted has no gradient: a draw's, with respect to β, lacks that part, so this is for fits to
 * data, where log p is differentiated. */
#include <weir/bijector.h>

#include <math.h>

enum { TRIALS = 16 };

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec power = {.name = "power",
                               .shape = AD_SHAPE(self->dim),
                               .value = nf_argument_value(self, "power"),
                               .constraint = NF_INTERVAL,
                               .low = 0.2,
                               .high = 20};
    return nf_declare(self, &power, error);
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    const double log_two = 0.69314718055994530942, smallest = 1e-30, largest = 80;
    ad_var power = nf_param(at, "power"), one = ad_scalar(z.tape, 1);
    ad_var size = ad_maximum(ad_abs(z), ad_scalar(z.tape, smallest));
    /* beyond e^80, which no draw comes near, the density is as if it were 0 */
    ad_var exponent = ad_mul(power, ad_log(size)), most = ad_scalar(z.tape, largest);
    ad_var each = ad_add(ad_exp(ad_minimum(exponent, most)), ad_lgamma(ad_add_scalar(ad_div(one, power), 1)));
    return ad_add_scalar(ad_neg(ad_sum(each)), -(double)at->self->dim * log_two);
}

/* log G of each feature. */
static ad_var log_gamma_draw(const nf_scope *at, ad_var shape)
{
    ad_tape *tape = at->tape;
    const ad_shape trials = AD_SHAPE(TRIALS, at->self->dim);
    ad_var d = ad_add_scalar(shape, -1.0 / 3), c = ad_div(ad_scalar(tape, 1), ad_sqrt(ad_mul_scalar(d, 9)));
    ad_var n = ad_normal(tape, trials, 0), v = ad_uniform(tape, trials, 1); // (TRIALS, D)
    ad_var root = ad_add_scalar(ad_mul(c, n), 1), positive = ad_greater(root, ad_scalar(tape, 0));
    ad_var log_w = ad_mul_scalar(ad_log(ad_where(positive, root, ad_scalar(tape, 1))), 3);
    ad_var bound = ad_add(ad_mul_scalar(ad_square(n), 0.5), ad_mul(d, ad_sub(ad_add_scalar(log_w, 1), ad_exp(log_w))));
    ad_var accepted = ad_mul(positive, ad_greater(bound, ad_log(v)));
    ad_var before = ad_sub(ad_cumsum(accepted, 0, false), accepted);
    ad_var first = ad_mul(accepted, ad_equal(before, ad_scalar(tape, 0)));
    return ad_add(ad_log(d), ad_sum_axis(ad_mul(first, log_w), 0));
}

static ad_var sample(const nf_scope *at)
{
    ad_var power = nf_param(at, "power"), one = ad_scalar(at->tape, 1), inverse = ad_div(one, power);
    ad_var u = ad_add_scalar(ad_mul_scalar(ad_uniform(at->tape, AD_SHAPE(at->self->dim), 2), 2), -1);
    return ad_mul(u, ad_exp(ad_mul(inverse, log_gamma_draw(at, ad_add_scalar(inverse, 1)))));
}

static const nf_argument arguments[] = {
    {"power", NF_NUMBER, 2, 0.21, 19.9, NULL, "where each feature's begins"},
    {0},
};

const nf_bijector_type nf__type_generalized_normal = {
    .name = "generalized_normal",
    .help = "log p = -|z|^power + const in each feature, its power learned",
    .argument = arguments,
    .build = build,
    .log_prob = log_prob,
    .sample = sample,
};
