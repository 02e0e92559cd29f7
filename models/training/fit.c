/* Training by maximum likelihood. */
#include "training/fit.h"
#include "training/optimizer.h"

#include <weir/training.h>

#include <float.h>
#include <math.h>
#include <string.h>
#include <time.h>

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* 0.999 is slow to forget the large gradients of narrow densities. */
static const nf__optimizer_defaults adam_here = {"adam", 2e-3, "beta2", 0.98};

static ad_status resolve(nf_fit_options *o, size_t rows, nf_schedule *schedule, ad_error *error)
{
    if (!o->epochs) o->epochs = 100;
    if (!o->starts) o->starts = 1;
    if (!o->batch) o->batch = 128;
    if (o->optimizer.clip == 0) o->optimizer.clip = 1;
    if (o->val_fraction == 0) o->val_fraction = 0.1;
    if (!(o->ema >= 0 && o->ema < 1))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "ema: expected 0 or more and less than 1, got %g", o->ema);
    if (!(o->val_fraction < 1))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "validation fraction: expected less than 1, got %g",
                            o->val_fraction);
    if (rows == 0 || rows >= UINT32_MAX)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: expected between 1 and 2^32 rows, got %zu", rows);
    if (o->val_fraction < 0) o->val_fraction = 0;
    return nf_schedule_parse(o->schedule ? o->schedule : "cosine", schedule, error);
}

enum { SPLIT_STREAM = 0, SHUFFLE_STREAM = 1 }; /* shuffles use SHUFFLE_STREAM + epoch */

/* A column such as seconds since 1970 may vary less than float32 can tell. */
static ad_status check_rounding(const char *what, const double *x, size_t rows, size_t columns, ad_error *error)
{
    const double most = 0.01; /* of what the column spans */
    for (size_t c = 0; c < columns; c++) {
        double low = x[c], high = x[c], rounding = 0;
        for (size_t r = 0; r < rows; r++) {
            double value = x[r * columns + c];
            low = fmin(low, value);
            high = fmax(high, value);
            rounding = fmax(rounding, fabs(value - (double)(float)value));
        }
        if (low < high && rounding > most * (high - low))
            return ad_error_set(
                error, AD_ERROR_ARGUMENT,
                "fit: %s %zu goes from %.9g to %.9g, which float32 cannot tell apart well enough; train "
                "in float64",
                what, c + 1, low, high);
    }
    return AD_OK;
}

/* x (rows, columns) in the flow's dtype, all of it finite; `what` names it in messages. */
static ad_status take(nf__training *t, const char *what, const double *x, size_t rows, size_t columns, void **taken,
                      ad_error *error)
{
    size_t size = ad_dtype_size(nf_flow_dtype(t->flow));
    *taken = ad_alloc_aligned(rows, columns * size);
    if (!*taken) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", rows);
    for (size_t i = 0; i < rows * columns; i++) {
        if (!isfinite(x[i]))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: row %zu, %s %zu is not finite: %g", i / columns + 1,
                                what, i % columns + 1, x[i]);
        if (size == sizeof(float)) {
            if (fabs(x[i]) > FLT_MAX)
                return ad_error_set(error, AD_ERROR_ARGUMENT,
                                    "fit: row %zu, %s %zu is too large for float32: %g; train in float64",
                                    i / columns + 1, what, i % columns + 1, x[i]);
            ((float *)*taken)[i] = (float)x[i];
        } else {
            ((double *)*taken)[i] = x[i];
        }
    }
    return size == sizeof(float) ? check_rounding(what, x, rows, columns, error) : AD_OK;
}

