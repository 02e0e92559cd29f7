/* Bijectors whose parameters networks compute: against NumPy; which feature sees which; splines at their knots, in
 * their tails and where they are steep; finite at extremes. */
#include "flows/flow_tools.h"
#include <weir/models.h>
#include "scratch.h"

#include <math.h>

/* ---- Against NumPy ------------------------------------------------------------------------------------------- */

static const char *const golden[] = {
    "maf",
    "maf_1",
    "iaf",
    "iaf_context",
    "rqsar",
    "rqsar_context",
    "realnvp",
    "realnvp_context",
    "realnvp_residual",
    "rqs",
    "rqs_residual",
    "rqs_1",
    "realnvp_listed",
    "rqs_listed",
};

/* Columns begin … begin + width - 1; free(). */
static double *columns_of(const nf_table *table, size_t begin, size_t width)
{
    double *part = malloc(table->rows * (width ? width : 1) * sizeof *part);
    for (size_t r = 0; r < table->rows; r++)
        for (size_t j = 0; j < width; j++) part[r * width + j] = table->values[r * table->columns + begin + j];
    return part;
}

/* As golden/conditioned.py computed them. */
START_TEST(equals_numpy)
{
    char name[64];
    nf_table table;
    snprintf(name, sizeof name, "conditioned_%s.csv", golden[_i]);
    ASSERT_OK(nf_table_read(golden_path(name).text, &table, &error));
    snprintf(name, sizeof name, "conditioned_%s.safetensors", golden[_i]);
    nf_flow *flow = nf_load(golden_path(name).text, NULL, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    size_t dim = nf_flow_dim(flow), context = nf_flow_context_size(flow), rows = table.rows;
    ck_assert_uint_ge(rows, 20);
    ck_assert_uint_eq(table.columns, 2 * dim + context + 1);
    double *z = columns_of(&table, 0, dim), *c = columns_of(&table, dim, context);
    double *x = columns_of(&table, dim + context, dim), *log_det = columns_of(&table, 2 * dim + context, 1);
    double *got = malloc(rows * dim * sizeof *got), *got_log_det = malloc(rows * sizeof *got_log_det);
    for (int inverse = 0; inverse < 2; inverse++) {
        ASSERT_OK(nf_transform(flow, inverse, inverse ? x : z, c, rows, got, got_log_det, NULL, &error));
        for (size_t i = 0; i < rows * dim; i++) ck_assert_double_eq_tol(got[i], (inverse ? z : x)[i], 1e-10);
        for (size_t r = 0; r < rows; r++)
            ck_assert_double_eq_tol(got_log_det[r], inverse ? -log_det[r] : log_det[r], 1e-10);
    }
    free(got_log_det);
    free(got);
    free(log_det);
    free(x);
    free(c);
    free(z);
    nf_flow_free(flow);
    nf_table_free(&table);
}
END_TEST

/* ---- With gradients ------------------------------------------------------------------------------------------ */

static nf_flow *conditional_flow(const char *formula, size_t dim, size_t context, ad_dtype dtype)
{
    nf_flow *flow = nf_flow_parse(formula, dim, context, dtype, 1, &error);
    ck_assert_msg(flow != NULL, "%s: %s", formula, error.message);
    nf_each_parameter(nf_flow_bijector(flow), move_parameter, &(uint64_t){0});
    nf_flow_push(flow);
    return flow;
}

static void scale_parameters(nf_flow *flow, double factor)
{
    for (size_t i = 0; i < nf_flow_trained_elements(flow); i++)
        if (nf_flow_dtype(flow) == AD_F32)
            ((float *)nf_flow_parameters(flow))[i] *= (float)factor;
        else
            ((double *)nf_flow_parameters(flow))[i] *= factor;
}

/* One direction of a flow, at one event at a time, whatever its parameters are by then. */
typedef struct {
    const nf_flow *flow;
    ad_plan *plan;
    ad_var in, context, weight;
    size_t by_event, by_context, by_parameters, size; /* where each begins in what evaluate() gives, and its end */
} direction;

static direction direction_of(const nf_flow *flow, bool inverse)
{
    enum { MOST = 64 };
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(flow, tape);
    const size_t dim = nf_flow_dim(flow), n_parameters = nf_flow_trained_parameters(flow);
    direction d = {.flow = flow, .in = ad_input(tape, "v", AD_SHAPE(dim)), .context = nf_context(at.bijector)};
    d.weight = ad_input(tape, "weight", AD_SHAPE(dim));
    ad_var wrt[MOST] = {d.in, d.context}, gradient[MOST], log_det;
    size_t count = nf_flow_context_size(flow) ? 2 : 1;
    ck_assert_uint_le(count + n_parameters, MOST);
    for (size_t i = 0; i < n_parameters; i++) wrt[count++] = nf_flow_bound_parameter(&at, i).var;
    const ad_var out = (inverse ? nf_inverse : nf_forward)(at.bijector, d.in, &log_det);
    ad_grad(ad_add(ad_sum(ad_mul(d.weight, out)), log_det), wrt, (int)count, gradient);
    ad_var all = ad_concat((ad_var[]){out, ad_reshape(log_det, AD_SHAPE(1))}, 2, 0);
    for (size_t i = 0; i < count; i++) {
        const size_t size = ad_shape_size(ad_shape_of(gradient[i]));
        all = ad_concat((ad_var[]){all, ad_reshape(gradient[i], AD_SHAPE(size))}, 2, 0);
    }
    d.by_event = dim + 1;
    d.by_context = d.by_event + dim;
    d.by_parameters = d.by_context + nf_flow_context_size(flow);
    d.size = ad_shape_size(ad_shape_of(all));
    all = ad_to_rows(all);
    d.plan = ad_plan_new(&all, 1, &(ad_plan_options){.dtype = nf_flow_dtype(flow)}, &error);
    ck_assert_msg(d.plan != NULL, "%s", error.message);
    nf_flow_bind_plan(&at, d.plan);
    ad_tape_free(tape);
    return d;
}

/* out (dim), log_det, and the gradient of Σ_j weight_j out_j + log_det by the event, by the context and by each
 * parameter; free(). */
static double *evaluate(const direction *d, const double *in, const double *context, const double *weight)
{
    const ad_dtype dtype = nf_flow_dtype(d->flow);
    const size_t dim = nf_flow_dim(d->flow);
    double *to = malloc(d->size * sizeof *to), *raw = malloc(d->size * sizeof *raw), inputs[3][8];
    ck_assert(to && raw && dim <= COUNT(inputs[0]));
    ad_from_double(dtype, in, inputs[0], dim);
    ad_from_double(dtype, weight, inputs[1], dim);
    if (context) ad_from_double(dtype, context, inputs[2], nf_flow_context_size(d->flow));
    ad_plan_set_input(d->plan, d->in, inputs[0]);
    ad_plan_set_input(d->plan, d->weight, inputs[1]);
    ad_plan_set_input(d->plan, d->context, inputs[2]);
    ad_plan_set_output(d->plan, 0, raw);
    ASSERT_OK(ad_plan_run(d->plan, &(ad_run){.rows = 1}, &error));
    ad_to_double(dtype, raw, to, d->size);
    free(raw);
    return to;
}

static const char *const everything[] = {
    "maf(7,6,activation=gelu)-flip-maf(5)",
    "iaf(7,6,activation=relu)-flip-iaf(5)",
    "realnvp(7,6)-flip-realnvp(6,6,network=residual,activation=gelu)",
    "rqs(7,6,activation=silu)-flip-rqs(6,6,network=residual,mask=alternating)",
    "rqsar(7,6,activation=elu)-flip-rqsar(5,bins=3,tail=2)",
    "coupling(7,transformer=linear_spline)-flip-autoregressive(5,transformer=cubic_spline(bins=3,tail=2))",
    "coupling(7,transformer=quadratic_spline)-flip-coupling(6,transformer=bounded_rational_quadratic(bins=4))",
    "coupling(7,transformer=circular_rational_quadratic)-flip-coupling(6,transformer=circular_rational_quadratic)",
    "autoregressive(6,transformer=circular_rational_quadratic)",
    "autoregressive(7,transformer=bernstein)-flip-coupling(6,transformer=sum_of_squares(degree=3))",
    "coupling(7,transformer=deep_sigmoidal)-flip-autoregressive(6,transformer=logistic_mixture)",
    "coupling(7,transformer=umnn(units=5))-flip-coupling(6,transformer=additive)",
};

/* Values and gradients, at small and large events, of parameters as they are, large, and zero. */
START_TEST(is_finite_at_extremes)
{
    enum { DIM = 3, CONTEXT = 2 };
    static const double size[] = {0, 1e-30, 1e-8, 1e-3, 1, 3, 1e3, 1e6, 1e15}, factor[] = {1, 100, 0};
    for (int dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = conditional_flow(everything[_i], DIM, CONTEXT, (ad_dtype)dtype);
        const direction both[] = {direction_of(flow, false), direction_of(flow, true)};
        ck_assert_uint_eq(both[0].by_parameters + nf_flow_trained_elements(flow), both[0].size);
        for (size_t s = 0; s < COUNT(factor); s++) {
            scale_parameters(flow, factor[s]);
            for (size_t i = 0; i < 4 * COUNT(size); i++) {
                const double v = (i % 2 ? -1 : 1) * size[i / 4], in[DIM] = {v, -v, v}, context[CONTEXT] = {v, 1};
                double *to = evaluate(&both[i % 4 > 1], in, context, (double[DIM]){1, 1, 1});
                for (size_t k = 0; k < both[0].size; k++)
                    ck_assert_msg(isfinite(to[k]), "%s, scale number %zu, at %g: number %zu is %g", everything[_i], s,
                                  v, k, to[k]);
                free(to);
            }
        }
        ad_plan_free(both[0].plan);
        ad_plan_free(both[1].plan);
        nf_flow_free(flow);
    }
}
END_TEST

/* With a context; test_bijectors.c has them without. */
START_TEST(passes_the_check)
{
    static const size_t dims[] = {1, 2, 3, 8, 11};
    const char *formula = everything[(size_t)_i % COUNT(everything)];
    size_t dim = dims[(size_t)_i / COUNT(everything)];
    nf_bijector *bijector = nf_bijector_parse(formula, dim, 2, 1, &error);
    ck_assert_msg(bijector != NULL, "%s", error.message);
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    ad_status status = nf_check_bijector(bijector, 2, result, &count, &error);
    ck_assert_msg(status == AD_OK, "%s at D = %zu: %s", formula, dim, error.message);
    nf_bijector_free(bijector);
}
END_TEST

/* ---- Who sees what -------------------------------------------------------------------------------------------- */

enum { FEATURES = 5 };

static const struct {
    const char *formula;
    bool coupled, inverse; /* the direction in which the network sees what comes in */
    bool seen[FEATURES];   /* by a coupling's network */
} structures[] = {
    {"realnvp(9)", true, false, {1, 1, 0, 0, 0}},
    {"realnvp(9,flipped=1)", true, true, {0, 0, 1, 1, 1}},
    {"realnvp(9,mask=[1,4-5])", true, false, {1, 0, 0, 1, 1}},
    {"rqs(9,mask=[3],flipped=1)", true, true, {1, 1, 0, 1, 1}},
    {"rqs(9,mask=[1-5],flipped=1)", true, true, {0, 0, 0, 0, 0}},
    {"rqs(9,mask=alternating)", true, false, {1, 0, 1, 0, 1}},
    {"rqs(9,mask=alternating,flipped=1,network=residual)", true, true, {0, 1, 0, 1, 0}},
    {"iaf(64)", false, false, {0}},
    {"maf(64)", false, true, {0}},
    {"rqsar(64)", false, true, {0}},
    {"coupling(9,transformer=circular_rational_quadratic)", true, true, {1, 1, 0, 0, 0}},
    {"autoregressive(64,transformer=circular_rational_quadratic)", false, true, {0}},
};

/* Zeros of the Jacobian are exact, the rest is not zero; with a context, every transformed feature sees it. */
START_TEST(jacobian_has_its_zeros)
{
    static const double in[FEATURES] = {0.3, -0.7, 0.5, 1.1, -0.2}, context[2] = {0.4, -0.6};
    for (size_t n_context = 0; n_context <= 2; n_context += 2) {
        nf_flow *flow = conditional_flow(structures[_i].formula, FEATURES, n_context, AD_F64);
        const direction d = direction_of(flow, structures[_i].inverse);
        const bool *seen = structures[_i].seen;
        double weight[FEATURES] = {0}, *without = evaluate(&d, in, context, weight);
        for (size_t i = 0; i < FEATURES; i++) {
            weight[i] = 1;
            double *with = evaluate(&d, in, context, weight);
            weight[i] = 0;
            for (size_t j = 0; j < FEATURES; j++) {
                const double slope = with[d.by_event + j] - without[d.by_event + j];
                bool sees = structures[_i].coupled ? !seen[i] && seen[j] : j > i;
                ck_assert_msg((slope != 0) == (i == j || sees), "%s: d out_%zu / d in_%zu is %g",
                              structures[_i].formula, i + 1, j + 1, slope);
            }
            for (size_t k = d.by_context; k < d.by_context + n_context; k++)
                ck_assert_msg((with[k] != without[k]) == !seen[i], "%s: d out_%zu / d c_%zu", structures[_i].formula,
                              i + 1, k - d.by_context + 1);
            free(with);
        }
        free(without);
        ad_plan_free(d.plan);
        nf_flow_free(flow);
    }
}
END_TEST

/* What stays is the same bits; a random mask differs with its seed, and has half of them. */
START_TEST(seen_features_stay)
{
    enum { DIM = 21 };
    double *z = normals(DIM, 1, 3), x[DIM], first[DIM];
    for (int seed = 0; seed < 2; seed++) {
        char formula[64];
        snprintf(formula, sizeof formula, "realnvp(9,mask=random,seed=%d)", seed);
        nf_flow *flow = moved_flow(formula, DIM, AD_F64);
        ASSERT_OK(nf_transform(flow, false, z, NULL, 1, x, NULL, NULL, &error));
        size_t stay = 0;
        for (size_t i = 0; i < DIM; i++) stay += x[i] == z[i];
        ck_assert_uint_eq(stay, DIM / 2);
        bool same = true;
        for (size_t i = 0; i < DIM; i++) same &= (x[i] == z[i]) == (first[i] == z[i]);
        if (seed) ck_assert(!same);
        memcpy(first, x, sizeof x);
        nf_flow_free(flow);
    }
    free(z);
}
END_TEST

/* ---- Splines -------------------------------------------------------------------------------------------------- */

enum { BINS = 4, PARAMETERS = 3 * BINS - 1 };

/* A spline of one feature without a context: its parameters are the last layer's bias. */
static nf_flow *spline_with(const double u[PARAMETERS], ad_dtype dtype)
{
    nf_bijector *bijector = parsed("rqs(3,bins=4,tail=2)", 1, 0);
    memcpy(nf_parameter_value(bijector->child[0], "bias1"), u, PARAMETERS * sizeof *u);
    return nf_flow_new(NULL, bijector, dtype, &error);
}

static void knots_of(const double u[BINS], double knot[BINS + 1])
{
    double total = 0;
    for (int k = 0; k < BINS; k++) total += exp(u[k]);
    knot[0] = -2;
    for (int k = 0; k < BINS; k++) knot[k + 1] = knot[k] + 4 * (1e-3 + (1 - 4e-3) * exp(u[k]) / total);
}

static double derivative_at(const double u[PARAMETERS], int knot)
{
    double u1 = log(expm1(1 - 1e-3));
    return knot == 0 || knot == BINS ? 1 : 1e-3 + log1p(exp(u[2 * BINS + knot - 1] + u1));
}

static const double shapes[][PARAMETERS] = {
    {0},
    {1, -2, 0.5, 0, -1, 1, 0.3, 2, 0.7, -3, 1.5},
    {-30, 3, 0, 1, 30, 3, -2, 1, -30, 4, 30}, /* at its least widths and heights */
};

/* At every knot, and on both sides of it: value and derivative are those of the knot. */
START_TEST(meets_its_knots)
{
    const double *u = shapes[_i];
    nf_flow *flow = spline_with(u, AD_F64);
    double x[BINS + 1], y[BINS + 1];
    knots_of(u, x);
    knots_of(u + BINS, y);
    for (int k = 0; k <= BINS; k++)
        for (int side = -1; side <= 1; side++) {
            double at = x[k] + side * 1e-14, out, log_det, back, log_det_back;
            ASSERT_OK(nf_transform(flow, true, &at, NULL, 1, &out, &log_det, NULL, &error));
            ASSERT_OK(nf_transform(flow, false, &out, NULL, 1, &back, &log_det_back, NULL, &error));
            double derivative = derivative_at(u, k);
            ck_assert_double_eq_tol(out, y[k], 1e-12 * fmax(1, 3 * derivative));
            ck_assert_double_eq_tol(log_det, log(derivative), 1e-5);
            ck_assert_double_eq_tol(back, at, 1e-12);
            ck_assert_double_eq_tol(log_det_back, -log_det, 1e-5);
        }
    nf_flow_free(flow);
}
END_TEST

/* Outside [-2, 2] and at its ends: the same bits, log-det 0, derivative 1, and no gradient for the parameters. */
START_TEST(is_the_identity_in_its_tails)
{
    static const double at[] = {2, 2.0000001, 3, 1e6, 1e30, INFINITY};
    for (int dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = spline_with(shapes[1], (ad_dtype)dtype);
        const direction both[] = {direction_of(flow, false), direction_of(flow, true)};
        for (size_t i = 0; i < 4 * COUNT(at); i++) {
            double in = (i % 2 ? -1 : 1) * at[i / 4];
            if (dtype == AD_F32) in = (double)(float)in;
            const direction *d = &both[i % 4 > 1];
            double *got = evaluate(d, &in, NULL, &(double){1});
            ck_assert_double_eq(got[0], in);
            ck_assert_double_eq(got[1], 0);
            ck_assert_double_eq(got[d->by_event], 1);
            ck_assert_uint_gt(d->size, d->by_parameters);
            for (size_t k = d->by_parameters; k < d->size; k++) ck_assert_double_eq(got[k], 0);
            free(got);
        }
        double *nan = evaluate(&both[0], &(double){NAN}, NULL, &(double){1});
        ck_assert(isnan(nan[0]));
        free(nan);
        ad_plan_free(both[0].plan);
        ad_plan_free(both[1].plan);
        nf_flow_free(flow);
    }
}
END_TEST

/* Parameters of 0 are the identity. */
START_TEST(starts_at_the_identity)
{
    nf_flow *flow = spline_with(shapes[0], AD_F64);
    for (double in = -2.5; in < 2.5; in += 0.01) {
        double out, log_det;
        ASSERT_OK(nf_transform(flow, false, &in, NULL, 1, &out, &log_det, NULL, &error));
        ck_assert_double_eq_tol(out, in, 1e-14);
        ck_assert_double_eq_tol(log_det, 0, 1e-14);
    }
    nf_flow_free(flow);
}
END_TEST

/* Where the right derivative is 10^4 times the slope, -b - √(b² - 4ac) would keep nine digits. */
START_TEST(inverts_where_it_is_steep)
{
    static const double u[PARAMETERS] = {0, 0, 0, 0, 0, -30, 0, 0, -5, 1e4, -5};
    nf_flow *flow = spline_with(u, AD_F64);
    double y[BINS + 1];
    knots_of(u + BINS, y);
    for (int i = 1; i < 100; i++) {
        double at = y[1] + (y[2] - y[1]) * i / 100, back, again;
        ASSERT_OK(nf_transform(flow, false, &at, NULL, 1, &back, NULL, NULL, &error));
        ASSERT_OK(nf_transform(flow, true, &back, NULL, 1, &again, NULL, NULL, &error));
        ck_assert_double_eq_tol(again, at, 1e-11);
    }
    nf_flow_free(flow);
}
END_TEST

Suite *conditioned_suite(void)
{
    Suite *suite = suite_create("conditioned");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300);
    tcase_add_loop_test(all, equals_numpy, 0, COUNT(golden));
    tcase_add_loop_test(all, passes_the_check, 0, 5 * COUNT(everything));
    tcase_add_loop_test(all, is_finite_at_extremes, 0, COUNT(everything));
    tcase_add_loop_test(all, jacobian_has_its_zeros, 0, COUNT(structures));
    tcase_add_test(all, seen_features_stay);
    suite_add_tcase(suite, all);
    TCase *splines = tcase_create("splines");
    tcase_add_loop_test(splines, meets_its_knots, 0, COUNT(shapes));
    tcase_add_test(splines, is_the_identity_in_its_tails);
    tcase_add_test(splines, starts_at_the_identity);
    tcase_add_test(splines, inverts_where_it_is_steep);
    suite_add_tcase(suite, splines);
    return suite;
}
