/* Bijectors where numbers are hard: the ends of a support, kinks, tiny and huge events. */
#include "flows/flow_tools.h"

#include <math.h>

/* log p(x) of a flow of one feature. */
static double log_prob_of(const char *formula, ad_dtype dtype, double x)
{
    nf_flow *flow = nf_flow_parse(formula, 1, 0, dtype, 0, &error);
    double log_prob;
    ASSERT_OK(nf_log_prob(flow, &x, NULL, 1, &log_prob, NULL, &error));
    nf_flow_free(flow);
    return log_prob;
}

/* One direction at v, one feature. */
static double map_of(const char *formula, bool inverse, ad_dtype dtype, double v, double *log_det)
{
    nf_flow *flow = nf_flow_parse(formula, 1, 0, dtype, 0, &error);
    double out;
    ASSERT_OK(nf_transform(flow, inverse, &v, NULL, 1, &out, log_det, NULL, &error));
    nf_flow_free(flow);
    return out;
}

/* Of a leaky ReLU with this slope. */
static double leaky_of(double slope, bool inverse, double v, double *log_det)
{
    nf_flow *flow = nf_flow_parse("leaky", 1, 0, AD_F64, 0, &error);
    double out;
    ck_assert(nf_parameter_set(nf_flow_bijector(flow)->child[0], "slope", &slope));
    nf_flow_push(flow);
    ASSERT_OK(nf_transform(flow, inverse, &v, NULL, 1, &out, log_det, NULL, &error));
    nf_flow_free(flow);
    return out;
}

/* ---- Supports ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *formula;
    double low, high;
} supports[] = {{"tanh", -1, 1}, {"sigmoid", 0, 1}, {"softplus", 0, INFINITY}, {"exp", 0, INFINITY}};

START_TEST(density_is_zero_outside)
{
    const char *formula = supports[_i].formula;
    double low = supports[_i].low, high = supports[_i].high;
    const double outside[] = {low, low - 1e-30, low - 0.5, -1e6, -INFINITY, high, high + 0.5, fmax(high, 1e6)};
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        for (size_t i = 0; i < (isfinite(high) ? 8 : 5); i++)
            ck_assert_msg(log_prob_of(formula, dtype, outside[i]) == -INFINITY, "%s, x = %g", formula, outside[i]);
        double edge = 1e-6, inside[] = {low + edge, low + 0.5, (isfinite(high) ? high : 1e6) - edge};
        for (size_t i = 0; i < COUNT(inside); i++)
            ck_assert_msg(isfinite(log_prob_of(formula, dtype, inside[i])), "%s, x = %g", formula, inside[i]);
        ck_assert(isnan(log_prob_of(formula, dtype, NAN)));
    }
}
END_TEST

/* One feature outside among others: the gradient with respect to event and parameters has no NaN. */
START_TEST(gradient_outside)
{
    char formula[40];
    sprintf(formula, "scale-loc-%s", supports[_i].formula);
    nf_flow *flow = nf_flow_parse(formula, 3, 0, AD_F64, 0, &error);
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var x = ad_input(tape, "x", AD_SHAPE(3)), log_prob = nf_flow_record_log_prob(&at, x);
    ad_var wrt[] = {x, nf_flow_bound_parameter(&at, 0).var, nf_flow_bound_parameter(&at, 1).var}, out[4];
    ad_grad(log_prob, wrt, 3, out + 1);
    out[0] = ad_sum_rows(log_prob);
    ad_plan *plan = ad_plan_new(out, 4, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    double total, gradient[3][3], event[] = {0.25, supports[_i].low - 1, 0.75};
    nf_flow_bind_plan(&at, plan);
    ad_plan_set_input(plan, x, event);
    ad_plan_set_output(plan, 0, &total);
    for (int i = 0; i < 3; i++) ad_plan_set_output(plan, i + 1, gradient[i]);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = 1}, &error));
    ck_assert(total == -INFINITY);
    ck_assert_double_eq(gradient[0][1], 0);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) ck_assert_msg(isfinite(gradient[i][j]), "%s: %d %d", formula, i, j);
    ad_plan_free(plan);
    ad_tape_free(tape);
    nf_flow_free(flow);
}
END_TEST

