/* Training by maximum likelihood. */
#include "training/clock.h"
#include "training/fit.h"
#include "training/matching.h"
#include "training/stream.h"

#include <weir/environment.h>

#include <math.h>
#include <string.h>

/* 0.999 is slow to forget the large gradients of narrow densities. */
static const nf__optimizer_defaults adam_here = {"adam", 2e-3, "beta2", 0.98};
/* The gradients of flow matching are small, and alike throughout. */
static const nf__optimizer_defaults adam_of_matching = {"adam", 2e-2, "beta2", 0.98};

/* Enough to tell initial weights apart, where there is no telling how many epochs there will be. */
enum { EPOCHS_OF_A_START = 10 };

static ad_status resolve(nf__training *t, ad_error *error)
{
    nf_fit_options *o = &t->o;
    const bool open_ended = !o->epochs && (o->seconds > 0 || t->loop.schedule.type->adapt);
    if (!o->epochs) o->epochs = open_ended ? SIZE_MAX : 100;
    if (!o->starts) o->starts = 1;
    if (!o->batch) o->batch = 128;
    if (o->val_fraction == 0) o->val_fraction = 0.1;
    if (o->objective != NF_LIKELIHOOD) o->ema = o->ema == 0 ? 0.999 : o->ema < 0 ? 0 : o->ema;
    if (!(o->ema >= 0 && o->ema < 1))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "ema: expected 0 or more and less than 1, got %g", o->ema);
    if (!(o->val_fraction < 1))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "validation fraction: expected less than 1, got %g",
                            o->val_fraction);
    if (!(o->seconds >= 0 && isfinite(o->seconds)))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "seconds: expected 0 or more, got %g", o->seconds);
    if (o->val_fraction < 0) o->val_fraction = 0;
    t->seconds = t->until = o->seconds;
    t->began = t->loop.opened;
    t->now.epochs = o->epochs;
    t->now.starts = o->starts;
    t->now.start_epochs = open_ended ? EPOCHS_OF_A_START : (o->epochs - 1) / 10 + 1;
    return AD_OK;
}

/* Full ones, and the rest; but where a step makes statistics, of which a small batch has poor ones, as equal as can be.
 */
static nf__batches batches_of(const nf__training *t)
{
    const size_t rows = t->n_train, batch = t->o.batch, steps = (rows - 1) / batch + 1;
    if (t->n_updated == 0)
        return (nf__batches){.size = batch, .many = rows / batch, .other = rows % batch, .others = rows % batch > 0};
    return (nf__batches){
        .size = rows / steps + 1, .many = rows % steps, .other = rows / steps, .others = steps - rows % steps};
}

static ad_status run(nf__training *t, ad_error *error)
{
    nf_fit_report *report = t->report;
    bool stop = false;
    ad_status status = nf__choose_start(t, &stop, error);
    if (status == AD_OK) status = nf__train_until(t, t->o.epochs, &stop, error);
    /* Stopped within the first epoch, or without a finite validation loss, the weights at hand are the best known. */
    if (report->best_epoch > 0 || report->outcome == NF_DIVERGED)
        nf__loop_restore(&t->loop);
    else if (status == AD_OK)
        status = nf__take_statistics(t, error);
    nf_flow_pull(t->flow);
    if (t->wanted) nf__report_rows(t);
    t->now.seconds = nf__clock() - t->loop.started;
    report->last = t->now;
    return status;
}

