/* Optimisers against steps computed elsewhere, and what goes for all of them; schedules. */
#include <weir/models.h>
#include "flows/flow_tools.h"
#include "training/optimizer.h"
#include "scratch.h"

#include <float.h>
#include <math.h>

static nf_optimizer *new_optimizer(nf_optimizer_options options, size_t count, ad_dtype dtype)
{
    nf_optimizer *optimizer = nf_optimizer_new(&options, count, dtype, &error);
    ck_assert_msg(optimizer != NULL, "%s", error.message);
    return optimizer;
}

static double get(const void *values, ad_dtype dtype, size_t i)
{
    return dtype == AD_F32 ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

static void set(void *values, ad_dtype dtype, size_t i, double value)
{
    if (dtype == AD_F32)
        ((float *)values)[i] = (float)value;
    else
        ((double *)values)[i] = value;
}

/* ---- Formulas -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *column;
    nf_optimizer_options options;
} golden[] = {
    {"sgd", {.kind = NF_SGD}},
    {"momentum", {.kind = NF_MOMENTUM}},
    {"nesterov", {.kind = NF_NESTEROV}},
    {"adagrad", {.kind = NF_ADAGRAD}},
    {"adagrad_window", {.kind = NF_ADAGRAD_WINDOW}},
    {"rmsprop", {.kind = NF_RMSPROP}},
    {"adadelta", {.kind = NF_ADADELTA}},
    {"adam", {.kind = NF_ADAM}},
    {"adamw", {.kind = NF_ADAMW}},
    {"adamax", {.kind = NF_ADAMAX}},
    {"sgd_clip", {.kind = NF_SGD, .learning_rate = 0.1, .clip = 0.5}},
    {"momentum_decay", {.kind = NF_MOMENTUM, .learning_rate = 0.01, .momentum = 0.5, .weight_decay = 0.1}},
    {"adagrad_epsilon", {.kind = NF_ADAGRAD, .learning_rate = 0.5, .epsilon = 0.1}},
    {"adagrad_window_3", {.kind = NF_ADAGRAD_WINDOW, .learning_rate = 0.1, .window = 3, .epsilon = 0.01}},
    {"rmsprop_rho", {.kind = NF_RMSPROP, .learning_rate = 0.01, .rho = 0.5}},
    {"adadelta_rho", {.kind = NF_ADADELTA, .learning_rate = 0.5, .rho = 0.5, .epsilon = 1e-3}},
    {"adam_betas",
     {.kind = NF_ADAM, .learning_rate = 0.1, .beta1 = 0.5, .beta2 = 0.98, .clip = 1, .weight_decay = 0.1}},
    {"adamw_decay", {.kind = NF_ADAMW, .learning_rate = 0.1, .beta2 = 0.9, .weight_decay = 0.5}},
    {"adamax_betas", {.kind = NF_ADAMAX, .learning_rate = 0.1, .beta1 = 0.8, .beta2 = 0.5, .epsilon = 1e-3}},
};

START_TEST(steps_are_those_of_others)
{
    enum { PARAMETERS = 6 };
    nf_table table;
    ASSERT_OK(nf_table_read(golden_path("optimizers.csv").text, &table, &error));
    size_t column = 0;
    while (strcmp(table.names[column], golden[_i].column) != 0) column++;
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        double w[PARAMETERS], g[PARAMETERS]; /* room for either dtype */
        nf_optimizer *optimizer = new_optimizer(golden[_i].options, PARAMETERS, dtype);
        for (size_t i = 0; i < PARAMETERS; i++) set(w, dtype, i, table.values[i * table.columns + column]);
        for (size_t step = 1; step < table.rows / PARAMETERS; step++) {
            const double *rows = table.values + step * PARAMETERS * table.columns;
            double norm, squares = 0;
            for (size_t i = 0; i < PARAMETERS; i++) {
                set(g, dtype, i, rows[i * table.columns + 1]);
                squares += rows[i * table.columns + 1] * rows[i * table.columns + 1];
            }
            ASSERT_OK(nf_optimizer_step(optimizer, w, g, nf_optimizer_settings(optimizer)->learning_rate, NULL, &norm,
                                        &error));
            ck_assert_double_eq_tol(norm, sqrt(squares), (dtype == AD_F32 ? 1e-6 : 1e-14) * norm);
            for (size_t i = 0; i < PARAMETERS; i++) {
                double expected = rows[i * table.columns + column], got = get(w, dtype, i);
                double tolerance = dtype == AD_F32 ? 2e-5 * (1 + fabs(expected)) : 1e-12;
                ck_assert_msg(fabs(got - expected) <= tolerance, "%s, %s, step %zu, parameter %zu: %.17g, not %.17g",
                              golden[_i].column, ad_dtype_name(dtype), step, i, got, expected);
            }
        }
        nf_optimizer_free(optimizer);
    }
    nf_table_free(&table);
}
END_TEST

/* Of every kind, on so many parameters that threads share them: the same bits with any number of threads, and every
 * parameter as if alone. */
