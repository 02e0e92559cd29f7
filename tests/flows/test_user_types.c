/* Bijectors from outside, right and wrong: what the verifier finds, and mistakes that are told. */
#include "flows/flow_tools.h"
#include "scratch.h"

#include <weir/models.h>

#include <math.h>

enum { ROWS = 50 };

/* ---- A bijector from outside, right and wrong ------------------------------------------------------------------ */

/* shear, for D = 2: x_1 = eᵃ z_1, x_2 = exp(tanh z_1) z_2 + b z_1, log|det J| = a + tanh z_1. Its argument plants a
 * fault. */
typedef enum {
    SOUND,
    FORWARD_SIGN, /* of the log-det */
    INVERSE_SIGN,
    MISSING_TERM,  /* a, from the forward log-det */
    MISSING_TERMS, /* a, from both log-dets, which cancel all the same */
    WRONG_INVERSE, /* + b z_1 */
    WRONG_FORWARD, /* a half of the shear: the map and its inverse don't fit, each Jacobian is right */
    NO_GRADIENT,   /* for a, in the forward map */
    NOT_A_NUMBER,
    BAD_LOG_DET, /* not of shape () */
} fault;

static fault fault_of(const nf_bijector *self)
{
    return (fault)nf_argument_value(self, "fault");
}

static ad_status shear_build(nf_bijector *self, ad_error *to)
{
    if (self->dim != 2) return ad_error_set(to, AD_ERROR_ARGUMENT, "shear: expected 2 features, got %zu", self->dim);
    ad_status status = nf_declare(self, &(nf_parameter_spec){.name = "a", .shape = AD_SHAPE(1), .value = 0.3}, to);
    nf_parameter_spec b = {.name = "b", .shape = AD_SHAPE(1), .init = NF_INIT_UNIFORM, .value = 2};
    return status == AD_OK ? nf_declare(self, &b, to) : status;
}

static ad_var shear_log_det(ad_var a, ad_var t, bool missing)
{
    return ad_sum(missing ? t : ad_add(a, t));
}

static ad_var shear_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    fault f = fault_of(at->self);
    ad_var a = nf_param(at, "a"), b = nf_param(at, "b");
    ad_var z1 = ad_slice(z, 0, 0, 1), z2 = ad_slice(z, 0, 1, 2), t = ad_tanh(z1);
    ad_var moved = ad_mul(b, z1);
    if (f == WRONG_FORWARD) moved = ad_mul_scalar(moved, 0.5);
    if (f == NOT_A_NUMBER) moved = ad_log(ad_sub(z1, z1)), moved = ad_sub(moved, moved);
    ad_var grown = ad_exp(f == NO_GRADIENT ? ad_stop_gradient(a) : a);
    *log_det = shear_log_det(a, t, f == MISSING_TERM || f == MISSING_TERMS);
    if (f == FORWARD_SIGN) *log_det = ad_neg(*log_det);
    if (f == BAD_LOG_DET) *log_det = t;
    return ad_concat((ad_var[]){ad_mul(grown, z1), ad_add(ad_mul(ad_exp(t), z2), moved)}, 2, 0);
}

static ad_var shear_inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    fault f = fault_of(at->self);
    ad_var a = nf_param(at, "a"), b = nf_param(at, "b");
    ad_var z1 = ad_mul(ad_slice(x, 0, 0, 1), ad_exp(ad_neg(a))), x2 = ad_slice(x, 0, 1, 2), t = ad_tanh(z1);
    ad_var moved = ad_mul(b, z1);
    *log_det = shear_log_det(a, t, f == MISSING_TERMS);
    if (f != INVERSE_SIGN) *log_det = ad_neg(*log_det);
    ad_var z2 = ad_mul(f == WRONG_INVERSE ? ad_add(x2, moved) : ad_sub(x2, moved), ad_exp(ad_neg(t)));
    return ad_concat((ad_var[]){z1, z2}, 2, 0);
}

static const nf_argument shear_arguments[] = {{"fault", NF_COUNT, SOUND, SOUND, BAD_LOG_DET, NULL, "planted"}, {0}};