/* Where x rounds, z and its log-det don't: expected values by mpmath. */
static const struct {
    const char *formula;
    bool inverse;
    double in, out, log_det;
} edges[] = {
    {"sigmoid", true, 1e-300, -690.77552789821370520539743640531, 690.77552789821370520539743640531},
    {"sigmoid", false, -700, 9.8596765437597708567e-305, -700},
    {"sigmoid", false, 1e6, 1, -1e6},
    {"tanh", true, 1e-300, 1e-300, 0},
    {"tanh", true, 1 - 0x1p-40, 14.2095172014786514693778152061, 27.03274004183832181462293930439},
    {"tanh", false, 1e6, 1, -1999998.6137056388801},
    {"tanh", false, -1e6, -1, -1999998.6137056388801},
    {"tanh", false, 1e-30, 1e-30, 0},
    {"softplus", true, 1e-300, -690.77552789821370520539743640531, 690.77552789821370520539743640531},
    {"softplus", true, 1e6, 1e6, 0},
    {"softplus", false, -700, 9.8596765437597708567e-305, -700},
    {"softplus", false, 1e6, 1e6, 0},
    {"exp", true, 1e-300, -690.77552789821370520539743640531, 690.77552789821370520539743640531},
    {"exp", false, -700, 9.8596765437597708567e-305, -700},
};

START_TEST(edges_are_exact)
{
    double log_det, out = map_of(edges[_i].formula, edges[_i].inverse, AD_F64, edges[_i].in, &log_det);
    ck_assert_double_eq_tol(out, edges[_i].out, 1e-14 * fabs(edges[_i].out));
    ck_assert_double_eq_tol(log_det, edges[_i].log_det, 1e-14 * fmax(1, fabs(edges[_i].log_det)));
}
END_TEST

/* ---- Kinks --------------------------------------------------------------------------------------------------- */

START_TEST(leaky_at_its_kink)
{
    const double slope = 0.5, in[] = {0.0, -0.0, 1e-30, -1e-30, -1e6, 1e6};
    for (size_t i = 0; i < COUNT(in); i++) {
        double log_det, factor = in[i] > 0 ? 1 : slope;
        ck_assert_double_eq_tol(leaky_of(slope, false, in[i], &log_det), factor * in[i], 1e-15 * fabs(in[i]) + 1e-300);
        ck_assert_double_eq_tol(log_det, log(factor), 1e-15);
        ck_assert_double_eq_tol(leaky_of(slope, true, in[i], &log_det), in[i] / factor, 1e-15 * fabs(in[i]) + 1e-300);
        ck_assert_double_eq_tol(log_det, -log(factor), 1e-15);
    }
    ck_assert(isnan(leaky_of(slope, false, NAN, &(double){0})));
}
END_TEST

/* ---- Tiny and huge events and parameters --------------------------------------------------------------------- */

static const char *const everywhere[] = {"planar",
                                         "radial",
                                         "sylvester(2)",
                                         "hh",
                                         "lu",
                                         "leaky",
                                         "tanh",
                                         "sigmoid",
                                         "softplus",
                                         "qr",
                                         "svd",
                                         "orthogonal",
                                         "orthogonal(form=cayley)",
                                         "gaussianize(components=3)",
                                         "bnaf(3)",
                                         "residual(4)"};

static bool set_all(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    for (size_t i = 0; i < ad_shape_size(parameter->spec.shape); i++) parameter->value[i] = *(double *)context;
    return true;
}

/* Values and gradients of Σ (out² + log-det) with respect to event and parameters, all forward. */
static void assert_finite(const char *formula, size_t dim, ad_dtype dtype, double parameter, double z)
{
    nf_bijector *bijector = parsed(formula, dim, 1);
    nf_each_parameter(bijector, set_all, &parameter);
    nf_flow *flow = nf_flow_new(NULL, bijector, dtype, &error);
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var in = ad_input(tape, "z", AD_SHAPE(dim)), log_det, x = nf_forward(at.bijector, in, &log_det);
    ad_var wrt[12] = {in}, out[14] = {x, ad_to_rows(log_det)};
    int count = 1;
    for (size_t i = 0; i < nf_flow_trained_parameters(flow); i++) wrt[count++] = nf_flow_bound_parameter(&at, i).var;
    ad_grad(ad_sum_rows(ad_add(ad_sum(x), log_det)), wrt, count, out + 2);
    ad_plan *plan = ad_plan_new(out, count + 2, &(ad_plan_options){.dtype = dtype}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    nf_flow_bind_plan(&at, plan);
    double event[8];
    for (size_t j = 0; j < dim; j++)
        if (dtype == AD_F32)
            ((float *)event)[j] = (float)(j % 2 ? -z : z);
        else
            event[j] = j % 2 ? -z : z;
    ad_plan_set_input(plan, in, event);
    for (int i = 0; i < count + 2; i++) {
        size_t size = ad_shape_size(ad_shape_of(out[i]));
        double *got = ad_alloc_aligned(size, sizeof *got);
        ad_plan_set_output(plan, i, got);
        ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = 1}, &error));
        for (size_t j = 0; j < size; j++)
            ck_assert_msg(isfinite(dtype == AD_F32 ? (double)((float *)got)[j] : got[j]),
                          "%s at D = %zu, %s, parameters %g, z = %g: output %d is not finite", formula, dim,
                          ad_dtype_name(dtype), parameter, z, i);
        ad_plan_set_output(plan, i, NULL);
        ad_free_aligned(got);
    }
    ad_plan_free(plan);
    ad_tape_free(tape);
    nf_flow_free(flow);
}