START_TEST(threads_change_nothing)
{
    enum { COUNT_HERE = 3 * 8192 + 17, STEPS_HERE = 4 };
    ad_dtype dtype = _i % 2 ? AD_F64 : AD_F32;
    const nf_optimizer_options options = {.kind = (nf_optimizer_kind)(_i / 2), .learning_rate = 0.1, .clip = 1};
    double *w[3], *g = malloc(COUNT_HERE * sizeof *g), norm[3];
    for (int threads = 1; threads <= 3; threads++) {
        double *at = w[threads - 1] = malloc(COUNT_HERE * sizeof *at);
        for (size_t i = 0; i < COUNT_HERE; i++) set(at, dtype, i, ad_random_normal(1, 0, i));
        nf_optimizer *optimizer = new_optimizer(options, COUNT_HERE, dtype);
        ad_pool *pool = ad_pool_new(threads, &error);
        for (size_t step = 0; step < STEPS_HERE; step++) {
            for (size_t i = 0; i < COUNT_HERE; i++) set(g, dtype, i, ad_random_normal(2, step, i));
            ASSERT_OK(nf_optimizer_step(optimizer, at, g, 0.1, pool, &norm[threads - 1], &error));
        }
        ck_assert_mem_eq(at, w[0], COUNT_HERE * ad_dtype_size(dtype));
        ck_assert_double_eq(norm[threads - 1], norm[0]);
        ad_pool_free(pool);
        nf_optimizer_free(optimizer);
    }
    /* the last one alone, with its gradient clipped by the others' norm */
    nf_optimizer *alone = new_optimizer((nf_optimizer_options){.kind = options.kind}, 1, dtype);
    double last, last_g;
    set(&last, dtype, 0, ad_random_normal(1, 0, COUNT_HERE - 1));
    for (size_t step = 0; step < STEPS_HERE; step++) {
        double squares = 0;
        for (size_t i = 0; i < COUNT_HERE; i++) squares += pow(ad_random_normal(2, step, i), 2);
        set(&last_g, dtype, 0, ad_random_normal(2, step, COUNT_HERE - 1) / sqrt(squares));
        ASSERT_OK(nf_optimizer_step(alone, &last, &last_g, 0.1, NULL, NULL, &error));
    }
    ck_assert_double_eq_tol(get(w[0], dtype, COUNT_HERE - 1), get(&last, dtype, 0), dtype == AD_F32 ? 1e-4 : 1e-9);
    nf_optimizer_free(alone);
    for (int i = 0; i < 3; i++) free(w[i]);
    free(g);
}
END_TEST

START_TEST(large_gradients_are_clipped)
{
    nf_optimizer *optimizer = new_optimizer((nf_optimizer_options){.kind = NF_SGD, .clip = 10}, 2, AD_F32);
    float w[] = {0, 0}, g[] = {3e30f, -4e30f}; /* whose squares are no float32 */
    double norm;
    ASSERT_OK(nf_optimizer_step(optimizer, w, g, 1, NULL, &norm, &error));
    ck_assert_double_eq_tol(norm, 5e30, 1e24);
    ck_assert_double_eq_tol((double)w[0], -6, 1e-5);
    ck_assert_double_eq_tol((double)w[1], 8, 1e-5);
    nf_optimizer_free(optimizer);
}
END_TEST

START_TEST(gradients_must_be_finite)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    double w[] = {1, 2}, fresh[] = {1, 2}, norm;
    const double g[] = {3, 4};
    nf_optimizer *optimizer = new_optimizer((nf_optimizer_options){0}, 2, AD_F64);
    for (size_t i = 0; i < COUNT(bad); i++) {
        ASSERT_FAILS(nf_optimizer_step(optimizer, w, (double[]){1, bad[i]}, 0.1, NULL, &norm, &error), AD_ERROR_NUMERIC,
                     "not finite");
        ck_assert(!isfinite(norm));
    }
    nf_optimizer *other = new_optimizer((nf_optimizer_options){0}, 2, AD_F64);
    ASSERT_OK(nf_optimizer_step(optimizer, w, g, 0.1, NULL, NULL, &error));
    ASSERT_OK(nf_optimizer_step(other, fresh, g, 0.1, NULL, NULL, &error));
    ck_assert_mem_eq(w, fresh, sizeof w);
    nf_optimizer_free(optimizer);
    nf_optimizer_free(other);
}
END_TEST

#if defined(__x86_64__)
/* A parameter that is used once: what is remembered of it must not linger among the slow numbers. */
START_TEST(nothing_becomes_subnormal)
{
    nf_optimizer *optimizer = new_optimizer((nf_optimizer_options){.kind = (nf_optimizer_kind)_i}, 1, AD_F32);
    float w = 0;
    for (int step = 0; step < 2500; step++) {
        float g = step == 0 ? 1e-3f : 0;
        ASSERT_OK(nf_optimizer_step(optimizer, &w, &g, 1e-3, NULL, NULL, &error));
        for (size_t i = 0; i < optimizer->state_bytes / sizeof g; i++)
            ck_assert_int_ne(fpclassify(((const float *)optimizer->state)[i]), FP_SUBNORMAL);
    }
    volatile float least = FLT_MIN;
    ck_assert(least / 2 > 0); /* elsewhere they are as they were */
    nf_optimizer_free(optimizer);
}
END_TEST
#endif

