/* mixture_of(A|B|…): a mixture of flows as a base distribution. What is expected is made of its members, each a flow of
 * its own, and of closed forms. */
#include "flows/flow_tools.h"
#include "scratch.h"

#include <weir/models.h>

#include <math.h>

enum { DIM = 2, ROWS = 64, DRAWS = 40000 };

static nf_flow *flow_of(const char *formula, size_t dim, size_t context)
{
    nf_flow *flow = nf_flow_parse(formula, dim, context, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s: %s", formula, error.message);
    return flow;
}

/* N(loc, sd²) in each feature. */
static nf_flow *normal(size_t dim, double loc, double sd)
{
    nf_flow *flow = flow_of("diagonal_normal:loc", dim, 0);
    double *at = nf_parameter_value(nf_flow_base(flow), "loc"),
           *scale = nf_parameter_value(nf_flow_base(flow), "scale");
    for (size_t d = 0; d < dim; d++) {
        at[d] = loc;
        scale[d] = sd;
    }
    nf_parameter_set(nf_flow_base(flow), "scale", scale);
    nf_flow_push(flow);
    return flow;
}

static nf_flow *mixture(nf_flow **member, const double *weight, size_t count)
{
    const size_t dim = nf_flow_dim(member[0]), context = nf_flow_context_size(member[0]);
    nf_bijector *last = nf_bijector_parse("loc", dim, context, 1, &error);
    nf_flow *flow = nf_flow_mixture(member, weight, count, last, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

static double log_sum(const double *part, size_t count)
{
    double most = -INFINITY, sum = 0;
    for (size_t k = 0; k < count; k++) most = fmax(most, part[k]);
    for (size_t k = 0; k < count; k++) sum += exp(part[k] - most);
    return most + log(sum);
}

/* ---- Densities ----------------------------------------------------------------------------------------------- */

static const char *const members[] = {"(maf(8)-flip)*2-standardize", "student(df=3):rqs(8)-flip-rqs(8)-loc",
                                      "mixture(components=3):scale-loc"};
static const double weights[] = {0.5, 0.3, 0.2};

static bool stir(void *context, const char *name, nf_parameter *parameter)
{
    return parameter->spec.fixed || move_parameter(context, name, parameter);
}

/* Members, moved; each as it is alone. */
static void make_members(size_t context, nf_flow **flow)
{
    for (size_t k = 0; k < COUNT(members); k++) {
        flow[k] = flow_of(members[k], DIM, context);
        nf_flow_each_parameter(flow[k], stir, &(uint64_t){10 * k});
        nf_flow_push(flow[k]);
    }
}

/* With and without a context; far out, too, where one member alone says anything. */
START_TEST(log_prob_is_that_of_the_members)
{
    const size_t context = _i ? 3 : 0;
    double *x = normals(ROWS * DIM, 2, 1), *given = normals(ROWS * 3, 1, 2), each[COUNT(members)][ROWS], mixed[ROWS];
    for (size_t r = 0; r < 8; r++) x[r * DIM] *= 1e3;
    nf_flow *flow[COUNT(members)];
    make_members(context, flow);
    for (size_t k = 0; k < COUNT(members); k++)
        ASSERT_OK(nf_log_prob(flow[k], x, context ? given : NULL, ROWS, each[k], NULL, &error));
    nf_flow *mix = mixture(flow, weights, COUNT(members));
    ck_assert_uint_eq(nf_flow_context_size(mix), context);
    ASSERT_OK(nf_log_prob(mix, x, context ? given : NULL, ROWS, mixed, NULL, &error));
    for (size_t r = 0; r < ROWS; r++) {
        double part[COUNT(members)];
        for (size_t k = 0; k < COUNT(members); k++) part[k] = log(weights[k]) + each[k][r];
        double expected = log_sum(part, COUNT(members));
        ck_assert_double_eq_tol(mixed[r], expected, 1e-11 * fmax(1, fabs(expected)));
    }
    nf_flow_free(mix);
    free(given);
    free(x);
}
END_TEST

/* The bijector after it has its log-determinant: x = exp(z), with z of two normals. */
START_TEST(bijector_after_it)
{
    nf_flow *member[] = {normal(1, 0, 1), normal(1, 2, .5)};
    nf_flow *flow = nf_flow_mixture(member, (double[]){3, 1}, 2, parsed("exp", 1, 1), &error);
    const double x = 1.7, z = log(x);
    double got, part[] = {log(.75) - z * z / 2, log(.25 / .5) - (z - 2) * (z - 2) / 2 / .25};
    ASSERT_OK(nf_log_prob(flow, &x, NULL, 1, &got, NULL, &error));
    ck_assert_double_eq_tol(got, log_sum(part, 2) - log(2 * acos(-1)) / 2 - z, 1e-12);
    nf_flow_free(flow);
}
END_TEST

/* With respect to the event and every parameter, by finite differences. */
START_TEST(gradients)
{
    nf_flow *flow =
        flow_of("mixture_of(maf(3)-loc|mixture_of(student(df=4):scale|diagonal_normal:loc):scale):loc", 2, 0);
    nf_flow_each_parameter(flow, stir, &(uint64_t){0});
    nf_flow_push(flow);
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var x = ad_input(tape, "x", AD_SHAPE(2)), input[32] = {x};
    const double *value[32] = {(const double[]){0.3, -0.8, 1.2, 2.4, -1.5, 0.1}};
    int count = 1;
    for (size_t i = 0; i < nf_flow_trained_parameters(flow); i++) {
        ck_assert_int_lt(count, 32);
        input[count] = nf_flow_bound_parameter(&at, i).var;
        value[count++] = nf_flow_parameter(flow, i, NULL)->value;
    }
    ck_assert_int_ge(count, 9);
    ad_gradcheck_report report;
    ASSERT_OK(ad_gradcheck(nf_flow_record_log_prob(&at, x), input, count, input, value, count, NULL, &report, &error));
    ad_tape_free(tape);
    nf_flow_free(flow);
}
END_TEST

/* ---- Formulas and files -------------------------------------------------------------------------------------- */

static const char *const canonical[][2] = {
    {" mixture_of ( loc | scale - loc ) : flip", "mixture_of(loc|scale-loc):flip"},
    {"mixture_of(normal:loc|student(df=3.5):loc-loc):(flip)", "mixture_of(loc|student(df=3.5):loc*2):flip"},
    {"mixture_of(maf(4,bound=.25)):loc", "mixture_of(maf(4,bound=0.25)):loc"},
    {"mixture_of(mixture_of(loc|scale):flip|mixture_of(flip):on([1],loc)):invert(loc)",
     "mixture_of(mixture_of(loc|scale):flip|mixture_of(flip):on([1],loc)):invert(loc)"},
};

START_TEST(formulas)
{
    for (size_t i = 0; i < COUNT(canonical); i++) {
        nf_flow *flow = flow_of(canonical[i][0], 2, 0);
        for (int with_defaults = 0; with_defaults < 2; with_defaults++) {
            char *text = nf_flow_formula(flow, with_defaults);
            if (!with_defaults) ck_assert_str_eq(text, canonical[i][1]);
            nf_flow *back = flow_of(text, 2, 0);
            char *again = nf_flow_formula(back, with_defaults);
            ck_assert_str_eq(again, text);
            ck_assert_uint_eq(nf_flow_trained_elements(back), nf_flow_trained_elements(flow));
            ck_assert_mem_eq(nf_flow_parameters(back), nf_flow_parameters(flow),
                             nf_flow_trained_elements(flow) * sizeof(double));
            nf_flow_free(back);
            ad_free(again);
            ad_free(text);
        }
        nf_flow_free(flow);
    }
}
END_TEST

/* Formula, the caret's line, what the message has. */
static const char *const faults[][3] = {
    {"mixture_of", "          ^", "mixture_of needs flows"},
    {"mixture_of:loc", "          ^", "mixture_of needs flows"},
    {"mixture_of():loc", "           ^", "got ')'"},
    {"mixture_of(|loc):loc", "           ^", "got '|'"},
    {"mixture_of(loc|):loc", "               ^", "got ')'"},
    {"mixture_of(loc|scale:loc", "                    ^", "mixture_of( isn't closed"},
    {"mixture_of(loc|scale", "                    ^", "mixture_of( isn't closed"},
    {"mixture_of(loc,scale):loc", "              ^", "mixture_of( isn't closed"},
    {"mixture_of(student|loc):loc", "                  ^", "without a bijector"},
    {"mixture_of(loc|scal):loc", "               ^", "got 'scal'"},
    {"mixture_of(loc)", "               ^", "without a bijector"},
    {"mixture_of(loc):", "                ^", "the formula ends here"},
    {"mixture_of(loc):loc|loc", "                   ^", "expected the end"},
    {"loc-mixture_of(loc):loc", "    ^", "goes first in a flow's formula"},
    {"mixture_of(loc-student:loc):loc", "               ^", "goes first in a flow's formula"},
};

START_TEST(mistakes_in_formulas)
{
    char expected[128];
    ck_assert_ptr_null(nf_flow_parse(faults[_i][0], 2, 0, AD_F32, 1, &error));
    snprintf(expected, sizeof expected, "\n  %s\n  %s\n  valid here: ", faults[_i][0], faults[_i][1]);
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, expected);
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, faults[_i][2]);
    ck_assert_ptr_null(nf_flow_parse(faults[_i][0], 2, 0, AD_F32, 1, NULL));
}
END_TEST

/* mixture_of(mixture_of(… loc):loc …):loc, so deep. */
static nf_flow *nested(size_t depth, ad_dtype dtype)
{
    static char formula[1 << 13];
    size_t filled = 0;
    for (size_t i = 0; i < depth; i++)
        filled += (size_t)snprintf(formula + filled, sizeof formula - filled, "mixture_of(");
    filled += (size_t)snprintf(formula + filled, sizeof formula - filled, "loc");
    for (size_t i = 0; i < depth; i++) filled += (size_t)snprintf(formula + filled, sizeof formula - filled, "):loc");
    return nf_flow_parse(formula, 1, 0, dtype, 1, &error);
}

START_TEST(nested_too_deep)
{
    nf_flow *flow = nested(16, AD_F64);
    ck_assert_msg(flow != NULL, "%s", error.message);
    const double x = 1;
    double log_prob;
    ASSERT_OK(nf_log_prob(flow, &x, NULL, 1, &log_prob, NULL, &error));
    ck_assert_double_eq_tol(log_prob, -.5 - log(2 * acos(-1)) / 2, 1e-12);
    nf_flow_free(flow);
    for (size_t depth = 17; depth < 300; depth += 70) {
        ck_assert_ptr_null(nested(depth, AD_F64));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "nested too deep");
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "^");
    }
}
END_TEST

