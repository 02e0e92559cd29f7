/* Weir's own objectives of variational inference:
 *
 *            term                     weight
 *   elbo     log q - β log p          1/n
 *   stl      log q* - β log p         1/n
 *   iwae     log q - β log p          w̃ / groups
 *   dreg     log q* - β log p         w̃² / groups
 *   renyi    log q* - β log p         α ṽ + (1-α) ṽ², v = w^(1-α), all draws being one group, as below
 *   cubo     log q* - β log p         (n-1) ṽ, v = wⁿ
 *   forward  -log q(x*)               w̃
 *   fab      -log q(x)                w̃ of x, which annealed importance sampling has moved to p^2β / q
 *
 * q*: no gradient through its parameters; x*: none through the draw; w̃ = w / Σ w over a group, w = p^β / q. */
#include <weir/objective.h>

#include <math.h>
#include <stdio.h>

/* ---- Terms ----------------------------------------------------------------------------------------------------- */

static ad_var divergence(const nf_objective_draw *draw)
{
    return ad_sub(draw->log_q, draw->log_p);
}

static ad_var divergence_of_draw_alone(const nf_objective_draw *draw)
{
    const nf_flow_scope stopped = nf_flow_stop_gradient(draw->flow);
    return ad_sub(nf_flow_record_log_prob(&stopped, draw->x), draw->log_p);
}

static ad_var surprise(const nf_objective_draw *draw)
{
    return ad_neg(nf_flow_record_log_prob(draw->flow, ad_stop_gradient(draw->x)));
}

/* ---- Weights --------------------------------------------------------------------------------------------------- */

/* v / Σ v of a group, v = w^power; returns log(mean v) / power, the mean log w where power is 0. Where `power` is
 * negative a w of 0 makes it -inf. */
static double normalize(double power, const double *log_weight, size_t draws, double *weight)
{
    const double n = (double)draws;
    double most = power < 0 ? INFINITY : -INFINITY, sum = 0, excess = 0, mean = 0;
    for (size_t i = 0; i < draws; i++) {
        most = power < 0 ? fmin(most, log_weight[i]) : fmax(most, log_weight[i]);
        mean += log_weight[i] / n;
    }
    for (size_t i = 0; i < draws; i++) {
        const double log_v = power == 0 || log_weight[i] == most ? 0 : power * (log_weight[i] - most);
        sum += weight[i] = exp(log_v);
        excess += expm1(log_v);
    }
    for (size_t i = 0; i < draws; i++) weight[i] /= sum;
    /* Near power 0 all v are near 1. */
    return power == 0 ? mean : most + (excess > -n / 2 ? log1p(excess / n) : log(sum / n)) / power;
}

static double weigh_iwae(const nf_objective_type *self, const double *argument, const double *log_weight, size_t draws,
                         double *weight)
{
    (void)self, (void)argument;
    return -normalize(1, log_weight, draws, weight);
}

static double weigh_dreg(const nf_objective_type *self, const double *argument, const double *log_weight, size_t draws,
                         double *weight)
{
    double loss = weigh_iwae(self, argument, log_weight, draws, weight);
    for (size_t i = 0; i < draws; i++) weight[i] *= weight[i];
    return loss;
}

static double weigh_renyi(const nf_objective_type *self, const double *argument, const double *log_weight, size_t draws,
                          double *weight)
{
    (void)self;
    const double alpha = argument[0], loss = -normalize(1 - alpha, log_weight, draws, weight);
    for (size_t i = 0; i < draws; i++) weight[i] *= alpha + (1 - alpha) * weight[i];
    return loss;
}

static double weigh_cubo(const nf_objective_type *self, const double *argument, const double *log_weight, size_t draws,
                         double *weight)
{
    (void)self;
    const double order = argument[0], loss = normalize(order, log_weight, draws, weight);
    for (size_t i = 0; i < draws; i++) weight[i] *= order - 1;
    return loss;
}

/* The loss is KL(p‖q), Z being estimated too: Σ w̃ log w - log mean w. */
static double weigh_forward(const nf_objective_type *self, const double *argument, const double *log_weight,
                            size_t draws, double *weight)
{
    (void)self, (void)argument;
    double mean = 0, log_mean = normalize(1, log_weight, draws, weight);
    for (size_t i = 0; i < draws; i++)
        if (weight[i] > 0) mean += weight[i] * log_weight[i];
    return mean - log_mean;
}

