/* Special functions against golden/special.csv, which mpmath has made: in tails, near poles, at infinities; and what
 * is composed of them and of the Cholesky factor. */
#include "autodiff/engine.h"

#include <float.h>

#define RECORD(name, recorded)                                                                                         \
    static ad_var name(ad_var a, ad_var b)                                                                             \
    {                                                                                                                  \
        (void)b;                                                                                                       \
        return recorded;                                                                                               \
    }
RECORD(erf_of, ad_erf(a))
RECORD(erfc_of, ad_erfc(a))
RECORD(erfinv_of, ad_erfinv(a))
RECORD(ndtr_of, ad_ndtr(a))
RECORD(log_ndtr_of, ad_log_ndtr(a))
RECORD(log_ndtr_1, ad_grad1(ad_log_ndtr(a), a))
RECORD(log_ndtr_2, ad_grad1(ad_grad1(ad_log_ndtr(a), a), a))
RECORD(ndtri_of, ad_ndtri(a))
RECORD(ndtri_exp_of, ad_ndtri_exp(a))
RECORD(lgamma_of, ad_lgamma(a))
RECORD(digamma_of, ad_grad1(ad_lgamma(a), a))
RECORD(trigamma_of, ad_trigamma(a))
RECORD(polygamma_3, ad_polygamma(a, 3))
RECORD(polygamma_8, ad_polygamma(a, 8))
RECORD(lbeta_of, ad_lbeta(a, b))
RECORD(lbeta_1, ad_grad1(ad_lbeta(a, b), a))
RECORD(pow_of, ad_pow(a, b))
RECORD(atan2_of, ad_atan2(a, b))

/* Errors in units of the dtype's rounding, of the value or, where it is nearer to 0, of `scale`. */
static const struct {
    const char *name;
    ad_var (*record)(ad_var, ad_var);
    double units[2], scale;
} functions[] = {
    {"erf", erf_of, {2, 2}, 0},
    {"erfc", erfc_of, {2, 2}, 0},
    {"erfinv", erfinv_of, {1, 10}, 0},
    {"ndtr", ndtr_of, {100, 100}, 0},
    {"log_ndtr", log_ndtr_of, {1, 30}, 0},
    {"log_ndtr_1", log_ndtr_1, {1, 30}, 0},
    {"log_ndtr_2", log_ndtr_2, {1, 200}, 0},
    {"ndtri", ndtri_of, {1, 10}, 0},
    {"ndtri_exp", ndtri_exp_of, {1, 10}, 0},
    {"lgamma", lgamma_of, {2, 2}, 0.1},
    {"digamma", digamma_of, {1, 10}, 0},
    {"trigamma", trigamma_of, {1, 20}, 0},
    {"polygamma_3", polygamma_3, {1, 40}, 0},
    {"polygamma_8", polygamma_8, {1, 80}, 0},
    {"lbeta", lbeta_of, {1, 20}, 0.5},
    {"lbeta_1", lbeta_1, {1, 20000}, 0},
    {"pow", pow_of, {2, 2}, 0},
    {"atan2", atan2_of, {2, 2}, 0},
};

/* NaN for NaN, infinite where the dtype has no such number, else near. */
static bool is_near(double got, double expected, ad_dtype dtype, double units, double scale)
{
    const double epsilon = dtype == AD_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
    const double normal = dtype == AD_F32 ? (double)FLT_MIN : DBL_MIN;
    if (dtype == AD_F32) expected = (double)(float)expected;
    if (isnan(expected) || isinf(expected)) return isnan(expected) ? isnan(got) : got == expected;
    return fabs(got - expected) <= units * epsilon * fmax(fmax(fabs(expected), scale), normal);
}

