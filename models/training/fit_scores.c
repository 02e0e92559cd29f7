/* Single rows of a fit: how likely each is before the first step, and under the weights that are kept. */
#include "training/fit.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* How many rows of a list are looked at one by one: all, but of those that are read as they are needed. Who has stopped
 * the fit waits for it. */
static size_t looked_at(const nf__training *t, size_t rows)
{
    enum { MOST_STREAMED = 1 << 20, MOST_IN_HASTE = 1 << 14 };
    const size_t most = t->report->outcome == NF_STOPPED_BY_CALLER ? MOST_IN_HASTE : MOST_STREAMED;
    return t->stream && rows > most ? most : rows;
}

/* log p of the first of a list, in the flow's dtype; NULL with *error on failure. */
static void *log_probs(nf__training *t, nf__list list, size_t rows, ad_error *error)
{
    void *log_prob = ad_alloc_aligned(rows, ad_dtype_size(nf_flow_dtype(t->flow)));
    if (!log_prob) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory to score %zu rows", rows);
        return NULL;
    }
    ad_run run = {.rows = rows, .pool = t->o.pool};
    nf__show(t, list, 0, &run);
    ad_plan_set_output(t->score_plan, 0, log_prob);
    if (ad_plan_run(t->score_plan, &run, error) == AD_OK) return log_prob;
    ad_free_aligned(log_prob);
    return NULL;
}

/* ---- Before the first step ----------------------------------------------------------------------------------- */

/* The place of the row, the first in the caller's order, that has density 0, and how many do. */
static size_t count_impossible(const nf__training *t, const void *log_prob, size_t rows, size_t *place)
{
    size_t count = 0, first = SIZE_MAX;
    *place = 0;
    for (size_t i = 0; i < rows; i++) {
        if (ad_element(nf_flow_dtype(t->flow), log_prob, i) != -INFINITY) continue;
        count++;
        const size_t row = nf__row_number(t, NF__TRAINING, i);
        if (row >= first) continue;
        first = row;
        *place = i;
    }
    return count;
}

/* No step leads away from there. */
static ad_status refuse(nf__training *t, size_t place, size_t count, ad_error *error)
{
    char why[500], others[60] = " has";
    nf__explain_support(t, place, why, sizeof why);
    if (count > 1) snprintf(others, sizeof others, " and %zu other%s have", count - 1, count > 2 ? "s" : "");
    t->report->outcome = NF_DIVERGED;
    t->report->diverged_step = 1;
    return ad_error_set(error, AD_ERROR_NUMERIC,
                        "training cannot start: row %zu%s density 0 under the initial flow: %s",
                        nf__row_number(t, NF__TRAINING, place) + 1, others, why);
}

/* A batch with the least likely of these rows in it: its loss is no sign of having gone astray. */
static double largest_loss(const nf__training *t, const void *log_prob, size_t rows)
{
    const ad_dtype dtype = nf_flow_dtype(t->flow);
    double worst = 0, sum = 0;
    for (size_t i = 0; i < rows; i++) {
        double weight = t->weight ? ad_element(dtype, t->weight, t->train[i]) : 1;
        double size = weight * fabs(ad_element(dtype, log_prob, i));
        sum += size;
        worst = fmax(worst, size);
    }
    return sum / (double)rows + worst / (double)t->o.batch;
}

ad_status nf__look_at_rows(nf__training *t, ad_error *error)
{
    double began, scored, ended;
    const size_t rows = looked_at(t, t->n_train);
    size_t place, count;
    ad_status status = nf__agree(t->o.pool, NULL, &began, error);
    void *log_prob = status ? NULL : log_probs(t, NF__TRAINING, rows, error);
    if (!log_prob) return error->status;
    count = count_impossible(t, log_prob, rows, &place);
    t->first_nll = largest_loss(t, log_prob, rows);
    ad_free_aligned(log_prob);
    if (count > 0) return refuse(t, place, count, error);
    t->first_val = NAN;
    status = nf__agree(t->o.pool, NULL, &scored, error);
    if (t->n_val > 0 && !status) status = nf__loss_of(t, NF__VALIDATION, 0, t->n_val, &t->first_val, error);
    if (!status) status = nf__agree(t->o.pool, NULL, &ended, error);
    if (status) return status;
    t->reporting = scored - began;
    t->closing = ended - scored;
    return AD_OK;
}

