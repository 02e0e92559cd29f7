/* Objectives of variational inference: those that there are, and writing others. */
#ifndef WEIR_OBJECTIVE_H
#define WEIR_OBJECTIVE_H

#include <weir/flow.h>
#include <weir/registry.h>

WEIR_BEGIN_DECLARATIONS

/* A flow q is fitted to a target p, of which a density is known up to a constant. What each step minimises, with draws
 * x of q and w(x) = p(x)^β / q(x):
 *   elbo     E_q[log q(x) - β log p(x)], with gradients through the draws (Rezende & Mohamed 2015, equation 20). For
 *            β = 1 it is KL(q‖p) - log Z, so -log Z is the best possible
 *   stl      the same number, without the gradient through the parameters in log q(x): its expectation is zero, and
 *            what is left has no variance where q = p ("Sticking the landing", Roeder, Wu & Duvenaud 2017)
 *   iwae     -E[log 1/k Σ w(x_i)] over groups of k draws (Burda, Grosse & Salakhutdinov 2016)
 *   dreg     the same number, with the doubly reparametrised gradient (Tucker, Lawson, Gu & Maddison 2019)
 *   renyi    -1/(1-α) log E_q[w^(1-α)] = D_α(q‖p) - log Z, Rényi's divergence of order α >= 0 (Li & Turner 2016,
 *            equation 6): the more mass-covering the smaller α is. 1 is stl, 0 is dreg with all draws as one group. The
 *            α of Hernández-Lobato et al. (2016, "Black-box α-divergence minimization") is 1 - α, with the same minima
 *   cubo     1/n log E_q[wⁿ] = log Z + (n-1)/n D_n(p‖q), an upper bound of log Z; of order n = 2 it is
 *            log Z + log(1 + χ²(p‖q)) / 2 (Dieng, Tran, Ranganath, Paisley & Blei 2017, equation 3). It covers more
 *            than all of p: tails of p/q that q doesn't reach are what it is infinite for
 *   forward  KL(p‖q), by draws of q with self-normalised weights: covers all of p rather than a part of it
 *   fab      the α-divergence of order 2, log E_q[w²], by draws of p²/q, where p and q are farthest apart: annealed
 *            importance sampling (<weir/ais.h>) brings them there from q, also to modes that q misses ("Flow annealed
 *            importance sampling bootstrap", Midgley, Stimper, Simm, Schölkopf & Hernández-Lobato 2023). The best
 *            possible is 2 log Z. Without the paper's buffer of earlier draws
 *
 * The expectations within the logarithms of renyi and cubo, and the weights of forward and fab, are those of all draws
 * of a step. The gradient of renyi is doubly reparametrised (Daudel, Benton, Shi & Doucet 2023, "Alpha-divergence
 * variational inference meets importance weighted auto-encoders", theorem 1); so is that of cubo, of E_q[wⁿ] as the
 * draws estimate it (Geffner & Domke 2021, "On the difficulty of unbiased alpha divergence minimization", equation 8).
 * Neither has noise where q = p. All but elbo and iwae evaluate log q at a draw as if it came from elsewhere, which
 * takes the flow's inverse. */
typedef struct nf_objective_type nf_objective_type;

/* A draw on the tape of a step; log-densities are per-row, shape (), in nats. */
typedef struct {
    const nf_objective_type *type;
    const double *argument;    /* the values of type->argument, in its order */
    const nf_flow_scope *flow; /* q */
    ad_var x;                  /* the draw, shape (dim): a function of q's parameters, through which gradients pass */
    ad_var log_q, log_p;       /* log q(x), and β log p(x) */
} nf_objective_draw;

/* Draws that annealed importance sampling has moved from q to a density of q^(1-alpha) p^(alpha β). */
typedef struct {
    double alpha;
    size_t distributions; /* in between, 1 or more */
    char transition[128]; /* a formula of steps that draw */
} nf_annealing;

/* The best possible loss, where q = p. */
typedef enum { NF_BEST_MINUS_LOG_Z, NF_BEST_ZERO, NF_BEST_LOG_Z, NF_BEST_TWICE_LOG_Z } nf_best_loss;

/* What is minimised: the mean over the step's draws of a term; or, of an objective that weighs its draws, the mean over
 * groups of draws of Σ weight · term. Either way parameters go down its gradient. */
struct nf_objective_type {
    const char *name;            /* in options */
    const char *help;            /* one line */
    const nf_argument *argument; /* ended by {0}; NULL for none; numbers and choices */
    /* Record the term of a draw: per-row, shape (). */
    ad_var (*term)(const nf_objective_draw *draw);
    /* The weights of a group of draws, by log w = β log p - log q of each: numbers, through which no gradient passes.
     * Returns the group's loss, that is told in the place of Σ weight · term; one that is not finite ends the fit. At
     * least one log w is finite, and none is NaN. NULL: draws aren't weighed. */
    double (*weigh)(const nf_objective_type *self, const double *argument, const double *log_weight, size_t draws,
                    double *weight);
    /* How draws are moved before, so that x is a number without gradient, and log w is that of
     * annealed importance sampling. Only where draws are weighed. NULL: they are those of q. */
    void (*anneal)(const nf_objective_type *self, const double *argument, nf_annealing *how);
    bool groups; /* options.mc counts groups, of options.importance draws each; else a step's draws are one group */
    const void *data; /* of its author's */
    nf_best_loss best;
};

/* Make an objective known, at the start of the program, before other threads. The type must outlive all use.
 * AD_ERROR_ARGUMENT: its name is taken or isn't a name, it has no term, too many arguments, or groups without weights.
 * error may be NULL. */
ad_status nf_register_objective(const nf_objective_type *type, ad_error *error);
/* All that are known, ended by NULL. From any thread. */
const nf_objective_type *const *nf_objective_types(void);

/* An objective with its arguments; a copy is as good. */
typedef struct {
    const nf_objective_type *type;
    double argument[NF_MOST_ARGUMENTS];
} nf_objective;

/* Read "iwae"; error may be NULL. From any thread. */
ad_status nf_objective_parse(const char *text, nf_objective *objective, ad_error *error);

WEIR_END_DECLARATIONS

#endif
