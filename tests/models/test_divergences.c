/* Divergences between normals in closed form: the values of objectives that go by powers of weights, their gradients,
 * and how wide a fit they make. */
#include "models/training_tools.h"

/* ---- Values and gradients --------------------------------------------------------------------------------------- */

/* Rényi's D_α(N(m, s²) ‖ N(0, 1)) = -log s - log v / 2(α-1) + α m² / 2v, v = α + (1-α) s² (Gil, Alajaji & Linder 2013,
 * "Rényi divergence measures for commonly used univariate continuous distributions", table 2). It is
 * 1/(α-1) log E_q[w^(1-α)] of negative α as well, which is how E_q[wⁿ] comes: n = 1 - α, and cubo is -D_α. */
static double renyi(double alpha, double m, double s)
{
    const double v = alpha + (1 - alpha) * s * s;
    return -log(s) - log(v) / (2 * (alpha - 1)) + alpha * m * m / (2 * v);
}

static const struct {
    const char *objective;
    double alpha, sign; /* its loss is sign * D_α */
    double sd;          /* of the flow: at which weights have a variance */
} divergences[] = {
    {"renyi", 0.5, 1, 1.1}, {"renyi(0.1)", 0.1, 1, 1.1},  {"renyi(0.9)", 0.9, 1, 1.1}, {"renyi(2)", 2, 1, 0.8},
    {"cubo", -1, -1, 1.1},  {"cubo(1.5)", -0.5, -1, 1.1}, {"cubo(3)", -2, -1, 1.1},
};

START_TEST(values_and_gradients)
{
    enum { MANY = 400000 };
    const double m = 0.4, s = divergences[_i].sd, h = 1e-4, alpha = divergences[_i].alpha, sign = divergences[_i].sign;
    const normal_step w = first_normal_step(divergences[_i].objective, m, s, MANY, 0, 0);
    ck_assert_double_eq_tol(w.loss, sign * renyi(alpha, m, s), 0.005);
    ck_assert_double_eq_tol(w.gradient[0], sign * (renyi(alpha, m, s + h) - renyi(alpha, m, s - h)) / (2 * h), 0.01);
    ck_assert_double_eq_tol(w.gradient[1], sign * (renyi(alpha, m + h, s) - renyi(alpha, m - h, s)) / (2 * h), 0.01);
    /* What is doubly reparametrised has no noise at the target. */
    const normal_step there = first_normal_step(divergences[_i].objective, 0, 1, 10, 0, 0);
    for (int i = 0; i < 2; i++) ck_assert_double_eq_tol(there.gradient[i], 0, 1e-12);
    ck_assert_double_eq_tol(there.loss, 0, 1e-12);
}
END_TEST

/* Of order 1 it is the ELBO, of order 0 the bound of importance weighting: with the same draws the same numbers. */
START_TEST(orders_that_have_names)
{
    static const struct {
        const char *one, *other;
        size_t groups, draws;
        double tolerance;
    } cases[] = {{"renyi(1)", "stl", 64, 0, 1e-12},
                 {"renyi(0)", "dreg", 1, 64, 1e-12},
                 {"renyi(1.00000001)", "stl", 64, 0, 1e-7},
                 {"renyi(0.99999999)", "stl", 64, 0, 1e-7}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const normal_step one = first_normal_step(cases[i].one, 0.7, 1.6, 64, 0, 0),
                          other = first_normal_step(cases[i].other, 0.7, 1.6, cases[i].groups, cases[i].draws, 0);
        ck_assert_double_eq_tol(one.loss, other.loss, cases[i].tolerance);
        for (int j = 0; j < 2; j++) ck_assert_double_eq_tol(one.gradient[j], other.gradient[j], cases[i].tolerance);
    }
}
END_TEST

/* Weights as far from each other as numbers allow: what is left is the draw that has them all, and its share of the
 * mean.
 */
