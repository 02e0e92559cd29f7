/* The verifier's two suites over all that is registered, and over what they must catch. How nf_check_bijector() treats
 * bijectors is in tests/flows/test_bijectors.c. */

/* The program in tools/examples, whose bijector is checked here. */
#define main ripple_main
int ripple_main(void);
#include "tools/examples/ripple.c"
#undef main

#include "flows/flow_tools.h"
#include <weir/models.h>

#include <check.h>
#include <math.h>

START_TEST(the_example_passes_with_any_seed)
{
    for (size_t dim = 1; dim <= 3; dim++) {
        nf_bijector *bijector = nf_bijector_new(&ripple, dim, 0, NULL, &error);
        nf_check_result result[NF_MOST_CHECKS];
        int count;
        uint64_t seed = (uint64_t)_i;
        nf_initialize(bijector, seed);
        ad_status status = nf_check_bijector(bijector, seed, result, &count, &error);
        ck_assert_msg(status == AD_OK, "seed %d, dim %zu: %s", _i, dim, error.message);
        nf_bijector_free(bijector);
    }
}
END_TEST

/* ---- What is solved -------------------------------------------------------------------------------------------- */

static ad_var wave(const nf_scope *at, ad_var t, ad_var z, ad_var *divergence)
{
    (void)at, (void)divergence;
    return ad_sin(ad_add(ad_mul_scalar(z, 2), t));
}

static ad_var solve(const nf_scope *at, bool inverse, ad_var v, ad_var *log_det)
{
    const double *rtol = at->self->type->data;
    return nf_integrate(at, inverse, v, &(nf_integrate_options){.solver.rtol = *rtol}, log_det);
}

static ad_var solve_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return solve(at, false, z, log_det);
}

static ad_var solve_inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return solve(at, true, x, log_det);
}

/* Bounds follow the tolerance that a type says it is solved by, and no other one. */
START_TEST(solved_to_its_tolerance)
{
    static const nf_argument says[] = {{"rtol", NF_NUMBER, 1e-6, 0, 0.1, NULL, "the solver's relative tolerance"}, {0}};
    static const struct {
        double rtol;
        const nf_argument *argument;
        bool passes;
    } cases[] = {{0, NULL, true}, {1e-6, says, true}, {1e-6, NULL, false}, {1e-3, says, false}};
    const nf_bijector_type type = {.name = "wave",
                                   .argument = cases[_i].argument,
                                   .data = &cases[_i].rtol,
                                   .forward = solve_forward,
                                   .inverse = solve_inverse,
                                   .velocity = wave};
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    nf_bijector *bijector = nf_bijector_new(&type, 1, 0, NULL, &error);
    ck_assert_msg(bijector != NULL, "%s", error.message);
    const ad_status status = nf_check_bijector(bijector, 1, result, &count, &error);
    ck_assert_msg(status == (cases[_i].passes ? AD_OK : AD_ERROR_NUMERIC), "%d: %s", _i, error.message);
    nf_bijector_free(bijector);
}
END_TEST

/* ---- Base distributions ---------------------------------------------------------------------------------------- */

static ad_status check(const nf_bijector_type *type, size_t dim, uint64_t seed)
{
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    nf_bijector *base = nf_bijector_new(type, dim, 0, NULL, &error);
    ck_assert_msg(base != NULL, "%s", error.message);
    nf_initialize(base, seed);
    ad_status status = nf_check_distribution(base, seed, result, &count, &error);
    ck_assert_int_le(count, NF_MOST_CHECKS);
    if (!status) ck_assert_int_eq(count, dim <= 2 ? 5 : 3);
    nf_bijector_free(base);
    return status;
}

START_TEST(every_distribution_passes)
{
    const nf_bijector_type *type = nf_distribution_types()[_i];
    for (size_t dim = 1; dim <= 3; dim++)
        for (uint64_t seed = 1; seed <= 3; seed++)
            ck_assert_msg(check(type, dim, seed) == AD_OK, "%s, D = %zu: %s", type->name, dim, error.message);
}
END_TEST

/* Laplace's distribution, with what the cases below make wrong of it. */
static ad_var laplace(const nf_scope *at, ad_var z)
{
    ad_var each = ad_add_scalar(ad_neg(ad_abs(z)), -log(2));
    (void)at;
    return ad_sum(each);
}

