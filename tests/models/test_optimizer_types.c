/* What goes for every optimiser that is known, ours and one of this file's own. */
#include "flows/flow_tools.h"
#include "scratch.h"

#include <weir/optimizer.h>

#include <float.h>
#include <math.h>

/* ---- An optimiser from outside --------------------------------------------------------------------------------- */

/* Follow the sign of the gradient's moving average m (Bernstein et al. 2018, signSGD with momentum), softened near
 * zero: m = μ m + (1-μ) g, w -= lr m / (|m| + softness). */
#define SIGNED(real, suffix)                                                                                           \
    static void signed_##suffix(const nf_optimizer_update *at, size_t begin, size_t end)                               \
    {                                                                                                                  \
        const real rate = (real)at->learning_rate, momentum = (real)at->argument[0];                                   \
        const real softness = (real) * (const double *)at->type->data;                                                 \
        const real *gradient = at->gradient;                                                                           \
        real *w = at->parameter, *m = at->state;                                                                       \
        for (size_t i = begin; i < end; i++) {                                                                         \
            m[i] = momentum * m[i] + (1 - momentum) * ((real)at->scale * gradient[i] + (real)at->decay * w[i]);        \
            w[i] -= rate * m[i] / ((real)fabs((double)m[i]) + softness);                                               \
        }                                                                                                              \
    }
SIGNED(float, f32)
SIGNED(double, f64)

static const nf_argument signed_arguments[] = {{.name = "momentum",
                                                .value = 0.5,
                                                .low = 0,
                                                .high = 0.999,
                                                .help = "how slowly gradients are forgotten",
                                                .kind = NF_NUMBER},
                                               {0}};
static const double softness = 1e-3;
static const nf_optimizer_type own = {.name = "signed",
                                      .help = "w -= lr m / (|m| + softness)",
                                      .argument = signed_arguments,
                                      .learning_rate = 1e-2,
                                      .states = 1,
                                      .update = {signed_f32, signed_f64},
                                      .data = &softness};

static int known(void)
{
    int count = 0;
    while (nf_optimizer_types()[count]) count++;
    return count;
}

/* In the process of each test. */
static void add_own(void)
{
    nf_register_optimizer(&own, NULL);
    ck_assert_ptr_eq(nf_optimizer_types()[known() - 1], &own);
}

static const nf_optimizer_type *type_of(int i)
{
    const nf_optimizer_type *type = nf_optimizer_types()[i];
    ck_assert_ptr_nonnull(type);
    return type;
}

START_TEST(registering_is_checked)
{
    static const nf_argument features[] = {{.name = "which", .kind = NF_FEATURES, .choices = "all"}, {0}};
    static nf_argument many[NF_MOST_ARGUMENTS + 2];
    for (size_t i = 0; i <= NF_MOST_ARGUMENTS; i++) many[i] = (nf_argument){.name = "one", .kind = NF_NUMBER};
    nf_optimizer_type type = own;
    ASSERT_FAILS(nf_register_optimizer(&type, &error), AD_ERROR_ARGUMENT, "'signed' is taken");
    type.name = "adam";
    ASSERT_FAILS(nf_register_optimizer(&type, &error), AD_ERROR_ARGUMENT, "'adam' is taken");
    type.name = "no name";
    ASSERT_FAILS(nf_register_optimizer(&type, &error), AD_ERROR_ARGUMENT, "isn't a name");
    type.name = NULL;
    ASSERT_FAILS(nf_register_optimizer(&type, &error), AD_ERROR_ARGUMENT, "isn't a name");
    type = own;
    type.name = "other";
    type.update[AD_F32] = NULL;
    ASSERT_FAILS(nf_register_optimizer(&type, &error), AD_ERROR_ARGUMENT, "an update is missing");
    type = own;
    type.name = "other";
    type.learning_rate = 0;
    ASSERT_FAILS(nf_register_optimizer(&type, &error), AD_ERROR_ARGUMENT, "learning rate");
    type.learning_rate = 1;
    type.argument = features;
    ASSERT_FAILS(nf_register_optimizer(&type, &error), AD_ERROR_ARGUMENT, "'which' isn't a number or a choice");
    type.argument = many;
    ASSERT_FAILS(nf_register_optimizer(&type, &error), AD_ERROR_ARGUMENT, "expected at most 64");
    ck_assert_int_eq(nf_register_optimizer(&type, NULL), AD_ERROR_ARGUMENT);
}
END_TEST

