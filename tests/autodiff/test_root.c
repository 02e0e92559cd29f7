/* Roots: maps of every kind solved for z to rounding, in both dtypes; rows by themselves; lifetimes. */
#include "autodiff/engine.h"
#include "scratch.h"

#include <float.h>

typedef ad_var recorder(void *context, ad_tape *inner, ad_var z, const ad_var *captured);

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

MAP(ripple, ad_add(z, ad_mul(ad_tanh(a), ad_sin(z))), z + tanhl(a) * sinl(z))
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

/* f_i = ±z_i e^(tanh of earlier ones) + z_i³/9 + a function of the earlier ones and of a, in the order of context. */
typedef struct {
    size_t dim, order[8];
} staircase;

static ad_var triangular_record(void *context, ad_tape *t, ad_var z, const ad_var *captured)
{
    const staircase *s = context;
    const size_t n = s->dim;
    double earlier[64] = {0}, sign[8], place[8];
    for (size_t k = 0; k < n; k++) place[s->order[k]] = (double)k;
    for (size_t i = 0; i < n; i++) {
        sign[i] = i % 3 == 1 ? -1 : 1;
        for (size_t j = 0; j < n; j++) earlier[i * n + j] = place[j] < place[i] ? 0.7 : 0;
    }
    ad_var mask = ad_constant(t, AD_SHAPE(n, n), earlier), weight = ad_mul(captured[0], mask);
    ad_var h = ad_matmul(weight, ad_tanh(ad_add(z, captured[1])));
    ad_var own = ad_add(ad_mul(z, ad_exp(ad_tanh(h))), ad_mul_scalar(ad_mul(z, ad_square(z)), 1 / 9.));
    return ad_add(ad_mul(own, ad_constant(t, AD_SHAPE(n), sign)), ad_sin(h));
}

/* Smooth and one to one, for z + 3 Bᵀ tanh(B z) / |B|² has a positive definite Jacobian; with no zeros in its own. */
static ad_var general_record(void *context, ad_tape *t, ad_var z, const ad_var *captured)
{
    (void)context, (void)t;
    ad_var b = captured[0], size = ad_sum(ad_square(b)), inner = ad_tanh(ad_matmul(b, z));
    ad_var push = ad_div(ad_matmul(ad_transpose(b), inner), size);
    ad_var y = ad_add(ad_add(z, ad_mul_scalar(push, 3)), captured[1]);
    y = ad_add(y, ad_mul_scalar(ad_mul(y, ad_square(y)), 0.02));
    return ad_sub(ad_mul_scalar(y, 1.2), ad_mul_scalar(ad_cumsum(y, 0, true), 0.2));
}

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

static ad_var identity_map(void *context, ad_tape *t, ad_var z, const ad_var *captured)
{
    (void)context, (void)t, (void)captured;
    return z;
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

/* The three kinds, one after the other. */
static ad_var three_roots(problem *p, staircase *s)
{
    ad_var x = bind_random(p, true, AD_SHAPE(5), -3, 3);
    ad_var captured[] = {bind_random(p, false, AD_SHAPE(5, 5), -1, 1), bind_random(p, true, AD_SHAPE(5), -1, 1)};
    ad_var z = ad_root(x, captured, 2, AD_ROOT_TRIANGULAR, s->order, triangular_record, s);
    z = ad_root(z, captured, 2, AD_ROOT_GENERAL, NULL, general_record, NULL);
    return ad_root(z, captured + 1, 1, AD_ROOT_ELEMENTWISE, NULL, ripple_record, NULL);
}

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

/* ---- Roots within roots, lifetimes, memory ---------------------------------------------------------------------- */

/* The inverse of a ripple, as f. */
static ad_var inner_root(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner;
    return ad_root(z, captured, 1, AD_ROOT_ELEMENTWISE, NULL, ripple_record, NULL);
}

START_TEST(roots_within_roots)
{
    problem p = problem_new(50, 4);
    ad_var x = bind_random(&p, true, AD_SHAPE(2), -3, 3), a = bind_random(&p, true, AD_SHAPE(2), -1, 1);
    ad_var z = ad_root(x, &a, 1, AD_ROOT_ELEMENTWISE, NULL, inner_root, NULL),
           ripple = ripple_record(NULL, NULL, x, &a);
    double *value[2];
    evaluate(&p, (ad_var[]){z, ripple}, 2, AD_F64, value);
    for (size_t i = 0; i < 100; i++) ck_assert_double_eq_tol(value[0][i], value[1][i], 2e-14);
    problem_free(&p);
}
END_TEST

/* Counts calls, and blocks in use. */
static struct {
    _Atomic size_t calls, blocks;
} counted_memory;

static void *count_allocate(size_t bytes)
{
    counted_memory.calls++;
    counted_memory.blocks++;
    return malloc(bytes);
}

static void count_release(void *address)
{
    counted_memory.blocks--;
    free(address);
}

static void *count_reallocate(void *old, size_t bytes)
{
    counted_memory.calls++;
    if (!old) counted_memory.blocks++;
    return realloc(old, bytes);
}

/* Plans outlive the tape, and the last of them takes the inner programs along; runs after the first allocate nothing.
 */
START_TEST(lifetimes)
{
    enum { ROWS = 100 };
    static double x[ROWS * 5], b[ROWS * 5], w[25], z[2][ROWS * 5];
    staircase s = {5, {4, 2, 0, 1, 3}};
    for (int i = 0; i < ROWS * 5; i++) {
        x[i] = sin(i);
        b[i] = cos(i);
        w[i % 25] = sin(2 * i);
    }
    ad_set_allocator(&(ad_allocator){count_allocate, count_reallocate, count_release});
    problem p = problem_new(ROWS, 0);
    ad_var root = three_roots(&p, &s);
    ad_plan *plan[2];
    for (int i = 0; i < 2; i++) plan[i] = ad_plan_new(&root, 1, &(ad_plan_options){AD_F64, 16}, NULL);
    const void *values[] = {x, w, b};
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 3; k++) ad_plan_set_input(plan[i], p.leaf[k], values[k]);
        ad_plan_set_output(plan[i], 0, z[i]);
    }
    ad_tape_free(p.tape);
    p.tape = NULL;
    ad_pool *pool = ad_pool_new(3, NULL);
    ck_assert_int_eq(ad_plan_run(plan[0], &(ad_run){.rows = ROWS, .pool = pool}, NULL), AD_OK);
    ad_plan_free(plan[0]);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(ad_plan_run(plan[1], &(ad_run){.rows = ROWS, .pool = pool}, NULL), AD_OK);
    ck_assert_mem_eq(z[0], z[1], sizeof z[0]);
    const size_t calls = counted_memory.calls;
    static const size_t rows[] = {1, ROWS, 17, ROWS};
    for (size_t i = 0; i < COUNT(rows); i++)
        ck_assert_int_eq(ad_plan_run(plan[1], &(ad_run){.rows = rows[i], .pool = i % 2 ? pool : NULL}, NULL), AD_OK);
    ck_assert_uint_eq(counted_memory.calls, calls);
    ad_pool_free(pool);
    ad_plan_free(plan[1]);
    ck_assert_uint_eq(counted_memory.blocks, 0);
    ad_set_allocator(NULL);
    problem_free(&p);
}
END_TEST

