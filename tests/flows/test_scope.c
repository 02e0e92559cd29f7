/* Scopes: a bijector holds nothing of a tape, so a const flow is recorded on many tapes and by many threads at once. */
#include "flows/flow_tools.h"

#include <pthread.h>

enum { ROWS = 300, DIM = 3, CONTEXT = 2, THREADS = 4, ROUNDS = 3 };

/* Numerical inverses, which record the bijector on a tape of their own, are among them. */
static const char *const formulas[] = {"(maf(8,8)-flip)*2-standardize", "student(df=5):rqs(8,8)-sylvester-lu",
                                       "radial-planar-affine", "invert(planar)-iaf(8)-batchnorm"};

static nf_flow *flow_of(size_t i)
{
    nf_flow *flow = nf_flow_parse(formulas[i], DIM, CONTEXT, AD_F64, 3, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

/* The first ROWS events that a flow of this kind may meet, and their contexts. */
static double *x, *context;

static void make_rows(void)
{
    x = normals(ROWS * DIM, 5, 1);
    context = normals(ROWS * CONTEXT, 6, 1);
}

/* log p of the rows, recorded by hand. */
static ad_plan *plan_of(const nf_flow_scope *at, ad_var in)
{
    ad_var log_prob = nf_flow_record_log_prob(at, in);
    ad_plan *plan = ad_plan_new(&log_prob, 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    nf_flow_bind_plan(at, plan);
    ad_plan_set_input(plan, in, x);
    ad_plan_set_input(plan, nf_context(at->bijector), context);
    return plan;
}

/* Bound to two tapes, then recorded on both in turn: neither knows of the other. */
START_TEST(two_tapes_at_once)
{
    make_rows();
    nf_flow *made = flow_of((size_t)_i);
    const nf_flow *flow = made;
    double expected[ROWS], got[ROWS];
    ASSERT_OK(nf_log_prob(flow, x, context, ROWS, expected, NULL, &error));
    ad_tape *tape[2] = {ad_tape_new(), ad_tape_new()};
    nf_flow_scope at[2];
    for (int k = 0; k < 2; k++) at[k] = nf_flow_bind(flow, tape[k]);
    nf_set_training(at[1].bijector);
    nf_flow_record_log_prob(&at[1], ad_input(tape[1], "x", AD_SHAPE(DIM)));
    ad_plan *plan = plan_of(&at[0], ad_input(tape[0], "x", AD_SHAPE(DIM)));
    ad_plan_set_output(plan, 0, got);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = ROWS}, &error));
    ck_assert_mem_eq(got, expected, sizeof got);
    ad_plan_free(plan);
    for (int k = 0; k < 2; k++) ad_tape_free(tape[k]);
    nf_flow_free(made);
}
END_TEST

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

/* What a thread makes of the flow. */
typedef struct {
    const nf_flow *flow;
    double log_prob[ROWS], draw[ROWS][DIM], z[ROWS][DIM], log_det[ROWS];
    bool failed;
} evaluation;

static void *evaluate(void *argument)
{
    evaluation *e = argument;
    for (int round = 0; round < ROUNDS && !e->failed; round++)
        e->failed = nf_log_prob(e->flow, x, context, ROWS, e->log_prob, NULL, NULL) ||
                    nf_sample(e->flow, context, ROWS, 7, e->draw[0], NULL, NULL, NULL) ||
                    nf_transform(e->flow, true, x, context, ROWS, e->z[0], e->log_det, NULL, NULL);
    return NULL;
}

START_TEST(threads_evaluate_at_once)
{
    make_rows();
    evaluation *alone = calloc(1, sizeof *alone), *each = calloc(THREADS, sizeof *each);
    nf_flow *shared = flow_of((size_t)_i), *other = flow_of((size_t)_i);
    *alone = (evaluation){.flow = other};
    evaluate(alone);
    pthread_t thread[THREADS];
    for (int k = 0; k < THREADS; k++) {
        each[k].flow = shared;
        ck_assert_int_eq(pthread_create(&thread[k], NULL, evaluate, &each[k]), 0);
    }
    for (int k = 0; k < THREADS; k++) pthread_join(thread[k], NULL);
    ck_assert(!alone->failed);
    for (int k = 0; k < THREADS; k++) {
        ck_assert(!each[k].failed);
        ck_assert_mem_eq(each[k].log_prob, alone->log_prob, sizeof alone->log_prob);
        ck_assert_mem_eq(each[k].draw, alone->draw, sizeof alone->draw);
        ck_assert_mem_eq(each[k].z, alone->z, sizeof alone->z);
        ck_assert_mem_eq(each[k].log_det, alone->log_det, sizeof alone->log_det);
    }
    nf_flow_free(shared);
    nf_flow_free(other);
    free(each);
    free(alone);
}
END_TEST

