/* One chain of NUTS: Hoffman & Gelman 2014, "The No-U-Turn Sampler"; with multinomial sampling and the generalised
 * U-turn of Betancourt 2017, "A Conceptual Introduction to Hamiltonian Monte Carlo", as in Stan. */
#include "nuts/metric.h"
#include "nuts/nuts_chain.h"
#include "start/normal.h"
#include "nuts/nuts_tree.h"
#include "nuts/warmup.h"

#include <weir/nuts.h>

#include <math.h>
#include <string.h>

/* ---- Random numbers: a function of seed, chain, iteration, what they are for, and which of those --------------- */

enum { MOMENTUM, DIRECTION, AMONG_STATES, AMONG_SUBTREES, START, SEARCH };

static uint64_t stream_of(const nf__nuts_chain *c)
{
    return c->number << 32 | c->iteration;
}

static double uniform(const nf__nuts_chain *c, uint64_t purpose, uint64_t i)
{
    return ad_random_uniform(c->options->seed, stream_of(c), purpose << 48 | i);
}

/* ---- States ---------------------------------------------------------------------------------------------------- */

enum { STATES = 5 };

bool nf__nuts_chain_new(nf__nuts_chain *c, const nf_nuts_options *options, size_t dim, uint64_t number)
{
    *c = (nf__nuts_chain){.options = options, .dim = dim, .number = number, .step_size = 1};
    c->adaptation.target = options->target_accept;
    c->windows = nf__windows_of(options->tune);
    bool complete = nf__metric_new(&c->metric, dim, options->dense);
    complete = nf__tree_new(&c->tree, dim, options->max_depth) && complete;
    c->vectors = ad_alloc_aligned(ad_shape_size(AD_SHAPE(4 * STATES + 3, dim)), sizeof(double));
    if (!complete || !c->vectors) return false;
    double *next = c->vectors;
    nf_state *states[STATES] = {&c->now, &c->draw, &c->choice, &c->end[0], &c->end[1]};
    for (int i = 0; i < STATES; i++, next += 4 * dim)
        *states[i] = (nf_state){next, next + dim, next + 2 * dim, next + 3 * dim, 0};
    c->p_sum = next;
    c->origin = (nf__nuts_origin){.phase = NF_CHAIN_STARTS, .q = next + dim, .gradient = next + 2 * dim};
    if (options->start) nf__metric_set(&c->metric, options->start->normal[0].factor, options->start->dense);
    return true;
}

void nf__nuts_chain_free(nf__nuts_chain *c)
{
    nf__metric_free(&c->metric);
    nf__tree_free(&c->tree);
    ad_free_aligned(c->vectors);
}

void nf__nuts_chain_bind(nf__nuts_chain *c, double *q, double *gradient)
{
    c->now.q = q;
    c->now.gradient = gradient;
}

static void copy(const nf__nuts_chain *c, double *to, const double *from)
{
    memcpy(to, from, c->dim * sizeof *to);
}

static void copy_position(const nf__nuts_chain *c, nf_state *to, const nf_state *from)
{
    copy(c, to->q, from->q);
    copy(c, to->gradient, from->gradient);
    to->log_density = from->log_density;
}

static void copy_state(const nf__nuts_chain *c, nf_state *to, const nf_state *from)
{
    copy_position(c, to, from);
    copy(c, to->p, from->p);
    copy(c, to->v, from->v);
}

/* H = -log p(q) + pᵀ M⁻¹ p / 2; where that is not a number or minus infinity, no state is to be kept: plus infinity. */
static double energy_of(const nf__nuts_chain *c, const nf_state *state)
{
    double square = 0;
    for (size_t i = 0; i < c->dim; i++) square += state->p[i] * state->v[i];
    double energy = square / 2 - state->log_density;
    return energy > -INFINITY ? energy : INFINITY;
}

/* ---- Leapfrog: half a step of the momentum and a step of the position, the gradient there, the other half -------- */

static void kick(nf__nuts_chain *c, double step)
{
    for (size_t i = 0; i < c->dim; i++) c->now.p[i] += step / 2 * c->now.gradient[i];
    nf__metric_velocity(&c->metric, c->now.p, c->now.v);
}

static void begin_step(nf__nuts_chain *c, double step)
{
    kick(c, step);
    for (size_t i = 0; i < c->dim; i++) c->now.q[i] += step * c->now.v[i];
}

/* From the draw, with a new momentum. */
static void launch(nf__nuts_chain *c, uint64_t purpose)
{
    copy_position(c, &c->now, &c->draw);
    for (size_t i = 0; i < c->dim; i++)
        c->now.p[i] = ad_random_normal(c->options->seed, stream_of(c), purpose << 48 | (c->attempt * c->dim + i));
    nf__metric_momentum(&c->metric, c->now.p);
    nf__metric_velocity(&c->metric, c->now.p, c->now.v);
    c->energy = energy_of(c, &c->now);
}