START_TEST(values)
{
    enum { MOST = 512 };
    static double a[MOST], b[MOST], expected[MOST];
    FILE *golden = fopen(WEIR_GOLDEN_DIR "/special.csv", "r");
    char name[32], number[3][64];
    size_t count = 0;
    ck_assert_ptr_nonnull(golden);
    while (fscanf(golden, "%31[^,],%63[^,],%63[^,],%63s\n", name, number[0], number[1], number[2]) == 4) {
        if (strcmp(name, functions[_i].name) != 0) continue;
        ck_assert_uint_lt(count, MOST);
        a[count] = strtod(number[0], NULL);
        b[count] = strtod(number[1], NULL);
        expected[count++] = strtod(number[2], NULL);
    }
    fclose(golden);
    ck_assert_uint_gt(count, 8);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        problem p = problem_new(count, 0);
        ad_var first = bind(&p, true, AD_SCALAR, a), second = bind(&p, true, AD_SCALAR, b);
        double *value = value_of(&p, functions[_i].record(first, second), dtype);
        for (size_t i = 0; i < count; i++)
            ck_assert_msg(is_near(value[i], expected[i], dtype, functions[_i].units[dtype], functions[_i].scale),
                          "%s(%.17g, %.17g) in %s is %.17g, not %.17g", functions[_i].name, a[i], b[i],
                          ad_dtype_name(dtype), value[i], expected[i]);
        problem_free(&p);
    }
}
END_TEST

/* A number's value doesn't depend on its place or its neighbours. */
START_TEST(places)
{
    enum { MOST = 70 };
    double a[MOST], b[MOST];
    for (size_t i = 0; i < MOST; i++) {
        a[i] = (double)(float)ad_random_normal(1, 0, i) * (i % 7 == 0 ? 10 : 1);
        b[i] = (double)(float)ad_random_normal(2, 0, i) * 4;
    }
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        problem all = problem_new(MOST, 0);
        ad_var first = bind(&all, true, AD_SCALAR, a), second = bind(&all, true, AD_SCALAR, b);
        double *value = value_of(&all, functions[_i].record(first, second), dtype);
        for (size_t i = 0; i < MOST; i += 3) {
            problem p = problem_new(1, 0);
            ad_var x = bind(&p, true, AD_SCALAR, a + i), y = bind(&p, true, AD_SCALAR, b + i);
            double *alone = value_of(&p, functions[_i].record(x, y), dtype);
            ck_assert_msg(isnan(*alone) ? isnan(value[i]) : *alone == value[i], "%s(%.17g, %.17g): %a and %a",
                          functions[_i].name, a[i], b[i], *alone, value[i]);
            problem_free(&p);
        }
        problem_free(&all);
    }
}
END_TEST

/* The gradients that a limit gives, not the products that it is made of. */
START_TEST(gradients_at_limits)
{
    static const double a[] = {0, 0, 2, 0, 1e-30, 3e30}, b[] = {2, 1, 0, 0.5, 2e-30, -4e30};
    problem p = problem_new(COUNT(a), 0);
    ad_var x = bind(&p, true, AD_SCALAR, a), y = bind(&p, true, AD_SCALAR, b), gradient[4];
    ad_grad(ad_pow(x, y), (ad_var[]){x, y}, 2, gradient);
    ad_grad(ad_atan2(x, y), (ad_var[]){x, y}, 2, gradient + 2);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        double *value[4];
        evaluate(&p, gradient, 4, dtype, value);
        static const double pow_a[] = {0, 1, 0, INFINITY}, pow_b[] = {0, 0, 0.69314718055994530942, 0};
        for (size_t i = 0; i < COUNT(pow_a); i++) {
            ck_assert(is_near(value[0][i], pow_a[i], dtype, 2, 0));
            ck_assert(is_near(value[1][i], pow_b[i], dtype, 2, 0));
        }
        ck_assert(is_near(value[2][4], 4e29, dtype, 4, 0) && is_near(value[3][4], -2e29, dtype, 4, 0));
        ck_assert(is_near(value[2][5], -1.6e-31, dtype, 4, 0) && is_near(value[3][5], -1.2e-31, dtype, 4, 0));
    }
    problem_free(&p);
}
END_TEST

/* ---- Cholesky -------------------------------------------------------------------------------------------------- */

