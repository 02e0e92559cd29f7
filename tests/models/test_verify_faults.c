/* Bijectors with a fault that little shows, which the verifier must find at every dimension and with every seed, and
 * right ones that look like them, which it must pass. */
#include "flows/flow_tools.h"
#include <weir/models.h>

#include <math.h>

/* ---- Scales ---------------------------------------------------------------------------------------------------- */

static ad_status one_each(nf_bijector *self, nf_parameter_spec spec, ad_error *to)
{
    spec.name = "s";
    spec.shape = AD_SHAPE(self->dim);
    return nf_declare(self, &spec, to);
}

static ad_status free_scale(nf_bijector *self, ad_error *to)
{
    return one_each(self, (nf_parameter_spec){.value = 1}, to);
}

static ad_status positive_scale(nf_bijector *self, ad_error *to)
{
    return one_each(self, (nf_parameter_spec){.value = 1, .constraint = NF_POSITIVE}, to);
}

/* x = s z */
static ad_var scale(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var s = nf_param(at, "s");
    *log_det = ad_sum(ad_log(ad_abs(s)));
    return ad_mul(s, z);
}

static ad_var unscale(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var s = nf_param(at, "s");
    *log_det = ad_neg(ad_sum(ad_log(ad_abs(s))));
    return ad_div(x, s);
}

static ad_var scale_alone(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    return ad_mul(nf_param(at, "s"), z);
}

/* x = e^s z, and Σ|s| for its log-det. */
static ad_var grow(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var s = nf_param(at, "s");
    *log_det = ad_sum(ad_abs(s));
    return ad_mul(ad_exp(s), z);
}

static ad_var shrink(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var s = nf_param(at, "s");
    *log_det = ad_neg(ad_sum(ad_abs(s)));
    return ad_mul(ad_exp(ad_neg(s)), x);
}

/* ---- One event, and no noise ------------------------------------------------------------------------------------- */

static ad_var add_noise(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    return ad_add(z, ad_mul_scalar(ad_normal(z.tape, AD_SHAPE(at->self->dim), 3), 1e-9));
}

static ad_var take_noise(const nf_scope *at, ad_var x, ad_var *log_det)
{
    (void)log_det;
    return ad_sub(x, ad_mul_scalar(ad_normal(x.tape, AD_SHAPE(at->self->dim), 3), 1e-9));
}

static ad_var same(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at;
    *log_det = ad_mul_scalar(ad_sum(z), 0);
    return z;
}

static ad_var noisy_log_det(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at;
    *log_det = ad_mul_scalar(ad_uniform(z.tape, AD_SCALAR, 1), 1e-12);
    return z;
}

/* The mean of all rows is taken off, and put back on. */
static ad_var other_rows(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at, (void)log_det;
    return ad_add(z, ad_mul_scalar(ad_tanh(ad_sum_rows(ad_stop_gradient(z))), 1e-3));
}

/* ---- Zeros --------------------------------------------------------------------------------------------------------
 */

/* |z| z/|z|, which is z, with a gradient that is NaN at 0. */
static ad_var quotient(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at;
    ad_var zero = ad_scalar(z.tape, 0), product = ad_mul(ad_abs(z), ad_div(z, ad_abs(z)));
    *log_det = ad_mul_scalar(ad_sum(z), 0);
    return ad_where(ad_equal(z, zero), zero, product);
}

/* sign(z) |z|^(1 + 0): of s = 0 it is z; 0^s log 0 is what the gradient with respect to s has. */
static ad_var power(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var s = ad_mul_scalar(nf_param(at, "s"), 0);
    *log_det = ad_mul_scalar(ad_sum(z), 0);
    return ad_mul(z, ad_exp(ad_mul(s, ad_log(ad_add_scalar(ad_abs(z), 0)))));
}

/* ---- Far out -------------------------------------------------------------------------------------------------------
 */

static ad_var clamped(const nf_scope *at, ad_var x, ad_var *log_det)
{
    (void)at, (void)log_det;
    return ad_minimum(ad_maximum(x, ad_scalar(x.tape, -20)), ad_scalar(x.tape, 20));
}

static ad_var clamped_with_log_det(const nf_scope *at, ad_var x, ad_var *log_det)
{
    *log_det = ad_mul_scalar(ad_sum(x), 0);
    ad_var unused;
    return clamped(at, x, &unused);
}

