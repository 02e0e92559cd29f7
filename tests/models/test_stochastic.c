/* Stochastic normalizing flows: draws and weights of paths against NumPy's and closed forms, gradients, what can't be
 * asked of them, and the bridge between two modes that no bijection cuts. */
#include "models/training_tools.h"

static nf_flow *flow_towards(const char *formula, const nf_target *target, ad_dtype dtype)
{
    nf_flow *flow = new_flow(formula, nf_target_dim(target), dtype);
    nf_flow_set_target(flow, target);
    return flow;
}

/* ---- Against other values -------------------------------------------------------------------------------------- */

enum { GOLDEN_ROWS = 6 };

START_TEST(draws_and_weights_of_numpy)
{
    nf_target *target = target_of("many_well");
    FILE *file = fopen(WEIR_GOLDEN_DIR "/stochastic.csv", "r");
    ck_assert_ptr_nonnull(file);
    char line[512];
    double x[GOLDEN_ROWS][2], log_q[GOLDEN_ROWS];
    size_t lines = 0;
    for (; fgets(line, sizeof line, file); lines++) {
        double expected[3];
        char *numbers = strchr(line, ';');
        ck_assert_ptr_nonnull(numbers);
        *numbers = '\0';
        ck_assert_int_eq(sscanf(numbers + 1, "%lf,%lf;%lf", &expected[0], &expected[1], &expected[2]), 3);
        const size_t row = lines % GOLDEN_ROWS;
        if (row == 0) {
            nf_flow *flow = flow_towards(line, target, AD_F64);
            ASSERT_OK(nf_sample(flow, NULL, GOLDEN_ROWS, 5, x[0], log_q, NULL, &error));
            nf_flow_free(flow);
        }
        for (size_t i = 0; i < 2; i++) ck_assert_double_eq_tol(x[row][i], expected[i], 1e-9);
        ck_assert_double_eq_tol(log_q[row], expected[2], 1e-8 * (1 + fabs(expected[2])));
    }
    ck_assert_uint_eq(lines, 4 * GOLDEN_ROWS);
    fclose(file);
    nf_target_free(target);
}
END_TEST

/* Where base and target are one density, all between them are, and what keeps it leaves log q(path) = log p(x). */
START_TEST(exact_where_base_is_target)
{
    enum { DRAWS = 500 };
    static const char *const formulas[] = {"metropolis(steps=4,step=1)", "hmc(steps=3,step=0.4)",
                                           "metropolis(steps=2,step=2)-hmc-metropolis"};
    nf_target *target = target_of("gaussian(dim=3,correlation=0)");
    double x[DRAWS][3], log_q[DRAWS], log_p[DRAWS];
    for (size_t i = 0; i < COUNT(formulas); i++) {
        nf_flow *flow = flow_towards(formulas[i], target, AD_F64);
        ASSERT_OK(nf_sample(flow, NULL, DRAWS, 1, x[0], log_q, NULL, &error));
        ASSERT_OK(nf_target_log_densities(target, x[0], DRAWS, log_p, NULL, &error));
        for (size_t r = 0; r < DRAWS; r++) ck_assert_double_eq_tol(log_q[r], log_p[r], 1e-12);
        nf_flow_free(flow);
    }
    nf_target_free(target);
}
END_TEST

/* E[w] = Z whatever the steps are, of Langevin steps too that are far too long to keep a density. */
START_TEST(weights_have_the_integral_in_their_mean)
{
    static const char *const formulas[] = {"langevin(steps=4,step=0.02)-langevin(steps=4,step=0.06)",
                                           "(scale-metropolis(steps=3,step=0.7))*3", "(hmc(step=0.2)-loc)*4"};
    nf_target *target = target_of("many_well");
    for (size_t i = 0; i < COUNT(formulas); i++) {
        nf_flow *flow = flow_towards(formulas[i], target, AD_F64);
        nf_vi_score score;
        ASSERT_OK(nf_vi_evaluate(flow, target, 40000, 3, &score, NULL, &error));
        ck_assert_double_gt(score.ess, 400);
        ck_assert_double_eq_tol(score.log_z, target->log_z, 4 / sqrt(score.ess));
        nf_flow_free(flow);
    }
    nf_target_free(target);
}
END_TEST

