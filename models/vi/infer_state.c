/* What rounds of an inference go on from. */
#include "training/clock.h"
#include "vi/infer.h"
#include "vi/inference.h"

#include <inttypes.h>

static void list_settings(const nf__rounds *r, nf__state *state)
{
    const nf_infer_options *o = r->o;
    nf__target_settings(r->target, state);
    nf__flow_settings(r->fit->flow, state);
    nf__state_number(state, "budget", o->budget);
    nf__state_setting(state, "draws a step", "%zu", o->mc);
    nf__state_setting(state, "draws for the scores", "%zu", o->draws);
    nf__state_setting(state, "seed", "%" PRIu64, o->seed);
    nf__start_settings(&r->fit->start, state);
}

static const nf__field rounds_fields[] = {
    NF__FIELD(nf__rounds, best.elbo, NF__NUMBER), NF__FIELD(nf__rounds, before, NF__NUMBER),
    NF__FIELD(nf__rounds, place, NF__WORD),       NF__FIELD(nf__rounds, stage, NF__COUNT),
    NF__FIELD(nf__rounds, diverged, NF__COUNT),   NF__FIELD(nf__rounds, descended, NF__FLAG),
    NF__FIELD(nf__rounds, rate, NF__NUMBER),      NF__FIELD(nf__rounds, now.draws, NF__COUNT),
    NF__FIELD(nf__rounds, now.elbo, NF__NUMBER),  NF__FIELD(nf__rounds, now.elbo_stderr, NF__NUMBER),
    NF__FIELD(nf__rounds, now.khat, NF__NUMBER),  NF__FIELD(nf__rounds, now.log_z, NF__NUMBER),
    NF__FIELD(nf__rounds, now.ess, NF__NUMBER),
};
static const nf__field inference_fields[] = {
    NF__FIELD(nf_inference, rounds, NF__COUNT),
    NF__FIELD(nf_inference, out_of_time, NF__FLAG),
    NF__FIELD(nf_inference, report.iterations, NF__COUNT),
};
static const nf__field number_field[] = {{0, NF__NUMBER}};

#define FIELDS(table) table, sizeof table / sizeof *table

/* ---- Points of a history, of any inference ----------------------------------------------------------------------- */

static const nf__field point_fields[] = {
    NF__FIELD(nf_vi_point, iteration, NF__COUNT),      NF__FIELD(nf_vi_point, loss, NF__NUMBER),
    NF__FIELD(nf_vi_point, gradient_norm, NF__NUMBER), NF__FIELD(nf_vi_point, parameter_norm, NF__NUMBER),
    NF__FIELD(nf_vi_point, beta, NF__NUMBER),
};
void nf__point_list(nf_vi_point *point, size_t points, nf__state *state)
{
    nf__state_structs(state, "history", FIELDS(point_fields), point, sizeof *point, points);
}

/* ---- Rounds ---------------------------------------------------------------------------------------------------- */

/* With room as nf__infer_descend() has it: a power of two. */
static void list_history(nf_vi_report *report, nf__state *state)
{
    const size_t points = nf__state_size(state, "history", report->n_history);
    if (nf__state_restores(state)) {
        size_t room = 1;
        while (room < points) room *= 2;
        ad_free(report->history);
        report->history = ad_alloc(room, sizeof *report->history);
        report->n_history = report->history ? points : 0;
        if (!report->history) nf__state_fail(state, AD_ERROR_MEMORY, "out of memory for a history");
    }
    nf__point_list(report->history, points, state);
}

void nf__list_rounds(void *context, nf__state *state)
{
    nf__rounds *r = context;
    nf_flow *flow = r->fit->flow;
    const size_t count = nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow);
    double spent = nf__clock() - r->begun;
    list_settings(r, state);
    nf__state_array(state, "parameters", nf_flow_dtype(flow), nf_flow_parameters(flow), count);
    nf__state_array(state, "best", nf_flow_dtype(flow), r->best.parameters, count);
    nf__state_structs(state, "rounds", FIELDS(rounds_fields), r, sizeof *r, 1);
    nf__state_structs(state, "inference", FIELDS(inference_fields), r->fit, sizeof *r->fit, 1);
    list_history(&r->fit->report, state);
    nf__state_structs(state, "spent", FIELDS(number_field), &spent, sizeof spent, 1);
    if (!nf__state_restores(state)) return;
    r->begun = r->clock - spent; /* all ranks': it is rank 0 that wrote */
    nf_flow_pull(flow);
}
