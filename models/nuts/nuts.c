/* Many chains of NUTS: the gradient of all is one run of a plan. */
#include "nuts/nuts_state.h"
#include "targets/event.h"
#include "training/clock.h"
#include "vi/inference.h"

#include <weir/environment.h>
#include <weir/nuts.h>
#include <weir/stochastic.h>

#include <math.h>
#include <string.h>

static ad_status resolve(nf_nuts_options *o, const nf_target *target, ad_error *error)
{
    if (!o->chains) o->chains = 4;
    if (!o->tune) o->tune = 1000;
    if (!o->draws) o->draws = 1000;
    if (o->target_accept == 0) o->target_accept = 0.8;
    if (!o->max_depth) o->max_depth = 10;
    if (o->flow) o->start = NULL;
    if (o->start && o->start->dim != nf_target_dim(target))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "the start has %zu features, but target '%s' has %zu",
                            o->start->dim, target->name, nf_target_dim(target));
    if (!(o->target_accept > 0 && o->target_accept < 1))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "target acceptance: expected between 0 and 1, got %g",
                            o->target_accept);
    if (o->max_depth > 24)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "max depth: expected at most 24, got %zu", o->max_depth);
    if (o->chains > UINT32_MAX || o->tune > UINT32_MAX / 2 || o->draws > UINT32_MAX / 2)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "expected less than 2^31 draws, got %zu + %zu of %zu chains",
                            o->tune, o->draws, o->chains);
    if (nf_flow_is_stochastic(o->flow))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "the flow has steps that draw: it is no map to precondition with");
    if (o->flow && nf__vi_check_sizes(o->flow, target, error)) return error->status;
    return AD_OK;
}

/* ---- Plans ----------------------------------------------------------------------------------------------------- */

/* Of z: log density and its gradient, for the chains; or log density, x and the sites' values, for their draws. */
static ad_plan *plan_of(const nf_target *target, const nf_flow *flow, bool of_draws, ad_var *z, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    *z = nf__target_event(target, tape);
    ad_var x = *z, log_det = ad_scalar(tape, 0), output[3];
    const nf_scope *at = flow ? nf_bind(nf_flow_bijector(flow), tape) : NULL;
    if (flow) x = nf_forward(at, *z, &log_det);
    ad_var log_density = ad_to_rows(nf_target_log_density(target, x));
    if (of_draws) {
        output[0] = log_density;
        output[1] = ad_to_rows(x);
        output[2] = ad_to_rows(nf_target_constrain(target, x));
    } else {
        output[0] = ad_add(log_density, log_det);
        output[1] = ad_grad1(output[0], *z);
    }
    ad_plan *plan = ad_plan_new(output, of_draws ? 3 : 2, &(ad_plan_options){.dtype = AD_F64}, error);
    /* The float64 values of the flow's parameters, whatever its dtype. */
    if (plan && flow) nf_bind_plan(at, plan);
    ad_tape_free(tape);
    return plan;
}

/* ---- Groups of chains, each with a plan of its own, for a thread each ------------------------------------------ */

enum { LEAST_ROWS = 16 }; /* a tile with fewer takes as long */

typedef struct {
    ad_plan *plan;
    nf__nuts_chain **chain; /* the first `active` are not done, and have the rows of their index */
    size_t count, active;
    double *q, *gradient, *log_density; /* (count, dim), (count, dim), (count) */
    ad_status status;
    ad_error error;
} group;

typedef struct {
    const nf_target *target;
    nf_nuts_options o;
    size_t dim;
    nf__share share;          /* this rank's chains */
    nf__nuts_chain *chain;    /* [share.end - share.first] */
    nf__nuts_chain **ordered; /* the same, as groups have them */
    group *group;
    size_t groups;
    nf_nuts_result *result;
    nf__nuts_work work; /* as checkpoints see it */
} sampler;

static size_t chains_here(const sampler *s)
{
    return s->share.end - s->share.first;
}

