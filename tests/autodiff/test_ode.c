/* Initial value problems: solutions and gradients that are known exactly, rows by themselves, rows that fail, mistakes.
 */
#include "autodiff/engine.h"
#include "scratch.h"

#include <stdatomic.h>

/* ---- Exact solutions -------------------------------------------------------------------------------------------- */

/* dz/dt = [[a, -w], [w, a]] z: z turns with w and grows with a. */
static ad_var spiral(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)t;
    ad_var x = ad_slice(z, 0, 0, 1), y = ad_slice(z, 0, 1, 2), a = captured[0], w = captured[1];
    return ad_concat((const ad_var[]){ad_sub(ad_mul(a, x), ad_mul(w, y)), ad_add(ad_mul(w, x), ad_mul(a, y))}, 2, 0);
}

static void spiral_exact(const double z[2], double a, double w, double t, double out[2])
{
    out[0] = exp(a * t) * (cos(w * t) * z[0] - sin(w * t) * z[1]);
    out[1] = exp(a * t) * (sin(w * t) * z[0] + cos(w * t) * z[1]);
}

enum { ROWS = 70 };

/* z0, t0 and t1 of each row; a and w are shared. */
static ad_var spiral_problem(problem *p, const ad_ode_options *options)
{
    ad_var z0 = bind_random(p, true, AD_SHAPE(2), -2, 2), t0 = bind_random(p, true, AD_SCALAR, -1, 1);
    ad_var t1 = bind_random(p, true, AD_SCALAR, -2, 3);
    ad_var captured[] = {bind_random(p, false, AD_SCALAR, -0.7, 0.4), bind_random(p, false, AD_SCALAR, 1, 4)};
    return ad_ode(z0, t0, t1, captured, 2, options, spiral, NULL);
}

START_TEST(errors_follow_the_tolerance)
{
    static const double tolerances[] = {1e-3, 1e-5, 1e-6, 1e-8, 1e-10, 1e-12, 0};
    const double tolerance = tolerances[_i];
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        problem p = problem_new(ROWS, (uint64_t)_i);
        ad_var z = spiral_problem(&p, &(ad_ode_options){.rtol = tolerance});
        const double *got = value_of(&p, z, dtype), *a = p.value[3], *w = p.value[4];
        const double least = dtype == AD_F32 ? 1e-6 : 1e-14, usual = dtype == AD_F32 ? 1e-5 : 1e-12;
        const double allowed = 60 * fmax(tolerance > 0 ? tolerance : usual, least);
        for (size_t r = 0; r < ROWS; r++) {
            double expected[2];
            spiral_exact(p.value[0] + 2 * r, *a, *w, p.value[2][r] - p.value[1][r], expected);
            for (int i = 0; i < 2; i++)
                ck_assert_double_eq_tol(got[2 * r + (size_t)i], expected[i], allowed * fmax(1, fabs(expected[i])));
        }
        problem_free(&p);
    }
}
END_TEST

/* Derivatives of c·z1: with respect to z0, t0, t1, a and w. */
START_TEST(gradients_are_exact)
{
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        problem p = problem_new(ROWS, 3);
        ad_var z = spiral_problem(&p, NULL), gradient[5];
        const double c[] = {1.5, -0.5}, tolerance = dtype == AD_F32 ? 2e-3 : 2e-10;
        ad_var y = ad_sum_rows(ad_sum(ad_mul(z, ad_constant(p.tape, AD_SHAPE(2), c))));
        ad_grad(y, p.leaf, 5, gradient);
        double *got[5], of_a = 0, of_w = 0;
        evaluate(&p, gradient, 5, dtype, got);
        const double a = *p.value[3], w = *p.value[4];
        for (size_t r = 0; r < ROWS; r++) {
            const double span = p.value[2][r] - p.value[1][r];
            double end[2], back[2], turned = 0, grown = 0;
            spiral_exact(p.value[0] + 2 * r, a, w, span, end);
            spiral_exact(c, a, -w, span, back); /* the transposed matrix */
            turned = c[1] * end[0] - c[0] * end[1];
            grown = c[0] * end[0] + c[1] * end[1];
            for (int i = 0; i < 2; i++)
                ck_assert_double_eq_tol(got[0][2 * r + (size_t)i], back[i], tolerance * fmax(1, fabs(back[i])));
            const double of_t = a * grown + w * turned;
            ck_assert_double_eq_tol(got[1][r], -of_t, tolerance * fmax(1, fabs(of_t)));
            ck_assert_double_eq_tol(got[2][r], of_t, tolerance * fmax(1, fabs(of_t)));
            of_a += span * grown;
            of_w += span * turned;
        }
        ck_assert_double_eq_tol(*got[3], of_a, 10 * tolerance * fmax(1, fabs(of_a)));
        ck_assert_double_eq_tol(*got[4], of_w, 10 * tolerance * fmax(1, fabs(of_w)));
        problem_free(&p);
    }
}
END_TEST

