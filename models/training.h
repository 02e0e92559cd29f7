/* Training a flow by maximum likelihood. */
#ifndef WEIR_TRAINING_H
#define WEIR_TRAINING_H

#include <weir/callbacks.h>
#include <weir/checkpoint.h>
#include <weir/flow.h>
#include <weir/optimizer.h>
#include <weir/prior.h>
#include <weir/rows.h>

WEIR_BEGIN_DECLARATIONS

/* Where training stands after an epoch. */
typedef struct {
    size_t epoch, epochs; /* done, planned; SIZE_MAX: as many as it takes */
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

/* What is minimised. */
typedef enum {
    NF_LIKELIHOOD,
    /* Of a flow with one continuous step: the mean of |velocity(t, z_t) - 2 (1-t) (z_1 - z_0)|² / dim / (4 (1-t)² +
     * 0.1) over rows, with z_1 a row as it is behind that step, z_0 a draw of the base as it is before it, t uniform on
     * (0, 1), and z_t on the straight path, z_0 + (1 - (1-t)²) (z_1 - z_0) (Lipman et al. 2023): slower near the data,
     * where the velocity is sharper and log p is more sensitive to it. It solves no differential equation, so a step
     * costs a hundredth of one by likelihood; it takes more of them, at a larger learning rate, and a deeper network
     * of sines, which neither saturate nor grow: cnf(64,64,64,activation=sin,gain=3). What else the flow has must have
     * nothing to train. Losses are this one in the place of -log p, on validation rows with the same draws each time;
     * report.val tells of log p. */
    NF_FLOW_MATCHING,
    /* The same with the draws of a batch paired to its rows so that Σ |z_1 - z_0|² is least (Tong et al. 2024): paths
     * that cross less, and are straighter. */
    NF_OT_FLOW_MATCHING,
} nf_fit_objective;

/* How the training rows of an epoch are shuffled. NF_SHUFFLE_ROWS: all orders are alike. NF_SHUFFLE_BLOCKS: rows are in
 * blocks of those that follow one another, as many as 128 KiB hold in float64, or a 64th of them if they are fewer. An
 * epoch takes the blocks in random order, and 512 at a time are in memory, whose rows are shuffled; each batch has an
 * equal share of rows from each of 16 lots of 32 blocks. Of rows in no order, and where 512 blocks are all there are,
 * that is as good; where rows that are alike stand together, a batch has them from 512 places of the data at most, and
 * the next 512 places come when these are done. Validation rows are whole blocks. The bits are the same on any machine.
 */
typedef enum { NF_SHUFFLE_ROWS, NF_SHUFFLE_BLOCKS } nf_shuffle;

/* A zero means the default, and later versions add members at the end. Where zero itself makes sense, a negative number
 * gives it (val_fraction, patience, optimizer.clip). */
typedef struct {
    size_t epochs; /* 100; where seconds, or a schedule such as plateau, end the training: as many as it takes */
    size_t starts; /* 1: initial weights tried, each for a tenth of the epochs (where it takes as many as it takes, 10
                    * epochs), and of `seconds` a tenth, or half of them together; the best by val_nll is trained on */
    size_t batch;  /* 128; the last batch of an epoch may be smaller; where bijectors see the batch (batchnorm), batches
                    * are as equal as can be */
    /* Other defaults here: clip 1 (negative: don't clip); of Adam learning_rate 2e-3, of flow matching 2e-2, and beta2
     * 0.98, for 0.999 is slow to forget the large gradients of narrow densities. */
    nf_optimizer_options optimizer;
    nf_optimizer *resume; /* go on with this one instead; NULL: a new one */
    const char *schedule; /* over all epochs; NULL: cosine */
    size_t warmup;        /* 0 steps */
    double val_fraction;  /* 0.1 of the rows, drawn at random, are kept for validation; negative: none */
    long patience;        /* stop after so many epochs without a better val_nll; negative or 0: never */
    /* 0: none; of flow matching 0.999 (negative: none). Else validate, judge starts by and keep not the weights but
     * their exponential moving average, with this decay at each step: while the learning rate is high, the weights' own
     * losses scatter more. */
    double ema;
    const double
        *row_context; /* (rows, nf_flow_context_size()): what each row is conditioned on; NULL when that is 0 */
    uint64_t seed;    /* of the split and the shuffles */
    ad_pool *pool;    /* NULL: this thread */
    /* After each epoch; false stops training, with the best weights. NULL: none. */
    bool (*progress)(void *context, const nf_progress *progress);
    /* Polled after each step: true stops at once, with the best weights (ctrl-C). NULL: none. */
    bool (*interrupted)(void *context);
    void *context;
    nf_callback *const *callbacks; /* ended by NULL; one that wants to stop does so as `interrupted`. NULL: none */
    /* (rows), how much each row counts, >= 0 and not all 0: losses are Σ -w log p / Σ w, and that of a batch is
     * Σ -w log p / (its rows × the mean weight of all training rows), so that epochs are unbiased. Rows of weight 0 are
     * left out. Bijectors that see the data (standardize) see training rows drawn evenly in proportion to w; batches
     * are normalised by plain rows (batchnorm). NULL: all alike. */
    const double *row_weights;
    /* Validation rows of their own, in the place of a split: (val_rows, dim), (val_rows, context size) or NULL, and
     * (val_rows) or NULL. */
    const double *val_x, *val_context, *val_weights;
    size_t val_rows;
    /* A limit on the time, looked at after each step; training, with the validation that ends it, stops there, in the
     * middle of an epoch too, which counts as one. The schedule's t is then the larger of the parts of the steps and of
     * the time that are over, so that the rate comes to its end; with a number of epochs, the time's from its tenth
     * on. How far it gets, and so the weights, depends on the machine, unless all epochs take less than this. 0: none.
     */
    double seconds;
    /* Makes the training rows anew before each epoch, the first too, such as with other noise that makes counts
     * continuous: x (rows, dim), of the rows with these numbers in the caller's x, from 0; epoch counts from 1. Called
     * with options.context, from several threads of the pool at once, for other rows each. Validation rows stay as they
     * are. NULL: they too. */
    void (*redraw)(void *context, size_t epoch, const uint32_t *row, size_t rows, double *x);
    nf_shuffle shuffle; /* rows; of a source blocks, always */
    /* Rows that are read when they are needed: then x is NULL, rows is 0, and the source has the context too, and is
     * asked for the rows of each epoch in the place of redraw; there are no weights. Memory doesn't depend on their
     * number: standardize and actnorm, if they end the flow, are set from the moments of all training rows; what else
     * has a fit sees a sample of them, drawn evenly, of 65,536 or as many as have 4 million numbers but 4,096 at least,
     * by which it is also told that float32 blurs a column; a million training rows, and as many for validation, are
     * scored one by one for the report (16,384 after a stop), and to tell rows of density 0 before the first step. The
     * validation loss is of all. It must outlive the call. NULL: x. */
    const nf_rows *source;
    /* Written between steps; one that was read is gone on from, to the same bits. NULL: none. */
    nf_checkpoint *checkpoint;
    nf_fit_objective objective; /* likelihood */
    /* A density of the trained parameters, as <weir/prior.h> says, "*.weight*:normal(sd=0.1)": the fit is for the most
     * probable ones. All losses that are told are of the likelihood alone; only callbacks see what is minimised. It is
     * AD_ERROR_ARGUMENT where the objective is no likelihood. NULL: none. */
    const char *prior;
} nf_fit_options;

typedef enum { NF_FINISHED, NF_STOPPED_EARLY, NF_STOPPED_BY_CALLER, NF_DIVERGED } nf_outcome;

/* The log-densities of some rows. A row whose log p is far below the others' (the median less 30 + D nats, which of a
 * normal distribution no row of a billion is) costs a score more than all that a better flow could gain. */
typedef struct {
    double median;               /* of log p, or of a sample of 10,000 of them */
    double worst;                /* the smallest log p; NaN where there are no rows */
    size_t worst_row;            /* whose it is, counted from 1, in x or, where they are of their own, in val_x */
    size_t far;                  /* how many rows are far below */
    double mean, standard_error; /* of log p, by weight; of the mean NaN where there is one row */
} nf_row_scores;

/* How a fit went. */
typedef struct {
    nf_outcome outcome;
    nf_progress last;
    size_t train_rows, val_rows;
    size_t best_epoch; /* whose weights were kept, counted from 1; 0: the initial ones */
    double best_nll;   /* val_nll of those weights (train_nll without validation) */
    size_t diverged_step;
    nf_progress *history;     /* of each epoch, last.epoch of them; ad_free() */
    nf_row_scores train, val; /* with the weights that were kept */
    char warning[1024];       /* what the user should know, a sentence a line: rows that are far below, a validation
                               * loss that never was finite, features that can only be as the base; "": nothing */
} nf_fit_report;

/* Maximum likelihood: minimise the mean of -log p(x) over mini-batches, starting from the flow's parameters; what
 * has a fit (standardize, gaussian_mixture) sees the training rows first: nf_flow_fit_data(), and bijectors that see
 * the batch (batchnorm) are evaluated with statistics of the training rows (of 32,768 of them at most). Keeps the
 * weights of the epoch with the best val_nll; without validation, and where it never is finite, those of the last. The
 * same seed gives the same weights, bit for bit, whatever the pool (but see seconds). A loss or gradient that is not
 * finite stops the training: outcome NF_DIVERGED, AD_ERROR_NUMERIC, the message says at which step and what made it,
 * and the flow has the best weights so far. So does a training row that has density 0 under the initial flow, at step
 * 1; the message names the row, and the bijector that doesn't reach it. A context that no term of the flow sees is
 * AD_ERROR_ARGUMENT; so is, in float32, a column that it blurs: whose values it moves by more than 1e-5 of what they
 * span. Subtract an offset from such a column (the first timestamp), or train in float64. options (all defaults),
 * report and error may be NULL; the report's history is the caller's. Several threads may train different flows at
 * once, each with a resumed optimiser and callbacks of its own. Until it is done, training or evaluating this flow in
 * another thread is AD_ERROR_ARGUMENT; in this one, callbacks may evaluate it.
 *
 * Where the pool has a communicator, ranks divide the rows of each step, of validation and of scores, and all have the
 * weights and the report that one process would have (but for the times in it): see <weir/communicator.h>. A callback
 * that evaluates the flow with that pool is one on all ranks. */
ad_status nf_fit(nf_flow *flow, const double *x, size_t rows, const nf_fit_options *options, nf_fit_report *report,
                 ad_error *error);

/* Mean of -log p over rows, nats per row, and its standard error (NULL if not wanted). Where a row has density 0 they
 * are infinity and NaN; a log p that is NaN is AD_ERROR_NUMERIC, and the message tells its row. context and threads: as
 * nf_log_prob() has them. pool and error may be NULL. */
ad_status nf_nll(const nf_flow *flow, const double *x, const double *context, size_t rows, double *nll,
                 double *standard_error, ad_pool *pool, ad_error *error);

WEIR_END_DECLARATIONS

#endif
