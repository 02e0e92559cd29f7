/* Probabilities of whole numbers. */
#include "densities/support.h"

/* Below 0, or between whole numbers. */
static ad_var not_a_count(ad_var x)
{
    return either(below(x, 0), ad_greater(x, ad_floor(x)));
}

static ad_var not_up_to(ad_var x, ad_var most)
{
    return either(not_a_count(x), ad_greater(x, most));
}

/* log C(n, x) = -log(n + 1) - log B(x + 1, n - x + 1) */
static ad_var log_choose(ad_var n, ad_var x)
{
    ad_var beta = ad_lbeta(ad_add_scalar(x, 1), ad_add_scalar(ad_sub(n, x), 1));
    return ad_neg(ad_add(beta, ad_log1p(n)));
}

/* ---- Of a number of trials -------------------------------------------------------------------------------------- */

ad_var nf_log_bernoulli_each(ad_var x, ad_var p)
{
    ad_var one = ad_scalar(x.tape, 1), outside = not_up_to(x, one), inside = kept(outside, x, 0);
    return supported(outside, ad_add(times_log(inside, p), times_log_1_minus(ad_sub(one, inside), p)));
}

/* -softplus(-logit) for 1, -softplus(logit) for 0. */
ad_var nf_log_bernoulli_logit_each(ad_var x, ad_var logit)
{
    ad_var one = ad_scalar(x.tape, 1), sign = ad_sub(one, ad_mul_scalar(x, 2));
    return supported(not_up_to(x, one), ad_neg(ad_softplus(ad_mul(sign, logit))));
}

ad_var nf_log_binomial_each(ad_var x, ad_var n, ad_var p)
{
    ad_var outside = not_up_to(x, n), inside = kept(outside, x, 0);
    ad_var both = ad_add(times_log(inside, p), times_log_1_minus(ad_sub(n, inside), p));
    return supported(outside, ad_add(log_choose(n, inside), both));
}

ad_var nf_log_binomial_logit_each(ad_var x, ad_var n, ad_var logit)
{
    ad_var outside = not_up_to(x, n), inside = kept(outside, x, 0);
    ad_var hit = ad_mul(inside, ad_softplus(ad_neg(logit))), miss = ad_mul(ad_sub(n, inside), ad_softplus(logit));
    return supported(outside, ad_sub(log_choose(n, inside), ad_add(hit, miss)));
}

ad_var nf_log_beta_binomial_each(ad_var x, ad_var n, ad_var a, ad_var b)
{
    ad_var outside = not_up_to(x, n), inside = kept(outside, x, 0), good_a = positive(a), good_b = positive(b);
    ad_var ratio =
        ad_sub(ad_lbeta(ad_add(inside, good_a), ad_add(ad_sub(n, inside), good_b)), ad_lbeta(good_a, good_b));
    return supported(outside, ad_add(log_choose(n, inside), ratio));
}

/* ---- Without a largest number ----------------------------------------------------------------------------------- */

static ad_var log_factorial(ad_var x)
{
    return ad_lgamma(ad_add_scalar(x, 1));
}

ad_var nf_log_poisson_each(ad_var x, ad_var rate)
{
    ad_var outside = not_a_count(x), inside = kept(outside, x, 0);
    return supported(outside, ad_sub(times_log(inside, rate), ad_add(rate, log_factorial(inside))));
}

ad_var nf_log_poisson_log_each(ad_var x, ad_var log_rate)
{
    ad_var outside = not_a_count(x), inside = kept(outside, x, 0);
    return supported(outside, ad_sub(ad_mul(inside, log_rate), ad_add(ad_exp(log_rate), log_factorial(inside))));
}

/* log of Γ(x + φ) / (Γ(φ) x!) = 1 / ((x + φ) B(φ, x + 1)), in which nothing cancels where φ is large. */
static ad_var log_arrangements(ad_var x, ad_var dispersion)
{
    return ad_neg(ad_add(ad_lbeta(dispersion, ad_add_scalar(x, 1)), ad_log(ad_add(x, dispersion))));
}

ad_var nf_log_negative_binomial_each(ad_var x, ad_var mean, ad_var dispersion)
{
    ad_var outside = not_a_count(x), inside = kept(outside, x, 0), phi = positive(dispersion);
    ad_var ratio = ad_div(mean, phi), rest = ad_mul(ad_add(inside, phi), ad_log1p(ratio));
    return supported(outside, ad_add(log_arrangements(inside, phi), ad_sub(times_log(inside, ratio), rest)));
}

