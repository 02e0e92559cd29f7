/* residual: z = x + g(x) (Behrmann et al. 2019, "Invertible residual networks"; Chen et al. 2019, "Residual flows for
 * invertible generative modeling"), g a multilayer perceptron that shortens every distance,
 *
 *     g = A_L ∘ φ ∘ … ∘ φ ∘ A_0,     A_l h = W_l h + b_l,     φ(h) = h σ(βh) / 1.1, |φ'| < 1     (LipSwish, Chen,
 * sec. 3.3)
 *
 * with ‖W_l‖ <= κ = lipschitz^{1/(L+1)} by construction: W_l = V_l min(1, κ / σ̄(V_l)), where σ̄ is never below the
 * largest singular value, and with 6 steps at most rank^{1/128} times it (Gram iteration, Delattre et al. 2023,
 * "Efficient bound of Lipschitz constant for convolutional layers by Gram iteration", algorithm 1):
 *
 *     G_0 = V,   G_(n+1) = (G_n / ‖G_n‖)ᵀ (G_n / ‖G_n‖),   log σ̄ = 2^{-n} log ‖G_n‖ + Σ_{i<n} 2^{-i} log ‖G_i‖
 * (Frobenius)
 *
 * x of z is the fixed point of x = z - g(x), by Newton's method. log|det(1 + J)|, J = dg/dx, is that of the Jacobian,
 * by LU; but in training, of more than `exact` features, an estimate of as many as TERMS products with J,
 *
 *     Σ_{k=1}^{N} (-1)^{k+1} vᵀJᵏv / (k P(N >= k)),     v of random signs (Hutchinson 1989), N random (Chen, eq. 6),
 *
 * whose gradient is not its own but wᵀ dJ v with w = Σ_k (-1)ᵏ (Jᵀ)ᵏ v / P(N > k), held (Chen, eq. 8). The first FEW
 * terms are always there, and N has an end, which is what it lacks to be unbiased: at most D lipschitz^{T+1} / ((T+1)
 * (1 - lipschitz)), T = TERMS, and far less where J shortens most directions by more than that. */
#include <weir/features.h>
#include <weir/networks.h>

#include <math.h>

enum { GRAM_STEPS = 6, FEW = 8, TERMS = 32, SIGN_STREAM = 900, COUNT_STREAM = 901 };

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t last = self->n_size;
    ad_status status = nf_declare(
        self, &(nf_parameter_spec){.name = "beta", .shape = AD_SHAPE(last), .value = 1, .constraint = NF_POSITIVE},
        error);
    for (size_t l = 0; l <= last && status == AD_OK; l++)
        status = nf_layer_declare(self, l, l ? self->size[l - 1] : self->dim, l < last ? self->size[l] : self->dim,
                                  l < last ? 1 : 0.1, error);
    return status;
}

/* log of what no singular value of V is above. */
static ad_var log_norm_bound(ad_var v)
{
    const double least = 1e-30;
    const ad_shape shape = ad_shape_of(v);
    ad_var scale, g = nf_rescaled(shape.dim[0] < shape.dim[1] ? ad_transpose(v) : v, &scale), bound = ad_log(scale);
    for (int n = 0;; n++) { /* all but the first have norms between 1/√D and 1, and are symmetric */
        ad_var norm = ad_sqrt(ad_maximum(ad_sum(ad_square(g)), ad_scalar(v.tape, least)));
        bound = ad_add(bound, ad_mul_scalar(ad_log(norm), ldexp(1, -n)));
        if (n == GRAM_STEPS) return bound;
        g = ad_div(g, norm);
        g = ad_matmul(n ? g : ad_transpose(g), g);
    }
}

static ad_var apply(const nf_scope *at, size_t l, ad_var h)
{
    const double log_most = log(nf_argument_value(at->self, "lipschitz")) / (double)(at->self->n_size + 1);
    ad_var v = nf_layer_weight(at, l), room = ad_sub(ad_scalar(h.tape, log_most), log_norm_bound(v));
    ad_var weight = ad_mul(v, ad_exp(ad_minimum(room, ad_scalar(h.tape, 0))));
    return ad_add(ad_matmul(weight, h), nf_layer_bias(at, l));
}

static ad_var network(const nf_scope *at, ad_var x)
{
    ad_var beta = nf_param(at, "beta"), h = apply(at, 0, x);
    for (size_t l = 1; l <= at->self->n_size; l++) {
        ad_var steep = ad_reshape(ad_slice(beta, 0, l - 1, l), AD_SCALAR);
        h = ad_mul_scalar(ad_mul(h, ad_sigmoid(ad_mul(steep, h))), 1 / 1.1);
        h = apply(at, l, h);
    }
    return h;
}

/* 1 / P(N >= k) where N >= k, else 0, of a uniform number u. */
static ad_var weight_of_term(ad_var u, int k)
{
    const double most = k <= FEW ? 1 : pow(0.8, k - FEW);
    return ad_mul_scalar(ad_greater(ad_scalar(u.tape, most), u), 1 / most);
}

static ad_var estimate(ad_var g, ad_var x)
{
    ad_tape *tape = x.tape;
    const ad_shape shape = ad_shape_of(x);
    ad_var v = ad_sign(ad_add_scalar(ad_uniform(tape, shape, SIGN_STREAM), -0.5));
    ad_var u = ad_uniform(tape, AD_SCALAR, COUNT_STREAM), power = v, value = ad_scalar(tape, 0), held = value;
    for (int k = 1; k <= TERMS; k++) {
        ad_var weight = ad_mul_scalar(weight_of_term(u, k), k % 2 ? 1 : -1);
        held = ad_add(held, ad_mul(weight, power));
        power = ad_stop_gradient(ad_grad1(ad_sum(ad_mul(power, g)), x));
        value = ad_add(value, ad_mul_scalar(ad_mul(weight, ad_sum(ad_mul(power, v))), 1.0 / k));
    }
    ad_var slope = ad_grad1(ad_sum(ad_mul(ad_stop_gradient(held), g)), x), surrogate = ad_sum(ad_mul(slope, v));
    return ad_add(value, ad_sub(surrogate, ad_stop_gradient(surrogate)));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var g = network(at, x);
    const bool is_exact = (double)at->self->dim <= nf_argument_value(at->self, "exact");
    if (at->training && !is_exact) *log_det = estimate(g, x); /* else it is the engine's */
    return ad_add(x, g);
}

static const nf_argument arguments[] = {
    {"lipschitz", NF_NUMBER, 0.9, 0.01, 0.99, NULL, "what the network shortens distances by, at least"},
    {"exact", NF_COUNT, 16, 1, 65536, NULL, "features up to which training has the log-det itself"},
    {0},
};

const nf_bijector_type nf__type_residual = {
    .name = "residual",
    .help = "z = x + g(x), g a network that shortens distances, its spectral norms bounded",
    .argument = arguments,
    .positional = "hidden units",
    .sizes = (const size_t[]){64, 64, 0},
    .build = build,
    .inverse = inverse,
};
