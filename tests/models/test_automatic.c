/* Fitting without settings: folds, stacking, and what comes of small, strange and plain tables. */
#include "models/training_tools.h"

#include "automatic/search.h"

enum { DIM = 2 };

static nf_flow *fitted(const double *x, size_t rows, size_t dim, const nf_automatic_options *options,
                       nf_automatic_report *report)
{
    nf_flow *flow = nf_fit_automatic(x, rows, dim, 0, options, report, &error);
    ck_assert_msg(flow != NULL, "%zu rows of %zu: %s", rows, dim, error.message);
    return flow;
}

/* log p of a normal with the mean and covariance of x, at point. */
static double normal_at(const double *x, size_t rows, size_t dim, const double *point)
{
    double log_prob;
    nf_flow *flow = new_flow("whiten-standardize", dim, AD_F64);
    ASSERT_OK(nf_flow_fit_data(flow, x, NULL, rows, &error));
    ASSERT_OK(nf_log_prob(flow, point, NULL, 1, &log_prob, NULL, &error));
    nf_flow_free(flow);
    return log_prob;
}

static double mean_nll(const nf_flow *flow, const double *x, size_t rows)
{
    double nll;
    ASSERT_OK(nf_nll(flow, x, NULL, rows, &nll, NULL, NULL, &error));
    return nll;
}

/* ---- Folds ----------------------------------------------------------------------------------------------------- */

/* Each row is held out once, in `folds` folds, of which each trains on all others; or a tenth is held out in one. */
static void check_folds(size_t rows, size_t folds, size_t held)
{
    double *x = normals(rows, 1, 1);
    nf__search s = {.o.seed = 3, .rows = rows, .dim = 1, .given = x};
    size_t *times = calloc(rows, sizeof *times);
    ASSERT_OK(nf__folds_make(&s, &error));
    ck_assert_uint_eq(s.n_fold, folds);
    ck_assert_uint_eq(s.n_held, held);
    for (size_t i = 0, first = 0; i < folds; i++) {
        const nf__fold *f = &s.fold[i];
        unsigned char *seen = calloc(rows, 1);
        ck_assert_uint_eq(f->first, first);
        ck_assert_uint_eq(f->n_train + f->n_held, rows);
        for (size_t r = 0; r < f->n_held; r++) {
            times[f->held[r]]++;
            ck_assert_int_eq(seen[f->held[r]]++, 0);
            ck_assert_double_eq_tol(f->held_x[r] * s.scale[0] + s.mean[0], x[f->held[r]], 1e-12);
        }
        for (size_t r = 0; r < f->n_train; r++) {
            ck_assert_int_eq(seen[f->train[r]]++, 0);
            ck_assert_double_eq_tol(f->x[r] * s.scale[0] + s.mean[0], x[f->train[r]], 1e-12);
        }
        first += f->n_held;
        free(seen);
    }
    for (size_t r = 0; r < rows && held == rows; r++) ck_assert_uint_eq(times[r], 1);
    nf__folds_free(&s);
    nf_bijector_free(s.last);
    free(times);
    free(x);
}

START_TEST(every_row_is_held_out_once)
{
    check_folds(2, 2, 2);
    check_folds(3, 3, 3);
    check_folds(5, 5, 5);
    check_folds(7, 5, 7);
    check_folds(101, 5, 101);
    check_folds(3999, 5, 3999);
    check_folds(4000, 1, 400);
    check_folds(300000, 1, 20000);
}
END_TEST

/* ---- Stacking -------------------------------------------------------------------------------------------------- */

enum { HELD = 300, MOST = 4 };

typedef struct {
    nf__search s;
    double log_prob[MOST][HELD], weight[HELD], *row[MOST], mixed[HELD];
    nf_candidate candidate[MOST];
} stack;

