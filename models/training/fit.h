/* A fit under way: what its files share. */
#ifndef WEIR_MODELS_TRAINING_FIT_H
#define WEIR_MODELS_TRAINING_FIT_H

#include "checkpoint/work.h"
#include "training/loop.h"
#include "training/order.h"

#include <weir/training.h>

/* Some of the parameters, in bytes. */
typedef struct {
    size_t offset, bytes;
} nf__part;

/* Of schedules that go by the loss. */
typedef struct {
    double scale, best;
    size_t since; /* the epoch of the best, or of the last other scale */
} nf__adapted;

/* The epoch under way: steps done, the rows that they had, and the sum of their losses. */
typedef struct {
    size_t steps, rows;
    double loss;
} nf__epoch;

/* Several starts, of which one is under way, or the choice is made; what each began from, and the best so far. */
typedef struct {
    size_t start;
    bool under_way, over;
    double best_score, best_spent;
    nf__state initial, best;
} nf__trials;
/* Lists of rows: those that train, those that validate, and the former as the epoch at hand shuffles them. */
typedef enum { NF__TRAINING, NF__VALIDATION, NF__EPOCH } nf__list;

typedef struct nf__stream nf__stream;

typedef struct {
    nf_fit_options o;
    nf_flow *flow;
    size_t dim, rows;
    const double *given; /* (rows, dim), as the caller has them */
    /* In the flow's dtype, of the rows, and behind them of validation rows of their own: (all, dim),
     * (all, nf_flow_context_size()), and (all), with a mean of 1 in each part; NULL where none have weights. */
    void *data, *context, *weight;
    uint32_t *train, *val; /* rows of each part, in random order */
    uint32_t *order;       /* the training rows as this epoch shuffles them */
    size_t n_train, n_val;
    nf__stream *stream; /* in the place of all these: rows are read when they are needed; NULL: they are in memory */
    nf__batches batches;
    struct nf__pairs *pairs; /* of flow matching, in matching.h; NULL: there are none */
    double *redrawn;         /* room for rows that are made anew, of each thread */
    /* A step; the loss alone; log p of each row; and what evaluation needs of the training rows, NULL for nothing. */
    ad_plan *step_plan, *val_plan, *score_plan, *statistics_plan;
    void *average;     /* like the trained parameters; NULL where options.ema is 0 */
    void *update;      /* like all parameters: what a step, or the statistics' plan, makes of those that it updates */
    nf__part *updated; /* which those are */
    size_t n_updated;
    double step_loss, val_loss; /* room for an element of the flow's dtype, as the next one */
    double minimised;           /* with the prior's part, where there is one */
    double counted;             /* training rows, each by its weight */
    nf__loop loop;
    nf_progress now;
    nf_fit_report *report;
    bool wanted;                 /* the report, by the caller */
    size_t history_room;         /* of the report's: it grows */
    double first_nll, first_val; /* what a loss that is lost is far above */
    /* Where options.seconds are given; else they are 0. */
    double began;              /* when this training did, of those from several starts */
    double seconds, until;     /* how long it may take, by which the rate goes; and when it is to stop for now */
    double before;             /* how long it took to begin with the first start */
    double closing, reporting; /* how long the end takes, of an epoch and of all */
    bool time_over;
    nf__adapted adapted;
    nf__epoch epoch;
    nf__trials trials;
    uint64_t data_hash; /* once it was asked for */
} nf__training;

/* Streams of random numbers; an epoch's shuffle uses NF__SHUFFLE_STREAM + epoch. */
#define NF__SAMPLE_STREAM (UINT64_C(1) << 35)
enum { NF__SPLIT_STREAM = 0, NF__SHUFFLE_STREAM = 1 };

/* The data in the flow's dtype, and which rows are for what. */
ad_status nf__take_data(nf__training *t, ad_error *error);
/* AD_ERROR_ARGUMENT where a number is not finite, or beyond the dtype's range. what: "column"; of: "validation " or "";
 * first: the number of the first row. */
ad_status nf__check_values(const char *what, const char *of, const double *values, size_t first, size_t rows,
                           size_t columns, ad_dtype dtype, ad_error *error);
/* In float32, of rows of x and of the context: AD_ERROR_ARGUMENT for a column that it blurs. */
ad_status nf__check_rounding(const nf__training *t, const double *x, const double *context, size_t rows,
                             ad_error *error);
/* Let the run read these rows, from a place of a list on; run->rows of them, which of an epoch are a batch. */
void nf__show(nf__training *t, nf__list list, size_t first, ad_run *run);
/* The number of the row at this place of a list, from 0, in x or, where they are of their own, in val_x. */
size_t nf__row_number(const nf__training *t, nf__list list, size_t place);
/* A row of the lists in float64; false: it can't be read. */
bool nf__row_at(const nf__training *t, nf__list list, size_t place, double *x, double *context);
/* options.redraw, for the epoch to come. */
ad_status nf__redraw(nf__training *t, ad_error *error);
/* The plans. A context that log p doesn't depend on is a mistake. */
ad_status nf__compile(nf__training *t, ad_error *error);
/* What nf_update() says of the training rows, for evaluation with the weights as they are. */
ad_status nf__take_statistics(nf__training *t, ad_error *error);
/* The mean loss of rows of a list. */
ad_status nf__loss_of(nf__training *t, nf__list list, size_t first, size_t rows, double *loss, ad_error *error);
/* Scores under the initial weights: what losses are compared with. A training row of density 0 is a mistake. */
ad_status nf__look_at_rows(nf__training *t, ad_error *error);
/* Scores under the weights that are kept, and the warning, into the report. */
void nf__report_rows(nf__training *t);
/* Why the training row at this place has density 0 under the flow as it is. */
void nf__explain_support(const nf__training *t, size_t place, char *text, size_t size);
/* Says of which features the marginal is the base's, shifted and scaled, whatever the parameters are; "" for none. */
void nf__tell_affine(const nf_flow *flow, char *text, size_t size);
/* The flow's weights are the best so far, of this loss. */
void nf__keep_best(nf__training *t, double nll);

/* Train until so many epochs are done, or the outcome is decided; patience counts on the way to the last one only.
 * Where it fails, the report tells what came of it. */
ad_status nf__train_until(nf__training *t, size_t epochs, bool *stop, ad_error *error);

/* What a training goes on from, for nf__state_fill() and nf__state_restore() of a start; and, with settings, clocks and
 * the starts, for a checkpoint. `training` is an nf__training. */
void nf__list_training(void *training, nf__state *state);
void nf__list_fit(void *training, nf__state *state);

/* Train from options.starts different initial weights for a while, and leave the training where the best of them is. */
ad_status nf__choose_start(nf__training *t, bool *stop, ad_error *error);

/* Fit the bijectors that see the data, to the training rows only. */
ad_status nf__fit_bijectors(nf__training *t, ad_error *error);
/* nf_flow_fit_data() to these `rows` rows of x and context; with weights to rows drawn in proportion to them, `fewest`
 * or more. row NULL: the first of them. */
ad_status nf__fit_rows(nf_flow *flow, const double *x, const double *context, const double *weights,
                       const uint32_t *row, size_t rows, size_t fewest, ad_error *error);
/* Weights of rows must be 0 or more, and not all of them 0. NULL is good. */
ad_status nf__check_weights(const char *what, const double *w, size_t rows, ad_error *error);

/* options.ema, after now.step steps. */
double nf__average_part(const nf__training *t);
/* The averages change places with the weights that are being trained. */
void nf__exchange_average(nf__training *t);

#endif
