/* iaf: inverse autoregressive flow (Kingma et al. 2016), here as the inverse of maf: with μ_d and α_d from
 * z_(d+1) … z_D,
 *
 *     x_d = (z_d - μ_d) exp(-α_d),      log|det dx/dz| = -Σ α_d.
 *
 * Forward (sampling) is one pass; the inverse (density) goes feature by feature. */
#include "core/internal.h"
#include "networks/activation.h"
#include "networks/autoregressive.h"
#include "networks/made.h"
#include "networks/transformer.h"

#include <weir/bijector.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    return nf__autoregressive_declare(self, &nf__affine_transformer, error);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return nf__autoregressive_at_once(at, &nf__affine_transformer, z, true, log_det);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return nf__autoregressive_by_feature(at, &nf__affine_transformer, x, false, log_det);
}

static const nf_argument arguments[] = {NF_ACTIVATION_ARGUMENT, NF_BOUND_ARGUMENT, NF_GAIN_ARGUMENT, {0}};

const nf_bijector_type nf__type_iaf = {
    .name = "iaf",
    .help = "x_d = (z_d - mu_d) exp(-alpha_d), mu and alpha from z_(d+1) … z_D by a masked network",
    .argument = arguments,
    .positional = "hidden units",
    .sizes = (const size_t[]){64, 64, 0},
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
