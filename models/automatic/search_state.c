/* What a search goes on from. Its way is taken once more: what was decided is decided again by the scores that the
 * candidates had then, at the times that it was then, and only what wasn't done is tried. */
#include "automatic/search.h"
#include "training/clock.h"

#include <weir/memory.h>

#include <inttypes.h>
#include <string.h>

/* ---- Settings -------------------------------------------------------------------------------------------------- */

static uint64_t hash_data(const nf__search *s)
{
    const nf_automatic_options *o = &s->o;
    const size_t rows = s->given_rows;
    const struct {
        const double *numbers;
        size_t count;
    } given[] = {
        {s->given, rows * s->dim},     {o->row_context, rows * s->context}, {o->row_weights, rows},
        {o->row_log_weights, rows},    {o->val_x, o->val_rows * s->dim},    {o->val_context, o->val_rows * s->context},
        {o->val_weights, o->val_rows}, {o->val_log_weights, o->val_rows},
    };
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        hash = nf__hash_numbers(hash, given[i].numbers, given[i].count);
    return hash;
}

static void list_settings(nf__search *s, nf__state *state)
{
    const nf_automatic_options *o = &s->o;
    if (!s->data_hash) s->data_hash = hash_data(s);
    nf__state_setting(state, "flow", "%s", o->formula ? o->formula : "any");
    nf__state_setting(state, "dtype", "%s", ad_dtype_name(o->dtype));
    nf__state_setting(state, "number of rows", "%zu", s->given_rows);
    nf__state_setting(state, "number of columns", "%zu", s->dim);
    nf__state_setting(state, "size of the context", "%zu", s->context);
    nf__state_setting(state, "number of validation rows", "%zu", o->val_rows);
    nf__state_setting(state, "hash of the data", "%016" PRIx64, s->data_hash);
    nf__state_number(state, "limit of seconds", o->seconds);
    nf__state_setting(state, "tuning", "%s", o->tune ? "yes" : "no");
    nf__state_setting(state, "seed", "%" PRIu64, o->seed);
    nf__state_setting(state, "redrawing of rows", "%s", o->redraw ? "yes" : "no");
}

/* ---- Candidates ------------------------------------------------------------------------------------------------ */

static const nf__field attempt_fields[] = {
    NF__FIELD(nf__attempt, formula, NF__COUNT),
    NF__FIELD(nf__attempt, limit, NF__NUMBER),
    NF__FIELD(nf__attempt, began, NF__NUMBER),
};
static const nf__field candidate_fields[] = {
    NF__FIELD(nf_candidate, nll, NF__NUMBER),
    NF__FIELD(nf_candidate, standard_error, NF__NUMBER),
    NF__FIELD(nf_candidate, seconds, NF__NUMBER),
    NF__FIELD(nf_candidate, failed, NF__FLAG),
};
static const nf__field search_fields[] = {
    NF__FIELD(nf__search, fold_in_work, NF__COUNT),
};
static const nf__field number_field[] = {{0, NF__NUMBER}};

#define FIELDS(table) table, sizeof table / sizeof *table

/* The scores of a candidate, and the flows that there are of it. */
static void list_candidate(nf__search *s, size_t k, nf__state *state)
{
    char name[64];
    snprintf(name, sizeof name, "scores.%zu", k);
    nf__state_array(state, name, AD_F64, s->log_prob[k], s->n_held);
    for (size_t f = 0; f < s->n_fold; f++) {
        nf_flow *flow = s->flow[k * s->n_fold + f];
        if (!flow) continue;
        snprintf(name, sizeof name, "flow.%zu.%zu", k, f);
        nf__state_array(state, name, nf_flow_dtype(flow), nf_flow_parameters(flow),
                        nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow));
    }
}

static void list_candidates(void *context, nf__state *state)
{
    nf__search *s = context;
    for (size_t k = 0; k < s->n_candidate + s->in_work; k++) list_candidate(s, k, state);
}

