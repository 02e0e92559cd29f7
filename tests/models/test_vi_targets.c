/* Targets: those that can't be fitted, and a density from elsewhere. */
#include "models/training_tools.h"

/* ---- Targets that can't be fitted ------------------------------------------------------------------------------ */

static ad_var nan_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_sum(ad_log(ad_sub(value[0], ad_add_scalar(ad_abs(value[0]), 1))));
}

static ad_var no_mass(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var far = ad_greater(ad_sum(value[0]), ad_scalar(value[0].tape, 1e6));
    return ad_where(far, ad_scalar(value[0].tape, 0), ad_scalar(value[0].tape, -INFINITY));
}

/* A quarter of the plane. */
static ad_var positive(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var zero = ad_scalar(value[0].tape, 0);
    ad_var inside = ad_greater(value[0], zero);
    return ad_sum(ad_where(inside, ad_neg(value[0]), ad_scalar(value[0].tape, -INFINITY)));
}

static ad_var detached(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_neg(ad_sum(ad_mul(value[0], ad_stop_gradient(value[0]))));
}

static ad_var pole(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_div(ad_scalar(value[0].tape, 1), ad_sum(ad_greater(value[0], ad_scalar(value[0].tape, 100))));
}

static const nf_site two[] = {{.name = "x", .size = 2}};

static const struct {
    ad_var (*log_density)(const nf_target *self, const ad_var *value);
    const char *formula;
    size_t dim;
    ad_status status;
    const char *message;
} unfit[] = {
    {nan_density, "loc", 2, AD_ERROR_NUMERIC, "NaN at 256 of 256 draws"},
    {pole, "loc", 2, AD_ERROR_NUMERIC, "+inf at 256 of 256 draws"},
    {no_mass, "loc", 2, AD_ERROR_NUMERIC, "-inf at all 256 draws"},
    {positive, "loc", 2, AD_ERROR_NUMERIC, "the flow reaches beyond the target's support"},
    {detached, "loc", 2, AD_ERROR_NUMERIC, "its gradient disagrees with its value: along feature"},
    {detached, "loc", 3, AD_ERROR_ARGUMENT, "has 2 unconstrained features, but the flow is of dimension 3"},
};

START_TEST(targets_that_cannot_be_fitted)
{
    nf_target target = {.name = "mine", .site = two, .n_site = 1, .log_density = unfit[_i].log_density};
    nf_flow *flow = new_flow(unfit[_i].formula, unfit[_i].dim, AD_F32);
    nf_vi_report report;
    ASSERT_FAILS(nf_vi(flow, &target, NULL, &report, &error), unfit[_i].status, unfit[_i].message);
    ck_assert_uint_eq(report.iterations, 0);
    ad_free(report.history);
    nf_flow_free(flow);
}
END_TEST

/* ---- A density from elsewhere ---------------------------------------------------------------------------------- */

/* What another library would offer: the log-density of N((1, -2), diag(0.5², 2²)) and its gradient, of one point. */
static double elsewhere(const double x[2], double gradient[2])
{
    double a = (x[0] - 1) / 0.5, b = (x[1] + 2) / 2;
    gradient[0] = -a / 0.5;
    gradient[1] = -b / 2;
    return -0.5 * (a * a + b * b);
}

static double element(const ad_tile *tile, size_t f, size_t r, bool f32)
{
    const ad_tensor *x = &tile->in[0];
    size_t i = x->per_row ? f * tile->rows + r : f;
    return f32 ? (double)((const float *)x->data)[i] : ((const double *)x->data)[i];
}

static void put(const ad_tile *tile, size_t f, size_t r, bool f32, double value)
{
    if (f32)
        ((float *)tile->out.data)[f * tile->rows + r] = (float)value;
    else
        ((double *)tile->out.data)[f * tile->rows + r] = value;
}

static void call_elsewhere(const ad_tile *tile, bool f32, bool want_gradient)
{
    for (size_t r = 0; r < tile->rows; r++) {
        double gradient[2], value = elsewhere((double[]){element(tile, 0, r, f32), element(tile, 1, r, f32)}, gradient);
        if (!want_gradient) put(tile, 0, r, f32, value);
        for (size_t f = 0; want_gradient && f < 2; f++) put(tile, f, r, f32, gradient[f]);
    }
}

static void value_f32(const ad_tile *tile)
{
    call_elsewhere(tile, true, false);
}

static void value_f64(const ad_tile *tile)
{
    call_elsewhere(tile, false, false);
}

static void gradient_f32(const ad_tile *tile)
{
    call_elsewhere(tile, true, true);
}

static void gradient_f64(const ad_tile *tile)
{
    call_elsewhere(tile, false, true);
}

static bool scalar_shape(const ad_call *call, ad_shape *result)
{
    (void)call;
    *result = AD_SCALAR;
    return true;
}

static const ad_op gradient_op = {.name = "elsewhere_gradient", .n_in = 1, .evaluate = {gradient_f32, gradient_f64}};

static void value_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad_apply(&gradient_op, call->in, 1, NULL, 0, call->tape));
}

static const ad_op value_op = {
    .name = "elsewhere", .n_in = 1, .shape = scalar_shape, .evaluate = {value_f32, value_f64}, .vjp = value_vjp};

static ad_var from_elsewhere(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_apply(&value_op, value, 1, NULL, 0, value[0].tape);
}

START_TEST(a_density_from_elsewhere)
{
    nf_target target = {.name = "elsewhere", .site = two, .n_site = 1, .log_density = from_elsewhere, .log_z = NAN};
    for (int dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_flow *flow = new_flow("scale-loc", 2, (ad_dtype)dtype);
        nf_vi_options o = {.objective = "stl", .iters = 2000, .mc = 20, .optimizer.learning_rate = 0.05};
        ASSERT_OK(nf_vi(flow, &target, &o, NULL, &error));
        ck_assert_double_eq_tol(log1p(exp(parameter_at(flow, 0))), 0.5, 1e-3);
        ck_assert_double_eq_tol(log1p(exp(parameter_at(flow, 1))), 2, 1e-2);
        ck_assert_double_eq_tol(parameter_at(flow, 2), 1, 1e-2);
        ck_assert_double_eq_tol(parameter_at(flow, 3), -2, 1e-2);
        nf_flow_free(flow);
    }
}
END_TEST

Suite *vi_targets_suite(void);

Suite *vi_targets_suite(void)
{
    Suite *suite = suite_create("vi_targets");
    TCase *tests = tcase_create("vi targets");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, targets_that_cannot_be_fitted, 0, (int)COUNT(unfit));
    tcase_add_test(tests, a_density_from_elsewhere);
    suite_add_tcase(suite, tests);
    return suite;
}
