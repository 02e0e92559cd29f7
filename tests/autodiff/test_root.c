/* Roots: maps of every kind solved for z to rounding, in both dtypes; rows by themselves; gradients. */
#include "autodiff/maps.h"

#include <float.h>

static double epsilon_of(ad_dtype dtype)
{
    return dtype == AD_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
}

/* ---- One unknown ------------------------------------------------------------------------------------------------ */

/* f recorded, and in long double; a is captured. */
#define MAP(name, recorded, exact)                                                                                     \
    static ad_var name##_record(void *context, ad_tape *t, ad_var z, const ad_var *captured)                           \
    {                                                                                                                  \
        (void)context, (void)t;                                                                                        \
        const ad_var a = captured[0];                                                                                  \
        (void)a;                                                                                                       \
        return recorded;                                                                                               \
    }                                                                                                                  \
    static long double name##_exact(long double z, long double a)                                                      \
    {                                                                                                                  \
        (void)a;                                                                                                       \
        return exact;                                                                                                  \
    }

MAP(decreasing, ad_sub(ad_mul_scalar(z, -2), ad_tanh(z)), -2 * z - tanhl(z))
MAP(falling_ripple, ad_neg(ad_add(z, ad_mul(ad_tanh(a), ad_cos(z)))), -(z + tanhl(a) * cosl(z)))
MAP(sinh, ad_sub(ad_expm1(z), ad_expm1(ad_neg(z))), expm1l(z) - expm1l(-z))
MAP(steep, ad_mul_scalar(z, 1e6), 1e6L * z)
MAP(steep_down, ad_mul_scalar(z, -1e6), -1e6L * z)
MAP(flat, ad_mul_scalar(z, 0x1p-20), 0x1p-20L * z)
MAP(flat_down, ad_mul_scalar(ad_add(z, ad_mul_scalar(ad_sin(z), 0.5)), -0x1p-20), -0x1p-20L * (z + sinl(z) / 2))
MAP(bent, ad_leaky_relu(z, 0x1p-20), z > 0 ? z : 0x1p-20L * z)
MAP(cube, ad_mul(z, ad_square(z)), z *z *z)
MAP(shifted, ad_add_scalar(z, 1024), z + 1024)
MAP(scaled, ad_mul(z, ad_exp(a)), z *expl(a))
MAP(log, ad_log(z), logl(z))
MAP(logit, ad_sub(ad_log(z), ad_log1p(ad_neg(z))), logl(z) - log1pl(-z))
MAP(exp, ad_exp(z), expl(z))
MAP(tanh, ad_tanh(z), tanhl(z))

static long double ripple_exact(long double z, long double a)
{
    return z + tanhl(a) * sinl(z);
}

static const struct {
    const char *name;
    recorder *record;
    long double (*exact)(long double z, long double a);
    double low, high;   /* of x */
    double of_x, of_z;  /* rounding within f, in units of that of x and of z */
    double evaluations; /* at most so many, on average */
} maps[] = {
#define ENTRY(name, low, high, of_x, of_z, evaluations)                                                                \
    {                                                                                                                  \
#name, name##_record, name##_exact, low, high, of_x, of_z, evaluations                                         \
    }
    ENTRY(ripple, -1e6, 1e6, 1, 2, 8),
    ENTRY(decreasing, -1e6, 1e6, 2, 0, 10),
    ENTRY(falling_ripple, -1e3, 1e3, 1, 4, 14),
    ENTRY(sinh, -1e30, 1e30, 2, 0, 30),
    ENTRY(steep, -1e6, 1e6, 1, 0, 8),
    ENTRY(steep_down, -1e6, 1e6, 1, 0, 10),
    ENTRY(flat, -1e6, 1e6, 1, 0, 16),
    ENTRY(flat_down, -1e3, 1e3, 4, 0, 24),
    ENTRY(bent, -1e3, 1e3, 1, 0, 12),
    ENTRY(cube, -1e6, 1e6, 4, 0, 24),
    ENTRY(shifted, -1e3, 1e3, 1, 2, 8),
    ENTRY(scaled, -1e6, 1e6, 4, 0, 10),
    ENTRY(log, -20, 20, 4, 0, 30), /* its domain ends at 0, and x is not always in it */
    ENTRY(logit, -12, 4, 4, 0, 30),
    ENTRY(exp, 0, 1e30, 4, 0, 30),
    ENTRY(tanh, -0.9, 0.9, 8, 0, 10),
};

