/* Every op: values against plain loops in long double, gradients against finite differences. What the table of ops
 * holds is tested; an op without samples, or without a reference, fails. */
#include "autodiff/reference.h"

#include <float.h>

/* These have no arguments to test by: see the tests that name them, and of roots test_root.c. */
static const char *const leaves[] = {"input",       "param",   "constant",         "row_count",
                                     "normal",      "uniform", "root_elementwise", "root_triangular",
                                     "root_general"};

static bool is_leaf(const ad_op *op)
{
    for (size_t i = 0; i < COUNT(leaves); i++)
        if (strcmp(op->name, leaves[i]) == 0) return true;
    return false;
}

/* ---- From the table of ops ----------------------------------------------------------------------------------- */

static const ad_op *op_number(int i)
{
    return ad_all_ops()[i];
}

static int count_ops(void)
{
    int count = 0;
    while (ad_all_ops()[count]) count++;
    return count;
}

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
static double distance(const double *got, const double *expected, size_t n)
{
    double scale = 1, worst = 0;
    for (size_t i = 0; i < n; i++) scale = fmax(scale, fabs(expected[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs(got[i] - expected[i]) <= worst)) worst = fabs(got[i] - expected[i]);
    return worst / scale;
}

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

/* All of the gradient of Σ c y² with respect to all arguments. */
static ad_var gradient_of_squares(problem *p, ad_var y)
{
    ad_var gradient[MAX_PARTS], total = ad_scalar(p->tape, 0);
    ad_grad(project(p, ad_square(y)), p->leaf, p->n_leaf, gradient);
    for (int i = 0; i < p->n_leaf; i++) total = ad_add(total, project(p, gradient[i]));
    return total;
}

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

/* ---- Accuracy and special numbers ---------------------------------------------------------------------------- */

static const struct {
    const char *op;
    ad_var (*record)(ad_var);
    long double (*exact)(long double);
    double ulps;
} functions[] = {
    {"exp", ad_exp, expl, 1},
    {"log", ad_log, logl, 1},
    {"log1p", ad_log1p, log1pl, 1},
    {"expm1", ad_expm1, expm1l, 1},
    {"sin", ad_sin, sinl, 1},
    {"cos", ad_cos, cosl, 1},
    {"tanh", ad_tanh, tanhl, 3.5},
    {"sigmoid", ad_sigmoid, sigmoid_of, 3},
    {"softplus", ad_softplus, softplus_of, 3},
    {"sqrt", ad_sqrt, sqrtl, 0.501},
};

/* Distance to the next number of a dtype, at and below the smallest normal that of denormals. */
static long double ulp_of(long double x, ad_dtype dtype)
{
    int exponent, digits = dtype == AD_F32 ? FLT_MANT_DIG : DBL_MANT_DIG;
    int lowest = dtype == AD_F32 ? FLT_MIN_EXP - FLT_MANT_DIG : DBL_MIN_EXP - DBL_MANT_DIG;
    frexpl(x, &exponent);
    return ldexpl(1, exponent - digits < lowest ? lowest : exponent - digits);
}

static double error_in_ulps(double got, long double exact, ad_dtype dtype)
{
    const long double largest = dtype == AD_F32 ? (long double)FLT_MAX : (long double)DBL_MAX;
    if (isnan(exact)) return isnan(got) ? 0 : INFINITY;
    if (fabsl(exact) > largest + ulp_of(largest, dtype) / 2)
        return got == copysign(INFINITY, (double)exact) ? 0 : INFINITY;
    if (exact == 0 && got == 0 && !signbit(exact) != !signbit(got)) return INFINITY;
    const long double finite = isinf(got) ? copysignl(largest + ulp_of(largest, dtype), (long double)got) : got;
    return (double)(fabsl(finite - exact) / ulp_of(exact, dtype));
}

enum { POINTS = 20011 };

/* Special numbers, then random ones of all magnitudes and of the ordinary ones. All are floats if the dtype is. */
static void fill_points(problem *p, ad_dtype dtype, double *point)
{
    static const double special[] = {0,       -0.0,   1,       -1,      0.5,      -0.5,     2,        INFINITY,
                                     88.72,   88.73,  -87.33,  -87.34,  -103.9,   -104,     709.78,   709.79,
                                     -708.39, -708.4, -745.13, -745.14, 3.141592, 1.570796, -0.99999, 1e22,
                                     1e-20,   -1e-20, 20,      -20,     40,       -40,      NAN,      -INFINITY};
    const bool is_float = dtype == AD_F32;
    const double largest = is_float ? (double)FLT_MAX : DBL_MAX, normal = is_float ? (double)FLT_MIN : DBL_MIN;
    const double smallest = is_float ? 0x1p-149 : 0x1p-1074, epsilon = is_float ? (double)FLT_EPSILON : DBL_EPSILON;
    const double extreme[] = {largest,     normal,      smallest,     normal - smallest, 1 + epsilon,  1 - epsilon / 2,
                              largest / 2, largest / 8, sqrt(normal), epsilon,           17 * smallest};
    size_t n = 0;
    for (size_t i = 0; i < COUNT(special); i++) point[n++] = special[i];
    for (size_t i = 0; i < COUNT(extreme); i++) {
        point[n++] = extreme[i];
        point[n++] = -extreme[i];
    }
    for (; n < POINTS; n++) {
        double range = is_float ? 126 : 1022, sign = draw(p, -1, 1) < 0 ? -1 : 1;
        if (n % 3 == 0)
            point[n] = sign * exp2(draw(p, -range, range));
        else
            point[n] = draw(p, -1, 1) * (n % 3 == 1 ? 4 : 100);
    }
    for (size_t i = 0; i < POINTS && is_float; i++) point[i] = (double)(float)point[i];
}

START_TEST(accuracy)
{
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        problem p = problem_new(POINTS, (uint64_t)_i);
        p.tile_rows = 64;
        double *point = problem_array(&p, POINTS);
        fill_points(&p, dtype, point);
        double *value = value_of(&p, functions[_i].record(bind(&p, true, AD_SCALAR, point)), dtype);
        for (size_t i = 0; i < POINTS; i++) {
            if (functions[_i].exact == log1pl && point[i] > (dtype == AD_F32 ? 1e38 : 1e307)) continue;
            double off = error_in_ulps(value[i], functions[_i].exact(point[i]), dtype);
            ck_assert_msg(off <= functions[_i].ulps, "%s(%.17g) in %s is %.17g: off by %g ulp, for %.17Lg",
                          functions[_i].op, point[i], ad_dtype_name(dtype), value[i], off,
                          functions[_i].exact(point[i]));
        }
        /* The same bits wherever a number lies, whatever its neighbours are. */
        double *other = problem_array(&p, POINTS);
        for (size_t i = 0; i < POINTS; i++) other[i] = point[i * 7919 % POINTS];
        double *moved = value_of(&p, functions[_i].record(bind(&p, true, AD_SCALAR, other)), dtype);
        for (size_t i = 0; i < POINTS; i++)
            ck_assert_msg(memcmp(&moved[i], &value[i * 7919 % POINTS], sizeof *moved) == 0,
                          "%s(%.17g) in %s: %a and %a", functions[_i].op, other[i], ad_dtype_name(dtype), moved[i],
                          value[i * 7919 % POINTS]);
        for (size_t n = 1; n <= 40; n++) {
            problem few = problem_new(1, 0);
            ad_var v = bind(&few, false, AD_SHAPE(n), point + POINTS - n);
            double *end = value_of(&few, functions[_i].record(v), dtype);
            ck_assert_mem_eq(end, value + POINTS - n, n * sizeof *end);
            problem_free(&few);
        }
        problem_free(&p);
    }
}
END_TEST