/* dz/dt = -k (z - cos t), k of each row. */
static ad_var relaxation(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner;
    return ad_mul(captured[0], ad_sub(ad_cos(t), z));
}

static double relaxation_exact(double z0, double k, double t)
{
    const double size = 1 + k * k, start = k * k / size;
    return (z0 - start) * exp(-k * t) + (k * k * cos(t) + k * sin(t)) / size;
}

/* Fast ones take as many steps as they need, and become NaN where they may not, alone. */
START_TEST(stiff_rows)
{
    problem p = problem_new(40, 5);
    double *k = problem_array(&p, 40);
    for (size_t r = 0; r < 40; r++) k[r] = pow(10, (double)(r % 4));
    ad_var z0 = bind_random(&p, true, AD_SHAPE(1), -2, 2), rate = bind(&p, true, AD_SCALAR, k);
    ad_var t0 = ad_scalar(p.tape, 0), t1 = ad_scalar(p.tape, 2);
    ad_var z[] = {ad_ode(z0, t0, t1, &rate, 1, &(ad_ode_options){.max_steps = 5000}, relaxation, NULL),
                  ad_ode(z0, t0, t1, &rate, 1, NULL, relaxation, NULL)};
    ad_var gradient[] = {z[0], z[1], ad_grad1(ad_sum(z[0]), z0), ad_grad1(ad_sum(z[1]), z0)};
    double *value[4];
    evaluate(&p, gradient, 4, AD_F64, value);
    for (size_t r = 0; r < 40; r++) {
        ck_assert_double_eq_tol(value[0][r], relaxation_exact(p.value[0][r], k[r], 2), 1e-10);
        ck_assert_double_eq_tol(value[2][r], exp(-2 * k[r]), 1e-10);
        ck_assert(k[r] > 500 ? isnan(value[1][r]) && isnan(value[3][r])
                             : value[1][r] == value[0][r] && value[3][r] == value[2][r]);
    }
    problem_free(&p);
}
END_TEST

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

/* A small network of z and t, with what each row has of its own. */
static ad_var network(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner;
    ad_var h = ad_tanh(ad_add(ad_add(ad_matmul(captured[0], z), ad_mul(captured[1], t)), captured[2]));
    return ad_matmul(ad_transpose(captured[0]), h);
}

static ad_var network_problem(problem *p, const ad_ode_options *options)
{
    ad_var z0 = bind_random(p, true, AD_SHAPE(3), -2, 2);
    ad_var captured[] = {bind_random(p, false, AD_SHAPE(6, 3), -1.5, 1.5), bind_random(p, false, AD_SHAPE(6), -3, 3),
                         bind_random(p, true, AD_SHAPE(6), -3, 3)};
    ad_var t0 = bind_random(p, false, AD_SCALAR, 0.2, 0.4), t1 = bind_random(p, true, AD_SCALAR, -2, 2);
    return ad_ode(z0, t0, t1, captured, 3, options, network, NULL);
}

START_TEST(gradients_against_differences)
{
    problem p = problem_new(9, (uint64_t)_i);
    ad_error fault;
    ad_var z = network_problem(&p, NULL);
    ck_assert_msg(check_gradient(&p, project(&p, z), &fault) == AD_OK, "%s", fault.message);
    problem_free(&p);
}
END_TEST

