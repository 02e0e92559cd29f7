/* Base distributions: log p against SciPy, draws against the density, and their place in formulas and files. That draws
 * follow the density of each that is known, with its default arguments, is in models/test_verify.c. */
#include "flows/flow_tools.h"
#include "flows/kolmogorov.h"
#include <weir/models.h>
#include "scratch.h"

#include <math.h>

static const char *const names[] = {"normal",          "diagonal_normal",       "uniform(-2,3)",
                                    "student(df=3.5)", "mixture(components=4)", "laplace",
                                    "logistic",        "generalized_normal",    "multivariate_normal"};

/* As golden/distributions.py has them. */
static void set_parameters(nf_flow *flow)
{
    nf_bijector *base = nf_flow_base(flow);
    size_t dim = base->dim;
    bool mixture = strcmp(base->type->name, "mixture") == 0;
    double logit[4], loc[16], scale[16], power[4], factor[16];
    for (size_t k = 0; k < 4; k++) {
        logit[k] = 0.7 * (double)k;
        for (size_t d = 0; d < dim; d++) {
            double of = (double)d, component = (double)k;
            loc[k * dim + d] = mixture ? component - 0.4 * of : 0.3 * of - 0.5;
            scale[k * dim + d] = mixture ? 0.4 + 0.1 * component + 0.2 * of : 0.5 + 0.25 * of;
        }
    }
    for (size_t i = 0; i < dim; i++) {
        power[i] = 0.8 + 1.1 * (double)i;
        for (size_t j = 0; j < dim; j++)
            factor[i * dim + j] = i == j ? 0.5 + 0.25 * (double)i : 0.3 * (double)i - 0.2 * (double)j;
    }
    nf_parameter_set(base, "power", power);
    nf_parameter_set(base, "factor", factor);
    nf_parameter_set(base, "logit", logit);
    nf_parameter_set(base, "loc", loc);
    nf_parameter_set(base, "scale", scale);
    nf_flow_push(flow);
}

