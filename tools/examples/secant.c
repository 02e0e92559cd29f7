/* secant.c: a plug-in that brings a base distribution, the hyperbolic secant one, independent in each feature:
 *
 *     log p(z) = -Σ_d log(2 cosh(π z_d / 2)) = -Σ_d |π z_d / 2| + log(1 + e^{-|π z_d|})
 *
 * which is how 2/π log tan(π u / 2) is distributed, u uniform.
 *
 *     cc -shared -fPIC secant.c $(pkg-config --cflags weir) -o secant.so
 *     weir --plugin ./secant.so fit moons.npy --flow 'secant:lu-loc' --epochs 4 -o moons.safetensors
 *     weir --plugin ./secant.so sample moons.safetensors -n 100 -o samples.csv */
#include <weir/models.h>

static const double half_pi = 1.57079632679489661923;

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    (void)at;
    ad_var size = ad_mul_scalar(ad_abs(z), half_pi);
    return ad_neg(ad_sum(ad_add(size, ad_softplus(ad_mul_scalar(size, -2)))));
}

static ad_var sample(const nf_scope *at)
{
    ad_var angle = ad_mul_scalar(ad_uniform(at->tape, AD_SHAPE(at->self->dim), 0), half_pi);
    return ad_mul_scalar(ad_sub(ad_log(ad_sin(angle)), ad_log(ad_cos(angle))), 1 / half_pi);
}

static const nf_bijector_type secant = {
    .name = "secant", .help = "independent, log p(z) = -log 2 cosh(pi z / 2)", .log_prob = log_prob, .sample = sample};

static ad_status start(ad_error *error)
{
    return nf_register(&secant, error);
}

WEIR_PLUGIN("secant", "1.0", start)
