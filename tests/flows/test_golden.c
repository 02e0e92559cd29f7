/* Bijectors against numbers that others computed: each line of golden/bijectors_*.csv is a formula, D, the count of its
 * trained numbers, those, z, x and log|det dx/dz|, as the script beside it tells. In formulas ; is a comma. And of
 * *_gradients.csv x, log p(x), and its gradient with respect to x and to the numbers. */
#include "flows/flow_tools.h"
#include "scratch.h"

#include <math.h>

static const char *const files[] = {"bijectors_linear.csv", "bijectors_cnf.csv", "images.csv"};
static const char *const gradient_files[] = {"cnf_gradients.csv", "images_gradients.csv"};

enum { MOST_PARAMETERS = 64 };

/* One line being read, from left to right. */
typedef struct {
    const char *file;
    size_t line;
    char *at;
} reader;

static char *next_field(reader *r)
{
    char *field = r->at, *end = field + strcspn(field, ",\n");
    ck_assert_msg(end > field, "%s:%zu ends too early", r->file, r->line);
    r->at = end + (*end != '\0');
    *end = '\0';
    return field;
}

static char *next_formula(reader *r)
{
    char *formula = next_field(r);
    for (char *c = formula; *c; c++)
        if (*c == ';') *c = ',';
    return formula;
}

static double next_number(reader *r)
{
    char *end, *field = next_field(r);
    double number = strtod(field, &end);
    ck_assert_msg(*end == '\0', "%s:%zu: '%s'", r->file, r->line, field);
    return number;
}

static double *next_numbers(reader *r, size_t count)
{
    double *number = malloc((count + 1) * sizeof *number);
    for (size_t i = 0; i < count; i++) number[i] = next_number(r);
    return number;
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

/* log p(x) and all of its gradient, of one x. */
static void check_gradient_line(reader *r)
{
    char *formula = next_formula(r);
    size_t dim = (size_t)next_number(r), count = (size_t)next_number(r);
    double *rho = next_numbers(r, count), *x = next_numbers(r, dim), *rest = rho, log_prob = next_number(r), got;
    double *expected = next_numbers(r, dim + count), *gradient = malloc((dim + count) * sizeof *gradient);
    nf_bijector *bijector = parsed(formula, dim, 1);
    nf_each_parameter(bijector, take_values, &rest);
    nf_flow *flow = nf_flow_new(NULL, bijector, AD_F64, &error);
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ad_var in = ad_input(tape, "x", AD_SHAPE(dim)), wrt[MOST_PARAMETERS + 1] = {in}, out[MOST_PARAMETERS + 2];
    const size_t n = nf_flow_trained_parameters(flow);
    ck_assert_uint_le(n, MOST_PARAMETERS);
    for (size_t i = 0; i < n; i++) wrt[i + 1] = nf_flow_bound_parameter(&at, i).var;
    out[0] = ad_to_rows(nf_flow_record_log_prob(&at, in));
    ad_grad(ad_sum_rows(out[0]), wrt, (int)n + 1, out + 1);
    ad_plan *plan = ad_plan_new(out, (int)n + 2, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    nf_flow_bind_plan(&at, plan);
    ad_plan_set_input(plan, in, x);
    ad_plan_set_output(plan, 0, &got);
    double *to = gradient;
    for (size_t i = 0; i <= n; to += ad_shape_size(ad_shape_of(wrt[i++]))) ad_plan_set_output(plan, (int)i + 1, to);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = 1}, &error));
    assert_near(r, formula, dim, "log p", &got, &log_prob, 1);
    assert_near(r, formula, dim, "its gradient", gradient, expected, dim + count);
    ad_plan_free(plan);
    ad_tape_free(tape);
    nf_flow_free(flow);
    free(rho);
    free(x);
    free(expected);
    free(gradient);
}

static void check_file(const char *name, void (*check)(reader *r))
{
    FILE *file = fopen(golden_path(name).text, "r");
    ck_assert_ptr_nonnull(file);
    char *line = NULL;
    size_t room = 0;
    reader r = {.file = name};
    while (getline(&line, &room, file) > 0) {
        r.at = line;
        r.line++;
        check(&r);
    }
    ck_assert_uint_gt(r.line, 0);
    free(line);
    fclose(file);
}

START_TEST(agrees)
{
    check_file(files[_i], check_line);
}
END_TEST

START_TEST(gradients_agree)
{
    check_file(gradient_files[_i], check_gradient_line);
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