static void release(sampler *s)
{
    for (size_t i = 0; s->chain && i < chains_here(s); i++) nf__nuts_chain_free(&s->chain[i]);
    for (size_t i = 0; s->group && i < s->groups; i++) {
        ad_plan_free(s->group[i].plan);
        ad_free_aligned(s->group[i].q);
        ad_free_aligned(s->group[i].gradient);
        ad_free_aligned(s->group[i].log_density);
    }
    ad_free(s->chain);
    ad_free(s->ordered);
    ad_free(s->group);
}

static ad_status out_of_memory(const sampler *s, ad_error *error)
{
    return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu chains of %zu draws of %zu features",
                        s->o.chains, s->o.draws, s->dim);
}

static ad_status start_group(sampler *s, group *g, nf__nuts_chain **chain, size_t count, ad_error *error)
{
    ad_var z;
    *g = (group){.chain = chain, .count = count, .active = count};
    g->plan = plan_of(s->target, s->o.flow, false, &z, error);
    if (!g->plan) return error->status;
    g->q = ad_alloc_aligned(ad_shape_size(AD_SHAPE(count, s->dim)), sizeof(double));
    g->gradient = ad_alloc_aligned(ad_shape_size(AD_SHAPE(count, s->dim)), sizeof(double));
    g->log_density = ad_alloc_aligned(count, sizeof(double));
    if (!g->q || !g->gradient || !g->log_density) return out_of_memory(s, error);
    ad_plan_set_input(g->plan, z, g->q);
    ad_plan_set_output(g->plan, 0, g->log_density);
    ad_plan_set_output(g->plan, 1, g->gradient);
    for (size_t i = 0; i < count; i++) {
        nf__nuts_chain_bind(chain[i], g->q + i * s->dim, g->gradient + i * s->dim);
        nf__nuts_chain_start(chain[i]);
    }
    return AD_OK;
}

static ad_status start(sampler *s, ad_error *error)
{
    const size_t chains = chains_here(s), threads = (size_t)ad_pool_threads(s->o.pool);
    s->groups = (chains + LEAST_ROWS - 1) / LEAST_ROWS;
    if (s->groups > threads) s->groups = threads;
    s->group = ad_alloc(s->groups, sizeof *s->group);
    s->chain = ad_alloc(chains, sizeof *s->chain);
    s->ordered = ad_alloc(chains, sizeof *s->ordered);
    if (!s->group || !s->chain || !s->ordered) return out_of_memory(s, error);
    for (size_t i = 0; i < chains; i++) {
        s->ordered[i] = &s->chain[i];
        if (!nf__nuts_chain_new(&s->chain[i], &s->o, s->dim, s->share.first + i)) return out_of_memory(s, error);
    }
    for (size_t i = 0; i < s->groups; i++) {
        size_t first = i * chains / s->groups, end = (i + 1) * chains / s->groups;
        ad_status status = start_group(s, &s->group[i], s->ordered + first, end - first, error);
        if (status) return status;
    }
    return AD_OK;
}

static void keep_draw(sampler *s, const nf__nuts_chain *chain)
{
    if (chain->iteration <= s->o.tune) return;
    size_t row = (size_t)(chain->number * s->o.draws + chain->iteration - s->o.tune - 1);
    memcpy(s->result->unconstrained + row * s->dim, chain->draw.q, s->dim * sizeof(double));
    s->result->draw[row] = chain->outcome;
}

/* The last active chain takes the row of one that is done. */
static void leave_out(sampler *s, group *g, size_t row)
{
    size_t last = --g->active, dim = s->dim;
    nf__nuts_chain *done = g->chain[row];
    memcpy(g->q + row * dim, g->q + last * dim, dim * sizeof(double));
    g->chain[row] = g->chain[last];
    g->chain[last] = done;
    nf__nuts_chain_bind(g->chain[row], g->q + row * dim, g->gradient + row * dim);
}

