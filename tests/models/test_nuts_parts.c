/* Parts of NUTS against definitions: warm-up, metric, trees. */
#include "models/nuts_tools.h"

#include "nuts/metric.h"
#include "nuts/nuts_tree.h"
#include "nuts/warmup.h"

/* ---- Parts
 * ----------------------------------------------------------------------------------------------------------------- */

/* The last draws of windows of a warm-up. */
static size_t closes_of(size_t warmup, size_t close[16])
{
    nf__windows w = nf__windows_of(warmup);
    size_t count = 0;
    for (size_t i = 0; i < warmup; i++) {
        bool learns = nf__windows_learn(&w, i);
        if (nf__windows_close(&w, i)) {
            ck_assert(learns);
            close[count++] = i;
        }
    }
    return count;
}

START_TEST(windows_are_stan_s)
{
    size_t close[16];
    ck_assert_uint_eq(closes_of(1000, close), 5);
    ck_assert_mem_eq(close, ((size_t[]){99, 149, 249, 449, 949}), 5 * sizeof *close);
    ck_assert_uint_eq(closes_of(150, close), 1);
    ck_assert_uint_eq(close[0], 99);
    ck_assert_uint_eq(closes_of(100, close), 1);
    ck_assert_uint_eq(close[0], 89);
    ck_assert_uint_eq(closes_of(19, close), 0);
    nf__windows w = nf__windows_of(1000);
    ck_assert(!nf__windows_learn(&w, 74) && nf__windows_learn(&w, 75));
    ck_assert(nf__windows_learn(&w, 949) && !nf__windows_learn(&w, 950));
}
END_TEST

/* Hoffman & Gelman 2014, equation 6 and algorithm 5. */
START_TEST(dual_averaging_by_hand)
{
    nf__step_size state = {.target = 0.8};
    nf__step_size_restart(&state, 0.3);
    double mu = log(3), h = 0, log_mean = 0;
    for (int m = 1; m <= 30; m++) {
        double acceptance = ad_random_uniform(1, 1, (uint64_t)m);
        h = (1 - 1. / (m + 10)) * h + (0.8 - acceptance) / (m + 10);
        double log_step = mu - sqrt(m) / 0.05 * h, eta = pow(m, -0.75);
        log_mean = eta * log_step + (1 - eta) * log_mean;
        ck_assert_double_eq_tol(nf__step_size_learn(&state, acceptance), exp(log_step), 1e-10 * exp(log_step));
        ck_assert_double_eq_tol(nf__step_size_mean(&state), exp(log_mean), 1e-10 * exp(log_mean));
    }
    nf__step_size_restart(&state, 1);
    double step = 1;
    for (int m = 0; m < 2000; m++) step = nf__step_size_learn(&state, exp(-step));
    ck_assert_double_eq_tol(nf__step_size_mean(&state), -log(0.8), 0.01);
}
END_TEST

START_TEST(metric_is_the_regularised_covariance)
{
    enum { DIM = 3, DRAWS = 40 };
    bool dense = _i;
    nf__metric metric;
    ck_assert(nf__metric_new(&metric, DIM, dense));
    for (int round = 0; round < 2; round++) { /* the second knows nothing of the first */
        double q[DRAWS][DIM], mean[DIM] = {0}, expected[DIM][DIM] = {0}, p[DIM] = {0.3, -1, 2}, v[DIM], normal[DIM];
        for (int n = 0; n < DRAWS; n++) {
            for (int i = 0; i < DIM; i++) {
                q[n][i] = 100 + (i + 1) * ad_random_normal(1, (uint64_t)round, (uint64_t)(n * DIM + i));
                if (i > 0) q[n][i] += q[n][i - 1];
                mean[i] += q[n][i] / DRAWS;
            }
            nf__metric_add(&metric, q[n]);
        }
        for (int i = 0; i < DIM; i++)
            for (int j = 0; j < DIM; j++) {
                for (int n = 0; n < DRAWS; n++)
                    expected[i][j] += (q[n][i] - mean[i]) * (q[n][j] - mean[j]) / (DRAWS - 1);
                expected[i][j] *= DRAWS / (DRAWS + 5.);
                expected[i][j] += i == j ? 1e-3 * 5 / (DRAWS + 5.) : 0;
                if (!dense && i != j) expected[i][j] = 0;
            }
        ck_assert(nf__metric_update(&metric));
        nf__metric_velocity(&metric, p, v);
        for (int i = 0; i < DIM; i++) {
            double want = 0;
            for (int j = 0; j < DIM; j++) want += expected[i][j] * p[j];
            ck_assert_double_eq_tol(v[i], want, 1e-10 * fabs(want));
        }
        /* p = A n has the covariance A Aᵀ = M = (M⁻¹)⁻¹: column by column, A Aᵀ (M⁻¹ e) = e */
        double a[DIM][DIM];
        for (int j = 0; j < DIM; j++) {
            memset(normal, 0, sizeof normal);
            normal[j] = 1;
            nf__metric_momentum(&metric, normal);
            for (int i = 0; i < DIM; i++) a[i][j] = normal[i];
        }
        for (int i = 0; i < DIM; i++)
            for (int k = 0; k < DIM; k++) {
                double product = 0;
                for (int j = 0; j < DIM; j++)
                    for (int l = 0; l < DIM; l++) product += a[i][j] * a[l][j] * expected[l][k];
                ck_assert_double_eq_tol(product, i == k, 1e-9);
            }
    }
    nf__metric_add(&metric, (double[DIM]){INFINITY, 0, 0});
    nf__metric_add(&metric, (double[DIM]){0, 0, 0});
    ck_assert(!nf__metric_update(&metric));
    nf__metric_free(&metric);
}
END_TEST

