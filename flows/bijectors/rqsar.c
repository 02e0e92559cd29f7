/* rqsar: autoregressive flow of rational-quadratic splines (Durkan et al. 2019, section 3.2), with the spline of
 * feature d from x_(d+1) … x_D:
 *
 *     z_d = spline(x_d),      log|det dz/dx| = Σ log dz_d/dx_d.
 *
 * The inverse (density) is one pass; forward (sampling) goes feature by feature. */
#include "core/internal.h"
#include "networks/activation.h"
#include "networks/autoregressive.h"
#include "networks/made.h"
#include "networks/transformer.h"

#include <weir/bijector.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    return nf__autoregressive_declare(self, &nf__spline_transformer, error);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return nf__autoregressive_by_feature(at, &nf__spline_transformer, z, false, log_det);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return nf__autoregressive_at_once(at, &nf__spline_transformer, x, true, log_det);
}

static const nf_argument arguments[] = {NF_ACTIVATION_ARGUMENT, NF_SPLINE_ARGUMENTS, NF_GAIN_ARGUMENT, {0}};

const nf_bijector_type nf__type_rqsar = {
    .name = "rqsar",
    .help = "z_d = spline(x_d), a rational-quadratic one from x_(d+1) … x_D by a masked network",
    .argument = arguments,
    .positional = "hidden units",
    .sizes = (const size_t[]){64, 64, 0},
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