/* A gradient for every chain of the group, and all that the chains do with it. */
static ad_status step(sampler *s, group *g, ad_error *error)
{
    ad_status status = ad_plan_run(g->plan, &(ad_run){.rows = g->active}, error);
    for (size_t i = 0; !status && i < g->active; i++) {
        bool drawn, starts = g->chain[i]->phase == NF_CHAIN_STARTS;
        status = nf__nuts_chain_advance(g->chain[i], g->log_density[i], &drawn, error);
        if (drawn) keep_draw(s, g->chain[i]);
        /* where the first chain starts; behind a flow it was checked when that was fitted */
        if (!status && starts && g->chain[i]->phase != NF_CHAIN_STARTS && g->chain[i]->number == 0 && !s->o.flow)
            status = nf_target_check_gradient(s->target, g->chain[i]->draw.q, 1, error);
    }
    for (size_t i = g->active; !status && i-- > 0;)
        if (g->chain[i]->phase == NF_CHAIN_DONE) leave_out(s, g, i);
    return status;
}

/* Where a checkpoint has chains, with these. */
static ad_status go_on(sampler *s, ad_error *error)
{
    bool resumed;
    ad_status status = nf__nuts_enter(&s->work, &resumed, error);
    for (size_t i = 0; i < s->groups && !status && resumed; i++)
        for (size_t row = s->group[i].active; row-- > 0;)
            if (s->group[i].chain[row]->phase == NF_CHAIN_DONE) leave_out(s, &s->group[i], row);
    return status;
}

static const double round_seconds = 0.05;

static void run_group(void *context, size_t index, int worker)
{
    (void)worker;
    sampler *s = context;
    group *g = &s->group[index];
    double end = nf__clock() + round_seconds;
    while (!g->status && g->active > 0 && nf__clock() < end) g->status = step(s, g, &g->error);
}

/* ---- All of it --------------------------------------------------------------------------------------------------- */

/* Where no start was found, the name of what isn't finite. */
static void explain(group *g, ad_error *error)
{
    ad_error cause = {AD_OK, ""};
    char message[sizeof error->message];
    bool starting = false;
    for (size_t i = 0; i < g->active; i++) starting |= g->chain[i]->phase == NF_CHAIN_STARTS;
    if (!starting) return;
    if (ad_plan_run(g->plan, &(ad_run){.rows = g->active, .find_nan = true}, &cause) != AD_ERROR_NUMERIC) return;
    snprintf(message, sizeof message, "%.500s: %.500s", error->message, cause.message);
    ad_error_set(error, AD_ERROR_NUMERIC, "%s", message);
}

/* How far this rank's chains are. */
typedef struct {
    size_t active, draws, tuning, gradients, divergent;
} reached;

static reached reached_here(const sampler *s)
{
    reached r = {0};
    for (size_t i = 0; i < s->groups; i++) r.active += s->group[i].active;
    for (size_t c = 0; c < chains_here(s); c++) {
        const nf__nuts_chain *chain = &s->chain[c];
        r.gradients += chain->gradients;
        r.draws += chain->iteration;
        r.tuning += chain->iteration < s->o.tune;
        r.divergent += chain->divergent;
    }
    return r;
}

/* How far all of them are, those of other ranks too. */
static ad_status progress_of(const sampler *s, nf_nuts_progress *p, size_t *active, ad_error *error)
{
    const size_t ranks = (size_t)nf__ranks(s->o.pool);
    reached *each = ad_alloc(ranks, sizeof *each);
    if (!each) return out_of_memory(s, error);
    each[nf__rank(s->o.pool)] = reached_here(s);
    const ad_status status = nf__gather(s->o.pool, each, ranks, sizeof *each, error);
    *p =
        (nf_nuts_progress){.all_draws = s->o.chains * (s->o.tune + s->o.draws), .seconds = nf__clock() - s->work.began};
    *active = 0;
    for (size_t r = 0; r < ranks && !status; r++) {
        *active += each[r].active;
        p->draws += each[r].draws;
        p->tuning += each[r].tuning;
        p->gradients += each[r].gradients;
        p->divergent += each[r].divergent;
    }
    ad_free(each);
    return status;
}