/* ---- Under the weights that are kept ------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the first ones: rows are in random order. */
static double median_of(const double *values, size_t count)
{
    enum { MOST = 10000 };
    const size_t n = count < MOST ? count : MOST;
    double *sorted = ad_alloc(n, sizeof *sorted), median = NAN;
    if (!sorted) return NAN;
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    if (n > 0) median = 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
    ad_free(sorted);
    return median;
}

static void find_mean(const nf__training *t, nf__list list, const double *log_prob, size_t rows, nf_row_scores *s)
{
    const uint32_t *row = list == NF__VALIDATION ? t->val : t->train;
    const ad_dtype dtype = nf_flow_dtype(t->flow);
    double sum = 0, all = 0, squares = 0;
    for (size_t i = 0; i < rows; i++) {
        const double w = t->weight ? ad_element(dtype, t->weight, row[i]) : 1;
        sum += w * log_prob[i];
        all += w;
    }
    s->mean = sum / all;
    for (size_t i = 0; i < rows; i++) {
        const double w = t->weight ? ad_element(dtype, t->weight, row[i]) : 1, off = w * (log_prob[i] - s->mean);
        squares += off * off;
    }
    if (rows > 1) s->standard_error = sqrt(squares * (double)rows / (double)(rows - 1)) / all;
}

static nf_row_scores score(nf__training *t, nf__list list, size_t all)
{
    ad_error unwanted;
    nf_row_scores s = {NAN, NAN, 0, 0, NAN, NAN};
    const size_t rows = looked_at(t, all);
    void *taken = rows ? log_probs(t, list, rows, &unwanted) : NULL;
    double *log_prob = taken ? ad_alloc(rows, sizeof *log_prob) : NULL;
    if (log_prob) {
        ad_to_double(nf_flow_dtype(t->flow), taken, log_prob, rows);
        s.median = median_of(log_prob, rows);
        find_mean(t, list, log_prob, rows, &s);
        const double low = s.median - 30 - (double)t->dim;
        for (size_t i = 0; i < rows; i++) {
            s.far += log_prob[i] < low;
            if (log_prob[i] >= s.worst) continue;
            s.worst = log_prob[i];
            s.worst_row = nf__row_number(t, list, i) + 1;
        }
    }
    ad_free(log_prob);
    ad_free_aligned(taken);
    return s;
}

static void AD_PRINTF(2, 3) warn(nf__training *t, const char *format, ...)
{
    char *text = t->report->warning;
    const size_t size = sizeof t->report->warning, filled = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    if (filled > 0) snprintf(text + filled, size - filled, "\n");
    vsnprintf(text + strlen(text), size - strlen(text), format, arguments);
    va_end(arguments);
}

static void warn_of_rows(nf__training *t, const char *kind, const nf_row_scores *s)
{
    if (s->far == 0) return;
    warn(t, "%zu %s row%s far below the others: log p of row %zu%s is %.4g, and half of all are above %.4g", s->far,
         kind, s->far == 1 ? " is" : "s are", s->worst_row, t->o.val_x && s == &t->report->val ? " of val_x" : "",
         s->worst, s->median);
}

void nf__report_rows(nf__training *t)
{
    nf_fit_report *report = t->report;
    char affine[400];
    report->train = score(t, NF__TRAINING, t->n_train);
    report->val = score(t, NF__VALIDATION, t->n_val);
    if (t->n_val > 0 && t->now.epoch > 0 && report->best_epoch == 0 && report->outcome != NF_DIVERGED)
        warn(t, "the validation loss was finite after no epoch: the weights are the last");
    warn_of_rows(t, "training", &report->train);
    warn_of_rows(t, "validation", &report->val);
    nf__tell_affine(t->flow, affine, sizeof affine);
    if (*affine) warn(t, "%s", affine);
}
