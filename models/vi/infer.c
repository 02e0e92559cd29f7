/* Variational inference without settings: one round after the other. */
#include "ranks/ranks.h"
#include "training/loop.h"
#include "vi/infer.h"
#include "vi/inference.h"

#include <weir/environment.h>
#include <weir/stochastic.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static void resolve(nf_infer_options *o)
{
    if (!(o->budget > 0)) o->budget = 60;
    if (!o->mc) o->mc = 256;
    if (!o->draws) o->draws = 20000;
}

/* Is the target's scale near 1, in each feature? */
static bool is_near_one(const nf_start *start)
{
    const double low = 0.05, high = 50;
    for (size_t k = 0; k < start->count; k++)
        for (size_t i = 0; i < start->dim; i++) {
            double squares = 0;
            for (size_t j = 0; start->dense && j <= i; j++)
                squares += pow(start->normal[k].factor[i * start->dim + j], 2);
            if (!(squares > low * low && squares < high * high)) return false;
        }
    return true;
}

/* Chosen by experiments on the targets that there are. Of two features, the second may be a wave of the first, many
 * periods long, which a network of sines has and splines don't. */
const char *nf_infer_formula(const nf_start *start, char *buffer)
{
    if (!buffer) return "";
    if (!start) return strcpy(buffer, "");
    const size_t dim = start->dim;
    const char *formula = "(realnvp(64,64)-flip)*6-affine(rank=0)-whiten";
    if (!start->dense)
        formula = "scale-loc-standardize";
    else if (dim == 1)
        formula = "rqsar-affine(rank=0)-whiten";
    else if (dim == 2 && is_near_one(start))
        formula = "(rqs(32,32)-flip)*4-affine(rank=0)-whiten-flip-maf(64,activation=sin)-flip";
    else if (dim <= 12)
        formula = "(rqs(32,32)-flip)*6-affine(rank=0)-whiten";
    snprintf(buffer, NF_FORMULA_ROOM, "%s", formula);
    return buffer;
}

/* Rates of a round, of which the last may follow another objective; and how often what diverged may go on. */
enum { RATES = 5, ELBO_RATES = 3, MOST_ROUNDS = 6, MOST_DIVERGED = 4, SCORE_DRAWS = 5000 };
static const double first_rate = 0.002, fall = 0.4;

/* The flow's score by so many draws; by few once it is interrupted, which *stopped tells. */
static ad_status evaluate(nf__rounds *r, size_t draws, uint64_t seed, nf_vi_score *score, bool *stopped,
                          ad_error *error)
{
    const nf_infer_options *o = r->o;
    const nf__vi_stop stop = {o->interrupted, o->context}, none = {NULL};
    nf_flow *flow = r->fit->flow;
    *score = (nf_vi_score){0};
    ad_status status = *stopped ? AD_OK : nf__vi_evaluate(flow, r->target, draws, seed, score, stop, o->pool, error);
    if (status || score->draws > 0) return status;
    if (!*stopped) nf__checkpoint_write(o->checkpoint, o->pool);
    *stopped = true;
    return nf__vi_evaluate(flow, r->target, nf__vi_few(draws, o->mc), seed, score, none, o->pool, error);
}

static ad_status keep_better(nf__rounds *r, nf_vi_score *now, bool *stopped, ad_error *error)
{
    ad_status status = evaluate(r, SCORE_DRAWS, r->o->seed + 1, now, stopped, error);
    if (status || !(now->elbo > r->best.elbo)) return status;
    r->best.elbo = now->elbo;
    memcpy(r->best.parameters, nf_flow_parameters(r->fit->flow), r->best.bytes);
    return AD_OK;
}

static void restore(const nf__rounds *r)
{
    memcpy(nf_flow_parameters(r->fit->flow), r->best.parameters, r->best.bytes);
    nf_flow_pull(r->fit->flow);
}

/* One learning rate. Draws with good weights have the target's own mass in their average: where the flow is near,
 * `forward` makes the tails agree, of which the ELBO feels little. Far from it, its weights are those of a few draws.
 */
