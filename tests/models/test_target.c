/* Targets: each constraint's map and log-determinant, and densities that come from outside the tape. */
#include "flows/flow_tools.h"
#include <weir/target.h>

#include <check.h>
#include <math.h>
#include <stdio.h>

/* ---- Evaluating ------------------------------------------------------------------------------------------------ */

/* What a target records of each row of z (rows, dim), in float64. */
static void evaluate(const nf_target *target, ad_var (*record)(const nf_target *, ad_var), const double *z, size_t rows,
                     double *out)
{
    ad_tape *tape = ad_tape_new();
    ad_var in = ad_input(tape, "z", AD_SHAPE(nf_target_dim(target)));
    ad_var result = ad_to_rows(record(target, in));
    ad_plan *plan = ad_plan_new(&result, 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    ad_plan_set_input(plan, in, z);
    ad_plan_set_output(plan, 0, out);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = rows}, &error));
    ad_plan_free(plan);
    ad_tape_free(tape);
}

/* ---- Constraints ----------------------------------------------------------------------------------------------- */

static ad_var flat(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_scalar(value[0].tape, 0);
}

static const nf_site sites[] = {
    {"real", 3, NF_SITE_REAL, 0, 0},          {"positive", 3, NF_SITE_POSITIVE_EXP, 0, 0},
    {"interval", 3, NF_SITE_INTERVAL, -2, 5}, {"simplex", 4, NF_SITE_SIMPLEX, 0, 0},
    {"ordered", 4, NF_SITE_ORDERED, 0, 0},    {"cholesky", 16, NF_SITE_CORRELATION_CHOLESKY, 0, 0},
};

/* Which elements of the value are free: all, all but the last, those below the diagonal. */
static size_t free_elements(const nf_site *site, size_t *element)
{
    size_t n = 0;
    for (size_t i = 0; i < site->size; i++) {
        if (site->constraint == NF_SITE_SIMPLEX && i + 1 == site->size) continue;
        if (site->constraint == NF_SITE_CORRELATION_CHOLESKY && i % 4 >= i / 4) continue;
        element[n++] = i;
    }
    return n;
}

/* log|det| by Gaussian elimination with pivots. */
static double log_abs_det(double *a, size_t n)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        for (size_t j = 0; j < n; j++) {
            double swap = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = swap;
        }
        sum += log(fabs(a[k * n + k]));
        for (size_t i = k + 1; i < n; i++)
            for (size_t j = n; j-- > k;) a[i * n + j] -= a[i * n + k] / a[k * n + k] * a[k * n + j];
    }
    return sum;
}

START_TEST(log_det_is_that_of_the_map)
{
    enum { MOST = 16 };
    static const double weight[4] = {1, -8, 8, -1};
    const double h = 1e-3;
    nf_target target = {.name = "flat", .site = &sites[_i], .n_site = 1, .log_density = flat};
    size_t dim = nf_target_dim(&target), size = sites[_i].size, element[MOST], n = free_elements(&sites[_i], element);
    ck_assert_uint_eq(n, dim);
    ck_assert_uint_eq(nf_target_size(&target), size);
    for (uint64_t trial = 0; trial < 20; trial++) {
        double z[MOST], log_det, jacobian[MOST * MOST] = {0}, x[MOST];
        for (size_t i = 0; i < dim; i++) z[i] = 1.5 * ad_random_normal(3, trial, i);
        evaluate(&target, nf_target_log_density, z, 1, &log_det);
        for (size_t j = 0; j < dim; j++)
            for (int p = 0; p < 4; p++) {
                double moved[MOST];
                memcpy(moved, z, sizeof z);
                moved[j] += (p < 2 ? p - 2 : p - 1) * h;
                evaluate(&target, nf_target_constrain, moved, 1, x);
                for (size_t i = 0; i < n; i++) jacobian[i * n + j] += weight[p] * x[element[i]] / (12 * h);
            }
        ck_assert_double_eq_tol(log_det, log_abs_det(jacobian, n), 1e-7);
    }
}
END_TEST

