/* The gradient checker: it passes right gradients and catches wrong ones, of which it says where they are. */
#include "autodiff/engine.h"
#include "scratch.h"

/* y = 2 a sin(b), with a gradient that may be wrong. */
static void product_of_sine(const ad_tile *tile)
{
    const double *a = tile->in[0].data, *b = tile->in[1].data;
    double *y = tile->out.data;
    for (size_t f = 0; f < tile->out.size; f++)
        for (size_t r = 0; r < (tile->out.per_row ? tile->rows : 1); r++) {
            size_t at_a = tile->in[0].per_row ? f * tile->rows + r : f;
            size_t at_b = tile->in[1].per_row ? f * tile->rows + r : f;
            *y++ = 2 * a[at_a] * sin(b[at_b]);
        }
}

#define RULE(name, to_a, to_b)                                                                                         \
    static void name(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)                                        \
    {                                                                                                                  \
        const ad_var a = call->in[0], b = call->in[1], two_g = ad_mul_scalar(g, 2);                                    \
        (void)y, (void)a, (void)b, (void)two_g;                                                                        \
        gradient[0] = to_a;                                                                                            \
        gradient[1] = to_b;                                                                                            \
    }

static const double all_but_last[] = {1, 1, 0};

RULE(right, ad_mul(two_g, ad_sin(b)), ad_mul(two_g, ad_mul(a, ad_cos(b))))
RULE(sign_flipped, ad_neg(ad_mul(two_g, ad_sin(b))), ad_mul(two_g, ad_mul(a, ad_cos(b))))
RULE(other_sign_flipped, ad_mul(two_g, ad_sin(b)), ad_neg(ad_mul(two_g, ad_mul(a, ad_cos(b)))))
RULE(factor_dropped, ad_mul(g, ad_sin(b)), ad_mul(two_g, ad_mul(a, ad_cos(b))))
RULE(argument_dropped, ad_mul(two_g, ad_sin(b)), ad_mul(two_g, ad_cos(b)))
RULE(swapped, ad_mul(two_g, ad_mul(a, ad_cos(b))), ad_mul(two_g, ad_sin(b)))
RULE(none_for_one, ad_mul(two_g, ad_sin(b)), (gradient[1]))
RULE(absolute, ad_mul(two_g, ad_sin(b)), ad_abs(ad_mul(two_g, ad_mul(a, ad_cos(b)))))
RULE(slightly_off, ad_mul(two_g, ad_sin(b)), ad_mul_scalar(ad_mul(two_g, ad_mul(a, ad_cos(b))), 1 + 1e-6))
RULE(not_a_number, ad_mul(two_g, ad_sin(b)), ad_log(ad_scalar(call->tape, -1)))
RULE(one_element, ad_mul(two_g, ad_sin(b)),
     ad_mul(ad_mul(two_g, ad_mul(a, ad_cos(b))), ad_constant(call->tape, AD_SHAPE(3), all_but_last)))

static const struct {
    const char *name;
    void (*vjp)(const ad_call *, ad_var, ad_var, ad_var *);
    int wrong; /* which argument, -1 for none */
} rules[] = {
    {"right", right, -1},
    {"sign flipped", sign_flipped, 0},
    {"other sign flipped", other_sign_flipped, 1},
    {"factor dropped", factor_dropped, 0},
    {"argument dropped", argument_dropped, 1},
    {"swapped", swapped, 0},
    {"none for one", none_for_one, 1},
    {"absolute value", absolute, 1},
    {"slightly off", slightly_off, 1},
    {"NaN", not_a_number, 1},
    {"one element of three", one_element, 1},
};

