/* Flow matching: its loss, its pairs, what it leads to, and what it is not for. */
#include "models/training_tools.h"

/* ---- A velocity that is known ------------------------------------------------------------------------------------ */

/* 2 (1 - t), the speed of the paths. */
static ad_var speed_at(ad_var t)
{
    return ad_mul_scalar(ad_sub(ad_scalar(t.tape, 1), t), 2);
}

/* dz/dt = a 2 (1 - t): x = z + a. */
static ad_var drift(const nf_scope *at, ad_var t, ad_var z, ad_var *divergence)
{
    *divergence = ad_scalar(z.tape, 0);
    return ad_to_rows(ad_mul(nf_param(at, "a"), speed_at(t)));
}

static ad_var drift_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return nf_integrate(at, false, z, NULL, log_det);
}

static ad_status declare_drift(nf_bijector *self, ad_error *to)
{
    return nf_declare(self, &(nf_parameter_spec){.name = "a", .shape = AD_SHAPE(self->dim)}, to);
}

static const nf_bijector_type drifting = {
    .name = "drifting", .build = declare_drift, .forward = drift_forward, .velocity = drift};

static nf_flow *drifting_flow(size_t dim)
{
    nf_flow *flow = nf_flow_new(NULL, nf_bijector_new(&drifting, dim, 0, NULL, &error), AD_F64, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

/* The mean of w (a - (x - z))² is least for a the mean of x - z; w = s² / (s² + 0.1), s = 2 (1 - t), which has the mean
 * 1 - √0.1 atan(2 / √0.1) / 2. */
START_TEST(finds_the_drift)
{
    enum { MANY = 4000 };
    double *x = normals(2 * MANY, 0.5, 1);
    for (int r = 0; r < MANY; r++) x[2 * r] += 3;
    nf_flow *flow = drifting_flow(2);
    nf_fit_report report;
    const nf_fit_options o = {
        .epochs = 20, .batch = 100, .optimizer.learning_rate = 0.05, .objective = (nf_fit_objective)_i};
    ASSERT_OK(nf_fit(flow, x, MANY, &o, &report, &error));
    ck_assert_double_eq_tol(parameter_at(flow, 0), 3, 0.2);
    ck_assert_double_eq_tol(parameter_at(flow, 1), 0, 0.2);
    const double weight = 1 - sqrt(0.1) * atan(2 / sqrt(0.1)) / 2;
    const double expected = weight * (_i == NF_OT_FLOW_MATCHING ? 0.25 : 1.25); /* (1 - 0.5)², 1 + 0.5² */
    ck_assert_double_eq_tol(report.last.train_nll, expected, 0.12);
    ck_assert_double_eq_tol(report.best_nll, expected, 0.2);
    ck_assert_double_eq_tol(report.val.mean, -0.5 * log(2 * acos(-1)) * 2 - 0.25, 0.1);
    ad_free(report.history);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* dz/dt = a t. The mean of (a t - s (x - z))² / (s² + 0.1), s = 2 (1 - t), is least for a 0.3598 of the mean of
 * x - z: a ∫ t² / (s² + 0.1) dt = ∫ t s / (s² + 0.1) dt. */
static ad_var accelerate(const nf_scope *at, ad_var t, ad_var z, ad_var *divergence)
{
    *divergence = ad_scalar(z.tape, 0);
    return ad_to_rows(ad_mul(nf_param(at, "a"), t));
}

static const nf_bijector_type accelerating = {
    .name = "accelerating", .build = declare_drift, .forward = drift_forward, .velocity = accelerate};

START_TEST(errors_near_the_data_weigh_more)
{
    enum { MANY = 4000 };
    double *x = normals(MANY, 0.5, 1);
    for (int r = 0; r < MANY; r++) x[r] += 3;
    nf_flow *flow = nf_flow_new(NULL, nf_bijector_new(&accelerating, 1, 0, NULL, &error), AD_F64, &error);
    const nf_fit_options o = {
        .epochs = 20, .batch = 100, .optimizer.learning_rate = 0.05, .objective = (nf_fit_objective)_i};
    ASSERT_OK(nf_fit(flow, x, MANY, &o, NULL, &error));
    ck_assert_double_eq_tol(parameter_at(flow, 0), 3 * 0.3598, 0.08);
    nf_flow_free(flow);
    free(x);
}
END_TEST

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of one feature, pairs in the order of both are best; what is drawn is a function of the seed and the step. */
START_TEST(pairs_are_best)
{
    enum { N = 60, TIME_STREAM = 3001 };
    double *x = normals(N, 2, 3), z[N], t[N], sum = 0;
    qsort(x, N, sizeof *x, ascending); /* validation rows stay in order */
    nf_flow *flow = drifting_flow(1);
    nf_fit_report report;
    const nf_fit_options o = {.epochs = 1,
                              .optimizer = {"sgd", .learning_rate = 1e-30},
                              .seed = 8,
                              .val_x = x,
                              .val_rows = N,
                              .objective = NF_OT_FLOW_MATCHING};
    ASSERT_OK(nf_fit(flow, x, N, &o, &report, &error));
    ad_tape *tape = ad_tape_new();
    ad_var noise[] = {ad_normal(tape, AD_SHAPE(1), 0), ad_uniform(tape, AD_SCALAR, TIME_STREAM)};
    ad_plan *plan = ad_plan_new(noise, 2, &(ad_plan_options){.dtype = AD_F64}, &error);
    ad_plan_set_output(plan, 0, z);
    ad_plan_set_output(plan, 1, t);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = N, .seed = 9}, &error));
    ad_plan_set_output(plan, 0, NULL);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = N}, &error)); /* losses that are told have these times */
    qsort(z, N, sizeof *z, ascending);
    for (int i = 0; i < N; i++) {
        const double speed = 2 * (1 - t[i]), change = speed * (x[i] - z[i]);
        sum += change * change / (speed * speed + 0.1) / N;
    }
    ck_assert_double_eq_tol(report.last.val_nll, sum, 1e-12);
    ad_plan_free(plan);
    ad_tape_free(tape);
    ad_free(report.history);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* ---- A network --------------------------------------------------------------------------------------------------- */

