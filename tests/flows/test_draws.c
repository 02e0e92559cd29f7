/* Every draw has a density, in the numbers of the dtype too: chains that press events onto the edge of what a step of
 * theirs can reach, and steps behind that round once more. */
#include "flows/flow_tools.h"

#include <weir/models.h>

#include <math.h>

enum { DIM = 3, ROWS = 20000 };

static const char *const formulas[] = {"affine-sigmoid",
                                       "affine-tanh",
                                       "affine-softplus",
                                       "affine-exp",
                                       "affine-sigmoid-flip",
                                       "affine-tanh-scale-loc",
                                       "affine-sigmoid-standardize",
                                       "affine-softplus-scale-loc",
                                       "affine-exp-loc-scale",
                                       "(affine-tanh)*2-loc",
                                       "affine-tanh-scale-sigmoid-loc",
                                       "affine-sigmoid-maf(8)-flip",
                                       "affine-tanh-affine",
                                       "affine-tanh-flip-leaky-hh",
                                       "affine-on([3,1],sigmoid)-scale-loc",
                                       "affine-on([2],tanh-scale-loc)-flip",
                                       "uniform(-2,3):loc",
                                       "uniform:scale-loc"};

/* In front of the edges as wide as ρ makes it, behind them far from 0. */
static bool spread(void *context, const char *name, nf_parameter *parameter)
{
    const size_t size = ad_shape_size(parameter->spec.shape);
    for (size_t i = 0; i < size; i++) {
        if (strstr(name, "affine.l") && i % (DIM + 1) == 0) parameter->value[i] = *(double *)context;
        if (strstr(name, ".loc") || strstr(name, ".mean")) parameter->value[i] = 20 - 15. * (double)i;
        if (strstr(name, ".rho") || strstr(name, "standardize.scale")) parameter->value[i] = 3 + (double)i;
    }
    return true;
}

static nf_flow *spread_flow(const char *formula, ad_dtype dtype, double rho)
{
    nf_flow *flow = nf_flow_parse(formula, DIM, 0, dtype, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    nf_flow_each_parameter(flow, spread, &rho);
    nf_flow_push(flow);
    return flow;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* And of most draws that are not near an edge it is the one that came with the draw. */
START_TEST(draws_have_a_density)
{
    const char *formula = formulas[_i];
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++)
        for (double rho = 0; rho <= 6; rho += 2) {
            nf_flow *flow = spread_flow(formula, dtype, rho);
            double *x = malloc(ROWS * (DIM + 2) * sizeof *x), *told = x + ROWS * DIM, *found = told + ROWS;
            ck_assert_ptr_nonnull(x);
            ASSERT_OK(nf_sample(flow, NULL, ROWS, 3, x, told, NULL, &error));
            ASSERT_OK(nf_log_prob(flow, x, NULL, ROWS, found, NULL, &error));
            for (size_t r = 0; r < ROWS; r++) {
                const double *draw = x + r * DIM;
                ck_assert_msg(isfinite(told[r]) && isfinite(found[r]),
                              "%s, %s, %g: draw %zu (%.9g, %.9g, %.9g): %g and %g", formula, ad_dtype_name(dtype), rho,
                              r, draw[0], draw[1], draw[2], told[r], found[r]);
                told[r] = fabs(told[r] - found[r]);
            }
            qsort(told, ROWS, sizeof *told, by_size);
            ck_assert_msg(rho > 0 || told[ROWS / 2] < (dtype == AD_F32 ? 1e-2 : 1e-10), "%s, %s: off by %g", formula,
                          ad_dtype_name(dtype), told[ROWS / 2]);
            free(x);
            nf_flow_free(flow);
        }
}
END_TEST

/* ---- What forward gives --------------------------------------------------------------------------------------- */

static const struct {
    const char *formula;
    double low, high;
} supports[] = {{"tanh", -1, 1}, {"sigmoid", 0, 1}, {"softplus", 0, INFINITY}, {"exp", 0, INFINITY}};

START_TEST(forward_stays_inside)
{
    const double far[DIM] = {-1e5, 1e5, 120};
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = nf_flow_parse(supports[_i].formula, DIM, 0, dtype, 1, &error);
        double x[DIM], log_prob;
        ASSERT_OK(nf_transform(flow, false, far, NULL, 1, x, NULL, NULL, &error));
        for (int i = 0; i < DIM; i++)
            ck_assert_msg(x[i] > supports[_i].low && x[i] < supports[_i].high, "%s: %g", supports[_i].formula, x[i]);
        ASSERT_OK(nf_log_prob(flow, x, NULL, 1, &log_prob, NULL, &error));
        ck_assert(isfinite(log_prob));
        nf_flow_free(flow);
    }
}
END_TEST