/* Candidate k is N(loc[k], sd[k]²); rows are of N(0, 1), and weigh what they like. */
static void make_stack(stack *t, size_t count, const double *loc, const double *sd)
{
    memset(t, 0, sizeof *t);
    double sum = 0;
    for (size_t r = 0; r < HELD; r++) sum += t->weight[r] = ad_random_uniform(5, 0, r);
    for (size_t r = 0; r < HELD; r++) t->weight[r] /= sum;
    for (size_t k = 0; k < count; k++) {
        t->row[k] = t->log_prob[k];
        for (size_t r = 0; r < HELD; r++) {
            double z = (ad_random_normal(5, 1, r) - loc[k]) / sd[k];
            t->log_prob[k][r] = -z * z / 2 - log(sd[k]);
        }
    }
    t->s = (nf__search){
        .n_candidate = count, .n_held = HELD, .held_weight = t->weight, .log_prob = t->row, .candidate = t->candidate};
}

/* The mean log-likelihood of a mixture, and its slope along each weight: at the best weights, with Σ w = 1, it is 1 for
 * those above 0 and at most 1 for the others. */
static double likelihood(const stack *t, const double *w, double *slope)
{
    double mean = 0;
    for (size_t k = 0; k < t->s.n_candidate; k++) slope[k] = 0;
    for (size_t r = 0; r < HELD; r++) {
        double sum = 0;
        for (size_t k = 0; k < t->s.n_candidate; k++) sum += w[k] * exp(t->log_prob[k][r]);
        mean += t->weight[r] * log(sum);
        for (size_t k = 0; k < t->s.n_candidate; k++) slope[k] += t->weight[r] * exp(t->log_prob[k][r]) / sum;
    }
    return mean;
}

/* Two: by golden section. */
START_TEST(two_weights_are_the_best)
{
    static stack t;
    make_stack(&t, 2, (double[]){-1, .8}, (double[]){.9, .7});
    double w[MOST], slope[MOST], low = .001, high = 1;
    const double golden = (sqrt(5) - 1) / 2;
    while (high - low > 1e-9) {
        double a = high - golden * (high - low), b = low + golden * (high - low);
        if (likelihood(&t, (double[]){a, 1 - a}, slope) > likelihood(&t, (double[]){b, 1 - b}, slope))
            high = b;
        else
            low = a;
    }
    ASSERT_OK(nf__stack(&t.s, .001, .01, w, t.mixed, &error));
    ck_assert_double_eq_tol(w[0], low, 1e-3);
    ck_assert_double_gt(low, .1);
    ck_assert_double_lt(low, .9);
    double best = likelihood(&t, (double[]){low, 1 - low}, slope);
    ck_assert_double_eq_tol(-nf__score(&t.s, t.mixed, NULL), best, 1e-7);
}
END_TEST

START_TEST(weights_are_the_best)
{
    static stack t;
    double w[MOST], slope[MOST], sum = 0;
    make_stack(&t, 4, (double[]){-1.2, 1, 0, 40}, (double[]){.5, .6, 2, 1});
    ASSERT_OK(nf__stack(&t.s, .001, .01, w, t.mixed, &error));
    double mean = likelihood(&t, w, slope);
    for (size_t k = 0; k < 4; k++) sum += w[k];
    for (size_t k = 0; k < 3; k++) {
        ck_assert_double_gt(w[k], .01);
        ck_assert_double_eq_tol(slope[k], 1, 1e-3);
    }
    ck_assert_double_eq(w[3], 0); /* far from all rows */
    ck_assert_double_eq_tol(sum, 1, 1e-12);
    ck_assert_double_eq_tol(-nf__score(&t.s, t.mixed, NULL), mean, 1e-12);
}
END_TEST

/* The first keeps its least, one that is worth little is left out, and so is one that failed. */
START_TEST(least_weights)
{
    static stack t;
    double w[MOST], slope[MOST];
    make_stack(&t, 3, (double[]){30, 0, 2.9}, (double[]){1, 1, .3});
    ASSERT_OK(nf__stack(&t.s, .001, .05, w, t.mixed, &error));
    ck_assert_double_eq(w[0], .001);
    ck_assert_double_eq_tol(w[1], .999, 1e-9);
    ck_assert_double_eq(w[2], 0);
    likelihood(&t, w, slope);
    t.candidate[1].failed = true;
    ASSERT_OK(nf__stack(&t.s, .001, .0, w, t.mixed, &error));
    ck_assert_double_eq(w[1], 0);
    t.candidate[2].failed = true;
    ASSERT_OK(nf__stack(&t.s, .001, .01, w, t.mixed, &error));
    ck_assert_double_eq(w[0], 1);
}
END_TEST

