/* Initial value problems against what others make of them: CVODES, with its sensitivities (golden/ode.c), and the
 * exponential of a matrix, of which solutions of linear equations and their derivatives are made. */
#include "autodiff/engine.h"
#include "golden_lines.h"

typedef ad_var field(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured);

/* ---- Against CVODES ---------------------------------------------------------------------------------------------- */

static ad_var element(ad_var v, size_t i)
{
    return ad_slice(v, 0, i, i + 1);
}

/* captured, here and below: all parameters, as one vector. */
static ad_var van_der_pol(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)t;
    ad_var x = element(z, 0), y = element(z, 1), damping = ad_sub(ad_scalar(inner, 1), ad_square(x));
    return ad_concat((const ad_var[]){y, ad_sub(ad_mul(ad_mul(captured[0], damping), y), x)}, 2, 0);
}

static ad_var lotka_volterra(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)t;
    ad_var prey = element(z, 0), predator = element(z, 1), p[4];
    for (size_t i = 0; i < 4; i++) p[i] = element(captured[0], i);
    return ad_concat((const ad_var[]){ad_mul(ad_sub(p[0], ad_mul(p[1], predator)), prey),
                                      ad_mul(ad_sub(ad_mul(p[2], prey), p[3]), predator)},
                     2, 0);
}

static ad_var prothero_robinson(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner;
    ad_var fast = ad_mul(element(captured[0], 0), ad_sub(z, ad_cos(t)));
    return ad_sub(ad_neg(fast), ad_mul(element(captured[0], 1), ad_sin(t)));
}

static ad_var cnf(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner;
    enum { D = 2, H = 4 };
    static const ad_shape shapes[] = {AD_SHAPE(H, D), AD_SHAPE(H), AD_SHAPE(H), AD_SHAPE(D, H), AD_SHAPE(D)};
    ad_var p[5];
    for (size_t i = 0, at = 0, size; i < 5; i++, at += size) {
        size = ad_shape_size(shapes[i]);
        p[i] = ad_reshape(ad_slice(captured[0], 0, at, at + size), shapes[i]);
    }
    ad_var x = ad_slice(z, 0, 0, D), before = ad_add(ad_add(ad_matmul(p[0], x), ad_mul(p[1], t)), p[2]);
    ad_var rate = ad_add(ad_matmul(p[3], ad_tanh(before)), p[4]);
    ad_var divergence = ad_sum(ad_diagonal(ad_jacobian(rate, x)));
    return ad_concat((const ad_var[]){rate, ad_reshape(divergence, AD_SHAPE(1))}, 2, 0);
}

static field *field_of(const char *name)
{
    static const struct {
        const char *name;
        field *f;
    } fields[] = {{"van_der_pol", van_der_pol},
                  {"lotka_volterra", lotka_volterra},
                  {"prothero_robinson", prothero_robinson},
                  {"cnf", cnf}};
    for (size_t i = 0; i < COUNT(fields); i++)
        if (strcmp(fields[i].name, name) == 0) return fields[i].f;
    ck_abort_msg("there is no field '%s'", name);
}

/* As ad_ode_options has them, and how far from CVODES each may be: that solves with rtol = 1e-13, which leaves it some
 * 1e-11 from the solution. Steps' errors add up, and these equations let them grow. */
static const struct {
    double rtol, allowed;
    ad_dtype dtype;
} tolerances[] = {
    {1e-4, 5e-2, AD_F64},  {1e-6, 1e-4, AD_F64}, {1e-8, 1e-6, AD_F64},
    {1e-10, 1e-8, AD_F64}, {0, 2e-10, AD_F64},   {0, 1e-3, AD_F32},
};
static size_t tolerance;

static void assert_near(const reader *r, const char *name, const char *what, double got, double expected, double scale)
{
    const double allowed = tolerances[tolerance].allowed * scale;
    ck_assert_msg(fabs(got - expected) <= allowed, "%s:%zu: %s, rtol %g: %s is %.15g, expected %.15g (by %g)", r->file,
                  r->line, name, tolerances[tolerance].rtol, what, got, expected, allowed);
}