/* ---- What isn't a draw ---------------------------------------------------------------------------------------- */

/* x = 10 + 2 tanh z: log p at 10 + 2 y is -atanh(y)²/2 - log(2π)/2 - log(1 - y²) - log 2. */
START_TEST(outside_is_outside)
{
    nf_flow *flow = nf_flow_parse("tanh-scale-loc", 1, 0, AD_F64, 1, &error);
    nf_bijector *chain = nf_flow_bijector(flow);
    *nf_parameter_value(chain->child[1], "rho") = log(expm1(2));
    *nf_parameter_value(chain->child[2], "loc") = 10;
    nf_flow_push(flow);
    const double y[] = {1.001, -1.001, 1 + 1e-12, 5, 0.5, 1 - 1e-9};
    double x[6], log_prob[6];
    for (int i = 0; i < 6; i++) x[i] = 10 + 2 * y[i];
    ASSERT_OK(nf_log_prob(flow, x, NULL, 6, log_prob, NULL, &error));
    for (int i = 0; i < 4; i++) ck_assert(log_prob[i] == -INFINITY);
    for (int i = 4; i < 6; i++) {
        double v = (x[i] - 10) / 2, z = atanh(v);
        double expected = -0.5 * z * z - 0.5 * log(2 * acos(-1)) - log1p(-v * v) - log(2);
        ck_assert_double_eq_tol(log_prob[i], expected, 1e-5);
    }
    nf_flow_free(flow);
}
END_TEST

/* On an edge, before anything has rounded: steps that only move features don't. */
START_TEST(edges_are_outside)
{
    static const char *const exact[] = {"sigmoid", "sigmoid-flip", "maf(4)-sigmoid-permute", "(flip-sigmoid)*1-flip"};
    const double x[] = {1, 0.5, 0, 0.5};
    for (size_t i = 0; i < COUNT(exact); i++)
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            nf_flow *flow = nf_flow_parse(exact[i], 2, 0, dtype, 1, &error);
            double log_prob[2];
            ASSERT_OK(nf_log_prob(flow, x, NULL, 2, log_prob, NULL, &error));
            ck_assert_msg(log_prob[0] == -INFINITY && log_prob[1] == -INFINITY, "%s: %g", exact[i], log_prob[0]);
            nf_flow_free(flow);
        }
}
END_TEST

/* A NaN has no density, under any base. */
START_TEST(nan_is_nan)
{
    const double x[] = {NAN, 0.3, 0.3, NAN};
    for (const nf_bijector_type *const *base = nf_distribution_types(); *base; base++)
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            char formula[64];
            double log_prob[2], nll;
            snprintf(formula, sizeof formula, "%s:loc", (*base)->name);
            nf_flow *flow = nf_flow_parse(formula, 2, 0, dtype, 1, &error);
            ASSERT_OK(nf_log_prob(flow, x, NULL, 2, log_prob, NULL, &error));
            ck_assert_msg(isnan(log_prob[0]) && isnan(log_prob[1]), "%s", formula);
            ck_assert_int_eq(nf_nll(flow, x, NULL, 2, &nll, NULL, NULL, &error), AD_ERROR_NUMERIC);
            nf_flow_free(flow);
        }
}
END_TEST

Suite *draws_suite(void)
{
    Suite *suite = suite_create("draws");
    TCase *all = tcase_create("draws");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, draws_have_a_density, 0, COUNT(formulas));
    tcase_add_loop_test(all, forward_stays_inside, 0, COUNT(supports));
    tcase_add_test(all, outside_is_outside);
    tcase_add_test(all, edges_are_outside);
    tcase_add_test(all, nan_is_nan);
    suite_add_tcase(suite, all);
    return suite;
}
