/* affine: x = A z + μ, A = L + V Vᵀ (TensorFlow Probability's Affine with scale_tril and scale_perturb_factor, as in
 * ProbFlow's chains), L lower triangular, or diagonal, with a positive diagonal, V (D, rank): rank 0 with a triangular
 * L is an autoregressive affine map, with a diagonal one an elementwise.
 *
 * With W = L⁻¹ V and the capacitance C = 1 + Vᵀ W, (rank, rank):
 *
 *     log|det A| = log|det L| + log|det C|                             (the determinant lemma)
 *     A⁻¹ y = u - W C⁻¹ Vᵀ u,  u = L⁻¹ y                               (Woodbury)
 *
 * A diagonal L makes A positive definite. With a triangular one det A is 0 on a surface in the space of parameters,
 * which maximum likelihood keeps away from: log|det A| is -inf there.
 *
 * Starts at L = 1, μ = 0, and V_ij ~ N(0, 0.1²): at V = 0 its gradient is 0. More than D columns of V add nothing, so
 * no more are made. */
#include "internal.h"

enum { TRIANGULAR, DIAGONAL };

static bool is_diagonal(const nf_bijector *self)
{
    return nf_argument_value(self, "form") == DIAGONAL;
}

static size_t rank_of(const nf_bijector *self)
{
    size_t rank = (size_t)nf_argument_value(self, "rank");
    return rank < self->dim ? rank : self->dim;
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    nf_parameter_spec l = {.name = "l", .value = 1, .constraint = NF_POSITIVE, .shape = AD_SHAPE(self->dim)};
    if (!is_diagonal(self))
        l = (nf_parameter_spec){
            .name = "l", .constraint = NF_LOWER_TRIANGULAR, .shape = AD_SHAPE(self->dim, self->dim)};
    ad_status status = nf_declare(self, &l, error);
    if (status == AD_OK && rank_of(self) > 0) {
        nf_parameter_spec v = {
            .name = "v", .shape = AD_SHAPE(self->dim, rank_of(self)), .init = NF_INIT_NORMAL, .value = 0.1};
        status = nf_declare(self, &v, error);
    }
    nf_parameter_spec shift = {.name = "shift", .shape = AD_SHAPE(self->dim)};
    return status == AD_OK ? nf_declare(self, &shift, error) : status;
}

/* L⁻¹ b, b (D) or (D, n). */
static ad_var solve_l(const nf_bijector *self, ad_var l, ad_var b)
{
    if (!is_diagonal(self)) return ad_solve_triangular(l, b, AD_LOWER);
    return ad_div(b, ad_shape_of(b).rank == 2 ? ad_reshape(l, AD_SHAPE(self->dim, 1)) : l);
}

static ad_var log_det_l(const nf_bijector *self, ad_var l)
{
    return ad_sum(ad_log(is_diagonal(self) ? l : nf_diagonal(l)));
}

/* V, W and C; false at rank 0. */
typedef struct {
    ad_var v, w, c;
} update;

static bool update_of(const nf_bijector *self, ad_var l, update *u)
{
    size_t rank = rank_of(self);
    if (rank == 0) return false;
    u->v = nf_param(self, "v");
    u->w = solve_l(self, l, u->v);
    u->c = ad_add(ad_matmul(ad_transpose(u->v), u->w), nf_identity(l.tape, rank));
    return true;
}

static ad_var forward(const nf_bijector *self, ad_var z, ad_var *log_det)
{
    update u;
    ad_var l = nf_param(self, "l"), x = is_diagonal(self) ? ad_mul(l, z) : ad_matmul(l, z);
    *log_det = log_det_l(self, l);
    if (update_of(self, l, &u)) {
        x = ad_add(x, ad_matmul(u.v, ad_matmul(ad_transpose(u.v), z)));
        *log_det = ad_add(*log_det, ad_log_abs_det(u.c));
    }
    return ad_add(x, nf_param(self, "shift"));
}

static ad_var inverse(const nf_bijector *self, ad_var x, ad_var *log_det)
{
    update u;
    ad_var l = nf_param(self, "l"), z = solve_l(self, l, ad_sub(x, nf_param(self, "shift")));
    *log_det = ad_neg(log_det_l(self, l));
    if (update_of(self, l, &u)) {
        z = ad_sub(z, ad_matmul(u.w, ad_solve(u.c, ad_matmul(ad_transpose(u.v), z))));
        *log_det = ad_sub(*log_det, ad_log_abs_det(u.c));
    }
    return z;
}

static const nf_argument arguments[] = {
    {"rank", NF_COUNT, 2, 0, 65536, NULL, "columns of V"},
    {"form", NF_CHOICE, TRIANGULAR, 0, 0, "triangular|diagonal", "of L"},
    {0},
};

const nf_bijector_type nf_type_affine = {
    .name = "affine",
    .help = "x = (L + V V') z + shift, L triangular with a positive diagonal",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
