/* vonmises: von Mises distributions of angles (Mardia & Jupp 2000, "Directional statistics", section 3.5.4),
 *
 *     log p(z) = Σ_d  κ_d cos(z_d - μ_d) - log 2π I_0(κ_d),      κ_d in (0, most),
 *
 * of any z, by a turn. Draws are from -π to π.
 *
 * Ratios of Bessel functions, r_j = I_j(κ) / I_(j-1)(κ), follow from the continued fraction r_j = κ / (2j + κ r_(j+1)),
 * begun where they are 0 to rounding; with ρ_j = r_1 r_2 … r_j = I_j/I_0, and e^κ = I_0 (1 + 2 ρ_1 + 2 ρ_2 + …),
 *
 *     log I_0 = κ - log(1 + 2 Σ_j ρ_j),      2π P(z < μ + θ) = π + θ + 2 Σ_j ρ_j sin(jθ) / j,
 *
 * sums of positive numbers and of few terms. A draw is the θ at which the latter is 2π u of a uniform u, by bracketing.
 */
#include <weir/bijector.h>
#include <weir/memory.h>

#include <math.h>

static const double two_pi = 6.28318530717958647693, log_two_pi = 1.83787706640934548356;

static ad_status build(nf_bijector *self, ad_error *error)
{
    const nf_parameter_spec spec[] = {
        {.name = "loc", .shape = AD_SHAPE(self->dim)},
        {.name = "concentration",
         .shape = AD_SHAPE(self->dim),
         .value = 1,
         .constraint = NF_INTERVAL,
         .high = nf_argument_value(self, "most")},
    };
    ad_status status = nf_declare(self, &spec[0], error);
    return status == AD_OK ? nf_declare(self, &spec[1], error) : status;
}

/* How many terms are more than rounding: ρ_j is about e^(-j²/2κ), and κ^j / 2^j j! of a small κ. */
static size_t terms_of(const nf_bijector *self)
{
    return (size_t)(9 * sqrt(nf_argument_value(self, "most"))) + 16;
}

/* The r_j, j = 1 … terms; r[0] isn't set. Of the tape; NULL: it has failed. */
static ad_var *ratios_of(const nf_scope *at, ad_var concentration, size_t terms)
{
    ad_var *r = ad_tape_alloc(at->tape, terms + 1, sizeof *r), next = ad_scalar(at->tape, 0);
    for (size_t j = terms; r && j > 0; j--)
        next = r[j] = ad_div(concentration, ad_add_scalar(ad_mul(concentration, next), 2 * (double)j));
    return r;
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    ad_var concentration = nf_param(at, "concentration"), sum = ad_scalar(at->tape, 0);
    const size_t terms = terms_of(at->self);
    const ad_var *r = ratios_of(at, concentration, terms);
    for (size_t j = terms; r && j > 0; j--) sum = ad_mul(r[j], ad_add_scalar(sum, 1));
    ad_var log_norm = ad_add_scalar(ad_neg(ad_log1p(ad_mul_scalar(sum, 2))), log_two_pi); /* log 2π I_0 - κ */
    ad_var angle = ad_sub(ad_inside(z, -1e15, 1e15), nf_param(at, "loc"));
    return ad_sum(ad_sub(ad_mul(concentration, ad_add_scalar(ad_cos(angle), -1)), log_norm));
}

/* θ + 2 Σ_j ρ_j sin(jθ) / j. captured: j (terms, 1), and 2 ρ_j / j (terms, D). */
static ad_var record_distribution(void *context, ad_tape *inner, ad_var theta, const ad_var *captured)
{
    (void)context, (void)inner;
    ad_var wave = ad_sin(ad_mul(captured[0], theta));
    return ad_add(theta, ad_sum_axis(ad_mul(captured[1], wave), 0));
}

/* captured, as above. */
static bool waves_of(const nf_scope *at, ad_var captured[2])
{
    const size_t terms = terms_of(at->self), dim = at->self->dim;
    const ad_var *r = ratios_of(at, nf_param(at, "concentration"), terms);
    ad_var *wave = ad_tape_alloc(at->tape, terms, sizeof *wave), rho = ad_scalar(at->tape, 1);
    double *number = ad_tape_alloc(at->tape, terms, sizeof *number);
    if (!r || !wave || !number) return false;
    for (size_t j = 1; j <= terms; j++) {
        rho = ad_mul(rho, r[j]);
        number[j - 1] = (double)j;
        wave[j - 1] = ad_reshape(ad_mul_scalar(rho, 2 / (double)j), AD_SHAPE(1, dim));
    }
    captured[0] = ad_constant(at->tape, AD_SHAPE(terms, 1), number);
    captured[1] = ad_concat(wave, (int)terms, 0);
    return true;
}

static ad_var sample(const nf_scope *at)
{
    ad_var captured[2], u = ad_uniform(at->tape, AD_SHAPE(at->self->dim), 0);
    if (!waves_of(at, captured)) return (ad_var){at->tape, -1};
    ad_var turn = ad_mul_scalar(ad_add_scalar(u, -0.5), two_pi);
    ad_var theta = ad_root(turn, captured, 2, AD_ROOT_ELEMENTWISE, NULL, record_distribution, NULL);
    return ad_add(theta, nf_param(at, "loc"));
}

static const nf_argument arguments[] = {
    {"most", NF_NUMBER, 100, 1, 1e4, NULL, "that a concentration is below"},
    {0},
};

const nf_bijector_type nf__type_vonmises = {
    .name = "vonmises",
    .help = "von Mises distributions of angles, learned",
    .argument = arguments,
    .build = build,
    .log_prob = log_prob,
    .sample = sample,
    .circular = true,
};
