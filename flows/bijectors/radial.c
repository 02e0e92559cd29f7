/* radial: x = z_ref + q (z - z_ref), q = 1 + β / (α + r), r = ‖z - z_ref‖ (Rezende & Mohamed 2015, eq. 14), with
 * PyMC3's parameterisation α = eᵃ, β = s - α, s = softplus(b) > 0, which keeps it invertible. Then, without
 * differences,
 *
 *     q = (r + s) / (r + α),      log|det J| = (D-1) log q + log((r + α q) / (r + α)).
 *
 * Inverse: ρ = ‖x - z_ref‖ = q r makes r the positive root of r² - 2 p r - α ρ = 0, p = (ρ - s) / 2.
 *
 * Starts with z_ref_i ~ N(0, 1) and α = s = 1, the identity. (PyMC3 has a and b normal with standard deviation
 * `jitter`, and z_ref so about a sample.) */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec z_ref = {.name = "z_ref", .shape = AD_SHAPE(self->dim), .init = NF_INIT_NORMAL, .value = 1};
    nf_parameter_spec a = {.name = "a", .shape = AD_SCALAR};
    nf_parameter_spec b = {.name = "b", .shape = AD_SCALAR, .value = log(expm1(1))};
    ad_status status = nf_declare(self, &z_ref, error);
    if (status == AD_OK) status = nf_declare(self, &a, error);
    return status == AD_OK ? nf_declare(self, &b, error) : status;
}

/* v, but not infinite. */
static ad_var bounded(ad_var v)
{
    return ad_inside(v, -INFINITY, INFINITY);
}

/* ‖v‖, but 1e-15 at 0, where it has no gradient. */
static ad_var norm(ad_var v)
{
    ad_var scale, square = ad_sum(ad_square(nf_rescaled(v, &scale)));
    return bounded(ad_mul(ad_sqrt(ad_maximum(square, ad_scalar(v.tape, 1e-30))), scale));
}

/* √(p² + α ρ), as p √(1 + (α / p) (ρ / p)) where a square might overflow. */
static ad_var root_of(ad_var p, ad_var alpha, ad_var rho)
{
    ad_var one = ad_scalar(p.tape, 1), is_large = ad_greater(p, ad_scalar(p.tape, 1e15));
    ad_var large = ad_where(is_large, p, one), other = ad_where(is_large, one, p);
    ad_var ratio = ad_mul(ad_div(alpha, large), ad_div(rho, large));
    return ad_where(is_large, ad_mul(large, ad_sqrt(ad_add_scalar(ratio, 1))),
                    ad_sqrt(ad_add(ad_square(other), ad_mul(alpha, ad_where(is_large, one, rho)))));
}

/* q and log|det J| at r. */
static ad_var stretch(const nf_scope *at, ad_var r, ad_var *log_det)
{
    ad_var alpha = ad_exp(nf_param(at, "a")), s = ad_softplus(nf_param(at, "b")), sum = ad_add(r, alpha);
    ad_var q = ad_div(ad_add(r, s), sum);
    ad_var along = ad_log(ad_div(ad_add(r, ad_mul(alpha, q)), sum));
    *log_det = ad_add(ad_mul_scalar(ad_log(q), (double)at->self->dim - 1), along);
    return q;
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var z_ref = nf_param(at, "z_ref"), from = ad_sub(z, z_ref);
    return ad_add(z_ref, ad_mul(stretch(at, norm(from), log_det), from));
}

/* With t = √(p² + α ρ): r = p + t, and without cancellation α ρ / (t - p) where p <= 0. */
static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var z_ref = nf_param(at, "z_ref"), from = ad_sub(x, z_ref), rho = norm(from);
    ad_var alpha = ad_exp(nf_param(at, "a")), s = ad_softplus(nf_param(at, "b"));
    ad_var p = ad_mul_scalar(ad_sub(rho, s), 0.5), far = ad_greater(p, ad_scalar(x.tape, 0));
    ad_var t = root_of(p, alpha, rho), sum = bounded(ad_add(t, ad_where(far, p, ad_neg(p))));
    ad_var shrink = ad_where(far, ad_div(sum, ad_maximum(rho, s)), ad_div(alpha, sum));
    stretch(at, ad_mul(rho, shrink), log_det);
    *log_det = ad_neg(*log_det);
    return ad_add(z_ref, ad_mul(shrink, from));
}

const nf_bijector_type nf__type_radial = {
    .name = "radial",
    .help = "x = z + beta (z - z_ref) / (alpha + |z - z_ref|)",
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