START_TEST(wrong_rules_are_caught)
{
    const ad_op op = {
        .name = "product_of_sine", .n_in = 2, .evaluate = {[AD_F64] = product_of_sine}, .vjp = rules[_i].vjp};
    for (unsigned per_row = 0; per_row < 4; per_row++)
        for (uint64_t seed = 0; seed < 5; seed++) {
            problem p = problem_new(4, seed);
            bind_random(&p, per_row & 1, AD_SHAPE(3), 0.5, 2);
            bind_random(&p, per_row & 2, AD_SHAPE(3), 2, 3); /* where cos is negative */
            ad_var y = ad_apply(&op, p.leaf, 2, NULL, 0, p.tape);
            if (_i == 0) y = ad_mul(y, ad_exp(y)); /* on a longer way */
            ad_error error = {AD_OK, ""};
            ad_gradcheck_report report;
            ad_gradcheck_options options = {.rows = 4, .seed = seed};
            ad_status status = ad_gradcheck(y, p.leaf, 2, p.leaf, p.value, 2, &options, &report, &error);
            ck_assert_msg(status == (rules[_i].wrong < 0 ? AD_OK : AD_ERROR_NUMERIC), "%s, seed %d: %s, worst %g",
                          rules[_i].name, (int)seed, error.message, report.worst);
            problem_free(&p);
            if (rules[_i].wrong < 0) {
                ck_assert_double_lt(report.worst, 1e-9);
                continue;
            }
            char leaf[16];
            snprintf(leaf, sizeof leaf, "'leaf%d'", report.wrt);
            ck_assert_ptr_nonnull(strstr(error.message, "'product_of_sine'"));
            ck_assert_ptr_nonnull(strstr(error.message, leaf));
            if (rules[_i].vjp != swapped) ck_assert_int_eq(report.wrt, rules[_i].wrong);
            if (rules[_i].vjp == one_element) {
                ck_assert_uint_eq(report.element % 3, 2);
                ck_assert(report.got == 0 && report.expected != 0);
            }
        }
}
END_TEST

/* A kink within the first step's reach is no mistake, and hides none. */
START_TEST(kinks)
{
    static const double x[] = {2e-5, -3e-5, 1};
    for (int wrong = 0; wrong < 2; wrong++) {
        problem p = problem_new(1, 0);
        ad_var v = bind(&p, false, AD_SHAPE(3), x), y = ad_relu(v);
        if (wrong) y = ad_add(y, ad_stop_gradient(v));
        ad_error error;
        ck_assert_int_eq(check_gradient(&p, y, &error), wrong ? AD_ERROR_NUMERIC : AD_OK);
        problem_free(&p);
    }
}
END_TEST

/* ---- Sizes ----------------------------------------------------------------------------------------------------- */

/* Values and gradients of any size, and values whose rounding is larger than what the tolerance of their gradient asks
 * for: tanh times a scale, plus an offset, which is taken away again or stays. */
static const struct {
    double scale, offset;
    bool take_away;
    double least; /* relative error of a gradient that can be seen */
} sizes[] = {
    {1, 0, false, 1e-7},       {1e-9, 0, false, 1e-7},    {1e-30, 0, false, 1e-7},  {1e-150, 0, false, 1e-7},
    {1e12, 0, false, 1e-7},    {1e150, 0, false, 1e-7},   {1, 1e6, false, 1e-4},    {1, -1e6, true, 1e-4},
    {1e-9, 1e-3, false, 1e-4}, {1e-9, -1e-3, true, 1e-4}, {1e9, 1e15, false, 1e-4}, {1, 1e9, false, 1},
    {1e-30, 1e-20, true, 1},   {1, 3e8, true, 0.1},
};