/* Every thousandth float against the C library's tanh of doubles; and 1 - y² never turns negative. */
START_TEST(tanh_of_floats)
{
    enum { STEP = 1009, CHUNK = 4096 };
    double *point = ad_alloc(CHUNK, sizeof *point);
    for (uint64_t bits = 0; bits < 0x7f800000;) {
        for (size_t i = 0; i < CHUNK; i++, bits += STEP) {
            const uint32_t pattern = bits < 0x7f800000 ? (uint32_t)bits : 0x7f7fffff;
            float x;
            memcpy(&x, &pattern, sizeof x);
            point[i] = i % 2 ? (double)x : -(double)x;
        }
        problem p = problem_new(CHUNK, 0);
        double *value = value_of(&p, ad_tanh(bind(&p, true, AD_SCALAR, point)), AD_F32);
        for (size_t i = 0; i < CHUNK; i++) {
            double off = error_in_ulps(value[i], tanh(point[i]), AD_F32);
            ck_assert_msg(off <= 2.6 && fabs(value[i]) <= 1, "tanh(%a) is %a: off by %g ulp", point[i], value[i], off);
        }
        problem_free(&p);
    }
    ad_free(point);
}
END_TEST

/* An op of numbers a and b, and what C makes of them. */
#define EXACT(name, recorded, expected)                                                                                \
    static ad_var name##_record(ad_var a, ad_var b)                                                                    \
    {                                                                                                                  \
        (void)b;                                                                                                       \
        return recorded;                                                                                               \
    }                                                                                                                  \
    static double name##_exact(double a, double b)                                                                     \
    {                                                                                                                  \
        (void)b;                                                                                                       \
        return expected;                                                                                               \
    }

static ad_var pair(ad_var a, ad_var b)
{
    return ad_concat((ad_var[]){ad_reshape(a, AD_SHAPE(1)), ad_reshape(b, AD_SHAPE(1))}, 2, 0);
}

