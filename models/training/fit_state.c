/* What a training goes on from. */
#include "training/clock.h"
#include "training/fit.h"

#include <inttypes.h>
#include <math.h>

/* ---- Settings: what decides the bits, beside what is kept ------------------------------------------------------- */

/* Rows at fixed places, as they are to be scored; what can't be read is told by who needs it. */
static uint64_t hash_source(const nf__training *t)
{
    enum { SAMPLES = 64 };
    const size_t context = nf_flow_context_size(t->flow);
    double *row = ad_alloc(t->dim + context, sizeof *row);
    ad_error unwanted;
    uint64_t hash = 0;
    for (size_t i = 0; i < SAMPLES && row; i++) {
        const size_t number = (size_t)((double)(t->rows - 1) * (double)i / (SAMPLES - 1));
        if (t->o.source->read(t->o.source->data, 0, number, 1, row, row + t->dim, &unwanted)) continue;
        hash = nf__hash_numbers(hash, row, t->dim + context);
    }
    ad_free(row);
    return hash;
}

static uint64_t hash_data(const nf__training *t)
{
    const nf_fit_options *o = &t->o;
    const size_t context = nf_flow_context_size(t->flow);
    const struct {
        const double *numbers;
        size_t count;
    } given[] = {
        {t->given, t->given ? t->rows * t->dim : 0},
        {o->row_context, t->rows * context},
        {o->row_weights, t->rows},
        {o->val_x, o->val_rows * t->dim},
        {o->val_context, o->val_rows * context},
        {o->val_weights, o->val_rows},
    };
    uint64_t hash = o->source ? hash_source(t) : 0;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        hash = nf__hash_numbers(hash, given[i].numbers, given[i].count);
    return hash;
}

static void list_settings(const nf__training *t, nf__state *state)
{
    const nf_fit_options *o = &t->o;
    nf__flow_settings(t->flow, state);
    nf__state_setting(state, "number of rows", "%zu", t->rows);
    nf__state_setting(state, "number of columns", "%zu", t->dim);
    nf__state_setting(state, "size of the context", "%zu", nf_flow_context_size(t->flow));
    nf__state_setting(state, "number of validation rows", "%zu", o->val_rows);
    nf__state_setting(state, "hash of the data", "%016" PRIx64, t->data_hash);
    nf__state_setting(state, "number of epochs", "%zu", o->epochs);
    nf__state_setting(state, "number of starts", "%zu", o->starts);
    nf__state_setting(state, "batch", "%zu", o->batch);
    nf__optimizer_settings(t->loop.optimizer, state);
    nf__state_setting(state, "schedule", "%s", o->schedule);
    nf__state_setting(state, "warmup", "%zu", o->warmup);
    nf__state_number(state, "validation fraction", o->val_fraction);
    nf__state_setting(state, "patience", "%ld", o->patience);
    nf__state_number(state, "ema", o->ema);
    nf__state_setting(state, "seed", "%" PRIu64, o->seed);
    nf__state_number(state, "limit of seconds", o->seconds);
    nf__state_setting(state, "shuffle", "%s", t->stream ? "by blocks" : "of rows");
    nf__state_setting(state, "prior", "%s", o->prior ? o->prior : "none");
    nf__state_setting(state, "redrawing of rows", "%s", o->redraw ? "yes" : "no");
}

/* ---- The training ---------------------------------------------------------------------------------------------- */

static const nf__field progress_fields[] = {
    NF__FIELD(nf_progress, epoch, NF__COUNT),          NF__FIELD(nf_progress, epochs, NF__COUNT),
    NF__FIELD(nf_progress, step, NF__COUNT),           NF__FIELD(nf_progress, rows, NF__COUNT),
    NF__FIELD(nf_progress, train_nll, NF__NUMBER),     NF__FIELD(nf_progress, val_nll, NF__NUMBER),
    NF__FIELD(nf_progress, learning_rate, NF__NUMBER), NF__FIELD(nf_progress, start, NF__COUNT),
    NF__FIELD(nf_progress, starts, NF__COUNT),         NF__FIELD(nf_progress, start_epochs, NF__COUNT),
    NF__FIELD(nf_progress, seconds, NF__NUMBER),       NF__FIELD(nf_progress, best_epoch, NF__COUNT),
};
static const nf__field epoch_fields[] = {
    NF__FIELD(nf__epoch, steps, NF__COUNT),
    NF__FIELD(nf__epoch, rows, NF__COUNT),
    NF__FIELD(nf__epoch, loss, NF__NUMBER),
};
static const nf__field report_fields[] = {
    NF__FIELD(nf_fit_report, best_epoch, NF__COUNT),
    NF__FIELD(nf_fit_report, best_nll, NF__NUMBER),
};