/* ---- Steps ----------------------------------------------------------------------------------------------------- */

static nf_optimizer *new_optimizer(nf_optimizer_options options, size_t count, ad_dtype dtype)
{
    nf_optimizer *optimizer = nf_optimizer_new(&options, count, dtype, &error);
    ck_assert_msg(optimizer != NULL, "%s", error.message);
    return optimizer;
}

enum { SIZE = 6 };
typedef double numbers[SIZE]; /* room for either dtype */

static void begin(numbers w, ad_dtype dtype)
{
    for (size_t i = 0; i < SIZE; i++) ad_set_element(dtype, w, i, (i % 2 ? -1.0 : 1) * (1 + (double)i / 4));
}

/* Of Σ c w² / 2, c from 1 to 6; returns that. */
static double quadratic(const numbers w, numbers g, ad_dtype dtype)
{
    double value = 0;
    for (size_t i = 0; i < SIZE; i++) {
        double c = (double)(i + 1), at = ad_element(dtype, w, i);
        value += c * at * at / 2;
        ad_set_element(dtype, g, i, c * at);
    }
    return value;
}

/* So many steps of this rate down the quadratic. */
static void descend(nf_optimizer *optimizer, numbers w, ad_dtype dtype, int steps)
{
    numbers g;
    for (int i = 0; i < steps; i++) {
        quadratic(w, g, dtype);
        ASSERT_OK(nf_optimizer_step(optimizer, w, g, 0.01, NULL, NULL, &error));
    }
}

START_TEST(types_are_described)
{
    const nf_optimizer_type *type = type_of(_i);
    ck_assert_ptr_nonnull(type->help);
    ck_assert_ptr_null(strchr(type->help, '\n'));
    ck_assert_double_gt(type->learning_rate, 0);
    ck_assert_double_ge(type->weight_decay, 0);
    nf_optimizer *optimizer = new_optimizer((nf_optimizer_options){.name = type->name}, 3, AD_F64);
    ck_assert_double_eq(nf_optimizer_settings(optimizer)->learning_rate, type->learning_rate);
    ck_assert_double_eq(nf_optimizer_settings(optimizer)->weight_decay, type->weight_decay);
    for (const nf_argument *argument = type->argument; argument && argument->name; argument++) {
        ck_assert_ptr_nonnull(argument->help);
        ck_assert_double_le(argument->low, argument->value);
        ck_assert_double_le(argument->value, argument->high);
        ck_assert_double_eq(nf_optimizer_argument(optimizer, argument->name), argument->value);
    }
    nf_optimizer_free(optimizer);
}
END_TEST

/* Every argument reaches the update. */
START_TEST(arguments_change_steps)
{
    const nf_optimizer_type *type = type_of(_i);
    for (const nf_argument *argument = type->argument; argument && argument->name; argument++) {
        double other = (argument->low + argument->value) / 2;
        if (argument->kind == NF_COUNT) other = floor(other);
        char text[128];
        snprintf(text, sizeof text, "%s(%s=%.17g)", type->name, argument->name, other);
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            numbers a, b;
            nf_optimizer *first = new_optimizer((nf_optimizer_options){.name = type->name}, SIZE, dtype);
            nf_optimizer *second = new_optimizer((nf_optimizer_options){.name = text}, SIZE, dtype);
            ck_assert_double_eq(nf_optimizer_argument(second, argument->name), other);
            begin(a, dtype);
            begin(b, dtype);
            descend(first, a, dtype, 20);
            descend(second, b, dtype, 20);
            /* a small number under a root is below float32's last digit */
            if (dtype == AD_F64 || argument->value > 1e-3) ck_assert_mem_ne(a, b, SIZE * ad_dtype_size(dtype));
            nf_optimizer_free(first);
            nf_optimizer_free(second);
        }
    }
}
END_TEST