/* ---- Gradients -------------------------------------------------------------------------------------------------- */

typedef struct {
    nf_callback callback;
    double gradient[8], loss;
} watcher;

static bool watch(nf_callback *self, const nf_iteration *at)
{
    watcher *w = (watcher *)self;
    memcpy(w->gradient, at->gradient, sizeof(double) * at->count);
    w->loss = at->loss;
    return true;
}

/* The loss of one step of the same draws, with parameter i moved by h. */
static watcher loss_at(const char *formula, const nf_target *target, size_t i, double h)
{
    nf_flow *flow = moved_flow(formula, 1, AD_F64);
    double *parameters = nf_flow_parameters(flow);
    parameters[i] += h;
    nf_flow_pull(flow);
    watcher w = {.callback.call = watch};
    nf_vi_options o = {.iters = 1, .mc = 64, .draws = 2, .callbacks = (nf_callback *[]){&w.callback, NULL}};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    nf_flow_free(flow);
    return w;
}

/* Of hmc no derivative of what is added to z is taken, so that differences see more than the gradient does. */
START_TEST(gradients_of_the_path)
{
    static const struct {
        const char *formula;
        size_t parameters;
    } cases[] = {{"scale-loc-langevin(steps=2,step=0.05)-scale", 4},
                 {"scale-metropolis(steps=3,step=0.5)-scale-loc", 3}};
    nf_target *target = target_of("gaussian(dim=1)");
    const double h = 1e-6;
    for (size_t c = 0; c < COUNT(cases); c++) {
        const watcher here = loss_at(cases[c].formula, target, 0, 0);
        for (size_t i = 0; i < cases[c].parameters; i++) {
            const double up = loss_at(cases[c].formula, target, i, h).loss;
            const double down = loss_at(cases[c].formula, target, i, -h).loss;
            ck_assert_double_eq_tol(here.gradient[i], (up - down) / (2 * h), 1e-6);
        }
    }
    nf_target_free(target);
}
END_TEST

/* ---- Two modes -------------------------------------------------------------------------------------------------- */

enum { DRAWS = 20000 };

/* The part of a trained flow's draws that is between two modes at ±3, where the target has next to nothing. */
static double bridge(const char *formula, size_t *parameters, ad_pool *pool, double x[DRAWS][2])
{
    nf_target *target = target_of("mixture(modes=2,radius=3,sd=0.4)");
    nf_flow *flow = new_flow(formula, 2, AD_F32);
    nf_vi_options o = {
        .iters = 1500, .anneal = 700, .optimizer.learning_rate = 0.01, .draws = 2, .seed = 1, .pool = pool};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    ASSERT_OK(nf_sample(flow, NULL, DRAWS, 7, x[0], NULL, pool, &error));
    *parameters = nf_flow_trained_elements(flow);
    size_t between = 0, right = 0;
    for (size_t r = 0; r < DRAWS; r++) {
        between += fabs(x[r][0]) < 1.4;
        right += x[r][0] > 0;
    }
    ck_assert_double_eq_tol((double)right / DRAWS, 0.5, 0.2);
    nf_flow_free(flow);
    nf_target_free(target);
    return (double)between / DRAWS;
}

START_TEST(steps_that_draw_cut_the_bridge)
{
    static double x[DRAWS][2];
    size_t parameters[2];
    const double without = bridge("planar*6", &parameters[0], NULL, x);
    const double with = bridge("(planar*2-metropolis(steps=20,step=0.4))*3", &parameters[1], NULL, x);
    ck_assert_uint_eq(parameters[0], parameters[1]);
    ck_assert_double_gt(without, 0.002);
    ck_assert_double_lt(with, without / 20);
}
END_TEST

/* ---- What goes for any flow ------------------------------------------------------------------------------------- */

