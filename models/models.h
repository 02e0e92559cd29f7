/* Weir models: what turns a flow into a fitted model. Objectives, optimisers, the training loop, saving and loading.
 *
 *     nf_flow *flow = nf_flow_parse("(maf(128,128)-flip)*3-standardize", 2, 0, AD_F32, 1, &error);
 *     nf_fit(flow, x, rows, &(nf_fit_options){.epochs = 100}, NULL, &error);
 *     nf_save(flow, NULL, "moons.safetensors", &error);
 */
#ifndef WEIR_MODELS_H
#define WEIR_MODELS_H

#include "data.h"
#include "flows.h"
#include "target.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Optimisers ---------------------------------------------------------------------------------------------- */

/* What happens to each parameter w in a step, given its gradient g (after clipping, plus weight_decay * w), the
 * learning rate lr and the number t of the step, from 1. Formulas and defaults are PyMC3's (those of Lasagne); what is
 * remembered is zero at first.
 *   sgd             w -= lr g; lr 1e-3
 *   momentum        v = μ v - lr g, w += v; lr 1e-3, momentum μ 0.9
 *   nesterov        v = μ v - lr g, w += μ v - lr g; as momentum (Sutskever et al. 2013)
 *   adagrad         s += g², w -= lr g / √(s + ε); lr 1, ε 1e-6 (Duchi et al. 2011)
 *   adagrad_window  the same, s the sum of the last `window` g²; lr 1e-3, window 10, ε 0.1
 *   rmsprop         the same, s = ρ s + (1-ρ) g²; lr 1, ρ 0.9, ε 1e-6 (Tieleman & Hinton 2012)
 *   adadelta        s as rmsprop's, d = g √(u + ε) / √(s + ε), u = ρ u + (1-ρ) d², w -= lr d; lr 1, ρ 0.95, ε 1e-6
 *                   (Zeiler 2012)
 *   adam            m = β1 m + (1-β1) g, v = β2 v + (1-β2) g², w -= lr √(1-β2ᵗ) / (1-β1ᵗ) m / (√v + ε); lr 1e-3,
 *                   β1 0.9, β2 0.999, ε 1e-8 (Kingma & Ba 2015, the form at the end of section 2)
 *   adamw           w -= lr weight_decay w, then as adam, with ε √(1-β2ᵗ) for ε and without the decay in g;
 *                   weight_decay 0.01 (Loshchilov & Hutter 2019)
 *   adamax          m as adam's, u = max(β2 u, |g|), w -= lr / (1-β1ᵗ) m / (u + ε); lr 2e-3, the rest as adam's */
typedef enum {
    NF_ADAM,
    NF_ADAMW,
    NF_ADAMAX,
    NF_SGD,
    NF_MOMENTUM,
    NF_NESTEROV,
    NF_ADAGRAD,
    NF_ADAGRAD_WINDOW,
    NF_RMSPROP,
    NF_ADADELTA,
    NF_OPTIMIZERS /* how many there are */
} nf_optimizer_kind;

/* Zero means the default: that of the kind, above; 0 for the weight decay of all but adamw; no clipping. */
typedef struct {
    nf_optimizer_kind kind;
    double learning_rate, momentum, beta1, beta2, rho, epsilon;
    size_t window;
    double weight_decay;
    double clip; /* where the gradient's norm, over all parameters, is larger, it is scaled down to this; or negative */
} nf_optimizer_options;

const char *nf_optimizer_name(nf_optimizer_kind kind); /* "adam" */

/* An optimiser at work on an array of parameters: it has the moments of each, and outlives a training that uses it. */
typedef struct nf_optimizer nf_optimizer;

/* For `count` parameters of this dtype. NULL on failure. */
nf_optimizer *nf_optimizer_new(const nf_optimizer_options *options, size_t count, ad_dtype dtype, ad_error *error);
void nf_optimizer_free(nf_optimizer *optimizer);
/* Its options, with the defaults filled in. */
const nf_optimizer_options *nf_optimizer_settings(const nf_optimizer *optimizer);
/* One step, in place. *norm (or NULL): the gradient's norm before clipping. AD_ERROR_NUMERIC, and nothing changed, when
 * that is not finite. The same bits whatever the pool. */