/* The split: the rows at the first places of a random permutation are for validation. */
static ad_status split(nf__training *t, size_t rows, ad_error *error)
{
    t->n_val = (size_t)llround(t->o.val_fraction * (double)rows);
    if (t->n_val == rows) t->n_val = rows - 1;
    t->n_train = rows - t->n_val;
    if (t->o.batch > t->n_train) t->o.batch = t->n_train;
    t->val = ad_alloc(t->n_val, sizeof *t->val);
    t->train = ad_alloc(t->n_train, sizeof *t->train);
    t->order = ad_alloc(t->n_train, sizeof *t->order);
    if (!t->val || !t->train || !t->order)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", rows);
    for (size_t i = 0; i < rows; i++) {
        uint32_t row = (uint32_t)ad_random_permutation(t->o.seed, SPLIT_STREAM, rows, i);
        if (i < t->n_val)
            t->val[i] = row;
        else
            t->train[i - t->n_val] = row;
    }
    return AD_OK;
}

/* The training rows of an array of the caller's. */
static double *training_rows(const nf__training *t, const double *x, size_t columns)
{
    double *seen = ad_alloc(t->n_train, columns * sizeof *seen);
    for (size_t i = 0; seen && i < t->n_train; i++)
        memcpy(seen + i * columns, x + t->train[i] * columns, columns * sizeof *seen);
    return seen;
}

ad_status nf__fit_bijectors(nf__training *t, ad_error *error)
{
    size_t columns = nf_flow_context(t->flow);
    double *seen = training_rows(t, t->given, t->dim);
    double *context = columns ? training_rows(t, t->o.row_context, columns) : NULL;
    ad_status status = AD_ERROR_MEMORY;
    if (seen && (context || !columns)) {
        nf_flow_pull(t->flow);
        status = nf_bijector_fit(nf_flow_bijector(t->flow), seen, context, t->n_train, error);
        nf_flow_push(t->flow);
    } else {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", t->n_train);
    }
    ad_free(context);
    ad_free(seen);
    return status;
}

/* ---- Plans ---------------------------------------------------------------------------------------------------- */

/* The mean negative log-likelihood, on a tape of its own with the rows bound to it. */
typedef struct {
    ad_tape *tape;
    nf_flow_scope flow;
    ad_var x, loss;
} recording;

static recording record_loss(const nf__training *t, bool training)
{
    recording r = {.tape = ad_tape_new()};
    if (!r.tape) return r;
    r.x = ad_input(r.tape, "x", AD_SHAPE(t->dim));
    r.flow = nf_flow_bind(t->flow, r.tape);
    if (training) nf_set_training(r.flow.bijector);
    ad_var log_prob = nf_flow_record_log_prob(&r.flow, r.x);
    r.loss = ad_neg(ad_div(ad_sum_rows(ad_to_rows(log_prob)), ad_row_count(r.tape)));
    return r;
}

static ad_plan *plan_of(const nf__training *t, const recording *r, const ad_var *outputs, size_t count, ad_error *error)
{
    ad_plan *plan = ad_plan_new(outputs, (int)count, &(ad_plan_options){.dtype = nf_flow_dtype(t->flow)}, error);
    if (!plan) return NULL;
    nf_flow_bind_plan(&r->flow, plan);
    ad_plan_set_input(plan, r->x, t->data);
    ad_plan_set_input(plan, nf_context(r->flow.bijector), t->context);
    return plan;
}

/* Two plans: the loss with its gradient, in the form for training, and with what nf_update() recorded; and the loss
 * alone, as it is evaluated. */
