/* The two moons and the banana. */
#include "models/data_tools.h"

#include <math.h>

/* Without noise: the points of golden/moons.py in some order. */
START_TEST(moons_are_scikit_learns)
{
    static const int sizes[] = {1, 2, 7, 20};
    char name[32];
    snprintf(name, sizeof name, "moons_%d.csv", sizes[_i]);
    nf_table expected = read_table(golden_path(name).text);
    size_t n = expected.rows;
    double values[40];
    int labels[20];
    bool used[20] = {false};
    nf_moons(n, 0, 3, values, labels);
    for (size_t r = 0; r < n; r++) {
        bool found = false;
        for (size_t e = 0; e < n && !found; e++) {
            const double *row = expected.values + 3 * e;
            found = !used[e] && row[2] == labels[r] && fabs(row[0] - values[2 * r]) < 1e-14 &&
                    fabs(row[1] - values[2 * r + 1]) < 1e-14;
            used[e] |= found;
        }
        ck_assert_msg(found, "(%g, %g) of moon %d is not expected", values[2 * r], values[2 * r + 1], labels[r]);
    }
    nf_table_free(&expected);
}
END_TEST

START_TEST(moons_noise_and_order)
{
    enum { N = 20000 };
    static double exact[2 * N], noisy[2 * N], again[2 * N], other[2 * N];
    static int labels[N];
    const double sd = 0.3;
    nf_moons(N, 0, 5, exact, labels);
    nf_moons(N, sd, 5, noisy, NULL);
    nf_moons(N, sd, 5, again, NULL);
    nf_moons(N, sd, 6, other, NULL);
    ck_assert_mem_eq(noisy, again, sizeof noisy);
    ck_assert_mem_ne(noisy, other, sizeof noisy);
    double mean[2] = {0}, square[2] = {0}, product = 0;
    for (int r = 0; r < N; r++) {
        double d[2] = {noisy[2 * r] - exact[2 * r], noisy[2 * r + 1] - exact[2 * r + 1]};
        for (int c = 0; c < 2; c++) {
            mean[c] += d[c] / N;
            square[c] += d[c] * d[c] / N;
        }
        product += d[0] * d[1] / N;
    }
    /* Within five standard errors. */
    for (int c = 0; c < 2; c++) {
        ck_assert_double_eq_tol(mean[c], 0, 5 * sd / sqrt(N));
        ck_assert_double_eq_tol(square[c], sd * sd, 5 * sd * sd * sqrt(2.0 / N));
    }
    ck_assert_double_eq_tol(product, 0, 5 * sd * sd / sqrt(N));
    /* In the first half of a random order, half of the points are of the first moon. */
    int lower = 0;
    for (int r = 0; r < N / 2; r++) lower += labels[r];
    ck_assert_int_le(abs(lower - N / 4), (int)(5 * sqrt(N / 16.0)));
}
END_TEST

/* x2 / 3 and x1 - x2²/4 are independent, N(0, 1). */
START_TEST(banana_is_a_bent_normal)
{
    enum { N = 20000 };
    static double x[2 * N], fewer[2 * 10], other[2 * 10];
    nf_banana(N, 5, x);
    nf_banana(10, 5, fewer);
    nf_banana(10, 6, other);
    ck_assert_mem_eq(x, fewer, sizeof fewer);
    ck_assert_mem_ne(x, other, sizeof other);
    double mean[2] = {0}, square[2] = {0}, fourth[2] = {0}, product = 0, bend = 0;
    for (int r = 0; r < N; r++) {
        double u[2] = {x[2 * r + 1] / 3, x[2 * r] - x[2 * r + 1] * x[2 * r + 1] / 4};
        for (int c = 0; c < 2; c++) {
            mean[c] += u[c] / N;
            square[c] += u[c] * u[c] / N;
            fourth[c] += pow(u[c], 4) / N;
        }
        product += u[0] * u[1] / N;
        bend += (u[0] * u[0] - 1) * u[1] / N;
    }
    /* Within five standard errors; Var u⁴ = 105 - 9. */
    for (int c = 0; c < 2; c++) {
        ck_assert_double_eq_tol(mean[c], 0, 5 / sqrt(N));
        ck_assert_double_eq_tol(square[c], 1, 5 * sqrt(2.0 / N));
        ck_assert_double_eq_tol(fourth[c], 3, 5 * sqrt(96.0 / N));
    }
    ck_assert_double_eq_tol(product, 0, 5 / sqrt(N));
    ck_assert_double_eq_tol(bend, 0, 5 * sqrt(2.0 / N));
}
END_TEST

Suite *moons_suite(void)
{
    Suite *suite = suite_create("moons");
    TCase *moons = tcase_create("moons");
    tcase_add_checked_fixture(moons, scratch_begin, scratch_end);
    tcase_add_loop_test(moons, moons_are_scikit_learns, 0, 4);
    tcase_add_test(moons, moons_noise_and_order);
    tcase_add_test(moons, banana_is_a_bent_normal);
    suite_add_tcase(suite, moons);
    return suite;
}