START_TEST(every_allocation_fails)
{
    static const double x[5] = {1, 2, 3, 4, 5}, w[25] = {0.5};
    staircase s = {5, {4, 2, 0, 1, 3}};
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        double z[5];
        problem p = problem_new(1, 0);
        ad_error fault = {AD_OK, ""};
        memory_limit(allowed);
        ad_var root = three_roots(&p, &s);
        ad_plan *plan = ad_plan_new(&root, 1, &(ad_plan_options){.dtype = AD_F64}, &fault);
        const void *values[] = {x, w, x};
        if (plan) {
            for (int k = 0; k < 3; k++) ad_plan_set_input(plan, p.leaf[k], values[k]);
            ad_plan_set_output(plan, 0, z);
            fault.status = ad_plan_run(plan, &(ad_run){.rows = 1}, &fault);
        }
        denied = memory.denied;
        memory_unlimited();
        ck_assert_msg(fault.status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu allocations: %s", allowed,
                      fault.message);
        if (plan && denied) ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 1}, NULL), AD_OK);
        ad_plan_free(plan);
        problem_free(&p);
    }
}
END_TEST

/* ---- Mistakes --------------------------------------------------------------------------------------------------- */

static ad_var wrong_shape(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)captured;
    return ad_sum(z);
}

static ad_var wrong_tape(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)inner, (void)z, (void)captured;
    return *(ad_var *)context;
}

static ad_var wrong_op(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)captured;
    return ad_slice(z, 0, 2, 9);
}

static ad_var mixes_rows(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)captured;
    return ad_sub(z, ad_sum_rows(z));
}

static ad_var draws(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)captured;
    return ad_add(z, ad_normal(inner, AD_SHAPE(2), 0));
}