static ad_status compile(nf__training *t, ad_error *error)
{
    size_t trained = nf_flow_trained_parameters(t->flow), all = nf_flow_all_parameters(t->flow), n = trained + 1;
    size_t size = ad_dtype_size(nf_flow_dtype(t->flow)), offset;
    ad_var *wrt = ad_alloc(trained, sizeof *wrt), *out = ad_alloc(all + 1, sizeof *out);
    t->updated = ad_alloc(all - trained, sizeof *t->updated);
    recording step = record_loss(t, true);
    if (step.tape && wrt && out && t->updated) {
        out[0] = step.loss;
        for (size_t i = 0; i < trained; i++) wrt[i] = nf_flow_bound_parameter(&step.flow, i).var;
        ad_grad(out[0], wrt, (int)trained, out + 1);
        for (size_t i = trained; i < all; i++) {
            const nf_parameter *fixed = nf_flow_parameter(t->flow, i, &offset);
            const ad_var update = nf_flow_bound_parameter(&step.flow, i).update;
            if (!ad_is_valid(update)) continue;
            out[n++] = update;
            t->updated[t->n_updated++] = (nf__part){offset * size, ad_shape_size(fixed->spec.shape) * size};
        }
        t->step_plan = plan_of(t, &step, out, n, error);
    } else {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the training plan");
    }
    if (t->step_plan) {
        ad_plan_set_output(t->step_plan, 0, t->step_loss);
        for (size_t i = 0; i < trained; i++) {
            nf_flow_parameter(t->flow, i, &offset);
            ad_plan_set_output(t->step_plan, (int)i + 1, (char *)t->gradient + offset * size);
        }
        for (size_t i = 0; i < t->n_updated; i++)
            ad_plan_set_output(t->step_plan, (int)(trained + 1 + i), (char *)t->update + t->updated[i].offset);
        recording evaluation = record_loss(t, false);
        if (evaluation.tape)
            t->val_plan = plan_of(t, &evaluation, &evaluation.loss, 1, error);
        else
            ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the validation plan");
        ad_tape_free(evaluation.tape);
    }
    if (t->val_plan) ad_plan_set_output(t->val_plan, 0, t->val_loss);
    ad_free(out);
    ad_free(wrt);
    ad_tape_free(step.tape);
    return t->val_plan ? AD_OK : error->status;
}

/* What the step made of the parameters that it updates takes their place. */
static void apply_updates(nf__training *t)
{
    for (size_t i = 0; i < t->n_updated; i++)
        memcpy((char *)nf_flow_parameters(t->flow) + t->updated[i].offset, (char *)t->update + t->updated[i].offset,
               t->updated[i].bytes);
}

static double loss_at(const nf__training *t, const char *loss)
{
    return nf_flow_dtype(t->flow) == AD_F32 ? (double)*(const float *)loss : *(const double *)loss;
}

size_t nf__trained_bytes(const nf__training *t)
{
    return nf_flow_parameter_count(t->flow) * ad_dtype_size(nf_flow_dtype(t->flow));
}

size_t nf__parameter_bytes(const nf__training *t)
{
    size_t count = nf_flow_parameter_count(t->flow) + nf_flow_fixed_count(t->flow);
    return count * ad_dtype_size(nf_flow_dtype(t->flow));
}

static void keep_best(nf__training *t, double nll)
{
    t->report->best_nll = nll;
    t->report->best_epoch = t->now.best_epoch = t->now.epoch;
    memcpy(t->best, nf_flow_parameters(t->flow), nf__parameter_bytes(t));
}

static ad_status diverged(nf__training *t, size_t step, const char *how, ad_error *error)
{
    t->report->outcome = NF_DIVERGED;
    t->report->diverged_step = step;
    return ad_error_set(
        error, AD_ERROR_NUMERIC,
        "training diverged at step %zu (epoch %zu): %s; the best weights so far are kept; try a smaller "
        "learning rate (it was %g) or a smaller clip",
        step, t->now.epoch + 1, how, nf_optimizer_settings(t->optimizer)->learning_rate);
}

/* Run the step again, looking for what made the first NaN. */
static ad_status diverged_in(nf__training *t, const ad_run *run, double loss, double norm, ad_error *error)
{
    ad_error cause = {AD_OK, ""};
    char how[800];
    if (t->now.step == 0 && loss == INFINITY) {
        t->report->outcome = NF_DIVERGED;
        t->report->diverged_step = 1;
        return ad_error_set(error, AD_ERROR_NUMERIC,
                            "training cannot start: the loss is infinite, since rows of the data have density 0 under "
                            "the initial flow; its base or a bijector like sigmoid reaches only a part of the space: "
                            "use others, or rescale the data");
    }
    ad_run again = *run;
    again.find_nan = true;
    ad_plan_run(t->step_plan, &again, &cause);
    snprintf(how, sizeof how, "loss %g, gradient norm %g%s%.700s", loss, norm, *cause.message ? "; " : "",
             cause.message);
    return diverged(t, t->now.step + 1, how, error);
}

