/* Starts: modes and curvature against closed forms, modes told apart, and densities that lead nowhere. */
#include "flows/flow_tools.h"

#include <weir/densities.h>
#include <weir/psis.h>
#include <weir/start.h>

#include <math.h>

static nf_start start_of(const nf_target *target, uint64_t seed)
{
    nf_start start;
    ASSERT_OK(nf_find_start(target, &(nf_start_options){.seed = seed}, &start, &error));
    ck_assert_uint_eq(start.dim, nf_target_dim(target));
    ck_assert_uint_gt(start.count, 0);
    return start;
}

static nf_start start_of_named(const char *text, uint64_t seed)
{
    nf_target *target = target_of(text);
    nf_start start = start_of(target, seed);
    nf_target_free(target);
    return start;
}

/* Element i, j of the normal's covariance. */
static double covariance(const nf_start *start, size_t k, size_t i, size_t j)
{
    const double *l = start->normal[k].factor;
    double sum = 0;
    for (size_t c = 0; c < start->dim; c++) sum += l[i * start->dim + c] * l[j * start->dim + c];
    return sum;
}

/* Covariance r^|i-j|; from wherever a path begins, it ends there, once. */
START_TEST(a_normal_is_found_exactly)
{
    nf_start start = start_of_named("gaussian(dim=7, correlation=0.9)", 3);
    ck_assert_uint_eq(start.count, 1);
    ck_assert_uint_eq(start.modes, 1);
    ck_assert_uint_eq(start.normal[0].found, 24);
    for (size_t i = 0; i < 7; i++) {
        ck_assert_double_eq_tol(start.normal[0].location[i], 0, 1e-5);
        for (size_t j = 0; j < 7; j++)
            ck_assert_double_eq_tol(covariance(&start, 0, i, j), pow(0.9, fabs((double)i - (double)j)), 1e-5);
    }
    ck_assert_double_eq_tol(start.normal[0].elbo, 0, 1e-5);
    ck_assert_double_eq_tol(start.normal[0].log_mass, 0, 1e-5);
    nf_start_free(&start);
}
END_TEST

/* Far away, and of scales that have nothing to do with 1. */
static const double far_mean[] = {3000, -0.02, 5}, far_sd[] = {40, 1e-4, 2000};

static ad_var far_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_tape *tape = value[0].tape;
    return nf_log_normal(value[0], ad_constant(tape, AD_SHAPE(3), far_mean), ad_constant(tape, AD_SHAPE(3), far_sd));
}

static const nf_site three = {.name = "x", .size = 3};

START_TEST(any_place_and_scale)
{
    const nf_target target = {.name = "far", .site = &three, .n_site = 1, .log_density = far_density, .log_z = 0};
    nf_start start = start_of(&target, 1);
    ck_assert_uint_eq(start.modes, 1);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_double_eq_tol(start.normal[0].location[i], far_mean[i], 1e-3 * far_sd[i]);
        ck_assert_double_eq_tol(sqrt(covariance(&start, 0, i, i)), far_sd[i], 1e-3 * far_sd[i]);
    }
    ck_assert_double_eq_tol(start.normal[0].log_mass, 0, 1e-3);
    nf_start_free(&start);
}
END_TEST

/* Its mode is (0, 100 b), where the Hessian is that of N(0, diag(100, 1)). */
START_TEST(mode_of_a_banana)
{
    nf_start start = start_of_named("banana", 1);
    size_t mode = start.count;
    ck_assert_uint_eq(start.modes, 1);
    for (size_t k = 0; k < start.count; k++)
        if (fabs(start.normal[k].location[0]) < 1e-3) mode = k;
    ck_assert_uint_lt(mode, start.count);
    ck_assert_double_eq_tol(start.normal[mode].location[1], 3, 1e-4);
    ck_assert_double_eq_tol(start.normal[mode].log_density, -log(20 * 3.14159265358979323846), 1e-8);
    ck_assert_double_eq_tol(covariance(&start, mode, 0, 0), 100, 0.01);
    ck_assert_double_eq_tol(covariance(&start, mode, 0, 1), 0, 0.01);
    ck_assert_double_eq_tol(covariance(&start, mode, 1, 1), 1, 1e-4);
    nf_start_free(&start);
}
END_TEST

/* log Z by draws of the mixture of all normals. */
static double log_z_of(const nf_start *start, const nf_target *target, double *khat)
{
    enum { DRAWS = 20000 };
    double *z = malloc(DRAWS * start->dim * sizeof *z), *p = malloc(DRAWS * sizeof *p), *q = malloc(DRAWS * sizeof *q);
    double most = -INFINITY, sum = 0;
    ASSERT_OK(nf_start_draw(start, DRAWS, 5, z, &error));
    ASSERT_OK(nf_start_log_prob(start, z, DRAWS, q, &error));
    ASSERT_OK(nf_target_log_densities(target, z, DRAWS, p, NULL, &error));
    for (size_t i = 0; i < DRAWS; i++) most = fmax(most, p[i] -= q[i]);
    for (size_t i = 0; i < DRAWS; i++) sum += exp(p[i] - most);
    if (khat) ASSERT_OK(nf_psis(p, DRAWS, khat, &error));
    free(q);
    free(p);
    free(z);
    return most + log(sum / DRAWS);
}

