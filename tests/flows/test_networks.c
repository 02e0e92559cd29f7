/* Transformers, activations and conditioners: what every one that is known must keep, and one of each from outside. */
#include "flows/flow_tools.h"

#include <weir/gradcheck.h>
#include <weir/networks.h>
#include <weir/transformer.h>
#include <weir/verify.h>

#include <math.h>

/* ---- From outside ------------------------------------------------------------------------------------------------ */

/* x = z + size softplus(a) z³ increases for any a; its inverse and its log-derivative are left to the engine. */
static size_t one(const nf_choice *self)
{
    (void)self;
    return 1;
}

static size_t none(const nf_choice *self)
{
    (void)self;
    return 0;
}

static ad_var cubic(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative)
{
    (void)log_derivative;
    ad_var a = ad_reshape(parameters, ad_shape_of(z));
    ad_var size = ad_mul_scalar(ad_softplus(a), nf_choice_value(self, "size"));
    return ad_add(z, ad_mul(size, ad_mul(z, ad_square(z))));
}

static const nf_argument cubic_arguments[] = {
    {.name = "size", .kind = NF_NUMBER, .value = 0.5, .low = 0, .high = 10, .help = "of the cubic term"}, {0}};
static const nf_transformer_type cubic_forward = {"test_cubic", "x = z + size softplus(a) z³", cubic_arguments,
                                                  .parameters = one, .forward = cubic};
static const nf_transformer_type cubic_inverse = {"test_cubic_inverse", "z = x + size softplus(a) x³", cubic_arguments,
                                                  .parameters = one, .inverse = cubic};

static ad_var scaled_sine(const nf_choice *self, ad_var x)
{
    return ad_sin(ad_mul_scalar(x, nf_choice_value(self, "frequency")));
}

static const nf_activation_type sine = {
    "test_sine", "sin(frequency x)",
    (const nf_argument[]){{.name = "frequency", .kind = NF_NUMBER, .value = 2, .low = 0, .high = 9, .help = "in x"},
                          {0}},
    .apply = scaled_sine};

static ad_status declare_flat(const nf_choice *self, nf_bijector *owner, size_t inputs, size_t outputs, ad_error *to)
{
    (void)self;
    return nf_layer_declare(owner, 0, inputs, outputs, 0.1, to);
}

static ad_var flat(const nf_choice *self, const nf_scope *at, size_t inputs, ad_var x)
{
    (void)self;
    ad_var bias = nf_layer_bias(at, 0);
    return inputs ? ad_add(ad_matmul(nf_layer_weight(at, 0), x), bias) : bias;
}

static const nf_conditioner_type linear = {"test_linear", "one layer", .declare = declare_flat, .outputs = flat};

static void register_all(void)
{
    ASSERT_OK(nf_register_transformer(&cubic_forward, &error));
    ASSERT_OK(nf_register_transformer(&cubic_inverse, &error));
    ASSERT_OK(nf_register_activation(&sine, &error));
    ASSERT_OK(nf_register_conditioner(&linear, &error));
}

/* Each name of a registry, with what is around it in a formula. */
typedef struct {
    const nf_registry *registry;
    const char *formula;
} place;

static const place places[] = {
    {&nf_transformers, "coupling(6,transformer=%s)"},
    {&nf_transformers, "autoregressive(6,transformer=%s)"},
    {&nf_transformers, "invert(autoregressive(6,transformer=%s))"},
    {&nf_activations, "realnvp(6,activation=%s)"},
    {&nf_activations, "maf(6,activation=%s)"},
    {&nf_conditioners, "rqs(6,6,network=%s)"},
    {&nf_conditioners, "coupling(6,6,network=%s,transformer=rational_quadratic(bins=4))"},
};

/* ---- What every one must keep --------------------------------------------------------------------------------------
 */

static const size_t dims[] = {1, 2, 5};
enum { MOST_NAMES = 24 }; /* of a kind */

/* The verifier holds the values against each other in both directions, the log-det against the Jacobian, and gradients
 * against finite differences. */