START_TEST(values_satisfy_their_constraints)
{
    enum { ROWS = 500, ALL = 3 + 3 + 3 + 4 + 4 + 16 };
    nf_target target = {.name = "all", .site = sites, .n_site = COUNT(sites), .log_density = flat};
    size_t dim = nf_target_dim(&target);
    ck_assert_uint_eq(dim, 3 + 3 + 3 + 3 + 4 + 6);
    ck_assert_uint_eq(nf_target_size(&target), ALL);
    double *z = normals(ROWS * dim, 3, 5), *x = malloc(ROWS * ALL * sizeof *x);
    evaluate(&target, nf_target_constrain, z, ROWS, x);
    for (size_t r = 0; r < ROWS; r++) {
        const double *value = x + r * ALL;
        for (int i = 0; i < 3; i++) {
            ck_assert_double_eq(value[i], z[r * dim + (size_t)i]);
            ck_assert_double_gt(value[3 + i], 0);
            ck_assert(value[6 + i] > -2 && value[6 + i] < 5);
        }
        double sum = 0;
        for (int i = 9; i < 13; i++) {
            ck_assert_double_gt(value[i], 0);
            sum += value[i];
        }
        ck_assert_double_eq_tol(sum, 1, 1e-12);
        for (int i = 14; i < 17; i++) ck_assert_double_gt(value[i], value[i - 1]);
        for (int i = 0; i < 4; i++) { /* L Lᵀ has ones on its diagonal */
            double square = 0;
            for (int j = 0; j < 4; j++) {
                double l = value[17 + 4 * i + j];
                square += l * l;
                if (j > i) ck_assert_double_eq(l, 0);
                if (j == i) ck_assert_double_gt(l, 0);
            }
            ck_assert_double_eq_tol(square, 1, 1e-12);
        }
    }
    free(x);
    free(z);
}
END_TEST

/* Back is the inverse of the map, with the log-determinant of finite differences above. */
START_TEST(back_is_the_inverse)
{
    enum { ROWS = 300, DIM = 22, ALL = 3 + 3 + 3 + 4 + 4 + 16 };
    nf_target target = {.name = "all", .site = sites, .n_site = COUNT(sites), .log_density = flat};
    double *z = normals(ROWS * DIM, 3, 6), *x = malloc(ROWS * ALL * sizeof *x), *back = malloc(ROWS * DIM * sizeof *z);
    double log_det[ROWS], expected[ROWS];
    ASSERT_OK(nf_target_values(&target, z, ROWS, x, NULL, &error));
    ASSERT_OK(nf_target_log_densities(&target, z, ROWS, expected, NULL, &error));
    ASSERT_OK(nf_target_unconstrain(&target, x, ROWS, back, log_det, NULL, &error));
    for (size_t i = 0; i < ROWS * DIM; i++) ck_assert_double_eq_tol(back[i], z[i], 1e-6);
    for (size_t r = 0; r < ROWS; r++) ck_assert_double_eq_tol(log_det[r], expected[r], 1e-6);
    free(back);
    free(x);
    free(z);
}
END_TEST

/* What files leave of a draw: single precision, in which it may be on the edge. */
START_TEST(back_from_a_file)
{
    enum { ROWS = 300, DIM = 22, ALL = 3 + 3 + 3 + 4 + 4 + 16 };
    nf_target target = {.name = "all", .site = sites, .n_site = COUNT(sites), .log_density = flat};
    for (int wide = 0; wide < 2; wide++) {
        double *z = normals(ROWS * DIM, wide ? 40 : 1, 7), *x = malloc(ROWS * ALL * sizeof *x), log_det[ROWS];
        double *back = malloc(ROWS * DIM * sizeof *z);
        ASSERT_OK(nf_target_values(&target, z, ROWS, x, NULL, &error));
        for (size_t i = 0; i < ROWS * ALL; i++) x[i] = (double)(float)x[i];
        for (size_t r = 0; r < ROWS; r++) /* exp and ordered overflow single precision */
            for (size_t i = 0; i < ALL; i++)
                if (isinf(x[r * ALL + i])) x[r * ALL + i] = 1e38 + 1e37 * (double)i;
        ASSERT_OK(nf_target_unconstrain(&target, x, ROWS, back, log_det, NULL, &error));
        for (size_t i = 0; i < ROWS * DIM; i++) ck_assert(isfinite(back[i]));
        for (size_t i = 0; i < ROWS * DIM && !wide; i++) ck_assert_double_eq_tol(back[i], z[i], 1e-3);
        for (size_t r = 0; r < ROWS; r++) ck_assert(isfinite(log_det[r]));
        free(back);
        free(x);
        free(z);
    }
}
END_TEST