START_TEST(any_size)
{
    const double scale = sizes[_i].scale, offset = sizes[_i].offset, least = sizes[_i].least;
    /* what g is multiplied by: right, a flipped sign, off by twice what can be seen, zero, right but for rounding */
    const double factors[] = {1, -1, 1 + 2 * least, 0, 1 + 1e-13};
    for (uint64_t seed = 0; seed < 8; seed++)
        for (size_t k = 0; k < COUNT(factors); k++) {
            problem p = problem_new(3, seed);
            ad_var x = bind_random(&p, true, AD_SHAPE(4), -1, 1);
            /* the value is t's, the gradient that of factor * t */
            ad_var t = ad_mul_scalar(ad_tanh(x), scale), wrong = ad_mul_scalar(t, factors[k]);
            ad_var y = ad_add_scalar(ad_stop_gradient(t), offset);
            if (sizes[_i].take_away) y = ad_add_scalar(y, -offset);
            y = ad_add(y, ad_sub(wrong, ad_stop_gradient(wrong)));
            ad_error error = {AD_OK, ""};
            ad_gradcheck_report report;
            ad_gradcheck_options options = {.rows = 3, .seed = seed};
            ad_status status = ad_gradcheck(y, &x, 1, p.leaf, p.value, 1, &options, &report, &error);
            const bool right = k == 0 || k == 4;
            ck_assert_msg(status == (right ? AD_OK : AD_ERROR_NUMERIC), "factor %.9g, seed %d: %g: %s", factors[k],
                          (int)seed, report.worst, error.message);
            problem_free(&p);
        }
}
END_TEST

/* Where there is no gradient, none is asked for: constants, steps, what cancels; and where there is one, zero won't do.
 */
START_TEST(no_gradient)
{
    for (uint64_t seed = 0; seed < 8; seed++)
        for (int kind = 0; kind < 6; kind++) {
            problem p = problem_new(3, seed);
            ad_var x = bind_random(&p, true, AD_SHAPE(4), 0.1, 0.9), far = ad_mul_scalar(x, 1e6);
            ad_var y = kind == 0   ? ad_mul_scalar(x, 0)
                       : kind == 1 ? ad_floor(x)
                       : kind == 2 ? ad_sub(far, far)
                       : kind == 3 ? ad_sub(ad_sub(ad_square(ad_add_scalar(x, 1)), ad_square(x)), ad_mul_scalar(x, 2))
                       : kind == 4 ? ad_tanh(ad_add_scalar(ad_abs(far), 100))
                                   : ad_stop_gradient(ad_mul_scalar(x, 1e-12));
            ad_error error = {AD_OK, ""};
            ad_gradcheck_options options = {.rows = 3, .seed = seed};
            ad_status status = ad_gradcheck(y, &x, 1, p.leaf, p.value, 1, &options, NULL, &error);
            ck_assert_msg(status == (kind < 5 ? AD_OK : AD_ERROR_NUMERIC), "%d: %s", kind, error.message);
            problem_free(&p);
        }
}
END_TEST

static size_t evaluations; /* of counted_sine */

static void counted_sine(const ad_tile *tile)
{
    evaluations++;
    const double *x = tile->in[0].data;
    for (size_t i = 0; i < tile->out.size; i++) ((double *)tile->out.data)[i] = sin(x[i]);
}

/* Wrong at two elements. */
static void two_wrong(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    const size_t n = ad_shape_size(ad_shape_of(call->in[0]));
    double *factor = calloc(n, sizeof *factor);
    for (size_t i = 0; i < n; i++) factor[i] = i == n / 3 ? -1 : i == n - 7 ? 1.001 : 1;
    gradient[0] = ad_mul(g, ad_mul(ad_cos(call->in[0]), ad_constant(call->tape, ad_shape_of(call->in[0]), factor)));
    free(factor);
}

/* Where among many elements it is wrong is found without looking at each. */
START_TEST(among_many)
{
    enum { MANY = 64000 };
    static const ad_op op = {
        .name = "counted_sine", .n_in = 1, .evaluate = {[AD_F64] = counted_sine}, .vjp = two_wrong};
    problem p = problem_new(1, 5);
    ad_var x = bind_random(&p, false, AD_SHAPE(MANY), -1, 1), y = ad_apply(&op, &x, 1, NULL, 0, p.tape);
    ad_error error;
    ad_gradcheck_report report;
    evaluations = 0;
    ad_gradcheck_options options = {.rows = 1, .seed = 1};
    ck_assert_int_eq(ad_gradcheck(y, &x, 1, p.leaf, p.value, 1, &options, &report, &error), AD_ERROR_NUMERIC);
    ck_assert_msg(report.element == MANY / 3 || report.element == MANY - 7, "%zu", report.element);
    ck_assert_double_eq_tol(report.expected, -report.got, report.element == MANY / 3 ? 1e-8 : 10);
    ck_assert_uint_lt(evaluations, 10000);
    problem_free(&p);
}
END_TEST