START_TEST(passes_the_check)
{
    register_all();
    const place *p = &places[(size_t)_i / COUNT(dims) / MOST_NAMES];
    const size_t dim = dims[(size_t)_i / MOST_NAMES % COUNT(dims)];
    char names[500], formula[600];
    nf_registry_names(p->registry, "|", names, sizeof names);
    size_t number = 0;
    for (char *name = strtok(names, "|"); name; name = strtok(NULL, "|"), number++)
        for (size_t context = 0; context <= 2 && number == (size_t)_i % MOST_NAMES; context += 2) {
            if (dim > 1 && (dim + (size_t)(p - places)) % 2 == context / 2) continue; /* with and without, in turn */
            snprintf(formula, sizeof formula, p->formula, name);
            nf_bijector *bijector = nf_bijector_parse(formula, dim, context, 1, &error);
            ck_assert_msg(bijector != NULL, "%s: %s", formula, error.message);
            nf_check_result result[NF_MOST_CHECKS];
            int count;
            ad_status status = nf_check_bijector(bijector, 3, result, &count, &error);
            ck_assert_msg(status == AD_OK, "%s of %zu with %zu: %s", formula, dim, context, error.message);
            nf_bijector_free(bijector);
        }
    ck_assert_uint_le(number, MOST_NAMES);
}
END_TEST

/* With parameters of 0 a transformer's map is near enough to the identity that a new flow is one. */
START_TEST(starts_near_the_identity)
{
    const nf_transformer_type *const *types = nf_transformer_types();
    for (size_t t = 0; types[t]; t++) {
        double argument[NF_MOST_ARGUMENTS];
        ck_assert_msg(nf_parse_arguments(types[t]->name, strlen(types[t]->name), types[t]->argument, argument, &error),
                      "%s", error.message);
        const nf_choice self = {types[t], argument};
        size_t needed = types[t]->parameters(&self);
        ad_tape *tape = ad_tape_new();
        ad_var v = ad_input(tape, "v", AD_SHAPE(1)), zero = ad_broadcast(ad_scalar(tape, 0), AD_SHAPE(needed, 1));
        ad_var log_derivative, x = nf_apply_transformer(&self, false, v, zero, &log_derivative);
        ad_plan *plan =
            ad_plan_new((ad_var[]){x, ad_to_rows(log_derivative)}, 2, &(ad_plan_options){.dtype = AD_F64}, &error);
        ck_assert_msg(plan != NULL, "%s: %s", types[t]->name, error.message);
        const double in[] = {-30, -2, -0.1, 0, 0.7, 3, 100};
        double out[COUNT(in)], slope[COUNT(in)];
        ad_plan_set_input(plan, v, in);
        ad_plan_set_output(plan, 0, out);
        ad_plan_set_output(plan, 1, slope);
        ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = COUNT(in)}, &error));
        for (size_t i = 0; i < COUNT(in); i++) {
            ck_assert_msg(fabs(out[i] - in[i]) < 1e-12 * (1 + fabs(in[i])), "%s: %g for %g", types[t]->name, out[i],
                          in[i]);
            ck_assert_double_eq_tol(slope[i], 0, 1e-12);
        }
        ad_plan_free(plan);
        ad_tape_free(tape);
    }
}
END_TEST