static const struct {
    nf_site site;
    double value[4];
} outside[] = {
    {{"x", 2, NF_SITE_POSITIVE_EXP, 0, 0}, {1, -1e-9}},
    {{"x", 1, NF_SITE_INTERVAL, -2, 5}, {5.001}},
    {{"x", 1, NF_SITE_INTERVAL, -2, 5}, {-2.001}},
    {{"x", 3, NF_SITE_SIMPLEX, 0, 0}, {0.5, 0.6, -0.1}},
    {{"x", 3, NF_SITE_SIMPLEX, 0, 0}, {0.5, 0.2, 0.2}},
    {{"x", 3, NF_SITE_ORDERED, 0, 0}, {1, 3, 2}},
    {{"x", 4, NF_SITE_CORRELATION_CHOLESKY, 0, 0}, {1, 0, 0.6, 0.7}},
    {{"x", 4, NF_SITE_CORRELATION_CHOLESKY, 0, 0}, {1, 0.1, 0.6, 0.8}},
    {{"x", 4, NF_SITE_CORRELATION_CHOLESKY, 0, 0}, {1, 0, 0.6, -0.8}},
};

START_TEST(outside_the_support)
{
    nf_target target = {.name = "t", .site = &outside[_i].site, .n_site = 1, .log_density = flat};
    const size_t dim = nf_target_dim(&target);
    double z[4], log_det;
    ASSERT_OK(nf_target_unconstrain(&target, outside[_i].value, 1, z, &log_det, NULL, &error));
    for (size_t j = 0; j < dim; j++) ck_assert(isnan(z[j]));
    ck_assert(log_det == INFINITY);
    double nothing[4] = {NAN, NAN, NAN, NAN};
    ASSERT_OK(nf_target_unconstrain(&target, nothing, 1, z, &log_det, NULL, &error));
    ck_assert(isnan(z[0]) && isnan(log_det));
}
END_TEST

/* A zero is the middle of each constraint. */
START_TEST(zero_is_the_middle)
{
    enum { ALL = 3 + 3 + 3 + 4 + 4 + 16 };
    nf_target target = {.name = "all", .site = sites, .n_site = COUNT(sites), .log_density = flat};
    double z[22] = {0}, x[ALL];
    evaluate(&target, nf_target_constrain, z, 1, x);
    for (int i = 0; i < 3; i++) {
        ck_assert_double_eq_tol(x[3 + i], 1, 1e-15);
        ck_assert_double_eq_tol(x[6 + i], 1.5, 1e-15);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_double_eq_tol(x[9 + i], 0.25, 1e-15);
        ck_assert_double_eq_tol(x[13 + i], i, 1e-15);
        for (int j = 0; j < 4; j++) ck_assert_double_eq_tol(x[17 + 4 * i + j], i == j, 1e-15);
    }
}
END_TEST

/* Values and log-determinants stay finite far out. */
START_TEST(far_out_stays_finite)
{
    nf_target target = {.name = "all", .site = sites, .n_site = COUNT(sites), .log_density = flat};
    for (int sign = -1; sign <= 1; sign += 2) {
        double z[22], log_det;
        for (int i = 0; i < 22; i++) z[i] = 300.0 * sign;
        evaluate(&target, nf_target_log_density, z, 1, &log_det);
        ck_assert(isfinite(log_det));
    }
}
END_TEST

START_TEST(elements_have_names)
{
    nf_target target = {.name = "all", .site = sites, .n_site = COUNT(sites), .log_density = flat};
    char name[64];
    ck_assert_str_eq(nf_target_element(&target, 0, name), "real[1]");
    ck_assert_str_eq(nf_target_element(&target, 12, name), "simplex[4]");
    ck_assert_str_eq(nf_target_element(&target, 17 + 6, name), "cholesky[2,3]");
    nf_target *schools = target_of("eight_schools");
    ck_assert_str_eq(nf_target_element(schools, 1, name), "tau");
    ck_assert_str_eq(nf_target_element(schools, 2, name), "theta_trans[1]");
    nf_target_free(schools);
}
END_TEST