/* Evaluations of f, of rows. */
static size_t evaluations;

static void count_f32(const ad_tile *tile)
{
    evaluations += tile->valid;
    memcpy(tile->out.data, tile->in[0].data, tile->out.size * tile->rows * sizeof(float));
}

static void count_f64(const ad_tile *tile)
{
    evaluations += tile->valid;
    memcpy(tile->out.data, tile->in[0].data, tile->out.size * tile->rows * sizeof(double));
}

static const ad_op counting = {.name = "counting", .n_in = 1, .evaluate = {count_f32, count_f64}};

static ad_var counted(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    recorder *const *record = context;
    return (*record)(NULL, inner, ad_apply(&counting, &z, 1, NULL, 0, inner), captured);
}

enum { POINTS = 400 };

START_TEST(elementwise_maps)
{
    problem p = problem_new(POINTS, (uint64_t)_i);
    double *x = problem_array(&p, POINTS), *a = problem_array(&p, POINTS);
    const double low = maps[_i].low, high = maps[_i].high;
    for (size_t r = 0; r < POINTS; r++) {
        const double bound = low < 0 && (high <= 0 || draw(&p, 0, 1) < 0.5) ? low : high;
        x[r] = (double)(float)(r % 3 ? bound * draw(&p, 0, 1) : bound * exp2(draw(&p, -60, 0)));
        a[r] = (double)(float)draw(&p, -3, 3);
    }
    if (low < 0) x[0] = 0;
    x[POINTS - 1] = (double)(float)high;
    ad_var at = bind(&p, true, AD_SHAPE(1), x), parameter = bind(&p, true, AD_SHAPE(1), a);
    recorder *record = maps[_i].record;
    for (ad_root_kind kind = AD_ROOT_ELEMENTWISE; kind <= AD_ROOT_TRIANGULAR; kind++) {
        ad_var z = ad_root(at, &parameter, 1, kind, NULL, counted, &record);
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            const double epsilon = epsilon_of(dtype);
            evaluations = 0;
            double *value = value_of(&p, z, dtype);
            ck_assert_double_le((double)evaluations / POINTS, maps[_i].evaluations);
            for (size_t r = 0; r < POINTS; r++) {
                long double root = value[r], h = fabsl(root) * 1e-6L + 1e-30L;
                long double slope = fabsl(maps[_i].exact(root + h, a[r]) - maps[_i].exact(root - h, a[r])) / (2 * h);
                long double off = maps[_i].exact(root, a[r]) - x[r];
                long double allowed =
                    epsilon * (2 * slope * fabsl(root) + maps[_i].of_x * fabs(x[r]) + maps[_i].of_z * fabsl(root));
                ck_assert_msg(fabsl(off) <= allowed, "%s in %s: x = %.17g, a = %.17g: z = %.17g is off by %Lg, not %Lg",
                              maps[_i].name, ad_dtype_name(dtype), x[r], a[r], value[r], off, allowed);
            }
        }
    }
    problem_free(&p);
}
END_TEST

/* ---- Several unknowns ------------------------------------------------------------------------------------------- */

/* Worst |f(z) - x| over 1 + |x|, with f evaluated on the outer tape. */
static double worst_residual(problem *p, ad_var z, ad_var f, ad_var x, ad_dtype dtype)
{
    double *value[3], worst = 0;
    evaluate(p, (ad_var[]){ad_to_rows(f), ad_to_rows(x), ad_to_rows(z)}, 3, dtype, value);
    for (size_t i = 0; i < p->run.rows * size_of(x); i++) {
        double off = fabs(value[0][i] - value[1][i]) / (1 + fabs(value[1][i]) + fabs(value[2][i]));
        if (!(off <= worst)) worst = isnan(off) ? INFINITY : off;
    }
    return worst;
}