static ad_var far_from(ad_var z, double by)
{
    return ad_mul_scalar(ad_greater(ad_max(ad_abs(z)), ad_scalar(z.tape, 5)), by);
}

static ad_var far_log_det(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at;
    *log_det = far_from(z, 0.5);
    return z;
}

static ad_var far_log_det_back(const nf_scope *at, ad_var x, ad_var *log_det)
{
    (void)at;
    *log_det = far_from(x, -0.5);
    return x;
}

/* ---- Bends: right, with a gradient that jumps ---------------------------------------------------------------------
 */

static ad_var turn(ad_var v, double angle)
{
    const double turned[] = {cos(angle), -sin(angle), sin(angle), cos(angle)};
    if (ad_shape_size(ad_shape_of(v)) != 2) return v;
    return ad_matmul(ad_constant(v.tape, AD_SHAPE(2, 2), turned), v);
}

static double slope_of(const nf_scope *at)
{
    return *(const double *)at->self->type->data;
}

static ad_var bend(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    z = turn(z, 0.6);
    ad_var above = ad_relu(ad_add_scalar(z, -0.3));
    return turn(ad_add(z, ad_mul_scalar(above, slope_of(at) - 1)), 0.9);
}

static ad_var unbend(const nf_scope *at, ad_var x, ad_var *log_det)
{
    (void)log_det;
    x = turn(x, -0.9);
    ad_var above = ad_relu(ad_add_scalar(x, -0.3));
    return turn(ad_add(x, ad_mul_scalar(above, 1 / slope_of(at) - 1)), -0.6);
}

/* ---- What authors mistype ------------------------------------------------------------------------------------------
 */

static ad_var nothing(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at, (void)log_det;
    return (ad_var){z.tape, -1};
}

static ad_var no_tape(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at, (void)z, (void)log_det;
    return (ad_var){0};
}

static ad_var misspelt(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    return ad_mul(nf_param(at, "scale"), z);
}

static ad_var no_name(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    return ad_mul(nf_param(at, NULL), z);
}

static ad_var no_values(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)log_det;
    return ad_add(z, ad_constant(z.tape, AD_SHAPE(at->self->dim), NULL));
}

/* sgn(z) log(1 + |z|), whose derivative at 0 the tape takes for 0, since that of |z| is. */
static ad_var bent_at_zero(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at, (void)log_det;
    return ad_mul(ad_sign(z), ad_log1p(ad_abs(z)));
}

static const double steep = 300, flat = 0.01;

static const struct {
    nf_bijector_type type;
    const char *message; /* NULL: it is right */
    ad_status status;    /* else AD_ERROR_NUMERIC */
} cases[] = {
    {{.name = "positive", .build = positive_scale, .forward = scale, .inverse = unscale}, NULL},
    {{.name = "any_sign", .build = free_scale, .forward = scale, .inverse = unscale, .singular = true}, NULL},
    {{.name = "any_sign", .build = free_scale, .forward = scale, .inverse = unscale}, "one sign of det J"},
    {{.name = "any_sign", .build = free_scale, .forward = scale_alone}, "one sign of det J"},
    {{.name = "absolute", .build = free_scale, .forward = grow, .inverse = shrink}, "log-det against the Jacobian"},
    {{.name = "absolute", .build = free_scale, .forward = grow}, "log-det against the Jacobian"},
    {{.name = "noise", .forward = add_noise, .inverse = take_noise}, "there is noise in the map of z"},
    {{.name = "noise", .forward = same, .inverse = take_noise}, "there is noise in the map of x"},
    {{.name = "noise", .forward = noisy_log_det, .inverse = noisy_log_det}, "there is noise in the map of z"},
    {{.name = "rows", .forward = other_rows, .inverse = same}, "other rows change the map of z"},
    {{.name = "quotient", .forward = quotient, .inverse = same}, "no NaN at 0"},
    {{.name = "quotient", .forward = same, .inverse = quotient}, "no NaN at 0"},
    {{.name = "quotient", .forward = quotient}, "no NaN at 0"},
    {{.name = "power", .build = free_scale, .forward = power, .inverse = same}, "no NaN at 0"},
    {{.name = "bent", .forward = bent_at_zero}, "0): a gradient isn't finite, of a log-det of -inf"},
    {{.name = "clamped", .forward = same, .inverse = clamped}, "round trip x -> z -> x far out"},
    {{.name = "clamped", .forward = same, .inverse = clamped_with_log_det}, "round trip x -> z -> x far out"},
    {{.name = "far", .forward = far_log_det, .inverse = far_log_det_back}, "log-det against the Jacobian, forward"},
    {{.name = "far", .forward = far_log_det}, "log-det against the Jacobian, forward"},
    {{.name = "steep", .forward = bend, .inverse = unbend, .data = &steep}, NULL},
    {{.name = "flat", .forward = bend, .inverse = unbend, .data = &flat}, NULL},
    {{.name = "nothing", .forward = nothing}, "forward of 'nothing' returned no value", AD_ERROR_ARGUMENT},
    {{.name = "nothing", .inverse = nothing}, "inverse of 'nothing' returned no value", AD_ERROR_ARGUMENT},
    {{.name = "no_tape", .forward = no_tape, .inverse = same}, "forward of 'no_tape' returned no", AD_ERROR_ARGUMENT},
    {{.name = "misspelt", .build = free_scale, .forward = misspelt},
     "'misspelt' has no parameter 'scale'; its parameters: 's'",
     AD_ERROR_ARGUMENT},
    {{.name = "no_name", .build = free_scale, .forward = no_name},
     "'no_name' has no parameter 'NULL'; its parameters: 's'",
     AD_ERROR_ARGUMENT},
    {{.name = "no_values", .forward = no_values}, "in no_values: constant: values is NULL", AD_ERROR_ARGUMENT},
};