static double larger(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

static double log_of_sum(double a, double b)
{
    double max = larger(a, b);
    return isinf(max) ? max : max + log1p(exp(-larger(-a, -b) - max));
}

EXACT(add, ad_add(a, b), a + b)
EXACT(sub, ad_sub(a, b), a - b)
EXACT(mul, ad_mul(a, b), a *b)
EXACT(div, ad_div(a, b), a / b)
EXACT(maximum, ad_maximum(a, b), larger(a, b))
EXACT(minimum, ad_minimum(a, b), -larger(-a, -b))
EXACT(greater, ad_greater(a, b), a > b)
EXACT(greater_equal, ad_greater_equal(a, b), a >= b)
EXACT(equal, ad_equal(a, b), a == b)
EXACT(where, ad_where(a, a, b), a != 0 ? a : b)
EXACT(neg, ad_neg(a), -a)
EXACT(abs, ad_abs(a), fabs(a))
EXACT(sign, ad_sign(a), isnan(a) ? a : (a > 0) - (a < 0))
EXACT(relu, ad_relu(a), isnan(a) || a > 0 ? a : 0)
EXACT(leaky_relu, ad_leaky_relu(a, 0.25), a > 0 ? a : 0.25 * a)
EXACT(max, ad_max(pair(a, b)), larger(a, b))
EXACT(logsumexp, ad_logsumexp(pair(a, b)), log_of_sum(a, b))

#define EXACT_ENTRY(name)                                                                                              \
    {                                                                                                                  \
#name, name##_record, name##_exact                                                                             \
    }
static const struct {
    const char *name;
    ad_var (*record)(ad_var, ad_var);
    double (*exact)(double, double);
    double tolerance; /* relative */
} exact_ops[] = {
    EXACT_ENTRY(add),
    EXACT_ENTRY(sub),
    EXACT_ENTRY(mul),
    EXACT_ENTRY(div),
    EXACT_ENTRY(maximum),
    EXACT_ENTRY(minimum),
    EXACT_ENTRY(greater),
    EXACT_ENTRY(greater_equal),
    EXACT_ENTRY(equal),
    EXACT_ENTRY(where),
    EXACT_ENTRY(neg),
    EXACT_ENTRY(abs),
    EXACT_ENTRY(sign),
    EXACT_ENTRY(relu),
    EXACT_ENTRY(leaky_relu),
    EXACT_ENTRY(max),
    {"logsumexp", logsumexp_record, logsumexp_exact, 1e-6},
};

/* All pairs of special numbers: exactly what C gives, but for the sign of zero. */
START_TEST(special_numbers)
{
    static const double special[] = {0,   -0.0,     1,         -1,     3,        -0.1f,     0x1p100, 0x1.8p127,
                                     NAN, INFINITY, -INFINITY, 1e-30f, 0x1p-149, -0x1p-140, 2.5f,    -0x1p126};
    enum { N = COUNT(special), PAIRS = N * N };
    double a[PAIRS], b[PAIRS];
    for (size_t i = 0; i < PAIRS; i++) {
        a[i] = special[i / N];
        b[i] = special[i % N];
    }
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        problem p = problem_new(PAIRS, 0);
        ad_var y = exact_ops[_i].record(bind(&p, true, AD_SCALAR, a), bind(&p, true, AD_SCALAR, b));
        double *value = value_of(&p, y, dtype);
        for (size_t i = 0; i < PAIRS; i++) {
            double expected = exact_ops[_i].exact(a[i], b[i]);
            if (dtype == AD_F32) expected = (double)(float)expected;
            ck_assert_msg(isnan(expected) ? isnan(value[i])
                                          : value[i] == expected ||
                                                fabs(value[i] - expected) <= exact_ops[_i].tolerance * fabs(expected),
                          "%s(%g, %g) in %s: expected %g, got %g", exact_ops[_i].name, a[i], b[i], ad_dtype_name(dtype),
                          expected, value[i]);
        }
        problem_free(&p);
    }
}
END_TEST

#define RECORD(name, recorded)                                                                                         \
    static ad_var name(ad_var x)                                                                                       \
    {                                                                                                                  \
        return recorded;                                                                                               \
    }
RECORD(leaky, ad_leaky_relu(x, 0.25))
RECORD(leaky_flipped, ad_leaky_relu(x, -0.5))
RECORD(leaky_zero, ad_leaky_relu(x, 0))
RECORD(maximum_of_twice, ad_maximum(x, ad_mul_scalar(x, 2)))
RECORD(minimum_of_twice, ad_minimum(x, ad_mul_scalar(x, 2)))
RECORD(max_of_twice, ad_max(pair(x, ad_mul_scalar(x, 2))))

