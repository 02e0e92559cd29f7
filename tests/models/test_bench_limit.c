/* The loop by hand that Weir is measured against computes what Weir does. */
#include "flows/flow_tools.h"
#include "limit.h"

enum { MOST_ROWS = 5000, MOST_NUMBERS = PLANAR_MOST_LAYERS * PLANAR_PER_LAYER };

static const struct {
    int layers;
    size_t rows;
} cases[] = {{1, 1}, {2, 7}, {8, 100}, {32, 4096}, {64, 1003}, {3, MOST_ROWS}};

static const int n_cases = sizeof cases / sizeof *cases;

/* To a part of each and of the largest that its sums over rows may be rounded by. */
static void compare(int layers, size_t rows, const float *z)
{
    const double part = 5e-6;
    float parameters[MOST_NUMBERS], loss[2], gradient[2][MOST_NUMBERS], largest = 0;
    planar_start(layers, parameters);
    ASSERT_OK(planar_gradient(layers, parameters, rows, z, &loss[0], gradient[0], &error));
    ASSERT_OK(limit_gradient(layers, parameters, rows, z, &loss[1], gradient[1], &error));
    ck_assert_double_eq_tol((double)loss[1], (double)loss[0], part * fabs((double)loss[0]));
    for (int i = 0; i < layers * PLANAR_PER_LAYER; i++) largest = fmaxf(largest, fabsf(gradient[0][i]));
    for (int i = 0; i < layers * PLANAR_PER_LAYER; i++)
        ck_assert_double_eq_tol((double)gradient[1][i], (double)gradient[0][i], part * (double)largest);
}

START_TEST(gradients)
{
    float *z = malloc(MOST_ROWS * PLANAR_DIM * sizeof *z);
    double *wide = normals(MOST_ROWS * PLANAR_DIM, 1, 5);
    for (size_t i = 0; i < MOST_ROWS * PLANAR_DIM; i++) z[i] = (float)wide[i];
    compare(cases[_i].layers, cases[_i].rows, z);
    free(wide);
    free(z);
}
END_TEST

START_TEST(noise)
{
    compare(cases[_i].layers, cases[_i].rows, NULL);
}
END_TEST

Suite *bench_limit_suite(void)
{
    Suite *suite = suite_create("bench_limit");
    TCase *tcase = tcase_create("bench_limit");
    tcase_add_loop_test(tcase, gradients, 0, n_cases);
    tcase_add_loop_test(tcase, noise, 0, n_cases);
    suite_add_tcase(suite, tcase);
    return suite;
}