START_TEST(eight_schools)
{
    nf_target *target = target_of("eight_schools");
    nf_start start = start_of(target, 1);
    double khat;
    ck_assert_uint_eq(start.modes, 1);
    ck_assert_uint_eq(start.failed, 0);
    ck_assert_double_eq_tol(log_z_of(&start, target, &khat), target->log_z, 0.15);
    ck_assert_double_lt(khat, 0.7);
    nf_start_free(&start);
    nf_target_free(target);
}
END_TEST

static const struct {
    const char *target;
    size_t modes;
    double radius, sd;
} several[] = {
    {"mixture(modes=2)", 2, 4, 0.5},
    {"mixture(modes=2,radius=20)", 2, 20, 0.5},
    {"mixture", 8, 4, 0.5},
    {"mixture(modes=3,radius=9,sd=0.01,dim=4)", 3, 9, 0.01},
};

/* Each once, with its own covariance, and its share of the mass. */
START_TEST(modes_are_told_apart)
{
    const size_t modes = several[_i].modes;
    const double sd = several[_i].sd;
    nf_target *target = target_of(several[_i].target);
    nf_start start = start_of(target, 1);
    ck_assert_uint_eq(start.modes, modes);
    ck_assert_uint_eq(start.count, modes);
    size_t paths = 0;
    for (size_t k = 0; k < modes; k++) {
        const double *at = start.normal[k].location;
        paths += start.normal[k].found;
        ck_assert_double_eq_tol(hypot(at[0], at[1]), several[_i].radius, 0.02);
        ck_assert_double_eq_tol(covariance(&start, k, 0, 0) / (sd * sd), 1, 0.1);
        ck_assert_double_eq_tol(start.normal[k].log_mass, -log((double)modes), 0.05);
        for (size_t other = 0; other < k; other++) ck_assert_uint_ne(start.normal[k].mode, start.normal[other].mode);
    }
    ck_assert_uint_eq(paths, start.searches);
    ck_assert_double_eq_tol(log_z_of(&start, target, NULL), 0, 0.02);
    nf_start_free(&start);
    nf_target_free(target);
}
END_TEST

/* A curved ridge is one, wherever on it paths end; two lobes of a ring are two. */
START_TEST(a_ridge_is_one_mode)
{
    static const struct {
        const char *target;
        size_t modes;
    } cases[] = {{"u2", 1}, {"pot2", 1}, {"pot1", 2}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_start start = start_of_named(cases[i].target, 1);
        ck_assert_uint_eq(start.modes, cases[i].modes);
        if (start.modes == 1) ck_assert_uint_gt(start.count, 1);
        nf_start_free(&start);
    }
}
END_TEST

/* Where the density grows without end, the path is left in time. */
START_TEST(a_funnel_has_no_mode)
{
    nf_start start = start_of_named("funnel", 1);
    for (size_t k = 0; k < start.count; k++) {
        ck_assert_double_gt(start.normal[k].elbo, -15);
        ck_assert_double_gt(start.normal[k].location[0], -12);
    }
    nf_start_free(&start);
}
END_TEST

START_TEST(any_number_of_threads)
{
    nf_target *target = target_of("eight_schools");
    nf_start one = start_of(target, 4), three_threads, other = start_of(target, 5);
    ad_pool *pool = ad_pool_new(3, &error);
    ASSERT_OK(nf_find_start(target, &(nf_start_options){.seed = 4, .pool = pool}, &three_threads, &error));
    ck_assert_uint_eq(one.count, three_threads.count);
    for (size_t k = 0; k < one.count; k++) {
        ck_assert_mem_eq(one.normal[k].location, three_threads.normal[k].location, one.dim * sizeof(double));
        ck_assert_mem_eq(one.normal[k].factor, three_threads.normal[k].factor, one.dim * one.dim * sizeof(double));
    }
    ck_assert_mem_ne(one.normal[0].location, other.normal[0].location, one.dim * sizeof(double));
    ad_pool_free(pool);
    nf_start_free(&other);
    nf_start_free(&three_threads);
    nf_start_free(&one);
    nf_target_free(target);
}
END_TEST

/* Beyond 500 features a normal has a diagonal factor. */
START_TEST(many_features)
{
    nf_target *target = target_of("gaussian(dim=600, correlation=0)");
    nf_start start;
    ASSERT_OK(nf_find_start(target, &(nf_start_options){.searches = 3}, &start, &error));
    ck_assert(!start.dense);
    ck_assert_uint_eq(start.searches, 3);
    for (size_t i = 0; i < 600; i++) {
        ck_assert_double_eq_tol(start.normal[0].location[i], 0, 0.05);
        ck_assert_double_eq_tol(start.normal[0].factor[i], 1, 0.1);
    }
    nf_start_free(&start);
    nf_target_free(target);
}
END_TEST

