/* Variational inference: the loop. */
#include "checkpoint/work.h"
#include "training/clock.h"
#include "vi/inference.h"
#include "vi/objective.h"

#include <weir/environment.h>
#include <weir/stochastic.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { WINDOW = 1000, POINTS = 500 };

static const double progress_seconds = 0.05;

typedef struct {
    nf_vi_options o;
    nf_flow *flow;
    nf__vi_objective objective;
    nf__loop loop;
    /* [WINDOW], of the last iterations, at iteration % WINDOW: losses, and what their weights were worth. */
    double *recent, *recent_ess;
    void *before; /* parameters before the point to come: its mean loss speaks for them, and not for what follows */
    double best_loss, best_beta;
    nf_vi_point point;     /* sums, of the point to come */
    size_t in_point, room; /* iterations in it; points in the history at most */
    nf_vi_progress now;
    double told;
    double spent; /* seconds, in a checkpoint */
    nf_vi_report *report;
} inference;

/* ---- Before the first step ------------------------------------------------------------------------------------ */

static ad_status resolve(nf_vi_options *o, nf_objective *objective, ad_error *error)
{
    if (!o->iters) o->iters = 10000;
    if (!o->mc) o->mc = 100;
    if (!o->importance) o->importance = 8;
    if (!o->draws) o->draws = 20000;
    if (o->beta == 0) o->beta = 1;
    if (o->beta_start == 0) o->beta_start = 0.01;
    if (!(o->beta > 0) || !(o->beta_start > 0) || !isfinite(o->beta + o->beta_start))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "beta: expected positive numbers, got %g, from %g on", o->beta,
                            o->beta_start);
    if (!(o->jitter >= 0) || !isfinite(o->jitter))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "jitter: expected 0 or more, got %g", o->jitter);
    if (o->mc >= UINT32_MAX / o->importance)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "mc: expected fewer than 2^32 draws a step, got %zu of %zu",
                            o->mc, o->importance);
    if (!o->schedule) o->schedule = "constant";
    return nf_objective_parse(o->objective ? o->objective : "elbo", objective, error);
}

/* Noise that no draw has. */
static const uint64_t jitter_stream = (uint64_t)1 << 40;

typedef struct {
    double sd;
    uint64_t seed, element;
} noise;

static bool jitter_one(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    noise *n = context;
    const bool random = parameter->spec.init != NF_INIT_CONSTANT;
    for (size_t i = 0; i < ad_shape_size(parameter->spec.shape) && !parameter->spec.fixed; i++) {
        double *value = &parameter->value[i];
        *value = (random ? 0 : *value) + n->sd * ad_random_normal(n->seed, jitter_stream, n->element++);
    }
    return true;
}

/* In the place of random values, on top of others. */
static void jitter(const inference *v)
{
    if (v->o.jitter == 0) return;
    nf_flow_pull(v->flow);
    nf_flow_each_parameter(v->flow, jitter_one, &(noise){v->o.jitter, v->o.seed, 0});
    nf_flow_push(v->flow);
}

/* ---- What it goes on from -------------------------------------------------------------------------------------- */

static void list_settings(const inference *v, nf__state *state)
{
    const nf_vi_options *o = &v->o;
    nf__flow_settings(v->flow, state);
    nf__target_settings(v->objective.target, state);
    nf__state_setting(state, "objective", "%s", v->objective.what.type->name);
    for (size_t i = 0; v->objective.what.type->argument && v->objective.what.type->argument[i].name; i++)
        nf__state_number(state, v->objective.what.type->argument[i].name, v->objective.what.argument[i]);
    nf__state_setting(state, "number of iterations", "%zu", o->iters);
    nf__state_setting(state, "draws a step", "%zu", o->mc);
    nf__state_setting(state, "draws in a group", "%zu", o->importance);
    nf__state_number(state, "beta", o->beta);
    nf__state_number(state, "beta at first", o->beta_start);
    nf__state_setting(state, "iterations of annealing", "%zu", o->anneal);
    nf__state_number(state, "jitter", o->jitter);
    nf__optimizer_settings(v->loop.optimizer, state);
    nf__state_setting(state, "schedule", "%s", o->schedule);
    nf__state_setting(state, "warmup", "%zu", o->warmup);
    nf__state_setting(state, "draws for the scores", "%zu", o->draws);
    nf__state_setting(state, "seed", "%" PRIu64, o->seed);
}