/* The loss is log ∫ p^2β / q, which the weights have in their mean. */
static double weigh_annealed(const nf_objective_type *self, const double *argument, const double *log_weight,
                             size_t draws, double *weight)
{
    (void)self, (void)argument;
    return normalize(1, log_weight, draws, weight);
}

static void anneal(const nf_objective_type *self, const double *argument, nf_annealing *how)
{
    (void)self;
    how->alpha = 2;
    how->distributions = (size_t)argument[0];
    snprintf(how->transition, sizeof how->transition, "hmc(leapfrog=%.0f,step=%.17g)", argument[1], argument[2]);
}

static const nf_argument of_fab[] = {
    {"distributions", NF_COUNT, 3, 1, 1000, NULL, "densities between q and p²/q, at each of which draws are moved"},
    {"leapfrog", NF_COUNT, 5, 1, 1000, NULL, "steps of hmc, which moves them (weir help formulas)"},
    {"step", NF_NUMBER, 0.1, 1e-8, 1e6, NULL, "their size: about the target's narrowest width, or less"},
    {0},
};

/* ---- Descriptors ----------------------------------------------------------------------------------------------- */

const nf_objective_type nf__objective_elbo = {
    .name = "elbo",
    .help = "KL(q‖p) - log Z, with gradients through the draws (Rezende & Mohamed 2015)",
    .term = divergence,
};
const nf_objective_type nf__objective_stl = {
    .name = "stl",
    .help = "the same, without the gradient whose mean is zero (Roeder, Wu & Duvenaud 2017)",
    .term = divergence_of_draw_alone,
};
const nf_objective_type nf__objective_iwae = {
    .name = "iwae",
    .help = "-log of the mean weight p/q of a group of draws (Burda, Grosse & Salakhutdinov 2016)",
    .term = divergence,
    .weigh = weigh_iwae,
    .groups = true,
};
const nf_objective_type nf__objective_dreg = {
    .name = "dreg",
    .help = "the same, with the doubly reparametrised gradient (Tucker, Lawson, Gu & Maddison 2019)",
    .term = divergence_of_draw_alone,
    .weigh = weigh_dreg,
    .groups = true,
};
static const nf_argument renyi_arguments[] = {
    {.name = "alpha", .kind = NF_NUMBER, .value = 0.5, .high = 1000, .help = "α: 1 is stl, 0 dreg of all draws"}, {0}};
const nf_objective_type nf__objective_renyi = {
    .name = "renyi",
    .help = "Rényi's D_α(q‖p) - log Z: the smaller α, the more of p is covered (Li & Turner 2016)",
    .argument = renyi_arguments,
    .term = divergence_of_draw_alone,
    .weigh = weigh_renyi,
};
static const nf_argument cubo_arguments[] = {
    {.name = "order", .kind = NF_NUMBER, .value = 2, .low = 1.01, .high = 1000, .help = "n: 2 is χ², near 1 KL(p‖q)"},
    {0}};
const nf_objective_type nf__objective_cubo = {
    .name = "cubo",
    .help = "1/n log E[(p/q)ⁿ], an upper bound of log Z, by χ²(p‖q): covers more than p (Dieng et al. 2017)",
    .argument = cubo_arguments,
    .term = divergence_of_draw_alone,
    .weigh = weigh_cubo,
    .best = NF_BEST_LOG_Z,
};
const nf_objective_type nf__objective_forward = {
    .name = "forward",
    .help = "KL(p‖q), by draws of q with weights: covers all of p rather than a part of it",
    .term = surprise,
    .weigh = weigh_forward,
    .best = NF_BEST_ZERO,
};
const nf_objective_type nf__objective_fab = {
    .name = "fab",
    .help = "log E_q[(p/q)²], by draws that annealed importance sampling moves to p²/q: finds modes that q misses "
            "(Midgley et al. 2023)",
    .argument = of_fab,
    .term = surprise,
    .weigh = weigh_annealed,
    .anneal = anneal,
    .best = NF_BEST_TWICE_LOG_Z,
};
