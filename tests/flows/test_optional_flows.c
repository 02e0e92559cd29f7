/* Flows, bijectors, networks and registries with NULL for whatever may be NULL: no error to fill, no pool, no result
 * that is wanted, and what came of a call that has failed; and with vars that are none, on tapes that are none. */
#include "flows/flow_tools.h"

#include <weir/flows.h>

#include <math.h>

enum { DIM = 2, ROWS = 3 };

static const double points[ROWS * DIM] = {0.1, -0.4, 1.2, 0.3, -0.7, 0.9};
static const ad_var none = {0};

static const nf_bijector_type *type_of(const char *name)
{
    return nf_registry_find(&nf_bijectors, name, strlen(name));
}

/* ---- Bijectors ------------------------------------------------------------------------------------------------- */

START_TEST(bijectors_are_made)
{
    ck_assert_ptr_null(nf_bijector_new(NULL, DIM, 0, NULL, NULL));
    ck_assert_ptr_null(nf_bijector_new(NULL, DIM, 0, NULL, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "expected a type");
    ck_assert_ptr_null(nf_bijector_new(&(nf_bijector_type){0}, DIM, 0, NULL, NULL));
    ck_assert_ptr_null(nf_bijector_new(type_of("loc"), 0, 0, NULL, NULL));
    ck_assert_ptr_null(nf_bijector_new(type_of("maf"), DIM, 0, &(nf_arguments){.n_size = 2}, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "expected 2 sizes");

    /* a choice without values has its own defaults */
    const nf_choice chosen[8] = {[1] = {&nf_transformer_rational_quadratic, NULL}};
    const nf_arguments given = {.choice = chosen};
    const nf_argument *argument = type_of("coupling")->argument;
    ck_assert_str_eq(argument[1].name, "transformer");
    nf_bijector *coupling = nf_bijector_new(type_of("coupling"), DIM, 0, &given, NULL);
    ck_assert_ptr_nonnull(coupling);
    char *formula = nf_formula(coupling);
    ck_assert_str_eq(formula, "coupling(64,64,transformer=rational_quadratic)");
    ad_free(formula);
    nf_bijector_free(coupling);

    ck_assert_ptr_null(nf_bijector_parse(NULL, DIM, 0, 1, NULL));
    ck_assert_ptr_null(nf_bijector_parse(NULL, DIM, 0, 1, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "expected a formula");
    ck_assert_ptr_null(nf_bijector_parse("", DIM, 0, 1, NULL));
    ck_assert_ptr_null(nf_bijector_parse("lok", DIM, 0, 1, NULL));
}
END_TEST

/* What has failed below is told above: the message is the first one. */
START_TEST(bijectors_of_failed_ones)
{
    nf_bijector_free(NULL);
    ck_assert_ptr_null(nf_invert(NULL, NULL));
    ck_assert_ptr_null(nf_chain(NULL, 2, NULL));
    ck_assert_ptr_null(nf_chain(NULL, 2, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "one or more");
    ck_assert_ptr_null(nf_chain((nf_bijector *[]){NULL, NULL}, 2, NULL));
    ck_assert_ptr_null(nf_chain((nf_bijector *[]){NULL, parsed("loc", DIM, 1)}, 2, NULL));

    nf_bijector *with_fault[] = {parsed("loc", DIM, 1), nf_bijector_parse("lok", DIM, 0, 1, &error)};
    ck_assert_ptr_null(nf_chain(with_fault, 2, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "'lok'");
    ck_assert_ptr_null(nf_invert(nf_bijector_parse("lak", DIM, 0, 1, &error), &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "'lak'");
    ck_assert_ptr_null(nf_flow_new(NULL, nf_bijector_parse("lyk", DIM, 0, 1, &error), AD_F64, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "'lyk'");

    ck_assert_uint_eq(nf_chain_steps(NULL), 0);
    ck_assert_ptr_null(nf_chain_slice(NULL, 0, 0, NULL));
    ck_assert_ptr_null(nf_chain_slice(NULL, 0, 0, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "got NULL");
    ck_assert_ptr_null(nf_formula(NULL));
}
END_TEST

static bool count_one(void *context, const char *name, nf_parameter *parameter)
{
    (void)name, (void)parameter;
    ++*(int *)context;
    return true;
}

START_TEST(parameters_of_none)
{
    int count = 0;
    nf_initialize(NULL, 1);
    ck_assert(nf_each_parameter(NULL, count_one, &count) && nf_flow_each_parameter(NULL, count_one, &count));
    ck_assert_int_eq(count, 0);
    ck_assert_ptr_null(nf_parameter_value(NULL, "loc"));
    ck_assert(!nf_parameter_set(NULL, "loc", points));
    nf_bijector *loc = parsed("loc", DIM, 1), *step = loc->child[0];
    ck_assert(!nf_parameter_set(step, "loc", NULL) && nf_parameter_set(step, "loc", points));
    ck_assert_double_eq(nf_parameter_value(step, "loc")[1], points[1]);
    ck_assert_int_eq(nf_declare(step, NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_declare(step, &(nf_parameter_spec){.shape = AD_SHAPE(1)}, NULL), AD_ERROR_ARGUMENT);

    ck_assert_int_eq(nf_bijector_fit(NULL, points, NULL, ROWS, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_bijector_fit(loc, NULL, NULL, ROWS, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_bijector_fit(loc, NULL, NULL, 0, NULL), AD_OK);
    nf_bijector_free(loc);

    /* standardize needs rows, and those that come through a conditional step their context */
    nf_bijector *fitted = nf_bijector_parse("standardize-realnvp(4)", DIM, 1, 1, NULL);
    ck_assert_int_eq(nf_bijector_fit(fitted, points, NULL, ROWS, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_bijector_fit(fitted, points, points, ROWS, NULL), AD_OK);
    nf_bijector_free(fitted);
    nf_bijector *alone = parsed("standardize", DIM, 1);
    ck_assert_int_ne(nf_bijector_fit(alone, NULL, NULL, 0, NULL), AD_OK);
    nf_bijector_free(alone);
}
END_TEST

/* ---- Recording ------------------------------------------------------------------------------------------------- */

START_TEST(scopes_of_none)
{
    nf_bijector *bijector = nf_bijector_parse("loc-maf(4)", DIM, 1, 1, NULL);
    ad_tape *tape = ad_tape_new();
    ck_assert_ptr_null(nf_bind(NULL, tape));
    ck_assert_ptr_null(nf_bind(bijector, NULL));
    ck_assert_ptr_null(nf_bind(NULL, NULL));
    ck_assert_ptr_null(ad_tape_error(tape));
    nf_set_context(NULL, none);
    nf_set_training(NULL);
    ck_assert_ptr_null(nf_stop_gradient(NULL));
    nf_bind_plan(NULL, NULL);
    nf_update(NULL, "loc", none);
    ck_assert(!ad_is_valid(nf_param(NULL, "loc")) && !ad_is_valid(nf_context(NULL)));
    ck_assert(!ad_is_valid(nf_layer_weight(NULL, 0)) && !ad_is_valid(nf_layer_bias(NULL, 0)));
    ad_var log_det, x = ad_input(tape, "x", AD_SHAPE(DIM));
    ck_assert(!ad_is_valid(nf_forward(NULL, x, &log_det)) && !ad_is_valid(log_det));
    ck_assert(!ad_is_valid(nf_inverse(NULL, x, NULL)) && !ad_is_valid(nf_inverse(NULL, none, NULL)));
    nf_scope *at = nf_bind(bijector, tape);
    nf_bind_plan(at, NULL);
    ad_tape_free(tape);
    nf_bijector_free(bijector);
}
END_TEST

/* What follows from a value that is none is none, and the tape tells. */
START_TEST(vars_that_are_none)
{
    static const char *const formulas[] = {"loc",    "maf(4)",    "rqs(4)",  "(lu-flip-tanh)*2", "invert(affine)",
                                           "planar", "sylvester", "permute", "batchnorm",        "iaf(4)"};
    for (size_t i = 0; i < COUNT(formulas); i++) {
        nf_bijector *bijector = parsed(formulas[i], DIM, 1);
        ad_tape *tape = ad_tape_new();
        const nf_scope *at = nf_bind(bijector, tape);
        ad_var log_det;
        const ad_var failed = {tape, -1};
        ck_assert(!ad_is_valid(nf_forward(at, failed, &log_det)) && !ad_is_valid(nf_forward(at, failed, NULL)));
        ck_assert(!ad_is_valid(nf_inverse(at, failed, &log_det)) && !ad_is_valid(nf_inverse(at, failed, NULL)));
        ck_assert(!ad_is_valid(nf_forward(at, none, &log_det)) && !ad_is_valid(nf_forward(at, none, NULL)));
        ck_assert(!ad_is_valid(nf_inverse(at, none, &log_det)) && !ad_is_valid(nf_inverse(at, none, NULL)));
        ck_assert_msg(ad_tape_error(tape) && ad_tape_error(tape)->status == AD_ERROR_ARGUMENT, "%s", formulas[i]);
        ad_tape_free(tape);
        nf_bijector_free(bijector);
    }
}
END_TEST

START_TEST(log_dets_that_nobody_wants)
{
    static const char *const formulas[] = {"loc-maf(4)", "planar", "invert(planar)", "iaf(4)"};
    for (size_t i = 0; i < COUNT(formulas); i++) {
        nf_bijector *bijector = parsed(formulas[i], DIM, 1);
        ad_tape *tape = ad_tape_new();
        const nf_scope *at = nf_bind(bijector, tape);
        ad_var in = ad_input(tape, "in", AD_SHAPE(DIM));
        ck_assert(ad_is_valid(nf_forward(at, in, NULL)) && ad_is_valid(nf_inverse(at, in, NULL)));
        ad_tape_free(tape);
        nf_bijector_free(bijector);
    }
}
END_TEST

/* A base distribution maps nothing. */
START_TEST(a_base_where_a_bijector_belongs)
{
    nf_bijector *base = nf_bijector_new(nf_distribution_types()[0], DIM, 0, NULL, &error);
    nf_flow *flow = nf_flow_new(NULL, base, AD_F64, &error);
    double x[ROWS * DIM], log_prob[ROWS];
    ck_assert_ptr_nonnull(flow);
    ASSERT_FAILS(nf_log_prob(flow, points, NULL, ROWS, log_prob, NULL, &error), AD_ERROR_ARGUMENT, "is no bijector");
    ck_assert_int_eq(nf_sample(flow, NULL, ROWS, 1, x, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    nf_flow_free(flow);
}
END_TEST

/* ---- Flows ----------------------------------------------------------------------------------------------------- */

START_TEST(flows_that_are_none)
{
    double x[ROWS * DIM], number[ROWS];
    size_t offset;
    nf_flow_free(NULL);
    ck_assert_ptr_null(nf_flow_new(NULL, NULL, AD_F32, NULL));
    ck_assert_ptr_null(nf_flow_new(parsed("loc", DIM, 1), NULL, AD_F32, NULL));
    ck_assert_ptr_null(nf_flow_parse(NULL, DIM, 0, AD_F32, 1, NULL));
    ck_assert_ptr_null(nf_flow_parse("lok", DIM, 0, AD_F32, 1, NULL));
    ck_assert_ptr_null(nf_flow_slice(NULL, 0, NULL));
    ck_assert(!nf_flow_bijector(NULL) && !nf_flow_base(NULL) && !nf_flow_formula(NULL, true));
    ck_assert(!nf_flow_parameters(NULL) && !nf_flow_parameter(NULL, 0, &offset) && !nf_flow_parameter(NULL, 0, NULL));
    ck_assert_uint_eq(nf_flow_dim(NULL) + nf_flow_context_size(NULL), 0);
    ck_assert_uint_eq(nf_flow_trained_elements(NULL) + nf_flow_fixed_elements(NULL), 0);
    ck_assert_uint_eq(nf_flow_trained_parameters(NULL) + nf_flow_all_parameters(NULL), 0);
    ck_assert_int_eq(nf_flow_dtype(NULL), AD_F32);
    nf_flow_push(NULL);
    nf_flow_pull(NULL);
    ck_assert_int_eq(nf_log_prob(NULL, points, NULL, ROWS, number, NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_sample(NULL, NULL, ROWS, 1, x, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_transform(NULL, false, points, NULL, ROWS, x, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    ASSERT_FAILS(nf_log_prob(NULL, points, NULL, ROWS, number, NULL, &error), AD_ERROR_ARGUMENT, "expected a flow");
}
END_TEST

static void assert_scope_of_none(const nf_flow_scope *at, ad_tape *tape)
{
    ad_var log_prob;
    ck_assert(!at->base && !at->bijector);
    ck_assert(!ad_is_valid(nf_flow_record_log_prob(at, ad_input(tape, "x", AD_SHAPE(DIM)))));
    ck_assert(!ad_is_valid(nf_flow_record_log_prob(at, none)));
    ck_assert(!ad_is_valid(nf_flow_record_sample(at, &log_prob)) && !ad_is_valid(log_prob));
    ck_assert(!ad_is_valid(nf_flow_record_sample(at, NULL)));
    ck_assert(!ad_is_valid(nf_flow_bound_parameter(at, 0).var));
    nf_flow_bind_plan(at, NULL);
}

START_TEST(flows_on_tapes)
{
    nf_flow *flow = moved_flow("loc-maf(4)", DIM, AD_F64);
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope nowhere = nf_flow_bind(flow, NULL), of_none = nf_flow_bind(NULL, tape);
    const nf_flow_scope neither = nf_flow_bind(NULL, NULL), stopped = nf_flow_stop_gradient(&nowhere);
    assert_scope_of_none(&nowhere, NULL);
    assert_scope_of_none(&of_none, tape);
    assert_scope_of_none(&neither, NULL);
    assert_scope_of_none(&stopped, NULL);
    ad_tape_free(tape);
    tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    ck_assert(ad_is_valid(nf_flow_record_sample(&at, NULL)));
    ck_assert(!ad_is_valid(nf_flow_record_log_prob(&at, none)));
    const nf_parameter *first = nf_flow_parameter(flow, 0, NULL);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(nf_flow_parameter(flow, nf_flow_all_parameters(flow), NULL));
    ad_tape_free(tape);
    nf_flow_free(flow);
}
END_TEST

/* Results that nobody wants, and data that are missing. */
START_TEST(evaluations)
{
    double x[ROWS * DIM], number[ROWS], again[ROWS];
    nf_flow *flow = moved_flow("loc-maf(4)", DIM, AD_F64);
    ck_assert_int_eq(nf_log_prob(flow, points, NULL, ROWS, NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_log_prob(flow, NULL, NULL, 0, NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_sample(flow, NULL, ROWS, 1, NULL, NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_sample(flow, NULL, ROWS, 1, x, number, NULL, NULL), AD_OK);
    ck_assert_int_eq(nf_sample(flow, NULL, ROWS, 1, NULL, again, NULL, NULL), AD_OK);
    ck_assert_mem_eq(number, again, sizeof number);
    for (int inverse = 0; inverse < 2; inverse++) {
        ck_assert_int_eq(nf_transform(flow, inverse, points, NULL, ROWS, x, NULL, NULL, NULL), AD_OK);
        ck_assert_int_eq(nf_transform(flow, inverse, points, NULL, ROWS, NULL, number, NULL, NULL), AD_OK);
        ck_assert_int_eq(nf_transform(flow, inverse, NULL, NULL, ROWS, x, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    }
    ck_assert_int_eq(nf_log_prob(flow, NULL, NULL, ROWS, number, NULL, NULL), AD_ERROR_ARGUMENT);
    ASSERT_FAILS(nf_log_prob(flow, NULL, NULL, ROWS, number, NULL, &error), AD_ERROR_ARGUMENT, "3 rows of 2 numbers");
    ck_assert_ptr_null(nf_flow_slice(flow, 99, NULL));
    nf_flow_free(flow);

    nf_flow *conditional = nf_flow_parse("maf(4)", DIM, 1, AD_F64, 1, NULL);
    ck_assert_int_eq(nf_log_prob(conditional, points, NULL, ROWS, number, NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_sample(conditional, NULL, ROWS, 1, x, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_sample(conditional, points, ROWS, 1, x, NULL, NULL, NULL), AD_OK);
    nf_flow_free(conditional);
}
END_TEST

/* ---- Parts ----------------------------------------------------------------------------------------------------- */

START_TEST(features)
{
    ad_tape *tape = ad_tape_new();
    const ad_var nowhere = {tape, -1};
    ad_var outside;
    for (int i = 0; i < 2; i++) {
        const ad_var v = i ? nowhere : none;
        const size_t index[] = {1, 0};
        ck_assert(!ad_is_valid(nf_reverse(v)) && !ad_is_valid(nf_permute(v, 1, i)));
        ck_assert(!ad_is_valid(nf_take(v, index, 2)));
        ck_assert(!ad_is_valid(nf_diagonal(v)) && !ad_is_valid(nf_residual_tanh_slope(v, v)));
        ck_assert(!ad_is_valid(nf_into_support(v, 0, 1, 0.5, &outside)));
        ck_assert(!ad_is_valid(nf_log_det_on_support(v, v)));
    }
    ck_assert(!ad_is_valid(nf_identity(NULL, 3)));
    ad_tape_free(tape);
    tape = ad_tape_new();
    ck_assert(!ad_is_valid(nf_take(ad_input(tape, "x", AD_SHAPE(2)), NULL, 2)));
    ck_assert_int_eq(ad_tape_error(tape)->status, AD_ERROR_ARGUMENT);
    ad_tape_free(tape);
    double mean, sd;
    ck_assert(!nf_column_moments(NULL, 0, 1, 0, &mean, &sd));
}
END_TEST

/* What nf_argument_choice() gives where a type has no such argument. */
START_TEST(choices_that_are_none)
{
    nf_bijector *loc = parsed("loc", DIM, 1);
    const nf_choice *choice = nf_argument_choice(loc->child[0], "transformer"), empty = {0};
    ck_assert(!choice && !nf_argument_choice(NULL, "bins") && nf_argument_value(NULL, "bins") == 0);
    ck_assert_double_eq(nf_choice_value(NULL, "bins"), 0);
    ck_assert_double_eq(nf_choice_value(&empty, "bins"), 0);
    ck_assert(!nf_transformer_of(loc->child[0]).descriptor && !nf_transformer_of(NULL).descriptor);
    const nf_choice *const missing[] = {NULL, &empty};
    for (size_t i = 0; i < 2 * COUNT(missing); i++) {
        ad_tape *tape = ad_tape_new();
        ad_var v = ad_input(tape, "v", AD_SHAPE(DIM)), log_derivative;
        if (i % 2)
            ck_assert(!ad_is_valid(nf_activate(missing[i / 2], v)));
        else
            ck_assert(!ad_is_valid(nf_apply_transformer(missing[i / 2], false, v, v, &log_derivative)));
        ck_assert_int_eq(ad_tape_error(tape)->status, AD_ERROR_ARGUMENT);
        ck_assert(!ad_is_valid(nf_activate(missing[i / 2], none)));
        ck_assert(!ad_is_valid(nf_apply_transformer(missing[i / 2], true, none, none, NULL)));
        ad_tape_free(tape);
    }
    nf_bijector_free(loc);
}
END_TEST

START_TEST(transformers_of_no_vars)
{
    double value[8];
    for (const nf_transformer_type *const *t = nf_transformer_types(); *t; t++) {
        ck_assert(nf_parse_arguments((*t)->name, strlen((*t)->name), (*t)->argument, value, NULL));
        const nf_choice choice = {*t, value};
        ad_tape *tape = ad_tape_new();
        ad_var v = ad_input(tape, "v", AD_SHAPE(1)),
               p = ad_broadcast(ad_scalar(tape, 0), AD_SHAPE((*t)->parameters(&choice), 1)), log_derivative;
        for (int inverse = 0; inverse < 2; inverse++) {
            ck_assert(ad_is_valid(nf_apply_transformer(&choice, inverse, v, p, NULL)));
            ck_assert(!ad_is_valid(nf_apply_transformer(&choice, inverse, none, none, &log_derivative)));
            ck_assert(!ad_is_valid(nf_apply_transformer(&choice, inverse, none, none, NULL)));
        }
        ck_assert_ptr_null(ad_tape_error(tape));
        ad_tape_free(tape);
    }
    for (const nf_activation_type *const *a = nf_activation_types(); *a; a++)
        ck_assert(!ad_is_valid(nf_activate(&(nf_choice){*a, value}, none)));
}
END_TEST

/* ---- Registries ------------------------------------------------------------------------------------------------ */

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at, (void)log_det;
    return z;
}

START_TEST(nothing_is_registered)
{
    const nf_registry *const registries[] = {&nf_bijectors, &nf_distributions, &nf_transformers, &nf_activations,
                                             &nf_conditioners};
    ck_assert_int_eq(nf_register(NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_register_transformer(NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_register_activation(NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_register_conditioner(NULL, NULL), AD_ERROR_ARGUMENT);
    ASSERT_FAILS(nf_register(&(nf_bijector_type){.forward = forward}, &error), AD_ERROR_ARGUMENT, "isn't a name");
    ASSERT_FAILS(nf_register(&(nf_bijector_type){0}, &error), AD_ERROR_ARGUMENT, "isn't a name");
    ASSERT_FAILS(nf_register_transformer(&(nf_transformer_type){0}, &error), AD_ERROR_ARGUMENT, "isn't a name");
    ASSERT_FAILS(nf_register_activation(&(nf_activation_type){0}, &error), AD_ERROR_ARGUMENT, "isn't a name");
    ASSERT_FAILS(nf_register_conditioner(&(nf_conditioner_type){0}, &error), AD_ERROR_ARGUMENT, "isn't a name");
    ck_assert_int_eq(nf_register(&(nf_bijector_type){.name = "empty"}, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_register_transformer(&(nf_transformer_type){.name = "empty"}, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_register_activation(&(nf_activation_type){.name = "empty"}, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_register_conditioner(&(nf_conditioner_type){.name = "empty"}, NULL), AD_ERROR_ARGUMENT);
    for (size_t i = 0; i < COUNT(registries); i++) {
        char names[400];
        double value[NF_MOST_ARGUMENTS];
        ck_assert_int_eq(nf_registry_add(registries[i], NULL, NULL), AD_ERROR_ARGUMENT);
        ck_assert_ptr_null(nf_registry_find(registries[i], NULL, 0));
        ck_assert_ptr_null(nf_registry_parse(registries[i], NULL, value, NULL));
        ck_assert_ptr_null(nf_registry_parse(registries[i], "", value, NULL));
        ck_assert_ptr_null(nf_registry_parse(registries[i], "none(3)", value, NULL));
        nf_registry_names(registries[i], NULL, names, sizeof names);
        ck_assert_uint_gt(strlen(names), 0);
    }
    ck_assert_ptr_null(nf_registry_origin("bijector", "loc", 3));
    ck_assert(!nf_parse_arguments(NULL, 0, NULL, NULL, NULL) && nf_parse_arguments("a", 1, NULL, NULL, NULL));
    ck_assert(!nf_parse_arguments("a(3)", 1, NULL, NULL, NULL));
}
END_TEST

START_TEST(arguments_that_lack_something)
{
    static const struct {
        nf_argument argument;
        const char *message;
    } cases[] = {
        {{.name = "mode", .kind = NF_CHOICE}, "'mode' has no choices"},
        {{.name = "mask", .kind = NF_FEATURES}, "'mask' has no choices"},
        {{.name = "network", .kind = NF_DESCRIPTOR, .initial = "mlp"}, "'network' has no registry"},
        {{.name = "network", .kind = NF_DESCRIPTOR, .registry = &nf_conditioners}, "'network' has no registry"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const nf_argument argument[] = {cases[i].argument, {0}};
        const nf_bijector_type type = {.name = "lacking", .argument = argument, .forward = forward};
        ASSERT_FAILS(nf_register(&type, &error), AD_ERROR_ARGUMENT, cases[i].message);
    }
    /* a default that nobody has registered is told when it is asked for */
    static const nf_argument unknown[] = {
        {.name = "network", .kind = NF_DESCRIPTOR, .initial = "nobody", .registry = &nf_conditioners}, {0}};
    static const nf_bijector_type type = {.name = "test_lacking", .argument = unknown, .forward = forward};
    ASSERT_OK(nf_register(&type, &error));
    ck_assert_ptr_null(nf_bijector_parse("test_lacking", DIM, 0, 1, NULL));
    ck_assert_ptr_null(nf_bijector_parse("test_lacking", DIM, 0, 1, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "this conditioner is not a known one");
}
END_TEST

Suite *optional_flows_suite(void)
{
    Suite *suite = suite_create("optional_flows");
    TCase *null = tcase_create("null");
    tcase_add_test(null, bijectors_are_made);
    tcase_add_test(null, bijectors_of_failed_ones);
    tcase_add_test(null, parameters_of_none);
    tcase_add_test(null, scopes_of_none);
    tcase_add_test(null, vars_that_are_none);
    tcase_add_test(null, log_dets_that_nobody_wants);
    tcase_add_test(null, a_base_where_a_bijector_belongs);
    tcase_add_test(null, flows_that_are_none);
    tcase_add_test(null, flows_on_tapes);
    tcase_add_test(null, evaluations);
    tcase_add_test(null, features);
    tcase_add_test(null, choices_that_are_none);
    tcase_add_test(null, transformers_of_no_vars);
    tcase_add_test(null, nothing_is_registered);
    tcase_add_test(null, arguments_that_lack_something);
    suite_add_tcase(suite, null);
    return suite;
}