ad_status nf_optimizer_step(nf_optimizer *optimizer, void *parameters, const void *gradient, double learning_rate,
                            ad_pool *pool, double *norm, ad_error *error);

/* Of the learning rate over the planned steps, t going from 0 to 1; what it is multiplied by:
 *   cosine       (1 + cos πt) / 2 (Loshchilov & Hutter 2017, without restarts)
 *   constant     1
 *   linear       1 - t
 *   exponential  0.01ᵗ
 *   steps        1, 0.1 and 0.01, for a third of the steps each */
typedef enum {
    NF_DEFAULT_SCHEDULE, /* cosine in nf_fit(), whose end is planned; constant, as PyMC3's, in nf_vi() */
    NF_COSINE,
    NF_CONSTANT,
    NF_LINEAR,
    NF_EXPONENTIAL,
    NF_STEPS,
    NF_SCHEDULES /* behind the last */
} nf_schedule;

const char *nf_schedule_name(nf_schedule schedule); /* "cosine" */
/* At step 0 … steps-1. In the first `warmup` steps the rate grows evenly, to learning_rate; t is of those that follow.
 */
double nf_scheduled_rate(nf_schedule schedule, double learning_rate, size_t warmup, size_t step, size_t steps);

/* ---- Callbacks ----------------------------------------------------------------------------------------------- */

/* Where a training loop stands after a step. */
typedef struct {
    size_t iteration;       /* steps done: 1 after the first */
    double loss;            /* of the step, with the parameters before it */
    const void *parameters; /* after it */
    const void *gradient;   /* of the loss, not clipped */
    size_t count;           /* of parameters */
    ad_dtype dtype;
} nf_iteration;

/* Something that a loop calls every so many iterations. Embed it as the first member of what it needs to know:
 *
 *     nf_convergence converged = {.callback.call = nf_check_parameters_convergence, .tolerance = 1e-4};
 *     nf_tracker means = {.callback = {nf_track, .every = 10}, .first = 8, .width = 2};
 *     nf_fit(flow, x, rows, &(nf_fit_options){.callbacks = (nf_callback *[]){&converged.callback, &means.callback,
 *                                                                            NULL}}, NULL, &error);
 *     means.values[2 * i], means.values[2 * i + 1]     // at means.iteration[i], i < means.records
 *     nf_convergence_free(&converged);
 *     nf_tracker_free(&means); */
typedef struct nf_callback {
    bool (*call)(struct nf_callback *self, const nf_iteration *at); /* false: stop the training */
    size_t every;                                                   /* iterations; 0: the callback's default, or 1 */
} nf_callback;

/* For loops: call those whose turn it is, of a list ended by NULL (or no list). False when one wants to stop. */
bool nf_call_back(nf_callback *const *callbacks, const nf_iteration *at);

/* PyMC3's CheckParametersConvergence: every 100 iterations, stop where the parameters p have moved less than a
 * tolerance since the last time, q: ‖d‖ < tolerance, with d = (|p-q| + 1e-6) / (|q| + 1e-6), or |p-q|. */
typedef struct {
    nf_callback callback;
    double tolerance;  /* 1e-3 */
    bool absolute;     /* d = |p-q| */
    double norm;       /* of d: (Σ dᵏ)^(1/k) for this k; infinity, the default: the largest; -infinity: the least */
    bool converged;    /* the result */
    double difference; /* ‖d‖, the last time */
    ad_status status;  /* AD_ERROR_MEMORY stops the training too */
    double *previous;  /* q */
} nf_convergence;

bool nf_check_parameters_convergence(nf_callback *self, const nf_iteration *at);
void nf_convergence_free(nf_convergence *convergence);

/* Records `width` numbers each time. */
typedef struct nf_tracker {
    nf_callback callback;
    size_t first, width; /* elements of what is recorded; width 0: all behind first, 1 of a user's function */
    /* What to record: nf_record_parameters (NULL as well), nf_record_gradient, nf_record_loss, or a user's function,
     * which writes `width` numbers. */
    void (*record)(const struct nf_tracker *self, const nf_iteration *at, double *numbers);
    void *context;     /* of a user's function */
    size_t records;    /* the result: how many times */
    size_t *iteration; /* [records] */
    double *values;    /* [records][width] */
    size_t room;       /* for so many records */
    ad_status status;  /* AD_ERROR_MEMORY stops the training too */
} nf_tracker;

