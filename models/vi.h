/* Variational inference: fitting a flow to a density that is known up to a constant. */
#ifndef WEIR_VI_H
#define WEIR_VI_H

#include <weir/checkpoint.h>
#include <weir/objective.h>
#include <weir/target.h>
#include <weir/training.h>

WEIR_BEGIN_DECLARATIONS

/* Where an inference stands. */
typedef struct {
    size_t iteration, iterations; /* done, planned */
    double loss;                  /* mean of the last iterations, up to 1000, without those in which β grew */
    double learning_rate;
    double seconds; /* since the start */
} nf_vi_progress;

/* A zero means the default, and later versions add members at the end; optimizer.clip is not set by default. */
typedef struct {
    const char *objective; /* with its arguments; NULL: elbo */
    size_t iters;          /* 10000 */
    size_t mc;             /* 100 draws a step; of iwae and dreg (nf_objective_type.groups), groups of draws */
    size_t importance;     /* 8 draws in a group */
    /* β is `beta` (1), after it has grown evenly from beta_start (0.01) in the first `anneal` (0) iterations: a flat
     * target first, on which no part is missed. */
    double beta, beta_start;
    size_t anneal;
    /* 0. Above it, as PyMC3 starts its flows: all parameters are moved by N(0, jitter²), from zero where their initial
     * values are random. */
    double jitter;
    nf_optimizer_options optimizer;
    nf_optimizer *resume; /* go on with this one: to refine a fit; its steps count on */
    const char *schedule; /* over iters; NULL: constant, as PyMC3's */
    size_t warmup;        /* 0 iterations */
    uint64_t seed;        /* of jitter, draws and scores */
    size_t draws;         /* 20000, for the scores */
    ad_pool *pool;        /* NULL: this thread */
    /* Now and then, twenty times a second at most; false stops as `interrupted` does. NULL: none. */
    bool (*progress)(void *context, const nf_vi_progress *progress);
    /* Polled after each step: true stops at once, with the parameters at hand (ctrl-C), and the scores are of no more
     * draws than a step has, for a target that takes its time. After the last step it is polled in the scores: true
     * leaves them out, with draws = 0. NULL: none. */
    bool (*interrupted)(void *context);
    void *context;
    nf_callback *const *callbacks; /* ended by NULL; one that wants to stop does so as `interrupted`. NULL: none */
    /* Written between steps, and not in the scores; one that was read is gone on from, to the same bits. NULL: none. */
    nf_checkpoint *checkpoint;
} nf_vi_options;

/* How good a fit is, by fresh draws of it. */
typedef struct {
    size_t draws;
    double elbo, elbo_stderr; /* E_q[log p - log q], at most log Z; its standard error */
    double khat;              /* of the weights p/q, by nf_psis(): below 0.7, log_z and the fit can be trusted */
    double log_z;             /* by importance sampling with smoothed weights */
    double ess;               /* of so many draws of p the smoothed weights are worth */
} nf_vi_score;

/* What happened in the iterations since the last point, up to this one. */
typedef struct {
    size_t iteration;
    double loss, gradient_norm; /* means */
    double parameter_norm;      /* after the last */
    double beta;                /* of the last: what its loss is with */
} nf_vi_point;

typedef struct {
    nf_outcome outcome;
    size_t iterations;   /* done */
    double average_loss; /* of the last `averaged` of them, at most 1000; once β has grown, of those since */
    size_t averaged;
    double seconds; /* without the scores */
    nf_vi_score score;
    nf_vi_point *history; /* about 500 points; ad_free() */
    size_t n_history;
    double best_loss; /* possible, where the target's log Z is known and β is 1 in the end; else NaN */
    /* Of how many draws a step's weights are worth, (Σ|w|)² / Σ w², of a group where there are groups: the mean of the
     * `averaged` last iterations. NaN: the objective doesn't weigh its draws. */
    double step_ess;
    char warning[512]; /* what the user should know: that weights are of too few draws to mean much; "": nothing */
} nf_vi_report;

/* Fit the flow to the target, from the flow's parameters on. First it is checked: that they have as many features, that
 * log-densities are numbers, and that the target's gradient agrees with finite differences. The parameters after the
 * last step are kept. The same seed gives the same parameters, bit for bit, whatever the pool. A loss or gradient that
 * is not finite stops it: outcome NF_DIVERGED, AD_ERROR_NUMERIC, and the flow has the parameters before the lowest
 * mean loss in history, with the last β. options (all defaults), report and error may be NULL; the report's history is
 * the caller's. A flow of steps that draw (<weir/stochastic.h>) is told of the target, as nf_flow_set_target() does,
 * and q is the density of its paths. Threads and ranks as nf_fit() has them, but that what ranks divide are draws; the
 * target may be shared where its functions allow that. */
ad_status nf_vi(nf_flow *flow, const nf_target *target, const nf_vi_options *options, nf_vi_report *report,
                ad_error *error);

/* Score the flow by `draws` draws, a function of the seed. pool and error may be NULL, here and below. Several threads
 * may do so at once, with one pool or with several, while none changes the flow. Ranks divide the draws. */
ad_status nf_vi_evaluate(const nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, nf_vi_score *score,
                         ad_pool *pool, ad_error *error);

/* Mean and standard deviation of a number, with their Monte-Carlo standard errors. */
typedef struct {
    double mean, sd, mcse_mean, mcse_sd;
} nf_vi_moments;

/* What the fit tells of the target: of each of the nf_target_size() elements, on the user's scale, by `draws` draws of
 * the flow (those that the fit is scored by) with smoothed importance weights, which take out what the fit itself is
 * off. They can be trusted where *khat < 0.7 (NULL: not wanted). Everything is NaN where no draw has a weight. */
ad_status nf_vi_summarize(const nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed,
                          nf_vi_moments *moments, double *khat, ad_pool *pool, ad_error *error);

/* The log-density, in nats, that the fit gives to values (rows, nf_target_size()) on the user's scale, as
 * nf_target_values() makes them of the flow's draws: log q(z) - log|det d constrain(z) / dz|, see
 * nf_target_unconstrain(). -INFINITY where a value is outside the support. */
ad_status nf_vi_log_prob(const nf_flow *flow, const nf_target *target, const double *value, size_t rows,
                         double *log_prob, ad_pool *pool, ad_error *error);

WEIR_END_DECLARATIONS

#endif
