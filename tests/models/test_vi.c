/* Variational inference: how it is run, what it depends on, and how it ends. */
#include "models/costly.h"
#include "models/training_tools.h"

/* ---- Reproducibility ------------------------------------------------------------------------------------------- */

static int objectives_known(void)
{
    int count = 0;
    while (nf_objective_types()[count]) count++;
    return count;
}

static nf_flow *short_fit(const char *objective, ad_dtype dtype, int threads, uint64_t seed, double jitter)
{
    nf_target *target = target_of("pot1");
    nf_flow *flow = new_flow("maf(4)-scale-loc", 2, dtype);
    ad_pool *pool = ad_pool_new(threads, &error);
    nf_vi_options o = {
        .objective = objective, .iters = 20, .mc = 700, .jitter = jitter, .seed = seed, .draws = 100, .pool = pool};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    ad_pool_free(pool);
    nf_target_free(target);
    return flow;
}

START_TEST(any_number_of_threads)
{
    for (int dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *one = short_fit(nf_objective_types()[_i]->name, (ad_dtype)dtype, 1, 3, 0.1);
        nf_flow *three = short_fit(nf_objective_types()[_i]->name, (ad_dtype)dtype, 3, 3, 0.1);
        nf_flow *other = short_fit(nf_objective_types()[_i]->name, (ad_dtype)dtype, 1, 4, 0.1);
        ck_assert_mem_eq(nf_flow_parameters(one), nf_flow_parameters(three), parameter_bytes(one));
        ck_assert_mem_ne(nf_flow_parameters(one), nf_flow_parameters(other), parameter_bytes(one));
        nf_flow_free(one);
        nf_flow_free(three);
        nf_flow_free(other);
    }
}
END_TEST

