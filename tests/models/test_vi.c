/* Variational inference: gradients of each objective and optima against closed forms, scores, how a fit is checked and
 * how it ends. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include "scratch.h"

#include <math.h>

/* The learning rate stays as it is. */
#define PLAIN .schedule = "constant"

static nf_flow *flow_of(const char *formula, size_t dim, ad_dtype dtype)
{
    nf_flow *flow = nf_flow_parse(formula, dim, 0, dtype, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

static double parameter_at(const nf_flow *flow, size_t i)
{
    const void *all = nf_flow_parameters(flow);
    return nf_flow_dtype(flow) == AD_F32 ? (double)((const float *)all)[i] : ((const double *)all)[i];
}

static size_t parameter_bytes(const nf_flow *flow)
{
    return nf_flow_parameter_count(flow) * ad_dtype_size(nf_flow_dtype(flow));
}

/* scale-loc in one feature, N(mean, sd²), float64. */
static nf_flow *normal_flow(double mean, double sd)
{
    nf_flow *flow = flow_of("scale-loc", 1, AD_F64);
    double *w = nf_flow_parameters(flow);
    w[0] = log(expm1(sd));
    w[1] = mean;
    nf_flow_pull(flow);
    return flow;
}

/* ---- Gradients ------------------------------------------------------------------------------------------------- */

/* The gradient of the first step, and its loss. */
typedef struct {
    nf_callback callback;
    double gradient[2], loss;
} watcher;

static bool watch(nf_callback *self, const nf_iteration *at)
{
    watcher *w = (watcher *)self;
    memcpy(w->gradient, at->gradient, sizeof w->gradient);
    w->loss = at->loss;
    return true;
}

static watcher first_step(double mean, double sd, const char *objective, size_t mc, size_t importance, double beta)
{
    nf_target *target = target_of("gaussian(dim=1)");
    nf_flow *flow = normal_flow(mean, sd);
    watcher w = {.callback.call = watch};
    nf_vi_options o = {.objective = objective,
                       .iters = 1,
                       .mc = mc,
                       .importance = importance,
                       .beta = beta,
                       .draws = 100,
                       .callbacks = (nf_callback *[]){&w.callback, NULL}};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    w.gradient[0] /= -expm1(-sd); /* with respect to sd: d softplus(ρ)/dρ = 1 - exp(-sd) */
    nf_flow_free(flow);
    nf_target_free(target);
    return w;
}

enum { MANY = 400000 };

/* KL(N(m, s²) ‖ N(0, 1)) = -log s + (s² + m²) / 2 - 1/2; with the target to the power β: β (s² + m²) / 2. */
START_TEST(gradients_of_the_reverse_kl)
{
    static const struct {
        const char *objective;
        size_t importance;
        double beta;
    } cases[] = {{"elbo", 0, 0}, {"stl", 0, 0}, {"iwae", 1, 0}, {"dreg", 1, 0}, {"elbo", 0, 0.3}, {"stl", 0, 2}};
    const double m = 0.4, s = 0.8;
    for (size_t i = 0; i < COUNT(cases); i++) {
        double beta = cases[i].beta > 0 ? cases[i].beta : 1;
        watcher w = first_step(m, s, cases[i].objective, MANY, cases[i].importance, cases[i].beta);
        ck_assert_double_eq_tol(w.gradient[1], beta * m, 0.01);
        ck_assert_double_eq_tol(w.gradient[0], beta * s - 1 / s, 0.01);
        double loss = -log(s) - 0.5 + beta * (s * s + m * m) / 2 + (beta - 1) * 0.5 * log(2 * acos(-1));
        ck_assert_double_eq_tol(w.loss, loss, 0.01);
    }
}
END_TEST

/* KL(N(0, 1) ‖ N(m, s²)) = log s + (1 + m²) / 2s² - 1/2 */
START_TEST(gradient_of_the_forward_kl)
{
    const double m = 0.4, s = 0.9;
    watcher w = first_step(m, s, "forward", MANY, 0, 0);
    ck_assert_double_eq_tol(w.gradient[1], m / (s * s), 0.02);
    ck_assert_double_eq_tol(w.gradient[0], 1 / s - (1 + m * m) / (s * s * s), 0.02);
    ck_assert_double_eq_tol(w.loss, log(s) + (1 + m * m) / (2 * s * s) - 0.5, 0.01);
}
END_TEST

/* -E log mean w over 8 draws, with draws of our own. */
static double bound_by_hand(double m, double s)
{
    enum { GROUPS = 100000, K = 8 };
    double sum = 0;
    for (size_t g = 0; g < GROUPS; g++) {
        double mean = 0;
        for (size_t k = 0; k < K; k++) {
            double z = ad_random_normal(77, k, g), x = m + s * z;
            mean += exp((z * z - x * x) / 2) * s / K;
        }
        sum -= log(mean);
    }
    return sum / GROUPS;
}

START_TEST(groups_of_draws)
{
    const double m = 0.8, s = 0.6, h = 0.05;
    double slope_m = (bound_by_hand(m + h, s) - bound_by_hand(m - h, s)) / (2 * h);
    double slope_s = (bound_by_hand(m, s + h) - bound_by_hand(m, s - h)) / (2 * h), value = bound_by_hand(m, s);
    static const char *const both[] = {"iwae", "dreg"};
    for (size_t i = 0; i < 2; i++) {
        watcher w = first_step(m, s, both[i], MANY, 8, 0);
        ck_assert_double_eq_tol(w.loss, value, 0.005);
        ck_assert_double_eq_tol(w.gradient[1], slope_m, 0.02);
        ck_assert_double_eq_tol(w.gradient[0], slope_s, 0.03);
    }
}
END_TEST

/* Where the flow is the target, these two have no noise. */
START_TEST(no_variance_at_the_target)
{
    static const char *const both[] = {"stl", "dreg"};
    for (size_t i = 0; i < 2; i++) {
        watcher w = first_step(0, 1, both[i], 10, 0, 0);
        ck_assert_double_eq_tol(w.gradient[0], 0, 1e-12);
        ck_assert_double_eq_tol(w.gradient[1], 0, 1e-12);
        ck_assert_double_eq_tol(w.loss, 0, 1e-12);
    }
    ck_assert_double_gt(fabs(first_step(0, 1, "elbo", 10, 0, 0).gradient[1]), 1e-3);
}
END_TEST

/* ---- Optima ---------------------------------------------------------------------------------------------------- */

/* p^β of a standard normal has the variance 1/β; annealing ends at it. */
START_TEST(tempered_and_annealed)
{
    nf_target *target = target_of("gaussian(dim=1)");
    for (size_t anneal = 0; anneal <= 300; anneal += 300) {
        nf_flow *flow = normal_flow(1, 1);
        nf_vi_options o = {
            .objective = "stl", .iters = 1500, .beta = 0.5, .anneal = anneal, .optimizer.learning_rate = 0.05};
        ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
        ck_assert_double_eq_tol(log1p(exp(parameter_at(flow, 0))), sqrt(2), 0.01);
        nf_flow_free(flow);
    }
    /* early on, a flat target has been seen: the flow is wide */
    nf_flow *flow = normal_flow(0, 1);
    nf_vi_options o = {.iters = 100, .anneal = 1000, .optimizer.learning_rate = 0.05, PLAIN};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    ck_assert_double_gt(log1p(exp(parameter_at(flow, 0))), 2);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* pot1 has two lobes of half its mass each. PyMC3's notebook gets to -1.7428 by this formula, in 25,000 iterations and
 * without annealing. */
START_TEST(both_lobes)
{
    enum { SEEDS = 5, DRAWS = 20000 };
    static double x[DRAWS][2];
    nf_target *target = target_of("pot1");
    size_t even = 0, better = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        nf_flow *flow = nf_flow_parse("planar*8", 2, 0, AD_F32, seed, &error);
        ck_assert_ptr_nonnull(flow);
        nf_vi_report report;
        nf_vi_options o = {.iters = 5000, .anneal = 2500, .optimizer.learning_rate = 0.01, .seed = seed, .draws = 2};
        ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
        ASSERT_OK(nf_sample(flow, NULL, DRAWS, seed, x[0], NULL, NULL, &error));
        double right = 0;
        for (size_t i = 0; i < DRAWS; i++) right += (x[i][0] > 0) / (double)DRAWS;
        even += fabs(right - 0.5) < 0.05;
        better += report.average_loss < -1.75;
        ad_free(report.history);
        nf_flow_free(flow);
    }
    ck_assert_uint_ge(even, SEEDS - 1);
    ck_assert_uint_ge(better, SEEDS - 1);
    nf_target_free(target);
}
END_TEST

/* ---- Scores ---------------------------------------------------------------------------------------------------- */

START_TEST(scores)
{
    enum { DRAWS = 50000 };
    const double m = 0.3, s = 1.2;
    nf_target *target = target_of("gaussian(dim=1)");
    nf_flow *flow = normal_flow(m, s);
    nf_vi_score score, again, narrow;
    ad_pool *pool = ad_pool_new(2, &error);
    ASSERT_OK(nf_vi_evaluate(flow, target, DRAWS, 5, &score, NULL, &error));
    ASSERT_OK(nf_vi_evaluate(flow, target, DRAWS, 5, &again, pool, &error));
    ck_assert_mem_eq(&score, &again, sizeof score);
    ad_pool_free(pool);
    /* log w = log s + z²/2 - (m + s z)²/2: its variance is (1 - s²)²/2 + m² s² */
    double kl = -log(s) + (s * s + m * m) / 2 - 0.5;
    double sd = sqrt((1 - s * s) * (1 - s * s) / 2 + m * m * s * s);
    ck_assert_double_eq_tol(score.elbo_stderr, sd / sqrt(DRAWS), 0.05 * sd / sqrt(DRAWS));
    ck_assert_double_eq_tol(score.elbo, -kl, 4 * score.elbo_stderr);
    ck_assert_double_eq_tol(score.log_z, 0, 0.01);
    ck_assert_double_lt(score.khat, 0.4);
    /* ess / n = (E w)² / E w² = √(2 s² - 1) / s² exp(-m² / (2 s² - 1)) */
    double v = 2 * s * s - 1, ess = sqrt(v) / (s * s) * exp(-m * m / v);
    ck_assert_double_eq_tol(score.ess / DRAWS, ess, 0.02);
    ck_assert_uint_eq(score.draws, DRAWS);
    nf_flow_free(flow);
    /* w of N(0, s²) has a tail of index 1 / (1 - s²) */
    flow = normal_flow(0, 0.4);
    ASSERT_OK(nf_vi_evaluate(flow, target, DRAWS, 5, &narrow, NULL, &error));
    ck_assert_double_eq_tol(narrow.khat, 1 - 0.16, 0.12);
    ASSERT_FAILS(nf_vi_evaluate(flow, target, 1, 5, &narrow, NULL, &error), AD_ERROR_ARGUMENT, "2 draws");
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* Weights take out what the flow is off: moments of N(0, 1) from N(0.3, 1.2²), and their errors from how they scatter.
 */
START_TEST(weighted_moments)
{
    enum { TIMES = 400, DRAWS = 2000 };
    nf_target *target = target_of("gaussian(dim=1)");
    nf_flow *flow = normal_flow(0.3, 1.2), *wide = flow_of("scale-loc", 2, AD_F32);
    double scatter_mean = 0, scatter_sd = 0, mean = 0, sd = 0, khat;
    nf_vi_moments m[2];
    for (uint64_t seed = 0; seed < TIMES; seed++) {
        ASSERT_OK(nf_vi_summarize(flow, target, DRAWS, seed, m, &khat, NULL, &error));
        mean += m->mean / TIMES;
        sd += m->sd / TIMES;
        scatter_mean += pow(m->mean / m->mcse_mean, 2) / TIMES;
        scatter_sd += pow((m->sd - 1) / m->mcse_sd, 2) / TIMES;
        ck_assert_double_lt(khat, 0.7);
    }
    ck_assert_double_eq_tol(mean, 0, 4 * m->mcse_mean / sqrt(TIMES));
    ck_assert_double_eq_tol(sd, 1, 4 * m->mcse_sd / sqrt(TIMES));
    ck_assert_double_eq_tol(scatter_mean, 1, 4 * sqrt(2.0 / TIMES));
    ck_assert_double_eq_tol(scatter_sd, 1, 4 * sqrt(2.0 / TIMES));
    nf_target_free(target);
    /* in float32, of several elements */
    target = target_of("gaussian(dim=2,correlation=0.5)");
    ASSERT_OK(nf_vi_summarize(wide, target, 50000, 1, m, NULL, NULL, &error));
    for (int i = 0; i < 2; i++) {
        ck_assert_double_eq_tol(m[i].mean, 0, 4 * m[i].mcse_mean);
        ck_assert_double_eq_tol(m[i].sd, 1, 4 * m[i].mcse_sd);
    }
    ASSERT_FAILS(nf_vi_summarize(wide, target, 1, 1, m, NULL, NULL, &error), AD_ERROR_ARGUMENT, "2 draws");
    nf_flow_free(wide);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* Eight schools by mean field: the scores agree with the marginal likelihood, by quadrature. */
START_TEST(marginal_likelihood)
{
    nf_target *target = target_of("eight_schools");
    nf_flow *flow = flow_of("scale-loc", 10, AD_F32);
    nf_vi_report report;
    nf_vi_options o = {.iters = 3000, .optimizer.learning_rate = 0.02, .draws = 100000};
    ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
    ck_assert_double_lt(report.score.khat, 0.7);
    ck_assert_double_eq_tol(report.score.log_z, target->log_z, 0.1);
    ck_assert_double_lt(report.score.elbo, target->log_z);
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

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
    nf_flow *flow = flow_of("maf(4)-scale-loc", 2, dtype);
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
    nf_flow *flow = flow_of("loc", DIM, AD_F64);
    nf_vi_options o = {
        .iters = 1, .mc = 1, .jitter = 0.5, .seed = 8, .draws = 2, .optimizer.learning_rate = 1e-12, PLAIN};
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
    nf_flow *whole = flow_of("maf(4)-scale-loc", 2, AD_F32), *halves = flow_of("maf(4)-scale-loc", 2, AD_F32);
    nf_vi_options o = {.iters = 60, .seed = 2, .draws = 100, .optimizer.learning_rate = 0.01, PLAIN};
    ASSERT_OK(nf_vi(whole, target, &o, NULL, &error));
    o.iters = 30;
    o.resume = nf_optimizer_new(&o.optimizer, nf_flow_parameter_count(halves), AD_F32, &error);
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
    static const size_t stops[] = {0, 1700, 300, 1};
    static recorder r;
    nf_target *target = target_of("gaussian");
    for (size_t i = 0; i < COUNT(stops); i++) {
        nf_flow *flow = flow_of("scale-loc", 2, AD_F64);
        nf_vi_report report;
        r = (recorder){.callback.call = record_loss, .stop_at = stops[i]};
        nf_vi_options o = {.iters = 2300, .mc = 5, .draws = 100, .callbacks = (nf_callback *[]){&r.callback, NULL}};
        ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
        size_t done = stops[i] ? stops[i] : 2300, averaged = done < 1000 ? done : 1000;
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
        for (size_t k = 0; k < nf_flow_parameter_count(flow); k++) squares += pow(parameter_at(flow, k), 2);
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
    nf_flow *flow = flow_of("loc", 2, AD_F32);
    nf_vi_report report;
    int calls = 0;
    nf_vi_options o = {.iters = 100000000, .interrupted = at_once, .context = &calls};
    ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
    ck_assert_int_eq(calls, 1);
    ck_assert_uint_eq(report.iterations, 1);
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ck_assert(isfinite(report.score.elbo));
    ad_free(report.history);
    o.interrupted = NULL;
    o.progress = no_more;
    ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
    ck_assert_int_ge(calls, 2);
    ck_assert_int_eq(report.outcome, NF_STOPPED_BY_CALLER);
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* Huge steps: it ends where it was best, and says so. */
START_TEST(divergence_keeps_the_best)
{
    nf_target *target = target_of("banana(b=1)");
    nf_flow *flow = flow_of("scale-loc", 2, AD_F32);
    nf_vi_report report;
    nf_vi_options o = {.iters = 2000, .optimizer = {.name = "sgd", .learning_rate = 0.5}, .draws = 1000, PLAIN};
    ASSERT_FAILS(nf_vi(flow, target, &o, &report, &error), AD_ERROR_NUMERIC, "the fit diverged at iteration");
    ck_assert_msg(strstr(error.message, "smaller learning rate (it was 0.5)"), "%s", error.message);
    ck_assert_int_eq(report.outcome, NF_DIVERGED);
    for (size_t i = 0; i < nf_flow_parameter_count(flow); i++) ck_assert(isfinite(parameter_at(flow, i)));
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
    nf_flow *flow = flow_of("planar*8", 2, AD_F32);
    nf_vi_report report;
    nf_vi_options o = {.iters = 3000, .optimizer = {.name = "sgd", .learning_rate = 50}, .draws = 1000, PLAIN};
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
                       PLAIN};
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

/* ---- Targets that can't be fitted ------------------------------------------------------------------------------ */

static ad_var nan_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_sum(ad_log(ad_sub(value[0], ad_add_scalar(ad_abs(value[0]), 1))));
}

static ad_var no_mass(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var far = ad_greater(ad_sum(value[0]), ad_scalar(value[0].tape, 1e6));
    return ad_where(far, ad_scalar(value[0].tape, 0), ad_scalar(value[0].tape, -INFINITY));
}

/* A quarter of the plane. */
static ad_var positive(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var zero = ad_scalar(value[0].tape, 0);
    ad_var inside = ad_greater(value[0], zero);
    return ad_sum(ad_where(inside, ad_neg(value[0]), ad_scalar(value[0].tape, -INFINITY)));
}

static ad_var detached(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_neg(ad_sum(ad_mul(value[0], ad_stop_gradient(value[0]))));
}

static ad_var pole(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_div(ad_scalar(value[0].tape, 1), ad_sum(ad_greater(value[0], ad_scalar(value[0].tape, 100))));
}

static const nf_site two[] = {{.name = "x", .size = 2}};

static const struct {
    ad_var (*log_density)(const nf_target *self, const ad_var *value);
    const char *formula;
    size_t dim;
    ad_status status;
    const char *message;
} unfit[] = {
    {nan_density, "loc", 2, AD_ERROR_NUMERIC, "NaN at 256 of 256 draws"},
    {pole, "loc", 2, AD_ERROR_NUMERIC, "+inf at 256 of 256 draws"},
    {no_mass, "loc", 2, AD_ERROR_NUMERIC, "-inf at all 256 draws"},
    {positive, "loc", 2, AD_ERROR_NUMERIC, "the flow reaches beyond the target's support"},
    {detached, "loc", 2, AD_ERROR_NUMERIC, "its gradient disagrees with its value: along feature"},
    {detached, "loc", 3, AD_ERROR_ARGUMENT, "has 2 unconstrained features, but the flow is of dimension 3"},
};

START_TEST(targets_that_cannot_be_fitted)
{
    nf_target target = {.name = "mine", .site = two, .n_site = 1, .log_density = unfit[_i].log_density};
    nf_flow *flow = flow_of(unfit[_i].formula, unfit[_i].dim, AD_F32);
    nf_vi_report report;
    ASSERT_FAILS(nf_vi(flow, &target, NULL, &report, &error), unfit[_i].status, unfit[_i].message);
    ck_assert_uint_eq(report.iterations, 0);
    ad_free(report.history);
    nf_flow_free(flow);
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
    nf_flow *flow = flow_of("loc", 2, AD_F32);
    for (size_t i = 0; i < COUNT(cases); i++)
        ASSERT_FAILS(nf_vi(flow, target, &cases[i].o, NULL, &error), AD_ERROR_ARGUMENT, cases[i].message);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* ---- A density from elsewhere ---------------------------------------------------------------------------------- */

/* What another library would offer: the log-density of N((1, -2), diag(0.5², 2²)) and its gradient, of one point. */
static double elsewhere(const double x[2], double gradient[2])
{
    double a = (x[0] - 1) / 0.5, b = (x[1] + 2) / 2;
    gradient[0] = -a / 0.5;
    gradient[1] = -b / 2;
    return -0.5 * (a * a + b * b);
}

static double element(const ad_tile *tile, size_t f, size_t r, bool f32)
{
    const ad_tensor *x = &tile->in[0];
    size_t i = x->per_row ? f * tile->rows + r : f;
    return f32 ? (double)((const float *)x->data)[i] : ((const double *)x->data)[i];
}

static void put(const ad_tile *tile, size_t f, size_t r, bool f32, double value)
{
    if (f32)
        ((float *)tile->out.data)[f * tile->rows + r] = (float)value;
    else
        ((double *)tile->out.data)[f * tile->rows + r] = value;
}

static void call_elsewhere(const ad_tile *tile, bool f32, bool want_gradient)
{
    for (size_t r = 0; r < tile->rows; r++) {
        double gradient[2], value = elsewhere((double[]){element(tile, 0, r, f32), element(tile, 1, r, f32)}, gradient);
        if (!want_gradient) put(tile, 0, r, f32, value);
        for (size_t f = 0; want_gradient && f < 2; f++) put(tile, f, r, f32, gradient[f]);
    }
}

static void value_f32(const ad_tile *tile)
{
    call_elsewhere(tile, true, false);
}

static void value_f64(const ad_tile *tile)
{
    call_elsewhere(tile, false, false);
}

static void gradient_f32(const ad_tile *tile)
{
    call_elsewhere(tile, true, true);
}

static void gradient_f64(const ad_tile *tile)
{
    call_elsewhere(tile, false, true);
}

static bool scalar_shape(const ad_call *call, ad_shape *result)
{
    (void)call;
    *result = AD_SCALAR;
    return true;
}

static const ad_op gradient_op = {.name = "elsewhere_gradient", .n_in = 1, .evaluate = {gradient_f32, gradient_f64}};

static void value_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad_apply(&gradient_op, call->in, 1, NULL, 0, call->tape));
}

static const ad_op value_op = {
    .name = "elsewhere", .n_in = 1, .shape = scalar_shape, .evaluate = {value_f32, value_f64}, .vjp = value_vjp};

static ad_var from_elsewhere(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_apply(&value_op, value, 1, NULL, 0, value[0].tape);
}

START_TEST(a_density_from_elsewhere)
{
    nf_target target = {.name = "elsewhere", .site = two, .n_site = 1, .log_density = from_elsewhere, .log_z = NAN};
    for (int dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = flow_of("scale-loc", 2, (ad_dtype)dtype);
        nf_vi_options o = {.objective = "stl", .iters = 2000, .mc = 20, .optimizer.learning_rate = 0.05};
        ASSERT_OK(nf_vi(flow, &target, &o, NULL, &error));
        ck_assert_double_eq_tol(log1p(exp(parameter_at(flow, 0))), 0.5, 1e-3);
        ck_assert_double_eq_tol(log1p(exp(parameter_at(flow, 1))), 2, 1e-2);
        ck_assert_double_eq_tol(parameter_at(flow, 2), 1, 1e-2);
        ck_assert_double_eq_tol(parameter_at(flow, 3), -2, 1e-2);
        nf_flow_free(flow);
    }
}
END_TEST

/* ---- Memory ---------------------------------------------------------------------------------------------------- */

static size_t allocations;

static void *counted(size_t bytes)
{
    allocations++;
    return malloc(bytes);
}

static void *counted_again(void *old, size_t bytes)
{
    allocations++;
    return realloc(old, bytes);
}

typedef struct {
    nf_callback callback;
    size_t at[2];
} counter;

static bool count_allocations(nf_callback *self, const nf_iteration *at)
{
    counter *c = (counter *)self;
    c->at[at->iteration > 1] = allocations;
    return true;
}

START_TEST(a_step_allocates_nothing)
{
    ad_set_allocator(&(ad_allocator){counted, counted_again, free});
    nf_target *target = target_of("pot4");
    nf_flow *flow = flow_of("maf(4)-loc", 2, AD_F32);
    counter c = {.callback.call = count_allocations};
    nf_vi_options o = {.objective = nf_objective_types()[_i]->name,
                       .iters = 1500,
                       .mc = 10,
                       .draws = 100,
                       .callbacks = (nf_callback *[]){&c.callback, NULL}};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    ck_assert_uint_gt(c.at[0], 0);
    ck_assert_uint_eq(c.at[1], c.at[0]);
    nf_flow_free(flow);
    nf_target_free(target);
    memory_unlimited();
}
END_TEST

START_TEST(memory_runs_out)
{
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(allowed);
        nf_vi_report report = {0};
        nf_target *target = nf_target_parse("funnel(dim=2)", &error);
        nf_flow *flow = target ? nf_flow_parse("scale-loc", 2, 0, AD_F32, 1, &error) : NULL;
        nf_vi_options o = {.objective = _i ? "dreg" : "stl", .iters = 3, .mc = 3, .draws = 50};
        ad_status status = flow ? nf_vi(flow, target, &o, &report, &error) : error.status;
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu: %d: %s", allowed, status,
                      error.message);
        ad_free(report.history);
        nf_flow_free(flow);
        nf_target_free(target);
    }
    memory_unlimited();
}
END_TEST

Suite *vi_suite(void)
{
    Suite *suite = suite_create("vi");
    TCase *objective = tcase_create("objective");
    tcase_set_timeout(objective, 60);
    tcase_add_test(objective, gradients_of_the_reverse_kl);
    tcase_add_test(objective, gradient_of_the_forward_kl);
    tcase_add_test(objective, groups_of_draws);
    tcase_add_test(objective, no_variance_at_the_target);
    tcase_add_test(objective, tempered_and_annealed);
    tcase_add_test(objective, both_lobes);
    tcase_add_test(objective, scores);
    tcase_add_test(objective, weighted_moments);
    tcase_add_test(objective, marginal_likelihood);
    suite_add_tcase(suite, objective);
    TCase *run = tcase_create("run");
    tcase_set_timeout(run, 60);
    tcase_add_loop_test(run, any_number_of_threads, 0, objectives_known());
    tcase_add_test(run, jitter_moves_the_start);
    tcase_add_test(run, jitter_is_all_that_is_random);
    tcase_add_test(run, refined);
    tcase_add_test(run, average_of_the_last_thousand);
    tcase_add_test(run, callers_can_stop_it);
    tcase_add_test(run, divergence_keeps_the_best);
    tcase_add_test(run, divergence_at_once);
    tcase_add_test(run, divergence_after_annealing);
    tcase_add_loop_test(run, targets_that_cannot_be_fitted, 0, (int)COUNT(unfit));
    tcase_add_test(run, options_are_checked);
    tcase_add_test(run, a_density_from_elsewhere);
    tcase_add_loop_test(run, a_step_allocates_nothing, 0, objectives_known());
    tcase_add_loop_test(run, memory_runs_out, 0, 2);
    suite_add_tcase(suite, run);
    return suite;
}
