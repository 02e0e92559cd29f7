/* Ops in detail: accuracy, special numbers, and broadcasting. */
#include "autodiff/reference.h"

#include <float.h>

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
    {"erf", ad_erf, erfl, 2}, /* near the smallest numbers, without FMA */
    {"erfc", ad_erfc, erfcl, 1.5},
    {"lgamma", ad_lgamma, lgammal, 2},
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
            /* Between its poles, lgamma has roots that nobody hits. */
            if (functions[_i].exact == lgammal && point[i] < 0 && fabsl(lgammal(point[i])) < 1) continue;
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

/* Every thousandth float against the C library's function of doubles. */
static void check_floats(ad_var (*record)(ad_var), double (*exact)(double), bool positive, double most_ulps,
                         double largest)
{
    enum { STEP = 1009, CHUNK = 4096 };
    double *point = ad_alloc(CHUNK, sizeof *point);
    for (uint64_t bits = 1; bits < 0x7f800000;) {
        for (size_t i = 0; i < CHUNK; i++, bits += STEP) {
            const uint32_t pattern = bits < 0x7f800000 ? (uint32_t)bits : 0x7f7fffff;
            float x;
            memcpy(&x, &pattern, sizeof x);
            point[i] = i % 2 || positive ? (double)x : -(double)x;
        }
        problem p = problem_new(CHUNK, 0);
        double *value = value_of(&p, record(bind(&p, true, AD_SCALAR, point)), AD_F32);
        for (size_t i = 0; i < CHUNK; i++) {
            double off = error_in_ulps(value[i], exact(point[i]), AD_F32);
            ck_assert_msg(off <= most_ulps && fabs(value[i]) <= largest, "f(%a) is %a: off by %g ulp", point[i],
                          value[i], off);
        }
        problem_free(&p);
    }
    ad_free(point);
}

/* 1 - y² never turns negative. */
START_TEST(tanh_of_floats)
{
    check_floats(ad_tanh, tanh, false, 2.6, 1);
}
END_TEST

START_TEST(log_of_floats)
{
    check_floats(ad_log, log, true, 1, INFINITY);
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
        problem p = problem_new(1 + (size_t)seed % 35, seed);
        const ad_op *op = op_named(names[seed % COUNT(names)]);
        ad_shape whole = random_shape(&p, AD_MAX_RANK, 4);
        double extent[AD_MAX_RANK], slope = 0.5;
        for (int i = 0; i < whole.rank; i++) extent[i] = (double)whole.dim[i];
        for (int i = 0; i < op->n_in; i++)
            bind_random(&p, draw(&p, 0, 1) < 0.5, random_part(&p, whole),
                        i == 0 && strcmp(op->name, "where") == 0 ? 0 : -2, 2);
        if (strcmp(op->name, "where") == 0) { /* some conditions 0 */
            double *condition = (double *)(uintptr_t)p.value[0];
            for (size_t i = 0; i < extent_of(&p, p.leaf[0]); i++) condition[i] = floor(condition[i]);
        }
        const double *attribute = strcmp(op->name, "gate") == 0        ? &slope
                                  : strcmp(op->name, "broadcast") == 0 ? extent
                                                                       : NULL;
        size_t n_attribute = strcmp(op->name, "gate") == 0        ? 1
                             : strcmp(op->name, "broadcast") == 0 ? (size_t)whole.rank
                                                                  : 0;
        ad_var y = ad_apply(op, p.leaf, p.n_leaf, attribute, n_attribute, p.tape);
        ck_assert_msg(ad_is_valid(y), "%s", ad_tape_error(p.tape)->message);
        double *expected = reference_of(&p, op, p.leaf, p.value, p.n_leaf, attribute, n_attribute, y);
        double off = distance(value_of(&p, y, AD_F64), expected, extent_of(&p, y));
        ck_assert_msg(off <= (strcmp(op->name, "div") == 0 ? 1e-15 : 0), "%s, seed %d: off by %g", op->name, (int)seed,
                      off);
        problem_free(&p);
    }
}
END_TEST

/* Arrays of either dtype: one element that isn't finite is seen wherever it stands, the largest and smallest are none.
 */