static ad_status start(nf__training *t, ad_error *error)
{
    size_t context = nf_flow_context_size(t->flow), count = nf_flow_trained_elements(t->flow);
    if (context && !t->o.row_context && !t->o.source)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "fit: this flow is conditional: expected a context of %zu numbers a row", context);
    if (t->o.optimizer.clip == 0) t->o.optimizer.clip = 1;
    if (!t->o.schedule) t->o.schedule = "cosine";
    const nf__optimizer_defaults *defaults = t->o.objective == NF_LIKELIHOOD ? &adam_here : &adam_of_matching;
    ad_status status = nf__loop_open(&t->loop, &t->o.optimizer, defaults, t->o.schedule, error);
    if (status == AD_OK) status = resolve(t, error);
    if (status == AD_OK) status = nf__take_data(t, error);
    if (status == AD_OK) status = nf__check_matching(t, error);
    if (status != AD_OK) return status;
    t->update = ad_alloc_aligned(nf__parameter_bytes(t->flow), 1);
    t->average = t->o.ema > 0 ? ad_alloc_aligned(nf__trained_bytes(t->flow), 1) : NULL;
    if (!t->update || (t->o.ema > 0 && !t->average))
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to train %zu parameters", count);
    bool resumed;
    t->report->train_rows = t->n_train;
    t->report->val_rows = t->n_val;
    status = nf__checkpoint_enter(t->o.checkpoint, "fit", nf__list_fit, t, &resumed, error);
    if (status == AD_OK && resumed)
        nf_flow_pull(t->flow);
    else if (status == AD_OK)
        status = nf__fit_bijectors(t, error);
    if (status == AD_OK) status = nf__pairs_open(t, error);
    if (status == AD_OK) status = nf__compile(t, error);
    t->batches = batches_of(t);
    if (status == AD_OK && t->stream) status = nf__stream_begin(t, error);
    if (status == AD_OK) status = nf__pair_validation(t, error);
    if (status != AD_OK || resumed) return status;
    if (t->average) memcpy(t->average, nf_flow_parameters(t->flow), nf__trained_bytes(t->flow));
    t->adapted = (nf__adapted){1, INFINITY, 0};
    nf__keep_best(t, INFINITY);
    status = nf__redraw(t, error);
    return status == AD_OK ? nf__look_at_rows(t, error) : status;
}

ad_status nf_fit(nf_flow *flow, const double *x, size_t rows, const nf_fit_options *options, nf_fit_report *report,
                 ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (report) *report = (nf_fit_report){0};
    const char *missing = !flow ? "flow" : rows && !x ? "x" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: %s is NULL", missing);
    ad_error own;
    nf_fit_report unwanted;
    nf__training t = {.o = options ? *options : (nf_fit_options){0},
                      .flow = flow,
                      .dim = nf_flow_dim(flow),
                      .rows = rows,
                      .given = x,
                      .wanted = report != NULL,
                      .report = report ? report : &unwanted};
    t.loop = (nf__loop){.flow = flow,
                        .pool = t.o.pool,
                        .resume = t.o.resume,
                        .warmup = t.o.warmup,
                        .callbacks = t.o.callbacks,
                        .interrupted = t.o.interrupted,
                        .context = t.o.context};
    if (!error) error = &own;
    *t.report = (nf_fit_report){.outcome = NF_FINISHED};
    ad_status status = start(&t, error);
    if (status == AD_OK) status = run(&t, error);
    nf__pairs_close(t.pairs);
    nf__checkpoint_leave(t.o.checkpoint, &t);
    nf__state_free(&t.trials.initial);
    nf__state_free(&t.trials.best);
    ad_plan_free(t.statistics_plan);
    ad_plan_free(t.score_plan);
    ad_plan_free(t.val_plan);
    ad_plan_free(t.step_plan);
    nf__loop_close(&t.loop);
    ad_free_aligned(t.average);
    ad_free(t.updated);
    ad_free_aligned(t.update);
    nf__stream_free(t.stream);
    ad_free(t.redrawn);
    ad_free(t.order);
    ad_free(t.train);
    ad_free(t.val);
    ad_free_aligned(t.weight);
    ad_free_aligned(t.context);
    ad_free_aligned(t.data);
    if (!report) ad_free(t.report->history);
    return status;
}

ad_status nf_nll(const nf_flow *flow, const double *x, const double *context, size_t rows, double *nll,
                 double *standard_error, ad_pool *pool, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !flow ? "flow" : rows && !x ? "x" : !nll ? "nll" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "nll: %s is NULL", missing);
    if (rows == 0) return ad_error_set(error, AD_ERROR_ARGUMENT, "nll: expected at least 1 row, got 0");
    double *log_prob = ad_alloc(rows, sizeof *log_prob), sum = 0, squares = 0, n = (double)rows;
    if (!log_prob) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to score %zu rows", rows);
    ad_status status = nf_log_prob(flow, x, context, rows, log_prob, pool, error);
    for (size_t i = 0; i < rows && !status; i++) {
        if (isnan(log_prob[i]))
            status = ad_error_set(error, AD_ERROR_NUMERIC, "the log-density of row %zu is NaN", i + 1);
        sum += log_prob[i];
    }
    for (size_t i = 0; i < rows; i++) squares += (log_prob[i] - sum / n) * (log_prob[i] - sum / n);
    *nll = -sum / n;
    if (standard_error) *standard_error = rows > 1 ? sqrt(squares / (n - 1) / n) : NAN;
    ad_free(log_prob);
    return status;
}
