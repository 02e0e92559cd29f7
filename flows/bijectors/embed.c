/* embed: leaves events as they are, and the context of all terms that follow it in the formula is, in the place of c,
 *
 *     h_L,     h_0 = c,    h_(l+1) = a(W_l h_l + b_l)
 *
 * with an activation a, of as many numbers as the last layer has units (the summary network of Radev et al. 2022,
 * "BayesFlow: learning complex stochastic models with invertible neural networks", section 2; the embedding nets of
 * Lueckmann et al. 2017). One network that all share sees a long context once, where each term's own would see it anew.
 * Without a context there is nothing to embed. */
#include <weir/networks.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    ad_status status = AD_OK;
    for (size_t l = 0; l < self->n_size && self->context && status == AD_OK; l++)
        status = nf_layer_declare(self, l, l ? self->size[l - 1] : 0, self->size[l], 1, error);
    return status;
}

static size_t embedded(const nf_bijector *self)
{
    return self->size[self->n_size - 1];
}

static ad_var embed(const nf_scope *at)
{
    const nf_choice *activation = nf_argument_choice(at->self, "activation");
    ad_var h = nf_activate(activation, nf_layer_bias(at, 0));
    for (size_t l = 1; l < at->self->n_size; l++)
        h = nf_activate(activation, ad_add(ad_matmul(nf_layer_weight(at, l), h), nf_layer_bias(at, l)));
    return h;
}

static ad_var either(const nf_scope *at, ad_var v, ad_var *log_det)
{
    (void)at;
    *log_det = ad_scalar(v.tape, 0);
    return v;
}

const nf_bijector_type nf__type_embed = {
    .name = "embed",
    .help = "x = z; terms that follow see the context through a network that they share",
    .argument = (const nf_argument[]){NF_ACTIVATION_ARGUMENT, {0}},
    .positional = "units of each layer",
    .sizes = (const size_t[]){64, 64, 0},
    .build = build,
    .forward = either,
    .inverse = either,
    .embedded = embedded,
    .embed = embed,
};
