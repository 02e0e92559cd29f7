/* Autoregressive flows, from the last feature to the first: a masked network (MADE) computes the parameters of feature
 * d's transformer from features d+1 … D, and from the context. So a chain that ends in a flip, as `(maf-flip)*K` does,
 * has p(x_1) p(x_2 | x_1) … in the data's own order next to the data. log|det J| is the sum of the transformer's
 * log-derivatives.
 *
 * The network sees x: the inverse (density) is one pass; forward (sampling) goes feature by feature, at about the price
 * of one pass. Of iaf the network sees z, and it is the other way round. */

#include <weir/features.h>
#include <weir/memory.h>
#include <weir/networks.h>
#include <weir/transformer.h>

static nf_made made_of(const nf_bijector *self, const nf_choice *transformer)
{
    nf_made made = nf_made_of(self, ((const nf_transformer_type *)transformer->descriptor)->parameters(transformer));
    made.numbers = nf_transformer_sees(transformer);
    return made;
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    const nf_choice transformer = nf_transformer_of(self);
    const nf_made made = made_of(self, &transformer);
    return nf_made_declare(self, &made, error);
}

/* `inverse` is the transformer's direction, and the network sees what comes in. It, and what follows it, see the
 * features in reverse. */
static ad_var at_once(const nf_scope *at, ad_var v, bool inverse, ad_var *log_det)
{
    const nf_choice transformer = nf_transformer_of(at->self);
    const nf_made made = made_of(at->self, &transformer);
    v = nf_reverse(v);
    ad_var parameters = ad_transpose(nf_made_all(at, &made, nf_transformer_seen(&transformer, v))), log_derivative;
    v = nf_apply_transformer(&transformer, inverse, v, parameters, &log_derivative);
    *log_det = ad_sum(log_derivative);
    return nf_reverse(v);
}

/* The network sees what comes out. */
static ad_var by_feature(const nf_scope *at, ad_var v, bool inverse, ad_var *log_det)
{
    const nf_choice transformer = nf_transformer_of(at->self);
    const nf_made made = made_of(at->self, &transformer);
    nf_made_state state = {0};
    v = nf_reverse(v);
    ad_var known = {v.tape, -1}, seen = known, *log_derivative = ad_alloc(made.dim, sizeof *log_derivative);
    if (!log_derivative) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for %zu features", made.dim);
        return known;
    }
    for (size_t d = 0; d < made.dim; d++) {
        ad_var parameters = ad_reshape(nf_made_next(at, &made, &state, seen, d), AD_SHAPE(made.outputs, 1));
        ad_var next =
            nf_apply_transformer(&transformer, inverse, ad_slice(v, 0, d, d + 1), parameters, &log_derivative[d]);
        ad_var next_seen = nf_transformer_seen(&transformer, next);
        known = d ? ad_concat((ad_var[]){known, next}, 2, 0) : next;
        seen = d ? ad_concat((ad_var[]){seen, next_seen}, 2, 0) : next_seen;
    }
    *log_det = ad_sum(ad_concat(log_derivative, (int)made.dim, 0));
    ad_free(log_derivative);
    return nf_reverse(known);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return by_feature(at, z, false, log_det);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return at_once(at, x, true, log_det);
}

static ad_var iaf_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return at_once(at, z, true, log_det);
}

static ad_var iaf_inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return by_feature(at, x, false, log_det);
}

/* ---- The type, and short names of some ------------------------------------------------------------------------- */

#define AUTOREGRESSIVE(own_name, own_help, fixed, own_forward, own_inverse, ...)                                       \
    {                                                                                                                  \
        .name = own_name, .help = own_help,                                                                            \
        .argument = (const nf_argument[]){NF_ACTIVATION_ARGUMENT, __VA_ARGS__, NF_GAIN_ARGUMENT, {0}},                 \
        .positional = "hidden units", .sizes = (const size_t[]){64, 64, 0}, .build = build, .forward = own_forward,    \
        .inverse = own_inverse, .data = fixed                                                                          \
    }

const nf_bijector_type nf__type_autoregressive =
    AUTOREGRESSIVE("autoregressive", "x_d = transformer(z_d), its parameters from x_(d+1) … x_D by a masked network",
                   NULL, forward, inverse, NF_TRANSFORMER_ARGUMENT);

/* x_d = μ_d + exp(α_d) z_d (Papamakarios et al. 2017, eq. 3 and 4). */
const nf_bijector_type nf__type_maf =
    AUTOREGRESSIVE("maf", "x_d = mu_d + exp(alpha_d) z_d, mu and alpha from x_(d+1) … x_D by a masked network",
                   &nf_transformer_affine, forward, inverse, NF_AFFINE_ARGUMENTS);

/* The inverse of maf (Kingma et al. 2016). */
const nf_bijector_type nf__type_iaf =
    AUTOREGRESSIVE("iaf", "x_d = (z_d - mu_d) exp(-alpha_d), mu and alpha from z_(d+1) … z_D by a masked network",
                   &nf_transformer_affine, iaf_forward, iaf_inverse, NF_AFFINE_ARGUMENTS);

/* z_d = spline(x_d) (Durkan et al. 2019, section 3.2). */
const nf_bijector_type nf__type_rqsar = AUTOREGRESSIVE(
    "rqsar", "z_d = spline(x_d), a rational-quadratic one from x_(d+1) … x_D by a masked network",
    &nf_transformer_rational_quadratic, forward, inverse, NF_RATIONAL_QUADRATIC_ARGUMENTS, NF_SLOPE_ARGUMENT);