static ad_status failure_here(sampler *s, ad_error *error)
{
    for (size_t i = 0; i < s->groups; i++) {
        if (!s->group[i].status) continue;
        *error = s->group[i].error;
        explain(&s->group[i], error);
        return error->status;
    }
    return AD_OK;
}

static ad_status run_chains(sampler *s, ad_error *error)
{
    for (bool stop = false;;) {
        size_t active = 0;
        nf_nuts_progress progress;
        ad_pool_run(s->o.pool, s->groups, run_group, s);
        ad_status status = nf__agree_on_failure(s->o.pool, failure_here(s, error), error);
        if (!status) status = progress_of(s, &progress, &active, error);
        if (status) return status;
        s->result->gradients = progress.gradients;
        stop = (s->o.progress && !s->o.progress(s->o.context, &progress)) ||
               (s->o.interrupted && s->o.interrupted(s->o.context));
        if (active == 0) return AD_OK;
        status = nf__agree(s->o.pool, &stop, NULL, error);
        s->result->stopped = stop;
        if (!status) status = nf__nuts_write(&s->work, stop, error);
        if (status || stop) return status;
    }
}

/* As many draws as the shortest chain has, on all ranks. */
static ad_status find_shortest(sampler *s, ad_error *error)
{
    const size_t ranks = (size_t)nf__ranks(s->o.pool);
    size_t *least = ad_alloc(ranks, sizeof *least), here = s->o.draws;
    if (!least) return out_of_memory(s, error);
    for (size_t c = 0; c < chains_here(s); c++) {
        const size_t iteration = s->chain[c].iteration, done = iteration > s->o.tune ? iteration - s->o.tune : 0;
        if (done < here) here = done;
    }
    least[nf__rank(s->o.pool)] = here;
    const ad_status status = nf__gather(s->o.pool, least, ranks, sizeof *least, error);
    s->result->draws = here;
    for (size_t r = 0; r < ranks && !status; r++)
        if (least[r] < s->result->draws) s->result->draws = least[r];
    ad_free(least);
    return status;
}

/* What chains have in common, where they were stopped; then each rank gets the chains of all. */
static ad_status close_up(sampler *s, ad_error *error)
{
    nf_nuts_result *r = s->result;
    ad_pool *pool = s->o.pool;
    ad_status status = find_shortest(s, error);
    for (size_t c = s->share.first; c < s->share.end && !status; c++) {
        r->step_size[c] = s->chain[c - s->share.first].step_size;
        memmove(r->unconstrained + c * r->draws * r->dim, r->unconstrained + c * s->o.draws * r->dim,
                r->draws * r->dim * sizeof(double));
        memmove(r->draw + c * r->draws, r->draw + c * s->o.draws, r->draws * sizeof *r->draw);
    }
    if (!status) status = nf__gather(pool, r->step_size, r->chains, sizeof *r->step_size, error);
    if (!status)
        status = nf__gather(pool, r->unconstrained, r->chains, r->draws * r->dim * sizeof *r->unconstrained, error);
    return status ? status : nf__gather(pool, r->draw, r->chains, r->draws * sizeof *r->draw, error);
}

/* From z, which the chains left in `unconstrained`, to x and the sites' values. */
static ad_status constrain(sampler *s, ad_error *error)
{
    nf_nuts_result *r = s->result;
    size_t rows = r->chains * r->draws;
    if (rows == 0) return AD_OK;
    ad_var z;
    ad_plan *plan = plan_of(s->target, s->o.flow, true, &z, error);
    if (!plan) return error->status;
    ad_status status = AD_OK;
    double *x = ad_alloc(rows, r->dim * sizeof *x), *log_density = ad_alloc(rows, sizeof *log_density);
    r->values = ad_alloc(ad_shape_size(AD_SHAPE(rows, r->size)), sizeof *r->values);
    if (x && log_density && r->values) {
        ad_plan_set_input(plan, z, r->unconstrained);
        ad_plan_set_output(plan, 0, log_density);
        ad_plan_set_output(plan, 1, x);
        ad_plan_set_output(plan, 2, r->values);
        status = ad_plan_run(plan, &(ad_run){.rows = rows, .pool = s->o.pool}, error);
    } else {
        status = out_of_memory(s, error);
    }
    if (!status) {
        memcpy(r->unconstrained, x, rows * r->dim * sizeof *x);
        for (size_t i = 0; i < rows; i++) r->draw[i].log_density = log_density[i];
    }
    ad_free(x);
    ad_free(log_density);
    ad_plan_free(plan);
    return status;
}