/* ---- Gradients that don't pass --------------------------------------------------------------------------------- */

START_TEST(stopped_parameters)
{
    make_rows();
    nf_flow *flow = flow_of((size_t)_i);
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape), stopped = nf_flow_stop_gradient(&at);
    ad_var in = ad_input(tape, "x", AD_SHAPE(DIM)), parameter = nf_flow_bound_parameter(&at, 0).var;
    ad_var log_prob[] = {nf_flow_record_log_prob(&at, in), nf_flow_record_log_prob(&stopped, in)}, out[4];
    for (int k = 0; k < 2; k++) {
        out[k] = ad_grad1(log_prob[k], in);
        out[2 + k] = ad_grad1(log_prob[k], parameter);
    }
    ad_plan *plan = ad_plan_new(out, 4, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    size_t size = ad_shape_size(ad_shape_of(parameter));
    double by_x[2][ROWS][DIM], *by_parameter[2] = {calloc(size, sizeof(double)), calloc(size, sizeof(double))}, sum = 0;
    nf_flow_bind_plan(&at, plan);
    ad_plan_set_input(plan, in, x);
    ad_plan_set_input(plan, nf_context(at.bijector), context);
    for (int k = 0; k < 2; k++) {
        ad_plan_set_output(plan, k, by_x[k]);
        ad_plan_set_output(plan, 2 + k, by_parameter[k]);
    }
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = ROWS}, &error));
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < DIM; i++) ck_assert_double_eq_tol(by_x[0][r][i], by_x[1][r][i], 1e-12);
    for (size_t i = 0; i < size; i++) {
        sum += fabs(by_parameter[0][i]);
        ck_assert(by_parameter[1][i] == 0);
    }
    ck_assert(sum > 0);
    for (int k = 0; k < 2; k++) free(by_parameter[k]);
    ad_plan_free(plan);
    ad_tape_free(tape);
    nf_flow_free(flow);
}
END_TEST

/* Without a tape there is no scope, and what is recorded on none is invalid. */
START_TEST(no_scope)
{
    nf_flow *flow = flow_of(0);
    ad_tape *tape = ad_tape_new();
    ad_var log_det;
    ck_assert_ptr_null(nf_bind(nf_flow_bijector(flow), NULL));
    nf_set_training(NULL);
    nf_set_context(NULL, (ad_var){tape, -1});
    ck_assert_ptr_null(nf_stop_gradient(NULL));
    ck_assert(!ad_is_valid(nf_context(NULL)));
    ck_assert(!ad_is_valid(nf_forward(NULL, ad_input(tape, "z", AD_SHAPE(DIM)), &log_det)));
    ck_assert(!ad_is_valid(log_det));
    const nf_flow_scope none = nf_flow_bind(flow, NULL);
    ck_assert(!ad_is_valid(nf_flow_record_log_prob(&none, ad_input(tape, "x", AD_SHAPE(DIM)))));
    ck_assert(!ad_is_valid(nf_flow_record_sample(&none, &log_det)));
    ad_tape_free(tape);
    nf_flow_free(flow);
}
END_TEST

Suite *scope_suite(void)
{
    Suite *suite = suite_create("scope");
    TCase *tcase = tcase_create("scope");
    tcase_add_loop_test(tcase, two_tapes_at_once, 0, COUNT(formulas));
    tcase_add_loop_test(tcase, threads_evaluate_at_once, 0, COUNT(formulas));
    tcase_add_loop_test(tcase, stopped_parameters, 0, COUNT(formulas));
    tcase_add_test(tcase, no_scope);
    suite_add_tcase(suite, tcase);
    return suite;
}
