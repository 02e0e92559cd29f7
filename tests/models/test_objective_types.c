/* What goes for every objective of inference that is known, ours and one of this file's own. */
#include "flows/flow_tools.h"

#include <weir/vi.h>

#include <math.h>

/* ---- An objective from outside --------------------------------------------------------------------------------- */

/* scale times the variance of log w over the draws, at which they come from elsewhere (Richter et al. 2020, "VarGrad"):
 * its gradient is the mean of 2 scale (log w - mean) times that of -log q(x). */
static ad_var surprise(const nf_objective_draw *draw)
{
    return ad_neg(nf_flow_record_log_prob(draw->flow, ad_stop_gradient(draw->x)));
}

static double weigh_variance(const nf_objective_type *self, const double *argument, const double *log_weight,
                             size_t draws, double *weight)
{
    const double scale = argument[0] * *(const double *)self->data, n = (double)draws;
    double mean = 0, variance = 0;
    for (size_t i = 0; i < draws; i++) mean += log_weight[i] / n;
    for (size_t i = 0; i < draws; i++) {
        weight[i] = 2 * scale * (log_weight[i] - mean) / (n - 1);
        variance += scale * (log_weight[i] - mean) * (log_weight[i] - mean) / (n - 1);
    }
    return variance;
}

static const nf_argument arguments[] = {
    {.name = "scale", .value = 1, .low = 0.1, .high = 10, .kind = NF_NUMBER, .help = "of the variance"}, {0}};
static const double half = 0.5;
static const nf_objective_type own = {.name = "log_variance",
                                      .help = "half the variance of log w",
                                      .argument = arguments,
                                      .term = surprise,
                                      .weigh = weigh_variance,
                                      .data = &half};

static int known(void)
{
    int count = 0;
    while (nf_objective_types()[count]) count++;
    return count;
}

/* In the process of each test. */
static void add_own(void)
{
    nf_register_objective(&own, NULL);
    ck_assert_ptr_eq(nf_objective_types()[known() - 1], &own);
}

START_TEST(registering_is_checked)
{
    nf_objective_type type = own;
    nf_objective objective;
    ASSERT_FAILS(nf_register_objective(&type, &error), AD_ERROR_ARGUMENT, "'log_variance' is taken");
    type.name = NULL;
    ASSERT_FAILS(nf_register_objective(&type, &error), AD_ERROR_ARGUMENT, "isn't a name");
    type.name = "other";
    type.weigh = NULL;
    type.groups = true;
    ASSERT_FAILS(nf_register_objective(&type, &error), AD_ERROR_ARGUMENT, "groups draws");
    type.groups = false;
    type.term = NULL;
    ASSERT_FAILS(nf_register_objective(&type, &error), AD_ERROR_ARGUMENT, "no term");
    ck_assert_int_eq(nf_register_objective(&type, NULL), AD_ERROR_ARGUMENT);
    ASSERT_OK(nf_objective_parse("log_variance(scale=2)", &objective, &error));
    ck_assert(objective.type == &own && objective.argument[0] == 2);
    ASSERT_FAILS(nf_objective_parse("log_variance(20)", &objective, &error), AD_ERROR_ARGUMENT, "from 0.1 to 10");
    ASSERT_FAILS(nf_objective_parse("kl", &objective, &error), AD_ERROR_ARGUMENT,
                 "unknown objective 'kl'; expected one of elbo, stl, iwae, dreg, ");
    ck_assert_msg(strstr(error.message, ", log_variance") != NULL, "%s", error.message);
    ck_assert_int_eq(nf_objective_parse("kl", &objective, NULL), AD_ERROR_ARGUMENT);
}
END_TEST

/* ---- Fits of N(mean, sd²) to N(0, 1) --------------------------------------------------------------------------- */

typedef struct {
    nf_callback callback;
    double gradient[2], loss;
} watcher;

static bool watch(nf_callback *self, const nf_iteration *at)
{
    watcher *w = (watcher *)self;
    ad_to_double(at->dtype, at->gradient, w->gradient, 2);
    w->loss = at->loss;
    return true;
}