/* Finite wherever x is, with a derivative that agrees with finite differences. */
START_TEST(activations_are_smooth_enough)
{
    register_all();
    const nf_activation_type *const *types = nf_activation_types();
    const double in[] = {-1e4, -50, -3, -0.4, 0.3, 2, 40, 1e4};
    for (size_t t = 0; types[t]; t++) {
        double argument[NF_MOST_ARGUMENTS];
        ck_assert(nf_parse_arguments(types[t]->name, strlen(types[t]->name), types[t]->argument, argument, &error));
        ad_tape *tape = ad_tape_new();
        ad_var x = ad_input(tape, "x", AD_SHAPE(1)), y = nf_activate(&(nf_choice){types[t], argument}, x);
        const double *values[] = {in + 2};
        ad_gradcheck_report report;
        ASSERT_OK(ad_gradcheck(y, &x, 1, &x, values, 1, &(ad_gradcheck_options){.rows = 4}, &report, &error));
        ad_plan *plan = ad_plan_new(&y, 1, &(ad_plan_options){.dtype = AD_F64}, &error);
        double out[COUNT(in)];
        ad_plan_set_input(plan, x, in);
        ad_plan_set_output(plan, 0, out);
        ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = COUNT(in)}, &error));
        for (size_t i = 0; i < COUNT(in); i++) ck_assert_msg(isfinite(out[i]), "%s(%g)", types[t]->name, in[i]);
        ad_plan_free(plan);
        ad_tape_free(tape);
    }
}
END_TEST

/* ---- In formulas ----------------------------------------------------------------------------------------------- */

/* A short name gives what the long one gives. */
START_TEST(short_names)
{
    static const char *const same[][2] = {
        {"realnvp(8,8,bound=2,mask=alternating)", "coupling(8,8,transformer=affine(bound=2),mask=alternating)"},
        {"rqs(8,bins=5,network=residual)", "coupling(8,transformer=rational_quadratic(bins=5),network=residual)"},
        {"maf(8,gain=2,activation=elu)", "autoregressive(8,gain=2,activation=elu)"},
        {"rqsar(8,tail=3)", "autoregressive(8,transformer=rational_quadratic(tail=3))"},
        {"iaf(8)", "invert(autoregressive(8))"},
    };
    double *x = normals(40 * 3, 2, 1);
    for (size_t i = 0; i < COUNT(same); i++) {
        double log_prob[2][40];
        for (int k = 0; k < 2; k++) {
            nf_flow *flow = nf_flow_parse(same[i][k], 3, 0, AD_F64, 5, &error);
            ck_assert_msg(flow != NULL, "%s", error.message);
            ASSERT_OK(nf_log_prob(flow, x, NULL, 40, log_prob[k], NULL, &error));
            nf_flow_free(flow);
        }
        ck_assert_mem_eq(log_prob[0], log_prob[1], sizeof log_prob[0]);
    }
    free(x);
}
END_TEST

START_TEST(printed_and_read_again)
{
    static const char *const canonical[][2] = {
        {"coupling(transformer=affine)", "coupling(64,64)"},
        {"coupling ( 8 , transformer = rational_quadratic ( tail = 3 , bins = 8 ) )",
         "coupling(8,transformer=rational_quadratic(tail=3))"},
        {"coupling(8,transformer=affine(bound=2))*2", "coupling(8,transformer=affine(bound=2))*2"},
        {"coupling(8,transformer=affine(bound=2))-coupling(8,transformer=affine(bound=4))",
         "coupling(8,transformer=affine(bound=2))-coupling(8,transformer=affine(bound=4))"},
    };
    for (size_t i = 0; i < COUNT(canonical); i++) {
        nf_bijector *bijector = parsed(canonical[i][0], 2, 0);
        char *formula = nf_formula(bijector);
        ck_assert_str_eq(formula, canonical[i][1]);
        ad_free(formula);
        nf_bijector_free(bijector);
    }
    nf_flow *flow = nf_flow_parse("coupling(8)", 2, 0, AD_F32, 0, &error);
    char *full = nf_flow_formula(flow, true);
    ck_assert_msg(strstr(full, "activation=tanh,transformer=affine(bound=3),network=mlp") != NULL, "%s", full);
    nf_flow *again = nf_flow_parse(full, 2, 0, AD_F32, 0, &error);
    ck_assert_msg(again != NULL, "%s", error.message);
    ad_free(full);
    nf_flow_free(again);
    nf_flow_free(flow);
}
END_TEST