/* Far above where it began, clipped steps may wander on finite values for ever. */
static bool lost(const nf__training *t, double loss)
{
    return !(loss < 1000 * (1 + fabs(t->first_nll)));
}

static ad_status loss_of(nf__training *t, const uint32_t *row, size_t rows, double *loss, ad_error *error)
{
    ad_run run = {.rows = rows, .index = row, .pool = t->o.pool};
    ad_status status = ad_plan_run(t->val_plan, &run, error);
    *loss = loss_at(t, t->val_loss);
    return status;
}

/* The last step of an epoch, before its weights can be the best. Where no validation tells, the last batch does. */
static ad_status check_epoch(nf__training *t, ad_error *error)
{
    char how[64];
    double loss = NAN;
    size_t rows = (t->n_train - 1) % t->o.batch + 1;
    size_t count = nf_flow_parameter_count(t->flow);
    const void *w = nf_flow_parameters(t->flow);
    bool f32 = nf_flow_dtype(t->flow) == AD_F32, finite = true;
    for (size_t i = 0; i < count; i++)
        finite &= f32 ? isfinite(((const float *)w)[i]) : isfinite(((const double *)w)[i]);
    if (!finite) return diverged(t, t->now.step, "its weights are not finite", error);
    if (t->n_val > 0) {
        if (isnan(t->now.val_nll)) return diverged(t, t->now.step, "the validation loss is NaN", error);
        return AD_OK;
    }
    ad_status status = loss_of(t, t->order + t->n_train - rows, rows, &loss, error);
    if (status != AD_OK || !lost(t, loss)) return status;
    snprintf(how, sizeof how, "loss %g after it", loss);
    return diverged(t, t->now.step, how, error);
}

enum { SHUFFLED_AT_ONCE = 2048 };

/* The order of the rows of this epoch, from part * SHUFFLED_AT_ONCE on. */
static void shuffle_part(void *context, size_t part, int worker)
{
    (void)worker;
    nf__training *t = context;
    const size_t begin = part * SHUFFLED_AT_ONCE, end = begin + SHUFFLED_AT_ONCE;
    for (size_t i = begin; i < end && i < t->n_train; i++)
        t->order[i] = t->train[ad_random_permutation(t->o.seed, SHUFFLE_STREAM + t->now.epoch, t->n_train, i)];
}

/* One pass over the training rows. *stop: the caller wants no more. */
static ad_status run_epoch(nf__training *t, bool *stop, ad_error *error)
{
    size_t steps = (t->n_train + t->o.batch - 1) / t->o.batch;
    size_t seen = 0;
    double sum = 0;
    ad_pool_run(t->o.pool, (t->n_train + SHUFFLED_AT_ONCE - 1) / SHUFFLED_AT_ONCE, shuffle_part, t);
    for (size_t s = 0; s < steps && !*stop; s++) {
        size_t first = s * t->o.batch, rows = t->n_train - first < t->o.batch ? t->n_train - first : t->o.batch;
        ad_run run = {
            .rows = rows, .index = t->order + first, .seed = t->o.seed, .step = t->now.step, .pool = t->o.pool};
        ad_status status = ad_plan_run(t->step_plan, &run, error);
        if (status != AD_OK) return status;
        double loss = loss_at(t, t->step_loss), norm = NAN;
        if (t->now.step == 0) t->first_nll = loss;
        t->now.learning_rate = nf_scheduled_rate(&t->schedule, nf_optimizer_settings(t->optimizer)->learning_rate,
                                                 t->o.warmup, t->now.step, steps * t->o.epochs);
        status = lost(t, loss) ? AD_ERROR_NUMERIC
                               : nf_optimizer_step(t->optimizer, nf_flow_parameters(t->flow), t->gradient,
                                                   t->now.learning_rate, t->o.pool, &norm, error);
        if (status == AD_ERROR_NUMERIC) return diverged_in(t, &run, loss, norm, error);
        if (status != AD_OK) return status;
        apply_updates(t);
        sum += loss * (double)rows;
        t->now.step++;
        if (t->average) nf__update_average(t);
        seen += rows;
        const nf_iteration now = {.iteration = t->now.step,
                                  .loss = loss,
                                  .parameters = nf_flow_parameters(t->flow),
                                  .gradient = t->gradient,
                                  .count = nf_flow_parameter_count(t->flow),
                                  .dtype = nf_flow_dtype(t->flow)};
        *stop = !nf_call_back(t->o.callbacks, &now) || (t->o.interrupted && t->o.interrupted(t->o.context));
    }
    t->now.rows += seen;
    t->now.train_nll = sum / (double)seen;
    return AD_OK;
}

