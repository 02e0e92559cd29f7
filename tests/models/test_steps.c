/* A training step between its gradient and the next: the norm, clipping and averages, of more parameters than one job
 * takes, on any number of threads. */
#include "models/training_tools.h"

static const nf_site site[] = {{.name = "x", .size = 6}};

/* A normal, of a precision that is at self->data; of the float32s' largest its gradient has squares that are none. */
static ad_var normal_density(const nf_target *self, const ad_var *value)
{
    return ad_mul_scalar(ad_sum(ad_square(ad_add_scalar(value[0], 1))), -0.5 * *(const double *)self->data);
}

/* Its value is 0, and its gradient 0 times the infinite slope of a root. */
static ad_var rough_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_neg(ad_sum(ad_sqrt(ad_mul_scalar(ad_square(value[0]), 0))));
}

/* What each step does, seen from outside. */
enum { STEPS = 7 };
typedef struct {
    nf_callback callback;
    size_t count;
    double *before;                  /* parameters */
    double norm[STEPS], move[STEPS]; /* of the gradient; and how far the parameters went */
} watcher;

static bool watch(nf_callback *self, const nf_iteration *at)
{
    watcher *w = (watcher *)self;
    double squares = 0, moved = 0;
    for (size_t i = 0; i < at->count; i++) {
        const double g = ad_element(at->dtype, at->gradient, i), now = ad_element(at->dtype, at->parameters, i);
        squares += g * g;
        moved += (now - w->before[i]) * (now - w->before[i]);
        w->before[i] = now;
    }
    w->norm[at->iteration - 1] = sqrt(squares);
    w->move[at->iteration - 1] = sqrt(moved);
    return true;
}

typedef struct {
    ad_status status;
    nf_flow *flow;
    watcher seen;
    nf_vi_report report;
} inference;

static inference infer(const nf_target *target, const nf_optimizer_options *optimizer, ad_dtype dtype, int threads)
{
    inference v = {.flow = new_flow("(iaf(96,96)-flip)*2", 6, dtype), .seen.callback.call = watch};
    ad_pool *pool = threads ? ad_pool_new(threads, &error) : NULL;
    const size_t count = nf_flow_trained_elements(v.flow);
    v.seen.before = malloc(count * sizeof *v.seen.before);
    for (size_t i = 0; i < count; i++) v.seen.before[i] = parameter_at(v.flow, i);
    v.status = nf_vi(v.flow, target,
                     &(nf_vi_options){.iters = STEPS,
                                      .mc = 300,
                                      .draws = 100,
                                      .optimizer = *optimizer,
                                      .pool = pool,
                                      .callbacks = (nf_callback *[]){&v.seen.callback, NULL}},
                     &v.report, &error);
    ad_pool_free(pool);
    return v;
}

static void end(inference *v)
{
    ad_free(v->report.history);
    free(v->seen.before);
    nf_flow_free(v->flow);
}

static const char *const optimizers[] = {"sgd",     "momentum", "nesterov",      "adagrad", "adagrad_window(3)",
                                         "rmsprop", "adam",     "adadelta(0.9)", "adamw",   "adamax"};

START_TEST(norms_are_those_of_gradients)
{
    const double precision = 1;
    const nf_target target = {
        .name = "normal", .site = site, .n_site = 1, .log_density = normal_density, .log_z = NAN, .data = &precision};
    const nf_optimizer_options options = {
        .name = optimizers[_i], .learning_rate = 1e-3, .weight_decay = 0.1, .clip = 1};
    const ad_dtype dtype = _i % 2 ? AD_F64 : AD_F32;
    inference alone = infer(&target, &options, dtype, 0);
    ASSERT_OK(alone.status);
    ck_assert_uint_eq(alone.report.n_history, STEPS);
    for (size_t i = 0; i < STEPS; i++)
        ck_assert_double_eq_tol(alone.report.history[i].gradient_norm, alone.seen.norm[i], 1e-13 * alone.seen.norm[i]);
    for (int threads = 1; threads <= 8; threads += threads < 3 ? 1 : 5) {
        inference other = infer(&target, &options, dtype, threads);
        ASSERT_OK(other.status);
        ck_assert_mem_eq(nf_flow_parameters(other.flow), nf_flow_parameters(alone.flow), parameter_bytes(alone.flow));
        for (size_t i = 0; i < STEPS; i++)
            ck_assert(other.report.history[i].gradient_norm == alone.report.history[i].gradient_norm);
        end(&other);
    }
    end(&alone);
}
END_TEST