START_TEST(no_gradient_no_step)
{
    const nf_optimizer_type *type = type_of(_i);
    const double least = type->weight_decay > 0 ? 1e-300 : 0; /* zero is its default */
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        numbers w, before, g = {0};
        nf_optimizer *optimizer =
            new_optimizer((nf_optimizer_options){.name = type->name, .weight_decay = least}, SIZE, dtype);
        begin(w, dtype);
        begin(before, dtype);
        for (int i = 0; i < 3; i++) ASSERT_OK(nf_optimizer_step(optimizer, w, g, 0.1, NULL, NULL, &error));
        ck_assert_mem_eq(w, before, SIZE * ad_dtype_size(dtype));
        ck_assert_uint_eq(nf_optimizer_steps(optimizer), 3);
        nf_optimizer_free(optimizer);
    }
}
END_TEST

START_TEST(steps_go_down)
{
    const nf_optimizer_type *type = type_of(_i);
    numbers w[2], g;
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_optimizer *optimizer = new_optimizer((nf_optimizer_options){.name = type->name}, SIZE, dtype);
        begin(w[dtype], dtype);
        double before = quadratic(w[dtype], g, dtype);
        descend(optimizer, w[dtype], dtype, 100);
        ck_assert_double_lt(quadratic(w[dtype], g, dtype), before);
        nf_optimizer_free(optimizer);
    }
    for (size_t i = 0; i < SIZE; i++)
        ck_assert_double_eq_tol(ad_element(AD_F32, w[AD_F32], i), ad_element(AD_F64, w[AD_F64], i), 1e-4);
}
END_TEST

/* In the gradient, or apart from it towards zero. */
START_TEST(weights_decay)
{
    const nf_optimizer_type *type = type_of(_i);
    const double decay = 0.5, least = type->weight_decay > 0 ? 1e-300 : 0;
    numbers w, without, g, sum;
    nf_optimizer *decaying = new_optimizer((nf_optimizer_options){type->name, .weight_decay = decay}, SIZE, AD_F64);
    nf_optimizer *other = new_optimizer((nf_optimizer_options){type->name, .weight_decay = least}, SIZE, AD_F64);
    begin(w, AD_F64);
    begin(without, AD_F64);
    for (int step = 0; step < 5; step++) {
        quadratic(without, g, AD_F64);
        for (size_t i = 0; i < SIZE; i++) sum[i] = g[i] + (type->decays ? 0 : decay * w[i]);
        double before[SIZE];
        memcpy(before, w, sizeof before);
        ASSERT_OK(nf_optimizer_step(decaying, w, g, 0.01, NULL, NULL, &error));
        ASSERT_OK(nf_optimizer_step(other, without, sum, 0.01, NULL, NULL, &error));
        for (size_t i = 0; i < SIZE; i++)
            if (type->decays && step == 0)
                ck_assert_double_eq_tol(w[i], without[i] - 0.01 * decay * before[i], 1e-9);
            else if (!type->decays)
                ck_assert_double_eq_tol(w[i], without[i], 1e-9);
    }
    nf_optimizer_free(decaying);
    if (type->decays) { /* without a gradient nothing else moves them */
        decaying = new_optimizer((nf_optimizer_options){type->name, .weight_decay = decay}, SIZE, AD_F64);
        begin(w, AD_F64);
        begin(without, AD_F64);
        for (int step = 0; step < 3; step++)
            ASSERT_OK(nf_optimizer_step(decaying, w, (numbers){0}, 0.01, NULL, NULL, &error));
        for (size_t i = 0; i < SIZE; i++) ck_assert_double_eq_tol(w[i], without[i] * pow(1 - 0.01 * decay, 3), 1e-12);
        nf_optimizer_free(decaying);
    }
    nf_optimizer_free(other);
}
END_TEST