/* What the header promises at kinks. */
START_TEST(gradients_at_kinks)
{
    static const struct {
        const char *name;
        ad_var (*record)(ad_var);
        double below, at, above; /* gradient at -1, 0, 1 */
    } kinks[] = {
        {"relu", ad_relu, 0, 0, 1},
        {"leaky_relu", leaky, 0.25, 0.25, 1},
        {"leaky_relu, slope < 0", leaky_flipped, -0.5, -0.5, 1},
        {"leaky_relu, slope 0", leaky_zero, 0, 0, 1},
        {"abs", ad_abs, -1, 0, 1},
        {"sign", ad_sign, 0, 0, 0},
        {"maximum", maximum_of_twice, 1, 1.5, 2},
        {"minimum", minimum_of_twice, 2, 1.5, 1},
        {"max", max_of_twice, 1, 1.5, 2},
    };
    static const double x[] = {-1, 0, 1};
    for (size_t i = 0; i < COUNT(kinks); i++) {
        problem p = problem_new(3, 0);
        ad_var v = bind(&p, true, AD_SCALAR, x);
        double *slope = value_of(&p, ad_grad1(kinks[i].record(v), v), AD_F64);
        const double expected[] = {kinks[i].below, kinks[i].at, kinks[i].above};
        for (int r = 0; r < 3; r++)
            ck_assert_msg(slope[r] == expected[r], "%s at %g: %g", kinks[i].name, x[r], slope[r]);
        problem_free(&p);
    }
}
END_TEST

/* Nothing weighs anything where all are -inf; elsewhere -inf alone weighs nothing. */
START_TEST(logsumexp_of_nothing)
{
    static const double x[] = {-INFINITY, -INFINITY, -INFINITY, 0, 1, 1};
    static const double expected[] = {0, 0, 0, 1, 0.5, 0.5};
    problem p = problem_new(3, 0);
    ad_var v = bind(&p, true, AD_SHAPE(2), x), y[2];
    y[0] = ad_grad1(ad_logsumexp(v), v);
    y[1] = ad_grad1(ad_sum(ad_square(y[0])), v);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        double *value[2];
        evaluate(&p, y, 2, dtype, value);
        for (int i = 0; i < 6; i++) {
            ck_assert_double_eq_tol(value[0][i], expected[i], 1e-6);
            ck_assert(isfinite(value[1][i]));
        }
    }
    problem_free(&p);
}
END_TEST

/* ---- Broadcasting -------------------------------------------------------------------------------------------- */

static ad_shape random_shape(problem *p, int max_rank, size_t max_extent)
{
    ad_shape shape = {.rank = (int)draw_below(p, (size_t)max_rank + 1)};
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = 1 + draw_below(p, max_extent);
    return shape;
}

/* A shape that broadcasts to another. */
static ad_shape random_part(problem *p, ad_shape whole)
{
    ad_shape part = {.rank = (int)draw_below(p, (size_t)whole.rank + 1)};
    for (int i = 0; i < part.rank; i++) part.dim[i] = draw(p, 0, 1) < 0.4 ? 1 : whole.dim[whole.rank - part.rank + i];
    return part;
}

START_TEST(broadcasting)
{
    static const char *const names[] = {"sub", "div", "where", "gate", "broadcast"};
    for (uint64_t seed = 0; seed < 400; seed++) {
        problem p = problem_new(1 + seed % 35, seed);
        const ad_op *op = NULL;
        for (int i = 0; i < count_ops(); i++)
            if (is(op_number(i), names[seed % COUNT(names)])) op = op_number(i);
        ad_shape whole = random_shape(&p, AD_MAX_RANK, 4);
        double extent[AD_MAX_RANK], slope = 0.5;
        for (int i = 0; i < whole.rank; i++) extent[i] = (double)whole.dim[i];
        for (int i = 0; i < op->n_in; i++)
            bind_random(&p, draw(&p, 0, 1) < 0.5, random_part(&p, whole), i == 0 && is(op, "where") ? 0 : -2, 2);
        if (is(op, "where")) { /* some conditions 0 */
            double *condition = (double *)(uintptr_t)p.value[0];
            for (size_t i = 0; i < extent_of(&p, p.leaf[0]); i++) condition[i] = floor(condition[i]);
        }
        const double *attribute = is(op, "gate") ? &slope : is(op, "broadcast") ? extent : NULL;
        size_t n_attribute = is(op, "gate") ? 1 : is(op, "broadcast") ? (size_t)whole.rank : 0;
        ad_var y = ad_apply(op, p.leaf, p.n_leaf, attribute, n_attribute, p.tape);
        ck_assert_msg(ad_is_valid(y), "%s", ad_tape_error(p.tape)->message);
        double *expected = reference_of(&p, op, p.leaf, p.value, p.n_leaf, attribute, n_attribute, y);
        double off = distance(value_of(&p, y, AD_F64), expected, extent_of(&p, y));
        ck_assert_msg(off <= (is(op, "div") ? 1e-15 : 0), "%s, seed %d: off by %g", op->name, (int)seed, off);
        problem_free(&p);
    }
}
END_TEST