ad_var nf_log_negative_binomial_log_each(ad_var x, ad_var log_mean, ad_var dispersion)
{
    ad_var outside = not_a_count(x), inside = kept(outside, x, 0), phi = positive(dispersion);
    ad_var ratio = ad_sub(log_mean, ad_log(phi)), rest = ad_mul(ad_add(inside, phi), ad_softplus(ratio));
    return supported(outside, ad_add(log_arrangements(inside, phi), ad_sub(ad_mul(inside, ratio), rest)));
}

/* ---- Categories ------------------------------------------------------------------------------------------------- */

/* 0 … count-1 */
static ad_var numbers_below(ad_tape *tape, size_t count)
{
    double *value = ad_alloc(count, sizeof *value);
    if (!value) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for %zu categories", count);
        return (ad_var){tape, -1};
    }
    for (size_t k = 0; k < count; k++) value[k] = (double)k;
    ad_var numbers = ad_constant(tape, AD_SHAPE(count), value);
    ad_free(value);
    return numbers;
}

/* x (…) as (…,1), against which a vector (K) broadcasts. */
static ad_var as_column(ad_var x)
{
    ad_shape shape = ad_shape_of(x);
    if (shape.rank >= AD_MAX_RANK) return x; /* the op that is next will say so */
    shape.dim[shape.rank++] = 1;
    return ad_reshape(x, shape);
}

static ad_var sum_of_last(ad_var x)
{
    return ad_sum_axis(x, ad_shape_of(x).rank - 1);
}

static ad_var wrong_shape(ad_var v, const char *function, const char *what, const char *takes)
{
    char text[128];
    if (ad_is_valid(v))
        ad_tape_fail(v.tape, AD_ERROR_ARGUMENT, "%s: %s %s: takes %s", function, what,
                     ad_shape_text(ad_shape_of(v), text), takes);
    return (ad_var){v.tape, -1};
}

ad_var nf_log_categorical_logit_each(ad_var x, ad_var logits)
{
    const ad_shape shape = ad_shape_of(logits);
    if (shape.rank < 1 || shape.rank > 2)
        return wrong_shape(logits, "nf_log_categorical_logit", "logits", "(K) or (N,K)");
    const size_t categories = shape.dim[shape.rank - 1];
    ad_var outside = not_up_to(x, ad_scalar(x.tape, (double)categories - 1)), inside = kept(outside, x, 0);
    ad_var taken = ad_equal(as_column(inside), numbers_below(x.tape, categories));
    ad_var log_p = ad_sub(sum_of_last(ad_where(taken, logits, ad_scalar(x.tape, 0))), ad_logsumexp_axis(logits, shape.rank - 1));
    return supported(outside, ad_add(log_p, ad_mul_scalar(inside, 0)));
}

/* log(sigmoid(a) - sigmoid(b)) = log sigmoid(a) + log sigmoid(-b) + log(1 - e^(b-a)), for a > b: the last is of the
 * cutpoints alone. */
ad_var nf_log_ordered_logistic_each(ad_var x, ad_var eta, ad_var cutpoints)
{
    const ad_shape shape = ad_shape_of(cutpoints);
    if (shape.rank != 1) return wrong_shape(cutpoints, "nf_log_ordered_logistic", "cutpoints", "(K-1)");
    const size_t cuts = shape.dim[0];
    ad_tape *tape = x.tape;
    ad_var outside = not_up_to(x, ad_scalar(tape, (double)cuts)), inside = kept(outside, x, 0);
    ad_var category = as_column(inside), number = numbers_below(tape, cuts);
    ad_var distance = ad_sub(as_column(eta), cutpoints);
    ad_var above_cut = ad_mul(ad_equal(category, ad_add_scalar(number, 1)), ad_softplus(ad_neg(distance)));
    ad_var below_cut = ad_mul(ad_equal(category, number), ad_softplus(distance));
    ad_var log_p = ad_neg(sum_of_last(ad_add(above_cut, below_cut)));
    if (cuts > 1) {
        ad_var gap = ad_sub(ad_slice(cutpoints, 0, 1, cuts), ad_slice(cutpoints, 0, 0, cuts - 1));
        ad_var between = ad_equal(category, ad_slice(number, 0, 1, cuts));
        log_p = ad_add(log_p, sum_of_last(ad_mul(between, ad_log(ad_neg(ad_expm1(ad_neg(gap)))))));
    }
    return supported(outside, ad_add(log_p, ad_mul_scalar(inside, 0)));
}

NF_SUM_1(bernoulli)
NF_SUM_1(bernoulli_logit)
NF_SUM_2(binomial)
NF_SUM_2(binomial_logit)
NF_SUM_3(beta_binomial)
NF_SUM_1(poisson)
NF_SUM_1(poisson_log)
NF_SUM_2(negative_binomial)
NF_SUM_2(negative_binomial_log)
NF_SUM_1(categorical_logit)
NF_SUM_2(ordered_logistic)