/* ---- A trajectory ---------------------------------------------------------------------------------------------- */

static double log_add_exp(double a, double b)
{
    double high = fmax(a, b);
    return isinf(high) ? high : high + log1p(exp(-fabs(a - b)));
}

static double signed_step(const nf__nuts_chain *c)
{
    return c->direction ? c->step_size : -c->step_size;
}

static void begin_subtree(nf__nuts_chain *c)
{
    int direction = uniform(c, DIRECTION, c->depth) < 0.5;
    if (direction != c->direction && c->depth > 0) copy_state(c, &c->now, &c->end[direction]);
    c->direction = direction;
    c->tree.height = 0;
    c->goal = (size_t)1 << c->depth;
    c->subtree_weight = -INFINITY;
    begin_step(c, signed_step(c));
}

/* In this phase, at the draw. */
static void keep_origin(nf__nuts_chain *c, nf__nuts_chain_phase phase)
{
    nf__nuts_origin *o = &c->origin;
    copy(c, o->q, c->draw.q);
    copy(c, o->gradient, c->draw.gradient);
    o->log_density = c->draw.log_density;
    o->step_size = c->step_size;
    o->gradients = c->gradients;
    c->phase = o->phase = phase;
}

static void begin_draw(nf__nuts_chain *c)
{
    keep_origin(c, NF_CHAIN_TRAVELS);
    c->attempt = 0;
    launch(c, MOMENTUM);
    copy_state(c, &c->end[0], &c->now);
    copy_state(c, &c->end[1], &c->now);
    copy(c, c->p_sum, c->now.p);
    c->steps = 0;
    c->depth = 0;
    c->weight = c->acceptance = 0;
    begin_subtree(c);
}

/* The subtree is complete: choose between its choice and the old draw, and join it to the trajectory. Returns false
 * where that ends. */
static bool extend(nf__nuts_chain *c)
{
    const nf__subtree *added = &c->tree.subtree[0];
    const nf_state *far = &c->end[!c->direction], *near = &c->end[c->direction];
    double gain = c->subtree_weight - c->weight;
    if (gain >= 0 || uniform(c, AMONG_SUBTREES, c->depth) < exp(gain)) {
        nf_state old = c->draw;
        c->draw = c->choice;
        c->choice = old;
    }
    c->weight = log_add_exp(c->weight, c->subtree_weight);
    bool turns = nf__subtrees_turn(&(nf__subtree){far->p, far->v, near->p, near->v, c->p_sum, c->goal}, added, c->dim);
    for (size_t i = 0; i < c->dim; i++) c->p_sum[i] += added->p_sum[i];
    copy_state(c, &c->end[c->direction], &c->now);
    c->depth++;
    return !turns && c->depth < c->options->max_depth;
}

/* A leapfrog step has led to a new state. Returns false where the trajectory ends. */
static bool travel(nf__nuts_chain *c)
{
    kick(c, signed_step(c));
    double gain = c->energy - energy_of(c, &c->now); /* the log of the state's weight */
    c->steps++;
    c->acceptance += gain < 0 ? exp(gain) : 1;
    c->diverges = gain < -1000;
    if (c->diverges) return false;

    c->subtree_weight = log_add_exp(c->subtree_weight, gain);
    if (uniform(c, AMONG_STATES, c->steps) < exp(gain - c->subtree_weight)) copy_position(c, &c->choice, &c->now);
    if (!nf__tree_add(&c->tree, c->now.p, c->now.v)) return false;
    if (c->tree.subtree[0].states == c->goal) {
        if (!extend(c)) return false;
        begin_subtree(c);
    } else {
        begin_step(c, signed_step(c));
    }
    return true;
}

/* ---- Warm-up --------------------------------------------------------------------------------------------------- */

/* A first step size, as in Stan: double or halve it, until the acceptance of one step crosses 0.8. */
static void begin_search(nf__nuts_chain *c)
{
    keep_origin(c, NF_CHAIN_SEARCHES);
    c->attempt = 0;
    c->search = 0;
    launch(c, SEARCH);
    begin_step(c, c->step_size);
}

static ad_status search(nf__nuts_chain *c, ad_error *error)
{
    kick(c, c->step_size);
    int direction = c->energy - energy_of(c, &c->now) > log(0.8) ? 1 : -1;
    if (c->search && direction != c->search) {
        nf__step_size_restart(&c->adaptation, c->step_size);
        begin_draw(c);
        return AD_OK;
    }
    c->search = direction;
    c->step_size *= direction > 0 ? 2 : 0.5;
    if (c->step_size > 1e7)
        return ad_error_set(
            error, AD_ERROR_NUMERIC,
            "chain %zu: the log density stays the same over steps of any length; is it that of a proper "
            "distribution?",
            (size_t)c->number + 1);
    if (c->step_size < 1e-300)
        return ad_error_set(error, AD_ERROR_NUMERIC,
                            "chain %zu: no step is small enough to keep the energy: its gradient may be wrong, or the "
                            "log density discontinuous; compare them with ad_gradcheck()",
                            (size_t)c->number + 1);
    c->attempt++;
    launch(c, SEARCH);
    begin_step(c, c->step_size);
    return AD_OK;
}