/* Across rows, with noise and with several stages. */
START_TEST(rows_and_noise)
{
    problem p = problem_new(7, 3);
    ad_var x = bind_random(&p, true, AD_SHAPE(2), -1, 1), w = bind_random(&p, false, AD_SHAPE(2), -1, 1);
    ad_var noisy = ad_add(x, ad_mul(w, ad_normal(p.tape, AD_SHAPE(2), 1)));
    ad_var mean = ad_div(ad_sum_rows(noisy), ad_row_count(p.tape));
    ad_error error;
    ad_status status = check_gradient(&p, ad_square(ad_sub(noisy, mean)), &error);
    ck_assert_msg(status == AD_OK, "%s", error.message);
    problem_free(&p);
}
END_TEST

START_TEST(mistakes)
{
    problem p = problem_new(3, 0);
    ad_var x = bind_random(&p, true, AD_SHAPE(2), -1, 1), w = bind_random(&p, false, AD_SHAPE(2), -1, 1);
    ad_var y = ad_mul(x, w);
    ad_error error;
    ck_assert_int_eq(ad_gradcheck(y, &y, 1, p.leaf, p.value, 2, NULL, NULL, &error), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "wrt[0] is not among the inputs"));
    ck_assert_int_eq(ad_gradcheck(y, p.leaf, 0, p.leaf, p.value, 2, NULL, NULL, &error), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "nothing to check"));
    ck_assert_int_eq(ad_gradcheck(y, &x, 1, p.leaf, p.value, 1, NULL, NULL, &error), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "'leaf1' is not bound"));
    ck_assert_int_eq(ad_gradcheck(y, p.leaf, 2, p.leaf, p.value, 2, NULL, NULL, NULL), AD_OK);
    ad_var bad = ad_add(y, ad_param(p.tape, "v", AD_SHAPE(5)));
    ck_assert_int_eq(ad_gradcheck(bad, &x, 1, p.leaf, p.value, 2, NULL, NULL, &error), AD_ERROR_ARGUMENT);
    ck_assert_str_eq(error.message, ad_tape_error(p.tape)->message);
    problem_free(&p);
}
END_TEST

START_TEST(every_allocation_fails)
{
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        problem p = problem_new(3, 0);
        bind_random(&p, true, AD_SHAPE(2, 2), -1, 1);
        bind_random(&p, false, AD_SHAPE(2, 2), -1, 1);
        ad_var y = ad_matmul(p.leaf[0], p.leaf[1]);
        ad_error error;
        memory_limit(allowed);
        ad_status status = check_gradient(&p, y, &error);
        denied = memory.denied;
        memory_unlimited();
        ck_assert_int_eq(status, denied ? AD_ERROR_MEMORY : AD_OK);
        problem_free(&p);
    }
}
END_TEST

Suite *gradcheck_suite(void)
{
    Suite *suite = suite_create("gradcheck");
    TCase *all = tcase_create("gradcheck");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, wrong_rules_are_caught, 0, COUNT(rules));
    tcase_add_test(all, kinks);
    tcase_add_loop_test(all, any_size, 0, COUNT(sizes));
    tcase_add_test(all, no_gradient);
    tcase_add_test(all, among_many);
    tcase_add_test(all, rows_and_noise);
    tcase_add_test(all, mistakes);
    tcase_add_test(all, every_allocation_fails);
    suite_add_tcase(suite, all);
    return suite;
}
