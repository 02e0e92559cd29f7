/* Callbacks: when they are called, what they see, and what they conclude. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include "scratch.h"

#include <math.h>

static nf_iteration at(size_t iteration, const double *parameters, const double *gradient, size_t count)
{
    return (nf_iteration){.iteration = iteration,
                          .loss = -(double)iteration,
                          .parameters = parameters,
                          .gradient = gradient,
                          .count = count,
                          .dtype = AD_F64};
}

typedef struct {
    nf_callback callback;
    size_t calls, stop_at;
} counter;

static bool count_call(nf_callback *self, const nf_iteration *now)
{
    counter *c = (counter *)self;
    c->calls++;
    return now->iteration != c->stop_at;
}

START_TEST(called_when_due)
{
    counter each = {{count_call}}, third = {{count_call, .every = 3}, .stop_at = 6};
    nf_callback *list[] = {&third.callback, &each.callback, NULL};
    for (size_t i = 1; i <= 10; i++) {
        const nf_iteration now = at(i, NULL, NULL, 0);
        ck_assert_int_eq(nf_call_back(list, &now), i != 6);
        ck_assert_uint_eq(each.calls, i); /* also where another one wants to stop */
        ck_assert_uint_eq(third.calls, i / 3);
        ck_assert(nf_call_back(NULL, &now));
    }
}
END_TEST

/* ---- Convergence ----------------------------------------------------------------------------------------------- */

static const struct {
    bool absolute;
    double norm, expected;
} measures[] = {
    /* from (1, -2, 0) to (1.5, -2, 1e-6): |p-q| = (0.5, 0, 1e-6) */
    {true, 0, 0.5},
    {true, INFINITY, 0.5},
    {true, 1, 0.500001},
    {true, 2, 0.50000000000099998},
    {true, -INFINITY, 0},
    /* relative: (0.500001 / 1.000001, 1e-6 / 2.000001, 2e-6 / 1e-6) */
    {false, 0, 2},
    {false, 1, 0.500001 / 1.000001 + 1e-6 / 2.000001 + 2},
    {false, -INFINITY, 1e-6 / 2.000001},
};

START_TEST(difference_of_parameters)
{
    const double q[] = {1, -2, 0}, p[] = {1.5, -2, 1e-6};
    const double expected = measures[_i].expected;
    for (int below = 0; below < 2; below++) {
        nf_convergence c = {.callback = {nf_stop_when_converged, .every = 10},
                            .tolerance = expected > 0 ? expected * (below ? 0.99 : 1.01) : 1e-9,
                            .absolute = measures[_i].absolute,
                            .norm = measures[_i].norm};
        nf_iteration now = at(10, q, NULL, 3);
        ck_assert(nf_call_back((nf_callback *[]){&c.callback, NULL}, &now));
        now = at(15, p, NULL, 3);
        ck_assert(nf_call_back((nf_callback *[]){&c.callback, NULL}, &now)); /* not its turn */
        now = at(20, p, NULL, 3);
        bool converges = expected == 0 || !below;
        ck_assert_int_eq(nf_call_back((nf_callback *[]){&c.callback, NULL}, &now), !converges);
        ck_assert_int_eq(c.converged, converges);
        ck_assert_double_eq_tol(c.difference, expected, 1e-14);
        nf_convergence_free(&c);
    }
}
END_TEST

/* Every 100 iterations, relative, the largest, below 1e-3. */
START_TEST(convergence_by_default)
{
    nf_convergence c = {.callback.call = nf_stop_when_converged};
    double p[] = {1, 100};
    size_t stopped = 0;
    for (size_t i = 1; !stopped && i < 1000; i++) {
        p[0] += i <= 300 ? 2e-5 : 0.9e-5;
        p[1] += 1e-3;
        const nf_iteration now = at(i, p, NULL, 2);
        if (!nf_call_back((nf_callback *[]){&c.callback, NULL}, &now)) stopped = i;
    }
    ck_assert_uint_eq(stopped, 400); /* until 300 p[0] moves by 2e-3 */
    nf_convergence_free(&c);
    nf_convergence nan = {.callback = {nf_stop_when_converged, .every = 1}};
    p[1] = NAN;
    for (size_t i = 1; i < 5; i++) {
        const nf_iteration now = at(i, p, NULL, 2);
        ck_assert(nf_call_back((nf_callback *[]){&nan.callback, NULL}, &now)); /* has not converged */
    }
    nf_convergence_free(&nan);
}
END_TEST

/* ---- Tracking -------------------------------------------------------------------------------------------------- */

static void sum_of_squares(const nf_tracker *self, const nf_iteration *now, double *numbers)
{
    const double *p = now->parameters;
    *numbers = *(double *)self->context;
    for (size_t i = 0; i < now->count; i++) *numbers += p[i] * p[i];
}

