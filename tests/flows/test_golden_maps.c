/* Bijectors and base distributions against other implementations at the same weights: values of both directions,
 * log-dets, and gradients with respect to the event and to all that is trained. golden/maps.py says what a line of
 * maps.csv has. */
#include "flows/flow_tools.h"
#include "scratch.h"

#include <math.h>

/* One line. */
typedef struct {
    size_t line, dim, context, count;
    char formula[100];
    bool inverse, is_base;
    double *rho, *given, *in, *out, *log_det, *by_in, *by_rho; /* in one allocation, as they stand there */
} example;

static char *next_field(char **at)
{
    char *field = *at, *end = field + strcspn(field, ",\n");
    *at = end + (*end != '\0');
    *end = '\0';
    return field;
}

static example read_line(char *at, size_t line)
{
    example e = {.line = line};
    snprintf(e.formula, sizeof e.formula, "%s", next_field(&at));
    for (char *c = e.formula; *c; c++)
        if (*c == ';') *c = ',';
    const char *direction = next_field(&at);
    e.inverse = strcmp(direction, "inverse") == 0;
    e.is_base = strcmp(direction, "base") == 0;
    size_t *const counts[] = {&e.dim, &e.context, &e.count};
    for (size_t i = 0; i < COUNT(counts); i++) *counts[i] = strtoul(next_field(&at), NULL, 10);
    const size_t size = 2 * e.count + e.context + 3 * e.dim + 1;
    double *number = malloc(size * sizeof *number);
    for (size_t i = 0; i < size; i++) {
        char *end, *field = next_field(&at);
        number[i] = strtod(field, &end);
        ck_assert_msg(end > field && *end == '\0', "maps.csv:%zu: '%s'", line, field);
    }
    ck_assert_msg(*at == '\0', "maps.csv:%zu has more than %zu numbers", line, size);
    e.rho = number;
    e.given = e.rho + e.count;
    e.in = e.given + e.context;
    e.out = e.in + e.dim;
    e.log_det = e.out + e.dim;
    e.by_in = e.log_det + 1;
    e.by_rho = e.by_in + e.dim;
    return e;
}

static bool take_values(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    const double **from = context;
    const size_t size = ad_shape_size(parameter->spec.shape);
    memcpy(parameter->value, *from, size * sizeof(double));
    *from += size;
    return true;
}

static void assert_near(const example *e, const char *what, const double *got, const double *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabs(got[i] - expected[i]) <= 1e-9 * fmax(1, fabs(expected[i])),
                      "maps.csv:%zu: %s at D = %zu, %s, number %zu: %.17g, expected %.17g", e->line, e->formula, e->dim,
                      what, i, got[i], expected[i]);
}

/* Of Σ out_i / i + log-det, or of log p. */
static void check_gradients(const example *e, nf_flow *flow)
{
    enum { MOST = 64 };
    const size_t parameters = nf_flow_trained_parameters(flow);
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    double weight[8], *got = malloc((e->dim + e->count) * sizeof *got), *to = got;
    ad_var in = ad_input(tape, "in", AD_SHAPE(e->dim)), log_det, wrt[MOST] = {in}, gradient[MOST];
    ad_var out = (e->inverse ? nf_inverse : nf_forward)(at.bijector, in, &log_det), sum;
    ck_assert_uint_lt(parameters, MOST);
    for (size_t i = 0; i < e->dim; i++) weight[i] = 1.0 / (double)(i + 1);
    for (size_t i = 0; i < parameters; i++) wrt[i + 1] = nf_flow_bound_parameter(&at, i).var;
    sum = ad_add(ad_sum(ad_mul(out, ad_constant(tape, AD_SHAPE(e->dim), weight))), log_det);
    if (e->is_base) sum = nf_flow_record_log_prob(&at, in);
    ad_grad(sum, wrt, (int)parameters + 1, gradient);
    for (size_t i = 0; i <= parameters; i++) gradient[i] = ad_to_rows(gradient[i]);
    ad_plan *plan = ad_plan_new(gradient, (int)parameters + 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_msg(plan != NULL, "%s: %s", e->formula, error.message);
    nf_flow_bind_plan(&at, plan);
    ad_plan_set_input(plan, in, e->in);
    ad_plan_set_input(plan, nf_context(at.bijector), e->given);
    for (size_t i = 0; i <= parameters; i++) {
        ad_plan_set_output(plan, (int)i, to);
        to += ad_shape_size(ad_shape_of(wrt[i]));
    }
    ASSERT_OK(ad_plan_run(plan, &(ad_run){.rows = 1}, &error));
    assert_near(e, "gradient by the event", got, e->by_in, e->dim);
    assert_near(e, "gradient by the parameters", got + e->dim, e->by_rho, e->count);
    ad_plan_free(plan);
    ad_tape_free(tape);
    free(got);
}

static void check_base(const example *e)
{
    const double *from = e->rho;
    char formula[128];
    double log_prob;
    snprintf(formula, sizeof formula, "%s:flip-flip", e->formula);
    nf_flow *flow = nf_flow_parse(formula, e->dim, e->context, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s: %s", formula, error.message);
    nf_flow_each_parameter(flow, take_values, &from);
    ck_assert_msg(from == e->rho + e->count, "maps.csv:%zu: %s has %zu numbers", e->line, e->formula,
                  (size_t)(from - e->rho));
    nf_flow_push(flow);
    ASSERT_OK(nf_log_prob(flow, e->in, e->given, 1, &log_prob, NULL, &error));
    assert_near(e, "log p", &log_prob, e->log_det, 1);
    check_gradients(e, flow);
    nf_flow_free(flow);
}

static void check_bijector(const example *e)
{
    const double *from = e->rho;
    double got[8], log_det, back = -*e->log_det;
    nf_bijector *bijector = nf_bijector_parse(e->formula, e->dim, e->context, 1, &error);
    ck_assert_msg(bijector != NULL, "%s: %s", e->formula, error.message);
    nf_each_parameter(bijector, take_values, &from);
    ck_assert_msg(from == e->rho + e->count, "maps.csv:%zu: %s has %zu numbers", e->line, e->formula,
                  (size_t)(from - e->rho));
    nf_flow *flow = nf_flow_new(NULL, bijector, AD_F64, &error);
    ASSERT_OK(nf_transform(flow, e->inverse, e->in, e->given, 1, got, &log_det, NULL, &error));
    assert_near(e, "value", got, e->out, e->dim);
    assert_near(e, "log-det", &log_det, e->log_det, 1);
    ASSERT_OK(nf_transform(flow, !e->inverse, e->out, e->given, 1, got, &log_det, NULL, &error));
    assert_near(e, "value of the other direction", got, e->in, e->dim);
    assert_near(e, "log-det of the other direction", &log_det, &back, 1);
    check_gradients(e, flow);
    nf_flow_free(flow);
}

START_TEST(agrees)
{
    FILE *file = fopen(golden_path("maps.csv").text, "r");
    ck_assert_ptr_nonnull(file);
    char *line = NULL;
    size_t room = 0, lines = 0;
    while (getline(&line, &room, file) > 0) {
        const example e = read_line(line, ++lines);
        (e.is_base ? check_base : check_bijector)(&e);
        free(e.rho);
    }
    ck_assert_uint_ge(lines, 110);
    free(line);
    fclose(file);
}
END_TEST

Suite *golden_maps_suite(void)
{
    Suite *suite = suite_create("golden_maps");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, agrees);
    suite_add_tcase(suite, all);
    return suite;
}