static double largest(const double *x, size_t n)
{
    double most = 1;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
    return most;
}

/* Where stability limits an explicit method's steps, and not accuracy, some of them let errors grow that the next ones
 * damp: z is good to the tolerance all the same, but the derivative of such steps as they were taken isn't. */
static bool is_at_its_limit(double stiffness)
{
    return stiffness > 10 && (tolerances[tolerance].rtol > 1e-8 || tolerances[tolerance].dtype == AD_F32);
}

static void check_line(reader *r)
{
    const char *name = next_field(r);
    const size_t dim = (size_t)next_number(r), count = (size_t)next_number(r);
    double *z0 = next_numbers(r, dim), *t = next_numbers(r, 2), *p = next_numbers(r, count), *c = next_numbers(r, dim);
    double *end = next_numbers(r, dim), *expected = next_numbers(r, dim + 2 + count), *got[5];
    problem a = problem_new(1, 0);
    ad_var begin = bind(&a, true, AD_SHAPE(dim), z0), t0 = bind(&a, true, AD_SCALAR, &t[0]);
    ad_var t1 = bind(&a, true, AD_SCALAR, &t[1]), captured = bind(&a, true, AD_SHAPE(count), p);
    const ad_ode_options options = {.rtol = tolerances[tolerance].rtol, .max_steps = 5000};
    ad_var out[5] = {ad_ode(begin, t0, t1, &captured, 1, &options, field_of(name), NULL)};
    ad_grad(ad_sum(ad_mul(out[0], ad_constant(a.tape, AD_SHAPE(dim), c))), a.leaf, 4, out + 1);
    evaluate(&a, out, 5, tolerances[tolerance].dtype, got);
    for (size_t i = 0; i < dim; i++) assert_near(r, name, "z", got[0][i], end[i], largest(end, dim));
    const char *const of[] = {"gradient by z0", "by t0", "by t1", "by a parameter"};
    const size_t size[] = {dim, 1, 1, count};
    const double *next = expected, scale = largest(expected, dim + 2 + count);
    for (int k = 0; k < 4 && !is_at_its_limit(p[0]); k++)
        for (size_t i = 0; i < size[k]; i++) assert_near(r, name, of[k], got[1 + k][i], *next++, scale);
    problem_free(&a);
    free(z0);
    free(t);
    free(p);
    free(c);
    free(end);
    free(expected);
}

START_TEST(agrees_with_cvodes)
{
    tolerance = (size_t)_i;
    check_lines("ode.csv", check_line);
}
END_TEST

/* ---- Against exponentials ---------------------------------------------------------------------------------------- */

enum { D = 3, B = 2 * D };

static void multiply(const long double a[B][B], const long double b[B][B], long double out[B][B])
{
    for (int i = 0; i < B; i++)
        for (int j = 0; j < B; j++) {
            out[i][j] = 0;
            for (int k = 0; k < B; k++) out[i][j] += a[i][k] * b[k][j];
        }
}

/* By Taylor's series of a / 2^10, squared ten times: of [[A, E], [0, A]], its upper right block is the derivative of
 * e^A in the direction E (Najfeld & Havel 1995, theorem 4.1). */
static void exponential(const long double a[B][B], long double out[B][B])
{
    enum { SQUARINGS = 10, TERMS = 20 };
    long double small[B][B], term[B][B], next[B][B];
    for (int i = 0; i < B * B; i++) {
        small[i / B][i % B] = ldexpl(a[i / B][i % B], -SQUARINGS);
        out[i / B][i % B] = term[i / B][i % B] = i / B == i % B;
    }
    for (int n = 1; n <= TERMS; n++) {
        multiply(term, small, next);
        for (int i = 0; i < B * B; i++) out[i / B][i % B] += term[i / B][i % B] = next[i / B][i % B] / n;
    }
    for (int n = 0; n < SQUARINGS; n++) {
        memcpy(term, out, sizeof term);
        multiply(term, term, out);
    }
}

