/* Gaussianization: where it starts. */
#include "flows/flow_tools.h"

#include <math.h>

/* The normals that it starts from blur a normal's density, and one of two normals far apart, by little: log p - log q
 * of fresh rows. */
START_TEST(starts_near_the_data)
{
    enum { N = 4000 };
    static const double most[] = {0.04, 0.2};
    double *z = normals(2 * N, 1, 4), *x = malloc(2 * N * sizeof *x), *log_q = malloc(N * sizeof *log_q);
    for (int apart = 0; apart < 2; apart++) {
        for (size_t r = 0; r < 2 * N; r++) x[r] = z[r] + (apart ? (r % 2 ? 10 : -10) : 0);
        nf_flow *flow = nf_flow_parse("gaussianize", 1, 0, AD_F64, 1, &error);
        ASSERT_OK(nf_flow_fit_data(flow, x, NULL, N, &error));
        ASSERT_OK(nf_log_prob(flow, x + N, NULL, N, log_q, NULL, &error));
        double gap = 0;
        for (size_t r = 0; r < N; r++)
            gap += (-0.5 * z[N + r] * z[N + r] - 0.5 * log(2 * acos(-1)) - (apart ? log(2) : 0) - log_q[r]) / N;
        ck_assert_double_lt(gap, most[apart]);
        nf_flow_free(flow);
    }
    free(log_q);
    free(x);
    free(z);
}
END_TEST

Suite *gaussianize_suite(void)
{
    Suite *suite = suite_create("gaussianize");
    TCase *all = tcase_create("all");
    tcase_add_test(all, starts_near_the_data);
    suite_add_tcase(suite, all);
    return suite;
}