static ad_status descend(nf__rounds *r, bool *stopped, ad_error *error)
{
    const double near = 0.2;
    const size_t rounds = r->fit->rounds;
    const bool forward = r->stage >= ELBO_RATES && r->now.khat < 0.7 && r->now.log_z - r->now.elbo < near;
    const nf__stage stage = {.learning_rate = r->rate,
                             .mc = r->o->mc << (rounds < 4 ? rounds : 4),
                             .least = r->stage == 0 ? 1500 : 600,
                             .objective = forward ? "forward" : "elbo",
                             .offset = forward ? -r->now.log_z : 0,
                             .deadline = r->begun + r->o->budget,
                             .seed = r->o->seed + r->fit->report.iterations};
    ad_status status = nf__infer_descend(r->fit, r->target, r->o, &stage, stopped, error);
    /* The best parameters are kept, and a smaller rate follows. */
    return status == AD_ERROR_NUMERIC && ++r->diverged < MOST_DIVERGED ? AD_OK : status;
}

static ad_status begin_round(nf__rounds *r, bool *stopped, ad_error *error)
{
    r->before = r->best.elbo;
    r->rate = first_rate / (r->fit->rounds ? 2 : 1);
    r->stage = r->diverged = 0;
    r->descended = false;
    ad_status status = keep_better(r, &r->now, stopped, error);
    r->place = NF__ROUND_DESCENDS;
    return status;
}

/* All learning rates, from the first on. */
static ad_status run_round(nf__rounds *r, bool *stopped, ad_error *error)
{
    nf_inference *fit = r->fit;
    ad_status status = r->place == NF__ROUND_BEGINS ? begin_round(r, stopped, error) : AD_OK;
    while (r->stage < RATES && !status && !*stopped && (r->descended || !fit->out_of_time)) {
        if (!r->descended) status = descend(r, stopped, error);
        r->descended = true;
        nf_vi_score now;
        if (!status) status = keep_better(r, &now, stopped, error);
        if (!status) r->now = now;
        r->descended = false;
        r->stage++;
        r->rate *= fall;
    }
    /* What `forward` costs the ELBO is little; what an accident has cost is much, and more than the noise of few draws.
     */
    const double little = 0.02 + (*stopped ? 4 * r->now.elbo_stderr : 0);
    if (!(r->now.elbo > r->best.elbo - little)) restore(r);
    fit->rounds++;
    r->place = NF__ROUND_ENDS;
    return status;
}

/* Weights that hardly differ have a tail that nobody needs to know. */
static bool is_good(const nf_inference *fit, const nf_target *target)
{
    const nf_vi_score *score = &fit->report.score;
    const double log_z = isnan(target->log_z) ? score->log_z : target->log_z;
    const bool trusted = score->khat < 0.7 || score->ess > 0.99 * (double)score->draws;
    return fit->held == fit->start.modes && trusted && log_z - score->elbo < 0.05;
}

/* From another start. */
static ad_status begin_again(nf_inference *fit, const nf_target *target, const nf_infer_options *o, ad_error *error)
{
    nf_infer_options other = *o;
    other.seed += fit->rounds;
    nf_initialize(nf_flow_bijector(fit->flow), other.seed);
    nf_flow_push(fit->flow);
    return nf__infer_begin(fit->flow, target, &fit->start, &other, error);
}

/* Shares of the flow before are none of the flow that there is now. */
static void forget_modes(nf_inference *fit)
{
    ad_free(fit->mode);
    fit->mode = NULL;
    fit->held = 0;
}

/* What a round has come to, and whether that is enough. */
static ad_status end_round(nf__rounds *r, bool *good, bool *stopped, ad_error *error)
{
    nf_inference *fit = r->fit;
    const nf_infer_options *o = r->o;
    double now;
    ad_status status = nf__agree(o->pool, NULL, &now, error);
    if (status) return status;
    fit->report.seconds = now - r->begun;
    if (!*stopped)
        status = nf_infer_modes(fit->flow, r->target, &fit->start, o->seed, fit->mode, &fit->held, o->pool, error);
    else
        forget_modes(fit);
    if (!status) status = evaluate(r, o->draws, o->seed, &fit->report.score, stopped, error);
    fit->report.average_loss = -fit->report.score.elbo;
    fit->report.best_loss = 0 - r->target->log_z;
    *good = !status && is_good(fit, r->target);
    return status;
}

