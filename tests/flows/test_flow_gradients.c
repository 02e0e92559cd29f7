/* Gradients of a flow's log p and of its draws: against closed forms and finite differences. */
#include "flows/flow_tools.h"

#include <math.h>

enum { DIM = 2, CONTEXT = 2, ROWS = 5, MOST = 256 };

/* N(μ, diag softplus(ρ)²), of which everything is known: number 0 and 1 of what is trained are ρ, 2 and 3 are μ. */
static nf_flow *normal_flow(ad_dtype dtype)
{
    nf_flow *flow = nf_flow_parse("scale-loc", DIM, 0, dtype, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    const double rho[] = {0.3, -1.2}, mean[] = {2, -0.5};
    ad_from_double(dtype, rho, nf_flow_parameters(flow), DIM);
    ad_from_double(dtype, mean, (char *)nf_flow_parameters(flow) + DIM * ad_dtype_size(dtype), DIM);
    return flow;
}

START_TEST(of_a_normal)
{
    const ad_dtype dtype = _i ? AD_F64 : AD_F32;
    const double tolerance = _i ? 1e-12 : 2e-6, rho[] = {0.3, -1.2}, mean[] = {2, -0.5};
    nf_flow *flow = normal_flow(dtype);
    double *x = normals(ROWS * DIM, 1, 1), *weight = normals(ROWS, 1, 2);
    double log_prob[ROWS], of_x[ROWS * DIM], of_parameters[2 * DIM], expected[2 * DIM] = {0};
    ASSERT_OK(nf_log_prob_gradient(flow, x, NULL, weight, ROWS, log_prob, of_x, NULL, of_parameters, NULL, &error));
    for (size_t r = 0; r < ROWS; r++) {
        double density = -log(2 * M_PI);
        for (size_t d = 0; d < DIM; d++) {
            const double sd = log1p(exp(rho[d])), z = (x[r * DIM + d] - mean[d]) / sd;
            density -= 0.5 * z * z + log(sd);
            expected[d] += weight[r] * (z * z - 1) / sd / (1 + exp(-rho[d]));
            expected[DIM + d] += weight[r] * z / sd;
            ck_assert_double_eq_tol(of_x[r * DIM + d], -weight[r] * z / sd, tolerance * (1 + fabs(z / sd)));
        }
        ck_assert_double_eq_tol(log_prob[r], density, tolerance * (1 + fabs(density)));
    }
    for (size_t i = 0; i < 2 * DIM; i++)
        ck_assert_double_eq_tol(of_parameters[i], expected[i], 20 * tolerance * (1 + fabs(expected[i])));
    free(weight);
    free(x);
    nf_flow_free(flow);
}
END_TEST

/* Of Σ a·x for draws x = μ + softplus(ρ) z: dx/dμ is 1, dx/dρ is z sigmoid(ρ); log p falls by log softplus(ρ). */
START_TEST(of_draws_of_a_normal)
{
    nf_flow *flow = normal_flow(AD_F64);
    const double rho[] = {0.3, -1.2}, mean[] = {2, -0.5};
    double *of_draws = normals(ROWS * DIM, 1, 3), *weight = normals(ROWS, 1, 4), x[ROWS * DIM];
    double got[2 * DIM], expected[2 * DIM] = {0};
    ASSERT_OK(nf_sample(flow, NULL, ROWS, 9, x, NULL, NULL, &error));
    ASSERT_OK(nf_sample_gradient(flow, NULL, of_draws, weight, ROWS, 9, NULL, got, NULL, &error));
    for (size_t r = 0; r < ROWS; r++)
        for (size_t d = 0; d < DIM; d++) {
            const double sd = log1p(exp(rho[d])), z = (x[r * DIM + d] - mean[d]) / sd, slope = 1 / (1 + exp(-rho[d]));
            expected[d] += (of_draws[r * DIM + d] * z - weight[r] / sd) * slope;
            expected[DIM + d] += of_draws[r * DIM + d];
        }
    for (size_t i = 0; i < 2 * DIM; i++) ck_assert_double_eq_tol(got[i], expected[i], 1e-11 * (1 + fabs(expected[i])));
    ASSERT_OK(nf_sample_gradient(flow, NULL, NULL, NULL, ROWS, 9, NULL, got, NULL, &error));
    for (size_t i = 0; i < 2 * DIM; i++) ck_assert_double_eq(got[i], 0);
    free(weight);
    free(of_draws);
    nf_flow_free(flow);
}
END_TEST

/* ---- Finite differences ---------------------------------------------------------------------------------------- */

static const char *const formulas[] = {
    "(maf(4)-flip)*2-standardize", /* some parameters are fixed */
    "embed(4)-rqs(4)-lu",
    "mixture(components=2):maf(4)",
    "mixture_of(maf(4)|student:scale):loc",
    "invert(maf(4))",
};

static double *x, *context, *weight, *of_draws; /* of ROWS rows */

static double of_densities(const nf_flow *flow)
{
    double log_prob[ROWS], sum = 0;
    ASSERT_OK(nf_log_prob(flow, x, context, ROWS, log_prob, NULL, &error));
    for (size_t r = 0; r < ROWS; r++) sum += weight[r] * log_prob[r];
    return sum;
}

static double of_samples(const nf_flow *flow)
{
    double drawn[ROWS * DIM], log_prob[ROWS], sum = 0;
    ASSERT_OK(nf_sample(flow, context, ROWS, 5, drawn, log_prob, NULL, &error));
    for (size_t r = 0; r < ROWS; r++) sum += weight[r] * log_prob[r];
    for (size_t i = 0; i < ROWS * DIM; i++) sum += of_draws[i] * drawn[i];
    return sum;
}

/* By the four-point stencil. */
static void compare(const nf_flow *flow, double (*value)(const nf_flow *), double *at, const double *gradient,
                    size_t count, const char *what)
{
    const double h = 1e-3;
    for (size_t i = 0; i < count; i++) {
        const double kept = at[i], step[] = {-2, -1, 1, 2}, factor[] = {1, -8, 8, -1};
        double difference = 0;
        for (size_t k = 0; k < COUNT(step); k++) {
            at[i] = kept + h * step[k];
            difference += factor[k] * value(flow) / (12 * h);
        }
        at[i] = kept;
        ck_assert_msg(fabs(gradient[i] - difference) < 1e-7 * (1 + fabs(difference)),
                      "%s %zu: %.12g, and %.12g by differences", what, i, gradient[i], difference);
    }
}

START_TEST(against_finite_differences)
{
    nf_flow *flow = nf_flow_parse(formulas[_i], DIM, CONTEXT, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    const size_t trained = nf_flow_trained_elements(flow);
    ck_assert_uint_le(trained, MOST);
    double *parameters = nf_flow_parameters(flow);
    for (size_t i = 0; i < trained; i++) parameters[i] += 0.3 * ad_random_normal(1, 1, i);
    x = normals(ROWS * DIM, 0.7, 1);
    context = normals(ROWS * CONTEXT, 0.7, 2);
    weight = normals(ROWS, 1, 3);
    of_draws = normals(ROWS * DIM, 1, 4);
    double of_x[ROWS * DIM], of_context[ROWS * CONTEXT], of_parameters[MOST];
    ASSERT_OK(
        nf_log_prob_gradient(flow, x, context, weight, ROWS, NULL, of_x, of_context, of_parameters, NULL, &error));
    compare(flow, of_densities, x, of_x, ROWS * DIM, "x");
    compare(flow, of_densities, context, of_context, ROWS * CONTEXT, "context");
    compare(flow, of_densities, parameters, of_parameters, trained, "parameter");
    ASSERT_OK(nf_sample_gradient(flow, context, of_draws, weight, ROWS, 5, of_context, of_parameters, NULL, &error));
    compare(flow, of_samples, context, of_context, ROWS * CONTEXT, "context of draws");
    compare(flow, of_samples, parameters, of_parameters, trained, "parameter of draws");
    free(of_draws);
    free(weight);
    free(context);
    free(x);
    nf_flow_free(flow);
}
END_TEST

/* ---- Many rows, and none ---------------------------------------------------------------------------------------- */

/* More rows than are converted at once: each row's results are its own, and sums go on. */
START_TEST(of_many_rows)
{
    enum { MANY = 65536 + 1000 };
    nf_flow *flow = normal_flow(AD_F64);
    double *many = normals(MANY * DIM, 1, 1), *of_x = malloc(MANY * DIM * sizeof *of_x), tail[1000 * DIM];
    double all[2 * DIM], first[2 * DIM], last[2 * DIM];
    ad_pool *pool = ad_pool_new(3, &error);
    ASSERT_OK(nf_log_prob_gradient(flow, many, NULL, NULL, MANY, NULL, of_x, NULL, all, pool, &error));
    ASSERT_OK(nf_log_prob_gradient(flow, many, NULL, NULL, 65536, NULL, NULL, NULL, first, NULL, &error));
    ASSERT_OK(
        nf_log_prob_gradient(flow, many + (size_t)65536 * DIM, NULL, NULL, 1000, NULL, tail, NULL, last, NULL, &error));
    ck_assert_mem_eq(tail, of_x + (size_t)65536 * DIM, sizeof tail);
    for (size_t i = 0; i < 2 * DIM; i++) ck_assert_double_eq(all[i], first[i] + last[i]);
    ASSERT_OK(nf_log_prob_gradient(flow, many, NULL, NULL, 0, NULL, NULL, NULL, all, NULL, &error));
    for (size_t i = 0; i < 2 * DIM; i++) ck_assert_double_eq(all[i], 0);
    ad_pool_free(pool);
    free(of_x);
    free(many);
    nf_flow_free(flow);
}
END_TEST

Suite *flow_gradients_suite(void)
{
    Suite *suite = suite_create("flow_gradients");
    TCase *tests = tcase_create("gradients");
    tcase_add_loop_test(tests, of_a_normal, 0, 2);
    tcase_add_test(tests, of_draws_of_a_normal);
    tcase_add_loop_test(tests, against_finite_differences, 0, (int)COUNT(formulas));
    tcase_add_test(tests, of_many_rows);
    suite_add_tcase(suite, tests);
    return suite;
}
