/* affine: x = A z + μ, A = L + V Vᵀ (TensorFlow Probability's Affine with scale_tril and scale_perturb_factor, as in
 * ProbFlow's chains), L lower triangular, or diagonal, with a positive diagonal, V (D, rank): rank 0 with a triangular
 * L is an autoregressive affine map, with a diagonal one an elementwise.
 *
 * With W = L⁻¹ V and the capacitance C = 1 + Vᵀ W, (rank, rank):
 *
 *     log|det A| = log|det L| + log|det C|                             (the determinant lemma)
 *     A⁻¹ y = u - W C⁻¹ Vᵀ u,  u = L⁻¹ y                               (Woodbury)
 *
 * which loses digits where L is nearly singular and A isn't, as a triangular L of many features easily is: L⁻¹ grows
 * like a power of D. So that is for a diagonal L of more than 64 features; else A itself is factorised (LU with
 * pivoting), which for D <= 64 costs no more than the products of a tile's rows.
 *
 * A diagonal L makes A positive definite. With a triangular one det A is 0 on a surface in the space of parameters,
 * which maximum likelihood keeps away from: log|det A| is -inf there.
 *
 * Starts at diag L = 1, and V_ij, L_ij below the diagonal and μ_i ~ N(0, 0.1²), near the identity: at V = 0 its
 * gradient is 0. Of D > 64 features V and L are N(0, 0.64 / D), lest A begin nearly singular. More than D columns of V
 * add nothing, so no more are made. */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

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
    const double spread = 0.1, inside = self->dim > 64 ? spread * 8 / sqrt((double)self->dim) : spread;
    nf_parameter_spec l = {.name = "l", .value = 1, .constraint = NF_POSITIVE, .shape = AD_SHAPE(self->dim)};
    if (!is_diagonal(self))
        l = (nf_parameter_spec){.name = "l",
                                .constraint = NF_LOWER_TRIANGULAR,
                                .shape = AD_SHAPE(self->dim, self->dim),
                                .init = NF_INIT_NORMAL,
                                .value = inside};
    ad_status status = nf_declare(self, &l, error);
    if (status == AD_OK && rank_of(self) > 0) {
        nf_parameter_spec v = {
            .name = "v", .shape = AD_SHAPE(self->dim, rank_of(self)), .init = NF_INIT_NORMAL, .value = inside};
        status = nf_declare(self, &v, error);
    }
    nf_parameter_spec shift = {.name = "shift", .shape = AD_SHAPE(self->dim), .init = NF_INIT_NORMAL, .value = spread};
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

static ad_var dense(const nf_bijector *self, ad_var l, ad_var v)
{
    ad_var product = ad_matmul(v, ad_transpose(v));
    return ad_add(is_diagonal(self) ? ad_mul(nf_identity(l.tape, self->dim), l) : l, product);
}

static bool factorises_dense(const nf_bijector *self)
{
    return self->dim <= 64 || !is_diagonal(self);
}

static ad_var capacitance(ad_var v, ad_var w)
{
    return ad_add(ad_matmul(ad_transpose(v), w), nf_identity(v.tape, ad_shape_of(v).dim[1]));
}

static ad_var log_abs_det(const nf_scope *at, ad_var l)
{
    if (rank_of(at->self) == 0) return log_det_l(at->self, l);
    ad_var v = nf_param(at, "v");
    if (factorises_dense(at->self)) return ad_log_abs_det(dense(at->self, l, v));
    return ad_add(log_det_l(at->self, l), ad_log_abs_det(capacitance(v, solve_l(at->self, l, v))));
}

/* A⁻¹ y */
static ad_var solve(const nf_scope *at, ad_var l, ad_var y)
{
    if (rank_of(at->self) == 0) return solve_l(at->self, l, y);
    ad_var v = nf_param(at, "v");
    if (factorises_dense(at->self)) return ad_solve(dense(at->self, l, v), y);
    ad_var u = solve_l(at->self, l, y), w = solve_l(at->self, l, v);
    return ad_sub(u, ad_matmul(w, ad_solve(capacitance(v, w), ad_matmul(ad_transpose(v), u))));
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var l = nf_param(at, "l"), x = is_diagonal(at->self) ? ad_mul(l, z) : ad_matmul(l, z);
    *log_det = log_abs_det(at, l);
    if (rank_of(at->self) > 0) {
        ad_var v = nf_param(at, "v");
        x = ad_add(x, ad_matmul(v, ad_matmul(ad_transpose(v), z)));
    }
    return ad_add(x, nf_param(at, "shift"));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var l = nf_param(at, "l");
    *log_det = ad_neg(log_abs_det(at, l));
    return solve(at, l, ad_sub(x, nf_param(at, "shift")));
}

static const nf_argument arguments[] = {
    {"rank", NF_COUNT, 2, 0, 65536, NULL, "columns of V"},
    {"form", NF_CHOICE, TRIANGULAR, 0, 0, "triangular|diagonal", "of L"},
    {0},
};

const nf_bijector_type nf__type_affine = {
    .name = "affine",
    .help = "x = (L + V V') z + shift, L triangular with a positive diagonal; elementwise with rank=0,form=diagonal",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
    .singular = true,
};