/* A = M Mᵀ + I per row or shared: L Lᵀ is A, and what follows from L is what LU gives. */
START_TEST(cholesky_agrees_with_lu)
{
    for (size_t n = 1; n <= 20; n += 6) {
        problem p = problem_new(37, n);
        ad_var m = bind_random(&p, _i, AD_SHAPE(n, n), -1, 1), b = bind_random(&p, true, AD_SHAPE(n, 3), -1, 1);
        double *one = problem_array(&p, n * n);
        for (size_t i = 0; i < n; i++) one[i * (n + 1)] = 1;
        ad_var a = ad_add(ad_matmul(m, ad_transpose(m)), ad_constant(p.tape, AD_SHAPE(n, n), one));
        ad_var l = ad_cholesky(a);
        ad_var y[] = {ad_matmul(l, ad_transpose(l)), ad_cholesky_log_det(l), ad_cholesky_solve(l, b)};
        ad_var expected[] = {a, ad_log_abs_det(a), ad_solve(a, b)};
        ad_var gradient[] = {ad_grad1(y[1], m), ad_grad1(ad_sum(ad_square(y[2])), m)};
        ad_var gradient_expected[] = {ad_grad1(expected[1], m), ad_grad1(ad_sum(ad_square(expected[2])), m)};
        for (int i = 0; i < 3; i++) {
            double off = distance(value_of(&p, y[i], AD_F64), value_of(&p, expected[i], AD_F64), extent_of(&p, y[i]));
            ck_assert_msg(off < 1e-11, "%d of %zu: off by %g", i, n, off);
        }
        for (int i = 0; i < 2; i++) {
            double *got = value_of(&p, gradient[i], AD_F64);
            double off = distance(got, value_of(&p, gradient_expected[i], AD_F64), extent_of(&p, gradient[i]));
            ck_assert_msg(off < 1e-10, "gradient %d of %zu: off by %g", i, n, off);
        }
        problem_free(&p);
    }
}
END_TEST

/* What isn't positive definite, of one row, is NaN in that row; above the diagonal nothing is read. */
START_TEST(cholesky_of_what_has_none)
{
    static const double a[] = {1, NAN, 2, 1, /**/ 4, 9, 2, 5, /**/ 1, 0, 1, 1, /**/ 0, 0, 0, 1, /**/ NAN, 0, 0, 1};
    problem p = problem_new(5, 0);
    ad_var l = ad_cholesky(bind(&p, true, AD_SHAPE(2, 2), a));
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        double *value[2];
        evaluate(&p, (ad_var[]){l, ad_cholesky_log_det(l)}, 2, dtype, value);
        static const double second[] = {2, 0, 1, 2};
        ck_assert_mem_eq(value[0] + 4, second, sizeof second);
        ck_assert(is_near(value[1][1], 2.77258872223978123767, dtype, 2, 0));
        for (int r = 0; r < 5; r++) ck_assert(r == 1 || isnan(value[1][r]));
    }
    problem_free(&p);
}
END_TEST

START_TEST(refusals)
{
    static const struct {
        ad_shape shape;
        const char *message;
    } cases[] = {{{.rank = 2, .dim = {2, 3}}, "cholesky: matrix (2,3): takes (n,n)"},
                 {{.rank = 1, .dim = {3}}, "diagonal: matrix (3): takes (n,n)"},
                 {{.rank = 0}, "polygamma: its derivative of order 61: takes 0 to 60"}};
    for (int i = 0; i < 3; i++) {
        ad_tape *tape = ad_tape_new();
        ad_var x = ad_param(tape, "x", cases[i].shape);
        ad_var y = i == 0 ? ad_cholesky(x) : i == 1 ? ad_diagonal(x) : ad_polygamma(x, 61);
        ck_assert(!ad_is_valid(y));
        assert_message(ad_tape_error(tape), AD_ERROR_ARGUMENT, cases[i].message);
        ad_tape_free(tape);
    }
}
END_TEST

Suite *special_suite(void)
{
    Suite *suite = suite_create("special");
    TCase *functions_case = tcase_create("functions");
    tcase_set_timeout(functions_case, 60);
    tcase_add_loop_test(functions_case, values, 0, COUNT(functions));
    tcase_add_loop_test(functions_case, places, 0, COUNT(functions));
    tcase_add_test(functions_case, gradients_at_limits);
    tcase_add_loop_test(functions_case, cholesky_agrees_with_lu, 0, 2);
    tcase_add_test(functions_case, cholesky_of_what_has_none);
    tcase_add_test(functions_case, refusals);
    suite_add_tcase(suite, functions_case);
    return suite;
}