/* The standard error of a weighted mean. */
START_TEST(scores)
{
    static stack t;
    double deviation, mean = 0, squares = 0;
    make_stack(&t, 1, (double[]){0}, (double[]){1});
    for (size_t r = 0; r < HELD; r++) mean -= t.weight[r] * t.log_prob[0][r];
    for (size_t r = 0; r < HELD; r++) squares += pow(t.weight[r] * (t.log_prob[0][r] + mean), 2);
    ck_assert_double_eq_tol(nf__score(&t.s, t.log_prob[0], &deviation), mean, 1e-12);
    ck_assert_double_eq_tol(deviation, sqrt(squares * HELD / (HELD - 1)), 1e-12);
}
END_TEST

/* ---- Small tables ---------------------------------------------------------------------------------------------- */

/* As good as a normal on fresh rows of it, or nearly, and never worse on those held out. */
START_TEST(few_rows)
{
    static const size_t counts[] = {2, 3, 5, 7, 20, 50};
    double *x = normals(50 * DIM, 1, (uint64_t)_i + 1), *fresh = normals(2000 * DIM, 1, 99);
    for (size_t i = 0; i < COUNT(counts); i++) {
        nf_automatic_report report;
        nf_flow *flow = fitted(x, counts[i], DIM, &(nf_automatic_options){.dtype = AD_F64, .seed = 1}, &report);
        ck_assert_str_eq(report.candidate[0].formula, "whiten");
        ck_assert_uint_eq(report.held, counts[i]);
        ck_assert_uint_eq(report.best_flow, 0);
        ck_assert_double_le(report.nll, report.candidate[0].nll + 1e-9);
        nf_flow *alone = new_flow("whiten-standardize", DIM, AD_F64);
        ASSERT_OK(nf_flow_fit_data(alone, x, NULL, counts[i], &error));
        ck_assert_double_lt(mean_nll(flow, fresh, 2000), mean_nll(alone, fresh, 2000) + .15);
        nf_flow_free(alone);
        nf_flow_free(flow);
        nf_automatic_report_free(&report);
    }
    nf_automatic_report none;
    ck_assert_ptr_null(nf_fit_automatic(x, 1, DIM, 0, NULL, &none, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "one row says nothing"));
    free(fresh);
    free(x);
}
END_TEST

/* Of one feature, with a flow: two halves, which a normal doesn't know. The score held out is that of fresh rows. */
START_TEST(one_feature)
{
    enum { N = 600 };
    double *x = normals(N, 1, 1), *fresh = normals(5000, 1, 2);
    for (size_t r = 0; r < N; r++) x[r] = 1000 + (r % 2 ? 8 : 0) + x[r];
    for (size_t r = 0; r < 5000; r++) fresh[r] = 1000 + (r % 2 ? 8 : 0) + fresh[r];
    nf_automatic_report report;
    nf_flow *flow = fitted(x, N, 1, &(nf_automatic_options){.seed = 1, .seconds = 1e6}, &report);
    const double entropy = .5 * log(2 * acos(-1)) + .5 + log(2);
    ck_assert_double_lt(fabs(report.nll - entropy), 4 * report.standard_error);
    ck_assert_double_lt(mean_nll(flow, fresh, 5000), entropy + .05);
    ck_assert_double_gt(report.candidate[0].nll, entropy + .5);
    ck_assert_uint_ne(report.best_mixture, 0);
    ck_assert_uint_ne(report.best_flow, 0);
    ck_assert_uint_gt(report.candidate[report.best_flow].epochs, 0);
    nf_flow_free(flow);
    nf_automatic_report_free(&report);
    free(fresh);
    free(x);
}
END_TEST

