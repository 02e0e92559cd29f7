/* cnf: x = z(1) of dz/dt = f(t, z, context) from z(0) = z, with a network f (Chen et al. 2018, "Neural ordinary
 * differential equations", section 4; Grathwohl et al. 2019, FFJORD, eq. 2 to 4):
 *
 *     log|det J| = ∫ tr(∂f/∂z) dt,       f = W_n a(… a(W_0 z + w t + C c + b_0) …) + b_n.
 *
 * The trace is exact: of one or two layers of hidden units, whose slopes are s_0 and s_1, it is
 *
 *     Σ_j s_0j (W_1 W_0)_jj  over what is between,    or    s_1ᵀ (W_1 ∘ (W_0 W_2)ᵀ) s_0,
 *
 * which costs as much as another layer whatever D is; of more it is had from D gradients. Or it is Hutchinson's
 * estimate, for many features. The last layer begins at a tenth of the others' size, near the identity. */
#include <weir/continuous.h>
#include <weir/networks.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t last = self->n_size;
    const double gain = nf_argument_value(self, "gain");
    ad_status status = nf_declare(
        self,
        &(nf_parameter_spec){.name = "time", .shape = AD_SHAPE(self->size[0]), .init = NF_INIT_UNIFORM, .value = gain},
        error);
    for (size_t layer = 0; layer <= last && status == AD_OK; layer++)
        status = nf_layer_declare(self, layer, layer ? self->size[layer - 1] : self->dim,
                                  layer == last ? self->dim : self->size[layer],
                                  layer == last ? 0.1
                                  : layer       ? 1
                                                : gain,
                                  error);
    return status;
}

/* a's slope at what it was applied to. */
static ad_var slope_of(ad_var unit, ad_var before)
{
    return ad_grad1(ad_sum(unit), before);
}

static ad_var velocity(const nf_scope *at, ad_var t, ad_var z, ad_var *divergence)
{
    const nf_choice *activation = nf_argument_choice(at->self, "activation");
    const size_t last = at->self->n_size;
    ad_var h = ad_add(ad_matmul(nf_layer_weight(at, 0), nf_network_input(z)), nf_layer_bias(at, 0)), slope[2];
    h = ad_add(h, ad_mul(nf_param(at, "time"), t));
    for (size_t layer = 1; layer <= last; layer++) {
        ad_var unit = nf_activate(activation, h);
        if (layer <= 2) slope[layer - 1] = slope_of(unit, h);
        h = ad_add(ad_matmul(nf_layer_weight(at, layer), unit), nf_layer_bias(at, layer));
    }
    /* Around the circle: what the first and last layers make of each other. */
    ad_var around = ad_matmul(nf_layer_weight(at, 0), nf_layer_weight(at, last));
    if (last == 1) *divergence = ad_sum(ad_mul(slope[0], ad_diagonal(around)));
    if (last == 2) {
        ad_var through = ad_mul(nf_layer_weight(at, 1), ad_transpose(around));
        *divergence = ad_sum(ad_mul(slope[1], ad_matmul(through, slope[0])));
    }
    return h;
}

static ad_var integrate(const nf_scope *at, bool inverse, ad_var v, ad_var *log_det)
{
    const nf_integrate_options options = {
        .solver = {.rtol = nf_argument_value(at->self, "rtol"), .atol = nf_argument_value(at->self, "atol")},
        .estimates = nf_argument_value(at->self, "trace") != 0};
    return nf_integrate(at, inverse, v, &options, log_det);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return integrate(at, false, z, log_det);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return integrate(at, true, x, log_det);
}

static const nf_argument arguments[] = {
    NF_ACTIVATION_ARGUMENT,
    NF_GAIN_ARGUMENT,
    {"trace", NF_CHOICE, 0, 0, 0, "exact|estimate", "the divergence, or Hutchinson's estimate of it"},
    {"rtol", NF_NUMBER, 0, 0, 0.1, NULL, "the solver's relative tolerance; 0: 1e-5 in float32, 1e-12 in float64"},
    {"atol", NF_NUMBER, 0, 0, 1e6, NULL, "the absolute one; 0: as rtol"},
    {0},
};

const nf_bijector_type nf__type_cnf = {
    .name = "cnf",
    .help = "x = z(1) of dz/dt = network(t, z, context), z(0) = z; log|det J| = integral of its divergence",
    .argument = arguments,
    .positional = "hidden units",
    .sizes = (const size_t[]){64, 64, 0},
    .build = build,
    .forward = forward,
    .inverse = inverse,
    .velocity = velocity,
};
