/* Variational inference without settings.
 *
 *     nf_inference fit;
 *     if (nf_infer(target, &(nf_infer_options){.pool = pool, .seed = 1}, &fit, &error)) …
 *     fit.flow, fit.report.score.khat, fit.held                  // and nf_save(fit.flow, …)
 *     nf_inference_free(&fit);
 *
 * First the target is looked for (start.h). Draws of the normals that were found, with importance weights as far as
 * these are of use, are what the flow begins as: its last step, `whiten`, takes their mean and covariance, and the rest
 * is fitted to them by maximum likelihood, so that it covers all modes that are known. From there the ELBO is
 * maximised, at a learning rate that falls whenever the ELBO has stopped growing beyond its noise; the parameters that
 * each rate ends with are averages. It goes on, with more draws a step, until the weights of its draws have k-hat < 0.7
 * and the ELBO is as near to log Z as wanted, or the time is over. At last the flow's density at the normals is
 * compared with the target's, which is how a mode that no draw of the flow has seen is noticed, if a search has. */
#ifndef WEIR_INFER_H
#define WEIR_INFER_H

#include <weir/start.h>
#include <weir/vi.h>

WEIR_BEGIN_DECLARATIONS

/* A zero means the default; new members will be added at the end. */
typedef struct {
    const char *formula; /* what is fitted; NULL: nf_infer_formula() */
    double budget;       /* 60 seconds. What is reached by then is kept; where it doesn't run out, it changes nothing */
    size_t searches;     /* 24; see nf_start_options */
    size_t mc;           /* 256 draws a step, at first */
    size_t draws;        /* 20000, for the scores */
    ad_dtype dtype;
    uint64_t seed;
    ad_pool *pool; /* NULL: this thread */
    /* As in nf_vi_options, but the number of iterations isn't known beforehand: `iterations` is 0. */
    bool (*progress)(void *context, const nf_vi_progress *progress);
    bool (*interrupted)(void *context);
    void *context;
    /* Written while the ELBO is maximised; one that was read is gone on from. What comes before that, the search for the
     * target and the first fit, is made again. NULL: none. */
    nf_checkpoint *checkpoint;
} nf_infer_options;

/* A mode that the searches found, by draws of the start's normals. */
typedef struct {
    double target_share, flow_share; /* of the target's mass, and of the flow's */
    bool held; /* the flow has a quarter of it or more, or it is less than a thousandth of the target */
} nf_infer_mode;

typedef struct {
    nf_flow *flow; /* NULL where there is none */
    nf_start start;
    nf_infer_mode *mode; /* [start.modes]; NULL: not known, for it was interrupted, or failed */
    size_t held;         /* modes that the flow holds */
    size_t rounds;       /* times that the learning rate went all the way down */
    bool out_of_time;    /* before it had converged */
    /* Over all rounds. NF_STOPPED_EARLY: it has converged. average_loss is minus the score's ELBO, and `averaged` 0;
     * the history has the losses of different objectives, all of which have -log Z as the best possible. */
    nf_vi_report report;
} nf_inference;

/* The formula for a target where this was found, into NF_FORMULA_ROOM bytes of buffer; returns it. */
enum { NF_FORMULA_ROOM = 128 };
const char *nf_infer_formula(const nf_start *start, char *buffer);

/* Fill *inference, to be released with nf_inference_free(), on failure too: there may be a flow by then. options and
 * error may be NULL. While the budget isn't used up, a function of the target, the options and the seed, bit for bit,
 * whatever the pool. Where that has a communicator, ranks divide searches, chains, rows and draws, and all have the
 * result. */
ad_status nf_infer(const nf_target *target, const nf_infer_options *options, nf_inference *inference, ad_error *error);
void nf_inference_free(nf_inference *inference);

/* Does a flow, however it was fitted, hold the modes that a search has found? Into mode [start->modes]; returns how
 * many it holds in *held. What neither searches nor draws of the flow have found stays unknown. pool and error may be
 * NULL. */
ad_status nf_infer_modes(const nf_flow *flow, const nf_target *target, const nf_start *start, uint64_t seed,
                         nf_infer_mode *mode, size_t *held, ad_pool *pool, ad_error *error);

WEIR_END_DECLARATIONS

#endif