START_TEST(extreme_gradients_are_clipped)
{
    static const double precision[] = {1e30, 1e-3, 1e34};
    for (size_t i = 0; i < COUNT(precision); i++) {
        const nf_target target = {.name = "narrow",
                                  .site = site,
                                  .n_site = 1,
                                  .log_density = normal_density,
                                  .log_z = NAN,
                                  .data = &precision[i]};
        inference v =
            infer(&target, &(nf_optimizer_options){.name = "sgd", .learning_rate = 0.01, .clip = 3}, AD_F32, 2);
        ck_assert_msg(v.status == AD_OK, "precision %g: %s", precision[i], error.message);
        for (size_t k = 0; k < STEPS; k++) {
            ck_assert_msg(v.seen.norm[k] > 0.1 * precision[i], "precision %g: norm %g", precision[i], v.seen.norm[k]);
            const double expected = 0.01 * fmin(3, v.seen.norm[k]);
            ck_assert_msg(fabs(v.seen.move[k] - expected) < 1e-3 * expected, "precision %g: moved by %g, not %g",
                          precision[i], v.seen.move[k], expected);
        }
        end(&v);
    }
}
END_TEST

START_TEST(gradients_that_are_not_finite)
{
    const nf_target target = {.name = "rough", .site = site, .n_site = 1, .log_density = rough_density, .log_z = NAN};
    for (int threads = 0; threads <= 2; threads++) {
        nf_flow *fresh = new_flow("(iaf(96,96)-flip)*2", 6, AD_F32);
        inference v = infer(&target, &(nf_optimizer_options){.learning_rate = 0.01}, AD_F32, threads);
        ASSERT_FAILS(v.status, AD_ERROR_NUMERIC, "gradient");
        ck_assert_mem_eq(nf_flow_parameters(v.flow), nf_flow_parameters(fresh), parameter_bytes(fresh));
        nf_flow_free(fresh);
        end(&v);
    }
}
END_TEST

/* ---- Averages -------------------------------------------------------------------------------------------------- */

/* The average of the weights, as it is defined. */
typedef struct {
    nf_callback callback;
    double *average, ema;
} averager;

static bool follow(nf_callback *self, const nf_iteration *at)
{
    averager *a = (averager *)self;
    const double t = (double)at->iteration, part = 1 - fmin(a->ema, (1 + t) / (10 + t));
    for (size_t i = 0; i < at->count; i++)
        a->average[i] += part * (ad_element(at->dtype, at->parameters, i) - a->average[i]);
    return true;
}

START_TEST(averages_of_weights)
{
    enum { ALL = 400, DIM = 6 };
    double x[ALL * DIM];
    for (size_t i = 0; i < ALL * DIM; i++) x[i] = ad_random_normal(1, 0, i);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow[4];
        static const int threads[] = {1, 2, 3, 8};
        averager a = {.callback.call = follow, .ema = 0.7};
        for (size_t t = 0; t < COUNT(threads); t++) {
            flow[t] = new_flow("(maf(96,96)-flip)*2", DIM, dtype);
            const size_t count = nf_flow_trained_elements(flow[t]);
            if (t == 0) {
                a.average = malloc(count * sizeof *a.average);
                for (size_t i = 0; i < count; i++) a.average[i] = parameter_at(flow[0], i);
            }
            ad_pool *pool = ad_pool_new(threads[t], &error);
            ASSERT_OK(nf_fit(flow[t], x, ALL,
                             &(nf_fit_options){.epochs = 2,
                                               .batch = 32,
                                               .val_fraction = -1,
                                               .optimizer.learning_rate = 1e-2,
                                               .ema = a.ema,
                                               .pool = pool,
                                               .callbacks = (nf_callback *[]){t == 0 ? &a.callback : NULL, NULL}},
                             NULL, &error));
            ad_pool_free(pool);
        }
        for (size_t i = 0; i < nf_flow_trained_elements(flow[0]); i++)
            ck_assert_double_eq_tol(parameter_at(flow[0], i), a.average[i], dtype == AD_F32 ? 1e-6 : 1e-14);
        for (size_t t = 1; t < COUNT(threads); t++)
            ck_assert_mem_eq(nf_flow_parameters(flow[t]), nf_flow_parameters(flow[0]), parameter_bytes(flow[0]));
        for (size_t t = 0; t < COUNT(threads); t++) nf_flow_free(flow[t]);
        free(a.average);
    }
}
END_TEST

Suite *steps_suite(void)
{
    Suite *suite = suite_create("steps");
    TCase *steps = tcase_create("steps");
    tcase_add_loop_test(steps, norms_are_those_of_gradients, 0, COUNT(optimizers));
    tcase_add_test(steps, extreme_gradients_are_clipped);
    tcase_add_test(steps, gradients_that_are_not_finite);
    tcase_add_test(steps, averages_of_weights);
    suite_add_tcase(suite, steps);
    return suite;
}
