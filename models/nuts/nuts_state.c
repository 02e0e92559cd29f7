/* What chains go on from. */
#include "nuts/nuts_state.h"
#include "training/clock.h"

#include <inttypes.h>
#include <string.h>

/* ---- Settings -------------------------------------------------------------------------------------------------- */

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
    if (o->start) nf__start_settings(o->start, state);
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
enum { PHASE = 2 }; /* its place among them */
static const nf__field draw_fields[] = {
    NF__FIELD(nf_nuts_draw, log_density, NF__NUMBER), NF__FIELD(nf_nuts_draw, energy, NF__NUMBER),
    NF__FIELD(nf_nuts_draw, acceptance, NF__NUMBER),  NF__FIELD(nf_nuts_draw, steps, NF__WORD),
    NF__FIELD(nf_nuts_draw, depth, NF__WORD),         NF__FIELD(nf_nuts_draw, divergent, NF__FLAG),
};
static const nf__field number_field[] = {{0, NF__NUMBER}};

#define COUNT(table)  (sizeof table / sizeof *table)
#define FIELDS(table) table, COUNT(table)

/* A chain's vectors, one behind the other, to or from the numbers; returns how many these are. */
static size_t copy_vectors(const nf__nuts_chain *c, double *numbers, bool back)
{
    const nf__metric *m = &c->metric;
    const size_t size = m->dense ? m->dim * m->dim : m->dim;
    const struct {
        double *vector;
        size_t count;
    } part[] = {{c->origin.q, c->dim}, {c->origin.gradient, c->dim}, {m->inverse, size},
                {m->factor, size},     {m->squares, size},           {m->mean, m->dim}};
    size_t filled = 0;
    for (size_t i = 0; i < COUNT(part); filled += part[i++].count)
        if (numbers)
            memcpy(back ? part[i].vector : numbers + filled, back ? numbers + filled : part[i].vector,
                   part[i].count * sizeof *numbers);
    return filled;
}

static double *row_of(const nf__nuts_work *w, size_t c)
{
    return w->rows + (w->share.first + c) * w->width;
}

static void pack(nf__nuts_work *w)
{
    for (size_t c = 0; c < w->share.end - w->share.first; c++) {
        double *row = row_of(w, c);
        for (size_t k = 0; k < COUNT(chain_fields); k++) row[k] = nf__field_read(&w->chain[c], chain_fields[k]);
        copy_vectors(&w->chain[c], row + COUNT(chain_fields), false);
    }
}

static void unpack(nf__nuts_work *w)
{
    for (size_t c = 0; c < w->share.end - w->share.first; c++) {
        double *row = row_of(w, c);
        for (size_t k = 0; k < COUNT(chain_fields); k++) nf__field_write(&w->chain[c], chain_fields[k], row[k]);
        copy_vectors(&w->chain[c], row + COUNT(chain_fields), true);
        nf__nuts_chain_go_on(&w->chain[c]);
    }
}

/* ---- Draws ----------------------------------------------------------------------------------------------------- */

/* Those of chain c so far; SIZE_MAX where that can't be. */
static size_t draws_of(const nf__nuts_work *w, size_t c)
{
    const double iteration = w->rows[c * w->width], phase = w->rows[c * w->width + PHASE];
    if (!(iteration >= 0 && iteration <= (double)(w->o->tune + w->o->draws) && phase <= NF_CHAIN_DONE)) return SIZE_MAX;
    return iteration > (double)w->o->tune ? (size_t)iteration - w->o->tune : 0;
}

static void list_draws(const nf__nuts_work *w, size_t c, nf__state *state)
{
    nf_nuts_result *r = w->result;
    const size_t first = c * w->o->draws, draws = state->error.status ? 0 : draws_of(w, c);
    char name[64];
    if (draws == SIZE_MAX) {
        nf__state_fail(state, AD_ERROR_FORMAT, "it has more draws than were asked for");
        return;
    }
    snprintf(name, sizeof name, "draws.%zu", c);
    nf__state_array(state, name, AD_F64, r->unconstrained + first * r->dim, draws * r->dim);
    snprintf(name, sizeof name, "about draws.%zu", c);
    nf__state_structs(state, name, FIELDS(draw_fields), r->draw + first, sizeof *r->draw, draws);
}

static void list(void *context, nf__state *state)
{
    nf__nuts_work *w = context;
    double spent = nf__clock() - w->began;
    list_settings(w, state);
    nf__state_structs(state, "spent", FIELDS(number_field), &spent, sizeof spent, 1);
    nf__state_array(state, "chains", AD_F64, w->rows, w->o->chains * w->width);
    for (size_t c = 0; c < w->o->chains; c++) list_draws(w, c, state);
    w->began = nf__clock() - spent;
}

/* ---- All of it ------------------------------------------------------------------------------------------------- */

/* As wide as any chain, which a rank may have none of. */
static size_t width_of(const nf__nuts_work *w)
{
    const size_t dim = nf_target_dim(w->target);
    return COUNT(chain_fields) + 3 * dim + 3 * (w->o->dense ? dim * dim : dim);
}

ad_status nf__nuts_enter(nf__nuts_work *w, bool *resumed, ad_error *error)
{
    *resumed = false;
    if (!w->o->checkpoint) return AD_OK;
    w->width = width_of(w);
    w->rows = ad_alloc(w->o->chains, w->width * sizeof *w->rows);
    if (!w->rows)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for what %zu chains go on from", w->o->chains);
    ad_status status = nf__checkpoint_enter(w->o->checkpoint, "nuts", list, w, resumed, error);
    if (!status && *resumed) unpack(w);
    return status;
}

void nf__nuts_leave(nf__nuts_work *w)
{
    nf__checkpoint_leave(w->o->checkpoint, w);
    ad_free(w->rows);
}

ad_status nf__nuts_write(nf__nuts_work *w, bool stop, ad_error *error)
{
    if (!w->o->checkpoint) return AD_OK;
    nf_nuts_result *r = w->result;
    ad_pool *pool = w->o->pool;
    bool writes = nf__rank(pool) == 0 && (stop || nf__checkpoint_is_due(w->o->checkpoint));
    ad_status status = nf__agree(pool, &writes, NULL, error);
    if (status || !writes) return status;
    pack(w);
    status = nf__gather(pool, w->rows, r->chains, w->width * sizeof *w->rows, error);
    if (!status)
        status = nf__gather(pool, r->unconstrained, r->chains, w->o->draws * r->dim * sizeof *r->unconstrained, error);
    if (!status) status = nf__gather(pool, r->draw, r->chains, w->o->draws * sizeof *r->draw, error);
    if (!status) nf__checkpoint_write(w->o->checkpoint, pool);
    return status;
}