/* ---- Matrix products ----------------------------------------------------------------------------------------- */

enum { MOST_BLOCKS = 5 };

typedef struct {
    size_t row_end[MOST_BLOCKS], begin[MOST_BLOCKS], end[MOST_BLOCKS], count;
} block_list;

/* Some blocks without rows, some without columns. */
static block_list random_blocks(problem *p, size_t m, size_t k)
{
    block_list list = {.count = 1 + draw_below(p, MOST_BLOCKS)};
    for (size_t b = 0, row = 0; b < list.count; b++) {
        row += b + 1 == list.count ? m - row : draw_below(p, m - row + 1);
        size_t i = draw_below(p, k + 1), j = draw_below(p, k + 1);
        list.row_end[b] = row;
        list.begin[b] = i < j ? i : j;
        list.end[b] = i < j ? j : i;
    }
    return list;
}

/* Small whole numbers: sums of their products are exact in any order, in float32 too. */
static ad_var bind_whole(problem *p, bool per_row, ad_shape shape)
{
    ad_var v = bind_random(p, per_row, shape, -3, 4);
    double *value = (double *)(uintptr_t)p->value[p->n_leaf - 1];
    for (size_t i = 0; i < extent_of(p, v); i++) value[i] = floor(value[i]);
    return v;
}

static void assert_exact(const double *got, const double *expected, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(got[i] == expected[i], "%s: element %zu is %g, not %g", what, i, got[i], expected[i]);
}

/* C = A B and the gradients of Σ W∘C, which are W Bᵀ and Aᵀ W, by plain loops. */
START_TEST(products)
{
    const bool a_per_row = _i & 1, b_per_row = _i & 2, blocked = _i & 4;
    for (uint64_t seed = 0; seed < 10; seed++) {
        const size_t most = seed % 3 == 0 ? 8 : seed % 3 == 1 ? 40 : 70;
        problem p = problem_new(1 + seed * 3 % 37, 100 * seed + (uint64_t)_i);
        size_t m = 1 + draw_below(&p, most), k = 1 + draw_below(&p, most), n = 1 + draw_below(&p, most);
        if (seed % 4 == 0) n = 1;
        const bool vector = n == 1 && seed % 8 == 0;
        ad_var a = bind_whole(&p, a_per_row, AD_SHAPE(m, k));
        ad_var b = bind_whole(&p, b_per_row, vector ? AD_SHAPE(k) : AD_SHAPE(k, n));
        ad_var w = bind_whole(&p, false, vector ? AD_SHAPE(m) : AD_SHAPE(m, n));
        block_list list = random_blocks(&p, m, k);
        const ad_blocks blocks = {list.count, list.row_end, list.begin, list.end};
        ad_var c = blocked ? ad_matmul_blocks(a, b, &blocks) : ad_matmul(a, b), y[3] = {c};
        ad_var loss = ad_sum(ad_mul(w, c));
        ad_grad(ad_is_per_row(loss) ? ad_sum_rows(loss) : loss, (ad_var[]){a, b}, 2, y + 1);

        double *expected[3];
        for (int i = 0; i < 3; i++) expected[i] = problem_array(&p, extent_of(&p, y[i]));
        for (size_t r = 0; r < (ad_is_per_row(c) ? p.run.rows : 1); r++)
            for (size_t i = 0, block = 0; i < m; i++) {
                while (i >= list.row_end[block]) block++;
                for (size_t q = 0; q < k; q++)
                    for (size_t j = 0; j < n; j++) {
                        if (blocked && (q < list.begin[block] || q >= list.end[block])) continue;
                        size_t at_a = (a_per_row ? r * m * k : 0) + i * k + q;
                        size_t at_b = (b_per_row ? r * k * n : 0) + q * n + j;
                        expected[0][r * m * n + i * n + j] += p.value[0][at_a] * p.value[1][at_b];
                        expected[1][at_a] += p.value[2][i * n + j] * p.value[1][at_b];
                        expected[2][at_b] += p.value[2][i * n + j] * p.value[0][at_a];
                    }
            }
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            double *value[3];
            evaluate(&p, y, 3, dtype, value);
            for (int i = 0; i < 3; i++) {
                char what[160];
                snprintf(what, sizeof what, "(%zu,%zu)(%zu,%zu), %zu rows, per-row %d %d, blocked %d, %s, %s", m, k, k,
                         n, p.run.rows, a_per_row, b_per_row, blocked, ad_dtype_name(dtype),
                         i == 0   ? "product"
                         : i == 1 ? "gradient of A"
                                  : "gradient of B");
                assert_exact(value[i], expected[i], extent_of(&p, y[i]), what);
            }
        }
        problem_free(&p);
    }
}
END_TEST

