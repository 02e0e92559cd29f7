/* maf: masked autoregressive flow (Papamakarios et al. 2017, eq. 3 and 4), from the last feature to the first: with μ_d
 * and α_d from x_(d+1) … x_D by a MADE,
 *
 *     x_d = μ_d + exp(α_d) z_d,      log|det dx/dz| = Σ α_d.
 *
 * So a chain that ends in a flip, as `(maf-flip)*K` does, has p(x_1) p(x_2 | x_1) … in the data's own order next to the
 * data. The inverse (density) is one pass; forward (sampling) goes feature by feature. The log-scale is bounded,
 * smoothly: α = b tanh(a / b), so that no step of training can blow it up. */
#include "activation.h"
#include "internal.h"
#include "made.h"

static nf_made made_of(const nf_bijector *self)
{
    return (nf_made){.dim = self->dim,
                     .outputs = 2,
                     .hidden = self->size,
                     .n_hidden = self->n_size,
                     .activation = (size_t)nf_argument_value(self, "activation")};
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_made made = made_of(self);
    return nf_made_declare(self, &made, error);
}

static ad_var bounded(const nf_bijector *self, ad_var a)
{
    double bound = nf_argument_value(self, "bound");
    return ad_mul_scalar(ad_tanh(ad_mul_scalar(a, 1 / bound)), bound);
}

/* The network, and what follows it, see the features in reverse. */
static ad_var inverse(const nf_bijector *self, ad_var x, ad_var *log_det)
{
    x = nf_reverse(x);
    nf_made made = made_of(self);
    ad_shape features = AD_SHAPE(self->dim);
    ad_var out = nf_made_all(self, &made, x); // (dim, 2)
    ad_var shift = ad_reshape(ad_slice(out, 1, 0, 1), features);
    ad_var log_scale = bounded(self, ad_reshape(ad_slice(out, 1, 1, 2), features));
    *log_det = ad_neg(ad_sum(log_scale));
    return nf_reverse(ad_mul(ad_sub(x, shift), ad_exp(ad_neg(log_scale))));
}

static ad_var forward(const nf_bijector *self, ad_var z, ad_var *log_det)
{
    z = nf_reverse(z);
    nf_made made = made_of(self);
    nf_made_state state = {0};
    ad_var x = {z.tape, -1}, total = ad_scalar(z.tape, 0);
    for (size_t d = 0; d < self->dim; d++) {
        ad_var out = nf_made_next(self, &made, &state, x, d); // (2)
        ad_var shift = ad_slice(out, 0, 0, 1), log_scale = bounded(self, ad_slice(out, 0, 1, 2));
        ad_var next = ad_add(ad_mul(ad_slice(z, 0, d, d + 1), ad_exp(log_scale)), shift);
        ad_var both[] = {x, next};
        x = d ? ad_concat(both, 2, 0) : next;
        total = ad_add(total, ad_sum(log_scale));
    }
    *log_det = total;
    return nf_reverse(x);
}

static const nf_argument arguments[] = {
    NF_ACTIVATION_ARGUMENT,
    {"bound", NF_NUMBER, 3, 1e-3, 50, NULL, "of the log-scale: |α| < bound"},
    {0},
};

const nf_bijector_type nf_type_maf = {
    .name = "maf",
    .help = "x_d = mu_d + exp(alpha_d) z_d, mu and alpha from x_(d+1) … x_D by a masked network",
    .argument = arguments,
    .positional = "hidden units",
    .sizes = (const size_t[]){64, 64, 0},
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
