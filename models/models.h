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

/* With PyTorch's formulas; g is the gradient after clipping, plus weight_decay * w.
 *   adam  m = β1 m + (1-β1) g, v = β2 v + (1-β2) g²; w -= lr m̂ / (√v̂ + ε), β1 0.9, ε 1e-8 (Kingma & Ba 2015)
 *   sgd   m = momentum m + g; w -= lr m */
typedef enum { NF_ADAM, NF_SGD } nf_optimizer;
/* Of the learning rate over the planned steps: cosine, the default: lr (1 + cos π t) / 2, t from 0 to 1 (Loshchilov &
 * Hutter 2017, without restarts); constant. */
typedef enum { NF_COSINE, NF_CONSTANT } nf_schedule;

const char *nf_optimizer_name(nf_optimizer optimizer); /* "adam", "sgd" */
const char *nf_schedule_name(nf_schedule schedule);    /* "constant", "cosine" */

/* ---- Training ------------------------------------------------------------------------------------------------ */

/* Where training stands after an epoch. */
typedef struct {
    size_t epoch, epochs; /* done, planned */
    size_t step;          /* optimiser steps done */
    size_t rows;          /* training rows seen so far */
    double train_nll;     /* mean over the epoch's mini-batches, nats per row */
    double val_nll;       /* on the validation rows; NaN without any */
    double learning_rate;
    size_t start, starts; /* of how many initial weights these are which, from 1 */
    size_t start_epochs;  /* how long each is tried */
    double seconds;       /* since the start */
    size_t best_epoch;
} nf_progress;

/* A zero means the default; where zero itself makes sense, a negative number gives it (val_fraction, patience, clip).
 */
typedef struct {
    size_t epochs;        /* 100 */
    size_t starts;        /* 1: initial weights tried, each for a tenth of the epochs; the best is trained on */
    size_t batch;         /* 128; the last batch of an epoch may be smaller */
    double learning_rate; /* 2e-3 */
    nf_optimizer optimizer;
    double momentum; /* of SGD: 0.9 */
    double beta2;    /* of Adam: 0.98; PyTorch\'s 0.999 is slow to forget the large gradients of narrow densities */
    nf_schedule schedule;
    double val_fraction; /* 0.1 of the rows, drawn at random, are kept for validation; negative: none */
    long patience;       /* stop after so many epochs without a better val_nll; negative or 0: never */
    double clip;         /* 1: largest global norm of the gradient; negative: don't clip */
    double weight_decay; /* 0 */
    uint64_t seed;       /* of the split and the shuffles */
    ad_pool *pool;       /* NULL: this thread */
    /* After each epoch; false stops training, with the best weights. NULL: none. */
    bool (*progress)(void *context, const nf_progress *progress);
    /* Polled after each step: true stops at once, with the best weights (ctrl-C). NULL: none. */
    bool (*interrupted)(void *context);
    void *context;
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
 * that have a fit (standardize) see the training rows first. Keeps the weights of the best epoch (by val_nll, or
 * train_nll without validation). The same seed gives the same weights, bit for bit, whatever the pool. A loss or
 * gradient that is not finite stops the training: outcome NF_DIVERGED, AD_ERROR_NUMERIC, the message says at which step
 * and what made it, and the flow has the best weights so far. report may be NULL; its history is the caller's. */
ad_status nf_fit(nf_flow *flow, const double *x, size_t rows, const nf_fit_options *options, nf_fit_report *report,
                 ad_error *error);

/* Mean of -log p over rows, nats per row, and its standard error (NULL if not wanted). */
ad_status nf_nll(nf_flow *flow, const double *x, size_t rows, double *nll, double *standard_error, ad_pool *pool,
                 ad_error *error);

/* ---- Importance weights -------------------------------------------------------------------------------------- */

/* Pareto smoothed importance sampling (Vehtari et al. 2024): replaces the largest of n log weights by the expected order
 * statistics of a generalised Pareto distribution fitted to them, and gives its shape. khat < 0.7: what is estimated with
 * the weights can be trusted; otherwise it can't, and the proposal misses a part of the target. Infinity when the tail
 * is too short to be fitted, 0 when all weights are equal. -inf weighs nothing; NaN and +inf are AD_ERROR_NUMERIC. */
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
 *   no NaN at events of ±1e-30 … ±1e6 and at extreme parameters; chains 100 deep (D <= 3, types known to formulas);
 *   a density that integrates to 1, and samples that follow it (D <= 2); float32 against float64.
 * Fills result[0 … *count-1], at most NF_MOST_CHECKS; AD_ERROR_NUMERIC when one exceeds its bound, with the first such
 * in *error. */
ad_status nf_check_bijector(nf_bijector *bijector, uint64_t seed, nf_check_result *result, int *count, ad_error *error);

#ifdef __cplusplus
}
#endif
#endif