/* Whatever is shared and whatever each row has of its own. */
START_TEST(several_unknowns)
{
    static const staircase cases[] = {{1, {0}}, {2, {1, 0}}, {8, {3, 0, 7, 1, 2, 6, 4, 5}}, {5, {0, 1, 2, 3, 4}}};
    const bool triangular = _i < 4;
    staircase s = cases[_i % 4];
    const size_t n = s.dim;
    for (int per_row = 0; per_row < 8; per_row++) {
        problem p = problem_new(75, (uint64_t)(100 * _i + per_row));
        ad_var x = bind_random(&p, per_row & 1, AD_SHAPE(n), -9, 9);
        ad_var captured[] = {bind_random(&p, per_row & 2, AD_SHAPE(n, n), -1, 1),
                             bind_random(&p, per_row & 4, AD_SHAPE(n), -1, 1)};
        recorder *record = triangular ? triangular_record : general_record;
        ad_var z = ad_root(x, captured, 2, triangular ? AD_ROOT_TRIANGULAR : AD_ROOT_GENERAL, s.order, record, &s);
        ck_assert_msg(ad_is_valid(z), "%s", ad_tape_error(p.tape)->message);
        ck_assert(ad_is_per_row(z) == (per_row > 0) && ad_shape_equal(ad_shape_of(z), AD_SHAPE(n)));
        ad_var f = record(&s, p.tape, z, captured);
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            double off = worst_residual(&p, z, f, x, dtype);
            ck_assert_msg(off < 40 * epsilon_of(dtype), "%zu unknowns in %s: off by %g", n, ad_dtype_name(dtype), off);
        }
        problem_free(&p);
    }
}
END_TEST

/* A map that Newton's own steps don't solve. */
static ad_var flat_outside(void *context, ad_tape *t, ad_var z, const ad_var *captured)
{
    (void)context, (void)t, (void)captured;
    ad_var y = ad_tanh(ad_mul_scalar(z, 4)), other = ad_gather(z, (const size_t[]){1, 0}, 2);
    return ad_add(ad_add(y, ad_mul_scalar(z, 0.05)), ad_mul_scalar(ad_sin(other), 0.02));
}

/* And one from whose domain they lead. */
static ad_var logarithm(void *context, ad_tape *t, ad_var z, const ad_var *captured)
{
    (void)context, (void)t, (void)captured;
    ad_var first = ad_slice(z, 0, 0, 1), second = ad_slice(z, 0, 1, 2);
    ad_var y[] = {ad_add_scalar(ad_add(ad_log(first), ad_mul_scalar(second, 0.1)), 3),
                  ad_sub(second, ad_mul_scalar(first, 0.1))};
    return ad_concat(y, 2, 0);
}

START_TEST(damping)
{
    static const struct {
        recorder *record;
        double low, high;
    } cases[] = {{flat_outside, -1.2, 1.2}, {logarithm, 1, 3}};
    problem p = problem_new(200, (uint64_t)_i);
    ad_var x = bind_random(&p, true, AD_SHAPE(2), cases[_i].low, cases[_i].high);
    ad_var z = ad_root(x, NULL, 0, AD_ROOT_GENERAL, NULL, cases[_i].record, NULL);
    ad_var f = cases[_i].record(NULL, p.tape, z, NULL);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++)
        ck_assert_double_lt(worst_residual(&p, z, f, x, dtype), 10 * epsilon_of(dtype));
    problem_free(&p);
}
END_TEST

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static ad_var exp_of_all(void *context, ad_tape *t, ad_var z, const ad_var *captured)
{
    (void)context, (void)t, (void)captured;
    return ad_exp(ad_add(z, ad_mul_scalar(ad_sum(z), 0.1)));
}

static ad_var constant_map(void *context, ad_tape *t, ad_var z, const ad_var *captured)
{
    (void)context, (void)z, (void)captured;
    return ad_constant(t, AD_SHAPE(2), (double[]){1, 1});
}

