/* rqs: coupling of rational-quadratic splines (Durkan et al. 2019, section 3.2), which are computed from the seen
 * features, which stay:
 *
 *     z = spline(x),      log|det dz/dx| = Σ log dz_d/dx_d. */
#include "core/internal.h"
#include "networks/activation.h"
#include "networks/conditioner.h"
#include "networks/coupling.h"
#include "networks/transformer.h"

#include <weir/bijector.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    return nf__coupling_declare(self, &nf__spline_transformer, error);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return nf__coupling_map(at, &nf__spline_transformer, z, false, log_det);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return nf__coupling_map(at, &nf__spline_transformer, x, true, log_det);
}

static const nf_argument arguments[] = {
    NF_ACTIVATION_ARGUMENT, NF_SPLINE_ARGUMENTS, NF_NETWORK_ARGUMENT, NF_MASK_ARGUMENTS, {0}};

const nf_bijector_type nf__type_rqs = {
    .name = "rqs",
    .help = "some features stay; the others: z = spline(x), a rational-quadratic one from those that stay",
    .argument = arguments,
    .positional = "hidden units",
    .sizes = (const size_t[]){64, 64, 0},
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
