/* Training: optimisers against their formulas, batches and splits through what they do, and how a fit ends. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include "scratch.h"

#include <malloc.h>
#include <math.h>

/* Plain gradient descent, and on all rows at once. */
#define DESCENT  .optimizer.name = "sgd", .optimizer.clip = -1
#define STEADY   .schedule = "constant"
#define ALL_ROWS .val_fraction = -1, .batch = SIZE_MAX

static double parameter_at(const nf_flow *flow, size_t i)
{
    const void *all = nf_flow_parameters(flow);
    return nf_flow_dtype(flow) == AD_F32 ? (double)((const float *)all)[i] : ((const double *)all)[i];
}

static size_t parameter_bytes(const nf_flow *flow)
{
    return nf_flow_parameter_count(flow) * ad_dtype_size(nf_flow_dtype(flow));
}

static nf_flow *new_flow(const char *formula, size_t dim, ad_dtype dtype)
{
    nf_flow *flow = nf_flow_parse(formula, dim, 0, dtype, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

/* ---- Optimisers against their formulas ------------------------------------------------------------------------- */

enum { ROWS = 40 };

/* scale-loc in 2 dimensions: w = (ρ, loc), s = softplus(ρ), z = (x - loc) / s, and the mean of z²/2 + log s. */
static void gradient_by_hand(const double *x, const double w[4], double g[4])
{
    for (int j = 0; j < 2; j++) {
        double s = log1p(exp(w[j])), mean = 0, square = 0;
        for (int r = 0; r < ROWS; r++) {
            double z = (x[2 * r + j] - w[2 + j]) / s;
            mean += z / ROWS;
            square += z * z / ROWS;
        }
        g[j] = (1 - square) / s / (1 + exp(-w[j]));
        g[2 + j] = -mean / s;
    }
}

/* What is trained with, and the numbers that its optimiser's name has in it. */
typedef struct {
    nf_fit_options o;
    double momentum, beta2; /* beta2: of Adam; 0: momentum */
} recipe;

/* Kingma & Ba 2015, as at the end of section 2; or momentum. On all rows, a step is an epoch. */
static void train_by_hand(const double *x, const nf_fit_options *options, double momentum, double beta2, double w[4])
{
    const nf_optimizer_options *o = &options->optimizer;
    double m[4] = {0}, v[4] = {0}, g[4], a[4] = {w[0], w[1], w[2], w[3]}, steps = (double)options->epochs;
    for (double t = 1; t <= steps; t++) {
        gradient_by_hand(x, w, g);
        double norm = sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2] + g[3] * g[3]), rate = o->learning_rate;
        if (!options->schedule || strcmp(options->schedule, "constant") != 0)
            rate *= (1 + cos(acos(-1) * (t - 1) / steps)) / 2;
        for (int i = 0; i < 4; i++) {
            if (o->clip > 0 && norm > o->clip) g[i] *= o->clip / norm;
            g[i] += o->weight_decay * w[i];
            m[i] = beta2 > 0 ? 0.9 * m[i] + 0.1 * g[i] : momentum * m[i] + rate * g[i];
            v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
            double adam_rate = rate * sqrt(1 - pow(beta2, t)) / (1 - pow(0.9, t));
            w[i] -= beta2 > 0 ? adam_rate * m[i] / (sqrt(v[i]) + 1e-8) : m[i];
            a[i] += (1 - fmin(options->ema, (1 + t) / (10 + t))) * (w[i] - a[i]);
        }
    }
    for (int i = 0; i < 4 && options->ema > 0; i++) w[i] = a[i];
}

static const recipe recipes[] = {
    {{DESCENT, ALL_ROWS, STEADY}},
    {{DESCENT, ALL_ROWS, STEADY, .optimizer.weight_decay = 0.1}},
    {{ALL_ROWS, STEADY, .optimizer = {"momentum", .clip = -1}}, .momentum = 0.9},
    {{ALL_ROWS, .optimizer = {"momentum(0.5)", .clip = -1}, .schedule = "cosine"}, .momentum = 0.5},
    {{ALL_ROWS, STEADY, .optimizer = {"sgd", .clip = 0.5}}},
    {{ALL_ROWS, STEADY, .optimizer = {"sgd", .clip = 1e6}}},
    {{ALL_ROWS, STEADY, .optimizer = {"momentum(momentum=0.9)", .clip = 0.5, .weight_decay = 0.1}}, .momentum = 0.9},
    {{ALL_ROWS, STEADY, .optimizer = {"adam(beta2=0.999)", .clip = -1}}, .beta2 = 0.999},
    {{ALL_ROWS, STEADY, .optimizer = {"adam(0.9, 0.5)", .clip = -1}}, .beta2 = 0.5},
    {{ALL_ROWS, STEADY, .optimizer = {"adam(beta1=0.9)", .clip = -1}}, .beta2 = 0.98}, /* nf_fit()'s own */
    {{ALL_ROWS, STEADY, .optimizer.clip = -1}, .beta2 = 0.98},
    {{ALL_ROWS, .optimizer = {"adam(beta2=0.99)", .clip = -1}, .schedule = "cosine"}, .beta2 = 0.99},
    {{ALL_ROWS, STEADY, .optimizer = {"adam(beta2=0.99)", .clip = 1e-7}}, .beta2 = 0.99}, /* epsilon counts */
    {{ALL_ROWS, STEADY, .optimizer = {"adam(beta2=0.99)", .clip = 0.5, .weight_decay = 0.1}}, .beta2 = 0.99},
    {{DESCENT, ALL_ROWS, STEADY, .ema = 0.3}}, /* in effect from the third step on */
    {{ALL_ROWS, .optimizer = {"adam(beta2=0.99)", .clip = -1}, .ema = 0.999}, .beta2 = 0.99},
};

