/* Transformers against what others computed, both ways and with gradients: each line of golden/transformers.txt is a
 * transformer, the count of its parameters and these, x, z and log dz/dx, and derivatives, as the script beside it
 * tells. */
#include "flows/flow_tools.h"
#include "scratch.h"

#include <weir/transformer.h>

#include <math.h>

enum { MOST = 64 }; /* parameters */

typedef struct {
    nf_choice choice;
    double argument[NF_MOST_ARGUMENTS];
    size_t count;
    double parameter[MOST], x, z, log_slope, log_slope_by_x, z_by[MOST], log_slope_by[MOST];
} golden;

static void read_numbers(char **at, double *number, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *end;
        number[i] = strtod(*at, &end);
        ck_assert_msg(end > *at, "a number is missing at '%.20s'", *at);
        *at = end;
    }
}

static void read_line(char *line, golden *g)
{
    double count;
    char *at = line + strcspn(line, " ");
    *at++ = '\0';
    g->choice = (nf_choice){nf_registry_parse(&nf_transformers, line, g->argument, &error), g->argument};
    ck_assert_msg(g->choice.descriptor != NULL, "%s: %s", line, error.message);
    read_numbers(&at, &count, 1);
    g->count = (size_t)count;
    ck_assert_uint_le(g->count, MOST);
    ck_assert_uint_eq(g->count, ((const nf_transformer_type *)g->choice.descriptor)->parameters(&g->choice));
    read_numbers(&at, g->parameter, g->count);
    double *const numbers[] = {&g->x, &g->z, &g->log_slope, &g->log_slope_by_x};
    for (size_t i = 0; i < COUNT(numbers); i++) read_numbers(&at, numbers[i], 1);
    read_numbers(&at, g->z_by, g->count);
    read_numbers(&at, g->log_slope_by, g->count);
}

/* What one direction gives at v, in the order in which it is written here. */
typedef struct {
    double out, log_derivative, log_derivative_by_v, out_by[MOST], log_derivative_by[MOST];
} result;

static void evaluate(const golden *g, bool inverse, double v, result *to)
{
    ad_tape *tape = ad_tape_new();
    ad_var in = ad_input(tape, "v", AD_SHAPE(1)), u = ad_input(tape, "u", AD_SHAPE(g->count, 1)), out[5];
    out[0] = nf_apply_transformer(&g->choice, inverse, in, u, &out[1]);
    out[2] = ad_grad1(ad_sum(out[1]), in);
    out[3] = ad_grad1(ad_sum(out[0]), u);
    out[4] = ad_grad1(ad_sum(out[1]), u);
    for (int i = 0; i < 5; i++) out[i] = ad_to_rows(out[i]);
    ad_plan *plan = ad_plan_new(out, 5, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    double *const into[] = {&to->out, &to->log_derivative, &to->log_derivative_by_v, to->out_by, to->log_derivative_by};
    ad_plan_set_input(plan, in, &v);
    ad_plan_set_input(plan, u, g->parameter);
    for (int i = 0; i < 5; i++) ad_plan_set_output(plan, i, into[i]);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = 1}, &error));
    ad_plan_free(plan);
    ad_tape_free(tape);
}

static void assert_near(const golden *g, const char *what, double got, double expected)
{
    const char *name = ((const nf_transformer_type *)g->choice.descriptor)->name;
    ck_assert_msg(fabs(got - expected) <= 1e-9 * fmax(1, fabs(expected)), "%s at x = %.17g, %s: %.17g, expected %.17g",
                  name, g->x, what, got, expected);
}

/* Forward's derivatives are those of an inverse function: dx/du = -(dz/du) / (dz/dx) at a z that stays. */
static void check_line(const golden *g)
{
    static result r;
    const double slope = exp(g->log_slope);
    evaluate(g, true, g->x, &r);
    assert_near(g, "z", r.out, g->z);
    assert_near(g, "log dz/dx", r.log_derivative, g->log_slope);
    assert_near(g, "d log dz/dx / dx", r.log_derivative_by_v, g->log_slope_by_x);
    for (size_t i = 0; i < g->count; i++) {
        assert_near(g, "dz/du", r.out_by[i], g->z_by[i]);
        assert_near(g, "d log dz/dx / du", r.log_derivative_by[i], g->log_slope_by[i]);
    }
    evaluate(g, false, g->z, &r);
    assert_near(g, "x", r.out, g->x);
    assert_near(g, "log dx/dz", r.log_derivative, -g->log_slope);
    assert_near(g, "d log dx/dz / dz", r.log_derivative_by_v, -g->log_slope_by_x / slope);
    for (size_t i = 0; i < g->count; i++) {
        const double x_by_u = -g->z_by[i] / slope;
        assert_near(g, "dx/du", r.out_by[i], x_by_u);
        assert_near(g, "d log dx/dz / du", r.log_derivative_by[i], -(g->log_slope_by[i] + g->log_slope_by_x * x_by_u));
    }
}

START_TEST(agrees)
{
    static golden g;
    FILE *file = fopen(golden_path("transformers.txt").text, "r");
    ck_assert_ptr_nonnull(file);
    char *line = NULL;
    size_t room = 0, lines = 0;
    while (getline(&line, &room, file) > 0) {
        read_line(line, &g);
        check_line(&g);
        lines++;
    }
    ck_assert_uint_gt(lines, 100);
    free(line);
    fclose(file);
}
END_TEST

START_TEST(interval_without_length)
{
    nf_flow *flow =
        nf_flow_parse("coupling(4,transformer=bounded_rational_quadratic(low=2,high=1))", 2, 0, AD_F64, 1, &error);
    double x[2] = {0.5, 0.5}, log_prob;
    ck_assert_msg(flow != NULL, "%s", error.message);
    ASSERT_FAILS(nf_log_prob(flow, x, NULL, 1, &log_prob, NULL, &error), AD_ERROR_ARGUMENT, "expected low < high");
    nf_flow_free(flow);
}
END_TEST

/* Draws of a uniform base stay in its interval, and have a density. */
START_TEST(stays_in_its_interval)
{
    enum { DRAWS = 2000, DIM = 3 };
    static double x[DRAWS * DIM], log_prob[DRAWS];
    const char *formula = "uniform(-1,2):(coupling(8,transformer=bounded_rational_quadratic(low=-1,high=2))-flip)*3";
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = nf_flow_parse(formula, DIM, 0, dtype, 1, &error);
        ck_assert_msg(flow != NULL, "%s", error.message);
        nf_flow_each_parameter(flow, move_parameter, &(uint64_t){0});
        nf_flow_push(flow);
        ASSERT_OK(nf_sample(flow, NULL, DRAWS, 1, x, NULL, NULL, &error));
        ASSERT_OK(nf_log_prob(flow, x, NULL, DRAWS, log_prob, NULL, &error));
        for (size_t i = 0; i < DRAWS * DIM; i++) ck_assert(x[i] >= -1 && x[i] <= 2);
        for (size_t r = 0; r < DRAWS; r++) ck_assert(isfinite(log_prob[r]));
        nf_flow_free(flow);
    }
}
END_TEST

Suite *transformers_suite(void)
{
    Suite *suite = suite_create("transformers");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, agrees);
    tcase_add_test(all, interval_without_length);
    tcase_add_test(all, stays_in_its_interval);
    suite_add_tcase(suite, all);
    return suite;
}