static const nf_bijector_type shear = {.name = "shear",
                                       .help = "x_1 = e^a z_1, x_2 = exp(tanh z_1) z_2 + b z_1",
                                       .argument = shear_arguments,
                                       .build = shear_build,
                                       .forward = shear_forward,
                                       .inverse = shear_inverse};
static nf_bijector *made(const nf_bijector_type *type, fault f)
{
    nf_bijector *bijector = nf_bijector_new(type, 2, 0, &(nf_arguments){.value = (double[]){f}}, &error);
    ck_assert_msg(bijector != NULL, "%s", error.message);
    nf_initialize(bijector, 5);
    return bijector;
}

#define JACOBIAN "log-det against the Jacobian, "

/* What each fault must be found by, and how the message names the first of them. */
static const struct {
    fault fault;
    const char *found_by[4]; /* the beginnings of properties' names; no other beginning with "round", "log" or "grad" */
    const char *message;
} planted[] = {
    {SOUND, {NULL}, ""},
    {FORWARD_SIGN, {"log-dets", JACOBIAN "f", JACOBIAN "o", "log-det against finite differences, f"}, ": z = ("},
    {INVERSE_SIGN, {"log-dets", JACOBIAN "i", "log-det against finite differences, i"}, ": z = ("},
    {MISSING_TERM, {"log-dets", JACOBIAN "f", JACOBIAN "o", "log-det against finite differences, f"}, ": z = ("},
    {MISSING_TERMS, {"log-det against"}, ": z = ("},
    {WRONG_INVERSE, {"round trip"}, ": z = ("},
    {WRONG_FORWARD, {"round trip"}, ": z = ("},
    {NO_GRADIENT, {"gradients against differences, f"}, ": with respect to 0.shear.a, element 0"},
};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

START_TEST(check_finds)
{
    nf_bijector *bijector = made(&shear, planted[_i].fault);
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    error = (ad_error){AD_OK, ""};
    ad_status status = nf_check_bijector(bijector, 1, result, &count, &error);
    ck_assert_int_eq(status, planted[_i].found_by[0] ? AD_ERROR_NUMERIC : AD_OK);
    if (planted[_i].found_by[0]) ck_assert(begins(error.message, planted[_i].found_by[0]));
    for (int i = 0; i < count; i++) {
        bool expected = false, named = begins(result[i].property, "round") || begins(result[i].property, "log") ||
                                       begins(result[i].property, "grad");
        for (int k = 0; k < 4 && planted[_i].found_by[k]; k++)
            expected |= begins(result[i].property, planted[_i].found_by[k]);
        if (named)
            ck_assert_msg(!(result[i].worst <= result[i].bound) == expected, "%s: %g", result[i].property,
                          result[i].worst);
    }
    ck_assert_msg(strstr(error.message, planted[_i].message) != NULL, "expected %s, got %s", planted[_i].message,
                  error.message);
    nf_bijector_free(bijector);
}
END_TEST

START_TEST(check_reports)
{
    static const struct {
        const nf_bijector_type *type;
        fault fault;
        ad_status status;
        const char *message;
    } cases[] = {
        {&shear, NOT_A_NUMBER, AD_ERROR_NUMERIC, "round trip z -> x -> z"},
        {&shear, BAD_LOG_DET, AD_ERROR_ARGUMENT, "gave a log_det of shape"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_bijector *bijector = made(cases[i].type, cases[i].fault);
        nf_check_result result[NF_MOST_CHECKS];
        int count;
        ASSERT_FAILS(nf_check_bijector(bijector, 1, result, &count, &error), cases[i].status, cases[i].message);
        ck_assert_int_eq(nf_check_bijector(bijector, 1, result, &count, NULL), cases[i].status);
        nf_bijector_free(bijector);
    }
}
END_TEST

/* ---- Constraints, right and wrong ------------------------------------------------------------------------------- */

static bool is_free(const nf_bijector *self)
{
    return nf_argument_value(self, "free") != 0;
}

static const nf_argument free_argument[] = {{"free", NF_COUNT, 0, 0, 1, NULL, "1: the constraint is left out"}, {0}};

/* x = a z + exp z, a > 0. */
static ad_status growth_build(nf_bijector *self, ad_error *to)
{
    return nf_declare(
        self,
        &(nf_parameter_spec){
            .name = "a", .shape = AD_SHAPE(self->dim), .value = 1, .constraint = is_free(self) ? NF_REAL : NF_POSITIVE},
        to);
}

static ad_var growth_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    return ad_add(ad_mul(nf_param(at, "a"), z), ad_exp(z));
}

