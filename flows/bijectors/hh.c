/* hh: Householder reflection x = z - 2 v (vᵀz) / ‖v‖² (Tomczak & Welling 2016, eq. 8), its own inverse; log|det J| = 0.
 * Any orthogonal matrix is the product of at most D of them. v = 0 reflects nothing: the identity.
 *
 * v_i ~ N(0, 1) at the start: a direction with no preference, and no particular length. */
#include <weir/bijector.h>
#include <weir/features.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec v = {.name = "v", .shape = AD_SHAPE(self->dim), .init = NF_INIT_NORMAL, .value = 1};
    return nf_declare(self, &v, error);
}

static ad_var either(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var scale, v = nf_rescaled(nf_param(at, "v"), &scale); /* only its direction matters */
    ad_var square = ad_maximum(ad_sum(ad_square(v)), ad_scalar(z.tape, 1e-30));
    *log_det = ad_scalar(z.tape, 0);
    return ad_sub(z, ad_mul(ad_div(ad_mul_scalar(v, 2), square), ad_sum(ad_mul(v, z))));
}

const nf_bijector_type nf__type_hh = {
    .name = "hh",
    .help = "x = z - 2 v (v'z) / |v|^2, a reflection",
    .build = build,
    .forward = either,
    .inverse = either,
};
