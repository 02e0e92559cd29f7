/* sylvester: x = z + Q R tanh(R̃ Qᵀ z + b) (van den Berg et al. 2018, eq. 13, with Householder reflections for Q,
 * section 4.2): m hidden units, Q (D,m) with orthonormal columns, the first of the product of m reflections, R and R̃
 * (m,m) upper triangular. By Sylvester's determinant identity, with t the tanh and s_i = 1 + r_ii r̃_ii > 0 (theorem 2,
 * eq. 8, without cancellation)
 *
 *     log|det J| = Σ_i log(1 + (1 - t_i²) r_ii r̃_ii) = Σ_i log(t_i² + (1 - t_i²) s_i).
 *
 * Inverse: c = Qᵀz is the root of c + R tanh(R̃ c + b) = Qᵀx, found from the last of its m elements to the first, each
 * in one increasing equation.
 *
 * As in the authors' code the diagonals are bounded so that s_i > 0; here |r_ii|, |r̃_ii| < 0.99, s_i > 0.01. Starts
 * with random reflections and at the identity: R = 0, R̃ = 1/2, b = 0. */
#include <weir/bijector.h>
#include <weir/features.h>

static size_t units_of(const nf_bijector *self)
{
    size_t units = (size_t)nf_argument_value(self, "units");
    return units < self->dim ? units : self->dim;
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t m = units_of(self);
    const double bound = 0.99;
    const ad_shape square = AD_SHAPE(m, m), vector = AD_SHAPE(m);
    const nf_parameter_spec spec[] = {
        {.name = "v", .shape = AD_SHAPE(m, self->dim), .init = NF_INIT_NORMAL, .value = 1},
        {.name = "r", .shape = square, .constraint = NF_UNIT_LOWER_TRIANGULAR}, /* but for the diagonal, Rᵀ */
        {.name = "r_diagonal", .shape = vector, .constraint = NF_INTERVAL, .low = -bound, .high = bound},
        {.name = "r_tilde", .shape = square, .constraint = NF_UNIT_LOWER_TRIANGULAR},
        {.name = "r_tilde_diagonal",
         .shape = vector,
         .value = 0.5,
         .constraint = NF_INTERVAL,
         .low = -bound,
         .high = bound},
        {.name = "b", .shape = vector},
    };
    ad_status status = AD_OK;
    for (size_t i = 0; i < sizeof spec / sizeof *spec && status == AD_OK; i++)
        status = nf_declare(self, &spec[i], error);
    return status;
}

typedef struct {
    ad_var q, r, r_tilde, b;
    ad_var slope; /* s */
} layer;

/* Upper triangular, from a lower triangular matrix with 1 on its diagonal, and the diagonal that it gets. */
static ad_var upper(ad_var unit_lower, ad_var diagonal, size_t m)
{
    return ad_add(ad_transpose(unit_lower), ad_mul(nf_identity(diagonal.tape, m), ad_add_scalar(diagonal, -1)));
}

static layer layer_of(const nf_scope *at)
{
    const size_t m = units_of(at->self);
    ad_var r = nf_param(at, "r_diagonal"), r_tilde = nf_param(at, "r_tilde_diagonal");
    return (layer){.q = nf_reflections(nf_param(at, "v"), m),
                   .r = upper(nf_param(at, "r"), r, m),
                   .r_tilde = upper(nf_param(at, "r_tilde"), r_tilde, m),
                   .b = nf_param(at, "b"),
                   .slope = ad_add_scalar(ad_mul(r, r_tilde), 1)};
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    layer l = layer_of(at);
    ad_var to_hidden = ad_matmul(l.r_tilde, ad_transpose(l.q)); // (m, dim)
    ad_var t = ad_tanh(ad_add(ad_matmul(to_hidden, z), l.b));
    *log_det = ad_sum(ad_log(nf_residual_tanh_slope(t, l.slope)));
    return ad_add(z, ad_matmul(ad_matmul(l.q, l.r), t));
}

/* c + R tanh(R̃ c + b); captured: R, R̃, b */
static ad_var hidden(void *context, ad_tape *inner, ad_var c, const ad_var *captured)
{
    (void)context, (void)inner;
    ad_var t = ad_tanh(ad_add(ad_matmul(captured[1], c), captured[2]));
    return ad_add(c, ad_matmul(captured[0], t));
}

/* c with hidden(c) = y */
static ad_var solve_hidden(const layer *l, ad_var y, size_t m)
{
    const ad_var captured[] = {l->r, l->r_tilde, l->b};
    size_t *order = ad_alloc(m, sizeof *order);
    if (!order) {
        ad_tape_fail(y.tape, AD_ERROR_MEMORY, "out of memory for %zu hidden units", m);
        return y;
    }
    for (size_t i = 0; i < m; i++) order[i] = m - 1 - i;
    ad_var root = ad_root(y, captured, 3, AD_ROOT_TRIANGULAR, order, hidden, NULL);
    ad_free(order);
    return root;
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    layer l = layer_of(at);
    ad_var c = solve_hidden(&l, ad_matmul(ad_transpose(l.q), x), units_of(at->self));
    ad_var t = ad_tanh(ad_add(ad_matmul(l.r_tilde, c), l.b));
    *log_det = ad_neg(ad_sum(ad_log(nf_residual_tanh_slope(t, l.slope))));
    return ad_sub(x, ad_matmul(ad_matmul(l.q, l.r), t));
}

static const nf_argument arguments[] = {
    {"units", NF_COUNT, 8, 1, 65536, NULL, "hidden units; at most D are used"},
    {0},
};

const nf_bijector_type nf__type_sylvester = {
    .name = "sylvester",
    .help = "x = z + Q R tanh(R~ Q'z + b), Q orthonormal, R and R~ triangular",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