/* x = z + u tanh(w'z + b): one to one where w'u >= -1, for which u is moved (Rezende & Mohamed 2015). */
static ad_status bend_build(nf_bijector *self, ad_error *to)
{
    static const char *const names[] = {"u", "w"};
    ad_status status = AD_OK;
    for (int i = 0; i < 2 && status == AD_OK; i++) {
        nf_parameter_spec spec = {.name = names[i], .shape = AD_SHAPE(self->dim), .init = NF_INIT_NORMAL, .value = 0.1};
        status = nf_declare(self, &spec, to);
    }
    return status;
}

static ad_var bend_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    ad_var u = nf_param(at, "u"), w = nf_param(at, "w"), wu = ad_sum(ad_mul(w, u));
    ad_var moved = ad_sub(ad_add_scalar(ad_softplus(wu), -1), wu);
    if (!is_free(at->self)) u = ad_add(u, ad_div(ad_mul(w, moved), ad_add_scalar(ad_sum(ad_square(w)), 1e-9)));
    return ad_add(z, ad_mul(u, ad_tanh(ad_sum(ad_mul(w, z)))));
}

/* x = s z with its log-det written, s > 0. */
static ad_var stretch_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var a = nf_param(at, "a");
    *log_det = ad_sum(ad_log(a));
    return ad_mul(a, z);
}

static ad_var stretch_inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var a = nf_param(at, "a");
    *log_det = ad_neg(ad_sum(ad_log(a)));
    return ad_div(x, a);
}

static const nf_bijector_type constrained[] = {
    {.name = "growth", .argument = free_argument, .build = growth_build, .forward = growth_forward},
    {.name = "bend", .argument = free_argument, .build = bend_build, .forward = bend_forward},
    {.name = "stretch",
     .argument = free_argument,
     .build = growth_build,
     .forward = stretch_forward,
     .inverse = stretch_inverse},
};

START_TEST(check_finds_a_wrong_constraint)
{
    static const char *const found_by[] = {"one sign of det J at extreme parameters",
                                           "one sign of det J at extreme parameters", "no NaN at extreme parameters"};
    static const size_t dimensions[] = {1, 2, 3, 8};
    for (size_t k = 0; k < COUNT(dimensions); k++)
        for (int wrong = 0; wrong < 2; wrong++) {
            nf_bijector *bijector =
                nf_bijector_new(&constrained[_i], dimensions[k], 0, &(nf_arguments){(double[]){wrong}}, &error);
            ck_assert_msg(bijector != NULL, "%s", error.message);
            nf_initialize(bijector, 1);
            nf_check_result result[NF_MOST_CHECKS];
            int count;
            nf_check_bijector(bijector, 1, result, &count, &error);
            bool found = false;
            for (int i = 0; i < count; i++)
                if (begins(result[i].property, found_by[_i])) found = result[i].worst > result[i].bound;
            ck_assert_msg(found == wrong, "%s, constraint %s, D = %zu", constrained[_i].name,
                          wrong ? "left out" : "kept", dimensions[k]);
            nf_bijector_free(bijector);
        }
}
END_TEST

/* loc-shear, log p by hand. */
START_TEST(user_type_in_a_chain)
{
    nf_bijector *child[] = {parsed("loc", 2, 0), made(&shear, SOUND), nf_invert(made(&shear, SOUND), &error)};
    nf_bijector *chain = nf_chain(child, COUNT(child), &error);
    ck_assert_msg(chain != NULL, "%s", error.message);
    char *formula = nf_formula(chain);
    ck_assert_str_eq(formula, "loc-shear-invert(shear)");
    ad_free(formula);
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    ASSERT_OK(nf_check_bijector(chain, 1, result, &count, &error));
    nf_bijector_free(chain);

    nf_bijector *bijector = made(&shear, SOUND);
    double a = 0.3, b = *nf_parameter_value(bijector, "b");
    ck_assert_double_eq(*nf_parameter_value(bijector, "a"), a);
    ck_assert(b != 0 && fabs(b) <= 2);
    nf_flow *flow = nf_flow_new(NULL, bijector, AD_F64, &error);
    double *x = normals(2 * ROWS, 2, 8), log_prob[ROWS];
    ASSERT_OK(nf_log_prob(flow, x, NULL, ROWS, log_prob, NULL, &error));
    for (size_t r = 0; r < ROWS; r++) {
        double z1 = x[2 * r] * exp(-a), z2 = (x[2 * r + 1] - b * z1) * exp(-tanh(z1));
        double expected = -0.5 * (z1 * z1 + z2 * z2) - log(2 * acos(-1)) - a - tanh(z1);
        ck_assert_double_eq_tol(log_prob[r], expected, 1e-12);
    }
    ASSERT_OK(nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 2}, NULL, &error));
    ck_assert_double_ne(*nf_parameter_value(bijector, "a"), a);
    free(x);
    nf_flow_free(flow);
}
END_TEST