/* After a draw of the warm-up; the next one begins, or a search. */
static ad_status adapt(nf__nuts_chain *c, size_t draw, ad_error *error)
{
    c->step_size = nf__step_size_learn(&c->adaptation, c->outcome.acceptance);
    if (nf__windows_learn(&c->windows, draw)) nf__metric_add(&c->metric, c->draw.q);
    bool close = nf__windows_close(&c->windows, draw);
    if (close && !nf__metric_update(&c->metric))
        return ad_error_set(error, AD_ERROR_NUMERIC,
                            "chain %zu: the covariance of its warm-up draws is not finite: the draws run away; is the "
                            "density that of a proper distribution?",
                            (size_t)c->number + 1);
    if (draw + 1 == c->options->tune) c->step_size = nf__step_size_mean(&c->adaptation);
    if (close)
        begin_search(c);
    else
        begin_draw(c);
    return AD_OK;
}

static ad_status end_draw(nf__nuts_chain *c, ad_error *error)
{
    size_t draw = c->iteration++;
    c->outcome = (nf_nuts_draw){
        .log_density = c->draw.log_density,
        .energy = c->energy,
        .acceptance = c->acceptance / (double)c->steps,
        .steps = c->steps,
        .depth = (uint32_t)c->depth,
        .divergent = c->diverges,
    };
    if (draw < c->options->tune) return adapt(c, draw, error);
    c->divergent += c->diverges;
    if (c->iteration == c->options->tune + c->options->draws)
        keep_origin(c, NF_CHAIN_DONE);
    else
        begin_draw(c);
    return AD_OK;
}

/* ---- The start -------------------------------------------------------------------------------------------------- */

enum { ATTEMPTS = 100, FROM_START = 20 };

void nf__nuts_chain_start(nf__nuts_chain *c)
{
    if (c->options->start && c->attempt < FROM_START) {
        const uint64_t row = c->number + ((uint64_t)c->attempt << 32);
        nf__start_draw_row(c->options->start, c->options->seed + 1, row, c->now.q, c->now.p);
        return;
    }
    for (size_t i = 0; i < c->dim; i++) c->now.q[i] = 4 * uniform(c, START, c->attempt * c->dim + i) - 2;
}

static ad_status start(nf__nuts_chain *c, ad_error *error)
{
    bool finite = isfinite(c->now.log_density);
    for (size_t i = 0; i < c->dim; i++) finite &= isfinite(c->now.gradient[i]);
    if (finite) {
        copy_position(c, &c->draw, &c->now);
        begin_search(c);
        return AD_OK;
    }
    char text[32] = "NaN";
    if (!isnan(c->now.log_density)) snprintf(text, sizeof text, "%g", c->now.log_density);
    if (++c->attempt == ATTEMPTS)
        return ad_error_set(error, AD_ERROR_NUMERIC,
                            "no start for chain %zu: at each of %d points from (-2, 2) the log density or its gradient "
                            "is not finite; at the last one the density is %s",
                            (size_t)c->number + 1, ATTEMPTS, text);
    nf__nuts_chain_start(c);
    return AD_OK;
}

void nf__nuts_chain_go_on(nf__nuts_chain *c)
{
    const nf__nuts_origin *o = &c->origin;
    if (o->phase == NF_CHAIN_STARTS) return;
    copy(c, c->draw.q, o->q);
    copy(c, c->draw.gradient, o->gradient);
    c->draw.log_density = o->log_density;
    c->step_size = o->step_size;
    c->gradients = o->gradients;
    c->phase = o->phase;
    if (o->phase == NF_CHAIN_SEARCHES) begin_search(c);
    if (o->phase == NF_CHAIN_TRAVELS) begin_draw(c);
}

ad_status nf__nuts_chain_advance(nf__nuts_chain *c, double log_density, bool *drawn, ad_error *error)
{
    c->now.log_density = log_density;
    c->gradients++;
    *drawn = false;
    switch (c->phase) {
    case NF_CHAIN_STARTS:
        return start(c, error);
    case NF_CHAIN_SEARCHES:
        return search(c, error);
    case NF_CHAIN_TRAVELS:
        if (travel(c)) return AD_OK;
        *drawn = true;
        return end_draw(c, error);
    case NF_CHAIN_DONE:
        break;
    }
    return AD_OK;
}