/* A row's bits are the same alone and among others, in any tile; sums' on any number of threads. */
START_TEST(rows_by_themselves)
{
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        problem p = problem_new(150, 8);
        ad_var z = network_problem(&p, NULL), out[3] = {z}, wrt[] = {p.leaf[0], p.leaf[1]};
        ad_grad(project(&p, ad_square(z)), wrt, 2, out + 1);
        double *all[3], *again[3];
        p.tile_rows = 64;
        evaluate(&p, out, 3, dtype, all);
        for (int threads = 2; threads <= 4; threads++) {
            p.run.pool = ad_pool_new(threads, NULL);
            evaluate(&p, out, 3, dtype, again);
            for (int i = 0; i < 3; i++) ck_assert_mem_eq(all[i], again[i], extent_of(&p, out[i]) * sizeof(double));
            ad_pool_free(p.run.pool);
        }
        p.run.pool = NULL;
        p.tile_rows = 16;
        p.run.rows = 1;
        for (uint32_t r = 0; r < 150; r += 37) {
            p.run.index = &r;
            evaluate(&p, out, 2, dtype, again);
            for (int i = 0; i < 2; i++) ck_assert_mem_eq(all[i] + 3 * r, again[i], 3 * sizeof(double));
        }
        problem_free(&p);
    }
}
END_TEST

START_TEST(special_rows)
{
    static const double z0[] = {1, NAN, 2, INFINITY, -3}, t1[] = {0, 1, 1, 1, 0};
    problem p = problem_new(5, 1);
    const double one = 1;
    ad_var z = bind(&p, true, AD_SHAPE(1), z0), end = bind(&p, true, AD_SCALAR, t1),
           k = bind(&p, false, AD_SCALAR, &one);
    ad_var solved = ad_ode(z, ad_scalar(p.tape, 0), end, &k, 1, NULL, relaxation, NULL);
    ad_var out[] = {solved, ad_grad1(ad_sum(solved), z), ad_grad1(ad_sum_rows(ad_sum(solved)), k)};
    double *value[3];
    evaluate(&p, out, 3, AD_F64, value);
    ck_assert(value[0][0] == 1 && value[0][4] == -3 && value[1][0] == 1 && value[1][4] == 1);
    ck_assert_double_eq_tol(value[0][2], relaxation_exact(2, 1, 1), 1e-11);
    for (int i = 1; i < 4; i += 2) ck_assert(isnan(value[0][i]) && isnan(value[1][i]));
    ck_assert(isnan(*value[2]));
    problem_free(&p);
}
END_TEST

/* A run that looks for NaN names the first row without a solution: one that is stiff, one whose solution leaves for
 * infinity before t1, one whose rate isn't a number. */
static ad_var explodes(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)t;
    return ad_mul(captured[0], ad_square(z));
}

static ad_var root_of(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)t;
    return ad_neg(ad_mul(captured[0], ad_sqrt(z)));
}

START_TEST(failed_rows_are_named)
{
    static const struct {
        ad_var (*f)(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured);
        double k; /* of row 2; of the others it is 0.1 */
    } cases[] = {{relaxation, 1e5}, {explodes, 4}, {root_of, 9}};
    double k[] = {0.1, 0.1, cases[_i].k, 0.1}, z0[] = {1, 1, 1, 1}, got[4];
    problem p = problem_new(4, 0);
    ad_var begin = bind(&p, true, AD_SHAPE(1), z0), rate = bind(&p, true, AD_SCALAR, k);
    ad_tape_enter(p.tape, "outer");
    ad_var z = ad_ode(begin, ad_scalar(p.tape, 0), ad_scalar(p.tape, 1), &rate, 1, NULL, cases[_i].f, NULL);
    ad_tape_leave(p.tape);
    ad_error fault = {AD_OK, ""};
    ad_plan *plan = ad_plan_new(&z, 1, &(ad_plan_options){.dtype = AD_F64}, &fault);
    ad_plan_set_input(plan, begin, z0);
    ad_plan_set_input(plan, rate, k);
    ad_plan_set_output(plan, 0, got);
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 4}, &fault), AD_OK);
    for (int r = 0; r < 4; r++) ck_assert(isnan(got[r]) == (r == 2));
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 4, .find_nan = true}, &fault), AD_ERROR_NUMERIC);
    ck_assert_msg(strstr(fault.message, "op 'ode'") && strstr(fault.message, "in outer") &&
                      strstr(fault.message, "in row 2"),
                  "%s", fault.message);
    ad_plan_free(plan);
    problem_free(&p);
}
END_TEST