/* ---- Everything given ------------------------------------------------------------------------------------------ */

/* It gives each feature skewness ε and tails of weight 1/δ (Jones & Pewsey 2009, "Sinh-arcsinh distributions"):
 *
 *     x = sinh(u),  u = (arsinh z + ε) / δ,      log dx/dz = log cosh u - log δ - log(1 + z²)/2. */
static ad_status skew_build(nf_bijector *self, ad_error *to)
{
    ad_shape shape = AD_SHAPE(self->dim);
    double tail = nf_argument_value(self, "tail");
    nf_parameter_spec epsilon = {.name = "epsilon", .shape = shape};
    nf_parameter_spec delta = {.name = "delta", .shape = shape, .value = tail, .constraint = NF_POSITIVE};
    ad_status status = nf_declare(self, &epsilon, to);
    return status == AD_OK ? nf_declare(self, &delta, to) : status;
}

static ad_var sinh_of(ad_var u)
{
    return ad_mul_scalar(ad_sub(ad_exp(u), ad_exp(ad_neg(u))), 0.5);
}

/* log(|x| + √(1 + x²)), with the sign of x: no cancellation. */
static ad_var arsinh_of(ad_var x)
{
    ad_var root = ad_sqrt(ad_add_scalar(ad_square(x), 1));
    return ad_mul(ad_sign(x), ad_log(ad_add(ad_abs(x), root)));
}

static ad_var log_cosh(ad_var u)
{
    ad_var size = ad_abs(u);
    return ad_add_scalar(ad_add(size, ad_softplus(ad_mul_scalar(size, -2))), -log(2));
}

/* log d sinh(u) / d z where u = (arsinh z + ε) / δ. */
static ad_var log_slope(ad_var z, ad_var u, ad_var delta)
{
    ad_var spread = ad_mul_scalar(ad_log(ad_add_scalar(ad_square(z), 1)), 0.5);
    return ad_sum(ad_sub(ad_sub(log_cosh(u), ad_log(delta)), spread));
}

static ad_var skew_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var delta = nf_param(at, "delta"), u = ad_div(ad_add(arsinh_of(z), nf_param(at, "epsilon")), delta);
    *log_det = log_slope(z, u, delta);
    return sinh_of(u);
}

static ad_var skew_inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var delta = nf_param(at, "delta"), u = arsinh_of(x);
    ad_var z = sinh_of(ad_sub(ad_mul(u, delta), nf_param(at, "epsilon")));
    *log_det = ad_neg(log_slope(z, u, delta));
    return z;
}

static const nf_argument tail[] = {
    {.name = "tail", .kind = NF_NUMBER, .value = 1, .low = 0.1, .high = 10, .help = "what δ starts at"},
    {.name = NULL}};

static const nf_bijector_type sinh_arcsinh = {
    .name = "sinh_arcsinh", .argument = tail, .build = skew_build, .forward = skew_forward, .inverse = skew_inverse};