START_TEST(mistakes)
{
    static const size_t twice[] = {1, 1}, beyond[] = {0, 2};
    ad_tape *other = ad_tape_new();
    ad_var foreign = ad_scalar(other, 1);
    for (int i = 0;; i++) {
        ad_tape *tape = ad_tape_new();
        ad_var x = ad_input(tape, "x", AD_SHAPE(2)), m = ad_param(tape, "m", AD_SHAPE(2, 2)), outer = x;
        const struct {
            ad_var x, captured;
            ad_root_kind kind;
            const size_t *order;
            recorder *f;
            const char *words;
        } cases[] = {
            {m, x, AD_ROOT_GENERAL, NULL, identity_map, "root: x has shape (2,2): takes (D)"},
            {x, x, (ad_root_kind)7, NULL, identity_map, "no kind 7"},
            {x, foreign, AD_ROOT_GENERAL, NULL, identity_map, "argument 2 is not a value of this tape"},
            {(ad_var){0}, x, AD_ROOT_GENERAL, NULL, identity_map, "argument 1 is not a value of this tape"},
            {x, x, AD_ROOT_TRIANGULAR, twice, identity_map, "order[1] is 1: expected each of 0 … 1 once"},
            {x, x, AD_ROOT_TRIANGULAR, beyond, identity_map, "order[1] is 2"},
            {x, x, AD_ROOT_GENERAL, NULL, NULL, "f is NULL"},
            {x, x, AD_ROOT_GENERAL, NULL, wrong_shape,
             "root_general: f must give a value of the inner tape, of shape "
             "(2); got ()"},
            {x, x, AD_ROOT_GENERAL, NULL, wrong_tape, "got none"},
            {x, x, AD_ROOT_ELEMENTWISE, NULL, wrong_op, "root_elementwise: slice: elements 2 to 9"},
            {x, x, AD_ROOT_ELEMENTWISE, NULL, mixes_rows, "f may not use 'sum_rows'"},
            {x, x, AD_ROOT_GENERAL, NULL, draws, "f may not use 'normal'"},
        };
        if (i == COUNT(cases)) {
            ad_tape_free(tape);
            break;
        }
        ad_tape_enter(tape, "outer");
        ad_var z = ad_root(cases[i].x, &cases[i].captured, 1, cases[i].kind, cases[i].order, cases[i].f, &outer);
        ck_assert(!ad_is_valid(z));
        const ad_error *fault = ad_tape_error(tape);
        ck_assert_msg(fault && strstr(fault->message, cases[i].words) && strstr(fault->message, "in outer: "),
                      "'%s' is not in: %s", cases[i].words, fault ? fault->message : "");
        /* On a tape that failed, f is not asked again. */
        ck_assert(!ad_is_valid(ad_root(x, NULL, 0, AD_ROOT_GENERAL, NULL, NULL, NULL)));
        ad_tape_free(tape);
    }
    ad_tape_free(other);
}
END_TEST

/* ---- Objects of ops from outside --------------------------------------------------------------------------------- */

static struct {
    int opened, closed, destroyed;
    bool refuse;
} life;

static void destroy_number(void *data)
{
    life.destroyed++;
    free(data);
}

static void *open_number(const ad_object *object, ad_dtype dtype, size_t rows, ad_error *fault)
{
    if (life.refuse) {
        ad_error_set(fault, AD_ERROR_IO, "nothing in store");
        return NULL;
    }
    ck_assert(dtype == AD_F64 && rows == 16);
    life.opened++;
    double *copy = malloc(sizeof *copy);
    *copy = *(double *)ad_object_data(object);
    return copy;
}

static void close_number(void *state)
{
    life.closed++;
    free(state);
}

static void add_number(const ad_tile *tile)
{
    const double *in = tile->in[0].data, sum = *(double *)tile->state + *(double *)ad_object_data(tile->object);
    double *out = tile->out.data;
    for (size_t i = 0; i < tile->out.size * tile->rows; i++) out[i] = in[i] + sum;
}

START_TEST(objects)
{
    static const ad_op op = {.name = "add_number",
                             .n_in = 1,
                             .evaluate = {[AD_F64] = add_number},
                             .open = open_number,
                             .close = close_number};
    memset(&life, 0, sizeof life);
    problem p = problem_new(30, 0);
    ad_var x = bind_random(&p, true, AD_SCALAR, 0, 1), y[3];
    for (int i = 0; i < 2; i++) {
        double *number = malloc(sizeof *number);
        *number = i + 1;
        ad_object *object = ad_object_new(number, destroy_number);
        y[i] = ad_apply_object(&op, &x, 1, NULL, 0, object, p.tape);
        if (i == 1) y[2] = ad_apply_object(&op, &x, 1, NULL, 0, object, p.tape); /* the same again */
        ad_object_release(object);
    }
    double *value[3];
    evaluate(&p, y, 3, AD_F64, value);
    for (size_t r = 0; r < 30; r++)
        ck_assert(value[0][r] == p.value[0][r] + 2 && value[1][r] == p.value[0][r] + 4 && value[2][r] == value[1][r]);
    ck_assert(life.opened == 2 && life.closed == 2 && life.destroyed == 0);

    ad_error fault;
    ad_plan *plan = ad_plan_new(y, 3, &(ad_plan_options){AD_F64, 16}, NULL);
    ad_plan_set_input(plan, x, p.value[0]);
    problem_free(&p);
    ck_assert_int_eq(life.destroyed, 0);
    life.refuse = true;
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 30}, &fault), AD_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(fault.message, "op 'add_number'"));
    ck_assert_ptr_nonnull(strstr(fault.message, "nothing in store"));
    ad_plan_free(plan);
    ck_assert(life.opened == life.closed && life.destroyed == 2);
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
    tcase_add_test(several, higher_derivatives);
    suite_add_tcase(suite, several);
    TCase *use = tcase_create("use");
    tcase_set_timeout(use, 60);
    tcase_add_test(use, roots_within_roots);
    tcase_add_test(use, lifetimes);
    tcase_add_test(use, every_allocation_fails);
    tcase_add_test(use, mistakes);
    tcase_add_test(use, objects);
    suite_add_tcase(suite, use);
    return suite;
}