/* ---- Trees against recursion
 * ------------------------------------------------------------------------------------------------ */

enum { WALK_DIM = 2, WALK = 64 };

static double dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1];
}

static void sum_of(double p[][WALK_DIM], int begin, int end, double sum[WALK_DIM])
{
    sum[0] = sum[1] = 0;
    for (int i = begin; i < end; i++)
        for (int k = 0; k < WALK_DIM; k++) sum[k] += p[i][k];
}

static bool turns_over(double p[][WALK_DIM], double v[][WALK_DIM], int begin, int end)
{
    double sum[WALK_DIM];
    sum_of(p, begin, end, sum);
    return dot(v[begin], sum) <= 0 || dot(v[end - 1], sum) <= 0;
}

/* Whether states begin … end-1 or a half of them, or of these, turn: Stan's transition(), by the definition. */
static bool turns_anywhere(double p[][WALK_DIM], double v[][WALK_DIM], int begin, int end)
{
    int middle = (begin + end) / 2;
    if (end - begin == 1) return false;
    return turns_anywhere(p, v, begin, middle) || turns_anywhere(p, v, middle, end) || turns_over(p, v, begin, end) ||
           turns_over(p, v, begin, middle + 1) || turns_over(p, v, middle - 1, end);
}

START_TEST(trees_turn_as_defined)
{
    double p[WALK][WALK_DIM], v[WALK][WALK_DIM];
    size_t lasted[8] = {0};
    for (uint64_t walk = 0; walk < 3000; walk++) {
        double angle = 6 * ad_random_uniform(1, walk, WALK), rate = 3 * pow(ad_random_uniform(1, walk, WALK + 1), 3);
        for (uint64_t i = 0; i < WALK; i++) {
            angle += rate * ad_random_normal(1, walk, i) + rate / 4;
            p[i][0] = cos(angle);
            p[i][1] = sin(angle);
            v[i][0] = 2 * p[i][0] + 0.5 * p[i][1];
            v[i][1] = 0.5 * p[i][0] + p[i][1];
        }
        nf__tree tree;
        ck_assert(nf__tree_new(&tree, WALK_DIM, 6));
        int states = 0, complete = 0;
        while (states < WALK && nf__tree_add(&tree, p[states], v[states])) states++;
        /* each aligned block that was completed before does not turn; one that ends here does */
        bool turned = states < WALK;
        for (int size = 2, level = 1; size <= WALK; size *= 2, level++)
            for (int begin = 0; begin + size <= states; begin += size) {
                ck_assert(!turns_anywhere(p, v, begin, begin + size));
                if (level > complete) complete = level;
            }
        bool here = false;
        for (int size = 2; turned && size <= WALK && (states + 1) % size == 0; size *= 2)
            here |= turns_anywhere(p, v, states + 1 - size, states + 1);
        ck_assert(here == turned);
        if (!turned) {
            ck_assert_uint_eq(tree.height, 1);
            ck_assert_uint_eq(tree.subtree[0].states, WALK);
            double sum[WALK_DIM];
            sum_of(p, 0, WALK, sum);
            for (int k = 0; k < WALK_DIM; k++) {
                ck_assert_double_eq_tol(tree.subtree[0].p_sum[k], sum[k], 1e-12);
                ck_assert_double_eq(tree.subtree[0].p_first[k], p[0][k]);
                ck_assert_double_eq(tree.subtree[0].v_last[k], v[WALK - 1][k]);
            }
        }
        lasted[complete]++;
        nf__tree_free(&tree);
    }
    for (int level = 0; level <= 6; level++) ck_assert_uint_gt(lasted[level], 0);
}
END_TEST

Suite *nuts_parts_suite(void)
{
    Suite *suite = suite_create("nuts_parts");
    TCase *parts = tcase_create("parts");
    tcase_add_test(parts, windows_are_stan_s);
    tcase_add_test(parts, dual_averaging_by_hand);
    tcase_add_loop_test(parts, metric_is_the_regularised_covariance, 0, 2);
    tcase_add_test(parts, trees_turn_as_defined);
    suite_add_tcase(suite, parts);
    return suite;
}