START_TEST(saves_and_loads)
{
    nf_flow *member[COUNT(members)];
    double *x = normals(ROWS * DIM, 1, 1), here[ROWS], there[ROWS], draws[2][20 * DIM], with[20];
    make_members(0, member);
    nf_flow *flow = mixture(member, weights, COUNT(members));
    file_path path = scratch_path("mixture.safetensors");
    ASSERT_OK(nf_save(flow, NULL, path.text, &error));
    nf_flow *back = nf_load(path.text, NULL, &error);
    ck_assert_msg(back != NULL, "%s", error.message);
    ASSERT_OK(nf_log_prob(flow, x, NULL, ROWS, here, NULL, &error));
    ASSERT_OK(nf_log_prob(back, x, NULL, ROWS, there, NULL, &error));
    ck_assert_mem_eq(here, there, sizeof here);
    ASSERT_OK(nf_sample(flow, NULL, 20, 3, draws[0], with, NULL, &error));
    ASSERT_OK(nf_sample(back, NULL, 20, 3, draws[1], with, NULL, &error));
    ck_assert_mem_eq(draws[0], draws[1], sizeof draws[0]);
    nf_flow_free(back);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* ---- Draws --------------------------------------------------------------------------------------------------- */

/* Three normals far from one another, one of which is itself a mixture: shares, means and deviations of each, and that
 * the inner choice doesn't follow the outer one. */
START_TEST(draws_choose_by_weight)
{
    static const double share[] = {.5, .2, .3 * .6, .3 * .4}, loc[] = {-60, -20, 20, 60}, sd[] = {1, 2, .5, 3};
    static double x[DRAWS], with[DRAWS], again[DRAWS];
    nf_flow *inner[] = {normal(1, loc[2], sd[2]), normal(1, loc[3], sd[3])};
    nf_flow *outer[] = {normal(1, loc[0], sd[0]), normal(1, loc[1], sd[1]), mixture(inner, (double[]){.6, .4}, 2)};
    nf_flow *flow = mixture(outer, (double[]){.5, .2, .3}, 3);
    ASSERT_OK(nf_sample(flow, NULL, DRAWS, 1, x, with, NULL, &error));
    ASSERT_OK(nf_log_prob(flow, x, NULL, DRAWS, again, NULL, &error));
    double count[4] = {0}, sum[4] = {0}, squares[4] = {0};
    for (size_t i = 0; i < DRAWS; i++) {
        size_t k = x[i] < -40 ? 0 : x[i] < 0 ? 1 : x[i] < 40 ? 2 : 3;
        double z = (x[i] - loc[k]) / sd[k];
        ck_assert_double_eq_tol(with[i], again[i], 1e-9);
        count[k]++;
        sum[k] += z;
        squares[k] += z * z;
    }
    for (int k = 0; k < 4; k++) { /* within 4 standard errors */
        ck_assert_double_eq_tol(count[k] / DRAWS, share[k], 4 * sqrt(share[k] * (1 - share[k]) / DRAWS));
        ck_assert_double_eq_tol(sum[k] / count[k], 0, 4 / sqrt(count[k]));
        ck_assert_double_eq_tol(squares[k] / count[k], 1, 4 * sqrt(2 / count[k]));
    }
    nf_flow_free(flow);
}
END_TEST

/* ---- Fitting ------------------------------------------------------------------------------------------------- */

/* Each member is set from all rows; the bijector after the mixture first. */
START_TEST(data_set_each_member)
{
    nf_flow *flow =
        flow_of("mixture_of(whiten|gaussian_mixture(components=2):standardize|standardize):standardize", 2, 0);
    double *x = normals(400, 3, 1), expected[200], got[200];
    for (size_t r = 0; r < 200; r++) x[2 * r + 1] += x[2 * r] + (r % 2 ? 30 : 0);
    ASSERT_OK(nf_flow_fit_data(flow, x, NULL, 200, &error));
    const char *const alone[] = {"whiten-standardize", "gaussian_mixture(components=2):standardize-standardize",
                                 "standardize-standardize"};
    double part[3][200];
    for (size_t k = 0; k < 3; k++) {
        nf_flow *one = flow_of(alone[k], 2, 0);
        ASSERT_OK(nf_flow_fit_data(one, x, NULL, 200, &error));
        ASSERT_OK(nf_log_prob(one, x, NULL, 200, part[k], NULL, &error));
        nf_flow_free(one);
    }
    ASSERT_OK(nf_log_prob(flow, x, NULL, 200, got, NULL, &error));
    for (size_t r = 0; r < 200; r++) {
        expected[r] = log_sum((double[]){part[0][r], part[1][r], part[2][r]}, 3) - log(3);
        ck_assert_double_eq_tol(got[r], expected[r], 1e-6);
    }
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* Gradient descent finds both halves of the data and their shares. */
START_TEST(training_improves)
{
    enum { N = 2000 };
    nf_flow *member[] = {normal(1, -1, 1), normal(1, 1, 1)};
    nf_flow *flow = mixture(member, NULL, 2);
    double *x = normals(N, 1, 4), before, after;
    for (size_t r = 0; r < N; r++) x[r] = r % 4 == 0 ? 5 + .5 * x[r] : -5 + x[r];
    const nf_fit_options options = {.epochs = 60, .optimizer.learning_rate = .05, .seed = 1};
    ASSERT_OK(nf_nll(flow, x, NULL, N, &before, NULL, NULL, &error));
    ASSERT_OK(nf_fit(flow, x, N, &options, NULL, &error));
    ASSERT_OK(nf_nll(flow, x, NULL, N, &after, NULL, NULL, &error));
    /* The entropy: of the choice, and of each half. */
    const double each = .5 * log(2 * acos(-1)) + .5;
    ck_assert_double_gt(before, after + 3);
    ck_assert_double_eq_tol(after, each + .25 * log(.5) - .25 * log(.25) - .75 * log(.75), .05);
    nf_flow_pull(flow);
    const double *logit = nf_parameter_value(nf_flow_base(flow), "logit");
    ck_assert_double_eq_tol(1 / (1 + exp(logit[0] - logit[1])), .25, .02);
    nf_flow_free(flow);
    free(x);
}
END_TEST

/* ---- Ownership ----------------------------------------------------------------------------------------------- */

/* That nothing leaks is seen under a sanitizer. */
START_TEST(owns_its_parts_on_failure)
{
    nf_flow *of_context = flow_of("maf(4)", 2, 1), *single = nf_flow_parse("loc", 2, 0, AD_F32, 1, &error);
    const double zero[] = {1, 0}, infinite[] = {INFINITY, 1};
    const struct {
        nf_flow *member[2];
        const double *weight;
        size_t count;
        nf_bijector *bijector;
        const char *part;
    } cases[] = {
        {{flow_of("loc", 2, 0), flow_of("loc", 3, 0)}, NULL, 2, parsed("loc", 2, 1), "of one dimension"},
        {{flow_of("loc", 2, 0), flow_of("loc", 2, 0)}, NULL, 2, parsed("loc", 3, 1), "of one dimension"},
        {{flow_of("loc", 2, 0), of_context}, NULL, 2, parsed("loc", 2, 1), "context"},
        {{flow_of("loc", 2, 0), single}, NULL, 2, parsed("loc", 2, 1), "dtype"},
        {{flow_of("loc", 2, 0), flow_of("loc", 2, 0)}, zero, 2, parsed("loc", 2, 1), "weights above 0"},
        {{flow_of("loc", 2, 0), flow_of("loc", 2, 0)}, infinite, 2, parsed("loc", 2, 1), "weights above 0"},
        {{NULL, NULL}, NULL, 0, parsed("loc", 2, 1), "expected one flow or more"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_flow *member[] = {cases[i].member[0], cases[i].member[1]};
        ck_assert_ptr_null(nf_flow_mixture(member, cases[i].weight, cases[i].count, cases[i].bijector, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, cases[i].part);
    }
    /* What has failed has said why. */
    ad_error_set(&error, AD_ERROR_ARGUMENT, "why");
    nf_flow *with_none[] = {flow_of("loc", 2, 0), NULL}, *whole[] = {flow_of("loc", 2, 0)};
    ck_assert_ptr_null(nf_flow_mixture(with_none, NULL, 2, parsed("loc", 2, 1), &error));
    ck_assert_ptr_null(nf_flow_mixture(whole, NULL, 1, NULL, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "why");
    ck_assert_ptr_null(nf_flow_mixture(NULL, NULL, 2, parsed("loc", 2, 1), &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "member is NULL");
    /* A slice isn't its holder's to give away. */
    nf_flow *flow = flow_of("loc-scale", 2, 0), *slice[] = {nf_flow_slice(flow, 1, &error)};
    ck_assert_ptr_null(nf_flow_mixture(slice, NULL, 1, parsed("loc", 2, 1), &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "slice");
    nf_flow_free(flow);
}
END_TEST

static ad_status use(const nf_flow *flow)
{
    double draw[2 * DIM], log_prob[2];
    ad_status status = nf_sample(flow, NULL, 2, 1, draw, log_prob, NULL, &error);
    return status == AD_OK ? nf_log_prob(flow, draw, NULL, 2, log_prob, NULL, &error) : status;
}

static nf_flow *parse_one(void)
{
    return nf_flow_parse("mixture_of(loc|mixture_of(student:scale|loc):flip):loc", DIM, 0, AD_F64, 1, &error);
}

static nf_flow *mix_some(void)
{
    nf_flow *member[] = {nf_flow_parse("loc", DIM, 0, AD_F64, 1, &error), NULL};
    if (member[0]) member[1] = nf_flow_parse("scale", DIM, 0, AD_F64, 1, &error);
    nf_bijector *last = member[1] ? nf_bijector_parse("loc", DIM, 0, 1, &error) : NULL;
    return nf_flow_mixture(member, weights, 2, last, &error);
}

START_TEST(memory_runs_out)
{
    nf_flow *(*const make[])(void) = {parse_one, mix_some};
    bool denied = true;
    size_t allowed = 0;
    for (; denied; allowed++) {
        memory_limit(allowed);
        nf_flow *flow = make[_i]();
        ad_status status = flow ? use(flow) : error.status;
        char *formula = flow && status == AD_OK ? nf_flow_formula(flow, true) : NULL;
        if (status == AD_OK && !formula) status = AD_ERROR_MEMORY;
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu: %d: %s", allowed, (int)status,
                      error.message);
        ad_free(formula);
        nf_flow_free(flow);
    }
    memory_unlimited();
    ck_assert_uint_gt(allowed, 30);
}
END_TEST

Suite *mixture_of_suite(void);

Suite *mixture_of_suite(void)
{
    Suite *suite = suite_create("mixture_of");
    TCase *tests = tcase_create("mixture_of");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, log_prob_is_that_of_the_members, 0, 2);
    tcase_add_test(tests, bijector_after_it);
    tcase_add_test(tests, gradients);
    tcase_add_test(tests, formulas);
    tcase_add_loop_test(tests, mistakes_in_formulas, 0, COUNT(faults));
    tcase_add_test(tests, nested_too_deep);
    tcase_add_test(tests, saves_and_loads);
    tcase_add_test(tests, draws_choose_by_weight);
    tcase_add_test(tests, data_set_each_member);
    tcase_add_test(tests, training_improves);
    tcase_add_test(tests, owns_its_parts_on_failure);
    tcase_add_loop_test(tests, memory_runs_out, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