static const nf__field inference_fields[] = {
    NF__FIELD(inference, best_loss, NF__NUMBER),  NF__FIELD(inference, best_beta, NF__NUMBER),
    NF__FIELD(inference, point.loss, NF__NUMBER), NF__FIELD(inference, point.gradient_norm, NF__NUMBER),
    NF__FIELD(inference, in_point, NF__COUNT),    NF__FIELD(inference, now.iteration, NF__COUNT),
    NF__FIELD(inference, now.loss, NF__NUMBER),   NF__FIELD(inference, now.learning_rate, NF__NUMBER),
    NF__FIELD(inference, spent, NF__NUMBER),
};
#define FIELDS(table) table, sizeof table / sizeof *table

static void list(void *context, nf__state *state)
{
    inference *v = context;
    const size_t count = nf_flow_trained_elements(v->flow) + nf_flow_fixed_elements(v->flow);
    const double now = nf__clock();
    v->spent = now - v->loop.started;
    list_settings(v, state);
    nf__loop_list(&v->loop, state);
    nf__state_array(state, "before", nf_flow_dtype(v->flow), v->before, count);
    nf__state_array(state, "recent", AD_F64, v->recent, WINDOW);
    nf__state_array(state, "recent ESS", AD_F64, v->recent_ess, WINDOW);
    const size_t points = nf__state_size(state, "history", v->report->n_history);
    if (points > v->room)
        nf__state_fail(state, AD_ERROR_FORMAT, "its history is too long");
    else
        v->report->n_history = points;
    nf__point_list(v->report->history, points, state);
    nf__callbacks_list(v->o.callbacks, nf_flow_trained_elements(v->flow), state);
    nf__state_structs(state, "inference", FIELDS(inference_fields), v, sizeof *v, 1);
    v->loop.started = now - v->spent;
}

/* ---- The start -------------------------------------------------------------------------------------------------- */

static ad_status start(inference *v, const nf_target *target, ad_error *error)
{
    nf_objective objective;
    ad_status status = resolve(&v->o, &objective, error);
    if (status == AD_OK) status = nf__loop_open(&v->loop, &v->o.optimizer, NULL, v->o.schedule, error);
    if (status != AD_OK) return status;
    if (v->loop.schedule.type->adapt)
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "the schedule %s goes by a validation loss, which inference doesn't have: expected another, "
            "such as cosine",
            v->loop.schedule.type->name);
    jitter(v);
    if (nf_flow_is_stochastic(v->flow)) nf_flow_set_target(v->flow, target);
    status = nf__vi_check(v->flow, target, v->o.seed, error);
    if (status != AD_OK) return status;
    const bool grouped = objective.type->groups;
    const size_t rows = v->o.mc * (grouped ? v->o.importance : 1);
    v->objective = (nf__vi_objective){.loop = &v->loop,
                                      .flow = v->flow,
                                      .target = target,
                                      .what = objective,
                                      .rows = rows,
                                      .group = grouped ? v->o.importance : rows,
                                      .tempered = v->o.anneal > 0 || v->o.beta != 1};
    status = nf__vi_objective_open(&v->objective, error);
    if (status != AD_OK) return status;
    size_t interval = (v->o.iters + POINTS - 1) / POINTS;
    v->recent = ad_alloc(2 * WINDOW, sizeof *v->recent);
    v->recent_ess = v->recent ? v->recent + WINDOW : NULL;
    v->before = ad_alloc_aligned(nf__parameter_bytes(v->flow), 1);
    v->room = v->o.iters / interval + 1;
    v->report->history = ad_alloc(v->room, sizeof *v->report->history);
    if (!v->recent || !v->before || !v->report->history)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for variational inference");
    memcpy(v->before, nf_flow_parameters(v->flow), nf__parameter_bytes(v->flow));
    nf__loop_keep(&v->loop, v->before);
    v->best_loss = INFINITY;
    v->now.iterations = v->o.iters;
    bool resumed;
    return nf__checkpoint_enter(v->o.checkpoint, "vi", list, v, &resumed, error);
}

/* ---- The loop ------------------------------------------------------------------------------------------------- */

/* How many of the last iterations are kept and can be averaged: losses of another β, while it grew, are of something
 * else. */
static size_t averaged(const inference *v)
{
    const size_t done = v->now.iteration, grown = done > v->o.anneal ? done - v->o.anneal : done;
    return grown < WINDOW ? grown : WINDOW;
}

static double mean_of_recent(const inference *v, const double *recent)
{
    const size_t done = v->now.iteration, n = averaged(v);
    double sum = 0;
    for (size_t i = done - n; i < done; i++) sum += recent[i % WINDOW];
    return sum / (double)n;
}

static ad_status diverged(inference *v, size_t iteration, const char *how, ad_error *error)
{
    v->report->outcome = NF_DIVERGED;
    return ad_error_set(error, AD_ERROR_NUMERIC,
                        "the fit diverged at iteration %zu: %s; the best parameters so far are kept; try a smaller "
                        "learning rate (it was %g), clipping, or more draws a step",
                        iteration, how, nf_optimizer_settings(v->loop.optimizer)->learning_rate);
}