START_TEST(tracks_anything)
{
    enum { TIMES = 1000, EVERY = 7 };
    double p[3], g[3], offset = 0.5;
    nf_tracker all = {.callback = {nf_track, .every = EVERY}};
    nf_tracker one = {.callback = {nf_track}, .first = 1, .width = 1, .record = nf_record_gradient};
    nf_tracker rest = {.callback = {nf_track}, .first = 1};
    nf_tracker loss = {.callback = {nf_track}, .record = nf_record_loss};
    nf_tracker own = {.callback = {nf_track}, .record = sum_of_squares, .context = &offset};
    nf_callback *list[] = {&all.callback, &one.callback, &rest.callback, &loss.callback, &own.callback, NULL};
    for (size_t i = 1; i <= TIMES; i++) {
        for (size_t j = 0; j < 3; j++) p[j] = (double)(10 * i + j), g[j] = -p[j];
        const nf_iteration now = at(i, p, g, 3);
        ck_assert(nf_call_back(list, &now));
    }
    ck_assert_uint_eq(all.records, TIMES / EVERY);
    ck_assert_uint_eq(all.width, 3);
    for (size_t r = 0; r < all.records; r++) {
        ck_assert_uint_eq(all.iteration[r], (r + 1) * EVERY);
        for (size_t j = 0; j < 3; j++) ck_assert_double_eq(all.values[3 * r + j], (double)(10 * EVERY * (r + 1) + j));
    }
    ck_assert_uint_eq(one.records, TIMES);
    for (size_t i = 1; i <= TIMES; i++) {
        double first = (double)(10 * i);
        ck_assert_double_eq(one.values[i - 1], -(first + 1));
        ck_assert_double_eq(rest.values[2 * (i - 1)], first + 1);
        ck_assert_double_eq(rest.values[2 * (i - 1) + 1], first + 2);
        ck_assert_double_eq(loss.values[i - 1], -(double)i);
        ck_assert_double_eq(own.values[i - 1], 0.5 + first * first + pow(first + 1, 2) + pow(first + 2, 2));
    }
    nf_tracker *trackers[] = {&all, &one, &rest, &loss, &own};
    for (size_t i = 0; i < COUNT(trackers); i++) nf_tracker_free(trackers[i]);
}
END_TEST

START_TEST(memory_runs_out)
{
    const double p[] = {1, 2};
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        nf_tracker tracker = {.callback = {nf_track}};
        nf_convergence convergence = {.callback = {nf_stop_when_converged, .every = 1}, .tolerance = 1e-9};
        nf_callback *list[] = {&tracker.callback, &convergence.callback, NULL};
        memory_limit(allowed);
        bool going = true;
        for (size_t i = 1; going && i <= 100; i++) {
            const nf_iteration now = at(i, p, p, 2);
            going = nf_call_back(list, &now);
        }
        denied = memory.denied;
        ck_assert_int_eq(going, !denied);
        ck_assert_int_eq(tracker.status == AD_ERROR_MEMORY || convergence.status == AD_ERROR_MEMORY, denied);
        nf_tracker_free(&tracker);
        nf_convergence_free(&convergence);
        memory_unlimited();
    }
}
END_TEST

/* ---- In a training --------------------------------------------------------------------------------------------- */

START_TEST(sees_the_training)
{
    enum { N = 50, EPOCHS = 6 };
    double *x = normals(2 * N, 1, 1);
    for (size_t i = 0; i < N; i++) x[2 * i] += 3;
    nf_flow *flow = nf_flow_parse("scale-loc-standardize-loc", 2, 0, AD_F32, 1, &error);
    nf_tracker loc = {.callback = {nf_track}}, gradient = {.callback = {nf_track}, .record = nf_record_gradient};
    nf_tracker loss = {.callback = {nf_track}, .record = nf_record_loss};
    ASSERT_OK(nf_find_parameter(flow, "3.loc.loc", &loc.first, &loc.width, &error));
    ck_assert_uint_eq(loc.first, 4); /* what standardize has is not trained */
    ck_assert_uint_eq(loc.width, 2);
    ASSERT_FAILS(nf_find_parameter(flow, "3.loc.lok", &loc.first, &loc.width, &error), AD_ERROR_ARGUMENT, "3.loc.lok");
    gradient.first = loc.first;
    gradient.width = loc.width;
    counter stop = {{count_call}, .stop_at = 2 * EPOCHS - 1};
    nf_fit_options o = {.epochs = EPOCHS,
                        .batch = N / 2,
                        .val_fraction = -1,
                        .optimizer = {.name = "sgd", .learning_rate = 0.01, .clip = -1},
                        .schedule = "constant",
                        .callbacks =
                            (nf_callback *[]){&loc.callback, &gradient.callback, &loss.callback, &stop.callback, NULL}};
    nf_fit_report report;
    ASSERT_OK(nf_fit(flow, x, N, &o, &report, &error));
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert_uint_eq(report.last.step, 2 * EPOCHS - 1);
    ck_assert_uint_eq(loc.records, 2 * EPOCHS - 1);
    double before[] = {0, 0};
    for (size_t r = 0; r < loc.records; r++)
        for (size_t j = 0; j < 2; j++) { /* each step leads from before to after */
            ck_assert_double_eq_tol(loc.values[2 * r + j], before[j] - 0.01 * gradient.values[2 * r + j], 1e-6);
            before[j] = loc.values[2 * r + j];
        }
    for (size_t e = 0; e + 1 < EPOCHS; e++)
        ck_assert_double_eq_tol(report.history[e].train_nll, (loss.values[2 * e] + loss.values[2 * e + 1]) / 2, 1e-12);
    nf_tracker_free(&loc);
    nf_tracker_free(&gradient);
    nf_tracker_free(&loss);
    ad_free(report.history);
    nf_flow_free(flow);
    free(x);
}
END_TEST

Suite *callbacks_suite(void)
{
    Suite *suite = suite_create("callbacks");
    TCase *callbacks = tcase_create("callbacks");
    tcase_add_test(callbacks, called_when_due);
    tcase_add_loop_test(callbacks, difference_of_parameters, 0, COUNT(measures));
    tcase_add_test(callbacks, convergence_by_default);
    tcase_add_test(callbacks, tracks_anything);
    tcase_add_test(callbacks, memory_runs_out);
    tcase_add_test(callbacks, sees_the_training);
    suite_add_tcase(suite, callbacks);
    return suite;
}
