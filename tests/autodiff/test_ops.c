/* Every op: values against plain loops in long double, gradients against finite differences. What the table of ops
 * holds is tested; an op without samples, or without a reference, fails. */
#include "autodiff/reference.h"

#include <float.h>

/* These have no arguments to test by: see the tests that name them, of roots test_root.c, of solutions test_ode.c. */
static const char *const leaves[] = {"input",       "param",   "constant",         "row_count",
                                     "normal",      "uniform", "root_elementwise", "root_triangular",
                                     "root_general", "ode",    "ode_rows",        "ode_shared"};

static bool is_leaf(const ad_op *op)
{
    for (size_t i = 0; i < COUNT(leaves); i++)
        if (strcmp(op->name, leaves[i]) == 0) return true;
    return false;
}

/* ---- From the table of ops ----------------------------------------------------------------------------------- */

/* A sample as a problem whose leaves are the op's arguments; bit i of per_row says that argument i is. False for a
 * combination that the op isn't for. */
static bool sample_problem(const ad_op *op, const ad_sample *sample, unsigned per_row, size_t rows, problem *p,
                           ad_var *y)
{
    if (op->flags & AD_OP_SUMS_ROWS && per_row + 1 != 1u << sample->n_in) return false;
    *p = problem_new(rows, 1000 * per_row + (uint64_t)(sample - op->sample));
    for (int i = 0; i < sample->n_in; i++) bind_sample(p, per_row >> i & 1, sample, i);
    *y = ad_apply(op, p->leaf, p->n_leaf, sample->attribute, sample->n_attribute, p->tape);
    ck_assert_msg(ad_is_valid(*y), "%s", ad_tape_error(p->tape)->message);
    return true;
}

/* Call test for each sample of the op and each choice of shared and per-row arguments. */
static void for_each_sample(const ad_op *op, size_t rows, void (*test)(problem *, const ad_op *, ad_var, const char *))
{
    if (is_leaf(op)) return;
    ck_assert_msg(op->n_sample > 0, "op '%s' has no samples", op->name);
    for (const ad_sample *sample = op->sample; sample < op->sample + op->n_sample; sample++)
        for (unsigned per_row = 0; per_row < 1u << sample->n_in; per_row++) {
            problem p;
            ad_var y;
            if (!sample_problem(op, sample, per_row, rows, &p, &y)) continue;
            char what[128];
            snprintf(what, sizeof what, "op '%s', sample %td, per-row arguments 0x%x", op->name, sample - op->sample,
                     per_row);
            test(&p, op, y, what);
            problem_free(&p);
        }
}

/* Largest disagreement, over the largest expected number or 1. */
static void check_values(problem *p, const ad_op *op, ad_var y, const char *what)
{
    static const double tolerance[] = {[AD_F32] = 3e-6, [AD_F64] = 4e-15};
    const ad_sample *sample = &op->sample[p->seed % 1000];
    const double *expected =
        reference_of(p, op, p->leaf, p->value, p->n_leaf, sample->attribute, sample->n_attribute, y);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        double off = distance(value_of(p, y, dtype), expected, extent_of(p, y));
        ck_assert_msg(off <= tolerance[dtype], "%s, %s: off by %g", what, ad_dtype_name(dtype), off);
    }
}

START_TEST(values)
{
    for_each_sample(op_number(_i), 37, check_values);
    for_each_sample(op_number(_i), 1, check_values);
}
END_TEST

static bool is(const ad_op *op, const char *name)
{
    return strcmp(op->name, name) == 0;
}

static void check_first_gradient(problem *p, const ad_op *op, ad_var y, const char *what)
{
    if (is(op, "stop_gradient")) return; /* not what finite differences see */
    ad_error error;
    ck_assert_msg(check_gradient(p, y, &error) == AD_OK, "%s: %s", what, error.message);
}

START_TEST(gradients)
{
    for_each_sample(op_number(_i), 3, check_first_gradient);
    for_each_sample(op_number(_i), 19, check_first_gradient);
}
END_TEST

static void check_second_gradient(problem *p, const ad_op *op, ad_var y, const char *what)
{
    if (is(op, "stop_gradient")) return;
    ad_error error;
    ck_assert_msg(check_gradient(p, gradient_of_squares(p, y), &error) == AD_OK, "%s, second: %s", what, error.message);
}

START_TEST(second_gradients)
{
    for_each_sample(op_number(_i), 3, check_second_gradient);
}
END_TEST