static ad_status validate(nf__training *t, ad_error *error)
{
    t->now.val_nll = NAN;
    return t->n_val > 0 ? loss_of(t, t->val, t->n_val, &t->now.val_nll, error) : AD_OK;
}

/* The history grows as epochs are done: those planned may never be. */
static ad_status make_room(nf__training *t, ad_error *error)
{
    if (t->now.epoch < t->history_room) return AD_OK;
    size_t room = 2 * t->history_room + 64;
    nf_progress *history = ad_realloc(t->report->history, room, sizeof *history);
    if (!history) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the history of %zu epochs", room);
    t->report->history = history;
    t->history_room = room;
    return AD_OK;
}

/* With the weights that are judged and kept: where averages are wanted, those. */
static ad_status end_epoch(nf__training *t, ad_error *error)
{
    ad_status status = validate(t, error);
    if (status == AD_OK) status = check_epoch(t, error);
    if (status != AD_OK) return status;
    t->now.epoch++;
    t->now.seconds = seconds_now() - t->started;
    double nll = t->n_val ? t->now.val_nll : t->now.train_nll;
    /* A mean over the epoch, of weights that were moving, doesn't tell which were best at an epoch's end: the last are.
     */
    if ((!t->n_val || nll < t->report->best_nll) && !lost(t, nll)) keep_best(t, nll);
    t->report->history[t->now.epoch - 1] = t->now;
    return AD_OK;
}

static bool out_of_patience(const nf__training *t)
{
    return t->o.patience > 0 && t->now.epoch - t->report->best_epoch >= (size_t)t->o.patience;
}

ad_status nf__train_until(nf__training *t, size_t epochs, bool *stop, ad_error *error)
{
    nf_outcome *outcome = &t->report->outcome;
    while (t->now.epoch < epochs && !*stop) {
        ad_status status = make_room(t, error);
        if (status == AD_OK) status = run_epoch(t, stop, error);
        if (*stop) *outcome = NF_STOPPED_BY_CALLER;
        if (*stop || status != AD_OK) return status;
        if (t->average) nf__exchange_average(t);
        status = end_epoch(t, error);
        if (status == AD_OK && t->o.progress && !t->o.progress(t->o.context, &t->now)) {
            *outcome = NF_STOPPED_BY_CALLER;
            *stop = true;
        } else if (status == AD_OK && epochs == t->o.epochs && out_of_patience(t)) {
            *outcome = NF_STOPPED_EARLY;
            *stop = true;
        }
        if (t->average) nf__exchange_average(t);
        if (status != AD_OK) return status;
    }
    return AD_OK;
}