START_TEST(mistakes)
{
    static const char *const wrong[][2] = {
        {"coupling(transformer=afine)", "valid here: affine|rational_quadratic"},
        {"coupling(transformer=affine(bins=3))", "affine has no argument 'bins'"},
        {"coupling(transformer=affine(bound=-1))", "'bound' is out of range or not a number, got '-1'"},
        {"coupling(transformer=rational_quadratic(bins=2.5))", "'bins' is out of range or not a number, got '2.5'"},
        {"coupling(transformer=affine(bound=1)", "isn't closed"},
        {"coupling(transformer=3)", "'transformer' has no such choice, got '3'"},
        {"maf(transformer=affine)", "maf has no argument 'transformer'"},
        {"affine-tanh-rational_quadratic", "a transformer: coupling(transformer=…)"},
        {"mlp", "a network: couplings take it"},
        {"silu", "an activation: bijectors with a network take it"},
        {"maf(activation=tan)", "valid here: tanh|relu|elu|silu|gelu|sin"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        ck_assert_ptr_null(nf_bijector_parse(wrong[i][0], 2, 0, 0, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, wrong[i][1]);
    }
    const nf_transformer_type taken = {"affine", .parameters = one, .forward = cubic},
                              empty = {"empty", .forward = cubic};
    ASSERT_FAILS(nf_register_transformer(&taken, &error), AD_ERROR_ARGUMENT, "'affine' is taken");
    ASSERT_FAILS(nf_register_transformer(&empty, &error), AD_ERROR_ARGUMENT, "needs parameters");
    const nf_transformer_type needless = {"needless", .parameters = none, .forward = cubic};
    ASSERT_OK(nf_register_transformer(&needless, &error));
    ck_assert_ptr_null(nf_bijector_parse("coupling(8,transformer=needless)", 2, 0, 0, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "does its map need no parameters?");
    ASSERT_FAILS(nf_register_activation(&(nf_activation_type){"none"}, &error), AD_ERROR_ARGUMENT, "no apply");
    ASSERT_FAILS(nf_register_conditioner(&(nf_conditioner_type){"none"}, &error), AD_ERROR_ARGUMENT, "needs declare");
}
END_TEST

/* The parameters are (1, n) where values and log-derivatives are (n). */
static ad_var bad_value(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative)
{
    (void)self, (void)log_derivative;
    return ad_add(z, parameters);
}

static ad_var bad_log_derivative(const nf_choice *self, ad_var z, ad_var parameters, ad_var *log_derivative)
{
    (void)self;
    *log_derivative = ad_sum(parameters);
    return ad_add(z, ad_reshape(parameters, ad_shape_of(z)));
}

START_TEST(shapes_of_a_transformer)
{
    static const nf_transformer_type value = {"test_bad_value", .parameters = one, .forward = bad_value},
                                     slope = {"test_bad_slope", .parameters = one, .forward = bad_log_derivative};
    static const char *const wrong[][2] = {
        {"coupling(4,transformer=test_bad_value)", "test_bad_value: the transformer gave a value of shape (1,2)"},
        {"coupling(4,transformer=test_bad_slope)", "test_bad_slope: the transformer gave a log-derivative of shape ()"},
    };
    ASSERT_OK(nf_register_transformer(&value, &error));
    ASSERT_OK(nf_register_transformer(&slope, &error));
    for (size_t i = 0; i < COUNT(wrong); i++) {
        nf_bijector *bijector = nf_bijector_parse(wrong[i][0], 4, 0, 1, &error);
        ad_tape *tape = ad_tape_new();
        ad_var log_det;
        nf_forward(nf_bind(bijector, tape), ad_input(tape, "z", AD_SHAPE(4)), &log_det);
        ck_assert_msg(strstr(ad_tape_error(tape)->message, wrong[i][1]) != NULL, "%s", ad_tape_error(tape)->message);
        ad_tape_free(tape);
        nf_bijector_free(bijector);
    }
}
END_TEST

/* ---- Splines of large parameters in float32 ---------------------------------------------------------------------- */

enum { PLACES = 4000 };

/* At each place a spline of parameters of its own; `out` gets values, then log-derivatives. */
static void spline(size_t bins, bool inverse, ad_dtype dtype, const double *v, const double *parameters, double *out)
{
    const nf_choice self = {&nf_transformer_rational_quadratic, (double[]){(double)bins, 5, 0}};
    const size_t count = 3 * bins - 1, size = ad_dtype_size(dtype);
    ad_tape *tape = ad_tape_new();
    ad_var at = ad_input(tape, "v", AD_SHAPE(1)), u = ad_input(tape, "u", AD_SHAPE(count, 1)), y[2];
    y[0] = nf_apply_transformer(&self, inverse, at, u, &y[1]);
    ad_plan *plan = ad_plan_new(y, 2, &(ad_plan_options){.dtype = dtype}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    char *memory = ad_alloc_aligned(PLACES * (count + 3), size), *to = memory + PLACES * (count + 1) * size;
    ck_assert_ptr_nonnull(memory);
    ad_from_double(dtype, v, memory, PLACES);
    ad_from_double(dtype, parameters, memory + PLACES * size, PLACES * count);
    ad_plan_set_input(plan, at, memory);
    ad_plan_set_input(plan, u, memory + PLACES * size);
    for (int i = 0; i < 2; i++) ad_plan_set_output(plan, i, to + (size_t)i * PLACES * size);
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = PLACES}, &error));
    ad_to_double(dtype, to, out, 2 * PLACES);
    ad_plan_free(plan);
    ad_tape_free(tape);
    ad_free_aligned(memory);
}

/* What float32 gives is what float64 gives of a place that differs by rounding: 6e-7 of the ten units of the axis. */
START_TEST(splines_in_float32)
{
    const size_t bins = _i % 2 ? 32 : 8, count = 3 * bins - 1;
    const bool inverse = _i / 2 % 2;
    const double rounding = 6e-7;
    double *v = malloc(PLACES * (count + 9) * sizeof *v), *narrow = v + PLACES, *wide = narrow + 2 * PLACES;
    ck_assert_ptr_nonnull(v);
    double *beside[] = {wide + 2 * PLACES, wide + 4 * PLACES}, *parameters = wide + 6 * PLACES;
    for (double size = 1; size <= 16; size *= 4) {
        for (size_t i = 0; i < PLACES * count; i++) parameters[i] = (float)(size * ad_random_normal(4, 0, i));
        for (size_t i = 0; i < PLACES; i++) v[i] = (float)(9.99 * ad_random_uniform(5, 0, i) - 4.995);
        spline(bins, inverse, AD_F32, v, parameters, narrow);
        spline(bins, inverse, AD_F64, v, parameters, wide);
        for (int k = 0; k < 2; k++) {
            for (size_t i = 0; i < PLACES; i++) v[i] += (k ? -2 : 1) * rounding;
            spline(bins, inverse, AD_F64, v, parameters, beside[k]);
        }
        for (size_t i = 0; i < 2 * PLACES; i++) {
            double moved = fmax(fabs(beside[0][i] - wide[i]), fabs(beside[1][i] - wide[i]));
            ck_assert_msg(fabs(narrow[i] - wide[i]) <= 20 * moved + 4 * rounding * (1 + fabs(wide[i])),
                          "%zu bins, size %g, %s %zu: %g for %g, and %g beside", bins, size,
                          i < PLACES ? "value" : "log-derivative", i % PLACES, narrow[i], wide[i], moved);
        }
    }
    free(v);
}
END_TEST

Suite *networks_suite(void)
{
    Suite *suite = suite_create("networks");
    TCase *tcase = tcase_create("networks");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, passes_the_check, 0, COUNT(places) * COUNT(dims) * MOST_NAMES);
    tcase_add_test(tcase, starts_near_the_identity);
    tcase_add_test(tcase, activations_are_smooth_enough);
    tcase_add_test(tcase, short_names);
    tcase_add_test(tcase, printed_and_read_again);
    tcase_add_test(tcase, mistakes);
    tcase_add_test(tcase, shapes_of_a_transformer);
    tcase_add_loop_test(tcase, splines_in_float32, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}