START_TEST(everything_given)
{
    enum { DRAWS = 4000 };
    static double x[DRAWS];
    double nll;
    for (size_t i = 0; i < DRAWS; i++) x[i] = exp(ad_random_normal(1, 0, i)); /* skewed: log-normal */
    ASSERT_OK(nf_register(&sinh_arcsinh, &error));
    nf_flow *flow = nf_flow_parse("scale-loc-sinh_arcsinh(tail=0.8)-scale-loc", 1, 0, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    ASSERT_OK(nf_check_bijector(nf_flow_bijector(flow), 1, result, &count, &error));
    const nf_fit_options options = {.epochs = 60, .optimizer = {.learning_rate = 0.02}};
    ASSERT_OK(nf_fit(flow, x, DRAWS, &options, NULL, &error));
    ASSERT_OK(nf_nll(flow, x, NULL, DRAWS, &nll, NULL, NULL, &error));
    ck_assert_double_lt(nll, 1.6); /* the entropy is 1.419 */
    nf_flow_free(flow);
}
END_TEST

/* ---- Mistakes ------------------------------------------------------------------------------------------------ */

START_TEST(mistakes)
{
    ck_assert_ptr_null(nf_bijector_new(&shear, 3, 0, NULL, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "shear: expected 2 features, got 3");
    ck_assert_ptr_null(nf_bijector_parse("loc", 0, 0, 0, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "at least 1 feature");
    ck_assert_ptr_null(nf_chain((nf_bijector *[]){parsed("loc", 2, 0), parsed("loc", 3, 0)}, 2, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "same dimension");
    ck_assert_ptr_null(nf_chain(NULL, 0, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "one or more");
    ck_assert_ptr_null(nf_invert(NULL, &error));
    ck_assert_ptr_null(nf_flow_parse("lok", 2, 0, AD_F32, 0, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "'lok'");

    /* arguments that don't come from a formula */
    const nf_bijector_type *maf = nf_registry_find(&nf_bijectors, "maf", 3);
    static const struct {
        double argument[3];
        size_t size;
        const char *message;
    } cases[] = {
        {{0, -1, 1}, 8, "bound"},
        {{0, NAN, 1}, 8, "bound"},
        {{0, 1, 0}, 8, "gain"},
        {{0, 1, 1}, 0, "hidden units"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const nf_arguments given = {.value = cases[i].argument, .size = &cases[i].size, .n_size = 1};
        ck_assert_ptr_null(nf_bijector_new(maf, 2, 0, &given, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, cases[i].message);
    }
    const nf_choice stranger[] = {{&(const nf_descriptor){.name = "tanh"}, NULL}, {NULL, NULL}, {NULL, NULL}};
    ck_assert_ptr_null(nf_bijector_new(maf, 2, 0, &(nf_arguments){.choice = stranger}, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "'activation': this activation is not a known one");

    ad_tape *tape = ad_tape_new();
    nf_bijector *bijector = parsed("loc-scale", 2, 0);
    const nf_scope *at = nf_bind(bijector, tape);
    ad_var log_det;
    ck_assert(!ad_is_valid(nf_forward(at, ad_input(tape, "z", AD_SHAPE(3)), &log_det)));
    ck_assert(!ad_is_valid(log_det));
    error = *ad_tape_error(tape);
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "the event has shape (3), expected (2)");
    nf_bijector_free(bijector);
    ad_tape_free(tape);
}
END_TEST

START_TEST(memory_runs_out)
{
    bool denied = true;
    for (size_t allowed = 0; denied; allowed += 1 + allowed / 8) {
        nf_check_result result[NF_MOST_CHECKS];
        int count;
        memory_limit(SIZE_MAX);
        nf_bijector *bijector = parsed("maf(3)-permute(seed=1)-invert(scale-loc)", 2, 0);
        memory_limit(allowed);
        ad_status status = nf_check_bijector(bijector, 1, result, &count, &error);
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu: %d: %s", allowed, status,
                      error.message);
        nf_bijector_free(bijector);
    }
}
END_TEST

Suite *user_types_suite(void)
{
    Suite *suite = suite_create("user_types");
    TCase *outside = tcase_create("outside");
    tcase_set_timeout(outside, 60);
    tcase_add_loop_test(outside, check_finds, 0, COUNT(planted));
    tcase_add_loop_test(outside, check_finds_a_wrong_constraint, 0, COUNT(constrained));
    tcase_add_test(outside, check_reports);
    tcase_add_test(outside, user_type_in_a_chain);
    tcase_add_test(outside, everything_given);
    tcase_add_test(outside, mistakes);
    tcase_add_test(outside, memory_runs_out);
    suite_add_tcase(suite, outside);
    return suite;
}
