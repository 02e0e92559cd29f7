/* Flows on the circle and on tori: densities against SciPy, their period, what they integrate to, and draws. */
#include "flows/flow_tools.h"
#include "flows/kolmogorov.h"
#include <weir/models.h>
#include "scratch.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* ---- Base distributions ---------------------------------------------------------------------------------------- */

static nf_flow *vonmises(double concentration, double loc, size_t dim)
{
    nf_flow *flow = nf_flow_parse("vonmises(most=200):flip", dim, 0, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    const double concentrations[] = {concentration, 2 * concentration}, locs[] = {loc, -loc};
    ck_assert(nf_parameter_set(nf_flow_base(flow), "concentration", concentrations));
    ck_assert(nf_parameter_set(nf_flow_base(flow), "loc", locs));
    nf_flow_push(flow);
    return flow;
}

/* As golden/circle.py has them. The flip is undone here. */
static const double settings[][2] = {{0.02, 1}, {3, -2}, {60, 0.5}};

START_TEST(log_prob_equals_scipy)
{
    nf_table table;
    ASSERT_OK(nf_table_read(golden_path("circle.csv").text, &table, &error));
    ck_assert_uint_eq(table.columns, 2 + COUNT(settings));
    nf_flow *flow = vonmises(settings[_i][0], settings[_i][1], 2);
    for (size_t r = 0; r < table.rows; r++) {
        const double *row = table.values + r * table.columns, x[] = {row[1], row[0]}, expected = row[2 + _i];
        double log_prob;
        ASSERT_OK(nf_log_prob(flow, x, NULL, 1, &log_prob, NULL, &error));
        ck_assert_double_eq_tol(log_prob, expected, 1e-11 * fmax(1, fabs(expected)));
    }
    nf_flow_free(flow);
    nf_table_free(&table);
}
END_TEST

/* Of which the density is integrated over a turn. */
START_TEST(draws_follow_the_density)
{
    enum { N = 50000, CELLS = 20000 };
    static double x[N], grid[CELLS + 1], log_prob[CELLS + 1];
    const double width = 2 * pi / CELLS;
    nf_flow *flow = _i < (int)COUNT(settings) ? vonmises(settings[_i][0], settings[_i][1], 1)
                                              : nf_flow_parse("uniform_circle:loc", 1, 0, AD_F64, 1, &error);
    ASSERT_OK(nf_sample(flow, NULL, N, 1, x, NULL, NULL, &error));
    for (size_t i = 0; i < N; i++) ck_assert(fabs(x[i]) <= pi);
    for (size_t i = 0; i <= CELLS; i++) grid[i] = -pi + width * (double)i;
    ASSERT_OK(nf_log_prob(flow, grid, NULL, CELLS + 1, log_prob, NULL, &error));
    double whole, worst = kolmogorov_distance(x, N, log_prob, CELLS, -pi, width, &whole);
    ck_assert_double_eq_tol(whole, 1, 1e-9);
    ck_assert_double_lt(worst, 1.95 / sqrt(N));
    nf_flow_free(flow);
}
END_TEST

/* ---- Flows ----------------------------------------------------------------------------------------------------- */

static const char *const tori[] = {
    "vonmises:(coupling(8,transformer=circular_rational_quadratic)-flip)*3-loc",
    "uniform_circle:autoregressive(8,transformer=circular_rational_quadratic)-permute",
    "vonmises:invert(autoregressive(8,8,transformer=circular_rational_quadratic(bins=4)))-flip-on([1],loc)",
    "mixture_of(vonmises:loc|uniform_circle:coupling(8,transformer=circular_rational_quadratic)):flip",
};

static nf_flow *torus(int i, size_t dim, ad_dtype dtype)
{
    nf_flow *flow = nf_flow_parse(tori[i], dim, 0, dtype, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    nf_flow_each_parameter(flow, move_parameter, &(uint64_t){0});
    nf_flow_push(flow);
    return flow;
}

/* A turn of any feature leaves log p as it is, and so does a step across ±π, but for rounding. */
START_TEST(has_a_period)
{
    enum { ROWS = 40, DIM = 3 };
    nf_flow *flow = torus(_i, DIM, AD_F64);
    double *x = normals(ROWS * DIM, 2, 6), log_prob[ROWS], turned[ROWS];
    for (size_t j = 0; j < DIM; j++) x[j * DIM + j] = pi * (1 - 1e-12);
    ASSERT_OK(nf_log_prob(flow, x, NULL, ROWS, log_prob, NULL, &error));
    for (size_t i = 0; i < ROWS * DIM; i++) x[i] += 2 * pi * ((double)(i * 7 % 5) - 2);
    for (size_t j = 0; j < DIM; j++) x[j * DIM + j] += 2e-12 * pi;
    ASSERT_OK(nf_log_prob(flow, x, NULL, ROWS, turned, NULL, &error));
    for (size_t r = 0; r < ROWS; r++) ck_assert_double_eq_tol(log_prob[r], turned[r], 1e-9);
    free(x);
    nf_flow_free(flow);
}
END_TEST

/* What it integrates to over a turn of both, and means over draws, which are from -π to π. */
START_TEST(integrates_to_one)
{
    enum { CELLS = 300, DRAWS = 20000 };
    static double x[CELLS * CELLS][2], log_prob[CELLS * CELLS], draw[DRAWS][2];
    nf_flow *flow = torus(_i, 2, AD_F64);
    const double width = 2 * pi / CELLS;
    for (size_t k = 0; k < COUNT(x); k++)
        for (size_t j = 0; j < 2; j++) x[k][j] = ((double)(j ? k % CELLS : k / CELLS) + 0.5) * width - pi;
    ASSERT_OK(nf_log_prob(flow, x[0], NULL, COUNT(x), log_prob, NULL, &error));
    ASSERT_OK(nf_sample(flow, NULL, DRAWS, 1, draw[0], NULL, NULL, &error));
    double sum = 0, mean[2] = {0}, of_draws[2] = {0};
    for (size_t k = 0; k < COUNT(x); k++) {
        const double p = exp(log_prob[k]) * width * width;
        sum += p;
        mean[0] += p * cos(x[k][0]);
        mean[1] += p * sin(x[k][0] + x[k][1]);
    }
    for (size_t r = 0; r < DRAWS; r++) {
        ck_assert(fabs(draw[r][0]) <= pi && fabs(draw[r][1]) <= pi);
        of_draws[0] += cos(draw[r][0]) / DRAWS;
        of_draws[1] += sin(draw[r][0] + draw[r][1]) / DRAWS;
    }
    ck_assert_double_eq_tol(sum, 1, 1e-3);
    for (int k = 0; k < 2; k++) ck_assert_double_eq_tol(of_draws[k], mean[k], 5 / sqrt(DRAWS));
    nf_flow_free(flow);
}
END_TEST

/* Two clouds on a torus, one of which lies across ±π: its density is found, whole. */
START_TEST(learns_a_cloud_across_the_end)
{
    enum { ROWS = 1500 };
    static double x[ROWS][2];
    for (size_t r = 0; r < ROWS; r++)
        for (size_t j = 0; j < 2; j++)
            x[r][j] = remainder((r % 2 ? 0 : pi) + 0.3 * ad_random_normal(2, 0, 2 * r + j), 2 * pi);
    const char *formula = "uniform_circle:(coupling(16,transformer=circular_rational_quadratic)-flip)*4";
    nf_flow *flow = nf_flow_parse(formula, 2, 0, AD_F32, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    nf_fit_options options = {.epochs = 40, .optimizer.learning_rate = 0.01};
    double nll;
    ASSERT_OK(nf_fit(flow, x[0], ROWS, &options, NULL, &error));
    ASSERT_OK(nf_nll(flow, x[0], NULL, ROWS, &nll, NULL, NULL, &error));
    const double entropy = log(2) + 1 + log(2 * pi) + 2 * log(0.3);
    ck_assert_double_lt(nll, entropy + 0.25); /* of one normal of both: 2 log 2π - … is 1.7 above */
    nf_flow_free(flow);
}
END_TEST

START_TEST(mistakes)
{
    static const char *const wrong[][2] = {
        {"vonmises:coupling(8)-flip", "'coupling' isn't"},
        {"uniform_circle:(coupling(8,transformer=circular_rational_quadratic)-flip)*2-standardize",
         "'standardize' isn't"},
        {"mixture_of(vonmises:loc|student:loc):flip", "'student' isn't"},
        {"vonmises:on([1],scale)", "'scale' isn't"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        ck_assert_ptr_null(nf_flow_parse(wrong[i][0], 2, 0, AD_F64, 1, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, wrong[i][1]);
    }
}
END_TEST

Suite *circle_suite(void)
{
    Suite *suite = suite_create("circle");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, log_prob_equals_scipy, 0, COUNT(settings));
    tcase_add_loop_test(all, draws_follow_the_density, 0, COUNT(settings) + 1);
    tcase_add_loop_test(all, has_a_period, 0, COUNT(tori));
    tcase_add_loop_test(all, integrates_to_one, 0, COUNT(tori));
    tcase_add_test(all, learns_a_cloud_across_the_end);
    tcase_add_test(all, mistakes);
    suite_add_tcase(suite, all);
    return suite;
}
