/* Bijectors against numbers that others computed: each line of golden/bijectors_*.csv is a formula, D, the count of its
 * trained numbers, those, z, x and log|det dx/dz|, as the script beside it tells. In formulas ; is a comma. And of
 * *_gradients.csv, where C follows D, x, the context, log p(x), and its gradient by x, by the numbers and by the
 * context. */
#include "flows/flow_tools.h"
#include "golden_lines.h"

#include <math.h>

static const char *const files[] = {"bijectors_linear.csv", "bijectors_cnf.csv", "images.csv"};
static const char *const gradient_files[] = {"cnf_gradients.csv", "images_gradients.csv"};

enum { MOST_PARAMETERS = 64 };

static char *next_formula(reader *r)
{
    char *formula = next_field(r);
    for (char *c = formula; *c; c++)
        if (*c == ';') *c = ',';
    return formula;
}

static bool take_values(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    double **from = context;
    size_t size = ad_shape_size(parameter->spec.shape);
    memcpy(parameter->value, *from, size * sizeof(double));
    *from += size;
    return true;
}

static void assert_near(const reader *r, const char *formula, size_t dim, const char *what, const double *got,
                        const double *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabs(got[i] - expected[i]) <= 1e-10 * fmax(1, fabs(expected[i])),
                      "%s:%zu: %s at D = %zu, %s: %.17g, expected %.17g", r->file, r->line, formula, dim, what, got[i],
                      expected[i]);
}

static void check_line(reader *r)
{
    char *formula = next_formula(r);
    size_t dim = (size_t)next_number(r), count = (size_t)next_number(r);
    double *rho = next_numbers(r, count), *z = next_numbers(r, dim), *x = next_numbers(r, dim), *rest = rho;
    double log_det = next_number(r), got_log_det, *got = malloc(dim * sizeof *got);

    nf_bijector *bijector = parsed(formula, dim, 1);
    nf_each_parameter(bijector, take_values, &rest);
    ck_assert_msg(rest == rho + count, "%s:%zu: %s has %zu numbers", r->file, r->line, formula, (size_t)(rest - rho));
    nf_flow *flow = nf_flow_new(NULL, bijector, AD_F64, &error);
    ASSERT_OK(nf_transform(flow, false, z, NULL, 1, got, &got_log_det, NULL, &error));
    assert_near(r, formula, dim, "x", got, x, dim);
    assert_near(r, formula, dim, "log-det", &got_log_det, &log_det, 1);
    ASSERT_OK(nf_transform(flow, true, x, NULL, 1, got, &got_log_det, NULL, &error));
    log_det = -log_det;
    assert_near(r, formula, dim, "z", got, z, dim);
    assert_near(r, formula, dim, "log-det of the inverse", &got_log_det, &log_det, 1);

    nf_flow_free(flow);
    free(rho);
    free(z);
    free(x);
    free(got);
}

/* log p(x) and all of its gradient, of one x and its context. */
static void check_gradient_line(reader *r)
{
    char *formula = next_formula(r);
    size_t dim = (size_t)next_number(r), size = (size_t)next_number(r), count = (size_t)next_number(r);
    double *rho = next_numbers(r, count), *x = next_numbers(r, dim), *context = next_numbers(r, size), *rest = rho;
    double log_prob = next_number(r), got, *expected = next_numbers(r, dim + count + size);
    double *gradient = malloc((dim + count + size) * sizeof *gradient);
    nf_flow *flow = nf_flow_parse(formula, dim, size, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    nf_each_parameter(nf_flow_bijector(flow), take_values, &rest);
    ck_assert_msg(rest == rho + count, "%s:%zu: %s has %zu numbers", r->file, r->line, formula, (size_t)(rest - rho));
    nf_flow_push(flow);
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var in = ad_input(tape, "x", AD_SHAPE(dim)), given = nf_context(at.bijector), wrt[MOST_PARAMETERS + 2] = {in};
    ad_var out[MOST_PARAMETERS + 3];
    int n = 1;
    ck_assert_uint_le(nf_flow_trained_parameters(flow), MOST_PARAMETERS);
    for (size_t i = 0; i < nf_flow_trained_parameters(flow); i++) wrt[n++] = nf_flow_bound_parameter(&at, i).var;
    if (size) wrt[n++] = given;
    out[0] = ad_to_rows(nf_flow_record_log_prob(&at, in));
    ad_grad(ad_sum_rows(out[0]), wrt, n, out + 1);
    ad_plan *plan = ad_plan_new(out, n + 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    nf_flow_bind_plan(&at, plan);
    ad_plan_set_input(plan, in, x);
    if (size) ad_plan_set_input(plan, given, context);
    ad_plan_set_output(plan, 0, &got);
    double *to = gradient;
    for (int i = 0; i < n; to += ad_shape_size(ad_shape_of(wrt[i++]))) ad_plan_set_output(plan, i + 1, to);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = 1}, &error));
    assert_near(r, formula, dim, "log p", &got, &log_prob, 1);
    assert_near(r, formula, dim, "its gradient", gradient, expected, dim + count + size);
    ad_plan_free(plan);
    ad_tape_free(tape);
    nf_flow_free(flow);
    free(rho);
    free(x);
    free(context);
    free(expected);
    free(gradient);
}

START_TEST(agrees)
{
    check_lines(files[_i], check_line);
}
END_TEST

START_TEST(gradients_agree)
{
    check_lines(gradient_files[_i], check_gradient_line);
}
END_TEST

Suite *golden_suite(void)
{
    Suite *suite = suite_create("golden");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, agrees, 0, COUNT(files));
    tcase_add_loop_test(all, gradients_agree, 0, COUNT(gradient_files));
    suite_add_tcase(suite, all);
    return suite;
}