/* A round that has brought little is followed by one that begins anew; the best of them by the ELBO is kept. */
static ad_status iterate(nf__rounds *r, ad_error *error)
{
    const double little = 0.05, late = 0.7; /* another start takes its time */
    nf_inference *fit = r->fit;
    const nf_infer_options *o = r->o;
    bool stopped = false, good = false;
    double now = r->begun;
    ad_status status = AD_OK;
    while (!status && !good && !stopped &&
           (r->place != NF__ROUND_BEGINS || (!fit->out_of_time && fit->rounds < MOST_ROUNDS))) {
        if (r->place != NF__ROUND_ENDS) status = run_round(r, &stopped, error);
        if (!status)
            status = end_round(r, &good, &stopped, error);
        else
            forget_modes(fit);
        const bool stuck = fit->held < fit->start.modes || r->best.elbo - r->before < little;
        if (!status) status = nf__agree(o->pool, NULL, &now, error);
        const bool in_time = now - r->begun < late * o->budget;
        if (!status && !good && !stopped && in_time && stuck && fit->rounds < MOST_ROUNDS)
            status = begin_again(fit, r->target, o, error);
        r->place = NF__ROUND_BEGINS;
        if (status && isfinite(r->best.elbo)) restore(r);
    }
    if (good) fit->out_of_time = false;
    fit->report.outcome = stopped ? NF_STOPPED_BY_CALLER : good ? NF_STOPPED_EARLY : NF_FINISHED;
    return status;
}

ad_status nf_infer(const nf_target *target, const nf_infer_options *options, nf_inference *inference, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (inference) *inference = (nf_inference){0};
    const char *missing = !target ? "target" : !inference ? "inference" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "infer: %s is NULL", missing);
    ad_error own;
    char formula[NF_FORMULA_ROOM];
    if (!error) error = &own;
    nf_infer_options o = options ? *options : (nf_infer_options){0};
    double begun;
    resolve(&o);
    *inference = (nf_inference){
        .report = {.average_loss = NAN, .score = {0, NAN, NAN, NAN, NAN, NAN}, .best_loss = NAN, .step_ess = NAN}};
    const nf_start_options hunt = {o.searches, o.seed, o.pool, o.interrupted, o.context};
    ad_status status = nf__agree(o.pool, NULL, &begun, error);
    if (!status) status = nf_find_start(target, &hunt, &inference->start, error);
    if (status) return status;
    if (!o.formula) o.formula = nf_infer_formula(&inference->start, formula);
    inference->flow = nf_flow_parse(o.formula, inference->start.dim, 0, o.dtype, o.seed, error);
    if (!inference->flow) return error->status;
    if (nf_flow_is_stochastic(inference->flow))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "a fit without settings begins by likelihood, which a flow with steps that draw doesn't "
                            "have: fit it with settings (nf_vi(); --iters)");
    inference->mode = ad_alloc(inference->start.modes, sizeof *inference->mode);
    if (!inference->mode) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for modes");
    /* Searches that were interrupted found another start than there would be. */
    bool stopped = nf__vi_stops((nf__vi_stop){o.interrupted, o.context});
    double now = begun;
    status = nf__agree(o.pool, &stopped, &now, error);
    if (stopped) o.checkpoint = NULL;
    nf__rounds r = {.target = target, .o = &o, .fit = inference, .begun = begun, .clock = now};
    r.best = (nf__best_fit){.bytes = nf__parameter_bytes(inference->flow), .elbo = -INFINITY};
    bool resumed;
    if (status) return status;
    r.best.parameters = ad_alloc_aligned(r.best.bytes, 1);
    status = r.best.parameters ? nf__checkpoint_enter(o.checkpoint, "infer", nf__list_rounds, &r, &resumed, error)
                               : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the best parameters");
    if (!status && !resumed) status = nf__infer_begin(inference->flow, target, &inference->start, &o, error);
    if (!status) status = iterate(&r, error);
    nf__checkpoint_leave(o.checkpoint, &r);
    ad_free_aligned(r.best.parameters);
    return status;
}

void nf_inference_free(nf_inference *inference)
{
    if (!inference) return;
    nf_flow_free(inference->flow);
    nf_start_free(&inference->start);
    ad_free(inference->mode);
    ad_free(inference->report.history);
    *inference = (nf_inference){0};
}
