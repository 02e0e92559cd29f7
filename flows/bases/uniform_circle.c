/* uniform_circle: angles of which each is as likely: log p(z) = -D log 2π of any z, by a turn. Draws are from -π to π.
 */
#include <weir/bijector.h>

static const double pi = 3.14159265358979323846, log_two_pi = 1.83787706640934548356;

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    ad_var nothing = ad_mul_scalar(ad_sum(ad_inside(z, -1, 1)), 0); /* but of a NaN */
    return ad_add_scalar(nothing, -(double)at->self->dim * log_two_pi);
}

static ad_var sample(const nf_scope *at)
{
    ad_var u = ad_uniform(at->tape, AD_SHAPE(at->self->dim), 0);
    return ad_mul_scalar(ad_add_scalar(ad_mul_scalar(u, 2), -1), pi);
}

const nf_bijector_type nf__type_uniform_circle = {
    .name = "uniform_circle",
    .help = "uniform on the circle in each feature, an angle",
    .log_prob = log_prob,
    .sample = sample,
    .circular = true,
};