START_TEST(same_bits_on_any_threads)
{
    static double alone[DRAWS][2], together[DRAWS][2];
    size_t parameters;
    bridge("(planar-hmc-langevin(steps=1))*2", &parameters, NULL, alone);
    for (int threads = 2; threads <= 3; threads++) {
        ad_pool *pool = ad_pool_new(threads, &error);
        bridge("(planar-hmc-langevin(steps=1))*2", &parameters, pool, together);
        ck_assert_mem_eq(alone, together, sizeof alone);
        ad_pool_free(pool);
    }
}
END_TEST

/* λ of a step is that of the whole flow. */
START_TEST(slices_draw_the_same)
{
    enum { FEW = 50 };
    double all[FEW][2], part[FEW][2], back[FEW][2];
    nf_target *target = target_of("many_well");
    nf_flow *flow = flow_towards("scale-metropolis-loc-metropolis-tanh", target, AD_F64);
    nf_flow *whole = nf_flow_slice(flow, 5, &error), *most = nf_flow_slice(flow, 4, &error);
    nf_flow *none = nf_flow_slice(flow, 1, &error);
    ck_assert(whole && most && none && nf_flow_is_stochastic(most) && !nf_flow_is_stochastic(none));
    ASSERT_OK(nf_sample(flow, NULL, FEW, 1, all[0], NULL, NULL, &error));
    ASSERT_OK(nf_sample(whole, NULL, FEW, 1, back[0], NULL, NULL, &error));
    ASSERT_OK(nf_sample(most, NULL, FEW, 1, part[0], NULL, NULL, &error));
    ck_assert_mem_eq(all, back, sizeof all);
    for (size_t r = 0; r < FEW; r++) ck_assert_double_eq_tol(tanh(part[r][1]), all[r][1], 1e-14);
    ASSERT_OK(nf_log_prob(none, all[0], NULL, FEW, back[0], NULL, &error));
    nf_flow_free(none);
    nf_flow_free(most);
    nf_flow_free(whole);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* Another target, for the same flow. */
START_TEST(told_anew)
{
    double first[2], second[2];
    nf_target *wells = target_of("many_well"), *normal = target_of("gaussian");
    nf_flow *flow = flow_towards("metropolis(steps=30)", wells, AD_F64);
    ASSERT_OK(nf_sample(flow, NULL, 1, 1, first, NULL, NULL, &error));
    nf_flow_set_target(flow, normal);
    ASSERT_OK(nf_sample(flow, NULL, 1, 1, second, NULL, NULL, &error));
    ck_assert_double_ne(first[0], second[0]);
    nf_flow_set_target(flow, NULL);
    ASSERT_FAILS(nf_sample(flow, NULL, 1, 1, second, NULL, NULL, &error), AD_ERROR_ARGUMENT, "hasn't been told");
    nf_flow_free(flow);
    nf_target_free(normal);
    nf_target_free(wells);
}
END_TEST

/* ---- What can't be ---------------------------------------------------------------------------------------------- */

static ad_var nan_beyond(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var x = value[0], inside = ad_greater(ad_scalar(x.tape, 6), ad_abs(x));
    return ad_sum(ad_where(inside, ad_mul_scalar(ad_square(x), -0.5), ad_scalar(x.tape, NAN)));
}

START_TEST(a_density_that_is_nan)
{
    const nf_target target = {
        .name = "cliff", .site = &(const nf_site){"x", 1}, .n_site = 1, .log_density = nan_beyond, .log_z = NAN};
    nf_flow *flow = new_flow("metropolis(steps=20,step=3)", 1, AD_F64);
    nf_vi_report report = {0};
    ASSERT_FAILS(nf_vi(flow, &target, &(nf_vi_options){.iters = 1}, &report, &error), AD_ERROR_NUMERIC, "'cliff'");
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

START_TEST(what_needs_an_inverse)
{
    double x[2] = {0}, out[2];
    nf_target *target = target_of("many_well");
    nf_flow *flow = flow_towards("planar-metropolis", target, AD_F64);
    ASSERT_FAILS(nf_log_prob(flow, x, NULL, 1, out, NULL, &error), AD_ERROR_ARGUMENT, "no log p of a point");
    for (int inverse = 0; inverse < 2; inverse++)
        ASSERT_FAILS(nf_transform(flow, inverse, x, NULL, 1, out, NULL, NULL, &error), AD_ERROR_ARGUMENT,
                     "steps that draw");
    ASSERT_FAILS(nf_fit(flow, x, 1, NULL, NULL, &error), AD_ERROR_ARGUMENT, "draws at random");
    static const char *const objectives[] = {"stl", "dreg", "forward", "fab"};
    for (size_t i = 0; i < COUNT(objectives); i++)
        ASSERT_FAILS(nf_vi(flow, target, &(nf_vi_options){.objective = objectives[i], .iters = 1}, NULL, &error),
                     AD_ERROR_ARGUMENT, "log");
    nf_nuts_result result;
    ASSERT_FAILS(nf_nuts(target, &(nf_nuts_options){.flow = flow}, &result, &error), AD_ERROR_ARGUMENT,
                 "steps that draw");
    nf_inference inference;
    ASSERT_FAILS(nf_infer(target, &(nf_infer_options){.formula = "metropolis", .searches = 2}, &inference, &error),
                 AD_ERROR_ARGUMENT, "begins by likelihood");
    nf_inference_free(&inference);
    nf_check_result checks[NF_MOST_CHECKS];
    int count;
    nf_bijector *bijector = parsed("planar-metropolis", 2, 1);
    ASSERT_FAILS(nf_check_bijector(bijector, 1, checks, &count, &error), AD_ERROR_ARGUMENT, "no bijectors");
    nf_bijector_free(bijector);
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

START_TEST(where_they_cant_stand)
{
    static const char *const formulas[] = {"invert(metropolis)", "on([1],hmc)", "conditional(planar-langevin)",
                                           "mixture_of(planar-metropolis|loc):scale", "invert(loc-(metropolis-loc)*2)"};
    for (size_t i = 0; i < COUNT(formulas); i++) {
        ck_assert_ptr_null(nf_flow_parse(formulas[i], 2, 0, AD_F32, 1, &error));
        ck_assert_msg(strstr(error.message, "stand in a flow's own chain"), "%s: %s", formulas[i], error.message);
    }
    ck_assert_ptr_null(nf_flow_parse("metropolis*300", 2, 0, AD_F32, 1, &error));
    ck_assert_msg(strstr(error.message, "at most 248"), "%s", error.message);
    nf_flow *flow = new_flow("(metropolis)*248", 2, AD_F32);
    nf_flow_free(flow);
    const nf_bijector_type none = {.name = "none", .stochastic = true};
    ASSERT_FAILS(nf_register(&none, &error), AD_ERROR_ARGUMENT, "neither forward nor inverse");
    nf_bijector_type both = **nf_stochastic_types();
    ASSERT_FAILS(nf_register(&both, &error), AD_ERROR_ARGUMENT, "taken");
    both.name = "both";
    both.inverse = both.forward;
    ASSERT_FAILS(nf_register(&both, &error), AD_ERROR_ARGUMENT, "no inverse");
    both.name = "loc";
    ASSERT_FAILS(nf_register(&both, &error), AD_ERROR_ARGUMENT, "taken");
}
END_TEST

Suite *stochastic_suite(void);

Suite *stochastic_suite(void)
{
    Suite *suite = suite_create("stochastic");
    TCase *tests = tcase_create("stochastic flows");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, draws_and_weights_of_numpy);
    tcase_add_test(tests, exact_where_base_is_target);
    tcase_add_test(tests, weights_have_the_integral_in_their_mean);
    tcase_add_test(tests, gradients_of_the_path);
    tcase_add_test(tests, steps_that_draw_cut_the_bridge);
    tcase_add_test(tests, same_bits_on_any_threads);
    tcase_add_test(tests, slices_draw_the_same);
    tcase_add_test(tests, told_anew);
    tcase_add_test(tests, a_density_that_is_nan);
    tcase_add_test(tests, what_needs_an_inverse);
    tcase_add_test(tests, where_they_cant_stand);
    suite_add_tcase(suite, tests);
    return suite;
}