/* ---- Work -------------------------------------------------------------------------------------------------------- */

static atomic_size_t evaluations; /* of the op below, on any number of rows */

static void count_evaluation(size_t n, const void *const in[], const size_t stride[], void *out,
                             const double *attribute)
{
    (void)stride, (void)attribute;
    evaluations++;
    memcpy(out, in[0], n * sizeof(double));
}

static void pass_on(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call, (void)y;
    gradient[0] = g;
}

static const ad_op counted = {
    .name = "counted", .n_in = 1, .flags = AD_OP_ELEMENTWISE, .loop = {NULL, count_evaluation}, .vjp = pass_on};

static ad_var counted_network(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    return ad_apply(&counted, (ad_var[]){network(context, inner, t, z, captured)}, 1, NULL, 0, inner);
}

/* Beside z, gradients of what is shared and of what is per-row go back through the steps that z took: they evaluate f
 * where these begin, and don't look for them again. */
START_TEST(steps_are_found_once)
{
    problem p = problem_new(40, 3);
    ad_var z0 = bind_random(&p, true, AD_SHAPE(3), -2, 2);
    ad_var captured[] = {bind_random(&p, false, AD_SHAPE(6, 3), -1.5, 1.5), bind_random(&p, false, AD_SHAPE(6), -3, 3),
                         bind_random(&p, false, AD_SHAPE(6), -3, 3)};
    ad_var z = ad_ode(z0, ad_scalar(p.tape, 0), ad_scalar(p.tape, 1), captured, 3, &(ad_ode_options){.rtol = 1e-6},
                      counted_network, NULL);
    ad_var out[3] = {z}, wrt[] = {captured[0], z0};
    ad_grad(ad_sum(ad_square(z)), wrt, 2, out + 1);
    size_t before[3];
    for (int count = 1; count <= 3; count++) {
        double *value[3];
        evaluations = 0;
        evaluate(&p, out, count, AD_F64, value);
        before[count - 1] = evaluations;
    }
    ck_assert_uint_gt(before[0], 0);
    ck_assert_uint_lt(before[1], 2 * before[0]);
    ck_assert_uint_lt(before[2], 3 * before[0]);
    problem_free(&p);
}
END_TEST

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

/* Of the first ones each, of later ones some. What is told is that memory was out; or, where there was none for the
 * steps that the gradient keeps, it is NaN. */
START_TEST(every_allocation_fails)
{
    static const double z0[3] = {1, 2, 3}, w[18] = {0.5}, b[6] = {0.25}, zero = 0, one = 1;
    const void *values[] = {z0, w, b, b, &zero, &one};
    bool denied = true;
    for (size_t allowed = 0; denied; allowed += 1 + allowed / 16) {
        double gradient[18];
        problem p = problem_new(1, 0);
        ad_error fault = {AD_OK, ""};
        memory_limit(allowed);
        ad_var z = network_problem(&p, &(ad_ode_options){.rtol = 1e-3}),
               g = ad_grad1(ad_sum_rows(ad_sum(z)), p.leaf[1]);
        ad_plan *plan = ad_plan_new(&g, 1, &(ad_plan_options){.dtype = AD_F64}, &fault);
        if (plan) {
            for (int k = 0; k < p.n_leaf; k++) ad_plan_set_input(plan, p.leaf[k], values[k]);
            ad_plan_set_output(plan, 0, gradient);
            fault.status = ad_plan_run(plan, &(ad_run){.rows = 1}, &fault);
        }
        denied = memory.denied;
        memory_unlimited();
        const bool kept_none = denied && fault.status == AD_OK && isnan(gradient[0]);
        ck_assert_msg(kept_none || fault.status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu allocations: %s",
                      allowed, fault.message);
        if (plan && denied) ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 1}, NULL), AD_OK);
        ck_assert(!plan || isfinite(gradient[0]));
        ad_plan_free(plan);
        problem_free(&p);
    }
}
END_TEST

