/* The built-in optimisers against steps computed elsewhere, and what surrounds an update. */
#include <weir/models.h>
#include "flows/flow_tools.h"
#include "scratch.h"
#include "training/optimizer.h"

#include <math.h>

static nf_optimizer *new_optimizer(nf_optimizer_options options, size_t count, ad_dtype dtype)
{
    nf_optimizer *optimizer = nf_optimizer_new(&options, count, dtype, &error);
    ck_assert_msg(optimizer != NULL, "%s", error.message);
    return optimizer;
}

/* ---- Formulas -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *column;
    nf_optimizer_options options;
} golden[] = {
    {"sgd", {.name = "sgd"}},
    {"momentum", {.name = "momentum"}},
    {"nesterov", {.name = "nesterov"}},
    {"adagrad", {.name = "adagrad"}},
    {"adagrad_window", {.name = "adagrad_window"}},
    {"rmsprop", {.name = "rmsprop"}},
    {"adadelta", {.name = "adadelta"}},
    {"adam", {.name = "adam"}},
    {"adamw", {.name = "adamw"}},
    {"adamax", {.name = "adamax"}},
    {"sgd_clip", {.name = "sgd", .learning_rate = 0.1, .clip = 0.5}},
    {"momentum_decay", {.name = "momentum(0.5)", .learning_rate = 0.01, .weight_decay = 0.1}},
    {"adagrad_epsilon", {.name = "adagrad(epsilon=0.1)", .learning_rate = 0.5}},
    {"adagrad_window_3", {.name = "adagrad_window(3, epsilon=0.01)", .learning_rate = 0.1}},
    {"rmsprop_rho", {.name = "rmsprop(rho=0.5)", .learning_rate = 0.01}},
    {"adadelta_rho", {.name = "adadelta(rho=0.5, epsilon=1e-3)", .learning_rate = 0.5}},
    {"adam_betas", {.name = "adam(beta1=0.5, beta2=0.98)", .learning_rate = 0.1, .clip = 1, .weight_decay = 0.1}},
    {"adamw_decay", {.name = "adamw(beta2=0.9)", .learning_rate = 0.1, .weight_decay = 0.5}},
    {"adamax_betas", {.name = "adamax(beta1=0.8,beta2=0.5,epsilon=0.001)", .learning_rate = 0.1}},
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
        for (size_t i = 0; i < PARAMETERS; i++) ad_set_element(dtype, w, i, table.values[i * table.columns + column]);
        for (size_t step = 1; step < table.rows / PARAMETERS; step++) {
            const double *rows = table.values + step * PARAMETERS * table.columns;
            double norm, squares = 0;
            for (size_t i = 0; i < PARAMETERS; i++) {
                ad_set_element(dtype, g, i, rows[i * table.columns + 1]);
                squares += rows[i * table.columns + 1] * rows[i * table.columns + 1];
            }
            ASSERT_OK(nf_optimizer_step(optimizer, w, g, nf_optimizer_settings(optimizer)->learning_rate, NULL, &norm,
                                        &error));
            ck_assert_double_eq_tol(norm, sqrt(squares), (dtype == AD_F32 ? 1e-6 : 1e-14) * norm);
            for (size_t i = 0; i < PARAMETERS; i++) {
                double expected = rows[i * table.columns + column], got = ad_element(dtype, w, i);
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

START_TEST(large_gradients_are_clipped)
{
    nf_optimizer *optimizer = new_optimizer((nf_optimizer_options){.name = "sgd", .clip = 10}, 2, AD_F32);
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

START_TEST(options_are_checked)
{
    static const struct {
        nf_optimizer_options o;
        const char *name;
    } cases[] = {
        {{.name = "adams"}, "unknown optimizer 'adams'; expected one of adam, adamw"},
        {{.name = ""}, "unknown optimizer"},
        {{.learning_rate = -1}, "learning rate"},
        {{.learning_rate = NAN}, "learning rate"},
        {{.learning_rate = INFINITY}, "learning rate"},
        {{.name = "momentum(momentum=1)"}, "momentum"},
        {{.name = "momentum(nan)"}, "momentum"},
        {{.name = "adam(beta1=1)"}, "beta1"},
        {{.name = "adam(beta2=-1)"}, "beta2"},
        {{.name = "adam(beta2=1)"}, "beta2"},
        {{.name = "rmsprop(rho=2)"}, "rho"},
        {{.name = "adam(epsilon=-1e-8)"}, "epsilon"},
        {{.name = "adagrad_window(window=1001)"}, "window"},
        {{.name = "adagrad_window(2.5)"}, "window"},
        {{.name = "sgd(momentum=0.5)"}, "sgd has no argument 'momentum'"},
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
    nf_optimizer *optimizer = new_optimizer((nf_optimizer_options){.name = "adam(beta2=0.95)"}, 3, AD_F32);
    ck_assert_double_eq(nf_optimizer_argument(optimizer, "beta1"), 0.9);
    ck_assert_double_eq(nf_optimizer_argument(optimizer, "beta2"), 0.95);
    ck_assert(isnan(nf_optimizer_argument(optimizer, "rho")));
    ck_assert_double_eq(nf_optimizer_settings(optimizer)->learning_rate, 1e-3);
    ck_assert_str_eq(nf_optimizer_settings(optimizer)->name, "adam(beta2=0.95)");
    nf_optimizer_free(optimizer);
    optimizer = nf_optimizer_new(NULL, 0, AD_F64, &error);
    ASSERT_OK(nf_optimizer_step(optimizer, NULL, NULL, 1, NULL, NULL, &error)); /* nothing to train */
    nf_optimizer_free(optimizer);
}
END_TEST

static void list_optimizer(void *context, nf__state *state)
{
    nf__optimizer_list(context, state);
}

/* Through a state, whose numbers are doubles: more steps than a size_t may hold. */
START_TEST(many_steps_go_on)
{
    const uint64_t many = ((uint64_t)1 << 32) + 5;
    nf_optimizer *optimizer = new_optimizer((nf_optimizer_options){.name = "sgd"}, 1, AD_F64);
    nf_optimizer_restore(optimizer, &many); /* it has no moments */
    nf__state state = {0};
    ASSERT_OK(nf__state_fill(&state, NF__STATE_COPIES, list_optimizer, optimizer, &error));
    nf_optimizer_restore(optimizer, &(uint64_t){0});
    ASSERT_OK(nf__state_restore(&state, list_optimizer, optimizer, &error));
    ck_assert_uint_eq(nf_optimizer_steps(optimizer), many);
    nf__state_free(&state);
    nf_optimizer_free(optimizer);
}
END_TEST

Suite *optimizer_suite(void)
{
    Suite *suite = suite_create("optimizer");
    TCase *steps = tcase_create("steps");
    tcase_add_loop_test(steps, steps_are_those_of_others, 0, COUNT(golden));
    tcase_add_test(steps, large_gradients_are_clipped);
    tcase_add_test(steps, gradients_must_be_finite);
    tcase_add_test(steps, options_are_checked);
    tcase_add_test(steps, many_steps_go_on);
    suite_add_tcase(suite, steps);
    return suite;
}
