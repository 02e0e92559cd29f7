/* Bijectors from outside whose inverse and log-det are derived, when memory runs out at any place. */
#include "flows/flow_tools.h"
#include "scratch.h"

#include <weir/models.h>

static ad_status build(nf_bijector *self, ad_error *to)
{
    nf_parameter_spec a = {.name = "a",
                           .shape = AD_SHAPE(self->dim, self->dim),
                           .init = NF_INIT_NORMAL,
                           .value = 0.3,
                           .constraint = NF_REAL};
    nf_parameter_spec b = {.name = "b", .shape = AD_SHAPE(self->dim), .value = 0.5, .constraint = NF_POSITIVE};
    ad_status status = nf_declare(self, &a, to);
    return status == AD_OK ? nf_declare(self, &b, to) : status;
}

/* x = b z + 0.1 tanh z + c, c the context */
static ad_var elementwise(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    ad_var x = ad_add(ad_mul(nf_param(at, "b"), z), ad_mul_scalar(ad_tanh(z), 0.1));
    return ad_add(x, nf_context(at));
}

/* x = z + Aᵀ tanh(A z + c) / (1 + |A|²) */
static ad_var dense(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    ad_var a = nf_param(at, "a"), t = ad_tanh(ad_add(ad_matmul(a, z), nf_context(at)));
    return ad_add(z, ad_div(ad_matmul(ad_transpose(a), t), ad_add_scalar(ad_sum(ad_square(a)), 1)));
}

/* The first feature, and the second with a bend that depends on it. */
static ad_var triangular(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    ad_var before = ad_sub(ad_cumsum(z, 0, false), z);
    return ad_add(ad_mul(z, ad_exp(ad_tanh(ad_mul(nf_param(at, "b"), before)))), nf_context(at));
}

static const nf_bijector_type maps[] = {
    {.name = "elementwise", .build = build, .forward = elementwise},
    {.name = "dense", .build = build, .forward = dense},
    {.name = "triangular", .build = build, .forward = triangular},
    {.name = "undense", .build = build, .inverse = dense},
};

enum { DIM = 2, ROWS = 6 };

static ad_status use(const nf_flow *flow)
{
    static const double x[ROWS * DIM] = {0.1, -0.4, 1.2, 0.3, -0.7, 0.9}, context[ROWS * DIM] = {0.5, 0.1, 0.2};
    double log_prob[ROWS], draw[ROWS * DIM];
    ad_status status = nf_log_prob(flow, x, context, ROWS, log_prob, NULL, &error);
    return status == AD_OK ? nf_sample(flow, context, ROWS, 1, draw, log_prob, NULL, &error) : status;
}

/* Gradients with respect to what is captured replay the map once more. */
static ad_status differentiate(const nf_flow *flow)
{
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var x = ad_input(tape, "x", AD_SHAPE(DIM)), wrt[2], gradient[2];
    const nf_flow_scope stopped = nf_flow_stop_gradient(&at);
    for (size_t i = 0; i < 2; i++) wrt[i] = nf_flow_bound_parameter(&at, i).var;
    ad_var loss = ad_add(nf_flow_record_log_prob(&at, x), nf_flow_record_log_prob(&stopped, x));
    ad_grad(ad_sum_rows(loss), wrt, 2, gradient);
    ad_plan *plan = ad_plan_new(gradient, 2, &(ad_plan_options){.dtype = AD_F64}, &error);
    const ad_error *fault = ad_tape_error(tape);
    ad_status status = fault ? fault->status : plan ? AD_OK : error.status;
    ad_plan_free(plan);
    ad_tape_free(tape);
    return status;
}

START_TEST(memory_runs_out)
{
    ad_status (*const step[])(const nf_flow *) = {use, differentiate};
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(allowed);
        nf_bijector *made[2] = {nf_bijector_new(&maps[_i / 2], DIM, DIM, NULL, &error)};
        if (made[0]) made[1] = nf_bijector_new(&maps[0], DIM, DIM, NULL, &error);
        nf_bijector *chain = made[1] ? nf_chain(made, 2, &error) : NULL;
        if (!made[1]) nf_bijector_free(made[0]);
        nf_flow *flow = chain ? nf_flow_new(NULL, chain, AD_F64, &error) : NULL;
        ad_status status = flow ? step[_i % 2](flow) : error.status;
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu: %d: %s", allowed, (int)status,
                      error.message);
        nf_flow_free(flow);
    }
    memory_unlimited();
}
END_TEST

Suite *derive_memory_suite(void)
{
    Suite *suite = suite_create("derive_memory");
    TCase *tests = tcase_create("derive memory");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, memory_runs_out, 0, 2 * COUNT(maps));
    suite_add_tcase(suite, tests);
    return suite;
}