/* NaN for the rows without one, whose neighbours don't notice; and where to look is told. */
START_TEST(no_root)
{
    static const struct {
        ad_root_kind kind;
        recorder *record;
        double without; /* a number that f doesn't reach */
        const char *op;
    } cases[] = {{AD_ROOT_ELEMENTWISE, tanh_record, 1.5, "root_elementwise"},
                 {AD_ROOT_ELEMENTWISE, exp_record, -0.5, "root_elementwise"},
                 {AD_ROOT_TRIANGULAR, tanh_record, -1.5, "root_triangular"},
                 {AD_ROOT_GENERAL, exp_of_all, -0.5, "root_general"},
                 {AD_ROOT_ELEMENTWISE, constant_map, 1.5, "root_elementwise"},
                 {AD_ROOT_GENERAL, identity_map, INFINITY, "root_general"},
                 {AD_ROOT_ELEMENTWISE, identity_map, NAN, "root_elementwise"}};
    for (size_t c = 0; c < COUNT(cases); c++)
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            problem p = problem_new(40, c);
            ad_var x = bind_random(&p, true, AD_SHAPE(2), 0.5, 0.9), a = bind_random(&p, false, AD_SCALAR, 1, 2);
            double *values = (double *)(uintptr_t)p.value[0];
            for (size_t i = 0; i < 80 && cases[c].record == constant_map; i++) values[i] = 1;
            ad_tape_enter(p.tape, "layer");
            ad_var z = ad_root(x, &a, 1, cases[c].kind, NULL, cases[c].record, NULL);
            ad_tape_leave(p.tape);
            double *before = value_of(&p, z, dtype);
            for (size_t i = 0; i < 80; i++) ck_assert(isfinite(before[i]));
            values[2 * 23 + c % 2] = cases[c].without;
            double *after = value_of(&p, z, dtype);
            for (size_t i = 0; i < 80; i++) ck_assert(i / 2 == 23 ? isnan(after[i]) : after[i] == before[i]);

            if (!isfinite(cases[c].without) || dtype == AD_F32) {
                problem_free(&p);
                continue;
            }
            ad_error fault;
            double result[80];
            ad_plan *plan = ad_plan_new(&z, 1, &(ad_plan_options){AD_F64, 16}, &fault);
            for (int i = 0; i < 2; i++) ad_plan_set_input(plan, p.leaf[i], p.value[i]);
            ad_plan_set_output(plan, 0, result);
            ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 40, .find_nan = true}, &fault), AD_ERROR_NUMERIC);
            ck_assert_msg(strstr(fault.message, cases[c].op) && strstr(fault.message, "row 23") &&
                              strstr(fault.message, "layer"),
                          "%s", fault.message);
            ad_plan_free(plan);
            problem_free(&p);
        }
}
END_TEST

START_TEST(rows_by_themselves)
{
    staircase s = {5, {4, 2, 0, 1, 3}};
    problem p = problem_new(100, 1);
    ad_var z = three_roots(&p, &s);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        const double *x = p.value[0], *b = p.value[2];
        double *all = value_of(&p, z, dtype);
        for (int threads = 1; threads <= 3; threads++) {
            p.run.pool = ad_pool_new(threads, NULL);
            ck_assert_mem_eq(value_of(&p, z, dtype), all, 500 * sizeof *all);
            ad_pool_free(p.run.pool);
            p.run.pool = NULL;
        }
        for (size_t tile = 32; tile <= 256; tile *= 8) {
            p.tile_rows = tile;
            ck_assert_mem_eq(value_of(&p, z, dtype), all, 500 * sizeof *all);
        }
        p.tile_rows = 16;
        for (size_t r = 0; r < 100; r += 7) {
            p.run.rows = 1;
            p.value[0] = x + 5 * r;
            p.value[2] = b + 5 * r;
            ck_assert_mem_eq(value_of(&p, z, dtype), all + 5 * r, 5 * sizeof *all);
            p.run.rows = 100;
            p.value[0] = x;
            p.value[2] = b;
        }
    }
    problem_free(&p);
}
END_TEST

/* ---- Gradients -------------------------------------------------------------------------------------------------- */

/* With respect to x and to what f captures: of the root, and of a gradient of it. */
START_TEST(gradients)
{
    staircase s = {3, {2, 0, 1}};
    for (int order = 1; order <= 2; order++) {
        problem p = problem_new(6, 3);
        ad_var x = bind_random(&p, true, AD_SHAPE(3), -2, 2);
        ad_var captured[] = {bind_random(&p, false, AD_SHAPE(3, 3), -1, 1), bind_random(&p, true, AD_SHAPE(3), -1, 1)};
        ad_var z = _i == AD_ROOT_GENERAL ? ad_root(x, captured, 2, AD_ROOT_GENERAL, NULL, general_record, NULL)
                   : _i == AD_ROOT_TRIANGULAR
                       ? ad_root(x, captured, 2, AD_ROOT_TRIANGULAR, s.order, triangular_record, &s)
                       : ad_root(x, captured + 1, 1, AD_ROOT_ELEMENTWISE, NULL, ripple_record, NULL);
        ad_var wrt[] = {x, captured[0], captured[1]}, gradient[3], parts[3];
        ad_error fault;
        if (order == 2) {
            ad_grad(ad_sum(ad_mul(z, z)), wrt, 3, gradient);
            for (int i = 0; i < 3; i++)
                parts[i] = ad_reshape(ad_to_rows(gradient[i]), AD_SHAPE(ad_shape_size(ad_shape_of(wrt[i]))));
            z = ad_concat(parts, 3, 0);
        }
        ck_assert_msg(check_gradient(&p, z, &fault) == AD_OK, "order %d: %s", order, fault.message);
        problem_free(&p);
    }
}
END_TEST