/* Gradients of gradients of blocked products: what is a block of A is one of its transpose, of C, … */
START_TEST(product_gradients)
{
    const bool a_per_row = _i & 1, b_per_row = _i & 2;
    for (uint64_t seed = 0; seed < 6; seed++) {
        problem p = problem_new(4, 100 * seed + (uint64_t)_i);
        size_t m = 1 + draw_below(&p, 12), k = 1 + draw_below(&p, 12), n = 1 + draw_below(&p, seed % 3 ? 10 : 1);
        ad_var a = bind_random(&p, a_per_row, AD_SHAPE(m, k), -1, 1);
        ad_var b = bind_random(&p, b_per_row, AD_SHAPE(k, n), -1, 1);
        block_list list = random_blocks(&p, m, k);
        ad_var c = ad_matmul_blocks(a, b, &(ad_blocks){list.count, list.row_end, list.begin, list.end});
        ad_error error;
        ck_assert_msg(check_gradient(&p, c, &error) == AD_OK, "%s", error.message);
        ad_var second = gradient_of_squares(&p, c);
        ck_assert_msg(check_gradient(&p, second, &error) == AD_OK, "second: %s", error.message);
        ad_var third[2];
        ad_grad(second, p.leaf, 2, third);
        ad_var both = ad_add(project(&p, third[0]), project(&p, third[1]));
        ck_assert_msg(check_gradient(&p, both, &error) == AD_OK, "third: %s", error.message);
        problem_free(&p);
    }
}
END_TEST

/* Zeros outside the blocks are known, whatever is there: a NaN, say. */
START_TEST(blocks_hide_what_is_outside)
{
    static const size_t row_end[] = {1, 3}, begin[] = {0, 1}, end[] = {0, 2};
    static const double a[] = {NAN, NAN, NAN, 2, NAN, 3}, b[] = {5, 7};
    for (int per_row = 0; per_row < 2; per_row++) {
        problem p = problem_new(1, 0);
        ad_var w = bind(&p, false, AD_SHAPE(3, 2), a), x = bind(&p, per_row, AD_SHAPE(2), b), y[3];
        y[0] = ad_matmul_blocks(w, x, &(ad_blocks){2, row_end, begin, end});
        ad_grad(ad_sum(ad_square(y[0])), (ad_var[]){w, x}, 2, y + 1);
        double *value[3];
        evaluate(&p, y, 3, AD_F64, value);
        assert_exact(value[0], (double[]){0, 14, 21}, 3, "product");
        assert_exact(value[1], (double[]){0, 0, 0, 2 * 14 * 7, 0, 2 * 21 * 7}, 6, "gradient of the matrix");
        assert_exact(value[2], (double[]){0, 2 * 14 * 2 + 2 * 21 * 3}, 2, "gradient of the vector");
        problem_free(&p);
    }
}
END_TEST

/* ---- Triangular systems -------------------------------------------------------------------------------------- */

static bool is_read(size_t i, size_t j, unsigned triangle)
{
    if (i == j) return !(triangle & AD_UNIT_DIAGONAL);
    return triangle & AD_UPPER ? j > i : j < i;
}

/* A x gives b again; what lies outside of the triangle, NaN, is not read, nor by the gradient. */
START_TEST(triangular_systems)
{
    const unsigned triangle = (unsigned)_i & 3;
    const bool a_per_row = _i & 4, b_per_row = _i & 8;
    for (uint64_t seed = 0; seed < 8; seed++) {
        problem p = problem_new(1 + 7 * seed, seed);
        size_t n = 1 + draw_below(&p, 20), m = 1 + draw_below(&p, 5);
        ad_var a = bind_random(&p, a_per_row, AD_SHAPE(n, n), -0.3, 0.3);
        ad_var b = bind_random(&p, b_per_row, m == 1 ? AD_SHAPE(n) : AD_SHAPE(n, m), -2, 2);
        double *matrix = (double *)(uintptr_t)p.value[0];
        for (size_t i = 0; i < extent_of(&p, a); i++) {
            size_t row = i / n % n, column = i % n;
            if (row == column) matrix[i] += matrix[i] < 0 ? -1 : 1;
            if (!is_read(row, column, triangle)) matrix[i] = NAN;
        }
        ad_var y[3] = {ad_solve_triangular(a, b, triangle)};
        ad_grad(project(&p, ad_square(y[0])), (ad_var[]){a, b}, 2, y + 1);
        double *x[3];
        evaluate(&p, y, 3, AD_F64, x);
        for (size_t r = 0; r < (ad_is_per_row(y[0]) ? p.run.rows : 1); r++)
            for (size_t i = 0; i < n; i++)
                for (size_t c = 0; c < m; c++) {
                    const double *of_a = row_of(matrix, a, r), *of_x = row_of(x[0], y[0], r);
                    double sum = triangle & AD_UNIT_DIAGONAL ? of_x[i * m + c] : 0, scale = 1;
                    for (size_t j = 0; j < n; j++) {
                        if (!is_read(i, j, triangle)) continue;
                        sum += of_a[i * n + j] * of_x[j * m + c];
                        scale += fabs(of_a[i * n + j] * of_x[j * m + c]);
                    }
                    ck_assert_double_lt(fabs(sum - row_of(p.value[1], b, r)[i * m + c]), 1e-14 * scale);
                }
        for (size_t i = 0; i < extent_of(&p, a); i++) {
            ck_assert(isfinite(x[1][i]));
            ck_assert(is_read(i / n % n, i % n, triangle) || x[1][i] == 0);
        }
        for (size_t i = 0; i < extent_of(&p, b); i++) ck_assert(isfinite(x[2][i]));
        problem_free(&p);
    }
}
END_TEST

