/* An automatic fit under way: what its files share. */
#ifndef WEIR_MODELS_AUTOMATIC_SEARCH_H
#define WEIR_MODELS_AUTOMATIC_SEARCH_H

#include "checkpoint/work.h"

#include <weir/automatic.h>

enum { NF__MOST_CANDIDATES = 256 };

/* Rows to fit to and rows to score on, scaled, and which of the caller's they are. */
typedef struct {
    uint32_t *train, *held; /* held: places among all that are scored are `first` … */
    size_t n_train, n_held, first;
    double *x, *context, *weights;                /* of train; NULL for none */
    double *held_x, *held_context, *held_weights; /* of held */
} nf__fold;

/* What is tried. */
typedef struct {
    const char *formula;
    size_t epochs; /* 0: its data set it at once */
    size_t batch;
    double learning_rate, ema, weight_decay;
    uint64_t seed;
    double seconds; /* a limit for each fold; 0: none */
} nf__suggestion;

/* Of a candidate that is done or in work, what it is known again by. */
typedef struct {
    size_t formula; /* a hash */
    double limit;   /* its seconds, for each fold */
    double began;   /* seconds after the search */
} nf__attempt;

/* What a search that goes on has from its checkpoint: candidates aren't tried again, but taken from there. */
typedef struct {
    nf__state state;         /* their scores and flows */
    nf__attempt *attempt;    /* [attempts] */
    nf_candidate *candidate; /* [done] */
    size_t attempts, done;   /* one more may have been in work than was done */
    size_t fold_in_work;
    bool recalls; /* some of them are still to come: what was decided by the time is decided again, by when they began
                   */
} nf__memory;

typedef struct {
    nf_automatic_options o;
    size_t rows, dim, context;
    size_t given_rows;
    const double *given;
    uint32_t *row;        /* (rows): which of the caller's rows count, those whose weight isn't 0 */
    double *mean, *scale; /* (dim): rows are (x - mean) / scale, as `standardize` has it */
    nf_bijector *last;    /* that standardize, until the result has it */
    nf__fold *fold;
    size_t n_fold, n_held; /* rows scored, in all folds */
    double *held_weight;   /* (n_held), with a sum of 1 */
    double *held_offset;   /* (n_held): what log p of a scaled row lacks to that of the row */
    nf__suggestion *suggestion;
    nf_flow **flow;    /* [candidate][fold]: NULL where it failed */
    double **log_prob; /* [candidate][n_held] */
    nf_candidate *candidate;
    size_t n_candidate, room;
    size_t planned;     /* candidates, for progress */
    double started;     /* by this rank's clock */
    double opened, now; /* by rank 0's: when it began, and when ranks last agreed on it */
    double nll;
    bool stopped;
    nf__attempt *attempt; /* [candidate] */
    size_t fold_in_work;  /* of the candidate that is */
    bool in_work;
    uint64_t data_hash; /* once it was asked for */
    nf__memory memory;
} nf__search;

/* Check the rows, deal them, and scale them. */
ad_status nf__folds_make(nf__search *s, ad_error *error);
void nf__folds_free(nf__search *s);

/* Fit a candidate on each fold and score it; *index is its number. AD_OK also where it failed, which is on record.
 * suggestion->formula is copied. */
ad_status nf__try(nf__search *s, const nf__suggestion *suggestion, size_t *index, ad_error *error);
/* A flow of this formula that all rows set at once. */
nf_flow *nf__refit(nf__search *s, const char *formula, ad_error *error);
/* Whether the caller wants it to end, on any rank, into s->stopped; and what time it is, into s->now. */
ad_status nf__search_look(nf__search *s, ad_error *error);

/* What a search goes on from, for checkpoints; context is an nf__search. */
void nf__list_search(void *context, nf__state *state);
/* Where the checkpoint has the next candidate, its flows and scores, up to the fold in work, from there; *done: there
 * is no more to do. */
ad_status nf__recall(nf__search *s, bool *done, ad_error *error);
void nf__memory_free(nf__memory *memory);

/* Weights (n_candidate) of the mixture that the held-out rows are most likely under, where candidate 0 keeps `least` at
 * least and others either `worth` or nothing; and the mixture's log p of each of these rows, into mixed (n_held). */
ad_status nf__stack(const nf__search *s, double least, double worth, double *weight, double *mixed, ad_error *error);
/* The mean of -log_prob (n_held) by the rows' weights, and its standard error. */
double nf__score(const nf__search *s, const double *log_prob, double *standard_error);

/* Flows that the data's size make sensible, number i; false past the last. */
bool nf__suggest(const nf__search *s, size_t i, nf__suggestion *suggestion);
size_t nf__fewest_rows_of_a_flow(void);
/* The same for the flow of o.formula: ways to train it. */
bool nf__suggest_settings(const nf__search *s, size_t i, nf__suggestion *suggestion);
/* Epochs in which about so many rows are seen, at least 15 and at most `most`. */
size_t nf__epochs(const nf__search *s, double visits, size_t most);
/* A flow of scaled rows as one of the caller's. */
nf_flow *nf__unscaled(nf__search *s, nf_flow *trained, ad_error *error);
/* How many seconds are left, at s->now. */
double nf__search_left(const nf__search *s);
/* Try others, for the time that is left. */
ad_status nf__tune(nf__search *s, ad_error *error);

#endif
