/* One learning rate, for as long as it helps. */
#include "ranks/ranks.h"
#include "training/clock.h"
#include "training/optimizer.h"
#include "vi/infer.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 150, MOST_BLOCKS = 400, POINT = 50 };

/* Losses by blocks; an average of the parameters; the history. */
typedef struct {
    nf_callback callback;
    const nf_infer_options *o;
    nf_inference *fit;
    const nf__stage *stage;
    double *average; /* [trained] */
    size_t iterations, blocks;
    double sum, squares;                             /* of this block */
    double mean[MOST_BLOCKS], variance[MOST_BLOCKS]; /* of each; the mean's own variance */
    nf_vi_point point;                               /* sums */
    bool plateau, late, failed;
} descent;

/* The last two blocks against the two before. */
static bool has_stalled(const descent *d)
{
    const size_t n = d->blocks;
    if (n < 4 || d->iterations < d->stage->least) return false;
    const double *m = d->mean + n, *v = d->variance + n;
    const double gain = (m[-4] + m[-3] - m[-2] - m[-1]) / 2, error = sqrt(v[-4] + v[-3] + v[-2] + v[-1]) / 2;
    return gain < fmax(2 * error, 5e-4);
}

static double norm_of(const nf_iteration *at, const void *v)
{
    return sqrt(nf__optimizers(at->dtype)->squares(v, 0, at->count));
}

/* Another point of the history; the room grows by doubling. */
static bool add_point(descent *d, const nf_iteration *at)
{
    nf_vi_report *report = &d->fit->report;
    const size_t n = report->n_history;
    if ((n & (n - 1)) == 0) {
        nf_vi_point *more = ad_alloc(n ? 2 * n : 1, sizeof *more);
        if (!more) return false;
        if (n) memcpy(more, report->history, n * sizeof *more);
        ad_free(report->history);
        report->history = more;
    }
    d->point.loss = d->point.loss / POINT + d->stage->offset;
    d->point.gradient_norm /= POINT;
    d->point.iteration = report->iterations + d->iterations;
    d->point.parameter_norm = norm_of(at, at->parameters);
    d->point.beta = 1;
    report->history[report->n_history++] = d->point;
    d->point = (nf_vi_point){0};
    return true;
}

static bool watch(nf_callback *self, const nf_iteration *at)
{
    descent *d = (descent *)self;
    /* An average over about the last hundredth part of so many steps as there have been, from 20 to 200. */
    const double part = 1 / fmin(fmax(10, 0.2 * (double)at->iteration), 200);
    for (size_t i = 0; i < at->count; i++)
        d->average[i] += (at->iteration == 1 ? 1 : part) * (ad_element(at->dtype, at->parameters, i) - d->average[i]);
    d->iterations = at->iteration;
    d->sum += at->loss;
    d->squares += at->loss * at->loss;
    d->point.loss += at->loss;
    d->point.gradient_norm += norm_of(at, at->gradient);
    if (at->iteration % POINT == 0 && !add_point(d, at)) d->failed = true;
    if (at->iteration % BLOCK == 0) {
        const double mean = d->sum / BLOCK;
        d->mean[d->blocks] = mean;
        d->variance[d->blocks++] = fmax(0, d->squares / BLOCK - mean * mean) / BLOCK;
        d->sum = d->squares = 0;
        d->plateau = has_stalled(d) || d->blocks == MOST_BLOCKS;
    }
    d->late = nf__rank(d->o->pool) == 0 && nf__clock() > d->stage->deadline;
    return !d->plateau && !d->late && !d->failed;
}

/* Where all of the inference stands, of which this descent is a part. */
static bool tell(void *context, const nf_vi_progress *now)
{
    const descent *d = context;
    const nf_vi_progress all = {.iteration = d->fit->report.iterations + now->iteration,
                                .loss = now->loss + d->stage->offset,
                                .learning_rate = now->learning_rate,
                                .seconds = nf__clock() - d->stage->deadline + d->o->budget};
    return d->o->progress(d->o->context, &all);
}

static bool is_interrupted(void *context)
{
    const descent *d = context;
    return d->o->interrupted(d->o->context);
}

static const nf__field descent_fields[] = {
    NF__FIELD(descent, iterations, NF__COUNT),  NF__FIELD(descent, blocks, NF__COUNT),
    NF__FIELD(descent, sum, NF__NUMBER),        NF__FIELD(descent, squares, NF__NUMBER),
    NF__FIELD(descent, point.loss, NF__NUMBER), NF__FIELD(descent, point.gradient_norm, NF__NUMBER),
};

/* For checkpoints. */
static void list(void *context, nf__state *state)
{
    descent *d = context;
    nf__state_array(state, "average", AD_F64, d->average, nf_flow_trained_elements(d->fit->flow));
    nf__state_array(state, "mean", AD_F64, d->mean, MOST_BLOCKS);
    nf__state_array(state, "variance", AD_F64, d->variance, MOST_BLOCKS);
    nf__state_structs(state, "descent", descent_fields, sizeof descent_fields / sizeof *descent_fields, d, sizeof *d,
                      1);
    if (d->blocks > MOST_BLOCKS) nf__state_fail(state, AD_ERROR_FORMAT, "it has too many blocks");
}

static void take_average(nf_flow *flow, const descent *d)
{
    for (size_t i = 0; i < nf_flow_trained_elements(flow); i++)
        ad_set_element(nf_flow_dtype(flow), nf_flow_parameters(flow), i, d->average[i]);
    nf_flow_pull(flow);
}

ad_status nf__infer_descend(nf_inference *fit, const nf_target *target, const nf_infer_options *o,
                            const nf__stage *stage, bool *stopped, ad_error *error)
{
    descent *d = ad_alloc(1, sizeof *d + nf_flow_trained_elements(fit->flow) * sizeof *d->average);
    if (!d) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to average parameters");
    *d = (descent){.callback.call = watch, .o = o, .fit = fit, .stage = stage, .average = (double *)(d + 1)};
    const nf_vi_options vi = {.objective = stage->objective,
                              .iters = (size_t)BLOCK * MOST_BLOCKS,
                              .mc = stage->mc,
                              .optimizer = {.learning_rate = stage->learning_rate, .clip = 10},
                              .warmup = 20,
                              .seed = stage->seed,
                              .pool = o->pool,
                              .progress = o->progress ? tell : NULL,
                              .interrupted = o->interrupted ? is_interrupted : NULL,
                              .context = d,
                              .checkpoint = o->checkpoint,
                              .callbacks = (nf_callback *[]){&d->callback, NULL}};
    bool resumed;
    ad_status status = nf__checkpoint_enter(o->checkpoint, "descent", list, d, &resumed, error);
    if (!status) status = nf_vi(fit->flow, target, &vi, NULL, error);
    nf__checkpoint_leave(o->checkpoint, d);
    /* Only rank 0 has looked at the clock. */
    if (!status || status == AD_ERROR_NUMERIC) {
        const ad_status agreed = nf__agree(o->pool, &d->late, NULL, status ? NULL : error);
        if (!status) status = agreed;
    }
    if (!status && d->failed) status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a history");
    if (!status && d->iterations > 0) take_average(fit->flow, d);
    fit->report.iterations += d->iterations;
    fit->out_of_time |= d->late;
    *stopped = !status && !d->plateau && !d->late;
    ad_free(d);
    return status;
}
