/* mixture: of K diagonal normals, all learned,
 *
 *     log p(z) = log Σ_k w_k N(z; loc_k, diag(scale_k²)),      w = softmax(logit).
 *
 * Starts with equal weights, scales of 1 and locations drawn from N(0, I). A draw's component is chosen by a uniform
 * number: its gradient with respect to the weights is zero, so a mixture is for fits to data, where log p is
 * differentiated, and for reading from. */
#include <weir/bijector.h>
#include <weir/features.h>

static size_t components(const nf_bijector *self)
{
    return (size_t)nf_argument_value(self, "components");
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    ad_shape shape = AD_SHAPE(components(self), self->dim);
    nf_parameter_spec logit = {.name = "logit", .shape = AD_SHAPE(components(self))};
    nf_parameter_spec loc = {.name = "loc", .shape = shape, .init = NF_INIT_NORMAL, .value = 1};
    nf_parameter_spec scale = {.name = "scale", .shape = shape, .value = 1, .constraint = NF_POSITIVE};
    ad_status status = nf_declare(self, &logit, error);
    if (status == AD_OK) status = nf_declare(self, &loc, error);
    return status == AD_OK ? nf_declare(self, &scale, error) : status;
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    const double log_two_pi = 1.8378770664093454836;
    ad_var scale = nf_param(at, "scale"), u = ad_div(ad_sub(z, nf_param(at, "loc")), scale);       // (K, dim)
    ad_var each = ad_neg(ad_sum_axis(ad_add(ad_mul_scalar(ad_square(u), 0.5), ad_log(scale)), 1)); // (K)
    return ad_add_scalar(ad_logsumexp(ad_add(each, nf_log_softmax(nf_param(at, "logit")))),
                         -0.5 * (double)at->self->dim * log_two_pi);
}

static ad_var sample(const nf_scope *at)
{
    ad_var chosen = nf_draw_one(nf_log_softmax(nf_param(at, "logit")), 1); // (K)
    ad_var loc = ad_matmul(ad_transpose(nf_param(at, "loc")), chosen);
    ad_var scale = ad_matmul(ad_transpose(nf_param(at, "scale")), chosen);
    return ad_add(loc, ad_mul(scale, ad_normal(at->tape, AD_SHAPE(at->self->dim), 0)));
}

static const nf_argument arguments[] = {
    {"components", NF_COUNT, 8, 1, 4096, NULL, "how many normals"},
    {0},
};

const nf_bijector_type nf__type_mixture = {
    .name = "mixture",
    .help = "of learned diagonal normals",
    .argument = arguments,
    .build = build,
    .log_prob = log_prob,
    .sample = sample,
};