static ad_status run_step(void *context, const ad_run *run, ad_error *error)
{
    double ignored;
    return nf__vi_objective_run(&((inference *)context)->objective, run, &ignored, error);
}

/* With what made the first NaN. */
static ad_status diverged_in(inference *v, const ad_run *run, double loss, ad_error *error)
{
    static const char beyond[] = "the flow reaches beyond the target's support; declare the sites' constraints, or ";
    const bool groups = v->objective.what.type->groups;
    char how[800];
    if (loss == INFINITY && v->objective.beyond)
        snprintf(how, sizeof how, "the log-density is -inf at all %zu draws of a %s: %stake more draws a %s",
                 v->objective.group, groups ? "group" : "step", beyond, groups ? "group (importance)" : "step");
    else if (loss == INFINITY)
        snprintf(how, sizeof how, "the log-density is -inf at a draw: %sminimise iwae%s", beyond,
                 nf_flow_is_stochastic(v->flow) ? "" : ", dreg, forward, cubo, or renyi with alpha below 1");
    else
        nf__loop_explain(&v->loop, loss, run_step, v, run, how);
    return diverged(v, v->now.iteration + 1, how, error);
}

/* A point of the history is complete. */
static ad_status add_point(inference *v, ad_error *error)
{
    const void *w = nf_flow_parameters(v->flow);
    const size_t count = nf_flow_trained_elements(v->flow);
    const ad_dtype dtype = nf_flow_dtype(v->flow);
    double squares = 0, n = (double)v->in_point;
    for (size_t i = 0; i < count; i++) {
        double element = ad_element(dtype, w, i);
        squares += element * element;
    }
    nf_vi_point point = {v->now.iteration, v->point.loss / n, v->point.gradient_norm / n, sqrt(squares),
                         v->objective.beta};
    v->report->history[v->report->n_history++] = point;
    v->point = (nf_vi_point){0};
    v->in_point = 0;
    if (!isfinite(squares)) return diverged(v, v->now.iteration, "its parameters are not finite", error);
    if (point.loss < v->best_loss || point.beta != v->best_beta) {
        v->best_loss = point.loss;
        v->best_beta = point.beta;
        nf__loop_keep(&v->loop, v->before);
    }
    memcpy(v->before, w, nf__parameter_bytes(v->flow));
    return AD_OK;
}

static ad_status step(inference *v, ad_error *error)
{
    const nf_vi_options *o = &v->o;
    double loss, grown = (double)(v->now.iteration + 1) / (double)o->anneal;
    v->objective.beta = v->now.iteration < o->anneal ? o->beta_start + (o->beta - o->beta_start) * grown : o->beta;
    v->now.learning_rate = nf__loop_rate(&v->loop, v->now.iteration, o->iters, 0, 1);
    const ad_run run = {.rows = v->objective.rows,
                        .seed = o->seed,
                        .step = nf_optimizer_steps(v->loop.optimizer) % UINT32_MAX,
                        .pool = o->pool};
    ad_status status = nf__vi_objective_run(&v->objective, &run, &loss, error);
    if (status != AD_OK) return status;
    status = isfinite(loss) ? nf__loop_step(&v->loop, NULL, 0, error) : AD_ERROR_NUMERIC;
    if (status == AD_ERROR_NUMERIC) return diverged_in(v, &run, loss, error);
    if (status != AD_OK) return status;
    v->recent[v->now.iteration % WINDOW] = loss;
    v->recent_ess[v->now.iteration % WINDOW] = v->objective.ess;
    v->now.iteration++;
    v->point.loss += loss;
    v->point.gradient_norm += v->loop.norm;
    v->in_point++;
    v->now.loss = loss;
    return AD_OK;
}

static bool tell(inference *v)
{
    double time = nf__clock();
    if (!v->o.progress || time - v->told < progress_seconds) return true;
    double loss = v->now.loss;
    v->told = time;
    v->now.seconds = time - v->loop.started;
    v->now.loss = mean_of_recent(v, v->recent);
    bool go_on = v->o.progress(v->o.context, &v->now);
    v->now.loss = loss;
    return go_on;
}

/* Does anybody want to stop? */
static ad_status ask(inference *v, bool *stop, ad_error *error)
{
    *stop = !tell(v);
    return nf__loop_ask(&v->loop, v->now.iteration, v->now.loss, stop, error);
}

/* Of all draws of a step as one group: an estimate within a logarithm, or of a normalising constant, that hangs on a
 * few of them is far off, and always to the same side. */
