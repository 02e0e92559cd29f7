/* realnvp: affine coupling (Dinh et al. 2017, eq. 7 and 8), with μ and α from the seen features, which stay:
 *
 *     x = μ + exp(α) z,      log|det dx/dz| = Σ α. */
#include "core/internal.h"
#include "networks/activation.h"
#include "networks/conditioner.h"
#include "networks/coupling.h"
#include "networks/transformer.h"

#include <weir/bijector.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    return nf__coupling_declare(self, &nf__affine_transformer, error);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return nf__coupling_map(at, &nf__affine_transformer, z, false, log_det);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return nf__coupling_map(at, &nf__affine_transformer, x, true, log_det);
}

static const nf_argument arguments[] = {
    NF_ACTIVATION_ARGUMENT, NF_BOUND_ARGUMENT, NF_NETWORK_ARGUMENT, NF_MASK_ARGUMENTS, {0}};

const nf_bijector_type nf__type_realnvp = {
    .name = "realnvp",
    .help = "some features stay; the others: x = mu + exp(alpha) z, mu and alpha from those that stay",
    .argument = arguments,
    .positional = "hidden units",
    .sizes = (const size_t[]){64, 64, 0},
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