static ad_status train(nf__training *t, ad_error *error)
{
    nf_fit_report *report = t->report;
    bool stop = false;
    ad_status status = nf__choose_start(t, &stop, error);
    if (status == AD_OK) status = nf__train_until(t, t->o.epochs, &stop, error);
    /* stopped within the first epoch, the weights at hand are the best known */
    if (report->best_epoch > 0 || report->outcome == NF_DIVERGED)
        memcpy(nf_flow_parameters(t->flow), t->best, nf__parameter_bytes(t));
    nf_flow_pull(t->flow);
    t->now.seconds = seconds_now() - t->started;
    report->last = t->now;
    return status;
}

static ad_status start(nf__training *t, size_t rows, ad_error *error)
{
    size_t context = nf_flow_context(t->flow);
    if (context && !t->o.row_context)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "fit: this flow is conditional: expected a context of %zu numbers a row", context);
    ad_status status = resolve(&t->o, rows, &t->schedule, error);
    if (status == AD_OK) status = take(t, "column", t->given, rows, t->dim, &t->data, error);
    if (status == AD_OK && context)
        status = take(t, "number of the context", t->o.row_context, rows, context, &t->context, error);
    if (status == AD_OK) status = split(t, rows, error);
    if (status == AD_OK) status = nf__fit_bijectors(t, error);
    if (status != AD_OK) return status;
    ad_dtype dtype = nf_flow_dtype(t->flow);
    size_t count = nf_flow_parameter_count(t->flow), size = ad_dtype_size(dtype);
    t->gradient = ad_alloc_aligned(count, size);
    t->best = ad_alloc_aligned(nf__parameter_bytes(t), 1);
    t->update = ad_alloc_aligned(nf__parameter_bytes(t), 1);
    t->step_loss = ad_alloc(2, sizeof(double));
    t->average = t->o.ema > 0 ? ad_alloc_aligned(count, size) : NULL;
    if (!t->gradient || !t->best || !t->update || !t->step_loss || (t->o.ema > 0 && !t->average))
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to train %zu parameters", count);
    t->val_loss = t->step_loss + sizeof(double);
    status = compile(t, error);
    if (status != AD_OK) return status;
    t->optimizer = nf__optimizer_take(t->o.resume, &t->o.optimizer, &adam_here, count, dtype, error);
    if (!t->optimizer) return error->status;
    if (t->average) memcpy(t->average, nf_flow_parameters(t->flow), count * size);
    t->report->train_rows = t->n_train;
    t->report->val_rows = t->n_val;
    t->now.epochs = t->o.epochs;
    t->now.starts = t->o.starts;
    t->now.start_epochs = (t->o.epochs - 1) / 10 + 1;
    keep_best(t, INFINITY);
    return AD_OK;
}

ad_status nf_fit(nf_flow *flow, const double *x, size_t rows, const nf_fit_options *options, nf_fit_report *report,
                 ad_error *error)
{
    ad_error own;
    nf_fit_report unwanted;
    nf__training t = {.o = options ? *options : (nf_fit_options){0},
                      .flow = flow,
                      .dim = nf_flow_dim(flow),
                      .given = x,
                      .report = report ? report : &unwanted,
                      .started = seconds_now()};
    if (!error) error = &own;
    *t.report = (nf_fit_report){.outcome = NF_FINISHED};
    ad_status status = start(&t, rows, error);
    if (status == AD_OK) status = train(&t, error);
    if (t.optimizer != t.o.resume) nf_optimizer_free(t.optimizer);
    ad_plan_free(t.val_plan);
    ad_plan_free(t.step_plan);
    ad_free(t.step_loss);
    ad_free_aligned(t.average);
    ad_free(t.updated);
    ad_free_aligned(t.update);
    ad_free_aligned(t.best);
    ad_free_aligned(t.gradient);
    ad_free(t.order);
    ad_free(t.train);
    ad_free(t.val);
    ad_free_aligned(t.context);
    ad_free_aligned(t.data);
    if (!report) ad_free(t.report->history);
    return status;
}

ad_status nf_nll(const nf_flow *flow, const double *x, const double *context, size_t rows, double *nll,
                 double *standard_error, ad_pool *pool, ad_error *error)
{
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