START_TEST(found_with_every_seed)
{
    static const size_t dims[] = {1, 2, 3, 7};
    for (size_t d = 0; d < COUNT(dims); d++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            nf_bijector *bijector = nf_bijector_new(&cases[_i].type, dims[d], 0, NULL, &error);
            ck_assert_msg(bijector != NULL, "%s", error.message);
            nf_initialize(bijector, seed);
            nf_check_result result[NF_MOST_CHECKS];
            int count;
            ad_status status = nf_check_bijector(bijector, seed, result, &count, &error);
            ck_assert_int_le(count, NF_MOST_CHECKS);
            const ad_status expected = cases[_i].status ? cases[_i].status : AD_ERROR_NUMERIC;
            ck_assert_msg(status == (cases[_i].message ? expected : AD_OK) &&
                              (!cases[_i].message || strstr(error.message, cases[_i].message)),
                          "%s, D = %zu, seed %d: %s", cases[_i].type.name, dims[d], (int)seed,
                          status == AD_OK ? "passed" : error.message);
            nf_bijector_free(bijector);
        }
}
END_TEST

/* ---- Deep chains ------------------------------------------------------------------------------------------------ */

static ad_var by_a_tenth(double sign, ad_var v, ad_var *log_det)
{
    *log_det = ad_scalar(v.tape, 0.1 * sign * (double)ad_shape_size(ad_shape_of(v)));
    return ad_mul_scalar(v, exp(0.1 * sign));
}

static ad_var narrow_a_little(const nf_scope *at, ad_var z, ad_var *log_det)
{
    (void)at;
    return by_a_tenth(-1, z, log_det);
}

/* Off by what a single round trip may be off by. */
static ad_var widen_and_drift(const nf_scope *at, ad_var x, ad_var *log_det)
{
    (void)at;
    return ad_add_scalar(by_a_tenth(1, x, log_det), 5e-11);
}

/* What adds up shows in a hundred copies: 5e-11 (e^10 - 1) / (e^0.1 - 1) = 1e-5. */
START_TEST(drifts_are_found)
{
    static const nf_bijector_type drift = {"test_drift", "a little off", .forward = narrow_a_little,
                                           .inverse = widen_and_drift};
    ASSERT_OK(nf_register(&drift, &error));
    for (size_t dim = 1; dim <= 3; dim++) {
        nf_bijector *bijector = parsed("test_drift", dim, 1);
        nf_check_result result[NF_MOST_CHECKS];
        int count;
        const ad_status status = nf_check_bijector(bijector, dim, result, &count, &error);
        ASSERT_FAILS(status, AD_ERROR_NUMERIC, "round trip z -> x -> z, 100 deep: off by 1.05e-05");
        nf_bijector_free(bijector);
    }
}
END_TEST

Suite *verify_faults_suite(void)
{
    Suite *suite = suite_create("verify_faults");
    TCase *tcase = tcase_create("verify_faults");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, found_with_every_seed, 0, (int)COUNT(cases));
    tcase_add_test(tcase, drifts_are_found);
    suite_add_tcase(suite, tcase);
    return suite;
}
