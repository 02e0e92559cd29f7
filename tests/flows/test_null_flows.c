/* Public functions of flows, with NULL for each pointer that they take. What NULL for an object that could not be made
 * does, test_optional_flows.c shows. */
#include "null_cases.h"

#include <weir/flows.h>

enum { DIM = 2, ROWS = 3 };

static ad_tape *tape;
static nf_bijector *bijector; /* a network: the one step of a chain */
static nf_flow *flow, *conditional;
static nf_scope *at;
static nf_flow_scope flow_at;
static ad_plan *plan;
static ad_var v;
static const double rows[ROWS * DIM] = {0.1, -0.4, 1.2, 0.3, -0.7, 0.9};
static double out[ROWS * DIM], numbers[ROWS * DIM], gradient[64];
static int visits;

static void set_up(void)
{
    tape = null_call.tape = ad_tape_new();
    flow = moved_flow("maf(4)", DIM, AD_F64);
    conditional = nf_flow_parse("maf(4)", DIM, 1, AD_F64, 1, &error);
    bijector = nf_flow_bijector(flow)->child[0];
    at = nf_bind(bijector, tape);
    flow_at = nf_flow_bind(flow, tape);
    v = ad_input(tape, "v", AD_SHAPE(DIM));
    plan = ad_plan_new(&v, 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    nf_registry_set_origin(NULL);
}

static void tear_down(void)
{
    ad_plan_free(plan);
    nf_flow_free(conditional);
    nf_flow_free(flow);
    ad_tape_free(tape);
}

static void free_bijector(void *made)
{
    nf_bijector_free(made);
}

static void free_flow(void *made)
{
    nf_flow_free(made);
}

static void kept(void *made)
{
    (void)made;
}

static bool visit(void *context, const char *name, nf_parameter *parameter)
{
    (void)context, (void)name, (void)parameter;
    visits++;
    return true;
}

static const nf_bijector_type *type_of(const char *name)
{
    return nf_registry_find(&nf_bijectors, name, strlen(name));
}

static void call_registries(void)
{
    static const nf_argument argument[] = {{"a", NF_NUMBER, 1, 0, 2, NULL, "a number"}, {0}};
    char names[64];
    const nf_choice choice = {&nf_transformer_affine, numbers};
    CASE(nf_choice_value) QUIET(nf_choice_value(HARMLESS(choice, &choice), HARMLESS(name, "bound")));
    CASE(nf_parse_arguments)
    good(nf_parse_arguments(NEEDED(text, "f(a=2)"), 1, HARMLESS(argument, argument), OPTIONAL(value, numbers), ERROR));
    CASE(nf_registry_add) /* taken, or nothing to add */
    good(nf_registry_add(HARMLESS(registry, &nf_bijectors), HARMLESS(descriptor, type_of("loc")), ERROR) ==
         AD_ERROR_ARGUMENT);
    CASE(nf_registry_names)
    QUIET(nf_registry_names(HARMLESS(registry, &nf_bijectors), OPTIONAL(separator, ", "), HARMLESS(buffer, names),
                            sizeof names));
    CASE(nf_registry_find) QUIET(nf_registry_find(HARMLESS(registry, &nf_bijectors), HARMLESS(name, "loc"), 3));
    CASE(nf_registry_parse)
    MADE(kept,
         nf_registry_parse(NEEDED(registry, &nf_bijectors), NEEDED(text, "loc"), OPTIONAL(value, numbers), ERROR));
    CASE(nf_registry_set_origin) QUIET(nf_registry_set_origin(OPTIONAL(plugin, (const char *)NULL)));
    CASE(nf_registry_origin) QUIET(nf_registry_origin(HARMLESS(kind, "bijector"), HARMLESS(name, "loc"), 3));
    CASE(nf_register) good(nf_register(HARMLESS(type, type_of("loc")), ERROR) == AD_ERROR_ARGUMENT);
    CASE(nf_register_activation)
    good(nf_register_activation(HARMLESS(type, nf_activation_types()[0]), ERROR) == AD_ERROR_ARGUMENT);
    CASE(nf_register_conditioner)
    good(nf_register_conditioner(HARMLESS(type, nf_conditioner_types()[0]), ERROR) == AD_ERROR_ARGUMENT);
    CASE(nf_register_transformer)
    good(nf_register_transformer(HARMLESS(type, nf_transformer_types()[0]), ERROR) == AD_ERROR_ARGUMENT);
}

static void call_parameters(void)
{
    const nf_parameter_spec spec = {.name = "new", .shape = AD_SHAPE(1)};
    const size_t outputs = 2;
    nf_made made = nf_made_of(bijector, outputs);
    CASE(nf_declare) status(nf_declare(NEEDED(self, bijector), NEEDED(spec, &spec), ERROR));
    CASE(nf_argument_value) QUIET(nf_argument_value(HARMLESS(self, bijector), HARMLESS(name, "bound")));
    CASE(nf_argument_choice) QUIET(nf_argument_choice(HARMLESS(self, bijector), HARMLESS(name, "activation")));
    CASE(nf_param) recorded(nf_param(HARMLESS(at, at), HARMLESS(name, "weight0")));
    CASE(nf_parameter_value) QUIET(nf_parameter_value(HARMLESS(self, bijector), HARMLESS(name, "weight0")));
    CASE(nf_parameter_set)
    {
        nf_bijector *loc = parsed("loc", DIM, 1);
        bool set = nf_parameter_set(HARMLESS(self, loc->child[0]), HARMLESS(name, "loc"), HARMLESS(value, rows));
        good(set == (null_call.mark == UNMARKED || null_call.mark == IS_OPTIONAL));
        nf_bijector_free(loc);
    }
    CASE(nf_context) QUIET(nf_context(HARMLESS(at, at)));
    CASE(nf_update) QUIET(nf_update(HARMLESS(at, at), HARMLESS(name, "weight0"), v));
    CASE(nf_initialize) QUIET(nf_initialize(HARMLESS(bijector, bijector), 1));
    CASE(nf_layer_declare) status(nf_layer_declare(NEEDED(self, bijector), 7, 2, 2, 1, ERROR));
    CASE(nf_layer_weight) recorded(nf_layer_weight(HARMLESS(at, at), 0));
    CASE(nf_layer_bias) recorded(nf_layer_bias(HARMLESS(at, at), 0));
    CASE(nf_made_of) QUIET(nf_made_of(HARMLESS(self, bijector), outputs));
    CASE(nf_made_declare)
    {
        nf_bijector *fresh = parsed("maf(4)", DIM, 1);
        status(nf_made_declare(NEEDED(self, fresh->child[0]), NEEDED(made, &made), ERROR));
        nf_bijector_free(fresh);
    }
    CASE(nf_made_all) recorded(nf_made_all(HARMLESS(at, at), NEEDED(made, &made), v));
    CASE(nf_made_next)
    recorded(nf_made_next(HARMLESS(at, at), NEEDED(made, &made), NEEDED(state, &(nf_made_state){0}), v, 0));
    CASE(nf_activate) recorded(nf_activate(NEEDED(activation, nf_argument_choice(bijector, "activation")), v));
    CASE(nf_apply_transformer)
    {
        const double bound = 3;
        const nf_choice choice = {&nf_transformer_affine, (double *)(uintptr_t)&bound};
        ad_var parameters = ad_constant(tape, AD_SHAPE(2, DIM), rows), log_derivative;
        recorded(nf_apply_transformer(NEEDED(transformer, &choice), false, v, parameters,
                                      OPTIONAL(log_derivative, &log_derivative)));
    }
    CASE(nf_transformer_seen)
    {
        const double bound = 3;
        const nf_choice choice = {&nf_transformer_affine, (double *)(uintptr_t)&bound};
        recorded(nf_transformer_seen(HARMLESS(transformer, &choice), v));
    }
    CASE(nf_transformer_sees)
    QUIET(nf_transformer_sees(HARMLESS(transformer, nf_argument_choice(bijector, "activation"))));
    CASE(nf_transformer_of) QUIET(nf_transformer_of(HARMLESS(self, bijector)));
}

static nf_bijector *image_of(size_t channels, size_t pixels)
{
    const nf_arguments given = {.shape = AD_SHAPE(channels, 1, pixels)};
    return nf_bijector_new(type_of("loc"), channels * pixels, 0, &given, &error);
}

static void call_bijectors(void)
{
    nf_bijector *child[] = {parsed("loc", DIM, 1)}, *used = child[0];
    ad_var log_det;
    CASE(nf_bijector_new)
    MADE(free_bijector,
         nf_bijector_new(NEEDED(type, type_of("loc")), DIM, 0, OPTIONAL(given, (&(nf_arguments){0})), ERROR));
    CASE(nf_bijector_parse) MADE(free_bijector, nf_bijector_parse(NEEDED(formula, "loc"), DIM, 0, 1, ERROR));
    CASE(nf_chain)
    {
        used = strcmp(null_call.parameter, "child") == 0 ? used : NULL;
        MADE(free_bijector, nf_chain(NEEDED(child, child), 1, ERROR));
    }
    CASE(nf_invert) MADE(free_bijector, nf_invert(HARMLESS(child, (used = NULL, child[0])), ERROR));
    CASE(nf_image_shape) QUIET(nf_image_shape(HARMLESS(self, bijector)));
    CASE(nf_image) MADE(free_bijector, nf_image(HARMLESS(child, image_of(2, 1)), ERROR));
    CASE(nf_squeeze) MADE(free_bijector, nf_squeeze(HARMLESS(child, image_of(4, 1)), ERROR));
    CASE(nf_split) MADE(free_bijector, nf_split(3, HARMLESS(child, image_of(2, 1)), ERROR));
    CASE(nf_on)
    {
        const size_t feature[] = {1, 0};
        used = strcmp(null_call.parameter, "child") == 0 ? used : NULL;
        MADE(free_bijector, nf_on(3, NEEDED(feature, feature), 2, HARMLESS(child, child[0]), ERROR));
    }
    CASE(nf_conditional)
    MADE(free_bijector,
         nf_conditional(HARMLESS(child, (used = NULL, child[0])), OPTIONAL(given, (&(nf_arguments){0})), ERROR));
    CASE(nf_product_of)
    {
        nf_bijector *base = nf_bijector_new(nf_registry_find(&nf_distributions, "student", 7), DIM, 0, NULL, &error);
        nf_bijector *part[] = {nf_on(DIM, (const size_t[]){1, 0}, DIM, base, &error)};
        const bool taken = strcmp(null_call.parameter, "part") != 0;
        MADE(free_bijector, nf_product_of(NEEDED(part, part), 1, ERROR));
        if (!taken) nf_bijector_free(part[0]);
    }
    CASE(nf_chain_slice) MADE(free_bijector, nf_chain_slice(NEEDED(chain, nf_flow_bijector(flow)), 0, 1, ERROR));
    CASE(nf_chain_steps) QUIET(nf_chain_steps(HARMLESS(chain, bijector)));
    CASE(nf_bijector_free)
    {
        nf_bijector *given = OPTIONAL(bijector, used);
        QUIET(nf_bijector_free(given));
        if (given) used = NULL;
    }
    CASE(nf_formula) QUIET(ad_free(nf_formula(HARMLESS(bijector, bijector))));
    CASE(nf_bind) MADE(kept, nf_bind(HARMLESS(bijector, bijector), HARMLESS(tape, tape)));
    CASE(nf_set_context) QUIET(nf_set_context(HARMLESS(at, at), v));
    CASE(nf_set_training) QUIET(nf_set_training(HARMLESS(at, at)));
    CASE(nf_set_statistics) QUIET(nf_set_statistics(HARMLESS(at, at)));
    CASE(nf_stop_gradient) MADE(kept, nf_stop_gradient(HARMLESS(at, at)));
    CASE(nf_forward) recorded(nf_forward(HARMLESS(at, at), v, OPTIONAL(log_det, &log_det)));
    CASE(nf_inverse) recorded(nf_inverse(HARMLESS(at, at), v, OPTIONAL(log_det, &log_det)));
    CASE(nf_integrate)
    {
        nf_bijector *flowing = parsed("cnf(4)", DIM, 1);
        recorded(nf_integrate(HARMLESS(at, &nf_bind(flowing, tape)->child[0]), false, v,
                              OPTIONAL(options, &(nf_integrate_options){.estimates = true}),
                              OPTIONAL(log_det, &log_det)));
        nf_bijector_free(flowing);
    }
    CASE(nf_bind_plan) QUIET(nf_bind_plan(HARMLESS(at, at), HARMLESS(plan, plan)));
    CASE(nf_bijector_fit)
    status(nf_bijector_fit(NEEDED(bijector, bijector), NEEDED(x, rows), OPTIONAL(context, rows), ROWS, ERROR));
    CASE(nf_each_parameter)
    good(nf_each_parameter(OPTIONAL(bijector, bijector), HARMLESS(visit, visit), OPTIONAL(context, numbers)));
    nf_bijector_free(used);
}

static void call_features(void)
{
    const size_t index[] = {1, 0};
    double mean, sd, matrix[4] = {2, 0, 0, 2};
    ad_var one = ad_scalar(tape, 1), outside;
    const nf_spline_bin bin = {one, one, one};
    CASE(nf_take) recorded(nf_take(v, NEEDED(index, index), 2));
    CASE(nf_identity) recorded(nf_identity(HARMLESS(tape, tape), 2));
    CASE(nf_spline_bin_value) recorded(nf_spline_bin_value(NEEDED(bin, &bin), v, OPTIONAL(log_slope, &outside)));
    CASE(nf_spline_bin_root) recorded(nf_spline_bin_root(NEEDED(bin, &bin), v));
    CASE(nf_rescaled) recorded(nf_rescaled(v, OPTIONAL(scale, &outside)));
    CASE(nf_epsilon) recorded(nf_epsilon(HARMLESS(tape, tape)));
    CASE(nf_column_moments)
    {
        bool finite = nf_column_moments(HARMLESS(x, rows), ROWS, DIM, 0, OPTIONAL(mean, &mean), OPTIONAL(sd, &sd));
        good(finite == (null_call.mark != IS_HARMLESS));
    }
    CASE(nf_shrunk_covariance)
    status(nf_shrunk_covariance(NEEDED(x, rows), ROWS, DIM, NEEDED(mean, numbers), NEEDED(covariance, matrix), ERROR));
    CASE(nf_cholesky) QUIET(nf_cholesky(HARMLESS(a, matrix), 2));
    CASE(nf_into_support) recorded(nf_into_support(v, 0, 1, 0.5, OPTIONAL(outside, &outside)));
}

static void call_flows(void)
{
    size_t offset;
    double log_prob[ROWS];
    ad_var q;
    CASE(nf_flow_new)
    {
        nf_bijector *made = strcmp(null_call.parameter, "bijector") == 0 ? NULL : parsed("loc", DIM, 1);
        MADE(free_flow, nf_flow_new(OPTIONAL(base, nf_bijector_new(nf_distribution_types()[0], DIM, 0, NULL, &error)),
                                    HARMLESS(bijector, made), AD_F64, ERROR));
    }
    CASE(nf_flow_parse) MADE(free_flow, nf_flow_parse(NEEDED(formula, "loc"), DIM, 0, AD_F64, 1, ERROR));
    CASE(nf_flow_parse_within)
    MADE(free_flow, nf_flow_parse_within(NEEDED(formula, "loc"), DIM, 0, AD_F64, 1, 100, ERROR));
    CASE(nf_flow_mixture)
    {
        nf_flow *member[] = {moved_flow("loc", DIM, AD_F64), moved_flow("scale", DIM, AD_F64)};
        const bool missing = strcmp(null_call.parameter, "bijector") == 0;
        nf_bijector *after = missing ? NULL : parsed("loc", DIM, 1);
        MADE(free_flow, nf_flow_mixture(NEEDED(member, member), OPTIONAL(weight, numbers + 1), 2,
                                        HARMLESS(bijector, after), ERROR));
        if (strcmp(null_call.parameter, "member") == 0)
            for (int i = 0; i < 2; i++) nf_flow_free(member[i]);
    }
    CASE(nf_flow_slice) MADE(free_flow, nf_flow_slice(NEEDED(flow, flow), 1, ERROR));
    CASE(nf_flow_free) QUIET(nf_flow_free(OPTIONAL(flow, moved_flow("loc", DIM, AD_F64))));
    CASE(nf_flow_bijector) QUIET(nf_flow_bijector(HARMLESS(flow, flow)));
    CASE(nf_flow_base) QUIET(nf_flow_base(HARMLESS(flow, flow)));
    CASE(nf_flow_formula) QUIET(ad_free(nf_flow_formula(HARMLESS(flow, flow), true)));
    CASE(nf_flow_each_parameter)
    good(nf_flow_each_parameter(OPTIONAL(flow, flow), HARMLESS(visit, visit), OPTIONAL(context, numbers)));
    CASE(nf_flow_dim) QUIET(nf_flow_dim(HARMLESS(flow, flow)));
    CASE(nf_flow_is_circular) QUIET(nf_flow_is_circular(HARMLESS(flow, flow)));
    CASE(nf_flow_context_size) QUIET(nf_flow_context_size(HARMLESS(flow, flow)));
    CASE(nf_flow_dtype) QUIET(nf_flow_dtype(HARMLESS(flow, flow)));
    CASE(nf_flow_parameters) QUIET(nf_flow_parameters(HARMLESS(flow, flow)));
    CASE(nf_flow_trained_elements) QUIET(nf_flow_trained_elements(HARMLESS(flow, flow)));
    CASE(nf_flow_fixed_elements) QUIET(nf_flow_fixed_elements(HARMLESS(flow, flow)));
    CASE(nf_flow_push) QUIET(nf_flow_push(HARMLESS(flow, flow)));
    CASE(nf_flow_pull) QUIET(nf_flow_pull(HARMLESS(flow, flow)));
    CASE(nf_flow_fit_sample)
    status(nf_flow_fit_sample(NEEDED(flow, flow), NEEDED(x, rows), OPTIONAL(context, rows), ROWS, NEEDED(mean, rows),
                              NEEDED(sd, rows), ERROR));
    CASE(nf_flow_fit_data)
    status(nf_flow_fit_data(NEEDED(flow, flow), NEEDED(x, rows), OPTIONAL(context, rows), ROWS, ERROR));
    CASE(nf_flow_begin_training)
    {
        status(nf_flow_begin_training(NEEDED(flow, flow), ERROR));
        nf_flow_end_training(flow);
    }
    CASE(nf_flow_end_training)
    {
        ASSERT_OK(nf_flow_begin_training(flow, &error));
        QUIET(nf_flow_end_training(HARMLESS(flow, flow)));
    }
    CASE(nf_flow_bind) QUIET(nf_flow_bind(HARMLESS(flow, flow), HARMLESS(tape, tape)));
    CASE(nf_flow_stop_gradient) QUIET(nf_flow_stop_gradient(HARMLESS(at, &flow_at)));
    CASE(nf_flow_record_log_prob) recorded(nf_flow_record_log_prob(HARMLESS(at, &flow_at), v));
    CASE(nf_flow_record_sample) recorded(nf_flow_record_sample(HARMLESS(at, &flow_at), OPTIONAL(log_prob, &q)));
    CASE(nf_flow_bind_plan) QUIET(nf_flow_bind_plan(HARMLESS(at, &flow_at), HARMLESS(plan, plan)));
    CASE(nf_flow_trained_parameters) QUIET(nf_flow_trained_parameters(HARMLESS(flow, flow)));
    CASE(nf_flow_all_parameters) QUIET(nf_flow_all_parameters(HARMLESS(flow, flow)));
    CASE(nf_flow_parameter) QUIET(nf_flow_parameter(HARMLESS(flow, flow), 0, OPTIONAL(offset, &offset)));
    CASE(nf_flow_bound_parameter) QUIET(nf_flow_bound_parameter(HARMLESS(at, &flow_at), 0));
    CASE(nf_log_prob)
    status(nf_log_prob(NEEDED(flow, conditional), NEEDED(x, rows), NEEDED(context, rows), ROWS,
                       OPTIONAL(log_prob, log_prob), OPTIONAL(pool, (ad_pool *)NULL), ERROR));
    CASE(nf_sample)
    status(nf_sample(NEEDED(flow, conditional), NEEDED(context, rows), ROWS, 1, OPTIONAL(x, out),
                     OPTIONAL(log_prob, log_prob), OPTIONAL(pool, (ad_pool *)NULL), ERROR));
    CASE(nf_sample_part)
    status(nf_sample_part(NEEDED(flow, conditional), NEEDED(context, rows), 7, ROWS, 1, OPTIONAL(x, out),
                          OPTIONAL(log_prob, log_prob), OPTIONAL(pool, (ad_pool *)NULL), ERROR));
    CASE(nf_log_prob_gradient)
    status(nf_log_prob_gradient(NEEDED(flow, conditional), NEEDED(x, rows), NEEDED(context, rows),
                                OPTIONAL(weight, rows), ROWS, OPTIONAL(log_prob, log_prob), OPTIONAL(x_gradient, out),
                                OPTIONAL(context_gradient, numbers), OPTIONAL(parameter_gradient, gradient),
                                OPTIONAL(pool, (ad_pool *)NULL), ERROR));
    CASE(nf_sample_gradient)
    status(nf_sample_gradient(NEEDED(flow, conditional), NEEDED(context, rows), OPTIONAL(x_weight, rows),
                              OPTIONAL(weight, rows), ROWS, 1, OPTIONAL(context_gradient, numbers),
                              OPTIONAL(parameter_gradient, gradient), OPTIONAL(pool, (ad_pool *)NULL), ERROR));
    CASE(nf_transform)
    status(nf_transform(NEEDED(flow, conditional), true, NEEDED(in, rows), NEEDED(context, rows), ROWS,
                        OPTIONAL(out, out), OPTIONAL(log_det, log_prob), OPTIONAL(pool, (ad_pool *)NULL), ERROR));
}

static ad_var record_sum(const void *context, ad_var z)
{
    (void)context;
    return ad_sum(z);
}

static void call_stochastic(void)
{
    const nf_density density = {record_sum, NULL};
    ad_var at_z;
    nf_set_densities(at, NULL, &density);
    CASE(nf_bijector_is_stochastic) QUIET(nf_bijector_is_stochastic(HARMLESS(bijector, bijector)));
    CASE(nf_flow_is_stochastic) QUIET(nf_flow_is_stochastic(HARMLESS(flow, flow)));
    CASE(nf_flow_set_density) QUIET(nf_flow_set_density(HARMLESS(flow, flow), OPTIONAL(density, &density)));
    CASE(nf_set_densities)
    QUIET(nf_set_densities(HARMLESS(at, at), OPTIONAL(base, &density), OPTIONAL(target, &density)));
    CASE(nf_intermediate_log_density) recorded(nf_intermediate_log_density(HARMLESS(at, at), v));
    CASE(nf_intermediate_gradient)
    recorded(nf_intermediate_gradient(HARMLESS(at, at), v, OPTIONAL(gradient, &at_z)));
    nf_set_densities(at, NULL, NULL);
}

static void call(void)
{
    for (size_t i = 0; i < COUNT(numbers); i++) numbers[i] = 1;
    call_registries();
    call_parameters();
    call_bijectors();
    call_features();
    call_flows();
    call_stochastic();
}

START_TEST(pointers)
{
    call_with_null("flows", (size_t)_i, set_up, call, tear_down);
}
END_TEST

Suite *null_flows_suite(void)
{
    Suite *suite = suite_create("null_flows");
    TCase *tcase = tcase_create("null");
    tcase_add_loop_test(tcase, pointers, 0, functions_of("flows"));
    suite_add_tcase(suite, tcase);
    return suite;
}
