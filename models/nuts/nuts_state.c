/* What chains go on from. */
#include "nuts/nuts_state.h"
#include "training/clock.h"

#include <inttypes.h>

/* ---- Settings -------------------------------------------------------------------------------------------------- */

static uint64_t hash_start(const nf_start *start)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < start->count; i++) {
        hash = nf__hash_numbers(hash, start->normal[i].location, start->dim);
        hash = nf__hash_numbers(hash, start->normal[i].factor, start->dense ? start->dim * start->dim : start->dim);
    }
    return hash;
}

/* Its parameters as numbers, which chains use in float64. */
static bool hash_parameter(void *context, const char *name, nf_parameter *parameter)
{
    uint64_t *hash = context;
    (void)name;
    *hash = nf__hash_numbers(*hash, parameter->value, ad_shape_size(parameter->spec.shape));
    return true;
}

static void list_settings(const nf__nuts_work *w, nf__state *state)
{
    const nf_nuts_options *o = w->o;
    uint64_t parameters = 0;
    nf__target_settings(w->target, state);
    nf__state_setting(state, "number of chains", "%zu", o->chains);
    nf__state_setting(state, "draws of the warm-up", "%zu", o->tune);
    nf__state_setting(state, "number of draws", "%zu", o->draws);
    nf__state_number(state, "target acceptance", o->target_accept);
    nf__state_setting(state, "max depth", "%zu", o->max_depth);
    nf__state_setting(state, "mass matrix", "%s", o->dense ? "dense" : "diagonal");
    nf__state_setting(state, "seed", "%" PRIu64, o->seed);
    nf__state_setting(state, "start", "%016" PRIx64, o->start ? hash_start(o->start) : 0);
    if (!o->flow) return;
    nf__flow_settings(o->flow, state);
    nf_flow_each_parameter(o->flow, hash_parameter, &parameters);
    nf__state_setting(state, "parameters of the flow", "%016" PRIx64, parameters);
}

/* ---- Chains ---------------------------------------------------------------------------------------------------- */

static const nf__field chain_fields[] = {
    NF__FIELD(nf__nuts_chain, iteration, NF__COUNT),
    NF__FIELD(nf__nuts_chain, divergent, NF__COUNT),
    NF__FIELD(nf__nuts_chain, origin.phase, NF__WORD),
    NF__FIELD(nf__nuts_chain, origin.step_size, NF__NUMBER),
    NF__FIELD(nf__nuts_chain, origin.log_density, NF__NUMBER),
    NF__FIELD(nf__nuts_chain, origin.gradients, NF__COUNT),
    NF__FIELD(nf__nuts_chain, adaptation.mu, NF__NUMBER),
    NF__FIELD(nf__nuts_chain, adaptation.error_sum, NF__NUMBER),
    NF__FIELD(nf__nuts_chain, adaptation.log_mean, NF__NUMBER),
    NF__FIELD(nf__nuts_chain, adaptation.count, NF__NUMBER),
    NF__FIELD(nf__nuts_chain, windows.window, NF__COUNT),
    NF__FIELD(nf__nuts_chain, windows.close, NF__COUNT),
    NF__FIELD(nf__nuts_chain, metric.count, NF__COUNT),
};
static const nf__field draw_fields[] = {
    NF__FIELD(nf_nuts_draw, log_density, NF__NUMBER), NF__FIELD(nf_nuts_draw, energy, NF__NUMBER),
    NF__FIELD(nf_nuts_draw, acceptance, NF__NUMBER),  NF__FIELD(nf_nuts_draw, steps, NF__WORD),
    NF__FIELD(nf_nuts_draw, depth, NF__WORD),         NF__FIELD(nf_nuts_draw, divergent, NF__FLAG),
};
static const nf__field work_fields[] = {NF__FIELD(nf__nuts_work, began, NF__NUMBER)};

#define FIELDS(table) table, sizeof table / sizeof *table

static void list_vectors(nf__nuts_chain *c, nf__state *state)
{
    nf__metric *m = &c->metric;
    const size_t size = m->dense ? m->dim * m->dim : m->dim;
    const struct {
        const char *name;
        double *numbers;
        size_t count;
    } vectors[] = {
        {"position", c->origin.q, c->dim}, {"gradient", c->origin.gradient, c->dim},
        {"metric", m->inverse, size},      {"factor", m->factor, size},
        {"squares", m->squares, size},     {"mean", m->mean, m->dim},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%" PRIu64, vectors[i].name, c->number);
        nf__state_array(state, name, AD_F64, vectors[i].numbers, vectors[i].count);
    }
}

static void list_draws(const nf__nuts_work *w, const nf__nuts_chain *c, nf__state *state)
{
    nf_nuts_result *r = w->result;
    const size_t most = w->o->tune + w->o->draws, first = (size_t)c->number * w->o->draws;
    const size_t draws = c->iteration > w->o->tune ? c->iteration - w->o->tune : 0;
    char name[64];
    if (c->iteration > most || c->origin.phase > NF_CHAIN_DONE) {
        nf__state_fail(state, AD_ERROR_FORMAT, "it has more draws than were asked for");
        return;
    }
    snprintf(name, sizeof name, "draws.%" PRIu64, c->number);
    nf__state_array(state, name, AD_F64, r->unconstrained + first * r->dim, draws * r->dim);
    snprintf(name, sizeof name, "about draws.%" PRIu64, c->number);
    nf__state_structs(state, name, FIELDS(draw_fields), r->draw + first, sizeof *r->draw, draws);
}

void nf__list_nuts(void *context, nf__state *state)
{
    nf__nuts_work *w = context, spent = {.began = nf__clock() - w->began};
    list_settings(w, state);
    nf__state_structs(state, "spent", FIELDS(work_fields), &spent, sizeof spent, 1);
    nf__state_structs(state, "chains", FIELDS(chain_fields), w->chain, sizeof *w->chain, w->o->chains);
    for (size_t c = 0; c < w->o->chains; c++) list_vectors(&w->chain[c], state);
    for (size_t c = 0; c < w->o->chains; c++) list_draws(w, &w->chain[c], state);
    w->began = nf__clock() - spent.began;
}
