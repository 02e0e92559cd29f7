/* Training: steps against their formulas, and what they lead to. */
#include "models/training_tools.h"

/* ---- Optimisers against their formulas ------------------------------------------------------------------------- */

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

/* A flow is evaluated with the mean and variance of the training rows, under the weights that are kept, averages too,
 * whatever its batches have had. Then nf_flow_fit_data() finds nothing to do. */
START_TEST(statistics_are_of_the_training_rows)
{
    enum { N_HERE = 129 };
    double *x = normals(2 * N_HERE, 2, 5), before, after;
    for (int i = 0; i < 2 * N_HERE; i++) x[i] = 3 + 2 * x[i] + (i % 2) * x[i - i % 2];
    static const char *const formulas[] = {"(maf(8)-batchnorm-flip)*2", "on([2],batchnorm)-maf(4)-standardize",
                                           "mixture_of(maf(4)-batchnorm|flip-batchnorm-maf(4)):batchnorm"};
    for (int i = 0; i < 8 * (int)COUNT(formulas); i++) {
        nf_flow *flow = new_flow(formulas[i / 8], 2, i & 1 ? AD_F64 : AD_F32);
        nf_fit_options o = {STEADY,
                            .optimizer.learning_rate = 0.02,
                            .epochs = 10,
                            .batch = i & 2 ? 128 : 64,
                            .val_fraction = -1,
                            .ema = i & 4 ? 0.99 : 0};
        nf_fit_report report;
        ASSERT_OK(nf_fit(flow, x, N_HERE, &o, &report, &error));
        ck_assert_uint_eq(report.last.step, i & 2 ? 20 : 30);
        ASSERT_OK(nf_nll(flow, x, NULL, N_HERE, &before, NULL, NULL, &error));
        ASSERT_OK(nf_flow_fit_data(flow, x, NULL, N_HERE, &error));
        ASSERT_OK(nf_nll(flow, x, NULL, N_HERE, &after, NULL, NULL, &error));
        ck_assert_double_eq_tol(before, after, i & 1 ? 1e-10 : 1e-5);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

/* The identity, which counts the steps that it was trained in, and keeps the fewest rows of one. */
static ad_status build_counting(nf_bijector *self, ad_error *to)
{
    ad_status status = nf_declare(self, &(nf_parameter_spec){.name = "steps", .fixed = true}, to);
    if (status != AD_OK) return status;
    return nf_declare(self, &(nf_parameter_spec){.name = "fewest", .value = 1e6, .fixed = true}, to);
}

static ad_var count_step(const nf_scope *at, ad_var x, ad_var *log_det)
{
    *log_det = ad_scalar(x.tape, 0);
    ad_var steps = nf_param(at, "steps"), fewest = nf_param(at, "fewest");
    if (at->training) {
        nf_update(at, "steps", at->statistics ? steps : ad_add_scalar(steps, 1));
        nf_update(at, "fewest", at->statistics ? fewest : ad_minimum(fewest, ad_row_count(x.tape)));
    }
    return x;
}

static const nf_bijector_type counting = {.name = "counting", .build = build_counting, .inverse = count_step};

/* What a bijector updates is kept. One that sees the batch gets batches as equal as can be. */
START_TEST(updates_are_kept)
{
    static const struct {
        size_t rows, batch;
        double steps, fewest;
    } cases[] = {{36, 10, 4, 9}, {9, 4, 3, 3}, {9, 8, 2, 4}, {10, 4, 3, 3}, {12, 4, 3, 4}, {9, 100, 1, 9}};
    ck_assert_int_ne(nf_register(&counting, &error), AD_ERROR_MEMORY);
    double *x = normals(2 * ROWS, 1, 4);
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_flow *flow = new_flow("loc-counting", 2, AD_F32);
        nf_fit_options o = {.epochs = 3, .batch = cases[i].batch, .val_fraction = -1};
        nf_fit_report report;
        ASSERT_OK(nf_fit(flow, x, cases[i].rows, &o, &report, &error));
        const nf_bijector *bijector = nf_flow_bijector(flow)->child[1];
        ck_assert_double_eq(*nf_parameter_value(bijector, "steps"), 3 * cases[i].steps);
        ck_assert_double_eq(*nf_parameter_value(bijector, "fewest"), cases[i].fewest);
        ck_assert_uint_eq(report.last.rows, 3 * cases[i].rows);
        ad_free(report.history);
        nf_flow_free(flow);
    }
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

Suite *fit_suite(void);

Suite *fit_suite(void)
{
    Suite *suite = suite_create("fit");
    TCase *tests = tcase_create("fit");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, optimizers_follow_their_formulas, 0, COUNT(recipes));
    tcase_add_test(tests, schedules);
    tcase_add_test(tests, training_goes_on);
    tcase_add_test(tests, reaches_the_maximum_likelihood);
    tcase_add_loop_test(tests, kinks_go_where_they_should, 0, 2);
    tcase_add_test(tests, statistics_are_of_the_training_rows);
    tcase_add_test(tests, updates_are_kept);
    tcase_add_loop_test(tests, same_seed_same_weights, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