/* What there is to recall; candidates are looked at one by one, when they come. */
static void take(nf__search *s, nf__state *state)
{
    nf__memory *m = &s->memory;
    m->attempts = nf__state_size(state, "attempts", 0);
    m->done = nf__state_size(state, "candidates", 0);
    m->attempt = ad_alloc(m->attempts, sizeof *m->attempt);
    m->candidate = ad_alloc(m->done, sizeof *m->candidate);
    if (!m->attempt || !m->candidate) {
        nf__state_fail(state, AD_ERROR_MEMORY, "out of memory for candidates");
        return;
    }
    nf__state_structs(state, "attempts", FIELDS(attempt_fields), m->attempt, sizeof *m->attempt, m->attempts);
    nf__state_structs(state, "candidates", FIELDS(candidate_fields), m->candidate, sizeof *m->candidate, m->done);
    nf__state_nest(state, "made", &m->state);
    m->fold_in_work = s->fold_in_work;
    m->recalls = m->attempts > 0;
}

static void give(nf__search *s, nf__state *state)
{
    ad_error error;
    nf__state_structs(state, "attempts", FIELDS(attempt_fields), s->attempt, sizeof *s->attempt,
                      s->n_candidate + s->in_work);
    nf__state_structs(state, "candidates", FIELDS(candidate_fields), s->candidate, sizeof *s->candidate,
                      s->n_candidate);
    if (nf__state_fill(&s->memory.state, NF__STATE_REFERS, list_candidates, s, &error))
        nf__state_fail(state, error.status, error.message);
    nf__state_nest(state, "made", &s->memory.state);
}

void nf__list_search(void *context, nf__state *state)
{
    nf__search *s = context;
    double spent = nf__clock() - s->started;
    list_settings(s, state);
    nf__state_structs(state, "search", FIELDS(search_fields), s, sizeof *s, 1);
    nf__state_structs(state, "spent", FIELDS(number_field), &spent, sizeof spent, 1);
    if (nf__state_restores(state)) {
        s->started = nf__clock() - spent;
        s->opened -= spent; /* all ranks agree on it, and rank 0 wrote this */
    }
    if (nf__state_restores(state))
        take(s, state);
    else
        give(s, state);
}

/* ---- Recalled -------------------------------------------------------------------------------------------------- */

void nf__memory_free(nf__memory *m)
{
    nf__state_free(&m->state);
    ad_free(m->attempt);
    ad_free(m->candidate);
    m->attempt = NULL;
    m->candidate = NULL;
    m->recalls = false;
}

/* Flows of this candidate, for their parameters, as far as there are any. */
static ad_status make_flows(nf__search *s, size_t k, ad_error *error)
{
    const nf__suggestion *what = &s->suggestion[k];
    for (size_t f = 0; f < s->n_fold; f++) {
        char name[64];
        snprintf(name, sizeof name, "flow.%zu.%zu", k, f);
        if (nf__state_size(&s->memory.state, name, 0) == 0) continue;
        nf_flow *flow = nf_flow_parse(what->formula, s->dim, s->context, s->o.dtype, what->seed + f, error);
        if (!flow) return error->status;
        s->flow[k * s->n_fold + f] = flow;
    }
    return AD_OK;
}

typedef struct {
    nf__search *search;
    size_t candidate;
} place;

static void list_one(void *context, nf__state *state)
{
    const place *at = context;
    list_candidate(at->search, at->candidate, state);
}

ad_status nf__recall(nf__search *s, bool *done, ad_error *error)
{
    nf__memory *m = &s->memory;
    const size_t k = s->n_candidate;
    *done = false;
    if (!m->recalls) return AD_OK;
    if (m->attempt[k].formula != s->attempt[k].formula)
        return ad_error_set(error, AD_ERROR_FORMAT, "the checkpoint has another candidate %zu than '%s'", k + 1,
                            s->suggestion[k].formula);
    m->state.mode = NF__STATE_RESTORES;
    ad_status status = make_flows(s, k, error);
    if (status == AD_OK) status = nf__state_restore(&m->state, list_one, &(place){s, k}, error);
    if (status != AD_OK) return status;
    for (size_t f = 0; f < s->n_fold; f++)
        if (s->flow[k * s->n_fold + f]) nf_flow_pull(s->flow[k * s->n_fold + f]);
    s->attempt[k] = m->attempt[k];
    s->suggestion[k].seconds = m->attempt[k].limit;
    *done = k < m->done;
    if (*done) {
        s->candidate[k].nll = m->candidate[k].nll;
        s->candidate[k].standard_error = m->candidate[k].standard_error;
        s->candidate[k].seconds = m->candidate[k].seconds;
        s->candidate[k].failed = m->candidate[k].failed;
    } else {
        s->fold_in_work = m->fold_in_work;
    }
    if (k + 1 == m->attempts) nf__memory_free(m);
    return AD_OK;
}