/* A normal's rows: no better than their entropy, but for noise; and no flow makes it worse. */
START_TEST(normal_rows)
{
    enum { N = 400 };
    double *x = normals(N * DIM, 1, 7), *fresh = normals(4000 * DIM, 1, 8);
    for (size_t r = 0; r < N; r++) x[2 * r + 1] = 5 + 3 * (x[2 * r] + x[2 * r + 1]);
    for (size_t r = 0; r < 4000; r++) fresh[2 * r + 1] = 5 + 3 * (fresh[2 * r] + fresh[2 * r + 1]);
    nf_automatic_report report;
    nf_flow *flow = fitted(x, N, DIM, &(nf_automatic_options){.seed = 1, .seconds = 1e6}, &report);
    const double entropy = log(2 * acos(-1)) + 1 + log(3);
    ck_assert_double_lt(fabs(report.nll - entropy), 4 * report.standard_error);
    ck_assert_double_lt(mean_nll(flow, fresh, 4000), entropy + .03);
    nf_flow_free(flow);
    nf_automatic_report_free(&report);
    free(fresh);
    free(x);
}
END_TEST

/* However far off a row is: no more than log .001 below the normal. */
START_TEST(far_rows)
{
    enum { N = 150 };
    double *x = normals(N * DIM, 1, 7);
    for (size_t r = 0; r < N; r++) x[2 * r + 1] = x[2 * r] * x[2 * r] + .1 * x[2 * r + 1];
    nf_automatic_report report;
    nf_flow *flow = fitted(x, N, DIM, &(nf_automatic_options){.dtype = AD_F64, .seed = 1, .seconds = 1e6}, &report);
    static const double far[] = {-1e4, -300, -20, -3, 0, 3, 20, 300, 1e4};
    for (size_t i = 0; i < COUNT(far); i++)
        for (size_t j = 0; j < COUNT(far); j++) {
            const double point[] = {far[i], far[j]}, normal = normal_at(x, N, DIM, point);
            double log_prob;
            ASSERT_OK(nf_log_prob(flow, point, NULL, 1, &log_prob, NULL, &error));
            ck_assert_double_ge(log_prob, log(.001) + normal - 1e-6 * fabs(normal));
        }
    nf_flow_free(flow);
    nf_automatic_report_free(&report);
    free(x);
}
END_TEST

/* A feature that never changes, and one that is another: they fit, and other features are as without them. */
START_TEST(constant_feature)
{
    enum { N = 60 };
    double *z = normals(N, 1, 3), x[N][3], log_prob;
    for (size_t r = 0; r < N; r++) memcpy(x[r], (double[]){z[r], 7, 2 * z[r]}, sizeof x[r]);
    nf_automatic_report report;
    nf_flow *flow = fitted(x[0], N, 3, &(nf_automatic_options){.dtype = AD_F64}, &report);
    ASSERT_OK(nf_log_prob(flow, x[0], NULL, 1, &log_prob, NULL, &error));
    ck_assert(isfinite(log_prob));
    ck_assert(isfinite(report.nll));
    nf_flow_free(flow);
    nf_automatic_report_free(&report);
    free(z);
}
END_TEST

Suite *automatic_suite(void);

Suite *automatic_suite(void)
{
    Suite *suite = suite_create("automatic");
    TCase *tests = tcase_create("automatic");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_row_is_held_out_once);
    tcase_add_test(tests, two_weights_are_the_best);
    tcase_add_test(tests, weights_are_the_best);
    tcase_add_test(tests, least_weights);
    tcase_add_test(tests, scores);
    tcase_add_loop_test(tests, few_rows, 0, 3);
    tcase_add_test(tests, one_feature);
    tcase_add_test(tests, normal_rows);
    tcase_add_test(tests, far_rows);
    tcase_add_test(tests, constant_feature);
    suite_add_tcase(suite, tests);
    return suite;
}