static void tell_weights(inference *v)
{
    enum { FEW = 10 };
    const nf__vi_objective *o = &v->objective;
    nf_vi_report *report = v->report;
    if (!o->what.type->weigh || !v->now.iteration) return;
    report->step_ess = mean_of_recent(v, v->recent_ess);
    if (o->what.type->groups || report->step_ess >= fmin(FEW, (double)o->rows / 2)) return;
    snprintf(
        report->warning, sizeof report->warning,
        "the weights of %.60s are worth %.1f of %zu draws a step: its loss and gradients hang on these few and mean "
        "little; take more draws a step, or begin nearer to the target, with a fit by elbo",
        o->what.type->name, report->step_ess, o->rows);
}

/* Where q = p. */
static double best_loss(const inference *v)
{
    const double log_z = v->o.beta == 1 ? v->objective.target->log_z : NAN;
    const nf_best_loss best = v->objective.what.type->best;
    if (isnan(log_z) || best == NF_BEST_LOG_Z) return log_z;
    return best == NF_BEST_TWICE_LOG_Z ? 2 * log_z : best == NF_BEST_ZERO ? 0 : 0 - log_z;
}

static ad_status iterate(inference *v, ad_error *error)
{
    const size_t interval = (v->o.iters + POINTS - 1) / POINTS;
    ad_status status = AD_OK;
    bool stop = false;
    while (v->now.iteration < v->o.iters && status == AD_OK && !stop) {
        status = step(v, error);
        if (status != AD_OK) break;
        status = ask(v, &stop, error);
        if (status != AD_OK) break;
        if (v->in_point == interval || v->now.iteration == v->o.iters) status = add_point(v, error);
        if (status != AD_OK) break;
        /* Before a point is cut short, which would else be longer. */
        nf__loop_checkpoint(&v->loop, v->o.checkpoint, stop);
        if (stop && v->in_point > 0) status = add_point(v, error);
    }
    if (status == AD_OK && stop && v->now.iteration < v->o.iters) v->report->outcome = NF_STOPPED_BY_CALLER;
    if (v->report->outcome == NF_DIVERGED) nf__loop_restore(&v->loop);
    nf_flow_pull(v->flow);
    v->report->iterations = v->now.iteration;
    v->report->averaged = averaged(v);
    v->report->average_loss = mean_of_recent(v, v->recent);
    tell_weights(v);
    return status;
}

ad_status nf_vi(nf_flow *flow, const nf_target *target, const nf_vi_options *options, nf_vi_report *report,
                ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (report) *report = (nf_vi_report){0};
    const char *missing = !flow ? "flow" : !target ? "target" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "vi: %s is NULL", missing);
    ad_error own, unscored;
    nf_vi_report unwanted;
    inference v = {.o = options ? *options : (nf_vi_options){0}, .flow = flow, .report = report ? report : &unwanted};
    v.loop = (nf__loop){.flow = flow,
                        .pool = v.o.pool,
                        .resume = v.o.resume,
                        .warmup = v.o.warmup,
                        .callbacks = v.o.callbacks,
                        .interrupted = v.o.interrupted,
                        .context = v.o.context};
    if (!error) error = &own;
    *v.report = (nf_vi_report){.outcome = NF_FINISHED,
                               .average_loss = NAN,
                               .score = {0, NAN, NAN, NAN, NAN, NAN},
                               .best_loss = NAN,
                               .step_ess = NAN};
    ad_status status = start(&v, target, error);
    bool started = status == AD_OK;
    if (started) v.report->best_loss = best_loss(&v);
    if (started) status = iterate(&v, error);
    v.report->seconds = nf__clock() - v.loop.started;
    nf__checkpoint_leave(v.o.checkpoint, &v);
    nf__vi_objective_close(&v.objective);
    nf__loop_close(&v.loop);
    if (started && report) {
        const nf__vi_stop stop = {v.o.interrupted, v.o.context};
        bool hurried = report->outcome == NF_STOPPED_BY_CALLER && nf__vi_stops(stop);
        ad_error *told = status == AD_OK ? error : &unscored;
        ad_status scored = nf__agree(v.o.pool, &hurried, NULL, told);
        if (scored == AD_OK)
            scored = nf__vi_evaluate(flow, target, hurried ? nf__vi_few(v.o.draws, v.o.mc) : v.o.draws, v.o.seed,
                                     &report->score, hurried ? (nf__vi_stop){NULL} : stop, v.o.pool, told);
        if (status == AD_OK) status = scored;
    }
    ad_free_aligned(v.before);
    ad_free(v.recent);
    if (!report) ad_free(unwanted.history);
    return status;
}