bool nf_track(nf_callback *self, const nf_iteration *at);
void nf_record_parameters(const nf_tracker *self, const nf_iteration *at, double *numbers);
void nf_record_gradient(const nf_tracker *self, const nf_iteration *at, double *numbers);
void nf_record_loss(const nf_tracker *self, const nf_iteration *at, double *numbers); /* one number */
void nf_tracker_free(nf_tracker *tracker);
/* Where a trained parameter of this full name ("0.maf.weight0") is among all parameters, for first and width.
 * AD_ERROR_ARGUMENT when there is none. */
ad_status nf_find_parameter(const nf_flow *flow, const char *name, size_t *first, size_t *width, ad_error *error);

/* ---- Training ------------------------------------------------------------------------------------------------ */

/* Where training stands after an epoch. */
typedef struct {
    size_t epoch, epochs; /* done, planned */
    size_t step;          /* optimiser steps done */
    size_t rows;          /* training rows seen so far */
    double train_nll;     /* mean over the epoch's mini-batches, nats per row */
    double val_nll;       /* on the validation rows, of the averaged weights where there is an ema; NaN without any */
    double learning_rate;
    size_t start, starts; /* of how many initial weights these are which, from 1 */
    size_t start_epochs;  /* how long each is tried */
    double seconds;       /* since the start */
    size_t best_epoch;
} nf_progress;

/* A zero means the default; where zero itself makes sense, a negative number gives it (val_fraction, patience,
 * optimizer.clip).
 */
typedef struct {
    size_t epochs; /* 100 */
    size_t starts; /* 1: initial weights tried, each for a tenth of the epochs; the best by val_nll is
                    * trained on */
    size_t batch;  /* 128; the last batch of an epoch may be smaller */
    /* Other defaults here: clip 1 (negative: don't clip); of Adam learning_rate 2e-3, and beta2 0.98, for 0.999 is slow
     * to forget the large gradients of narrow densities. */
    nf_optimizer_options optimizer;
    nf_optimizer *resume; /* go on with this one instead; NULL: a new one */
    nf_schedule schedule; /* over all epochs */
    size_t warmup;        /* 0 steps */
    double val_fraction;  /* 0.1 of the rows, drawn at random, are kept for validation; negative: none */
    long patience;        /* stop after so many epochs without a better val_nll; negative or 0: never */
    /* 0, none. Else validate, judge starts by and keep not the weights but their exponential moving average, with this
     * decay at each step: while the learning rate is high, the weights' own losses scatter more. */
    double ema;
    const double *row_context; /* (rows, nf_flow_context()): what each row is conditioned on; NULL when that is 0 */
    uint64_t seed;             /* of the split and the shuffles */
    ad_pool *pool;             /* NULL: this thread */
    /* After each epoch; false stops training, with the best weights. NULL: none. */
    bool (*progress)(void *context, const nf_progress *progress);
    /* Polled after each step: true stops at once, with the best weights (ctrl-C). NULL: none. */
    bool (*interrupted)(void *context);
    void *context;
    nf_callback *const *callbacks; /* ended by NULL; one that wants to stop does so as `interrupted`. NULL: none */
} nf_fit_options;

typedef enum { NF_FINISHED, NF_STOPPED_EARLY, NF_STOPPED_BY_CALLER, NF_DIVERGED } nf_outcome;

/* How a fit went. */
typedef struct {
    nf_outcome outcome;
    nf_progress last;
    size_t train_rows, val_rows;
    size_t best_epoch; /* whose weights were kept, counted from 1; 0: the initial ones */
    double best_nll;   /* val_nll of those weights (train_nll without validation) */
    size_t diverged_step;
    nf_progress *history; /* of each epoch, last.epoch of them; ad_free() */
} nf_fit_report;

/* Maximum likelihood: minimise the mean of -log p(x) over mini-batches, starting from the flow's parameters; bijectors
 * that have a fit (standardize) see the training rows first. Keeps the weights of the epoch with the best val_nll;
 * without validation, those of the last. The same seed gives the same weights, bit for bit, whatever the pool. A loss or
 * gradient that is not finite stops the training: outcome NF_DIVERGED, AD_ERROR_NUMERIC, the message says at which step
 * and what made it, and the flow has the best weights so far. report may be NULL; its history is the caller's. */
