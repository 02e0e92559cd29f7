/* qr: x = Q R z (Hoogeboom et al. 2019, "Emerging convolutions for generative normalizing flows", section 3.2; QRLinear
 * in nflows): Q orthogonal, a product of D Householder reflections, or of D + 1 if D is odd, and R upper triangular
 * with a positive diagonal. log|det J| = Σ log R_ii. The inverse is Qᵀ and a triangular solve, as exact as R is well
 * conditioned.
 *
 * Parameters: v, as in nf_near_reflections(); upper = Rᵀ, its diagonal softplus(ρ). At the start Q = R = 1. */
#include <weir/bijector.h>
#include <weir/features.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t n = self->dim;
    nf_parameter_spec v = {.name = "v", .shape = AD_SHAPE(n + n % 2, n)};
    nf_parameter_spec upper = {.name = "upper", .shape = AD_SHAPE(n, n), .constraint = NF_LOWER_TRIANGULAR};
    ad_status status = nf_declare(self, &v, error);
    return status == AD_OK ? nf_declare(self, &upper, error) : status;
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var upper = nf_param(at, "upper"), q = nf_near_reflections(nf_param(at, "v"));
    *log_det = ad_sum(ad_log(nf_diagonal(upper)));
    return ad_matmul(q, ad_matmul(ad_transpose(upper), z));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var upper = nf_param(at, "upper"), q = nf_near_reflections(nf_param(at, "v"));
    *log_det = ad_neg(ad_sum(ad_log(nf_diagonal(upper))));
    return ad_solve_triangular(ad_transpose(upper), ad_matmul(ad_transpose(q), x), AD_UPPER);
}

const nf_bijector_type nf__type_qr = {
    .name = "qr",
    .help = "x = Q R z, Q a product of reflections, R upper triangular with a positive diagonal",
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
