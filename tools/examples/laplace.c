/* laplace.c: a plug-in that brings a base distribution, Laplace's, independent in each feature:
 *
 *     log p(z) = -Σ_d |z_d| - D log 2
 *
 * which is how the difference of two exponential variates, log u - log v with u and v uniform, is distributed.
 *
 *     cc -shared -fPIC laplace.c $(pkg-config --cflags weir) -o laplace.so
 *     weir --plugin ./laplace.so fit moons.npy --flow 'laplace:lu-loc' --epochs 4 -o moons.safetensors
 *     weir --plugin ./laplace.so sample moons.safetensors -n 100 -o samples.csv */
#include <math.h>
#include <weir/models.h>

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    return ad_add_scalar(ad_neg(ad_sum(ad_abs(z))), -(double)at->self->dim * log(2));
}

static ad_var sample(const nf_scope *at)
{
    ad_shape shape = AD_SHAPE(at->self->dim);
    return ad_sub(ad_log(ad_uniform(at->tape, shape, 0)), ad_log(ad_uniform(at->tape, shape, 1)));
}

static const nf_bijector_type laplace = {
    .name = "laplace", .help = "independent, log p(z) = -|z| - log 2", .log_prob = log_prob, .sample = sample};

static ad_status start(ad_error *error)
{
    return nf_register(&laplace, error);
}

WEIR_PLUGIN("laplace", "1.0", start)