/* ---- General systems ----------------------------------------------------------------------------------------- */

/* a (n,n) = P L U for a random permutation, unit triangular L and U; returns log|det a|. */
static double draw_matrix(problem *p, size_t n, double *a)
{
    double lower[20][20] = {{0}}, upper[20][20] = {{0}}, log_det = 0;
    size_t row[20];
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) *(j < i ? &lower[i][j] : &upper[i][j]) = draw(p, -0.5, 0.5);
        lower[i][i] = 1;
        upper[i][i] = draw(p, 0.5, 2) * (draw(p, 0, 1) < 0.5 ? -1 : 1);
        log_det += log(fabs(upper[i][i]));
        row[i] = i;
    }
    for (size_t i = n; i-- > 1;) {
        size_t j = draw_below(p, i + 1), saved = row[i];
        row[i] = row[j];
        row[j] = saved;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            long double sum = 0;
            for (size_t k = 0; k < n; k++) sum += (long double)lower[i][k] * upper[k][j];
            a[row[i] * n + j] = (double)sum;
        }
    return log_det;
}

/* A x gives b again, the determinant is that of the factors, and a row's bits are its own, whatever pivots others want.
 */
START_TEST(general_systems)
{
    const bool a_per_row = _i & 1, b_per_row = _i & 2;
    for (uint64_t seed = 0; seed < 12; seed++) {
        problem p = problem_new(1 + 7 * seed, seed);
        size_t n = 1 + draw_below(&p, 20), m = 1 + draw_below(&p, 5);
        ad_var a = bind_random(&p, a_per_row, AD_SHAPE(n, n), 0, 1);
        ad_var b = bind_random(&p, b_per_row, m == 1 ? AD_SHAPE(n) : AD_SHAPE(n, m), -2, 2);
        ad_var y[] = {ad_solve(a, b), ad_log_abs_det(a)};
        double *matrix = (double *)(uintptr_t)p.value[0], *log_det = problem_array(&p, p.run.rows), *x[2];
        for (size_t r = 0; r < (a_per_row ? p.run.rows : 1); r++) log_det[r] = draw_matrix(&p, n, matrix + r * n * n);
        evaluate(&p, y, 2, AD_F64, x);
        for (size_t r = 0; r < extent_of(&p, y[1]); r++) ck_assert_double_eq_tol(x[1][r], log_det[r], 1e-12);
        for (size_t r = 0; r < (ad_is_per_row(y[0]) ? p.run.rows : 1); r++)
            for (size_t i = 0; i < n; i++)
                for (size_t c = 0; c < m; c++) {
                    const double *of_a = row_of(matrix, a, r), *of_x = row_of(x[0], y[0], r);
                    double sum = 0, scale = 1;
                    for (size_t j = 0; j < n; j++) {
                        sum += of_a[i * n + j] * of_x[j * m + c];
                        scale += fabs(of_a[i * n + j] * of_x[j * m + c]);
                    }
                    ck_assert_double_lt(fabs(sum - row_of(p.value[1], b, r)[i * m + c]), 1e-14 * scale);
                }
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            double *all[2], *alone[2];
            const double *of_a = p.value[0], *of_b = p.value[1];
            const size_t rows = p.run.rows, last = rows - 1;
            evaluate(&p, y, 2, dtype, all);
            p.value[0] = row_of(of_a, a, last);
            p.value[1] = row_of(of_b, b, last);
            p.run.rows = 1;
            evaluate(&p, y, 2, dtype, alone);
            for (int i = 0; i < 2; i++)
                ck_assert_mem_eq(alone[i], row_of(all[i], y[i], last), size_of(y[i]) * sizeof(double));
            p.run.rows = rows;
            p.value[0] = of_a;
            p.value[1] = of_b;
        }
        problem_free(&p);
    }
}
END_TEST

