/* langevin: steps of overdamped Langevin dynamics, unadjusted (Wu, Köhler & Noé 2020, "Stochastic normalizing flows").
 * With u = -log π_λ and ε the step, from y to y':
 *
 *     y' = y - ε ∇u(y) + √(2ε) η,      η ~ N(0, I),
 *
 * whose way back is a step of the same kind with the noise η':
 *
 *     y = y' - ε ∇u(y') + √(2ε) η',    η' = √(ε/2) (∇u(y) + ∇u(y')) - η,      ΔS = (|η|² - |η'|²) / 2.
 *
 * What it is off through ε is in the weights of paths, whatever ε is; ε is trained along with the flow. Gradients go
 * through ∇u, which takes second derivatives of the target's density. */
#include <weir/stochastic.h>

enum { NOISE };

static ad_status build(nf_bijector *self, ad_error *error)
{
    const nf_parameter_spec step = {
        .name = "step", .value = nf_argument_value(self, "step"), .constraint = NF_POSITIVE};
    return nf_declare(self, &step, error);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    const size_t dim = at->self->dim, steps = (size_t)nf_argument_value(at->self, "steps");
    ad_var noise = ad_normal(z.tape, AD_SHAPE(steps, dim), NOISE), step = nf_param(at, "step"); // (steps, dim), ()
    ad_var spread = ad_sqrt(ad_mul_scalar(step, 2)), half = ad_sqrt(ad_mul_scalar(step, 0.5));
    ad_var force, next_force, total = ad_scalar(z.tape, 0);
    nf_intermediate_gradient(at, z, &force); // (dim), -∇u
    for (size_t k = 0; k < steps; k++) {
        ad_var eta = ad_reshape(ad_slice(noise, 0, k, k + 1), AD_SHAPE(dim));
        z = ad_add(ad_add(z, ad_mul(step, force)), ad_mul(spread, eta));
        nf_intermediate_gradient(at, z, &next_force);
        ad_var back = ad_neg(ad_add(ad_mul(half, ad_add(force, next_force)), eta));
        total = ad_add(total, ad_sum(ad_sub(ad_square(eta), ad_square(back))));
        force = next_force;
    }
    *log_det = ad_mul_scalar(total, 0.5);
    return z;
}

static const nf_argument arguments[] = {
    {"steps", NF_COUNT, 10, 1, 1000, NULL, "so many, one after the other"},
    {"step", NF_NUMBER, 0.01, 1e-8, 100, NULL, "size ε of a step at first, it is trained"},
    {0},
};

const nf_bijector_type nf__type_langevin = {
    .name = "langevin",
    .help = "x = z + step ∇log π(z) + √(2 step) noise, steps times",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .stochastic = true,
};