#define FIELDS(table) table, sizeof table / sizeof *table

/* Epochs that are done, with room for them. */
static void list_history(nf__training *t, nf__state *state)
{
    const size_t epochs = nf__state_size(state, "history", t->now.epoch);
    if (epochs > t->history_room) {
        nf_progress *history = ad_realloc(t->report->history, epochs, sizeof *history);
        if (!history) {
            nf__state_fail(state, AD_ERROR_MEMORY, "out of memory for the history");
            return;
        }
        t->report->history = history;
        t->history_room = epochs;
    }
    nf__state_structs(state, "history", FIELDS(progress_fields), t->report->history, sizeof *t->report->history,
                      epochs);
}

void nf__list_training(void *training, nf__state *state)
{
    nf__training *t = training;
    nf__loop_list(&t->loop, state);
    if (t->average)
        nf__state_array(state, "average", nf_flow_dtype(t->flow), t->average, nf_flow_trained_elements(t->flow));
    list_history(t, state);
    nf__state_structs(state, "now", FIELDS(progress_fields), &t->now, sizeof t->now, 1);
    nf__state_structs(state, "epoch", FIELDS(epoch_fields), &t->epoch, sizeof t->epoch, 1);
    nf__state_structs(state, "report", FIELDS(report_fields), t->report, sizeof *t->report, 1);
}

/* ---- And all around it ----------------------------------------------------------------------------------------- */

static const nf__field fit_fields[] = {
    NF__FIELD(nf__training, first_nll, NF__NUMBER),
    NF__FIELD(nf__training, first_val, NF__NUMBER),
    NF__FIELD(nf__training, adapted.scale, NF__NUMBER),
    NF__FIELD(nf__training, adapted.best, NF__NUMBER),
    NF__FIELD(nf__training, adapted.since, NF__COUNT),
    NF__FIELD(nf__training, seconds, NF__NUMBER),
    NF__FIELD(nf__training, until, NF__NUMBER),
    NF__FIELD(nf__training, before, NF__NUMBER),
    NF__FIELD(nf__training, closing, NF__NUMBER),
    NF__FIELD(nf__training, reporting, NF__NUMBER),
    NF__FIELD(nf__training, time_over, NF__FLAG),
    NF__FIELD(nf__training, trials.start, NF__COUNT),
    NF__FIELD(nf__training, trials.under_way, NF__FLAG),
    NF__FIELD(nf__training, trials.over, NF__FLAG),
    NF__FIELD(nf__training, trials.best_score, NF__NUMBER),
    NF__FIELD(nf__training, trials.best_spent, NF__NUMBER),
};

/* Seconds that were spent, of all and of this start. */
typedef struct {
    double all, start;
} durations;

static const nf__field spent_fields[] = {
    NF__FIELD(durations, all, NF__NUMBER),
    NF__FIELD(durations, start, NF__NUMBER),
};

void nf__list_fit(void *training, nf__state *state)
{
    nf__training *t = training;
    const double now = t->loop.now; /* all ranks' */
    durations spent = {now - t->loop.opened, now - t->began};
    if (!t->data_hash) t->data_hash = hash_data(t);
    list_settings(t, state);
    nf__list_training(t, state);
    nf__state_structs(state, "fit", FIELDS(fit_fields), t, sizeof *t, 1);
    nf__state_structs(state, "spent", FIELDS(spent_fields), &spent, sizeof spent, 1);
    nf__callbacks_list(t->o.callbacks, nf_flow_trained_elements(t->flow), state);
    nf__state_nest(state, "initial", &t->trials.initial);
    nf__state_nest(state, "best start", &t->trials.best);
    if (!nf__state_restores(state)) return;
    t->loop.started = nf__clock() - spent.all;
    t->loop.opened = now - spent.all;
    t->began = now - spent.start;
}
