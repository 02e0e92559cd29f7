/* invert(f): x = f⁻¹(z). */
#include "core/internal.h"

nf_bijector *nf_invert(nf_bijector *child, ad_error *error)
{
    return nf__bijector_with_children(&nf__type_invert, &child, 1, error);
}

static ad_var invert_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return nf_inverse(&at->child[0], z, log_det);
}

static ad_var invert_inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return nf_forward(&at->child[0], x, log_det);
}

const nf_bijector_type nf__type_invert = {
    .name = "invert",
    .help = "x = f⁻¹(z)",
    .forward = invert_forward,
    .inverse = invert_inverse,
    .circular = true, /* where what it is made of is */
};
