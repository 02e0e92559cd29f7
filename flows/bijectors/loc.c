/* loc: x = z + μ, log|det J| = 0. Starts at μ = 0. */
#include <weir/bijector.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    return nf_declare(self, &(nf_parameter_spec){.name = "loc", .shape = AD_SHAPE(self->dim)}, error);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    *log_det = ad_scalar(z.tape, 0);
    return ad_add(z, nf_param(at, "loc"));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    *log_det = ad_scalar(x.tape, 0);
    return ad_sub(x, nf_param(at, "loc"));
}

const nf_bijector_type nf__type_loc = {
    .name = "loc",
    .help = "x = z + loc",
    .build = build,
    .forward = forward,
    .inverse = inverse,
    .circular = true,
};
