/* Fitting without settings: from rows to a density that held-out rows vouch for.
 *
 *     nf_automatic_report report;
 *     nf_flow *flow = nf_fit_automatic(x, rows, dim, 0, &(nf_automatic_options){.pool = pool}, &report, &error);
 *     for (size_t i = 0; flow && i < report.n_candidate; i++)
 *         printf("%6.3f  %8.3f ± %.3f  %s\n", report.candidate[i].weight, report.candidate[i].nll,
 *                report.candidate[i].standard_error, report.candidate[i].formula);
 *     nf_automatic_report_free(&report);
 *     nf_flow_free(flow);
 *
 * Candidates are fitted to a part of the rows and scored on the others: of 4,000 rows or more a tenth is held out once;
 * fewer are dealt into five parts, each of which is held out in turn, so that every row has a score that it had no part
 * in. The candidates are a normal (whiten), mixtures of normals (gaussian_mixture) with as many of them as held-out
 * rows are best with, and flows that the number of rows and of features make sensible. The result is their mixture,
 *
 *     log p(x) = log Σ_k w_k p_k(x),
 *
 * with the weights that the held-out rows are most likely under (stacking: Smyth & Wolpert 1999, "Linearly combining
 * density estimators via stacking"). A candidate whose weight is below .01 is left out, and with it what it had cost to
 * evaluate it; the normal keeps a weight of 0.001 at least, so that no row, however far off, is less than
 * 6.9 nats below the normal's score of it: nothing that a network makes of a point far from its data costs more. */
#ifndef WEIR_AUTOMATIC_H
#define WEIR_AUTOMATIC_H

#include <weir/training.h>

WEIR_BEGIN_DECLARATIONS

/* Where it stands. */
typedef struct {
    const char *formula;          /* of the candidate in work */
    size_t candidate, candidates; /* its number, from 1, and how many are planned so far */
    double fraction;              /* of all the work, about; it may jump */
    double nll;                   /* held out, of the mixture of all that are done; NaN before the first */
    double seconds;               /* since the start */
} nf_automatic_progress;

/* A zero means the default, and later versions add members at the end. */
typedef struct {
    const double *row_context; /* (rows, context): what each row is conditioned on; NULL when context is 0 */
    const double *row_weights; /* (rows), as nf_fit() has them; NULL: all alike */
    /* Held-out rows of their own, in the place of folds: (val_rows, dim), (val_rows, context) and (val_rows). */
    const double *val_x, *val_context, *val_weights;
    size_t val_rows;
    /* (rows) and (val_rows): what is added to each row's log p in all that is told, where features were made from
     * something else, with a density of its own: nf_columns_encode(). NULL: nothing. */
    const double *row_log_weights, *val_log_weights;
    ad_dtype dtype;
    /* The only flow to try: what is chosen is how it is trained, and the result is this flow alone, with the rest of
     * the candidates for comparison; scaling is appended to it as '-standardize'. NULL: flows that suit the rows. */
    const char *formula;
    double seconds; /* 60: no candidate is begun after these, and each is given a part of them. Within them, the result
                     * doesn't depend on the time; where they end it, more time gives more or longer candidates, and
                     * weights can always leave out those that don't help */
    bool tune;      /* use what time is left for more candidates, of other kinds and sizes, by successive halving
                     * (Jamieson & Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter
                     * optimization"): up to 256 in all. Results depend on the time then */
    uint64_t seed;
    ad_pool *pool;
    /* As nf_fit() has it, called with `context`. */
    void (*redraw)(void *context, size_t epoch, const uint32_t *row, size_t rows, double *x);
    /* Before each candidate, and after each epoch of each that is trained. NULL: none. */
    void (*progress)(void *context, const nf_automatic_progress *progress);
    /* Polled after each step: true ends it with the candidates that are done. NULL: none. */
    bool (*interrupted)(void *context);
    void *context;
    /* Written in trainings and between candidates; one that was read is gone on from, with the candidates that were done
     * and in the training that was under way. NULL: none. */
    nf_checkpoint *checkpoint;
} nf_automatic_options;

/* One that was tried. */
typedef struct {
    char *formula;
    double nll, standard_error; /* held out, nats per row */
    double weight;              /* in the result; 0: left out */
    size_t epochs, batch;       /* of a flow that was trained; epochs 0: one that its data set at once */
    double learning_rate, ema, weight_decay;
    double seconds;
    bool failed; /* it diverged or had no finite score: nll is NaN */
} nf_candidate;

typedef struct {
    nf_candidate *candidate; /* in the order in which they were tried; the first is the normal */
    size_t n_candidate;
    size_t best_mixture;        /* which of them is the best gaussian_mixture; 0: none was tried */
    size_t best_flow;           /* the best flow; 0: none was tried */
    double nll, standard_error; /* of the result on held-out rows, nats per row. Its weights are set by the same rows:
                                 * they are few numbers, and what that flatters is far below the standard error */
    size_t held, folds;         /* how many rows were held out in all, and in how many folds */
    nf_row_scores scores;       /* of these rows; rows are counted as in x, or in val_x */
    bool stopped;               /* by the caller; or out of time, below */
    bool out_of_time;
    double seconds;
} nf_automatic_report;

/* Fit a density to x (rows, dim), rows conditioned on vectors of `context` numbers (0: none). NULL on failure: fewer
 * than 2 rows, numbers that aren't finite, no memory, a formula that can't be used; not because a candidate diverged.
 * report (its candidates are the caller's, also on failure) and error may be NULL. Several threads may do so at once,
 * with one pool or with several. Where the pool has a communicator, ranks train and score each candidate together, by
 * rank 0's clock, and all have the result: see nf_fit(). */
nf_flow *nf_fit_automatic(const double *x, size_t rows, size_t dim, size_t context, const nf_automatic_options *options,
                          nf_automatic_report *report, ad_error *error);
void nf_automatic_report_free(nf_automatic_report *report);

WEIR_END_DECLARATIONS

#endif