START_TEST(clipped_gradients_are_shorter_ones)
{
    const nf_optimizer_type *type = type_of(_i);
    numbers a, b, g, shorter;
    nf_optimizer *clipping = new_optimizer((nf_optimizer_options){.name = type->name, .clip = 0.1}, SIZE, AD_F64);
    nf_optimizer *other = new_optimizer((nf_optimizer_options){.name = type->name}, SIZE, AD_F64);
    begin(a, AD_F64);
    begin(b, AD_F64);
    for (int step = 0; step < 5; step++) {
        double squares = 0;
        quadratic(b, g, AD_F64);
        for (size_t i = 0; i < SIZE; i++) squares += g[i] * g[i];
        for (size_t i = 0; i < SIZE; i++) shorter[i] = g[i] * 0.1 / sqrt(squares);
        ASSERT_OK(nf_optimizer_step(clipping, a, g, 0.01, NULL, NULL, &error));
        ASSERT_OK(nf_optimizer_step(other, b, shorter, 0.01, NULL, NULL, &error));
        for (size_t i = 0; i < SIZE; i++) ck_assert_double_eq_tol(a[i], b[i], 1e-10);
    }
    nf_optimizer_free(clipping);
    nf_optimizer_free(other);
}
END_TEST

START_TEST(saved_steps_go_on)
{
    const nf_optimizer_type *type = type_of(_i);
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        const size_t bytes = SIZE * ad_dtype_size(dtype);
        numbers w, restored, fresh;
        nf_optimizer *first = new_optimizer((nf_optimizer_options){.name = type->name}, SIZE, dtype);
        nf_optimizer *second = new_optimizer((nf_optimizer_options){.name = type->name}, SIZE, dtype);
        nf_optimizer *third = new_optimizer((nf_optimizer_options){.name = type->name}, SIZE, dtype);
        void *state = malloc(nf_optimizer_state_size(first));
        begin(w, dtype);
        descend(first, w, dtype, 5);
        nf_optimizer_save(first, state);
        memcpy(restored, w, sizeof w);
        memcpy(fresh, w, sizeof w);
        nf_optimizer_restore(second, state);
        ck_assert_uint_eq(nf_optimizer_steps(second), 5);
        descend(first, w, dtype, 5);
        descend(second, restored, dtype, 5);
        descend(third, fresh, dtype, 5);
        ck_assert_mem_eq(w, restored, bytes);
        if (nf_optimizer_state_size(first) > sizeof(uint64_t)) ck_assert_mem_ne(w, fresh, bytes);
        nf_optimizer_free(first);
        nf_optimizer_free(second);
        nf_optimizer_free(third);
        free(state);
    }
}
END_TEST

/* Of every kind, on so many parameters that threads share them: the same bits with any number of threads, and every
 * parameter as if alone. */
START_TEST(threads_change_nothing)
{
    enum { COUNT_HERE = 3 * 8192 + 17, STEPS_HERE = 4 };
    ad_dtype dtype = _i % 2 ? AD_F64 : AD_F32;
    const nf_optimizer_options options = {.name = nf_optimizer_types()[_i / 2]->name, .learning_rate = 0.1, .clip = 1};
    double *w[3], *g = malloc(COUNT_HERE * sizeof *g), norm[3];
    for (int threads = 1; threads <= 3; threads++) {
        double *at = w[threads - 1] = malloc(COUNT_HERE * sizeof *at);
        for (size_t i = 0; i < COUNT_HERE; i++) ad_set_element(dtype, at, i, ad_random_normal(1, 0, i));
        nf_optimizer *optimizer = new_optimizer(options, COUNT_HERE, dtype);
        ad_pool *pool = ad_pool_new(threads, &error);
        for (size_t step = 0; step < STEPS_HERE; step++) {
            for (size_t i = 0; i < COUNT_HERE; i++) ad_set_element(dtype, g, i, ad_random_normal(2, step, i));
            ASSERT_OK(nf_optimizer_step(optimizer, at, g, 0.1, pool, &norm[threads - 1], &error));
        }
        ck_assert_mem_eq(at, w[0], COUNT_HERE * ad_dtype_size(dtype));
        ck_assert_double_eq(norm[threads - 1], norm[0]);
        ad_pool_free(pool);
        nf_optimizer_free(optimizer);
    }
    /* the last one alone, with its gradient clipped by the others' norm */
    nf_optimizer *alone = new_optimizer((nf_optimizer_options){.name = options.name}, 1, dtype);
    double last, last_g;
    ad_set_element(dtype, &last, 0, ad_random_normal(1, 0, COUNT_HERE - 1));
    for (size_t step = 0; step < STEPS_HERE; step++) {
        double squares = 0;
        for (size_t i = 0; i < COUNT_HERE; i++) squares += pow(ad_random_normal(2, step, i), 2);
        ad_set_element(dtype, &last_g, 0, ad_random_normal(2, step, COUNT_HERE - 1) / sqrt(squares));
        ASSERT_OK(nf_optimizer_step(alone, &last, &last_g, 0.1, NULL, NULL, &error));
    }
    ck_assert_double_eq_tol(ad_element(dtype, w[0], COUNT_HERE - 1), ad_element(dtype, &last, 0),
                            dtype == AD_F32 ? 1e-4 : 1e-9);
    nf_optimizer_free(alone);
    for (int i = 0; i < 3; i++) free(w[i]);
    free(g);
}
END_TEST