static double bfmi_of(const nf_nuts_draw *draw, size_t draws)
{
    double mean = 0, changes = 0, squares = 0;
    for (size_t i = 0; i < draws; i++) mean += draw[i].energy / (double)draws;
    for (size_t i = 0; i < draws; i++) {
        double difference = draw[i].energy - mean, change = i ? draw[i].energy - draw[i - 1].energy : 0;
        squares += difference * difference;
        changes += change * change;
    }
    return changes / squares;
}

static void tell(sampler *s)
{
    nf_nuts_result *r = s->result;
    size_t rows = r->chains * r->draws;
    for (size_t c = 0; c < r->chains; c++) r->bfmi[c] = bfmi_of(r->draw + c * r->draws, r->draws);
    for (size_t i = 0; i < rows; i++) {
        r->acceptance += r->draw[i].acceptance / (double)rows;
        r->divergent += r->draw[i].divergent;
        r->cut_off += r->draw[i].depth == s->o.max_depth;
    }
}

static ad_status allocate(sampler *s, ad_error *error)
{
    nf_nuts_result *r = s->result;
    *r = (nf_nuts_result){.chains = s->o.chains, .dim = s->dim, .size = nf_target_size(s->target)};
    r->unconstrained = ad_alloc(ad_shape_size(AD_SHAPE(r->chains, s->o.draws, r->dim)), sizeof *r->unconstrained);
    r->draw = ad_alloc(ad_shape_size(AD_SHAPE(r->chains, s->o.draws)), sizeof *r->draw);
    r->step_size = ad_alloc(r->chains, sizeof *r->step_size);
    r->bfmi = ad_alloc(r->chains, sizeof *r->bfmi);
    return r->unconstrained && r->draw && r->step_size && r->bfmi ? AD_OK : out_of_memory(s, error);
}

ad_status nf_nuts(const nf_target *target, const nf_nuts_options *options, nf_nuts_result *result, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (result) *result = (nf_nuts_result){0};
    const char *missing = !target ? "target" : !result ? "result" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "nuts: %s is NULL", missing);
    ad_error ignored;
    if (!error) error = &ignored;
    sampler s = {.target = target,
                 .o = options ? *options : (nf_nuts_options){0},
                 .dim = nf_target_dim(target),
                 .result = result,
                 .work.began = nf__clock()};
    ad_status status = resolve(&s.o, target, error);
    s.share = nf__share_of(s.o.pool, s.o.chains);
    if (!status) status = allocate(&s, error);
    /* A rank without chains hasn't planned anything that could fail. */
    if (!status) status = nf__agree_on_failure(s.o.pool, start(&s, error), error);
    s.work = (nf__nuts_work){target, &s.o, s.share, s.chain, result, s.work.began, NULL, 0};
    if (!status) status = nf__agree_on_failure(s.o.pool, go_on(&s, error), error);
    if (!status) status = run_chains(&s, error);
    nf__nuts_leave(&s.work);
    if (!status) status = close_up(&s, error);
    if (!status) {
        tell(&s);
        status = constrain(&s, error);
    }
    result->seconds = nf__clock() - s.work.began;
    release(&s);
    if (status) nf_nuts_free(result);
    return status;
}

void nf_nuts_free(nf_nuts_result *result)
{
    if (!result) return;
    ad_free(result->values);
    ad_free(result->unconstrained);
    ad_free(result->draw);
    ad_free(result->step_size);
    ad_free(result->bfmi);
    *result = (nf_nuts_result){0};
}
