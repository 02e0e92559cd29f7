/* Log-densities: each against SciPy's values, of golden/densities.txt, in both dtypes, with arguments shared and of
 * each row; and gradients against finite differences. */
#include "autodiff/engine.h"
#include "scratch.h"

#include <weir/densities.h>

#include <float.h>

enum { MOST_ARGUMENTS = 4, MOST_NUMBERS = 64 };

/* Record NAME(arguments), or NAME_each(). */
#define DENSITY_2(name)                                                                                                \
    static ad_var record_##name(const ad_var *v, bool each)                                                            \
    {                                                                                                                  \
        return each ? nf_log_##name##_each(v[0], v[1]) : nf_log_##name(v[0], v[1]);                                    \
    }
#define DENSITY_3(name)                                                                                                \
    static ad_var record_##name(const ad_var *v, bool each)                                                            \
    {                                                                                                                  \
        return each ? nf_log_##name##_each(v[0], v[1], v[2]) : nf_log_##name(v[0], v[1], v[2]);                        \
    }
#define DENSITY_4(name)                                                                                                \
    static ad_var record_##name(const ad_var *v, bool each)                                                            \
    {                                                                                                                  \
        return each ? nf_log_##name##_each(v[0], v[1], v[2], v[3]) : nf_log_##name(v[0], v[1], v[2], v[3]);            \
    }
#define PIECE(name, whole, elements)                                                                                   \
    static ad_var record_##name(const ad_var *v, bool each)                                                            \
    {                                                                                                                  \
        return each ? (elements) : (whole);                                                                            \
    }