static ad_var laplace_draw(const nf_scope *at)
{
    ad_var u = ad_add_scalar(ad_uniform(at->tape, AD_SHAPE(at->self->dim), 0), -0.5);
    ad_var sign = ad_add_scalar(ad_mul_scalar(ad_greater(u, ad_scalar(at->tape, 0)), 2), -1);
    return ad_neg(ad_mul(sign, ad_log1p(ad_mul_scalar(ad_abs(u), -2))));
}

static ad_var not_normalised(const nf_scope *at, ad_var z)
{
    return ad_add_scalar(laplace(at, z), 0.02);
}

static ad_var no_gradient(const nf_scope *at, ad_var z)
{
    return laplace(at, ad_stop_gradient(z));
}

static ad_var half_the_line(const nf_scope *at, ad_var z)
{
    ad_var outside = ad_greater(ad_max(ad_neg(z)), ad_scalar(z.tape, 0));
    return ad_where(outside, ad_scalar(z.tape, -INFINITY),
                    ad_add_scalar(laplace(at, z), (double)at->self->dim * log(2)));
}

static ad_var no_number_far_out(const nf_scope *at, ad_var z)
{
    return ad_sub(ad_sum(ad_exp(z)), ad_sum(ad_add(ad_exp(z), ad_neg(laplace(at, z)))));
}

static ad_var wide_draw(const nf_scope *at)
{
    return ad_mul_scalar(laplace_draw(at), 1.1);
}

/* Of a distribution that is wide already, where tanh and cos are about the same for any scale. */
static ad_var far_laplace(const nf_scope *at, ad_var z)
{
    return ad_add_scalar(laplace(at, ad_mul_scalar(z, 0.1)), (double)at->self->dim * log(0.1));
}

static ad_var narrow_far_draw(const nf_scope *at)
{
    return ad_mul_scalar(laplace_draw(at), 9);
}

static const struct {
    nf_bijector_type type;
    const char *message;
} cases[] = {
    {{.name = "right", .log_prob = laplace, .sample = laplace_draw}, NULL},
    {{.name = "not_normalised", .log_prob = not_normalised, .sample = laplace_draw}, "integrates to 1"},
    {{.name = "no_gradient", .log_prob = no_gradient, .sample = laplace_draw}, "gradients against differences"},
    {{.name = "half_the_line", .log_prob = half_the_line, .sample = laplace_draw}, "draws have a density"},
    {{.name = "no_number_far_out", .log_prob = no_number_far_out, .sample = laplace_draw}, "NaN where z is NaN"},
    {{.name = "wide_draw", .log_prob = laplace, .sample = wide_draw}, "draws follow the density"},
    {{.name = "narrow_far_draw", .log_prob = far_laplace, .sample = narrow_far_draw}, "draws follow the density"},
};

START_TEST(faulty_distributions_fail)
{
    for (size_t dim = 1; dim <= 2; dim++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            ad_status status = check(&cases[_i].type, dim, seed);
            if (cases[_i].message)
                ASSERT_FAILS(status, AD_ERROR_NUMERIC, cases[_i].message);
            else
                ASSERT_OK(status);
        }
}
END_TEST

START_TEST(a_bijector_is_no_distribution)
{
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    nf_bijector *bijector = parsed("affine", 2, 1);
    ASSERT_FAILS(nf_check_distribution(bijector, 1, result, &count, &error), AD_ERROR_ARGUMENT, "no base distribution");
    ck_assert_int_eq(nf_check_distribution(bijector, 1, result, &count, NULL), AD_ERROR_ARGUMENT);
    nf_bijector_free(bijector);
}
END_TEST

Suite *verify_suite(void)
{
    int distributions = 0;
    while (nf_distribution_types()[distributions]) distributions++;
    Suite *suite = suite_create("verify");
    TCase *tcase = tcase_create("verify");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, the_example_passes_with_any_seed, 1, 25);
    tcase_add_loop_test(tcase, every_distribution_passes, 0, distributions);
    tcase_add_loop_test(tcase, faulty_distributions_fail, 0, (int)COUNT(cases));
    tcase_add_test(tcase, a_bijector_is_no_distribution);
    TCase *solved = tcase_create("solved");
    tcase_set_timeout(solved, 60);
    tcase_add_loop_test(solved, solved_to_its_tolerance, 0, 4);
    suite_add_tcase(suite, solved);
    suite_add_tcase(suite, tcase);
    return suite;
}
