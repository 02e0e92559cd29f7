/* resampled: learned rejection (Bauer & Mnih 2019, "Resampled priors for variational autoencoders", eq. 10; Stimper,
 * Schölkopf & Hernández-Lobato 2022, "Resampling base distributions of normalizing flows", eq. 6): a draw of N(0, I) is
 * accepted with the probability a(z), which a network learns; of `tries` draws the first that is, or else the last one.
 * With Z = E a(z) and α = (1 - Z)^{tries - 1}
 *
 *     log p(z) = log N(z; 0, I) + log((1 - α) a(z) / Z + α),      a = sigmoid(network), |network| < 30.
 *
 * So it can have several modes and holes, which no bijection of N(0, I) has. Z is the mean over a lattice of `points`
 * (Roberts 2018, "The unreasonable effectiveness of quasirandom sequences": multiples of powers of 1/φ, φ^{D+1} = φ +
 * 1, folded and taken through the normal quantile), a function of the network alone: log p has no noise, and is
 * normalised as well as the lattice integrates the network: to some 10⁻³ for D <= 3, 10⁻² for D = 10. The network
 * doesn't see a context.
 *
 * Starts near a = 1/2, N(0, I). Which draw is accepted has no gradient, so this is for fits to data, where log p is
 * differentiated. */
#include <weir/features.h>
#include <weir/memory.h>
#include <weir/networks.h>

#include <math.h>

enum { PROPOSAL_STREAM = 0, ACCEPTANCE_STREAM = 1 };

/* As nf_layer_declare() without a context. */
static ad_status declare_layer(nf_bijector *self, size_t l, size_t in, size_t out, double gain, ad_error *error)
{
    char weight[32], bias[32];
    snprintf(weight, sizeof weight, "weight%zu", l);
    snprintf(bias, sizeof bias, "bias%zu", l);
    const double bound = gain / sqrt((double)in);
    nf_parameter_spec spec = {.name = weight, .shape = AD_SHAPE(out, in), .init = NF_INIT_UNIFORM, .value = bound};
    ad_status status = nf_declare(self, &spec, error);
    if (status != AD_OK) return status;
    spec.name = bias;
    spec.shape = AD_SHAPE(out, 1);
    return nf_declare(self, &spec, error);
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t last = self->n_size;
    ad_status status = AD_OK;
    for (size_t l = 0; l <= last && status == AD_OK; l++)
        status = declare_layer(self, l, l ? self->size[l - 1] : self->dim, l < last ? self->size[l] : 1,
                               l < last ? 1 : 0.1, error);
    return status;
}

/* The network's outputs (n) of events in the columns of v (D, n). */
static ad_var network(const nf_scope *at, ad_var v)
{
    const double most = 30;
    const size_t last = at->self->n_size, n = ad_shape_of(v).dim[1];
    ad_var h = nf_network_input(v);
    for (size_t l = 0; l <= last; l++) {
        char bias[32];
        snprintf(bias, sizeof bias, "bias%zu", l);
        h = ad_add(ad_matmul(nf_layer_weight(at, l), h), nf_param(at, bias));
        if (l < last) h = nf_activate(nf_argument_choice(at->self, "activation"), h);
    }
    h = ad_reshape(h, AD_SHAPE(n));
    return ad_maximum(ad_minimum(h, ad_scalar(at->tape, most)), ad_scalar(at->tape, -most));
}

/* Standard normals (D, points), the same ones always. */
static ad_var lattice(const nf_scope *at)
{
    const size_t dim = at->self->dim, n = (size_t)nf_argument_value(at->self, "points");
    double *u = ad_alloc(dim, n * sizeof *u), phi = 2;
    if (!u) {
        ad_tape_fail(at->tape, AD_ERROR_MEMORY, "out of memory for %zu points", n);
        return (ad_var){at->tape, -1};
    }
    for (int k = 0; k < 64; k++) phi = pow(1 + phi, 1 / ((double)dim + 1));
    for (size_t d = 0; d < dim; d++)
        for (size_t i = 0; i < n; i++) {
            const double place = 0.5 + (double)(i + 1) * pow(phi, -(double)(d + 1));
            const double folded = 1 - fabs(2 * (place - floor(place)) - 1); /* so that both ends are alike */
            u[d * n + i] = fmin(fmax(folded, 1e-9), 1 - 1e-9);
        }
    ad_var points = ad_ndtri(ad_constant(at->tape, AD_SHAPE(dim, n), u));
    ad_free(u);
    return points;
}

/* log of the mean of sigmoid(x), x (n). */
static ad_var log_mean_sigmoid(ad_var x)
{
    const double n = (double)ad_shape_size(ad_shape_of(x));
    return ad_add_scalar(ad_logsumexp(ad_neg(ad_softplus(ad_neg(x)))), -log(n));
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    const double log_two_pi = 1.8378770664093454836, dim = (double)at->self->dim;
    const double tries = nf_argument_value(at->self, "tries");
    ad_var normal = ad_add_scalar(ad_mul_scalar(ad_sum(ad_square(z)), -0.5), -0.5 * dim * log_two_pi);
    ad_var on_lattice = network(at, lattice(at)), here = network(at, ad_reshape(z, AD_SHAPE(at->self->dim, 1)));
    ad_var log_z = log_mean_sigmoid(on_lattice);
    ad_var log_alpha = ad_mul_scalar(log_mean_sigmoid(ad_neg(on_lattice)), tries - 1);
    ad_var log_rest = ad_log(ad_neg(ad_expm1(log_alpha)));
    ad_var log_accept = ad_neg(ad_softplus(ad_neg(ad_reshape(here, AD_SCALAR))));
    ad_var accepted = ad_add(log_accept, ad_sub(log_rest, log_z));
    ad_var both[] = {ad_reshape(accepted, AD_SHAPE(1)), ad_reshape(ad_to_rows(log_alpha), AD_SHAPE(1))};
    return ad_add(normal, ad_logsumexp(ad_concat(both, 2, 0)));
}

static ad_var sample(const nf_scope *at)
{
    const size_t tries = (size_t)nf_argument_value(at->self, "tries");
    ad_var proposal = ad_normal(at->tape, AD_SHAPE(at->self->dim, tries), PROPOSAL_STREAM);
    ad_var u = ad_uniform(at->tape, AD_SHAPE(tries), ACCEPTANCE_STREAM);
    ad_var accepted = ad_greater(ad_sigmoid(network(at, proposal)), u); // (tries)
    ad_var parts[] = {ad_slice(accepted, 0, 0, tries - 1), ad_broadcast(ad_scalar(at->tape, 1), AD_SHAPE(1))};
    parts[1] = ad_to_rows(parts[1]);
    accepted = ad_concat(parts, 2, 0); /* the last one always */
    ad_var before = ad_sub(ad_cumsum(accepted, 0, false), accepted);
    ad_var first = ad_mul(accepted, ad_equal(before, ad_scalar(at->tape, 0)));
    return ad_matmul(proposal, first);
}

static const nf_argument arguments[] = {
    NF_ACTIVATION_ARGUMENT,
    {"tries", NF_COUNT, 20, 2, 1000, NULL, "draws of the normal, of which one is taken"},
    {"points", NF_COUNT, 4096, 16, 1048576, NULL, "that the acceptance is averaged over"},
    {0},
};

const nf_bijector_type nf__type_resampled = {
    .name = "resampled",
    .help = "N(0, I) whose draws are accepted with a learned probability",
    .argument = arguments,
    .positional = "hidden units",
    .sizes = (const size_t[]){32, 32, 0},
    .build = build,
    .log_prob = log_prob,
    .sample = sample,
};
