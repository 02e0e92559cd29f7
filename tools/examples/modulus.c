/* modulus.c: a plug-in that brings a bijector of which everything is written: a constrained parameter, an argument,
 * both directions, each with its log-determinant. It gives each feature heavier tails, or lighter ones (John & Draper
 * 1980, "An alternative family of transformations"):
 *
 *     x = sign(z) ((1 + |z|)^λ - 1) / λ,    log dx/dz = (λ - 1) log(1 + |z|),    λ > 0
 *
 *     cc -shared -fPIC modulus.c $(pkg-config --cflags weir) -o modulus.so
 *     weir --plugin ./modulus.so check 'modulus(power=0.5)' --dim 2
 *     weir --plugin ./modulus.so fit moons.npy --flow '(lu-loc-modulus)*2' --epochs 4 -o moons.safetensors */
#include <weir/models.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec lambda = {.name = "lambda", .shape = AD_SHAPE(self->dim), .constraint = NF_POSITIVE};
    lambda.value = nf_argument_value(self, "power");
    return nf_declare(self, &lambda, error);
}

/* sign(v) ((1 + |v|)^power - 1), without cancellation near 0, where sign() and |v| would lose the gradient. */
static ad_var odd_power(ad_var v, ad_var power)
{
    ad_var zero = ad_scalar(v.tape, 0), above = ad_maximum(v, zero), below = ad_maximum(ad_neg(v), zero);
    return ad_sub(ad_expm1(ad_mul(power, ad_log1p(above))), ad_expm1(ad_mul(power, ad_log1p(below))));
}

static ad_var log_slope(ad_var z, ad_var lambda)
{
    return ad_sum(ad_mul(ad_add_scalar(lambda, -1), ad_log1p(ad_abs(z))));
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var lambda = nf_param(at, "lambda");
    *log_det = log_slope(z, lambda);
    return ad_div(odd_power(z, lambda), lambda);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var lambda = nf_param(at, "lambda"), z = odd_power(ad_mul(lambda, x), ad_div(ad_scalar(x.tape, 1), lambda));
    *log_det = ad_neg(log_slope(z, lambda));
    return z;
}

static const nf_argument arguments[] = {
    {.name = "power", .kind = NF_NUMBER, .value = 1, .low = 0.1, .high = 10, .help = "what λ starts at"}, {0}};

static const nf_bijector_type modulus = {.name = "modulus",
                                         .help = "x = sign(z) ((1 + |z|)^λ - 1) / λ",
                                         .argument = arguments,
                                         .build = build,
                                         .forward = forward,
                                         .inverse = inverse};

static ad_status start(ad_error *error)
{
    return nf_register(&modulus, error);
}

WEIR_PLUGIN("modulus", "1.0", start)