ad_status nf_fit(nf_flow *flow, const double *x, size_t rows, const nf_fit_options *options, nf_fit_report *report,
                 ad_error *error);

/* Mean of -log p over rows, nats per row, and its standard error (NULL if not wanted). Where a row has density 0 they
 * are infinity and NaN; a log p that is NaN is AD_ERROR_NUMERIC, and the message tells its row. context: as
 * nf_log_prob() has it. */
ad_status nf_nll(nf_flow *flow, const double *x, const double *context, size_t rows, double *nll,
                 double *standard_error, ad_pool *pool, ad_error *error);

/* ---- Variational inference ----------------------------------------------------------------------------------- */

/* Fit a flow q to a target p, of which a density is known up to a constant. What each step minimises, with draws x of q
 * and w(x) = p(x)^β / q(x):
 *   elbo     E_q[log q(x) - β log p(x)], with gradients through the draws (Rezende & Mohamed 2015, equation 20). For
 *            β = 1 it is KL(q‖p) - log Z, so -log Z is the best possible
 *   stl      the same number, without the gradient through the parameters in log q(x): its expectation is zero, and
 *            what is left has no variance where q = p ("Sticking the landing", Roeder, Wu & Duvenaud 2017)
 *   iwae     -E[log 1/k Σ w(x_i)] over groups of k draws (Burda, Grosse & Salakhutdinov 2016)
 *   dreg     the same number, with the doubly reparametrised gradient (Tucker, Lawson, Gu & Maddison 2019)
 *   forward  KL(p‖q), by draws of q with self-normalised weights: covers all of p rather than a part of it
 * stl, dreg and forward evaluate log q at a draw as if it came from elsewhere, which takes the flow's inverse. */
typedef enum {
    NF_ELBO,
    NF_STL,
    NF_IWAE,
    NF_DREG,
    NF_FORWARD,
    NF_OBJECTIVES /* how many there are */
} nf_objective;

const char *nf_objective_name(nf_objective objective); /* "elbo" */

/* Where an inference stands. */
typedef struct {
    size_t iteration, iterations; /* done, planned */
    double loss;                  /* mean of the last iterations, up to 1000 */
    double learning_rate;
    double seconds; /* since the start */
} nf_vi_progress;

/* A zero means the default; optimizer.clip is not set by default. */
typedef struct {
    nf_objective objective;
    size_t iters;      /* 10000 */
    size_t mc;         /* 100 draws a step; of iwae and dreg, groups of draws */
    size_t importance; /* 8 draws in a group */
    /* β is `beta` (1), after it has grown evenly from beta_start (0.01) in the first `anneal` (0) iterations: a flat
     * target first, on which no part is missed. */
    double beta, beta_start;
    size_t anneal;
    /* 0. Above it, as PyMC3 starts its flows: all parameters are moved by N(0, jitter²), from zero where their initial
     * values are random. */
    double jitter;
    nf_optimizer_options optimizer;
    nf_optimizer *resume; /* go on with this one: to refine a fit; its steps count on */
    nf_schedule schedule; /* over iters */
    size_t warmup;        /* 0 iterations */
    uint64_t seed;        /* of jitter, draws and scores */
    size_t draws;         /* 20000, for the scores */
    ad_pool *pool;        /* NULL: this thread */
    /* Now and then, twenty times a second at most; false stops as `interrupted` does. NULL: none. */
    bool (*progress)(void *context, const nf_vi_progress *progress);
    /* Polled after each step: true stops at once, with the parameters at hand (ctrl-C). NULL: none. */
    bool (*interrupted)(void *context);
    void *context;
    nf_callback *const *callbacks; /* ended by NULL; one that wants to stop does so as `interrupted`. NULL: none */
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
    double average_loss; /* of the last `averaged` of them, at most 1000 */
    size_t averaged;
    double seconds; /* without the scores */
    nf_vi_score score;
    nf_vi_point *history; /* about 500 points; ad_free() */
    size_t n_history;
} nf_vi_report;