/* N(0, jitter²) on top of the initial values, as a function of the seed. */
START_TEST(jitter_moves_the_start)
{
    enum { DIM = 2000 };
    nf_target *target = target_of("gaussian(dim=2000, correlation=0)");
    nf_flow *flow = new_flow("loc", DIM, AD_F64);
    nf_vi_options o = {
        .iters = 1, .mc = 1, .jitter = 0.5, .seed = 8, .draws = 2, .optimizer.learning_rate = 1e-12, STEADY};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    double mean = 0, squares = 0;
    for (size_t i = 0; i < DIM; i++) {
        mean += parameter_at(flow, i) / DIM;
        squares += parameter_at(flow, i) * parameter_at(flow, i) / DIM;
    }
    ck_assert_double_eq_tol(mean, 0, 4 * 0.5 / sqrt(DIM));
    ck_assert_double_eq_tol(squares, 0.25, 4 * 0.25 * sqrt(2.0 / DIM));
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* Random initial values give way to it. */
START_TEST(jitter_is_all_that_is_random)
{
    nf_target *target = target_of("gaussian");
    nf_flow *flow[2];
    for (uint64_t i = 0; i < 2; i++) {
        flow[i] = nf_flow_parse("planar*2", 2, 0, AD_F64, 1 + i, &error);
        nf_vi_options o = {.iters = 1, .jitter = 1, .seed = 8, .draws = 2};
        ck_assert_ptr_nonnull(flow[i]);
        ASSERT_OK(nf_vi(flow[i], target, &o, NULL, &error));
    }
    ck_assert_mem_eq(nf_flow_parameters(flow[0]), nf_flow_parameters(flow[1]), parameter_bytes(flow[0]));
    nf_flow_free(flow[0]);
    nf_flow_free(flow[1]);
    nf_target_free(target);
}
END_TEST

/* Half the iterations, and the other half with the same optimiser, are all of them. */
START_TEST(refined)
{
    nf_target *target = target_of("pot1");
    nf_flow *whole = new_flow("maf(4)-scale-loc", 2, AD_F32), *halves = new_flow("maf(4)-scale-loc", 2, AD_F32);
    nf_vi_options o = {.iters = 60, .seed = 2, .draws = 100, .optimizer.learning_rate = 0.01, STEADY};
    ASSERT_OK(nf_vi(whole, target, &o, NULL, &error));
    o.iters = 30;
    o.resume = nf_optimizer_new(&o.optimizer, nf_flow_trained_elements(halves), AD_F32, &error);
    ASSERT_OK(nf_vi(halves, target, &o, NULL, &error));
    ck_assert_mem_ne(nf_flow_parameters(whole), nf_flow_parameters(halves), parameter_bytes(whole));
    ASSERT_OK(nf_vi(halves, target, &o, NULL, &error));
    ck_assert_mem_eq(nf_flow_parameters(whole), nf_flow_parameters(halves), parameter_bytes(whole));
    nf_optimizer_free(o.resume);
    nf_flow_free(halves);
    nf_flow_free(whole);
    nf_target_free(target);
}
END_TEST

/* ---- How it ends ----------------------------------------------------------------------------------------------- */

/* Every loss; stops after so many. */
typedef struct {
    nf_callback callback;
    size_t stop_at, seen;
    double loss[3000];
} recorder;

static bool record_loss(nf_callback *self, const nf_iteration *at)
{
    recorder *r = (recorder *)self;
    r->loss[r->seen++] = at->loss;
    ck_assert_uint_eq(r->seen, at->iteration);
    return r->seen != r->stop_at;
}

START_TEST(average_of_the_last_thousand)
{
    /* β grows in the first iterations: when it has, only those since then are averaged */
    static const size_t stops[] = {0, 1700, 300, 1, 0, 1700, 300, 300}, anneals[] = {0, 0, 0, 0, 1500, 1500, 150, 500};
    static recorder r;
    nf_target *target = target_of("gaussian");
    for (size_t i = 0; i < COUNT(stops); i++) {
        nf_flow *flow = new_flow("scale-loc", 2, AD_F64);
        nf_vi_report report;
        r = (recorder){.callback.call = record_loss, .stop_at = stops[i]};
        nf_vi_options o = {.iters = 2300,
                           .anneal = anneals[i],
                           .mc = 5,
                           .draws = 100,
                           .callbacks = (nf_callback *[]){&r.callback, NULL}};
        ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
        size_t done = stops[i] ? stops[i] : 2300, steady = done > anneals[i] ? done - anneals[i] : done;
        size_t averaged = steady < 1000 ? steady : 1000;
        double mean = 0;
        for (size_t k = done - averaged; k < done; k++) mean += r.loss[k] / (double)averaged;
        ck_assert_uint_eq(report.iterations, done);
        ck_assert_uint_eq(report.averaged, averaged);
        ck_assert_double_eq_tol(report.average_loss, mean, 1e-12);
        ck_assert_int_eq(report.outcome, stops[i] ? NF_STOPPED_BY_CALLER : NF_FINISHED);
        /* the history's points are means that add up to all */
        double sum = 0, total = 0;
        size_t before = 0;
        for (size_t p = 0; p < report.n_history; p++) {
            sum += report.history[p].loss * (double)(report.history[p].iteration - before);
            before = report.history[p].iteration;
        }
        for (size_t k = 0; k < done; k++) total += r.loss[k];
        ck_assert_uint_eq(before, done);
        ck_assert_double_eq_tol(sum, total, 1e-9);
        double squares = 0;
        for (size_t k = 0; k < nf_flow_trained_elements(flow); k++) squares += pow(parameter_at(flow, k), 2);
        ck_assert_double_eq_tol(report.history[report.n_history - 1].parameter_norm, sqrt(squares), 1e-12);
        ad_free(report.history);
        nf_flow_free(flow);
    }
    nf_target_free(target);
}
END_TEST

static bool at_once(void *context)
{
    ++*(int *)context;
    return true;
}

static bool no_more(void *context, const nf_vi_progress *progress)
{
    ck_assert_uint_eq(progress->iterations, 100000000);
    ck_assert(isfinite(progress->loss) && progress->seconds > 0);
    ++*(int *)context;
    return progress->iteration < 10;
}

START_TEST(callers_can_stop_it)
{
    nf_target *target = target_of("gaussian");
    nf_flow *flow = new_flow("loc", 2, AD_F32);
    nf_vi_report report;
    int calls = 0;
    nf_vi_options o = {.iters = 100000000, .interrupted = at_once, .context = &calls, .draws = 200000};
    ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
    ck_assert_int_eq(calls, 2); /* and whether the scores are waited for */
    ck_assert_uint_eq(report.iterations, 1);
    ck_assert_uint_eq(report.score.draws, 100);
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert(isfinite(report.score.elbo));
    ad_free(report.history);
    o.interrupted = NULL;
    o.progress = no_more;
    ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
    ck_assert_int_ge(calls, 4);
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert_uint_eq(report.score.draws, 200000);
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

static bool after_the_first(void *context)
{
    return ++*(int *)context > 1;
}

/* Scores may take longer than the fit. */
START_TEST(callers_can_stop_the_scores)
{
    nf_flow *flow = new_flow("loc", 2, AD_F32);
    nf_vi_report report;
    int calls = 0;
    nf_vi_options o = {.iters = 1, .interrupted = after_the_first, .context = &calls, .draws = 50000};
    asked = 0;
    ASSERT_OK(nf_vi(flow, &costly_target, &o, &report, &error));
    ck_assert_int_eq(calls, 2);
    ck_assert_uint_lt(asked, o.draws / 2);
    ck_assert_int_eq(report.outcome, NF_FINISHED);
    ck_assert_uint_eq(report.score.draws, 0);
    ck_assert(isnan(report.score.elbo) && isnan(report.score.khat) && isnan(report.score.log_z));
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

/* Whoever has sent the signal kills, in the end, what goes on. */
START_TEST(an_interrupted_one_asks_for_little_more)
{
    nf_flow *flow = new_flow("loc", 2, AD_F64);
    nf_vi_report report;
    nf_vi_options o = {.iters = 100000000, .mc = 10, .interrupted = had_enough, .draws = 200000};
    asked = 0, most = 1000;
    ASSERT_OK(nf_vi(flow, &costly_target, &o, &report, &error));
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert_uint_eq(report.score.draws, 10);
    ck_assert(isfinite(report.score.elbo));
    ck_assert_uint_le(asked, most + 4 * o.mc);
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

/* Huge steps: it ends where it was best, and says so. */
START_TEST(divergence_keeps_the_best)
{
    nf_target *target = target_of("banana(b=1)");
    nf_flow *flow = new_flow("scale-loc", 2, AD_F32);
    nf_vi_report report;
    nf_vi_options o = {.iters = 2000, .optimizer = {.name = "sgd", .learning_rate = 0.5}, .draws = 1000, STEADY};
    ASSERT_FAILS(nf_vi(flow, target, &o, &report, &error), AD_ERROR_NUMERIC, "the fit diverged at iteration");
    ck_assert_msg(strstr(error.message, "smaller learning rate (it was 0.5)"), "%s", error.message);
    ck_assert_int_eq(report.outcome, NF_DIVERGED);
    for (size_t i = 0; i < nf_flow_trained_elements(flow); i++) ck_assert(isfinite(parameter_at(flow, i)));
    ck_assert(isfinite(report.score.elbo));
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* In the first steps: the start is the best. */
START_TEST(divergence_at_once)
{
    nf_target *target = target_of("pot1");
    nf_flow *flow = new_flow("planar*8", 2, AD_F32);
    nf_vi_report report;
    nf_vi_options o = {.iters = 3000, .optimizer = {.name = "sgd", .learning_rate = 50}, .draws = 1000, STEADY};
    ASSERT_FAILS(nf_vi(flow, target, &o, &report, &error), AD_ERROR_NUMERIC, "the fit diverged at iteration");
    ck_assert_double_gt(report.score.elbo, -100);
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* Spoils the parameters at an iteration. */
typedef struct {
    nf_callback callback;
    nf_flow *flow;
    size_t at;
} spoiler;

static bool spoil(nf_callback *self, const nf_iteration *now)
{
    spoiler *s = (spoiler *)self;
    if (now->iteration == s->at) ((double *)nf_flow_parameters(s->flow))[0] = NAN;
    return true;
}

/* Losses on the flat target that annealing begins with are lower, and no better. */
START_TEST(divergence_after_annealing)
{
    nf_target *target = target_of("gaussian(dim=1)");
    spoiler s = {.callback.call = spoil, .flow = normal_flow(0, 1), .at = 1200};
    nf_vi_report report;
    nf_vi_options o = {.objective = "stl",
                       .iters = 2000,
                       .anneal = 600,
                       .draws = 100,
                       .optimizer.learning_rate = 0.05,
                       .callbacks = (nf_callback *[]){&s.callback, NULL},
                       STEADY};
    ASSERT_FAILS(nf_vi(s.flow, target, &o, &report, &error), AD_ERROR_NUMERIC, "the fit diverged at iteration 1200");
    ck_assert_double_lt(report.history[10].beta, 0.1);
    ck_assert_double_eq(report.history[report.n_history - 1].beta, 1);
    ck_assert_double_lt(report.history[10].loss, report.history[report.n_history - 1].loss);
    ck_assert_double_eq_tol(log1p(exp(parameter_at(s.flow, 0))), 1, 0.1);
    ad_free(report.history);
    nf_flow_free(s.flow);
    nf_target_free(target);
}
END_TEST

START_TEST(options_are_checked)
{
    static const struct {
        nf_vi_options o;
        const char *message;
    } cases[] = {{{.objective = "elbos"}, "unknown objective 'elbos'"},
                 {{.schedule = "sine"}, "unknown schedule 'sine'"},
                 {{.beta = -1}, "beta"},
                 {{.jitter = -1}, "jitter"},
                 {{.jitter = NAN}, "jitter"},
                 {{.mc = UINT32_MAX}, "mc"},
                 {{.optimizer.learning_rate = -1}, "learning rate"}};
    nf_target *target = target_of("gaussian");
    nf_flow *flow = new_flow("loc", 2, AD_F32);
    for (size_t i = 0; i < COUNT(cases); i++)
        ASSERT_FAILS(nf_vi(flow, target, &cases[i].o, NULL, &error), AD_ERROR_ARGUMENT, cases[i].message);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

Suite *vi_suite(void);

Suite *vi_suite(void)
{
    Suite *suite = suite_create("vi");
    TCase *tests = tcase_create("vi");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, any_number_of_threads, 0, objectives_known());
    tcase_add_test(tests, jitter_moves_the_start);
    tcase_add_test(tests, jitter_is_all_that_is_random);
    tcase_add_test(tests, refined);
    tcase_add_test(tests, average_of_the_last_thousand);
    tcase_add_test(tests, callers_can_stop_it);
    tcase_add_test(tests, callers_can_stop_the_scores);
    tcase_add_test(tests, an_interrupted_one_asks_for_little_more);
    tcase_add_test(tests, divergence_keeps_the_best);
    tcase_add_test(tests, divergence_at_once);
    tcase_add_test(tests, divergence_after_annealing);
    tcase_add_test(tests, options_are_checked);
    suite_add_tcase(suite, tests);
    return suite;
}
