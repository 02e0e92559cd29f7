/* lu: x = P L U z (Kingma & Dhariwal 2018, "Glow", eq. 11): P a fixed permutation, random by its seed, L lower
 * triangular with 1 on its diagonal, U upper triangular with a positive diagonal. log|det J| = Σ log U_ii. The inverse
 * is two triangular solves.
 *
 * Parameters: lower = L; upper = Uᵀ, its diagonal softplus(ρ). At the start L = U = 1. */
#include <weir/bijector.h>
#include <weir/features.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    ad_shape square = AD_SHAPE(self->dim, self->dim);
    nf_parameter_spec lower = {.name = "lower", .shape = square, .constraint = NF_UNIT_LOWER_TRIANGULAR};
    nf_parameter_spec upper = {.name = "upper", .shape = square, .constraint = NF_LOWER_TRIANGULAR};
    ad_status status = nf_declare(self, &lower, error);
    return status == AD_OK ? nf_declare(self, &upper, error) : status;
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var upper = nf_param(at, "upper");
    *log_det = ad_sum(ad_log(nf_diagonal(upper)));
    ad_var product = ad_matmul(nf_param(at, "lower"), ad_transpose(upper));
    return nf_permute(ad_matmul(product, z), (uint64_t)nf_argument_value(at->self, "seed"), false);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var upper = nf_param(at, "upper");
    *log_det = ad_neg(ad_sum(ad_log(nf_diagonal(upper))));
    ad_var y = nf_permute(x, (uint64_t)nf_argument_value(at->self, "seed"), true);
    ad_var half = ad_solve_triangular(nf_param(at, "lower"), y, AD_LOWER | AD_UNIT_DIAGONAL);
    return ad_solve_triangular(ad_transpose(upper), half, AD_UPPER);
}

static const nf_argument arguments[] = {
    {"seed", NF_COUNT, 0, 0, 9007199254740992.0, NULL, "which permutation"},
    {0},
};

const nf_bijector_type nf__type_lu = {
    .name = "lu",
    .help = "x = P L U z, P a permutation, random by seed",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