DENSITY_3(normal)
DENSITY_4(student_t)
DENSITY_3(cauchy)
DENSITY_3(laplace)
DENSITY_3(logistic)
DENSITY_3(lognormal)
DENSITY_2(half_normal)
DENSITY_2(half_cauchy)
DENSITY_2(exponential)
DENSITY_3(gamma)
DENSITY_3(inverse_gamma)
DENSITY_2(chi_square)
DENSITY_3(weibull)
DENSITY_3(beta)
DENSITY_3(uniform)
DENSITY_2(bernoulli)
DENSITY_2(bernoulli_logit)
DENSITY_3(binomial)
DENSITY_3(binomial_logit)
DENSITY_4(beta_binomial)
DENSITY_2(poisson)
DENSITY_2(poisson_log)
DENSITY_3(negative_binomial)
DENSITY_3(negative_binomial_log)
DENSITY_2(categorical_logit)
DENSITY_3(ordered_logistic)
DENSITY_3(multivariate_normal)
DENSITY_3(multivariate_normal_precision)
DENSITY_4(multivariate_student_t)
DENSITY_2(dirichlet)
DENSITY_2(multinomial)
PIECE(lkj_cholesky, nf_log_lkj_cholesky(v[0], v[1]), nf_log_lkj_cholesky(v[0], v[1]))
PIECE(mixture, nf_log_mixture(v[0], v[1]), nf_log_mixture(v[0], v[1]))
#define COVARIANCE(name)                                                                                               \
    PIECE(name, ad_sum(nf_covariance_##name(v[0], v[1], v[2], 0.125)), nf_covariance_##name(v[0], v[1], v[2], 0.125))
COVARIANCE(squared_exponential)
COVARIANCE(matern32)
COVARIANCE(matern52)

#define ENTRY(name, data)                                                                                              \
    {                                                                                                                  \
#name, record_##name, data                                                                                     \
    }
static const struct {
    const char *name;
    ad_var (*record)(const ad_var *, bool each);
    int data; /* arguments, at the front, that have no gradient */
} densities[] = {
    ENTRY(normal, 0),
    ENTRY(student_t, 0),
    ENTRY(cauchy, 0),
    ENTRY(laplace, 0),
    ENTRY(logistic, 0),
    ENTRY(lognormal, 0),
    ENTRY(half_normal, 0),
    ENTRY(half_cauchy, 0),
    ENTRY(exponential, 0),
    ENTRY(gamma, 0),
    ENTRY(inverse_gamma, 0),
    ENTRY(chi_square, 0),
    ENTRY(weibull, 0),
    ENTRY(beta, 0),
    ENTRY(uniform, 0),
    ENTRY(bernoulli, 1),
    ENTRY(bernoulli_logit, 1),
    ENTRY(binomial, 2),
    ENTRY(binomial_logit, 2),
    ENTRY(beta_binomial, 2),
    ENTRY(poisson, 1),
    ENTRY(poisson_log, 1),
    ENTRY(negative_binomial, 1),
    ENTRY(negative_binomial_log, 1),
    ENTRY(categorical_logit, 1),
    ENTRY(ordered_logistic, 1),
    ENTRY(multivariate_normal, 0),
    ENTRY(multivariate_normal_precision, 0),
    ENTRY(multivariate_student_t, 0),
    ENTRY(dirichlet, 0),
    ENTRY(multinomial, 1),
    ENTRY(lkj_cholesky, 0),
    ENTRY(mixture, 0),
    ENTRY(squared_exponential, 0),
    ENTRY(matern32, 0),
    ENTRY(matern52, 0),
};

/* ---- The golden file ------------------------------------------------------------------------------------------- */

typedef struct {
    bool edge;
    int n_argument;
    ad_shape shape[MOST_ARGUMENTS];
    double value[MOST_ARGUMENTS][MOST_NUMBERS], expected[MOST_NUMBERS];
    size_t n_expected;
} golden_case;

static double next_number(FILE *file)
{
    char word[64];
    ck_assert_int_eq(fscanf(file, "%63s", word), 1);
    return strtod(word, NULL);
}

/* The next line's case; false at the end. */
static bool read_case(FILE *file, char name[64], golden_case *c)
{
    char word[64];
    if (fscanf(file, "%63s", word) != 1) return false;
    c->edge = word[0] == '!';
    strcpy(name, word + (c->edge ? 1 : 0));
    c->n_argument = (int)next_number(file);
    ck_assert_int_le(c->n_argument, MOST_ARGUMENTS);
    for (int i = 0; i < c->n_argument; i++) {
        c->shape[i].rank = (int)next_number(file);
        for (int axis = 0; axis < c->shape[i].rank; axis++) c->shape[i].dim[axis] = (size_t)next_number(file);
        ck_assert_uint_le(ad_shape_size(c->shape[i]), MOST_NUMBERS);
        for (size_t k = 0; k < ad_shape_size(c->shape[i]); k++) c->value[i][k] = next_number(file);
    }
    c->n_expected = (size_t)next_number(file);
    ck_assert_uint_le(c->n_expected, MOST_NUMBERS);
    for (size_t k = 0; k < c->n_expected; k++) c->expected[k] = next_number(file);
    return true;
}

/* Call test for each line of the density's. */
static void for_each_case(int density, void (*test)(int density, const golden_case *))
{
    FILE *file = fopen(WEIR_GOLDEN_DIR "/densities.txt", "r");
    ck_assert_ptr_nonnull(file);
    char name[64];
    golden_case c;
    int lines = 0;
    while (read_case(file, name, &c)) {
        if (strcmp(name, densities[density].name) != 0) continue;
        test(density, &c);
        lines++;
    }
    fclose(file);
    ck_assert_msg(lines > 0, "%s isn't in the file", densities[density].name);
}

/* ---- Values and gradients -------------------------------------------------------------------------------------- */

enum { ROWS = 3 };

/* Bit i of per_row says that argument i is given for each row, the same for all. */
static void bind_case(problem *p, const golden_case *c, unsigned per_row)
{
    for (int i = 0; i < c->n_argument; i++) {
        const size_t size = ad_shape_size(c->shape[i]);
        double *value = problem_array(p, ROWS * size);
        for (size_t k = 0; k < ROWS * size; k++) value[k] = c->value[i][k % size];
        bind(p, per_row >> i & 1, c->shape[i], value);
    }
}

static void assert_near(int density, double got, double expected, ad_dtype dtype, const char *what)
{
    const double tolerance = dtype == AD_F32 ? 2e-5 : 2e-13;
    const bool near = isfinite(expected) ? fabs(got - expected) <= tolerance * (1 + fabs(expected))
                      : isnan(expected)  ? isnan(got)
                                         : got == expected;
    ck_assert_msg(near, "%s, %s, %s: %.17g, expected %.17g", densities[density].name, what, ad_dtype_name(dtype), got,
                  expected);
}

static void compare_values(int density, const golden_case *c)
{
    double sum = 0;
    for (size_t k = 0; k < c->n_expected; k++) sum += c->expected[k];
    for (unsigned per_row = 0; per_row < 1u << c->n_argument; per_row++)
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            problem p = problem_new(ROWS, 0);
            bind_case(&p, c, per_row);
            ad_var y[] = {densities[density].record(p.leaf, true), densities[density].record(p.leaf, false)};
            ck_assert_msg(ad_is_valid(y[0]) && ad_is_valid(y[1]), "%s", ad_tape_error(p.tape)->message);
            ck_assert_uint_eq(size_of(y[0]), c->n_expected);
            ck_assert_int_eq(ad_shape_of(y[1]).rank, 0);
            double *value[2];
            evaluate(&p, y, 2, dtype, value);
            for (size_t k = 0; k < extent_of(&p, y[0]); k++)
                assert_near(density, value[0][k], c->expected[k % c->n_expected], dtype, "each");
            for (size_t r = 0; r < extent_of(&p, y[1]); r++) assert_near(density, value[1][r], sum, dtype, "sum");
            problem_free(&p);
        }
}

START_TEST(values)
{
    for_each_case(_i, compare_values);
}
END_TEST

static void compare_gradients(int density, const golden_case *c)
{
    const int data = densities[density].data;
    for (unsigned per_row = 0; per_row < 1u << c->n_argument && !c->edge; per_row++) {
        problem p = problem_new(ROWS, 0);
        ad_error error;
        bind_case(&p, c, per_row);
        ad_var y = densities[density].record(p.leaf, false);
        if (ad_is_per_row(y)) y = ad_sum_rows(y);
        ad_status status = ad_gradcheck(y, p.leaf + data, c->n_argument - data, p.leaf, p.value, p.n_leaf,
                                        &(ad_gradcheck_options){.rows = ROWS, .seed = p.seed}, NULL, &error);
        ck_assert_msg(status == AD_OK, "%s: %s", densities[density].name, error.message);
        problem_free(&p);
    }
}

START_TEST(gradients)
{
    for_each_case(_i, compare_gradients);
}
END_TEST

/* Gradients are finite, and 0 of what is outside of the support. */
static void look_at_edges(int density, const golden_case *c)
{
    const int data = densities[density].data;
    if (!c->edge || c->expected[0] != -INFINITY || data > 0 || c->shape[0].rank != 1) return;
    problem p = problem_new(ROWS, 0);
    bind_case(&p, c, 1);
    ad_var x = p.leaf[0];
    double *slope = value_of(&p, ad_grad1(densities[density].record(p.leaf, false), x), AD_F64);
    if (c->value[0][0] != 0 && isfinite(c->value[0][0]))
        ck_assert_msg(slope[0] == 0, "%s: gradient %g outside", densities[density].name, slope[0]);
    problem_free(&p);
}

START_TEST(outside)
{
    for_each_case(_i, look_at_edges);
}
END_TEST

START_TEST(refusals)
{
    static const char *const messages[] = {
        "nf_log_categorical_logit: logits (): takes (K) or (N,K)",
        "nf_log_ordered_logistic: cutpoints (): takes (K-1)",
        "nf_log_mixture: log_density (): takes (K) or (N,K)",
        "covariance: inputs (): takes (N) or (N,D)",
        "diagonal: matrix (2): takes (n,n)",
    };
    for (int i = 0; i < (int)COUNT(messages); i++) {
        ad_tape *tape = ad_tape_new();
        ad_var one = ad_scalar(tape, 1), two = ad_param(tape, "two", AD_SHAPE(2));
        ad_var made = i == 0   ? nf_log_categorical_logit(one, one)
                      : i == 1 ? nf_log_ordered_logistic(one, one, one)
                      : i == 2 ? nf_log_mixture(one, one)
                      : i == 3 ? nf_covariance_matern32(one, one, one, 0)
                               : nf_log_lkj_cholesky(two, one);
        ck_assert(!ad_is_valid(made));
        assert_message(ad_tape_error(tape), AD_ERROR_ARGUMENT, messages[i]);
        ad_tape_free(tape);
    }
}
END_TEST

/* Values of no tape, of a tape that failed, and of another tape. */
START_TEST(what_is_none)
{
    ad_tape *tape = ad_tape_new(), *other = ad_tape_new();
    const ad_var good = ad_param(tape, "good", AD_SHAPE(2, 2)), foreign = ad_param(other, "x", AD_SHAPE(2, 2));
    const ad_var bad = ad_reshape(ad_scalar(tape, 1), AD_SHAPE(2)), none = {NULL, -1};
    const ad_var operand[] = {none, bad, foreign};
    for (size_t i = 0; i < COUNT(operand); i++)
        for (int k = 0; k < MOST_ARGUMENTS; k++) {
            ad_var v[MOST_ARGUMENTS] = {good, good, good, good};
            v[k] = operand[i];
            ad_var each = densities[_i].record(v, true), sum = densities[_i].record(v, false);
            ck_assert(k > 1 || (!ad_is_valid(each) && !ad_is_valid(sum)));
        }
    ad_tape_free(other);
    ad_tape_free(tape);
}
END_TEST

/* Any allocation of a recording may fail. */
static void starve(int density, const golden_case *c)
{
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(allowed);
        ad_tape *tape = ad_tape_new();
        ad_var v[MOST_ARGUMENTS];
        for (int i = 0; i < c->n_argument; i++) v[i] = ad_param(tape, NULL, c->shape[i]);
        const bool valid = ad_is_valid(densities[density].record(v, false));
        denied = memory.denied;
        memory_unlimited();
        ck_assert(valid != denied);
        ck_assert(!denied || ad_tape_error(tape)->status == AD_ERROR_MEMORY);
        ad_tape_free(tape);
    }
}

START_TEST(memory_runs_out)
{
    for_each_case(_i, starve);
}
END_TEST

Suite *densities_suite(void)
{
    Suite *suite = suite_create("densities");
    TCase *table = tcase_create("table");
    tcase_set_timeout(table, 60);
    tcase_add_loop_test(table, values, 0, COUNT(densities));
    tcase_add_loop_test(table, gradients, 0, COUNT(densities));
    tcase_add_loop_test(table, outside, 0, COUNT(densities));
    tcase_add_loop_test(table, what_is_none, 0, COUNT(densities));
    tcase_add_loop_test(table, memory_runs_out, 0, COUNT(densities));
    tcase_add_test(table, refusals);
    suite_add_tcase(suite, table);
    return suite;
}
