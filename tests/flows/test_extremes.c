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

static const char *const everywhere[] = {"planar", "radial", "sylvester(2)", "hh",      "lu",
                                         "leaky",  "tanh",   "sigmoid",      "softplus"};

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
    ad_var wrt[8] = {in}, out[10] = {x, ad_to_rows(log_det)};
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
    suite_add_tcase(suite, all);
    return suite;
}