START_TEST(finite_everywhere)
{
    static const double parameters[] = {0, 1e-30, -1e-10, 1, -30, 30}, events[] = {0, 1e-30, 1e-10, 1, 1e3, 1e6};
    for (size_t i = 0; i < COUNT(parameters); i++)
        for (size_t j = 0; j < 2 * COUNT(events); j++)
            for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++)
                for (size_t dim = 1; dim <= 3; dim += 2)
                    assert_finite(everywhere[_i], dim, dtype, parameters[i], j % 2 ? -events[j / 2] : events[j / 2]);
}
END_TEST

/* ---- Far out of what float32 can square ------------------------------------------------------------------------ */

/* One bijector of two features with these parameters, at v. */
static void map_two(const char *formula, ad_dtype dtype, const char *const *name, const double *const *value,
                    bool inverse, const double v[2], double out[2], double *log_det)
{
    nf_flow *flow = nf_flow_parse(formula, 2, 0, dtype, 1, &error);
    for (int i = 0; name[i]; i++) ck_assert(nf_parameter_set(nf_flow_bijector(flow)->child[0], name[i], value[i]));
    nf_flow_push(flow);
    ASSERT_OK(nf_transform(flow, inverse, v, NULL, 1, out, log_det, NULL, &error));
    nf_flow_free(flow);
}

/* (1, 1) reflected along (1, 2): 1 - 2 · 3/5, 1 - 4 · 3/5 */
START_TEST(reflection_of_any_length)
{
    static const double lengths[] = {1e-300, 1e-160, 1e-38, 1e-30, 1e-20, 1e-15, 1e-8, 1, 1e15, 1e20, 1e38, 1e300};
    static const char *const formulas[] = {"hh", "sylvester(2)"};
    for (size_t i = 0; i < COUNT(lengths); i++)
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            const double length = lengths[i], v[] = {length, 2 * length, -length, length}, one[] = {1, 1};
            const double bend[] = {0.3, -0.2};
            const bool fits = dtype == AD_F64 || (length > 1e-38 && length < 1e38);
            const double tolerance = dtype == AD_F32 ? 1e-6 : 1e-14;
            double out[2], log_det;
            map_two(formulas[0], dtype, (const char *[]){"v", NULL}, (const double *[]){v}, false, one, out, &log_det);
            for (int k = 0; k < 2 && fits; k++) ck_assert_double_eq_tol(out[k], k ? -1.4 : -0.2, tolerance);
            if (!fits) continue;
            /* The same for the columns of Q: of any length of its vectors x is the same. */
            const char *const names[] = {"v", "r_diagonal", "r_tilde_diagonal", "b", NULL};
            const double unit[] = {1, 2, -1, 1};
            double expected[2], expected_log_det;
            map_two(formulas[1], dtype, names, (const double *[]){v, bend, bend, bend}, false, one, out, &log_det);
            map_two(formulas[1], dtype, names, (const double *[]){unit, bend, bend, bend}, false, one, expected,
                    &expected_log_det);
            for (int k = 0; k < 2; k++) ck_assert_double_eq_tol(out[k], expected[k], tolerance);
            ck_assert_double_eq_tol(log_det, expected_log_det, tolerance);
        }
}
END_TEST

/* From far away a radial map is the identity: q = 1 + (s - α) / (α + r). */
START_TEST(radial_far_away)
{
    static const double sizes[] = {1e10, 1e18, 1e19, 1e30, 1e38, 1e153, 1e155, 1e300};
    const double z_ref[] = {0.5, -0.25}, a = 3, b = -2, alpha = exp(a), s = log1p(exp(b));
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++)
            for (int inverse = 0; inverse < 2; inverse++) {
                if (dtype == AD_F32 && sizes[i] > 1e38) continue;
                const double v[] = {sizes[i], -0.5 * sizes[i]}, r = sizes[i] * sqrt(1.25);
                const double tolerance = dtype == AD_F32 ? 1e-6 : 1e-15, beta = (s - alpha) / r;
                double out[2], log_det;
                map_two("radial", dtype, (const char *[]){"z_ref", "a", "b", NULL}, (const double *[]){z_ref, &a, &b},
                        inverse, v, out, &log_det);
                for (int k = 0; k < 2; k++)
                    ck_assert_double_eq_tol(out[k] / v[k], inverse ? 1 - beta : 1 + beta, 2 * tolerance);
                ck_assert_double_eq_tol(log_det, inverse ? -beta : beta, 2 * tolerance);
            }
}
END_TEST