#if defined(__x86_64__)
/* A parameter that is used once: what is remembered of it must not linger among the slow numbers. */
START_TEST(nothing_becomes_subnormal)
{
    nf_optimizer *optimizer = new_optimizer((nf_optimizer_options){.name = nf_optimizer_types()[_i]->name}, 1, AD_F32);
    float w = 0, *state = malloc(nf_optimizer_state_size(optimizer));
    size_t states = (nf_optimizer_state_size(optimizer) - sizeof(uint64_t)) / sizeof w;
    for (int step = 0; step < 2500; step++) {
        float g = step == 0 ? 1e-3f : 0;
        ASSERT_OK(nf_optimizer_step(optimizer, &w, &g, 1e-3, NULL, NULL, &error));
        nf_optimizer_save(optimizer, state);
        for (size_t i = 0; i < states; i++) ck_assert_int_ne(fpclassify(state[i]), FP_SUBNORMAL);
    }
    volatile float least = FLT_MIN;
    ck_assert(least / 2 > 0); /* elsewhere they are as they were */
    free(state);
    nf_optimizer_free(optimizer);
}
END_TEST
#endif

START_TEST(memory_runs_out)
{
    for (int i = 0; i < known(); i++) {
        const nf_optimizer_options options = {.name = nf_optimizer_types()[i]->name};
        nf_optimizer *optimizer = NULL;
        for (size_t allowed = 0; !optimizer; allowed++) {
            memory_limit(allowed);
            optimizer = nf_optimizer_new(&options, 3, AD_F64, &error);
            ck_assert_int_eq(optimizer != NULL, !memory.denied);
            if (!optimizer) ck_assert_int_eq(error.status, AD_ERROR_MEMORY);
        }
        nf_optimizer_free(optimizer);
        memory_unlimited();
    }
}
END_TEST

Suite *optimizer_types_suite(void);

Suite *optimizer_types_suite(void)
{
    Suite *suite = suite_create("optimizer_types");
    TCase *every = tcase_create("every optimiser");
    tcase_add_checked_fixture(every, add_own, NULL);
    const int count = known() + 1;
    tcase_add_test(every, registering_is_checked);
    tcase_add_loop_test(every, types_are_described, 0, count);
    tcase_add_loop_test(every, arguments_change_steps, 0, count);
    tcase_add_loop_test(every, no_gradient_no_step, 0, count);
    tcase_add_loop_test(every, steps_go_down, 0, count);
    tcase_add_loop_test(every, weights_decay, 0, count);
    tcase_add_loop_test(every, clipped_gradients_are_shorter_ones, 0, count);
    tcase_add_loop_test(every, saved_steps_go_on, 0, count);
    tcase_add_loop_test(every, threads_change_nothing, 0, 2 * count);
#if defined(__x86_64__)
    tcase_add_loop_test(every, nothing_becomes_subnormal, 0, count);
#endif
    tcase_add_test(every, memory_runs_out);
    suite_add_tcase(suite, every);
    return suite;
}