/* ---- Mistakes ---------------------------------------------------------------------------------------------------- */

static ad_var wrong_shape(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)t, (void)captured;
    return ad_sum(z);
}

static ad_var mixes_rows(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)t, (void)captured;
    return ad_sub(z, ad_sum_rows(z));
}

START_TEST(mistakes)
{
    typedef ad_var function(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured);
    ad_tape *other = ad_tape_new();
    ad_var foreign = ad_scalar(other, 1);
    for (int i = 0;; i++) {
        ad_tape *tape = ad_tape_new();
        ad_var z = ad_input(tape, "z", AD_SHAPE(2)), m = ad_param(tape, "m", AD_SHAPE(2, 2)), zero = ad_scalar(tape, 0);
        const struct {
            ad_var z0, t1;
            ad_ode_options options;
            function *f;
            const char *words;
        } cases[] = {
            {m, zero, {0}, network, "ode: z0 has shape (2,2): takes (D)"},
            {z, z, {0}, network, "ode: t1 has shape (2): takes ()"},
            {z, foreign, {0}, network, "argument 3 is not a value of this tape"},
            {z, zero, {.rtol = -1}, network, "rtol is -1 and atol 0: expected 0 or more"},
            {z, zero, {.rtol = 1}, network, "rtol less than 1"},
            {z, zero, {.atol = NAN}, network, "expected 0 or more"},
            {z, zero, {0}, NULL, "ode: f is NULL"},
            {z, zero, {0}, wrong_shape, "ode: f must give a value of the inner tape, of shape (2); got ()"},
            {z, zero, {0}, mixes_rows, "f may not use 'sum_rows'"},
        };
        if (i == COUNT(cases)) {
            ad_tape_free(tape);
            break;
        }
        ad_tape_enter(tape, "outer");
        ad_var end = ad_ode(cases[i].z0, zero, cases[i].t1, &m, 1, &cases[i].options, cases[i].f, NULL);
        ck_assert(!ad_is_valid(end));
        const ad_error *fault = ad_tape_error(tape);
        ck_assert_msg(fault && strstr(fault->message, cases[i].words) && strstr(fault->message, "in outer: "),
                      "'%s' is not in: %s", cases[i].words, fault ? fault->message : "");
        ad_tape_free(tape);
    }
    ad_tape_free(other);
}
END_TEST

START_TEST(no_second_derivatives)
{
    problem p = problem_new(3, 1);
    ad_var z = network_problem(&p, NULL), first = ad_grad1(ad_sum(z), p.leaf[0]);
    ck_assert(ad_is_valid(first));
    ad_var second = ad_grad1(ad_sum(ad_square(first)), p.leaf[0]);
    ck_assert(!ad_is_valid(second));
    ck_assert(strstr(ad_tape_error(p.tape)->message, "no second derivative"));
    problem_free(&p);
}
END_TEST

Suite *ode_suite(void)
{
    Suite *suite = suite_create("ode");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, errors_follow_the_tolerance, 0, 7);
    tcase_add_test(all, gradients_are_exact);
    tcase_add_test(all, stiff_rows);
    tcase_add_loop_test(all, gradients_against_differences, 0, 3);
    tcase_add_test(all, rows_by_themselves);
    tcase_add_test(all, special_rows);
    tcase_add_loop_test(all, failed_rows_are_named, 0, 3);
    tcase_add_test(all, steps_are_found_once);
    tcase_add_test(all, every_allocation_fails);
    tcase_add_test(all, mistakes);
    tcase_add_test(all, no_second_derivatives);
    suite_add_tcase(suite, all);
    return suite;
}