/* 1 + wᵀû = softplus(wᵀu), and of w = (1, 0), b = 0: x_1 = z_1 + (softplus(u_1) - 1) tanh z_1. */
START_TEST(planar_stays_increasing)
{
    const double w[] = {1, 0}, b = 0;
    for (double bend = -5; bend >= -60; bend -= 5)
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            const double u[] = {bend, 0.3}, middle[] = {0, 0.5}, aside[] = {1, 0.5}, slope = log1p(exp(bend));
            const char *const names[] = {"u", "w", "b", NULL};
            const double *const values[] = {u, w, &b}, tolerance = dtype == AD_F32 ? 2e-6 : 2e-6 * exp(bend) + 1e-14;
            double out[2], back[2], log_det;
            map_two("planar", dtype, names, values, false, middle, out, &log_det);
            ck_assert_double_eq_tol(log_det, log(slope), dtype == AD_F32 ? 1e-5 : 1e-6);
            map_two("planar", dtype, names, values, false, aside, out, &log_det);
            ck_assert_double_eq_tol(out[0], 1 + (slope - 1) * tanh(1), tolerance);
            ck_assert_double_eq_tol(log_det, log(pow(tanh(1), 2) + slope / pow(cosh(1), 2)), tolerance);
            map_two("planar", dtype, names, values, true, out, back, &log_det);
            for (int k = 0; k < 2; k++) ck_assert_double_eq_tol(back[k], aside[k], dtype == AD_F32 ? 1e-5 : 1e-13);
        }
}
END_TEST

/* Networks see no infinities, so no differences of them: log p is -inf where float32 has no number for it. */
START_TEST(networks_far_away)
{
    static const char *const maps[] = {
        "(maf(8,8,activation=%s)-flip)*3",     "(iaf(8,8,activation=%s)-flip)*3",
        "(rqs(8,8,activation=%s)-flip)*3",     "(rqsar(8,8,activation=%s)-flip)*3",
        "(realnvp(8,8,activation=%s)-flip)*3", "(realnvp(8,8,network=residual,activation=%s)-flip)*3"};
    static const char *const activations[] = {"relu", "silu", "gelu", "elu", "tanh"};
    enum { ROWS = 30 };
    double x[ROWS][3], out[ROWS][3], log_det[ROWS], log_prob[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < 3; j++)
            x[i][j] = i % 4 == j ? 0.5 : pow(10, (double)(i + 1)) * (2 * ad_random_uniform(9, i, j) - 1);
    for (size_t a = 0; a < COUNT(activations); a++) {
        char formula[96];
        snprintf(formula, sizeof formula, maps[_i], activations[a]);
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            nf_flow *flow = moved_flow(formula, 3, dtype);
            ASSERT_OK(nf_log_prob(flow, x[0], NULL, ROWS, log_prob, NULL, &error));
            for (size_t i = 0; i < ROWS; i++)
                ck_assert_msg(log_prob[i] < 1e3 && (dtype == AD_F32 || isfinite(log_prob[i])), "%s, %s, row %zu: %g",
                              formula, ad_dtype_name(dtype), i, log_prob[i]);
            for (int inverse = 0; inverse < 2; inverse++) {
                ASSERT_OK(nf_transform(flow, inverse, x[0], NULL, ROWS, out[0], log_det, NULL, &error));
                for (size_t i = 0; i < ROWS; i++)
                    ck_assert_msg(isfinite(log_det[i]) && isfinite(out[i][0] + out[i][1] + out[i][2]),
                                  "%s, %s, row %zu", formula, ad_dtype_name(dtype), i);
            }
            nf_flow_free(flow);
        }
    }
}
END_TEST

Suite *extremes_suite(void)
{
    Suite *suite = suite_create("extremes");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, density_is_zero_outside, 0, COUNT(supports));
    tcase_add_loop_test(all, gradient_outside, 0, COUNT(supports));
    tcase_add_loop_test(all, edges_are_exact, 0, COUNT(edges));
    tcase_add_test(all, leaky_at_its_kink);
    tcase_add_loop_test(all, finite_everywhere, 0, COUNT(everywhere));
    tcase_add_test(all, reflection_of_any_length);
    tcase_add_test(all, radial_far_away);
    tcase_add_test(all, planar_stays_increasing);
    tcase_add_loop_test(all, networks_far_away, 0, 6);
    suite_add_tcase(suite, all);
    return suite;
}