/* Fit the flow to the target, from the flow's parameters on. First it is checked: that they have as many features, that
 * log-densities are numbers, and that the target's gradient agrees with finite differences. The parameters after the
 * last step are kept. The same seed gives the same parameters, bit for bit, whatever the pool. A loss or gradient that
 * is not finite stops it: outcome NF_DIVERGED, AD_ERROR_NUMERIC, and the flow has the parameters before the lowest
 * mean loss in history, with the last β. report may be NULL; its history is the caller's. */
ad_status nf_vi(nf_flow *flow, const nf_target *target, const nf_vi_options *options, nf_vi_report *report,
                ad_error *error);

/* Score the flow by `draws` draws, a function of the seed. */
ad_status nf_vi_evaluate(nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, nf_vi_score *score,
                         ad_pool *pool, ad_error *error);

/* Mean and standard deviation of a number, with their Monte-Carlo standard errors. */
typedef struct {
    double mean, sd, mcse_mean, mcse_sd;
} nf_vi_moments;

/* What the fit tells of the target: of each of the nf_target_size() elements, on the user's scale, by `draws` draws of
 * the flow (those that the fit is scored by) with smoothed importance weights, which take out what the fit itself is
 * off. They can be trusted where *khat < 0.7 (NULL: not wanted). Everything is NaN where no draw has a weight. */
ad_status nf_vi_summarize(nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, nf_vi_moments *moments,
                          double *khat, ad_pool *pool, ad_error *error);

/* ---- Importance weights -------------------------------------------------------------------------------------- */

/* Pareto smoothed importance sampling (Vehtari et al. 2024): replaces the largest of n log weights by the expected
 * order statistics of a generalised Pareto distribution fitted to them, and gives its shape. khat < 0.7: what is
 * estimated with the weights can be trusted; otherwise it can't, and the proposal misses a part of the target. Infinity
 * when the tail is too short to be fitted, 0 when all weights are equal. -inf weighs nothing; NaN and +inf are
 * AD_ERROR_NUMERIC. */
ad_status nf_psis(double *log_weight, size_t n, double *khat, ad_error *error);

/* ---- Saving and loading -------------------------------------------------------------------------------------- */

/* As safetensors: every parameter under its name; formula, dim, dtype in the metadata, and `record` (a JSON object as
 * text, or NULL) under "training". Written beside, synced and renamed. */
ad_status nf_save(const nf_flow *flow, const char *record, const char *path, ad_error *error);
/* NULL on failure: not there, not a safetensors file, not Weir's, tensors that don't fit the formula. *record (may be
 * NULL) becomes the saved text or NULL; ad_free(). */
nf_flow *nf_load(const char *path, char **record, ad_error *error);

/* ---- Checking ------------------------------------------------------------------------------------------------ */

/* One line of nf_check_bijector(): the largest error of a property, and the bound it must keep. */
typedef struct {
    const char *property; /* "round trip z -> x -> z", "log-det against the Jacobian" … */
    double worst, bound;
    char at[256]; /* where: the event, the parameter */
} nf_check_result;

enum { NF_MOST_CHECKS = 24 };

/* Check a bijector in float64, at random parameters (its own, moved a little; they stay so) and random events:
 *   round trips both ways, at moderate events and near the edges; log-dets that cancel;
 *   log-dets against the LU determinant of the Jacobian, from the tape and by finite differences;
 *   gradients of value and log-det with respect to event, parameters and context against finite differences, and of
 *   both sides of kinks; zeros of the Jacobian that are exactly zero;
 *   no NaN at events of ±1e-30 … ±1e6 and at extreme parameters, where the Jacobian's determinant has one sign as well
 *   (a constraint that is wrong or missing shows there); chains 100 deep (D <= 3, types known to formulas);
 *   a density that integrates to 1, and samples that follow it (D <= 2); float32 against float64, both ways.
 * Fills result[0 … *count-1], at most NF_MOST_CHECKS; AD_ERROR_NUMERIC when one exceeds its bound, with the first such
 * in *error. */
ad_status nf_check_bijector(nf_bijector *bijector, uint64_t seed, nf_check_result *result, int *count, ad_error *error);

#ifdef __cplusplus
}
#endif
#endif
