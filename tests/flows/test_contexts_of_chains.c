/* embed(…) and conditional(…): which context each step sees, in formulas, slices and fits; products of base
 * distributions; and the residual flow's estimate of its log-det. */
#include "flows/flow_tools.h"
#include "scratch.h"

#include <weir/models.h>

#include <math.h>

enum { DIM = 3, CONTEXT = 2, ROWS = 50 };

static nf_flow *flow_of(const char *formula, size_t dim, size_t context)
{
    nf_flow *flow = nf_flow_parse(formula, dim, context, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s: %s", formula, error.message);
    nf_flow_each_parameter(flow, move_parameter, &(uint64_t){0});
    nf_flow_push(flow);
    return flow;
}

/* ---- Formulas ------------------------------------------------------------------------------------------------- */

START_TEST(in_formulas)
{
    static const char *const same[][2] = {
        {"embed-loc", "embed(64,64)-loc"},
        {"embed(4)-maf(3)-embed( 4 )-maf(3)", "embed(4)-maf(3)-embed(4)-maf(3)"},
        {"(embed(4)-maf(3))-maf(3)*2", "embed(4)-maf(3)*3"},
        {"invert(embed(4)-maf(3))*2", "invert(embed(4)-maf(3))-invert(embed(4)-maf(3))"},
        {"conditional(loc - scale)", "conditional(loc-scale,64,64)"},
        {"conditional(loc*2,3,activation=silu)*2", "conditional(loc*2,3,activation=silu)*2"},
        {"product_of([1,3]:student|[2]:uniform(-1,1)):loc", "product_of([1,3]:student|[2]:uniform(low=-1)):loc"},
        {"mixture_of(embed(4)-maf(3)|loc):loc", "mixture_of(embed(4)-maf(3)|loc):loc"},
    };
    for (size_t i = 0; i < COUNT(same); i++) {
        nf_flow *flow = flow_of(same[i][0], DIM, CONTEXT);
        char *formula = nf_flow_formula(flow, false);
        ck_assert_str_eq(formula, same[i][1]);
        nf_flow *again = flow_of(formula, DIM, CONTEXT);
        ck_assert_uint_eq(nf_flow_trained_elements(again), nf_flow_trained_elements(flow));
        ad_free(formula);
        nf_flow_free(again);
        nf_flow_free(flow);
    }
    static const char *const bad[][2] = {
        {"(embed(4)-maf(3))*2", "would embed it again"},
        {"product_of([1]:normal):loc", "a feature is of none"},
        {"product_of([1-3]:normal|[2]:normal):loc", "a feature is of two"},
        {"product_of([1-3]:loc):loc", "expected a base distribution, got 'loc'"},
        {"product_of(normal):loc", "needs lists of features"},
        {"product_of([1-3]:normal|):loc", "needs lists of features"},
        {"product_of([4]:normal):loc", "lists features of an event"},
        {"loc-product_of([1-3]:normal)", "goes first in a flow's formula"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        ck_assert_ptr_null(nf_flow_parse(bad[i][0], DIM, CONTEXT, AD_F32, 1, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, bad[i][1]);
    }
}
END_TEST

/* ---- Contexts ------------------------------------------------------------------------------------------------- */

static const char two_embeddings[] = "maf(4)-embed(5)-realnvp(4)-embed(3,4)-conditional(planar,3)-maf(4)";

/* Step by step is the same as at once: a step that is taken out of its chain sees what it saw in it. */
START_TEST(slices_see_their_context)
{
    nf_flow *flow = flow_of(two_embeddings, DIM, CONTEXT);
    double *z = normals(ROWS * DIM, 1, 1), *given = normals(ROWS * CONTEXT, 1, 2), whole[ROWS * DIM], log_det[ROWS];
    double sum[ROWS] = {0}, part[ROWS];
    ASSERT_OK(nf_transform(flow, false, z, given, ROWS, whole, log_det, NULL, &error));
    for (size_t i = 0; i < nf_chain_steps(nf_flow_bijector(flow)); i++) {
        nf_bijector *slice = nf_chain_slice(nf_flow_bijector(flow), i, i + 1, &error);
        nf_flow *step = nf_flow_new(NULL, slice, AD_F64, &error);
        ASSERT_OK(nf_transform(step, false, z, given, ROWS, z, part, NULL, &error));
        for (size_t r = 0; r < ROWS; r++) sum[r] += part[r];
        nf_flow_free(step);
    }
    for (size_t i = 0; i < ROWS * DIM; i++) ck_assert_double_eq_tol(z[i], whole[i], 1e-12);
    for (size_t r = 0; r < ROWS; r++) ck_assert_double_eq_tol(sum[r], log_det[r], 1e-12);
    free(given);
    free(z);
    nf_flow_free(flow);
}
END_TEST

/* What is set from data sees them pulled back through steps that see the embedded context: z has mean 0, and the
 * standard deviation that standardize leaves. */
START_TEST(fits_behind_an_embedding)
{
    enum { MANY = 2000 };
    char formula[120];
    snprintf(formula, sizeof formula, "standardize-%s", two_embeddings);
    nf_flow *flow = flow_of(formula, DIM, CONTEXT);
    double *x = normals(MANY * DIM, 3, 1), *given = normals(MANY * CONTEXT, 1, 2), z[MANY * DIM];
    ASSERT_OK(nf_flow_fit_data(flow, x, given, MANY, &error));
    ASSERT_OK(nf_transform(flow, true, x, given, MANY, z, NULL, NULL, &error));
    for (size_t j = 0; j < DIM; j++) {
        double mean, sd;
        ck_assert(nf_column_moments(z, MANY, DIM, j, &mean, &sd));
        ck_assert_double_eq_tol(mean, 0, 1e-10);
        ck_assert_double_eq_tol(sd, 0.5, 1e-10);
    }
    free(given);
    free(x);
    nf_flow_free(flow);
}
END_TEST

/* Without a context both leave all as it is. */
START_TEST(nothing_to_see)
{
    nf_flow *flow = flow_of("embed(4)-conditional(maf(4),3)", DIM, 0), *plain = flow_of("maf(4)", DIM, 0);
    double *z = normals(ROWS * DIM, 1, 1), got[ROWS * DIM], expected[ROWS * DIM];
    ASSERT_OK(nf_transform(flow, false, z, NULL, ROWS, got, NULL, NULL, &error));
    ASSERT_OK(nf_transform(plain, false, z, NULL, ROWS, expected, NULL, NULL, &error));
    ck_assert_mem_eq(got, expected, sizeof got);
    free(z);
    nf_flow_free(plain);
    nf_flow_free(flow);
}
END_TEST

/* ---- Products ------------------------------------------------------------------------------------------------- */

/* Parts of one kind draw noise of their own; log p is the sum of theirs; each is set from its columns. */
START_TEST(parts_are_independent)
{
    enum { MANY = 20000 };
    nf_flow *flow = flow_of("product_of([3]:normal|[1]:normal|[2]:multivariate_normal):flip-flip", DIM, 0);
    double *x = malloc(MANY * DIM * sizeof *x), *log_prob = malloc(MANY * sizeof *log_prob), mean[DIM], sd[DIM];
    ASSERT_OK(nf_sample(flow, NULL, MANY, 1, x, NULL, NULL, &error));
    for (size_t r = 0; r < MANY; r++) x[r * DIM + 1] = 3 * x[r * DIM + 1] + 5;
    for (size_t j = 0; j < DIM; j++) ck_assert(nf_column_moments(x, MANY, DIM, j, &mean[j], &sd[j]));
    for (size_t j = 0; j < DIM; j++) {
        const size_t k = (j + 1) % DIM;
        double both = 0;
        for (size_t r = 0; r < MANY; r++) both += (x[r * DIM + j] - mean[j]) * (x[r * DIM + k] - mean[k]) / MANY;
        ck_assert_double_lt(fabs(both / sd[j] / sd[k]), 0.03);
    }
    ASSERT_OK(nf_flow_fit_data(flow, x, NULL, MANY, &error));
    ASSERT_OK(nf_log_prob(flow, x, NULL, MANY, log_prob, NULL, &error));
    for (size_t r = 0; r < ROWS; r++) {
        const double u = (x[r * DIM + 1] - mean[1]) / sd[1], log_two_pi = log(2 * acos(-1));
        const double square = x[r * DIM] * x[r * DIM] + x[r * DIM + 2] * x[r * DIM + 2] + u * u;
        ck_assert_double_eq_tol(log_prob[r], -square / 2 - log(sd[1]) - 1.5 * log_two_pi, 1e-6);
    }
    free(log_prob);
    free(x);
    nf_flow_free(flow);
}
END_TEST

/* ---- The estimate of a residual flow's log-det ------------------------------------------------------------------ */

/* Log-det at one event and its gradient by all weights, of as many rows that differ in their noise alone. */
static void mean_of_estimates(nf_flow *flow, bool training, size_t rows, double *to)
{
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    if (training) nf_set_training(at.bijector);
    ad_var x = ad_input(tape, "x", AD_SHAPE(DIM)), log_det, part[16];
    const size_t count = nf_flow_trained_parameters(flow);
    ck_assert_uint_lt(count + 1, COUNT(part));
    nf_inverse(at.bijector, x, &log_det);
    for (size_t i = 0; i < count; i++) {
        ad_var by = ad_grad1(log_det, nf_flow_bound_parameter(&at, i).var);
        part[i + 1] = ad_reshape(by, AD_SHAPE(ad_shape_size(ad_shape_of(by))));
    }
    part[0] = ad_reshape(ad_sum_rows(ad_to_rows(log_det)), AD_SHAPE(1));
    ad_var all = ad_concat(part, (int)count + 1, 0);
    ad_plan *plan = ad_plan_new(&all, 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    double *in = malloc(rows * DIM * sizeof *in);
    for (size_t i = 0; i < rows * DIM; i++) in[i] = 0.7 - 0.5 * (double)(i % DIM);
    nf_flow_bind_plan(&at, plan);
    ad_plan_set_input(plan, x, in);
    ad_plan_set_output(plan, 0, to);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = rows, .seed = 5}, &error));
    for (size_t i = 0; i < ad_shape_size(ad_shape_of(all)); i++) to[i] /= (double)rows;
    free(in);
    ad_plan_free(plan);
    ad_tape_free(tape);
}

START_TEST(estimates_have_no_bias)
{
    enum { MANY = 40000, MOST = 200 };
    nf_flow *flow = flow_of("residual(6,exact=1,lipschitz=0.95)", DIM, 0);
    for (size_t i = 0; i < nf_flow_trained_elements(flow); i++) ((double *)nf_flow_parameters(flow))[i] *= 3;
    double exact[MOST] = {0}, estimate[MOST] = {0}, worst = 0, largest = 0;
    mean_of_estimates(flow, false, 1, exact);
    mean_of_estimates(flow, true, MANY, estimate);
    ck_assert_double_gt(fabs(exact[0]), 0.1);
    for (size_t i = 0; i <= nf_flow_trained_elements(flow); i++) {
        worst = fmax(worst, fabs(exact[i] - estimate[i]));
        largest = fmax(largest, fabs(exact[i]));
    }
    ck_assert_msg(worst < 0.02 * largest, "off by %g, of %g", worst, largest);
    nf_flow_free(flow);
}
END_TEST

Suite *contexts_of_chains_suite(void)
{
    Suite *suite = suite_create("contexts_of_chains");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, in_formulas);
    tcase_add_test(all, slices_see_their_context);
    tcase_add_test(all, fits_behind_an_embedding);
    tcase_add_test(all, nothing_to_see);
    tcase_add_test(all, parts_are_independent);
    tcase_add_test(all, estimates_have_no_bias);
    suite_add_tcase(suite, all);
    return suite;
}
