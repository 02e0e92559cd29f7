/* Batches and the split, through what a fit does and tells. */
#include "models/training_tools.h"

/* Row j is j + 1 along axis j, and a small step moves loc by the rate times the mean of the batch: loc tells how much
 * each row has counted. */
enum { N = 8 };

static double axes[N][N];

static nf_fit_report count_visits(const nf_fit_options *options, double visits[N])
{
    const double rate = 1e-6;
    nf_fit_options o = *options;
    o.optimizer.learning_rate = rate;
    nf_flow *flow = new_flow("loc", N, AD_F64);
    nf_fit_report report;
    for (int j = 0; j < N; j++) axes[j][j] = j + 1;
    ASSERT_OK(nf_fit(flow, axes[0], N, &o, &report, &error));
    for (size_t j = 0; j < N; j++) visits[j] = parameter_at(flow, j) / rate / (double)(j + 1);
    ad_free(report.history);
    nf_flow_free(flow);
    return report;
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-4;
}

START_TEST(every_row_is_in_one_part)
{
    static const struct {
        size_t batch;
        double weight[2]; /* of the rows in its full batches, and in the smaller last one */
        int full;         /* rows in full batches */
    } cases[] = {{1, {1, 1}, 6}, {2, {0.5, 0.5}, 6}, {4, {0.25, 0.5}, 4}, {100, {1.0 / 6, 1.0 / 6}, 6}};
    bool in_val[N] = {false};
    for (uint64_t seed = 0; seed < 40; seed++)
        for (size_t i = 0; i < COUNT(cases); i++) {
            nf_fit_options o = {
                DESCENT, STEADY, .epochs = 1, .seed = seed, .val_fraction = 0.25, .batch = cases[i].batch};
            double visits[N], val_nll = 0.5 * N * log(2 * acos(-1));
            nf_fit_report report = count_visits(&o, visits);
            ck_assert_uint_eq(report.train_rows, 6);
            ck_assert_uint_eq(report.val_rows, 2);
            int count[3] = {0}; /* in validation, in full batches, in the last one */
            for (int j = 0; j < N; j++) {
                bool val = near(visits[j], 0);
                in_val[j] |= val;
                count[0] += val;
                count[1] += !val && near(visits[j], cases[i].weight[0]);
                count[2] += near(visits[j], cases[i].weight[1]) && !near(cases[i].weight[0], cases[i].weight[1]);
                if (val) val_nll += 0.5 * (j + 1) * (j + 1) / 2;
            }
            ck_assert_int_eq(count[0], 2);
            ck_assert_int_eq(count[1], cases[i].full);
            ck_assert_int_eq(count[2], 6 - cases[i].full);
            ck_assert_double_eq_tol(report.last.val_nll, val_nll, 1e-4); /* of just those rows */
        }
    for (int j = 0; j < N; j++) ck_assert(in_val[j]); /* each seed draws its own */
}
END_TEST

START_TEST(every_epoch_is_shuffled)
{
    /* of 8 rows 6 are in a full batch, weighing 1/6, and 2 in the last one, weighing 1/2 */
    int moved = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        double visits[N];
        nf_fit_options o = {DESCENT, STEADY, .epochs = 2, .seed = seed, .val_fraction = -1, .batch = 6};
        count_visits(&o, visits);
        for (int j = 0; j < N; j++) {
            ck_assert(near(visits[j], 2.0 / 6) || near(visits[j], 1) || near(visits[j], 4.0 / 6));
            moved += near(visits[j], 4.0 / 6);
        }
    }
    ck_assert_int_gt(moved, 20); /* 20 · 8 · 2 · 6/8 · 2/8 = 60 expected */
}
END_TEST

/* With a rate of almost nothing the weights stay, and the losses reported are those of the flow. */
START_TEST(reports_the_loss)
{
    enum { ROWS_HERE = 203 };
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = moved_flow("maf(8)-flip", 2, dtype);
        double *x = normals(2 * ROWS_HERE, 1, 4), nll;
        nf_fit_options o = {DESCENT, .epochs = 2, .optimizer.learning_rate = 1e-30, .val_fraction = 0.2, .batch = 50};
        nf_fit_report report;
        ASSERT_OK(nf_nll(flow, x, NULL, ROWS_HERE, &nll, NULL, NULL, &error));
        ASSERT_OK(nf_fit(flow, x, ROWS_HERE, &o, &report, &error));
        ck_assert_uint_eq(report.val_rows, 41);
        ck_assert_uint_eq(report.train_rows, ROWS_HERE - 41);
        double sum = (ROWS_HERE - 41) * report.last.train_nll + 41 * report.last.val_nll;
        ck_assert_double_eq_tol(sum / ROWS_HERE, nll, dtype == AD_F32 ? 1e-5 : 1e-12);
        ad_free(report.history);
        free(x);
        nf_flow_free(flow);
    }
}
END_TEST

static bool at_once(void *context)
{
    (void)context;
    return true;
}