static nf_flow *flow_of(int i, size_t dim)
{
    char formula[64];
    snprintf(formula, sizeof formula, "%s:loc", names[i]);
    nf_flow *flow = nf_flow_parse(formula, dim, 0, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    set_parameters(flow);
    return flow;
}

START_TEST(log_prob_equals_scipy)
{
    nf_table table;
    ASSERT_OK(nf_table_read(golden_path("distributions.csv").text, &table, &error));
    ck_assert_uint_eq(table.columns, 3 + COUNT(names));
    nf_flow *flow = flow_of(_i, 3);
    size_t column = 3 + (size_t)_i;
    ck_assert_int_eq(strncmp(table.names[column], names[_i], strlen(table.names[column])), 0);
    for (size_t r = 0; r < table.rows; r++) {
        const double *row = table.values + r * table.columns;
        double log_prob;
        ASSERT_OK(nf_log_prob(flow, row, NULL, 1, &log_prob, NULL, &error));
        if (isinf(row[column]))
            ck_assert_double_eq(log_prob, row[column]);
        else
            ck_assert_double_eq_tol(log_prob, row[column], 1e-12 * fmax(1, fabs(row[column])));
    }
    nf_flow_free(flow);
    nf_table_free(&table);
}
END_TEST

START_TEST(draws_follow_the_density)
{
    enum { N = 100000, CELLS = 400000 };
    const double low = -200, width = 400.0 / CELLS;
    nf_flow *flow = flow_of(_i, 1);
    double *x = malloc(N * sizeof *x), *with = malloc(N * sizeof *with), *again = malloc(N * sizeof *again);
    double *grid = malloc((CELLS + 1) * sizeof *grid), *log_prob = malloc((CELLS + 1) * sizeof *log_prob);
    ASSERT_OK(nf_sample(flow, NULL, N, 1, x, with, NULL, &error));
    ASSERT_OK(nf_log_prob(flow, x, NULL, N, again, NULL, &error));
    for (size_t i = 0; i < N; i++) ck_assert_double_eq_tol(with[i], again[i], 1e-12);
    for (size_t i = 0; i <= CELLS; i++) grid[i] = low + width * (double)i;
    ASSERT_OK(nf_log_prob(flow, grid, NULL, CELLS + 1, log_prob, NULL, &error));
    double whole, worst = kolmogorov_distance(x, N, log_prob, CELLS, low, width, &whole);
    ck_assert_double_eq_tol(whole, 1, 1e-3);
    ck_assert_double_lt(worst, 1.95 / sqrt(N));
    free(log_prob);
    free(grid);
    free(again);
    free(with);
    free(x);
    nf_flow_free(flow);
}
END_TEST

/* Of log p with respect to z and every parameter; and of the draw, where it is differentiable. */
START_TEST(gradients)
{
    nf_flow *flow = flow_of(_i, 2);
    nf_bijector *base = nf_flow_base(flow);
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var x = ad_input(tape, "x", AD_SHAPE(2)), input[8] = {x};
    const double point[] = {0.3, -0.8, 1.2, 2.4, -1.5, 0.1}, *value[8] = {point};
    int count = 1;
    ck_assert_uint_le(base->n_parameter + 2, COUNT(input));
    for (size_t p = 0; p < base->n_parameter; p++) {
        input[count] = at.base->parameter[p].var;
        value[count++] = base->parameter[p].value;
    }
    ad_var loc = nf_param(&at.bijector->child[0], "loc"), log_prob = nf_flow_record_log_prob(&at, x);
    input[count] = loc;
    value[count++] = (const double[]){0.1, -0.2};
    ad_gradcheck_report report;
    ASSERT_OK(ad_gradcheck(log_prob, input, count, input, value, count, NULL, &report, &error));
    ad_tape_free(tape);
    nf_flow_free(flow);
}
END_TEST

START_TEST(in_formulas)
{
    static const char *const same[][2] = {{" student ( df = 3.5 ) : loc - maf(4)", "student(df=3.5):loc-maf(4)"},
                                          {"normal:loc", "loc"},
                                          {"uniform(0,1):loc*2", "uniform:loc*2"}};
    for (size_t i = 0; i < COUNT(same); i++) {
        nf_flow *flow = nf_flow_parse(same[i][0], 2, 0, AD_F32, 1, &error);
        ck_assert_msg(flow != NULL, "%s", error.message);
        char *formula = nf_flow_formula(flow, false);
        ck_assert_str_eq(formula, same[i][1]);
        ad_free(formula);
        nf_flow_free(flow);
    }
    static const char *const bad[][2] = {{"loc-student", "goes first in a flow's formula"},
                                         {"student", "':' and a formula"},
                                         {"student:", "expected a bijector"},
                                         {"loc:loc", "expected the end"},
                                         {"uniform(2,1):loc", "low < high"},
                                         {"student(df=0):loc", "out of range"},
                                         {"student:normal:loc", "goes first"}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        ck_assert_ptr_null(nf_flow_parse(bad[i][0], 2, 0, AD_F32, 1, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, bad[i][1]);
    }
    ck_assert_ptr_null(nf_flow_new(parsed("loc", 2, 1), parsed("loc", 2, 1), AD_F32, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "can't be the base distribution");
}
END_TEST

START_TEST(saves_and_loads)
{
    nf_flow *flow = flow_of(_i, 2);
    file_path path = scratch_path("base.safetensors");
    ASSERT_OK(nf_save(flow, NULL, path.text, &error));
    nf_flow *back = nf_load(path.text, NULL, &error);
    ck_assert_msg(back != NULL, "%s", error.message);
    const double x[] = {0.25, -0.5};
    double a, b;
    ASSERT_OK(nf_log_prob(flow, x, NULL, 1, &a, NULL, &error));
    ASSERT_OK(nf_log_prob(back, x, NULL, 1, &b, NULL, &error));
    ck_assert_double_eq(a, b);
    nf_flow_free(flow);
    nf_flow_free(back);
}
END_TEST

/* ---- All that are known, and one from outside -------------------------------------------------------------------- */

/* log p(z) = -Σ_d |z_d|/b_d + log 2 b_d */
static ad_status build_laplace(nf_bijector *self, ad_error *to)
{
    return nf_declare(
        self, &(nf_parameter_spec){.name = "b", .shape = AD_SHAPE(self->dim), .value = 0.5, .constraint = NF_POSITIVE},
        to);
}

static ad_var laplace_log_prob(const nf_scope *at, ad_var z)
{
    ad_var b = nf_param(at, "b");
    return ad_neg(ad_sum(ad_add(ad_div(ad_abs(z), b), ad_log(ad_mul_scalar(b, 2)))));
}

static ad_var laplace_sample(const nf_scope *at)
{
    const ad_shape shape = AD_SHAPE(at->self->dim);
    ad_var u = ad_uniform(at->tape, shape, 0), v = ad_uniform(at->tape, shape, 1);
    return ad_mul(nf_param(at, "b"), ad_sub(ad_log(u), ad_log(v)));
}

static const nf_bijector_type outside = {
    .name = "test_laplace", .build = build_laplace, .log_prob = laplace_log_prob, .sample = laplace_sample};

/* Each, by its name alone, is a base in formulas and files, and draws have the density that they were drawn with. */
START_TEST(known_ones_are_bases)
{
    enum { DRAWS = 50, DIM = 3 };
    ASSERT_OK(nf_register(&outside, &error));
    file_path path = scratch_path("base.safetensors");
    bool seen = false;
    for (const nf_bijector_type *const *type = nf_distribution_types(); *type; type++) {
        char formula[100], expected[100];
        double x[DRAWS * DIM], with[DRAWS], log_prob[2][DRAWS];
        const bool is_normal = strcmp((*type)->name, "normal") == 0;
        seen |= *type == &outside;
        snprintf(formula, sizeof formula, "%s:loc", (*type)->name);
        snprintf(expected, sizeof expected, "%s", is_normal ? "loc" : formula);
        nf_flow *flow = nf_flow_parse(formula, DIM, 0, AD_F64, 1, &error);
        ck_assert_msg(flow != NULL, "%s", error.message);
        nf_flow_each_parameter(flow, move_parameter, &(uint64_t){0});
        nf_flow_push(flow);
        ASSERT_OK(nf_sample(flow, NULL, DRAWS, 1, x, with, NULL, &error));
        ASSERT_OK(nf_save(flow, NULL, path.text, &error));
        nf_flow *back = nf_load(path.text, NULL, &error);
        ck_assert_msg(back != NULL, "%s: %s", formula, error.message);
        ASSERT_OK(nf_log_prob(flow, x, NULL, DRAWS, log_prob[0], NULL, &error));
        ASSERT_OK(nf_log_prob(back, x, NULL, DRAWS, log_prob[1], NULL, &error));
        ck_assert_mem_eq(log_prob[0], log_prob[1], sizeof log_prob[0]);
        for (int i = 0; i < DRAWS; i++)
            ck_assert_msg(fabs(log_prob[0][i] - with[i]) < 1e-9, "%s: %g and %g", formula, with[i], log_prob[0][i]);
        char *printed = nf_flow_formula(back, false);
        if (!(*type)->positional) ck_assert_str_eq(printed, expected); /* sizes are always written */
        ad_free(printed);
        nf_flow_free(back);
        nf_flow_free(flow);
    }
    ck_assert(seen);
}
END_TEST

Suite *distributions_suite(void)
{
    Suite *suite = suite_create("distributions");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, scratch_begin, scratch_end);
    tcase_add_loop_test(all, log_prob_equals_scipy, 0, COUNT(names));
    tcase_add_loop_test(all, draws_follow_the_density, 0, COUNT(names));
    tcase_add_loop_test(all, gradients, 0, COUNT(names));
    tcase_add_loop_test(all, saves_and_loads, 0, COUNT(names));
    tcase_add_test(all, in_formulas);
    tcase_add_test(all, known_ones_are_bases);
    suite_add_tcase(suite, all);
    return suite;
}
