/* sinh_arcsinh.c: a bijector of your own with everything given: parameters with constraints, an argument, both
 * directions, each with its log-determinant. It gives each feature skewness ε and tails of weight 1/δ (Jones & Pewsey
 * 2009, "Sinh-arcsinh distributions"):
 *
 *     x = sinh(u),  u = (arsinh z + ε) / δ,      log dx/dz = log cosh u - log δ - log(1 + z²)/2. */
#include <math.h>
#include <stdio.h>
#include <weir/models.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    ad_shape shape = AD_SHAPE(self->dim);
    double tail = nf_argument_value(self, "tail");
    nf_parameter_spec epsilon = {.name = "epsilon", .shape = shape};
    nf_parameter_spec delta = {.name = "delta", .shape = shape, .value = tail, .constraint = NF_POSITIVE};
    ad_status status = nf_declare(self, &epsilon, error);
    return status == AD_OK ? nf_declare(self, &delta, error) : status;
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

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var delta = nf_param(at, "delta"), u = ad_div(ad_add(arsinh_of(z), nf_param(at, "epsilon")), delta);
    *log_det = log_slope(z, u, delta);
    return sinh_of(u);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var delta = nf_param(at, "delta"), u = arsinh_of(x);
    ad_var z = sinh_of(ad_sub(ad_mul(u, delta), nf_param(at, "epsilon")));
    *log_det = ad_neg(log_slope(z, u, delta));
    return z;
}

static const nf_argument arguments[] = {
    {.name = "tail", .kind = NF_NUMBER, .value = 1, .low = 0.1, .high = 10, .help = "what δ starts at"},
    {.name = NULL}};

static const nf_bijector_type sinh_arcsinh = {.name = "sinh_arcsinh",
                                              .help = "x = sinh((arsinh z + epsilon) / delta)",
                                              .argument = arguments,
                                              .build = build,
                                              .forward = forward,
                                              .inverse = inverse};

int main(void)
{
    enum { ROWS = 4000 };
    static double x[ROWS];
    double nll;
    ad_error error;
    for (int i = 0; i < ROWS; i++) x[i] = exp(ad_random_normal(1, 0, (uint64_t)i)); /* skewed: log-normal */
    nf_flow *flow = nf_register(&sinh_arcsinh, &error) == AD_OK
                        ? nf_flow_parse("scale-loc-sinh_arcsinh(tail=0.8)-scale-loc", 1, 0, AD_F64, 1, &error)
                        : NULL;
    nf_check_result result[NF_MOST_CHECKS];
    int checks = 0;
    nf_fit_options options = {.epochs = 60, .optimizer = {.learning_rate = 0.02}};
    if (!flow || nf_check_bijector(nf_flow_bijector(flow), 1, result, &checks, &error) != AD_OK ||
        nf_fit(flow, x, ROWS, &options, NULL, &error) != AD_OK ||
        nf_nll(flow, x, NULL, ROWS, &nll, NULL, NULL, &error) != AD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    nf_flow_free(flow);
    printf("%d checks passed; trained: %.3f nats, the entropy is %.3f\n", checks, nll,
           0.5 * log(2 * acos(-1) * exp(1)));
    return !(nll < 1.6);
}