/* (e^(A span) z)_i, and in by[] its derivative by each element of A. */
static void linear_exact(const double *a, double span, const double z[D], double end[D], double by[D][D * D])
{
    for (int e = 0; e < D * D; e++) {
        long double block[B][B] = {{0}}, result[B][B];
        for (int i = 0; i < D; i++)
            for (int j = 0; j < D; j++) block[i][j] = block[D + i][D + j] = (long double)a[D * i + j] * span;
        block[e / D][D + e % D] = span;
        exponential(block, result);
        for (int i = 0; i < D; i++) {
            end[i] = by[i][e] = 0;
            for (int j = 0; j < D; j++) {
                end[i] += (double)(result[i][j] * z[j]);
                by[i][e] += (double)(result[i][D + j] * z[j]);
            }
        }
    }
}

static ad_var linear(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)t;
    return ad_matmul(captured[0], z);
}

/* A is each row's own, so nothing is summed: errors show. Gradients are of Σ z_i. */
START_TEST(linear_equations)
{
    enum { ROWS = 20 };
    static const double tolerances_here[] = {1e-5, 1e-8, 0};
    const double rtol = tolerances_here[_i], allowed = 100 * fmax(rtol, 1e-13);
    problem p = problem_new(ROWS, 6);
    ad_var z0 = bind_random(&p, true, AD_SHAPE(D), -2, 2), t0 = bind_random(&p, true, AD_SCALAR, -1, 1);
    ad_var t1 = bind_random(&p, true, AD_SCALAR, -2, 2), a = bind_random(&p, true, AD_SHAPE(D, D), -2, 2);
    ad_var out[5] = {ad_ode(z0, t0, t1, &a, 1, &(ad_ode_options){.rtol = rtol}, linear, NULL)};
    ad_grad(ad_sum(out[0]), p.leaf, 4, out + 1);
    double *got[5];
    evaluate(&p, out, 5, AD_F64, got);
    for (size_t r = 0; r < ROWS; r++) {
        const double *begin = p.value[0] + D * r, *matrix = p.value[3] + D * D * r;
        const double span = p.value[2][r] - p.value[1][r];
        double end[D], by[D][D * D], speed = 0, of_unit[D], unused[D][D * D], scale = 1;
        linear_exact(matrix, span, begin, end, by);
        for (int i = 0; i < D; i++) {
            const double unit[D] = {i == 0, i == 1, i == 2};
            double column[D];
            linear_exact(matrix, span, unit, column, unused);
            of_unit[i] = column[0] + column[1] + column[2];
            for (int j = 0; j < D; j++) {
                speed += matrix[D * i + j] * end[j];
                scale = fmax(scale, fmax(fabs(column[j]), fabs(end[j])));
            }
        }
        scale *= allowed * fmax(1, fabs(span));
        for (int i = 0; i < D; i++) {
            ck_assert_double_eq_tol(got[0][D * r + (size_t)i], end[i], scale);
            ck_assert_double_eq_tol(got[1][D * r + (size_t)i], of_unit[i], scale);
        }
        ck_assert_double_eq_tol(got[2][r], -speed, 10 * scale);
        ck_assert_double_eq_tol(got[3][r], speed, 10 * scale);
        for (size_t e = 0; e < D * D; e++)
            ck_assert_double_eq_tol(got[4][D * D * r + e], by[0][e] + by[1][e] + by[2][e], 10 * scale);
    }
    problem_free(&p);
}
END_TEST

Suite *ode_references_suite(void)
{
    Suite *suite = suite_create("ode_references");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, agrees_with_cvodes, 0, COUNT(tolerances));
    tcase_add_loop_test(all, linear_equations, 0, 3);
    suite_add_tcase(suite, all);
    return suite;
}