static const struct {
    nf_site site;
    const char *message;
} faults[] = {
    {{"w", 0, NF_SITE_SIMPLEX, 0, 0}, "size of at least 1"},
    {{"w", 3, NF_SITE_INTERVAL, 2, 2}, "low < high"},
    {{"w", 3, NF_SITE_INTERVAL, 0, INFINITY}, "low < high"},
    {{"w", 8, NF_SITE_CORRELATION_CHOLESKY, 0, 0}, "K²"},
    {{"w", 8, (nf_site_constraint)77, 0, 0}, "no such constraint"},
    {{NULL, 3, NF_SITE_REAL, 0, 0}, "no name"},
    {{"w", 1, NF_SITE_SIMPLEX, 0, 0}, "no unconstrained features"},
    {{"w", 4, NF_SITE_REAL, 0, 0}, "4 unconstrained features, got an event of shape (3)"},
};

START_TEST(faults_stick_to_the_tape)
{
    nf_target target = {.name = "t", .site = &faults[_i].site, .n_site = 1, .log_density = flat};
    ad_tape *tape = ad_tape_new();
    nf_target_log_density(&target, ad_input(tape, "z", AD_SHAPE(3)));
    ck_assert_ptr_nonnull(ad_tape_error(tape));
    ck_assert_msg(strstr(ad_tape_error(tape)->message, faults[_i].message), "%s", ad_tape_error(tape)->message);
    ad_tape_free(tape);
}
END_TEST

static ad_var vector_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return value[0];
}

START_TEST(a_log_density_is_one_number)
{
    nf_target target = {.name = "t", .site = sites, .n_site = 1, .log_density = vector_density};
    ad_tape *tape = ad_tape_new();
    nf_target_log_density(&target, ad_input(tape, "z", AD_SHAPE(3)));
    ck_assert_msg(strstr(ad_tape_error(tape)->message, "log-density of shape (3)"), "%s", ad_tape_error(tape)->message);
    ad_tape_free(tape);
}
END_TEST

/* ---- External densities ---------------------------------------------------------------------------------------- */

/* The same density twice: on the tape, and in plain C with a gradient by hand. Both sites are used unevenly. */
static ad_var on_the_tape(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var x = value[0], s = value[1];
    return ad_sub(ad_mul_scalar(ad_sum(ad_square(ad_div(x, ad_add_scalar(ad_sum(s), 1)))), -0.5), ad_sum(ad_square(s)));
}

static double in_plain_c(const nf_target *self, const double *value, double *gradient)
{
    const double *x = value, *s = value + 2, width = s[0] + s[1] + 1, factor = *(const double *)self->data;
    double squares = x[0] * x[0] + x[1] * x[1];
    for (int i = 0; i < 2; i++) {
        gradient[i] = -x[i] / (width * width) * factor;
        gradient[2 + i] = squares / (width * width * width) - 2 * s[i];
    }
    return -0.5 * squares / (width * width) - s[0] * s[0] - s[1] * s[1];
}

static void many_in_plain_c(const nf_target *self, const double *value, size_t rows, double *log_density,
                            double *gradient)
{
    for (size_t r = 0; r < rows; r++) log_density[r] = in_plain_c(self, value + 4 * r, gradient + 4 * r);
}

static const nf_site pair[] = {{"x", 2, NF_SITE_REAL, 0, 0}, {"s", 2, NF_SITE_POSITIVE_EXP, 0, 0}};
static const double right = 1, wrong = 1.5;

START_TEST(external_density)
{
    enum { ROWS = 1003 }; /* tiles with padding */
    const nf_target tape = {.name = "tape", .site = pair, .n_site = 2, .log_density = on_the_tape};
    nf_target plain = {.name = "plain", .site = pair, .n_site = 2, .external = in_plain_c, .data = &right};
    double *z = normals(4 * ROWS, 1, 1), *a = malloc(ROWS * sizeof *a), *b = malloc(ROWS * sizeof *b);
    ad_pool *pool = ad_pool_new(3, &error);
    if (_i == 1) {
        plain.external = NULL;
        plain.external_rows = many_in_plain_c;
    }
    ASSERT_OK(nf_target_log_densities(&tape, z, ROWS, a, pool, &error));
    ASSERT_OK(nf_target_log_densities(&plain, z, ROWS, b, pool, &error));
    for (size_t i = 0; i < ROWS; i++) ck_assert_double_eq_tol(a[i], b[i], 1e-12 * (1 + fabs(a[i])));
    ASSERT_OK(nf_target_check_gradient(&plain, z, 20, &error));
    plain.data = &wrong;
    ASSERT_FAILS(nf_target_check_gradient(&plain, z, 20, &error), AD_ERROR_NUMERIC, "disagrees with its value");
    ad_pool_free(pool);
    free(b);
    free(a);
    free(z);
}
END_TEST