/* ---- What leads nowhere ----------------------------------------------------------------------------------------- */

static double everywhere(const nf_target *self, const double *value, double *gradient)
{
    for (int i = 0; i < 3; i++) gradient[i] = 0 * value[i];
    return *(const double *)self->data;
}

/* A density on one side only, N(0, I) there. */
static double half(const nf_target *self, const double *value, double *gradient)
{
    (void)self;
    for (int i = 0; i < 3; i++) gradient[i] = -value[i];
    return value[0] < 0 ? -INFINITY : -0.5 * (value[0] * value[0] + value[1] * value[1] + value[2] * value[2]);
}

/* No prior: log p = x + y + z. */
static double slope(const nf_target *self, const double *value, double *gradient)
{
    (void)self;
    for (int i = 0; i < 3; i++) gradient[i] = 1;
    return value[0] + value[1] + value[2];
}

START_TEST(no_end_to_it)
{
    nf_target target = {.name = "t", .site = &three, .n_site = 1, .external = slope, .log_z = NAN};
    nf_start start;
    ASSERT_FAILS(nf_find_start(&target, NULL, &start, &error), AD_ERROR_NUMERIC, "log p rises without end");
    ck_assert_ptr_null(start.normal);
}
END_TEST

START_TEST(plateaus_and_cliffs)
{
    static const double nothing = -INFINITY, undefined = NAN, flat = 0;
    nf_target target = {.name = "t", .site = &three, .n_site = 1, .external = everywhere, .log_z = NAN};
    nf_start start;
    target.data = &nothing;
    ASSERT_FAILS(nf_find_start(&target, NULL, &start, &error), AD_ERROR_NUMERIC, "none of 24 searches");
    ck_assert_ptr_null(start.normal);
    target.data = &undefined;
    ASSERT_FAILS(nf_find_start(&target, NULL, &start, &error), AD_ERROR_NUMERIC, "none of 24 searches");
    target.data = &flat;
    start = start_of(&target, 1);
    ck_assert(isfinite(start.normal[0].elbo));
    nf_start_free(&start);
    /* Normals reach over the cliff: what is on this side of it is theirs. */
    target.external = half;
    start = start_of(&target, 1);
    ck_assert_double_gt(start.normal[0].log_mass, log(0.5) + 1.5 * log(2 * 3.14159265358979323846) - 3);
    nf_start_free(&start);
}
END_TEST

/* Draws have the moments of the mixture, and its density is that of its parts. */
START_TEST(draws_and_their_density)
{
    enum { DRAWS = 40000 };
    nf_start start = start_of_named("mixture(modes=2,radius=3)", 1);
    double *z = malloc(2 * DRAWS * sizeof *z), q[2], mean[2] = {0}, squares[2] = {0};
    ASSERT_OK(nf_start_draw(&start, DRAWS, 9, z, &error));
    for (size_t i = 0; i < 2 * DRAWS; i++) {
        mean[i % 2] += z[i] / DRAWS;
        squares[i % 2] += z[i] * z[i] / DRAWS;
    }
    ck_assert_double_eq_tol(mean[0], 0, 0.05);
    ck_assert_double_eq_tol(mean[1], 0, 0.05);
    ck_assert_double_eq_tol(squares[0], 9.25, 0.1);
    ck_assert_double_eq_tol(squares[1], 0.25, 0.02);
    ASSERT_OK(nf_start_log_prob(&start, (double[]){3, 0, 3, 1}, 2, q, &error));
    const double two_pi = 6.28318530717958647693;
    ck_assert_double_eq_tol(q[0], log(0.5 / (two_pi * 0.25)), 0.05);
    ck_assert_double_eq_tol(q[1], q[0] - 2, 0.1);
    free(z);
    nf_start_free(&start);
}
END_TEST

Suite *start_suite(void);

Suite *start_suite(void)
{
    Suite *suite = suite_create("start");
    TCase *tests = tcase_create("start");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_normal_is_found_exactly);
    tcase_add_test(tests, any_place_and_scale);
    tcase_add_test(tests, mode_of_a_banana);
    tcase_add_test(tests, eight_schools);
    tcase_add_loop_test(tests, modes_are_told_apart, 0, (int)COUNT(several));
    tcase_add_test(tests, a_ridge_is_one_mode);
    tcase_add_test(tests, a_funnel_has_no_mode);
    tcase_add_test(tests, any_number_of_threads);
    tcase_add_test(tests, many_features);
    tcase_add_test(tests, no_end_to_it);
    tcase_add_test(tests, plateaus_and_cliffs);
    tcase_add_test(tests, draws_and_their_density);
    suite_add_tcase(suite, tests);
    return suite;
}