/* z + tanh(a) sin(b z) / 2 */
static ad_var twice_record(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner;
    ad_var wave = ad_sin(ad_mul(ad_tanh(captured[1]), z));
    return ad_add(z, ad_mul_scalar(ad_mul(ad_tanh(captured[0]), wave), 0.5));
}

/* Captured values that are made of one another, and of x, and one that is captured twice. */
START_TEST(gradients_of_what_depends)
{
    for (int same = 0; same < 2; same++) {
        problem p = problem_new(6, 5);
        ad_var x = bind_random(&p, true, AD_SHAPE(3), -2, 2), a = bind_random(&p, true, AD_SHAPE(3), -1, 1);
        ad_var captured[] = {a, same ? a : ad_add(ad_mul(a, x), x)};
        ad_var z = ad_root(x, captured, 2, (ad_root_kind)_i, NULL, twice_record, NULL);
        ad_error fault;
        ck_assert_msg(check_gradient(&p, ad_mul(z, z), &fault) == AD_OK, "%s", fault.message);
        problem_free(&p);
    }
}
END_TEST

/* f(z) = z: what is captured comes behind it on the inner tape. */
static ad_var identity_record(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)captured;
    return z;
}

START_TEST(gradients_of_the_identity)
{
    problem p = problem_new(6, 4);
    ad_var x = bind_random(&p, true, AD_SHAPE(3), -2, 2), captured[20];
    for (size_t i = 0; i < COUNT(captured); i++) captured[i] = x;
    ad_var z = ad_root(x, captured, COUNT(captured), (ad_root_kind)_i, NULL, identity_record, NULL);
    ad_error fault;
    ck_assert_msg(check_gradient(&p, ad_mul(z, z), &fault) == AD_OK, "%s", fault.message);
    problem_free(&p);
}
END_TEST

/* f(z) = sinh z, whose inverse is arsinh. */
static ad_var hyperbolic_sine(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)captured;
    return ad_mul_scalar(ad_sub(ad_exp(z), ad_exp(ad_neg(z))), 0.5);
}

START_TEST(higher_derivatives)
{
    enum { ROWS = 20, ORDERS = 4 };
    problem p = problem_new(ROWS, 9);
    ad_var x = bind_random(&p, true, AD_SHAPE(1), -2, 2), d[ORDERS + 1];
    d[0] = ad_root(x, NULL, 0, AD_ROOT_ELEMENTWISE, NULL, hyperbolic_sine, NULL);
    for (int k = 1; k <= ORDERS; k++) d[k] = ad_grad1(ad_sum(d[k - 1]), x);
    double *value[ORDERS + 1];
    evaluate(&p, d, ORDERS + 1, AD_F64, value);
    for (size_t r = 0; r < ROWS; r++) {
        double at = p.value[0][r], q = 1 + at * at;
        const double expected[] = {asinh(at), pow(q, -0.5), -at * pow(q, -1.5), (2 * at * at - 1) * pow(q, -2.5),
                                   (9 * at - 6 * at * at * at) * pow(q, -3.5)};
        for (int k = 0; k <= ORDERS; k++)
            ck_assert_msg(fabs(value[k][r] - expected[k]) <= 1e-13, "derivative %d: %.17g, expected %.17g", k,
                          value[k][r], expected[k]);
    }
    problem_free(&p);
}
END_TEST

Suite *root_suite(void)
{
    Suite *suite = suite_create("root");
    TCase *one = tcase_create("one unknown");
    tcase_add_loop_test(one, elementwise_maps, 0, COUNT(maps));
    suite_add_tcase(suite, one);
    TCase *several = tcase_create("several unknowns");
    tcase_set_timeout(several, 60);
    tcase_add_loop_test(several, several_unknowns, 0, 8);
    tcase_add_loop_test(several, damping, 0, 2);
    tcase_add_test(several, no_root);
    tcase_add_test(several, rows_by_themselves);
    tcase_add_loop_test(several, gradients, 0, 3);
    tcase_add_loop_test(several, gradients_of_the_identity, 0, 3);
    tcase_add_loop_test(several, gradients_of_what_depends, 0, 3);
    tcase_add_test(several, higher_derivatives);
    suite_add_tcase(suite, several);
    return suite;
}