/* Of an epoch cut short too: the mean of what was seen. All rows are equal here. */
START_TEST(reports_the_loss_of_a_part)
{
    double x[2 * ROWS], nll;
    for (int i = 0; i < 2 * ROWS; i++) x[i] = 0.5 + i % 2;
    nf_flow *flow = moved_flow("maf(8)-flip", 2, AD_F64);
    nf_fit_options o = {DESCENT, .optimizer.learning_rate = 1e-30, .val_fraction = -1, .batch = 10,
                        .interrupted = at_once};
    nf_fit_report report;
    ASSERT_OK(nf_nll(flow, x, NULL, 1, &nll, NULL, NULL, &error));
    ASSERT_OK(nf_fit(flow, x, ROWS, &o, &report, &error));
    ck_assert_uint_eq(report.last.rows, 10);
    ck_assert_double_eq_tol(report.last.train_nll, nll, 1e-12);
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

START_TEST(few_rows)
{
    static const struct {
        size_t rows, batch;
        double val_fraction;
        size_t train_rows;
    } cases[] = {{1, 1, 0.1, 1},    {1, SIZE_MAX, 0.9, 1}, {2, 256, 0.5, 1},        {2, 256, 0.9, 1},
                 {2, 1, -1, 2},     {3, 2, 0.1, 3},        {20, SIZE_MAX, 0.1, 18}, {20, SIZE_MAX - 5, -1, 20},
                 {20, 7, 0.999, 1}, {20, 19, 0.05, 19}};
    double *x = normals(40, 1, 5);
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_flow *flow = new_flow("maf(4)-scale-loc", 2, AD_F32);
        nf_fit_options o = {.epochs = 3, .batch = cases[i].batch, .val_fraction = cases[i].val_fraction};
        nf_fit_report report;
        ASSERT_OK(nf_fit(flow, x, cases[i].rows, &o, &report, &error));
        ck_assert_int_eq(report.outcome, NF_FINISHED);
        ck_assert_uint_eq(report.train_rows, cases[i].train_rows);
        ck_assert_uint_eq(report.val_rows, cases[i].rows - cases[i].train_rows);
        size_t batch = cases[i].batch < cases[i].train_rows ? cases[i].batch : cases[i].train_rows;
        ck_assert_uint_eq(report.last.step, 3 * ((cases[i].train_rows + batch - 1) / batch));
        ck_assert_uint_eq(report.last.rows, 3 * cases[i].train_rows);
        ck_assert(isfinite(report.last.train_nll));
        ck_assert_int_eq(isnan(report.last.val_nll), report.val_rows == 0);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

/* What is validated and kept are the averages. All rows are equal here. */
START_TEST(validates_the_average)
{
    double x[2 * ROWS], nll;
    for (int i = 0; i < 2 * ROWS; i++) x[i] = 0.5 + i % 2;
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = new_flow("loc", 2, dtype);
        nf_fit_options o = {DESCENT, STEADY, .optimizer.learning_rate = 0.1, .epochs = 3, .batch = 10, .ema = 0.9};
        nf_fit_report report;
        ASSERT_OK(nf_fit(flow, x, ROWS, &o, &report, &error));
        ASSERT_OK(nf_nll(flow, x, NULL, ROWS, &nll, NULL, NULL, &error));
        ck_assert_uint_eq(report.best_epoch, 3);
        ck_assert_double_eq_tol(report.last.val_nll, nll, dtype == AD_F32 ? 1e-6 : 1e-12);
        double w = 0, a = 0; /* towards 0.5 */
        for (int t = 1; t <= 12; t++) {
            w += 0.1 * (0.5 - w);
            a += (1 - fmin(0.9, (1.0 + t) / (10 + t))) * (w - a);
        }
        ck_assert_double_eq_tol(parameter_at(flow, 0), a, dtype == AD_F32 ? 1e-6 : 1e-12);
        ad_free(report.history);
        nf_flow_free(flow);
    }
}
END_TEST

/* A flow that has nothing to train, and one that is fitted to the training rows only. */
START_TEST(nothing_to_train)
{
    static const char *const formulas[] = {"flip", "standardize", "standardize-flip"};
    double *x = normals(2 * ROWS, 1, 6);
    for (size_t i = 0; i < COUNT(formulas); i++) {
        nf_flow *flow = new_flow(formulas[i], 2, AD_F64);
        ASSERT_OK(nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 2}, NULL, &error));
        nf_flow_free(flow);
    }
    nf_flow *flow = new_flow("standardize", 2, AD_F64);
    for (int r = 0; r < 4; r++) x[2 * r] = 1 << r;
    nf_fit_options o = {.epochs = 1, .val_fraction = 0.25};
    bool seen[4] = {false};
    for (o.seed = 0; o.seed < 40; o.seed++) {
        ASSERT_OK(nf_fit(flow, x, 4, &o, NULL, &error));
        double mean = parameter_at(flow, 0); /* (15 - the row kept back) / 3 */
        int back = (int)lround(log2(15 - 3 * mean));
        ck_assert(back >= 0 && back < 4);
        ck_assert_double_eq_tol(mean, (15 - (1 << back)) / 3.0, 1e-12);
        seen[back] = true;
    }
    for (int r = 0; r < 4; r++) ck_assert(seen[r]);
    nf_flow_free(flow);
    free(x);
}
END_TEST

Suite *fit_rows_suite(void);

Suite *fit_rows_suite(void)
{
    Suite *suite = suite_create("fit_rows");
    TCase *tests = tcase_create("fit rows");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_row_is_in_one_part);
    tcase_add_test(tests, every_epoch_is_shuffled);
    tcase_add_test(tests, reports_the_loss);
    tcase_add_test(tests, reports_the_loss_of_a_part);
    tcase_add_test(tests, few_rows);
    tcase_add_test(tests, validates_the_average);
    tcase_add_test(tests, nothing_to_train);
    suite_add_tcase(suite, tests);
    return suite;
}
