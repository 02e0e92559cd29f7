/* Variational inference without settings: one round after the other. */
#include "ranks/ranks.h"
#include "training/loop.h"
#include "vi/infer.h"
#include "vi/inference.h"

#include <weir/environment.h>

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

/* The best parameters so far, by the ELBO of SCORE_DRAWS draws. */
typedef struct {
    void *parameters;
    size_t bytes;
    double elbo;
} best_fit;

/* The flow's score by so many draws; by few once it is interrupted, which *stopped tells. */
static ad_status evaluate(const nf_inference *fit, const nf_target *target, const nf_infer_options *o, size_t draws,
                          uint64_t seed, nf_vi_score *score, bool *stopped, ad_error *error)
{
    const nf__vi_stop stop = {o->interrupted, o->context}, none = {NULL};
    *score = (nf_vi_score){0};
    ad_status status = *stopped ? AD_OK : nf__vi_evaluate(fit->flow, target, draws, seed, score, stop, o->pool, error);
    if (status || score->draws > 0) return status;
    *stopped = true;
    return nf__vi_evaluate(fit->flow, target, nf__vi_few(draws, o->mc), seed, score, none, o->pool, error);
}

static ad_status keep_better(const nf_inference *fit, const nf_target *target, const nf_infer_options *o,
                             best_fit *best, nf_vi_score *now, bool *stopped, ad_error *error)
{
    ad_status status = evaluate(fit, target, o, SCORE_DRAWS, o->seed + 1, now, stopped, error);
    if (status || !(now->elbo > best->elbo)) return status;
    best->elbo = now->elbo;
    memcpy(best->parameters, nf_flow_parameters(fit->flow), best->bytes);
    return AD_OK;
}

static void restore(nf_inference *fit, const best_fit *best)
{
    memcpy(nf_flow_parameters(fit->flow), best->parameters, best->bytes);
    nf_flow_pull(fit->flow);
}

/* All learning rates, from the first on. Draws with good weights have the target's own mass in their average: where the
 * flow is near, `forward` makes the tails agree, of which the ELBO feels little. Far from it, its weights are those of
 * a few draws. */
static ad_status run_round(nf_inference *fit, const nf_target *target, const nf_infer_options *o, double deadline,
                           best_fit *best, bool *stopped, ad_error *error)
{
    const double near = 0.2;
    double rate = first_rate / (fit->rounds ? 2 : 1);
    int diverged = 0;
    nf_vi_score now;
    ad_status status = keep_better(fit, target, o, best, &now, stopped, error);
    for (int i = 0; i < RATES && !status && !*stopped && !fit->out_of_time; i++, rate *= fall) {
        const bool forward = i >= ELBO_RATES && now.khat < 0.7 && now.log_z - now.elbo < near;
        const nf__stage stage = {.learning_rate = rate,
                                 .mc = o->mc << (fit->rounds < 4 ? fit->rounds : 4),
                                 .least = i == 0 ? 1500 : 600,
                                 .objective = forward ? "forward" : "elbo",
                                 .offset = forward ? -now.log_z : 0,
                                 .deadline = deadline,
                                 .seed = o->seed + fit->report.iterations};
        status = nf__infer_descend(fit, target, o, &stage, stopped, error);
        /* The best parameters are kept, and a smaller rate follows. */
        if (status == AD_ERROR_NUMERIC && ++diverged < MOST_DIVERGED) status = AD_OK;
        if (!status) status = keep_better(fit, target, o, best, &now, stopped, error);
    }
    /* What `forward` costs the ELBO is little; what an accident has cost is much, and more than the noise of few draws.
     */
    const double little = 0.02 + (*stopped ? 4 * now.elbo_stderr : 0);
    if (!(now.elbo > best->elbo - little)) restore(fit, best);
    fit->rounds++;
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

/* A round that has brought little is followed by one that begins anew; the best of them by the ELBO is kept. */
static ad_status iterate(nf_inference *fit, const nf_target *target, const nf_infer_options *o, double begun,
                         ad_error *error)
{
    const double little = 0.05, late = 0.7; /* another start takes its time */
    bool stopped = false, good = false;
    best_fit best = {.bytes = nf__parameter_bytes(fit->flow), .elbo = -INFINITY};
    best.parameters = ad_alloc_aligned(best.bytes, 1);
    ad_status status =
        best.parameters ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the best parameters");
    while (!status && !good && !stopped && !fit->out_of_time && fit->rounds < MOST_ROUNDS) {
        const double before = best.elbo;
        double now = begun;
        status = run_round(fit, target, o, begun + o->budget, &best, &stopped, error);
        if (!status) status = nf__agree(o->pool, NULL, &now, error);
        fit->report.seconds = now - begun;
        if (!status && !stopped)
            status = nf_infer_modes(fit->flow, target, &fit->start, o->seed, fit->mode, &fit->held, o->pool, error);
        else
            forget_modes(fit);
        if (!status) status = evaluate(fit, target, o, o->draws, o->seed, &fit->report.score, &stopped, error);
        fit->report.average_loss = -fit->report.score.elbo;
        good = !status && is_good(fit, target);
        const bool stuck = fit->held < fit->start.modes || best.elbo - before < little;
        if (!status) status = nf__agree(o->pool, NULL, &now, error);
        const bool in_time = now - begun < late * o->budget;
        if (!status && !good && !stopped && in_time && stuck && fit->rounds < MOST_ROUNDS)
            status = begin_again(fit, target, o, error);
        if (status && isfinite(best.elbo)) restore(fit, &best);
    }
    ad_free_aligned(best.parameters);
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
    *inference = (nf_inference){.report = {.average_loss = NAN, .score = {0, NAN, NAN, NAN, NAN, NAN}}};
    const nf_start_options hunt = {o.searches, o.seed, o.pool, o.interrupted, o.context};
    ad_status status = nf__agree(o.pool, NULL, &begun, error);
    if (!status) status = nf_find_start(target, &hunt, &inference->start, error);
    if (status) return status;
    if (!o.formula) o.formula = nf_infer_formula(&inference->start, formula);
    inference->flow = nf_flow_parse(o.formula, inference->start.dim, 0, o.dtype, o.seed, error);
    if (!inference->flow) return error->status;
    inference->mode = ad_alloc(inference->start.modes, sizeof *inference->mode);
    if (!inference->mode) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for modes");
    status = nf__infer_begin(inference->flow, target, &inference->start, &o, error);
    return status ? status : iterate(inference, target, &o, begun, error);
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
