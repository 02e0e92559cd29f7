/* metropolis, hmc: Markov transitions that keep π_λ, by Metropolis and Hastings' rule: a proposal x' from x is accepted
 * with the probability
 *
 *     min(1, π(x') / π(x))                            metropolis: x' = x + step η, η ~ N(0, I);
 *     min(1, π(x') e^(-|v'|²/2) / π(x) e^(-|v|²/2))   hmc: leapfrog steps from x with the velocity v ~ N(0, I)
 *
 * (Neal 2011, "MCMC using Hamiltonian dynamics"). They are in detailed balance with π, so all that a path is weighed by
 * is ΔS = log π(z) - log π(x), from its first point z to its last (Wu, Köhler & Noé 2020).
 *
 * Whether a proposal is accepted has no derivative. As in the paper, x is z plus a number, through which no gradient
 * passes; so no second derivatives are taken. An energy that overflows is not accepted; but a density that is NaN
 * where metropolis looks is, and makes the weight NaN: it is the target's fault. */
#include <weir/stochastic.h>

enum { NOISE, ACCEPTANCE };

/* A point with its log-density and, for hmc, its gradient. */
typedef struct {
    ad_var x, log_density, gradient;
} point;

/* A proposal, and the log of what accepts it. */
typedef point propose(const nf_scope *at, const point *from, ad_var noise, ad_var *log_ratio);

/* log π(x') - log π(x), where a π of 0 is left for any other. */
static ad_var difference(const point *to, const point *from)
{
    return ad_sub(to->log_density, ad_maximum(from->log_density, ad_scalar(to->x.tape, -1e38)));
}

static point walk(const nf_scope *at, const point *from, ad_var noise, ad_var *log_ratio)
{
    const double step = nf_argument_value(at->self, "step");
    point to = {.x = ad_add(from->x, ad_mul_scalar(noise, step)), .gradient = from->gradient};
    to.log_density = nf_intermediate_log_density(at, to.x);
    ad_var is_number = ad_equal(to.log_density, to.log_density);
    *log_ratio = ad_where(is_number, difference(&to, from), ad_scalar(noise.tape, 1e38));
    return to;
}

static point leap(const nf_scope *at, const point *from, ad_var noise, ad_var *log_ratio)
{
    const double step = nf_argument_value(at->self, "step");
    const size_t leaps = (size_t)nf_argument_value(at->self, "leapfrog");
    point to = *from;
    ad_var v = noise;
    for (size_t i = 0; i < leaps; i++) {
        v = ad_add(v, ad_mul_scalar(to.gradient, step / 2));
        to.x = ad_add(to.x, ad_mul_scalar(v, step));
        to.log_density = nf_intermediate_gradient(at, to.x, &to.gradient);
        v = ad_add(v, ad_mul_scalar(to.gradient, step / 2));
    }
    ad_var kinetic = ad_mul_scalar(ad_sum(ad_sub(ad_square(noise), ad_square(v))), 0.5);
    *log_ratio = ad_add(difference(&to, from), kinetic);
    return to;
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    const size_t dim = at->self->dim, steps = (size_t)nf_argument_value(at->self, "steps");
    propose *const *proposal = at->self->type->data;
    ad_var noise = ad_normal(z.tape, AD_SHAPE(steps, dim), NOISE);          // (steps, dim)
    ad_var log_u = ad_log(ad_uniform(z.tape, AD_SHAPE(steps), ACCEPTANCE)); // (steps)
    point now = {.x = ad_stop_gradient(z)};
    ad_var start = now.x, moved = ad_scalar(z.tape, 0);
    now.log_density = nf_intermediate_gradient(at, now.x, &now.gradient);
    for (size_t k = 0; k < steps; k++) {
        ad_var ratio, eta = ad_reshape(ad_slice(noise, 0, k, k + 1), AD_SHAPE(dim));
        point to = (*proposal)(at, &now, eta, &ratio);
        ad_var accepted = ad_greater(ratio, ad_reshape(ad_slice(log_u, 0, k, k + 1), AD_SCALAR));
        now.x = ad_where(accepted, to.x, now.x);
        now.log_density = ad_where(accepted, to.log_density, now.log_density);
        now.gradient = ad_where(accepted, to.gradient, now.gradient);
        moved = ad_maximum(moved, accepted);
    }
    ad_var x = ad_add(ad_stop_gradient(now.x), ad_sub(z, start));
    ad_var change = ad_sub(nf_intermediate_log_density(at, z), nf_intermediate_log_density(at, x));
    *log_det = ad_where(moved, change, ad_scalar(z.tape, 0)); // -inf - -inf where π is 0 all around
    return x;
}

static propose *const walks = walk, *const leaps = leap;

const nf_bijector_type nf__type_metropolis = {
    .name = "metropolis",
    .help = "transitions that keep the density between base and target, from z to z + step noise, accepted or not",
    .argument = (const nf_argument[]){{"steps", NF_COUNT, 10, 1, 1000, NULL, "so many, one after the other"},
                                      {"step", NF_NUMBER, 0.25, 1e-8, 1e6, NULL, "standard deviation of a proposal"},
                                      {0}},
    .forward = forward,
    .stochastic = true,
    .data = &walks,
};

const nf_bijector_type nf__type_hmc = {
    .name = "hmc",
    .help = "the same, proposed by Hamiltonian dynamics: leapfrog steps with a velocity of noise",
    .argument = (const nf_argument[]){{"steps", NF_COUNT, 1, 1, 1000, NULL, "so many, one after the other"},
                                      {"leapfrog", NF_COUNT, 5, 1, 1000, NULL, "leapfrog steps of each"},
                                      {"step", NF_NUMBER, 0.1, 1e-8, 1e6, NULL, "time of a leapfrog step"},
                                      {0}},
    .forward = forward,
    .stochastic = true,
    .data = &leaps,
};