/* Gradients in both dtypes, where z is per-row and where it is shared. */
START_TEST(gradient_of_an_external_density)
{
    enum { ROWS = 37 };
    const ad_dtype dtype = _i % 2 ? AD_F64 : AD_F32;
    const nf_target target[] = {
        {.name = "tape", .site = pair, .n_site = 2, .log_density = on_the_tape},
        {.name = "plain", .site = pair, .n_site = 2, .external = in_plain_c, .data = &right},
        {.name = "rows", .site = pair, .n_site = 2, .external_rows = many_in_plain_c, .data = &right}};
    double *z = normals(4 * ROWS, 1, 2), got[3][4 * ROWS];
    float narrow[4 * ROWS], out[4 * ROWS];
    for (size_t i = 0; i < 4 * ROWS; i++) narrow[i] = (float)z[i];
    for (int k = 0; k < 3; k++) {
        ad_tape *tape = ad_tape_new();
        ad_var in = _i < 2 ? ad_input(tape, "z", AD_SHAPE(4)) : ad_param(tape, "z", AD_SHAPE(4));
        ad_var gradient = ad_to_rows(ad_grad1(nf_target_log_density(&target[k], in), in));
        ad_plan *plan = ad_plan_new(&gradient, 1, &(ad_plan_options){.dtype = dtype}, &error);
        ck_assert_msg(plan != NULL, "%s", error.message);
        ad_plan_set_input(plan, in, dtype == AD_F32 ? (const void *)narrow : z);
        ad_plan_set_output(plan, 0, dtype == AD_F32 ? (void *)out : got[k]);
        ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = ROWS}, &error));
        for (size_t i = 0; i < 4 * ROWS && dtype == AD_F32; i++) got[k][i] = (double)out[i];
        ad_plan_free(plan);
        ad_tape_free(tape);
    }
    for (size_t i = 0; i < 4 * ROWS; i++) {
        ck_assert_double_eq_tol(got[0][i], got[1][i], (dtype == AD_F32 ? 1e-5 : 1e-12) * (1 + fabs(got[0][i])));
        ck_assert_double_eq(got[1][i], got[2][i]);
    }
    free(z);
}
END_TEST

START_TEST(no_second_derivative_of_an_external_density)
{
    const nf_target plain = {.name = "plain", .site = pair, .n_site = 2, .external = in_plain_c, .data = &right};
    ad_tape *tape = ad_tape_new();
    ad_var in = ad_input(tape, "z", AD_SHAPE(4));
    ad_grad1(ad_sum(ad_grad1(nf_target_log_density(&plain, in), in)), in);
    ck_assert_ptr_nonnull(ad_tape_error(tape));
    ck_assert_msg(strstr(ad_tape_error(tape)->message, "no second derivatives"), "%s", ad_tape_error(tape)->message);
    ad_tape_free(tape);
}
END_TEST

Suite *target_suite(void)
{
    Suite *suite = suite_create("target");
    TCase *constraint = tcase_create("constraints");
    tcase_add_loop_test(constraint, log_det_is_that_of_the_map, 0, (int)COUNT(sites));
    tcase_add_test(constraint, values_satisfy_their_constraints);
    tcase_add_test(constraint, back_is_the_inverse);
    tcase_add_test(constraint, back_from_a_file);
    tcase_add_loop_test(constraint, outside_the_support, 0, (int)COUNT(outside));
    tcase_add_test(constraint, zero_is_the_middle);
    tcase_add_test(constraint, far_out_stays_finite);
    tcase_add_test(constraint, elements_have_names);
    tcase_add_loop_test(constraint, faults_stick_to_the_tape, 0, (int)COUNT(faults));
    tcase_add_test(constraint, a_log_density_is_one_number);
    suite_add_tcase(suite, constraint);
    TCase *external = tcase_create("external");
    tcase_add_loop_test(external, external_density, 0, 2);
    tcase_add_loop_test(external, gradient_of_an_external_density, 0, 4);
    tcase_add_test(external, no_second_derivative_of_an_external_density);
    suite_add_tcase(suite, external);
    return suite;
}