/* scale-loc in one feature. */
static nf_flow *normal_flow(double mean, double sd, ad_dtype dtype)
{
    nf_flow *flow = nf_flow_parse("scale-loc", 1, 0, dtype, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    ad_from_double(dtype, (double[]){log(expm1(sd)), mean}, nf_flow_parameters(flow), 2);
    nf_flow_pull(flow);
    return flow;
}

/* Loss and gradient of one step. */
static watcher first_step(const char *objective, double mean, double sd, size_t mc, ad_dtype dtype)
{
    nf_target *target = target_of("gaussian(dim=1)");
    nf_flow *flow = normal_flow(mean, sd, dtype);
    watcher w = {.callback.call = watch};
    nf_vi_options o = {
        .objective = objective, .iters = 1, .mc = mc, .seed = 3, .callbacks = (nf_callback *[]){&w.callback, NULL}};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    nf_flow_free(flow);
    nf_target_free(target);
    return w;
}

START_TEST(types_are_described)
{
    const nf_objective_type *type = nf_objective_types()[_i];
    ck_assert_ptr_nonnull(type->help);
    ck_assert_ptr_null(strchr(type->help, '\n'));
    for (const nf_argument *argument = type->argument; argument && argument->name; argument++) {
        ck_assert_ptr_nonnull(argument->help);
        double other = (argument->low + argument->value) / 2;
        char text[128];
        snprintf(text, sizeof text, "%s(%s=%.17g)", type->name, argument->name, other);
        const watcher first = first_step(type->name, 0.5, 1.5, 50, AD_F64);
        const watcher second = first_step(text, 0.5, 1.5, 50, AD_F64);
        ck_assert_double_ne(first.gradient[1], second.gradient[1]);
    }
}
END_TEST

/* Where q is p nothing is to be gained: the mean of many steps' gradients is zero, and elsewhere it isn't. */
START_TEST(the_target_is_the_optimum)
{
    const char *name = nf_objective_types()[_i]->name;
    const watcher there = first_step(name, 0, 1, 40000, AD_F64), beside = first_step(name, 0.5, 1, 40000, AD_F64);
    for (int i = 0; i < 2; i++) ck_assert_double_lt(fabs(there.gradient[i]), 0.03);
    ck_assert_double_gt(beside.gradient[1], 0.05);
}
END_TEST

START_TEST(losses_agree_between_dtypes)
{
    const char *name = nf_objective_types()[_i]->name;
    const watcher single = first_step(name, 0.5, 1.5, 200, AD_F32), twice = first_step(name, 0.5, 1.5, 200, AD_F64);
    ck_assert_double_eq_tol(single.loss, twice.loss, 1e-4);
    for (int i = 0; i < 2; i++) ck_assert_double_eq_tol(single.gradient[i], twice.gradient[i], 1e-4);
}
END_TEST

START_TEST(fits_end_at_the_target)
{
    nf_target *target = target_of("gaussian(dim=1)");
    nf_flow *flow = normal_flow(0.7, 1.4, AD_F64);
    nf_vi_options o = {.objective = nf_objective_types()[_i]->name,
                       .iters = 1500,
                       .mc = 50,
                       .schedule = "linear",
                       .optimizer.learning_rate = 0.02};
    nf_vi_report report;
    ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
    const double *w = nf_flow_parameters(flow);
    ck_assert_double_eq_tol(log1p(exp(w[0])), 1, 0.05);
    ck_assert_double_eq_tol(w[1], 0, 0.05);
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

START_TEST(threads_change_nothing)
{
    nf_target *target = target_of("pot1");
    nf_flow *flow[2];
    for (int i = 0; i < 2; i++) {
        ad_pool *pool = ad_pool_new(i ? 3 : 1, &error);
        flow[i] = nf_flow_parse("maf(4)-scale-loc", 2, 0, AD_F32, 1, &error);
        nf_vi_options o = {
            .objective = nf_objective_types()[_i]->name, .iters = 20, .mc = 300, .optimizer.clip = 1, .pool = pool};
        ASSERT_OK(nf_vi(flow[i], target, &o, NULL, &error));
        ad_pool_free(pool);
    }
    ck_assert_mem_eq(nf_flow_parameters(flow[0]), nf_flow_parameters(flow[1]),
                     nf_flow_trained_elements(flow[0]) * sizeof(float));
    nf_flow_free(flow[0]);
    nf_flow_free(flow[1]);
    nf_target_free(target);
}
END_TEST

/* A term of another shape is told of, by the objective's name. */
static ad_var whole_draw(const nf_objective_draw *draw)
{
    return draw->x;
}

START_TEST(terms_are_numbers)
{
    static const nf_objective_type wrong = {.name = "wrong", .term = whole_draw};
    nf_register_objective(&wrong, NULL);
    nf_target *target = target_of("gaussian(dim=2)");
    nf_flow *flow = nf_flow_parse("loc", 2, 0, AD_F32, 1, &error);
    ASSERT_FAILS(nf_vi(flow, target, &(nf_vi_options){.objective = "wrong"}, NULL, &error), AD_ERROR_ARGUMENT,
                 "objective 'wrong' gave a term of shape (2)");
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

Suite *objective_types_suite(void);

Suite *objective_types_suite(void)
{
    Suite *suite = suite_create("objective_types");
    TCase *every = tcase_create("every objective");
    tcase_set_timeout(every, 60);
    tcase_add_checked_fixture(every, add_own, NULL);
    const int count = known() + 1;
    tcase_add_test(every, registering_is_checked);
    tcase_add_loop_test(every, types_are_described, 0, count);
    tcase_add_loop_test(every, the_target_is_the_optimum, 0, count);
    tcase_add_loop_test(every, losses_agree_between_dtypes, 0, count);
    tcase_add_loop_test(every, fits_end_at_the_target, 0, count);
    tcase_add_loop_test(every, threads_change_nothing, 0, count);
    tcase_add_test(every, terms_are_numbers);
    suite_add_tcase(suite, every);
    return suite;
}