START_TEST(arrays)
{
    enum { MOST = 50 };
    static const double odd[] = {NAN, INFINITY, -INFINITY};
    double values[MOST], back[MOST];
    char array[MOST * sizeof(double)];
    for (int dtype = AD_F32; dtype <= AD_F64; dtype++)
        for (size_t count = 0; count <= MOST; count++) {
            const double largest = dtype == AD_F32 ? (double)FLT_MAX : DBL_MAX;
            for (size_t i = 0; i < count; i++)
                values[i] = i % 3 == 0 ? -largest : i % 3 == 1 ? -0.0 : 1e-38 * (double)i;
            ad_from_double((ad_dtype)dtype, values, array, count);
            ad_to_double((ad_dtype)dtype, array, back, count);
            ck_assert(ad_all_finite((ad_dtype)dtype, array, count));
            for (size_t i = 0; i < count; i++) {
                ck_assert(ad_element((ad_dtype)dtype, array, i) == back[i]);
                ck_assert(back[i] == (dtype == AD_F32 ? (double)(float)values[i] : values[i]));
                ad_set_element((ad_dtype)dtype, array, i, odd[i % COUNT(odd)]);
                ck_assert(!ad_all_finite((ad_dtype)dtype, array, count));
                ad_set_element((ad_dtype)dtype, array, i, values[i]);
            }
        }
}
END_TEST

/* Numbers of the dtype that are next to the ends, for whatever isn't between them; the gradient of x all over. */
START_TEST(inside_of_an_interval)
{
    const double x[] = {-INFINITY, -1, -0.5, 0, 1e-300, 0.5, 1, 2, INFINITY, NAN};
    const struct {
        double low, high, lowest[2], highest[2];
    } intervals[] = {{0, 1, {FLT_MIN, DBL_MIN}, {1 - FLT_EPSILON / 2, 1 - DBL_EPSILON / 2}},
                     {-1, 0, {-1 + FLT_EPSILON / 2, -1 + DBL_EPSILON / 2}, {-FLT_MIN, -DBL_MIN}},
                     {0, INFINITY, {FLT_MIN, DBL_MIN}, {FLT_MAX, DBL_MAX}},
                     {-INFINITY, INFINITY, {-FLT_MAX, -DBL_MAX}, {FLT_MAX, DBL_MAX}}};
    for (size_t k = 0; k < COUNT(intervals); k++)
        for (int dtype = 0; dtype < 2; dtype++) {
            problem p = problem_new(COUNT(x), 1);
            double *point = problem_array(&p, COUNT(x)), *value[2];
            memcpy(point, x, sizeof x);
            ad_var in = bind(&p, true, AD_SCALAR, point), y = ad_inside(in, intervals[k].low, intervals[k].high);
            evaluate(&p, (ad_var[]){y, ad_grad1(y, in)}, 2, (ad_dtype)dtype, value);
            for (size_t i = 0; i < COUNT(x); i++) {
                double same = dtype == AD_F32 ? (double)(float)x[i] : x[i];
                double low = intervals[k].lowest[dtype], high = intervals[k].highest[dtype];
                double expected = same < low ? low : same > high ? high : same;
                ck_assert_msg(value[0][i] == expected || (isnan(expected) && isnan(value[0][i])),
                              "%g in (%g, %g): %.17g", x[i], intervals[k].low, intervals[k].high, value[0][i]);
                ck_assert(value[1][i] == 1);
            }
            problem_free(&p);
        }
    problem p = problem_new(1, 1);
    ck_assert(!ad_is_valid(ad_inside(ad_scalar(p.tape, 0), 1, 1)));
    ck_assert(strstr(ad_tape_error(p.tape)->message, "low < high"));
    problem_free(&p);
}
END_TEST

Suite *numbers_suite(void)
{
    Suite *suite = suite_create("numbers");
    TCase *numbers = tcase_create("numbers");
    tcase_set_timeout(numbers, 60);
    tcase_add_loop_test(numbers, accuracy, 0, COUNT(functions));
    tcase_add_test(numbers, tanh_of_floats);
    tcase_add_test(numbers, log_of_floats);
    tcase_add_loop_test(numbers, special_numbers, 0, COUNT(exact_ops));
    tcase_add_test(numbers, gradients_at_kinks);
    tcase_add_test(numbers, logsumexp_of_nothing);
    tcase_add_test(numbers, inside_of_an_interval);
    tcase_add_test(numbers, broadcasting);
    tcase_add_test(numbers, arrays);
    suite_add_tcase(suite, numbers);
    return suite;
}
