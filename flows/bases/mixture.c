/* mixture: of K diagonal normals, all learned,
 *
 *     log p(z) = log Σ_k w_k N(z; loc_k, diag(scale_k²)),      w = softmax(logit).
 *
 * Starts with equal weights, scales of 1 and locations drawn from N(0, I). A draw's component is chosen by a uniform
 * number: its gradient with respect to the weights is zero, so a mixture is for fits to data, where log p is
 * differentiated, and for reading from. */
#include <weir/bijector.h>

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

static ad_var log_weights(const nf_scope *at)
{
    ad_var logit = nf_param(at, "logit");
    return ad_sub(logit, ad_logsumexp(logit));
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    const double log_two_pi = 1.8378770664093454836;
    ad_var scale = nf_param(at, "scale"), u = ad_div(ad_sub(z, nf_param(at, "loc")), scale);       // (K, dim)
    ad_var each = ad_neg(ad_sum_axis(ad_add(ad_mul_scalar(ad_square(u), 0.5), ad_log(scale)), 1)); // (K)
    return ad_add_scalar(ad_logsumexp(ad_add(each, log_weights(at))), -0.5 * (double)at->self->dim * log_two_pi);
}

/* v (k) between zeros: `before` of them, and as many after as make k+1. */
static ad_var padded(ad_var v, size_t before, size_t k)
{
    size_t *place = ad_alloc(k, sizeof *place);
    ad_var y = {v.tape, -1};
    if (!place) ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for a mixture of %zu", k);
    for (size_t i = 0; place && i < k; i++) place[i] = before + i;
    if (place) y = ad_scatter(v, place, k, k + 1);
    ad_free(place);
    return y;
}

/* One for the component between whose cumulative weights u falls, zero for the others. */
static ad_var sample(const nf_scope *at)
{
    size_t k = components(at->self);
    ad_var u = ad_uniform(at->tape, AD_SCALAR, 1), upper = ad_cumsum(ad_exp(log_weights(at)), 0, false); // (K)
    ad_var lower = ad_slice(padded(upper, 1, k), 0, 0, k),
           above = padded(ad_greater_equal(u, lower), 0, k);                        // 1 … 1 0 … 0
    ad_var chosen = ad_sub(ad_slice(above, 0, 0, k), ad_slice(above, 0, 1, k + 1)); // (K)
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