START_TEST(singular_systems)
{
    static const double a[][9] = {{0},
                                  {1, 2, 3, 2, 4, 6, 0, 1, 1},
                                  {0, 1, 2, 0, 3, 4, 0, 5, 7},
                                  {1, 2, 3, 4, 5, 6, 2, 4, 6},
                                  {2, 0, 0, 0, 0, 3, 0, 4, 0},
                                  {1, 0, 0, 0, NAN, 0, 0, 0, 1}};
    static const double b[] = {1, 2, 3};
    problem p = problem_new(COUNT(a), 0);
    ad_var matrix = bind(&p, true, AD_SHAPE(3, 3), *a), right = bind(&p, false, AD_SHAPE(3), b);
    ad_var y[] = {ad_log_abs_det(matrix), ad_solve(matrix, right)};
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        double *value[2];
        evaluate(&p, y, 2, dtype, value);
        for (size_t r = 0; r < 4; r++) {
            ck_assert(value[0][r] == -INFINITY);
            ck_assert(!isfinite(value[1][3 * r]) || !isfinite(value[1][3 * r + 1]) || !isfinite(value[1][3 * r + 2]));
        }
        ck_assert_double_eq_tol(value[0][4], log(24), 1e-6);
        for (int i = 0; i < 3; i++) ck_assert_double_eq_tol(value[1][12 + i], ((double[]){0.5, 0.75, 2. / 3})[i], 1e-7);
        ck_assert(isnan(value[0][5]));
    }
    problem_free(&p);
}
END_TEST

/* ---- Ops from outside ---------------------------------------------------------------------------------------- */

#define DEFINE_CUBE(real, suffix)                                                                                      \
    static void cube_##suffix(const ad_tile *tile)                                                                     \
    {                                                                                                                  \
        const real *in = tile->in[0].data;                                                                             \
        real *out = tile->out.data;                                                                                    \
        size_t n = tile->out.size * (tile->out.per_row ? tile->rows : 1);                                              \
        for (size_t i = 0; i < n; i++) out[i] = (real)tile->attribute[0] * in[i] * in[i] * in[i];                      \
    }
DEFINE_CUBE(float, f32)
DEFINE_CUBE(double, f64)

static void cube_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad_mul_scalar(ad_square(call->in[0]), 3 * call->attribute[0]));
}

START_TEST(op_from_outside)
{
    static const ad_op cube = {
        .name = "cube", .n_in = 1, .flags = AD_OP_ELEMENTWISE, .evaluate = {cube_f32, cube_f64}, .vjp = cube_vjp};
    const double factor = 2;
    for (int per_row = 0; per_row < 2; per_row++) {
        problem p = problem_new(20, 1);
        ad_var x = bind_random(&p, per_row, AD_SHAPE(4), -2, 2);
        ad_var y = ad_apply(&cube, &x, 1, &factor, 1, p.tape);
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            double *value = value_of(&p, y, dtype);
            for (size_t i = 0; i < extent_of(&p, y); i++)
                ck_assert_double_eq_tol(value[i], 2 * pow(p.value[0][i], 3), 1e-5);
        }
        ad_error error;
        ck_assert_msg(check_gradient(&p, y, &error) == AD_OK, "%s", error.message);
        ck_assert_msg(check_gradient(&p, gradient_of_squares(&p, y), &error) == AD_OK, "%s", error.message);
        ck_assert_ptr_null(ad_tape_error(p.tape));
        ck_assert(!ad_is_valid(ad_apply(&cube, (ad_var[]){x, y}, 2, &factor, 1, p.tape)));
        ck_assert_ptr_nonnull(strstr(ad_tape_error(p.tape)->message, "cube takes 1 argument"));
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
    TCase *numbers = tcase_create("numbers");
    tcase_set_timeout(numbers, 60);
    tcase_add_loop_test(numbers, accuracy, 0, COUNT(functions));
    tcase_add_test(numbers, tanh_of_floats);
    tcase_add_loop_test(numbers, special_numbers, 0, COUNT(exact_ops));
    tcase_add_test(numbers, gradients_at_kinks);
    tcase_add_test(numbers, logsumexp_of_nothing);
    tcase_add_test(numbers, broadcasting);
    suite_add_tcase(suite, numbers);
    TCase *matrices = tcase_create("matrices");
    tcase_set_timeout(matrices, 60);
    tcase_add_loop_test(matrices, products, 0, 8);
    tcase_add_loop_test(matrices, product_gradients, 0, 4);
    tcase_add_test(matrices, blocks_hide_what_is_outside);
    tcase_add_loop_test(matrices, triangular_systems, 0, 16);
    tcase_add_loop_test(matrices, general_systems, 0, 4);
    tcase_add_test(matrices, singular_systems);
    suite_add_tcase(suite, matrices);
    TCase *outside = tcase_create("outside");
    tcase_add_test(outside, op_from_outside);
    suite_add_tcase(suite, outside);
    return suite;
}