/* A correlated normal, whose entropy is known; the same bits on any number of threads. */
START_TEST(learns_a_density)
{
    enum { MANY = 4000 };
    double *x = normals(2 * MANY, 1, 2);
    for (int r = 0; r < MANY; r++) x[2 * r + 1] = 0.8 * x[2 * r] + 0.6 * x[2 * r + 1];
    const double entropy = log(2 * acos(-1)) + 1 + log(0.6);
    nf_flow *flow[2];
    for (int i = 0; i < 2; i++) {
        flow[i] = new_flow("cnf(24,24)-standardize", 2, AD_F32);
        nf_fit_report report;
        nf_fit_options o = {.epochs = 40,
                            .batch = 200,
                            .optimizer.learning_rate = 5e-3,
                            .pool = i ? ad_pool_new(3, &error) : NULL,
                            .objective = (nf_fit_objective)_i};
        ASSERT_OK(nf_fit(flow[i], x, MANY, &o, &report, &error));
        ck_assert_double_eq_tol(report.val.mean, -entropy, 0.15);
        ck_assert_double_gt(report.val.standard_error, 0.01);
        ck_assert_double_lt(report.val.standard_error, 0.1);
        ad_free(report.history);
        ad_pool_free(o.pool);
    }
    ck_assert_mem_eq(nf_flow_parameters(flow[0]), nf_flow_parameters(flow[1]), parameter_bytes(flow[0]));
    for (int i = 0; i < 2; i++) nf_flow_free(flow[i]);
    free(x);
}
END_TEST

/* By likelihood, through the solver, and likewise. */
START_TEST(learns_by_likelihood)
{
    enum { MANY = 1000 };
    double *x = normals(2 * MANY, 1, 2);
    for (int r = 0; r < MANY; r++) x[2 * r + 1] = 0.8 * x[2 * r] + 0.6 * x[2 * r + 1];
    nf_flow *flow[2];
    for (int i = 0; i < 2; i++) {
        flow[i] = new_flow("cnf(8,8,rtol=1e-3)-standardize", 2, AD_F32);
        nf_fit_report report;
        nf_fit_options o = {
            .epochs = 6, .batch = 100, .optimizer.learning_rate = 1e-2, .pool = i ? ad_pool_new(3, &error) : NULL};
        ASSERT_OK(nf_fit(flow[i], x, MANY, &o, &report, &error));
        ck_assert_double_eq_tol(report.val.mean, -report.best_nll, 1e-4);
        ck_assert_double_eq_tol(report.best_nll, log(2 * acos(-1)) + 1 + log(0.6), 0.2);
        ad_free(report.history);
        ad_pool_free(o.pool);
    }
    ck_assert_mem_eq(nf_flow_parameters(flow[0]), nf_flow_parameters(flow[1]), parameter_bytes(flow[0]));
    for (int i = 0; i < 2; i++) nf_flow_free(flow[i]);
    free(x);
}
END_TEST

/* ---- Mistakes ---------------------------------------------------------------------------------------------------- */

START_TEST(mistakes)
{
    static const struct {
        const char *formula, *words;
        int objective;
    } cases[] = {
        {"maf(4)", "'maf(4)' has none, or several: expected a flow such as cnf(64,64)-standardize", NF_FLOW_MATCHING},
        {"cnf(4)*2", "has none, or several", NF_FLOW_MATCHING},
        {"cnf(4)-maf(4)", "has other parameters", NF_OT_FLOW_MATCHING},
        {"diagonal_normal:cnf(4)", "has other parameters", NF_FLOW_MATCHING},
        {"cnf(4)", "there is no objective 3", 3},
    };
    double *x = normals(2 * ROWS, 1, 2);
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_flow *flow = new_flow(cases[i].formula, 2, AD_F32);
        const nf_fit_options o = {.objective = (nf_fit_objective)cases[i].objective};
        ck_assert_int_eq(nf_fit(flow, x, ROWS, &o, NULL, &error), AD_ERROR_ARGUMENT);
        ck_assert_msg(strstr(error.message, cases[i].words), "%s", error.message);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

Suite *matching_suite(void)
{
    Suite *suite = suite_create("matching");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, finds_the_drift, NF_FLOW_MATCHING, NF_OT_FLOW_MATCHING + 1);
    tcase_add_loop_test(all, errors_near_the_data_weigh_more, NF_FLOW_MATCHING, NF_OT_FLOW_MATCHING + 1);
    tcase_add_test(all, pairs_are_best);
    tcase_add_loop_test(all, learns_a_density, NF_FLOW_MATCHING, NF_OT_FLOW_MATCHING + 1);
    tcase_add_test(all, learns_by_likelihood);
    tcase_add_test(all, mistakes);
    suite_add_tcase(suite, all);
    return suite;
}