static void compare_dtypes(problem *p, const ad_op *op, ad_var y, const char *what)
{
    (void)op;
    ad_var gradient[2 * MAX_PARTS];
    double *narrow[2 * MAX_PARTS], *wide[2 * MAX_PARTS];
    ad_grad(project(p, ad_square(y)), p->leaf, p->n_leaf, gradient);
    ad_grad(gradient_of_squares(p, y), p->leaf, p->n_leaf, gradient + p->n_leaf);
    evaluate(p, gradient, 2 * p->n_leaf, AD_F32, narrow);
    evaluate(p, gradient, 2 * p->n_leaf, AD_F64, wide);
    for (int i = 0; i < 2 * p->n_leaf; i++) {
        double off = distance(narrow[i], wide[i], extent_of(p, gradient[i]));
        ck_assert_msg(off <= 1e-5, "%s, gradient %d: float32 and float64 differ by %g", what, i, off);
    }
}

START_TEST(float32_gradients)
{
    for_each_sample(op_number(_i), 19, compare_dtypes);
}
END_TEST

START_TEST(leaf_ops)
{
    static const double constant[] = {1.5, -2, 0.1};
    problem p = problem_new(21, 1);
    ad_var x = bind_random(&p, true, AD_SHAPE(3), -2, 2), w = bind_random(&p, false, AD_SHAPE(3), -2, 2);
    ad_var c = ad_constant(p.tape, AD_SHAPE(3), constant), n = ad_row_count(p.tape);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        double *value[4];
        evaluate(&p, (ad_var[]){x, w, c, n}, 4, dtype, value);
        ck_assert_mem_eq(value[0], p.value[0], 21 * 3 * sizeof(double));
        ck_assert_mem_eq(value[1], p.value[1], 3 * sizeof(double));
        for (int i = 0; i < 3; i++)
            ck_assert(value[2][i] == (dtype == AD_F32 ? (double)(float)constant[i] : constant[i]));
        ck_assert(value[3][0] == 21);
    }
    problem_free(&p);
}
END_TEST

START_TEST(stop_gradient_stops)
{
    problem p = problem_new(5, 1);
    ad_var x = bind_random(&p, true, AD_SHAPE(3), -2, 2);
    double *value[2];
    evaluate(&p, (ad_var[]){ad_grad1(ad_sum(ad_mul(x, ad_stop_gradient(x))), x), x}, 2, AD_F64, value);
    ck_assert_mem_eq(value[0], value[1], 15 * sizeof(double)); /* x, not 2x */
    problem_free(&p);
}
END_TEST

/* Of all elements, whatever the shape. */
START_TEST(whole_reductions)
{
    static const ad_shape shapes[] = {{.rank = 0}, {.rank = 1, .dim = {5}}, {.rank = 3, .dim = {2, 3, 4}}};
    for (int i = 0; i < 6; i++) {
        problem p = problem_new(7, (uint64_t)i);
        ad_var x = bind_random(&p, i % 2, shapes[i / 2], -2, 2),
               y[] = {ad_sum(x), ad_mean(x), ad_max(x), ad_logsumexp(x)};
        double *value[4];
        evaluate(&p, y, 4, AD_F64, value);
        for (size_t r = 0; r < extent_of(&p, y[0]); r++) {
            double sum = 0, max = -INFINITY, exps = 0;
            for (size_t k = 0; k < size_of(x); k++) {
                double element = row_of(p.value[0], x, r)[k];
                sum += element;
                max = fmax(max, element);
                exps += exp(element);
            }
            const double expected[] = {sum, sum / (double)size_of(x), max, log(exps)};
            for (int k = 0; k < 4; k++) ck_assert_double_eq_tol(value[k][r], expected[k], 1e-14);
        }
        problem_free(&p);
    }
}
END_TEST

Suite *ops_suite(void)
{
    const int n = count_ops();
    Suite *suite = suite_create("ops");
    TCase *table = tcase_create("table");
    tcase_set_timeout(table, 60);
    tcase_add_loop_test(table, values, 0, n);
    tcase_add_loop_test(table, gradients, 0, n);
    tcase_add_loop_test(table, second_gradients, 0, n);
    tcase_add_loop_test(table, float32_gradients, 0, n);
    tcase_add_test(table, leaf_ops);
    tcase_add_test(table, stop_gradient_stops);
    tcase_add_test(table, whole_reductions);
    suite_add_tcase(suite, table);
    return suite;
}