START_TEST(weights_in_the_extreme)
{
    static const struct {
        const char *objective;
        double log_weight[3], loss, weight[3];
    } cases[] = {
        {"renyi(0.5)", {0, -1e4, -INFINITY}, 2 * 1.0986122886681098, {1, 0, 0}},
        {"renyi(0.5)", {-1e300, 1e300, 0}, -1e300, {0, 1, 0}},
        {"renyi(0)", {1e5, 1e5, -1e5}, -1e5 + 0.4054651081081644, {0.25, 0.25, 0}},
        {"renyi(1)", {1, 2, -9}, 2, {1 / 3., 1 / 3., 1 / 3.}},
        {"renyi(1)", {1, 2, -INFINITY}, INFINITY, {1 / 3., 1 / 3., 1 / 3.}},
        {"renyi(1000)", {-800, 0, 900}, 800 - 1.0986122886681098 / 999, {1, 0, 0}},
        {"renyi(2)", {0, 1, -INFINITY}, INFINITY, {0, 0, 1}},
        {"cubo", {710, -1e6, -INFINITY}, 710 - 0.5493061443340549, {1, 0, 0}},
        {"cubo(1000)", {-710, -1e308, -800}, -710 - 0.0010986122886681098, {999, 0, 0}},
        {"cubo(1000)", {5, 5, 5}, 5, {333, 333, 333}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_objective o;
        double weight[3];
        ASSERT_OK(nf_objective_parse(cases[i].objective, &o, &error));
        const double loss = o.type->weigh(o.type, o.argument, cases[i].log_weight, 3, weight);
        if (isfinite(cases[i].loss))
            ck_assert_double_eq_tol(loss, cases[i].loss, 1e-12 * fmax(1, fabs(cases[i].loss)));
        else
            ck_assert_double_eq(loss, cases[i].loss);
        for (int j = 0; j < 3; j++) ck_assert_double_eq_tol(weight[j], cases[i].weight[j], 1e-12 * 999);
    }
}
END_TEST

/* ---- Fits -------------------------------------------------------------------------------------------------------- */

/* The best N(0, s² I) for a normal of two features with variance 1 and correlation r: where D_α of it is least,
 * (1-α) s⁴ + (2α-1) s² - α (1-r²) = 0, from the eigenvalues 1 ± r. From the mode that the ELBO seeks, 1-r², to the
 * variance of the target, 1, and beyond. */
START_TEST(widths_of_a_mean_field)
{
    static const struct {
        const char *objective;
        double variance;
    } cases[] = {
        {"renyi(3)", 0.2388125791922},   {"stl", 0.36},  {"renyi(1)", 0.36},   {"renyi", 0.6},
        {"renyi(0.2)", 0.8552343178075}, {"forward", 1}, {"cubo", 1.36846584},
    };
    nf_target *target = target_of("gaussian(correlation=0.8)");
    nf_flow *flow = new_flow("scale-loc", 2, AD_F64);
    nf_vi_options o = {.objective = cases[_i].objective,
                       .iters = 2000,
                       .mc = 400,
                       .schedule = "cosine",
                       .optimizer.learning_rate = 0.02,
                       .draws = 100};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    for (size_t i = 0; i < 2; i++) {
        ck_assert_double_eq_tol(log1p(exp(parameter_at(flow, i))), sqrt(cases[_i].variance), 0.025);
        ck_assert_double_eq_tol(parameter_at(flow, 2 + i), 0, 0.025);
    }
    nf_flow_free(flow);
    nf_target_free(target);
}
END_TEST

/* ---- What is told ------------------------------------------------------------------------------------------------ */

static nf_vi_report report_of(const char *target_text, const char *objective, double beta)
{
    nf_target *target = target_of(target_text);
    nf_flow *flow = nf_flow_parse("scale-loc", nf_target_dim(target), 0, AD_F64, 1, &error);
    nf_vi_report report;
    nf_vi_options o = {
        .objective = objective, .iters = 300, .mc = 100, .beta = beta, .optimizer.learning_rate = 0.02, .draws = 100};
    ASSERT_OK(nf_vi(flow, target, &o, &report, &error));
    ad_free(report.history);
    nf_flow_free(flow);
    nf_target_free(target);
    return report;
}

/* In 40 dimensions, few of 100 draws have most of the weight; in 2, many have some. */
START_TEST(weights_of_few_draws_are_told)
{
    static const char *const objectives[] = {"renyi(0.2)", "cubo", "forward"};
    for (size_t i = 0; i < COUNT(objectives); i++) {
        nf_vi_report report = report_of("gaussian(dim=40,correlation=0.9)", objectives[i], 1);
        ck_assert_double_ge(report.step_ess, 1);
        ck_assert_double_lt(report.step_ess, 10);
        char begin[64];
        snprintf(begin, sizeof begin, "the weights of %.*s are worth ", (int)strcspn(objectives[i], "("),
                 objectives[i]);
        ck_assert_msg(strstr(report.warning, begin) == report.warning, "%s", report.warning);
        report = report_of("gaussian(dim=2)", objectives[i], 1);
        ck_assert_double_gt(report.step_ess, 20);
        ck_assert_str_eq(report.warning, "");
    }
    nf_vi_report report = report_of("gaussian(dim=40,correlation=0.9)", "iwae", 1);
    ck_assert_double_gt(report.step_ess, 1);
    ck_assert_double_lt(report.step_ess, 8);
    ck_assert_str_eq(report.warning, "");
    ck_assert_double_nan(report_of("gaussian(dim=2)", "elbo", 1).step_ess);
}
END_TEST

/* log Z of eight schools is known: -31.3113. */
START_TEST(best_losses)
{
    static const struct {
        const char *objective;
        double best;
    } cases[] = {{"elbo", 31.3113473522928}, {"renyi", 31.3113473522928}, {"forward", 0}, {"cubo", -31.3113473522928}};
    for (size_t i = 0; i < COUNT(cases); i++)
        ck_assert_double_eq_tol(report_of("eight_schools", cases[i].objective, 1).best_loss, cases[i].best, 1e-9);
    ck_assert_double_nan(report_of("eight_schools", "elbo", 0.5).best_loss);
    ck_assert_double_nan(report_of("eight_schools_centered", "cubo", 0.5).best_loss);
}
END_TEST

Suite *divergences_suite(void);

Suite *divergences_suite(void)
{
    Suite *suite = suite_create("divergences");
    TCase *tests = tcase_create("divergences");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, values_and_gradients, 0, COUNT(divergences));
    tcase_add_test(tests, orders_that_have_names);
    tcase_add_test(tests, weights_in_the_extreme);
    tcase_add_loop_test(tests, widths_of_a_mean_field, 0, 7);
    tcase_add_test(tests, weights_of_few_draws_are_told);
    tcase_add_test(tests, best_losses);
    suite_add_tcase(suite, tests);
    return suite;
}