START_TEST(optimizers_follow_their_formulas)
{
    nf_fit_options o = recipes[_i].o;
    o.epochs = 7;
    o.optimizer.learning_rate = 0.03;
    double *x = normals(2 * ROWS, 2, 1);
    for (int r = 0; r < ROWS; r++) x[2 * r] += 3;
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = new_flow("scale-loc", 2, dtype);
        double w[4] = {log(expm1(1)), log(expm1(1)), 0, 0};
        nf_fit_report report;
        ASSERT_OK(nf_fit(flow, x, ROWS, &o, &report, &error));
        ck_assert_uint_eq(report.best_epoch, o.epochs); /* so what is kept is the last step's */
        train_by_hand(x, &o, recipes[_i].momentum, recipes[_i].beta2, w);
        for (size_t i = 0; i < 4; i++)
            ck_assert_double_eq_tol(parameter_at(flow, i), w[i], dtype == AD_F32 ? 1e-5 : 1e-12);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

START_TEST(schedules)
{
    enum { EPOCHS = 4, BATCH = 10, STEPS = EPOCHS * ROWS / BATCH };
    double *x = normals(2 * ROWS, 1, 2);
    for (size_t i = 0; nf_schedule_types()[i]; i++) {
        nf_schedule schedule;
        ASSERT_OK(nf_schedule_parse(nf_schedule_types()[i]->name, &schedule, &error));
        nf_flow *flow = new_flow("loc", 2, AD_F64);
        nf_fit_report report;
        nf_fit_options o = {DESCENT,          .optimizer.learning_rate = 0.01,
                            .epochs = EPOCHS, .schedule = schedule.type->name,
                            .warmup = 6,      .val_fraction = -1,
                            .batch = BATCH};
        ASSERT_OK(nf_fit(flow, x, ROWS, &o, &report, &error));
        ck_assert_uint_eq(report.last.step, STEPS);
        for (size_t e = 0; e < EPOCHS; e++) { /* of the epoch's last step */
            size_t step = (e + 1) * ROWS / BATCH - 1;
            ck_assert_double_eq_tol(report.history[e].learning_rate, nf_scheduled_rate(&schedule, 0.01, 6, step, STEPS),
                                    1e-15);
        }
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

/* Three epochs and two more with the same optimiser are five; with another one they aren't. */
START_TEST(training_goes_on)
{
    double *x = normals(2 * ROWS, 1, 4), w[3];
    for (int i = 0; i < 3; i++) {
        nf_flow *flow = new_flow("scale-loc", 2, AD_F64);
        nf_fit_options o = {ALL_ROWS, STEADY, .epochs = i ? 3 : 5, .optimizer = {"adam", .learning_rate = 0.1}};
        nf_optimizer *optimizer = nf_optimizer_new(
            &(nf_optimizer_options){"adam(beta2=0.98)", .clip = 1, .learning_rate = 0.1}, 4, AD_F64, &error);
        if (i == 1) o.resume = optimizer;
        ASSERT_OK(nf_fit(flow, x, ROWS, &o, NULL, &error));
        o.epochs = 2;
        if (i > 0) ASSERT_OK(nf_fit(flow, x, ROWS, &o, NULL, &error));
        w[i] = parameter_at(flow, 3);
        nf_flow_free(flow);
        o.resume = optimizer;
        flow = new_flow("loc", 2, AD_F64);
        ASSERT_FAILS(nf_fit(flow, x, ROWS, &o, NULL, &error), AD_ERROR_ARGUMENT, "4 float64 parameters");
        nf_flow_free(flow);
        nf_optimizer_free(optimizer);
    }
    ck_assert_double_eq_tol(w[1], w[0], 1e-12);
    ck_assert_double_gt(fabs(w[2] - w[0]), 1e-4);
    free(x);
}
END_TEST

/* Of a normal distribution the most likely mean and standard deviation are known. */
START_TEST(reaches_the_maximum_likelihood)
{
    enum { N = 300 };
    double *x = normals(2 * N, 1, 3), nll, expected = 1 + log(2 * acos(-1));
    for (int r = 0; r < N; r++) x[2 * r] = 2 * x[2 * r] - 3;
    nf_flow *flow = new_flow("scale-loc", 2, AD_F64);
    nf_fit_options o = {ALL_ROWS, .optimizer.learning_rate = 0.1, .epochs = 1000, .schedule = "cosine"};
    ASSERT_OK(nf_fit(flow, x, N, &o, NULL, &error));
    for (size_t j = 0; j < 2; j++) {
        double mean = 0, square = 0;
        for (size_t r = 0; r < N; r++) mean += x[2 * r + j] / N;
        for (size_t r = 0; r < N; r++) square += (x[2 * r + j] - mean) * (x[2 * r + j] - mean) / N;
        ck_assert_double_eq_tol(parameter_at(flow, 2 + j), mean, 1e-4);
        ck_assert_double_eq_tol(log1p(exp(parameter_at(flow, j))), sqrt(square), 1e-4);
        expected += log(sqrt(square));
    }
    ASSERT_OK(nf_nll(flow, x, NULL, N, &nll, NULL, NULL, &error));
    ck_assert_double_eq_tol(nll, expected, 1e-6);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* Rows are the quantiles of N(0, 1), under a leaky ReLU of slope s that bends at m. The expected negative
 * log-likelihood, of z = y where y = x - m > 0 and y/s elsewhere,
 *
 *     E[y²; y > 0] / 2 + E[y²; y <= 0] / (2 s²) + log s Φ(m) + log √(2π),
 *
 * has the derivative -E[y; y > 0] - E[y; y <= 0] / s² + log s φ(m) in m. The last term comes from the jump of the
 * density: from all rows near the kink, and from the derivative at none of them. */
START_TEST(kinks_go_where_they_should)
{
    enum { QUANTILES = 20000 };
    const double s = 0.5, m = _i == 0 ? 0.4 : -0.7, rate = 1e-6;
    double *x = malloc(QUANTILES * sizeof *x), below = 0.5 * erfc(-m / sqrt(2)), nll;
    for (int r = 0; r < QUANTILES; r++) { /* by bisection */
        double low = -9, high = 9;
        while (high - low > 1e-13)
            *(0.5 * erfc(-(low + high) / 2 / sqrt(2)) < (r + 0.5) / QUANTILES ? &low : &high) = (low + high) / 2;
        x[r] = low;
    }
    nf_flow *flow = new_flow("leaky(bandwidth=0.02)-loc", 1, AD_F64);
    ck_assert(nf_parameter_set(nf_flow_bijector(flow)->child[0], "slope", &s));
    ck_assert(nf_parameter_set(nf_flow_bijector(flow)->child[1], "loc", &m));
    nf_flow_push(flow);
    ASSERT_OK(nf_nll(flow, x, NULL, QUANTILES, &nll, NULL, NULL, &error));
    nf_fit_report report;
    nf_fit_options o = {DESCENT, ALL_ROWS, STEADY, .optimizer.learning_rate = rate, .epochs = 1};
    ASSERT_OK(nf_fit(flow, x, QUANTILES, &o, &report, &error));
    double phi = exp(-m * m / 2) / sqrt(2 * acos(-1));
    double expected = -(phi - m * (1 - below)) + (phi + m * below) / (s * s) + log(s) * phi;
    double moved = *nf_parameter_value(nf_flow_bijector(flow)->child[1], "loc") - m;
    ck_assert_double_eq_tol(-moved / rate, expected, 2e-3);
    ck_assert_double_eq_tol(report.best_nll, nll, 1e-12); /* the likelihood itself is as it is */
    ad_free(report.history);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* Of the rows 0 and 4, a batch each, batchnorm keeps running averages with a weight of 1/2. They start from the data's
 * mean 2 and variance 4; a batch of one row has the variance 0. */
START_TEST(batch_statistics_are_kept)
{
    static const double x[] = {0, 4}, point = 1;
    bool ends[2] = {false};
    for (uint64_t seed = 0; seed < 10; seed++) {
        nf_flow *flow = new_flow("batchnorm(momentum=0.5)", 1, AD_F64);
        nf_fit_options o = {DESCENT,     STEADY,     .optimizer.learning_rate = 1e-12,
                            .epochs = 1, .batch = 1, .val_fraction = -1,
                            .seed = seed};
        ASSERT_OK(nf_fit(flow, x, 2, &o, NULL, &error));
        nf_flow_pull(flow);
        const nf_bijector *bijector = nf_flow_bijector(flow)->child[0];
        double mean = *nf_parameter_value(bijector, "mean"), log_prob;
        ck_assert_double_eq(*nf_parameter_value(bijector, "variance"), 1);
        ck_assert(mean == 2.5 || mean == 1.5);
        ends[mean > 2] = true;
        /* which are what the flow is evaluated with */
        ASSERT_OK(nf_log_prob(flow, &point, NULL, 1, &log_prob, NULL, &error));
        double variance = 1 + 1e-5, square = (point - mean) * (point - mean);
        ck_assert_double_eq_tol(log_prob, -square / (2 * variance) - 0.5 * log(2 * acos(-1) * variance), 1e-6);
        nf_flow_free(flow);
    }
    ck_assert(ends[0] && ends[1]);
}
END_TEST

/* ---- Batches and the split ------------------------------------------------------------------------------------- */

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

/* ---- The same bits ------------------------------------------------------------------------------------------- */

static nf_flow *trained(ad_dtype dtype, uint64_t seed, int threads)
{
    enum { N_HERE = 3000 };
    nf_flow *flow = new_flow("(maf(32,32)-flip)*2-standardize", 2, dtype);
    double *x = malloc(2 * N_HERE * sizeof *x);
    nf_moons(N_HERE, 0.05, 1, x, NULL);
    ad_pool *pool = threads ? ad_pool_new(threads, &error) : NULL;
    nf_fit_options o = {.epochs = 2, .batch = 700, .seed = seed, .val_fraction = 0.1, .pool = pool};
    ASSERT_OK(nf_fit(flow, x, N_HERE, &o, NULL, &error));
    ad_pool_free(pool);
    free(x);
    return flow;
}

START_TEST(same_seed_same_weights)
{
    ad_dtype dtype = _i ? AD_F64 : AD_F32;
    nf_flow *flow = trained(dtype, 1, 0), *other = trained(dtype, 2, 0);
    ck_assert_mem_ne(nf_flow_parameters(flow), nf_flow_parameters(other), parameter_bytes(flow));
    nf_flow_free(other);
    for (int threads = 1; threads <= 3; threads++) {
        other = trained(dtype, 1, threads);
        ck_assert_mem_eq(nf_flow_parameters(flow), nf_flow_parameters(other), parameter_bytes(flow));
        nf_flow_free(other);
    }
    nf_flow_free(flow);
}
END_TEST

/* ---- How a fit ends -------------------------------------------------------------------------------------------- */

/* What a fit showed while it ran: the weights when they were the best, and the last. */
typedef struct {
    nf_flow *flow;
    void *best, *last;
    size_t epochs, polls, stop_after_epochs, stop_after_polls;
} witness;

static bool see_epoch(void *context, const nf_progress *progress)
{
    witness *w = context;
    ck_assert_uint_eq(progress->epoch, ++w->epochs);
    ck_assert_double_ge(progress->seconds, 0);
    if (progress->best_epoch == progress->epoch) memcpy(w->best, nf_flow_parameters(w->flow), parameter_bytes(w->flow));
    return w->epochs != w->stop_after_epochs;
}

static bool see_step(void *context)
{
    witness *w = context;
    memcpy(w->last, nf_flow_parameters(w->flow), parameter_bytes(w->flow));
    return ++w->polls == w->stop_after_polls;
}

/* So much freedom and so few rows that the validation loss soon rises. */
static nf_fit_report overfit(witness *w, nf_fit_options o)
{
    enum { N_HERE = 60 };
    w->flow = new_flow("(maf(32,32)-flip)*2", 2, AD_F32);
    w->best = malloc(parameter_bytes(w->flow));
    w->last = malloc(parameter_bytes(w->flow));
    o.optimizer.name = "adam";
    o.epochs = 200;
    o.batch = 10;
    o.optimizer.learning_rate = 0.01;
    o.val_fraction = 0.5;
    o.progress = see_epoch;
    o.interrupted = see_step;
    o.context = w;
    double *x = normals(2 * N_HERE, 1, 7);
    nf_fit_report report;
    ASSERT_OK(nf_fit(w->flow, x, N_HERE, &o, &report, &error));
    free(x);
    /* the history tells which epoch was the best */
    ck_assert_uint_eq(report.last.epoch, w->epochs);
    size_t best = 0;
    for (size_t e = 0; e < report.last.epoch; e++) {
        const nf_progress *now = &report.history[e];
        ck_assert_uint_eq(now->epoch, e + 1);
        ck_assert_uint_eq(now->epochs, 200);
        ck_assert_uint_eq(now->step, 3 * (e + 1));
        ck_assert_uint_eq(now->rows, 30 * (e + 1));
        if (now->val_nll < report.history[best].val_nll) best = e;
        ck_assert_uint_eq(now->best_epoch, best + 1);
    }
    if (report.last.epoch > 0) {
        ck_assert_uint_eq(report.best_epoch, best + 1);
        ck_assert_double_eq(report.best_nll, report.history[best].val_nll);
    }
    ad_free(report.history);
    return report;
}

static void assert_kept(witness *w, const void *weights)
{
    ck_assert_mem_eq(nf_flow_parameters(w->flow), weights, parameter_bytes(w->flow));
    /* and the bijectors' own copies follow */
    double first = *nf_parameter_value(nf_flow_bijector(w->flow)->child[0], "weight0");
    ck_assert_double_eq(first, *(const float *)weights);
    nf_flow_free(w->flow);
    free(w->best);
    free(w->last);
}

START_TEST(patience_runs_out)
{
    witness w = {0};
    nf_fit_report report = overfit(&w, (nf_fit_options){.patience = 4});
    ck_assert_int_eq(report.outcome, NF_STOPPED_EARLY);
    ck_assert_uint_eq(report.last.epoch, report.best_epoch + 4);
    ck_assert_uint_lt(report.last.epoch, 200);
    assert_kept(&w, w.best);
}
END_TEST

START_TEST(best_weights_are_kept)
{
    witness w = {0};
    nf_fit_report report = overfit(&w, (nf_fit_options){0});
    ck_assert_int_eq(report.outcome, NF_FINISHED);
    ck_assert_uint_eq(report.last.epoch, 200);
    ck_assert_uint_lt(report.best_epoch, 200);
    ck_assert_uint_eq(w.polls, 600);
    assert_kept(&w, w.best);
}
END_TEST

/* Of as many epochs as there can be: nothing is made for them in advance. */
START_TEST(epochs_without_end)
{
    double *x = normals(2 * ROWS, 1, 7);
    for (size_t starts = 1; starts <= 2; starts++)
        for (int e = 0; e < 2; e++) {
            witness w = {.flow = new_flow("scale-loc", 2, AD_F32), .stop_after_epochs = 100};
            w.best = malloc(parameter_bytes(w.flow));
            nf_fit_options o = {
                .epochs = e ? SIZE_MAX : 1000000000, .starts = starts, .progress = see_epoch, .context = &w};
            nf_fit_report report;
            ASSERT_OK(nf_fit(w.flow, x, ROWS, &o, &report, &error));
            ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
            ck_assert_uint_eq(report.last.epoch, 100);
            ck_assert_uint_eq(report.history[99].epoch, 100);
            ad_free(report.history);
            nf_flow_free(w.flow);
            free(w.best);
        }
    free(x);
}
END_TEST

START_TEST(stopped_after_an_epoch)
{
    witness w = {.stop_after_epochs = 3};
    nf_fit_report report = overfit(&w, (nf_fit_options){0});
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert_uint_eq(report.last.epoch, 3);
    assert_kept(&w, w.best);
}
END_TEST

START_TEST(interrupted_between_steps)
{
    witness w = {.stop_after_polls = 3 * 100 + 2}; /* in the epoch after the 100th */
    nf_fit_report report = overfit(&w, (nf_fit_options){0});
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert_uint_eq(report.last.epoch, 100);
    ck_assert_uint_eq(report.last.step, 302);
    assert_kept(&w, w.best);
}
END_TEST

START_TEST(interrupted_in_the_first_epoch)
{
    witness w = {.stop_after_polls = 2};
    nf_fit_report report = overfit(&w, (nf_fit_options){0});
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert_uint_eq(report.last.epoch, 0);
    ck_assert_uint_eq(report.best_epoch, 0);
    ck_assert_uint_eq(report.last.step, 2);
    assert_kept(&w, w.last);
}
END_TEST

/* ---- Several starts ---------------------------------------------------------------------------------------------- */

enum { STARTS = 3, EPOCHS = 20, TRIED = 2, SEEN = STARTS * TRIED + EPOCHS - TRIED };

typedef struct {
    nf_progress seen[SEEN];
    size_t count;
    double ema;
} diary;

static bool write_down(void *context, const nf_progress *progress)
{
    diary *d = context;
    ck_assert_uint_lt(d->count, SEEN);
    d->seen[d->count++] = *progress;
    return true;
}

static nf_flow *trained_from(size_t starts, uint64_t weights, uint64_t seed, diary *d)
{
    enum { N_HERE = 300 };
    nf_flow *flow = new_flow("(maf(8)-flip)*2-standardize", 2, AD_F32);
    nf_initialize(nf_flow_bijector(flow), weights);
    nf_flow_push(flow);
    double *x = malloc(2 * N_HERE * sizeof *x);
    nf_moons(N_HERE, 0.1, 1, x, NULL);
    nf_fit_options o = {
        .epochs = EPOCHS, .starts = starts, .ema = d->ema, .seed = seed, .progress = write_down, .context = d};
    nf_fit_report report;
    ASSERT_OK(nf_fit(flow, x, N_HERE, &o, &report, &error));
    ck_assert_uint_eq(report.last.epoch, EPOCHS);
    ck_assert_uint_eq(report.last.step, EPOCHS * ((report.train_rows + 127) / 128));
    ck_assert_uint_eq(report.last.rows, d->count * report.train_rows);
    for (size_t e = TRIED; e < EPOCHS; e++)
        ck_assert_double_eq(report.history[e].val_nll, d->seen[d->count - EPOCHS + e].val_nll);
    ad_free(report.history);
    free(x);
    return flow;
}

/* The best after a tenth of the epochs is trained on, as if it had been the only one. */
START_TEST(the_best_start_wins)
{
    size_t won[STARTS] = {0};
    for (uint64_t seed = 100; seed < 106; seed++) {
        diary several = {.ema = _i ? 0.95 : 0}, alone = several;
        nf_flow *flow = trained_from(STARTS, 1, seed, &several);
        ck_assert_uint_eq(several.count, SEEN);
        size_t best = 0;
        for (size_t i = 0; i < SEEN; i++) {
            const nf_progress *now = &several.seen[i];
            size_t start = i < STARTS * TRIED ? i / TRIED : best;
            ck_assert_uint_eq(now->start, start + 1);
            ck_assert_uint_eq(now->starts, STARTS);
            ck_assert_uint_eq(now->start_epochs, TRIED);
            ck_assert_uint_eq(now->epoch, i < STARTS * TRIED ? i % TRIED + 1 : i - STARTS * TRIED + TRIED + 1);
            bool last_of_start = i < STARTS * TRIED && i % TRIED == TRIED - 1;
            if (last_of_start && now->val_nll < several.seen[best * TRIED + TRIED - 1].val_nll) best = start;
        }
        nf_flow *other = trained_from(1, best == 0 ? 1 : seed + best, seed, &alone);
        ck_assert_uint_eq(alone.count, EPOCHS);
        for (size_t e = 0; e < TRIED; e++)
            ck_assert_double_eq(alone.seen[e].val_nll, several.seen[best * TRIED + e].val_nll);
        ck_assert_mem_eq(nf_flow_parameters(flow), nf_flow_parameters(other), parameter_bytes(flow));
        won[best]++;
        nf_flow_free(flow);
        nf_flow_free(other);
    }
    ck_assert(won[0] < 6 && won[STARTS - 1] < 6); /* no place wins always */
}
END_TEST

/* ---- Mistakes and misfortunes ---------------------------------------------------------------------------------- */

START_TEST(diverges)
{
    enum { N_HERE = 500 };
    double *x = normals(2 * N_HERE, 1, 8), nll;
    static const double rates[] = {1e6, 1e30, 1e300};
    for (int i = 0; i < 2 * 2 * 2 * 3; i++) {
        nf_flow *flow = new_flow("(maf(16)-flip)*2", 2, i & 1 ? AD_F64 : AD_F32);
        nf_fit_options o = {.optimizer.name = i & 2 ? "sgd" : "adam",
                            .val_fraction = i & 4 ? -1 : 0.1,
                            .optimizer.learning_rate = rates[i / 8],
                            .optimizer.clip = -1,
                            .epochs = 50,
                            .batch = 100};
        nf_fit_report report;
        char step[40];
        error = (ad_error){AD_OK, ""};
        ad_status status = nf_fit(flow, x, N_HERE, &o, &report, &error);
        ck_assert_msg(status == AD_ERROR_NUMERIC, "case %d: %d", i, status);
        ck_assert_int_eq(report.outcome, NF_DIVERGED);
        ck_assert_uint_gt(report.diverged_step, 1);
        snprintf(step, sizeof step, "at step %zu (epoch %zu)", report.diverged_step, report.last.epoch + 1);
        ASSERT_FAILS(status, AD_ERROR_NUMERIC, step);
        ASSERT_FAILS(status, AD_ERROR_NUMERIC, "smaller learning rate");
        for (size_t p = 0; p < nf_flow_parameter_count(flow); p++) ck_assert(isfinite(parameter_at(flow, p)));
        ASSERT_OK(nf_nll(flow, x, NULL, N_HERE, &nll, NULL, NULL, &error));
        ck_assert_msg(isfinite(nll), "case %d: nll %g", i, nll);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

/* In the one step of the last epoch, after which there is no loss to tell. */
START_TEST(diverges_at_the_end)
{
    double *x = normals(2 * ROWS, 1, 8);
    for (int i = 0; i < 4; i++) {
        nf_flow *flow = new_flow("maf(16)-scale", 2, AD_F32);
        nf_fit_options o = {.optimizer.name = i & 2 ? "sgd" : "adam",
                            .val_fraction = i & 1 ? -1 : 0.1,
                            .optimizer.learning_rate = 1e300,
                            .optimizer.clip = -1,
                            .epochs = 1,
                            .batch = ROWS};
        double before = parameter_at(flow, 0);
        ASSERT_FAILS(nf_fit(flow, x, ROWS, &o, NULL, &error), AD_ERROR_NUMERIC, "at step 1 (epoch 1)");
        ck_assert_double_eq(parameter_at(flow, 0), before);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

/* One step per epoch and no validation: the loss of an epoch is of the weights before its step, which may be a leap to
 * finite weights that are far worse. Those are never the best. */
START_TEST(a_leap_is_not_kept)
{
    double *x = normals(2 * ROWS, 1, 8), before, after;
    for (int i = 0; i < 2 * ROWS; i++) x[i] += 1;
    for (int i = 0; i < 4; i++) {
        nf_flow *flow = new_flow("loc", 2, i & 1 ? AD_F64 : AD_F32);
        nf_fit_options o = {DESCENT, ALL_ROWS, STEADY, .optimizer.learning_rate = 1e4, .epochs = i & 2 ? 1 : 20};
        nf_fit_report report;
        ASSERT_OK(nf_nll(flow, x, NULL, ROWS, &before, NULL, NULL, &error));
        ASSERT_FAILS(nf_fit(flow, x, ROWS, &o, &report, &error), AD_ERROR_NUMERIC, "at step 1 (epoch 1)");
        ASSERT_OK(nf_nll(flow, x, NULL, ROWS, &after, NULL, NULL, &error));
        ck_assert_int_eq(report.outcome, NF_DIVERGED);
        ck_assert_uint_eq(report.best_epoch, 0);
        ck_assert_double_eq(after, before);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

/* Where the initial flow has density 0, no learning rate helps. */
START_TEST(data_outside_the_support)
{
    static const char *const formulas[] = {"loc-sigmoid", "uniform(0,1):loc"};
    double *x = normals(2 * ROWS, 1, 9), nll, standard_error;
    for (size_t i = 0; i < 2 * COUNT(formulas); i++) {
        nf_flow *flow = new_flow(formulas[i / 2], 2, i & 1 ? AD_F64 : AD_F32);
        nf_fit_report report;
        ASSERT_FAILS(nf_fit(flow, x, ROWS, NULL, &report, &error), AD_ERROR_NUMERIC, "have density 0");
        ck_assert_int_eq(report.outcome, NF_DIVERGED);
        ck_assert_uint_eq(report.diverged_step, 1);
        ad_free(report.history);
        ASSERT_OK(nf_nll(flow, x, NULL, ROWS, &nll, &standard_error, NULL, &error));
        ck_assert_double_eq(nll, INFINITY);
        ck_assert(isnan(standard_error));
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

START_TEST(scores_that_are_none)
{
    double *x = normals(2 * ROWS, 1, 9), nll;
    nf_flow *flow = new_flow("loc", 2, AD_F64);
    x[2 * 6 + 1] = NAN;
    ASSERT_FAILS(nf_nll(flow, x, NULL, ROWS, &nll, NULL, NULL, &error), AD_ERROR_NUMERIC, "row 7 is NaN");
    nf_flow_free(flow);
    free(x);
}
END_TEST

START_TEST(columns_that_float32_blurs)
{
    static const struct {
        double offset, scale;
        bool blurred;
    } cases[] = {{1e9, 10, true}, {1e9, 1e5, false}, {0, 1e-44, true}, {0, 1e-30, false}, {1e9, 0, false}};
    double *noise = normals(2 * ROWS, 1, 9), *x = normals(2 * ROWS, 1, 9);
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t r = 0; r < ROWS; r++) x[2 * r + 1] = cases[i].offset + cases[i].scale * noise[2 * r + 1];
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            nf_flow *flow = new_flow("loc-standardize", 2, dtype);
            ad_status status = nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 1}, NULL, &error);
            if (cases[i].blurred && dtype == AD_F32)
                ASSERT_FAILS(status, AD_ERROR_ARGUMENT, "column 2 goes from");
            else
                ASSERT_OK(status);
            nf_flow_free(flow);
        }
    }
    free(noise);
    free(x);
}
END_TEST

START_TEST(data_are_checked)
{
    double *x = normals(2 * ROWS, 1, 9);
    const double bad[] = {NAN, -NAN, INFINITY, -INFINITY, 1e39};
    for (size_t i = 0; i < COUNT(bad); i++) {
        x[2 * 6 + 1] = bad[i];
        nf_flow *flow = new_flow("loc-standardize", 2, AD_F32);
        ASSERT_FAILS(nf_fit(flow, x, ROWS, NULL, NULL, &error), AD_ERROR_ARGUMENT, "row 7, column 2");
        if (isnan(bad[i])) ck_assert_ptr_nonnull(strstr(error.message, "not finite: nan"));
        nf_flow_free(flow);
    }
    nf_flow *flow = new_flow("loc-standardize", 2, AD_F64);
    ASSERT_OK(nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 1}, NULL, &error)); /* 1e39 is a float64 */
    nf_flow_free(flow);
    free(x);
}
END_TEST

START_TEST(options_are_checked)
{
    static const struct {
        nf_fit_options o;
        const char *name;
    } cases[] = {
        {{.optimizer.learning_rate = -1}, "learning rate"},
        {{.optimizer.name = "adam(beta2=1)"}, "beta2"},
        {{.val_fraction = 1}, "validation fraction"},
        {{.val_fraction = NAN}, "validation fraction"},
        {{.optimizer.clip = NAN}, "clip"},
        {{.optimizer.name = "77"}, "unknown optimizer"},
        {{.ema = 1}, "ema"},
        {{.ema = -0.1}, "ema"},
        {{.ema = NAN}, "ema"},
        {{.schedule = "sine"}, "unknown schedule"},
    };
    double *x = normals(2 * ROWS, 1, 10);
    nf_flow *flow = new_flow("loc", 2, AD_F32);
    for (size_t i = 0; i < COUNT(cases); i++) {
        ASSERT_FAILS(nf_fit(flow, x, ROWS, &cases[i].o, NULL, &error), AD_ERROR_ARGUMENT, cases[i].name);
        ck_assert_int_eq(nf_fit(flow, x, ROWS, &cases[i].o, NULL, NULL), AD_ERROR_ARGUMENT);
    }
    ASSERT_FAILS(nf_fit(flow, x, 0, NULL, NULL, &error), AD_ERROR_ARGUMENT, "rows");
    for (size_t j = 0; j < 2; j++) ck_assert_double_eq(parameter_at(flow, j), 0);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* ---- Memory ---------------------------------------------------------------------------------------------------- */

static size_t live, peak;

static void *allocate_counted(size_t bytes)
{
    void *block = malloc(bytes);
    live += malloc_usable_size(block);
    if (live > peak) peak = live;
    return block;
}

static void release_counted(void *block)
{
    live -= malloc_usable_size(block);
    free(block);
}

static void *reallocate_counted(void *old, size_t bytes)
{
    live -= malloc_usable_size(old);
    void *block = realloc(old, bytes);
    live += malloc_usable_size(block);
    if (live > peak) peak = live;
    return block;
}

/* Bytes at most at once, in a fit of one epoch on so many rows. */
static size_t peak_of_fit(size_t rows, size_t batch)
{
    double *x = normals(2 * rows, 1, 11);
    ad_set_allocator(&(ad_allocator){allocate_counted, reallocate_counted, release_counted});
    live = peak = 0;
    nf_flow *flow = new_flow("maf(32,32)-flip", 2, AD_F32);
    nf_fit_options o = {.epochs = 1, .batch = batch, .val_fraction = -1};
    ASSERT_OK(nf_fit(flow, x, rows, &o, NULL, &error));
    nf_flow_free(flow);
    ck_assert_uint_eq(live, 0);
    free(x);
    return peak;
}

START_TEST(memory_of_a_step_does_not_grow_with_the_batch)
{
    enum { MANY = 200000 };
    size_t small = peak_of_fit(MANY, 100), large = peak_of_fit(MANY, MANY), fewer = peak_of_fit(MANY / 2, MANY / 2);
    size_t data = MANY * 2 * sizeof(float); /* one hidden layer's activations alone would be 16 times this */
    ck_assert_msg(large < small + data / 8, "%zu bytes with batches of 100, %zu with one of %d", small, large, MANY);
    ck_assert_msg(large - fewer < 4 * data, "%zu bytes more for %zu more of data", large - fewer, data / 2);
}
END_TEST

START_TEST(memory_runs_out)
{
    double *x = normals(2 * 20, 1, 12);
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(SIZE_MAX);
        nf_flow *flow = new_flow("maf(3)-scale-standardize", 2, AD_F32);
        memory_limit(allowed);
        ad_status status = nf_fit(flow, x, 20, &(nf_fit_options){.epochs = 2}, NULL, &error);
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu: %d: %s", allowed, status,
                      error.message);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

Suite *fit_suite(void)
{
    Suite *suite = suite_create("fit");
    TCase *steps = tcase_create("steps");
    tcase_set_timeout(steps, 60);
    tcase_add_loop_test(steps, optimizers_follow_their_formulas, 0, COUNT(recipes));
    tcase_add_test(steps, schedules);
    tcase_add_test(steps, training_goes_on);
    tcase_add_test(steps, reaches_the_maximum_likelihood);
    tcase_add_test(steps, batch_statistics_are_kept);
    tcase_add_loop_test(steps, kinks_go_where_they_should, 0, 2);
    suite_add_tcase(suite, steps);
    TCase *rows = tcase_create("rows");
    tcase_set_timeout(rows, 60);
    tcase_add_test(rows, every_row_is_in_one_part);
    tcase_add_test(rows, every_epoch_is_shuffled);
    tcase_add_test(rows, reports_the_loss);
    tcase_add_test(rows, reports_the_loss_of_a_part);
    tcase_add_test(rows, validates_the_average);
    tcase_add_test(rows, few_rows);
    tcase_add_test(rows, nothing_to_train);
    suite_add_tcase(suite, rows);
    TCase *runs = tcase_create("runs");
    tcase_set_timeout(runs, 120);
    tcase_add_loop_test(runs, same_seed_same_weights, 0, 2);
    tcase_add_loop_test(runs, the_best_start_wins, 0, 2);
    tcase_add_test(runs, patience_runs_out);
    tcase_add_test(runs, best_weights_are_kept);
    tcase_add_test(runs, epochs_without_end);
    tcase_add_test(runs, stopped_after_an_epoch);
    tcase_add_test(runs, interrupted_between_steps);
    tcase_add_test(runs, interrupted_in_the_first_epoch);
    suite_add_tcase(suite, runs);
    TCase *trouble = tcase_create("trouble");
    tcase_set_timeout(trouble, 120);
    tcase_add_test(trouble, diverges);
    tcase_add_test(trouble, diverges_at_the_end);
    tcase_add_test(trouble, a_leap_is_not_kept);
    tcase_add_test(trouble, data_outside_the_support);
    tcase_add_test(trouble, scores_that_are_none);
    tcase_add_test(trouble, columns_that_float32_blurs);
    tcase_add_test(trouble, data_are_checked);
    tcase_add_test(trouble, options_are_checked);
    tcase_add_test(trouble, memory_of_a_step_does_not_grow_with_the_batch);
    tcase_add_test(trouble, memory_runs_out);
    suite_add_tcase(suite, trouble);
    return suite;
}