START_TEST(options_are_checked)
{
    static const struct {
        nf_optimizer_options o;
        const char *name;
    } cases[] = {
        {{.kind = NF_OPTIMIZERS}, "optimizer"},
        {{.learning_rate = -1}, "learning rate"},
        {{.learning_rate = NAN}, "learning rate"},
        {{.learning_rate = INFINITY}, "learning rate"},
        {{.momentum = 1}, "momentum"},
        {{.momentum = NAN}, "momentum"},
        {{.beta1 = 1}, "beta1"},
        {{.beta2 = -1}, "beta2"},
        {{.beta2 = 1}, "beta2"},
        {{.rho = 2}, "rho"},
        {{.epsilon = -1e-8}, "epsilon"},
        {{.window = 1001, .kind = NF_ADAGRAD_WINDOW}, "window"},
        {{.weight_decay = -0.1}, "weight decay"},
        {{.weight_decay = INFINITY}, "weight decay"},
        {{.clip = NAN}, "clip"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        error = (ad_error){0};
        ck_assert_ptr_null(nf_optimizer_new(&cases[i].o, 3, AD_F32, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, cases[i].name);
        ck_assert_ptr_null(nf_optimizer_new(&cases[i].o, 3, AD_F32, NULL));
    }
    nf_optimizer *optimizer = new_optimizer((nf_optimizer_options){.beta2 = 0.9}, 3, AD_F32);
    ck_assert_double_eq(nf_optimizer_settings(optimizer)->beta1, 0.9);
    ck_assert_double_eq(nf_optimizer_settings(optimizer)->beta2, 0.9);
    nf_optimizer_free(optimizer);
    optimizer = nf_optimizer_new(NULL, 0, AD_F64, &error);
    ASSERT_OK(nf_optimizer_step(optimizer, NULL, NULL, 1, NULL, NULL, &error)); /* nothing to train */
    nf_optimizer_free(optimizer);
}
END_TEST

START_TEST(memory_runs_out)
{
    for (int kind = 0; kind < NF_OPTIMIZERS; kind++) {
        nf_optimizer *optimizer = NULL;
        for (size_t allowed = 0; !optimizer; allowed++) {
            memory_limit(allowed);
            optimizer = nf_optimizer_new(&(nf_optimizer_options){.kind = (nf_optimizer_kind)kind}, 3, AD_F64, &error);
            ck_assert_int_eq(optimizer != NULL, !memory.denied);
            if (!optimizer) ck_assert_int_eq(error.status, AD_ERROR_MEMORY);
        }
        nf_optimizer_free(optimizer);
        memory_unlimited();
    }
}
END_TEST

/* ---- Schedules ------------------------------------------------------------------------------------------------- */

START_TEST(schedules_follow_their_formulas)
{
    enum { STEPS_HERE = 90 };
    for (size_t warmup = 0; warmup <= 30; warmup += 15)
        for (size_t step = 0; step < STEPS_HERE; step++) {
            double t = ((double)step - (double)warmup) / (double)(STEPS_HERE - warmup);
            const double expected[] = {
                [NF_COSINE] = pow(cos(acos(-1) * t / 2), 2),
                [NF_CONSTANT] = 1,
                [NF_LINEAR] = (double)(STEPS_HERE - step) / (double)(STEPS_HERE - warmup),
                [NF_EXPONENTIAL] = exp(-2 * log(10) * t),
                [NF_STEPS] = 3 * (step - warmup) < STEPS_HERE - warmup         ? 1
                             : 3 * (step - warmup) < 2 * (STEPS_HERE - warmup) ? 0.1
                                                                               : 0.01,
            };
            for (int s = NF_COSINE; s < NF_SCHEDULES; s++) {
                double factor = step < warmup ? (double)(step + 1) / (double)warmup : expected[s];
                ck_assert_double_eq_tol(nf_scheduled_rate((nf_schedule)s, 0.02, warmup, step, STEPS_HERE),
                                        0.02 * factor, 1e-15);
            }
        }
    ck_assert_double_eq(nf_scheduled_rate(NF_LINEAR, 1, 50, 49, 20), 1); /* warms up to the end, and beyond */
}
END_TEST

Suite *optimizer_suite(void)
{
    Suite *suite = suite_create("optimizer");
    TCase *steps = tcase_create("steps");
    tcase_add_loop_test(steps, steps_are_those_of_others, 0, COUNT(golden));
    tcase_add_loop_test(steps, threads_change_nothing, 0, 2 * NF_OPTIMIZERS);
    tcase_add_test(steps, large_gradients_are_clipped);
    tcase_add_test(steps, gradients_must_be_finite);
#if defined(__x86_64__)
    tcase_add_loop_test(steps, nothing_becomes_subnormal, 0, NF_OPTIMIZERS);
#endif
    tcase_add_test(steps, options_are_checked);
    tcase_add_test(steps, memory_runs_out);
    tcase_add_test(steps, schedules_follow_their_formulas);
    suite_add_tcase(suite, steps);
    return suite;
}
