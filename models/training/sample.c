/* Bijectors that see the data, of which there are more than are to be in memory: they see a sample. */
#include "training/stream.h"

#include <weir/features.h>
#include <weir/random.h>

#include <math.h>

/* Means and standard deviations of all training rows, from their sums of differences, and of the squares of these, from
 * a value that isn't far off; each rank reads some of the rows. moments: (2, dim), which begins as that value. */
static ad_status find_moments(nf__training *t, double *moments, ad_error *error)
{
    enum { TILE_ROWS = 4096 }; /* reads of some size */
    const size_t dim = t->dim;
    const double n = (double)t->n_train;
    double *sums = ad_alloc(2 * dim, sizeof *sums);
    if (!sums) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the moments of %zu columns", dim);
    ad_tape *tape = ad_tape_new();
    ad_var x = ad_input(tape, "x", AD_SHAPE(dim)), near = ad_param(tape, "near", AD_SHAPE(dim));
    ad_var off = ad_sub(x, near), sum[] = {ad_sum_rows(off), ad_sum_rows(ad_mul(off, off))};
    ad_plan *plan = ad_plan_new(sum, 2, &(ad_plan_options){.dtype = AD_F64, .tile_rows = TILE_ROWS}, error);
    ad_plan_set_source(plan, x, nf__stream_exact_source(t->stream));
    ad_plan_set_input(plan, near, moments);
    ad_plan_set_output(plan, 0, sums);
    ad_plan_set_output(plan, 1, sums + dim);
    nf__stream_show(t, NF__TRAINING, 0);
    ad_status status =
        plan ? ad_plan_run(plan, &(ad_run){.rows = t->n_train, .pool = t->o.pool}, error) : error->status;
    for (size_t i = 0; i < dim && !status; i++) {
        const double mean = sums[i] / n;
        moments[dim + i] = sqrt(fmax(0, sums[dim + i] / n - mean * mean));
        moments[i] += mean;
    }
    ad_plan_free(plan);
    ad_tape_free(tape);
    ad_free(sums);
    return status;
}

/* But for what goes by means and standard deviations alone. */
static ad_status fit_to_sample(nf__training *t, const double *x, const double *context, size_t rows, ad_error *error)
{
    if (rows == t->n_train) return nf_flow_fit_data(t->flow, x, context, rows, error);
    double *moments = ad_alloc(2 * t->dim, sizeof *moments);
    if (!moments) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the moments of %zu columns", t->dim);
    for (size_t c = 0; c < t->dim; c++) nf_column_moments(x, rows, t->dim, c, &moments[c], NULL);
    ad_status status = find_moments(t, moments, error);
    if (!status) status = nf_flow_fit_sample(t->flow, x, context, rows, moments, moments + t->dim, error);
    ad_free(moments);
    return status;
}

static size_t sample_rows(const nf__training *t)
{
    enum { MOST_ROWS = 1 << 16, FEWEST_ROWS = 1 << 12, MOST_NUMBERS = 1 << 22 };
    const size_t fit = MOST_NUMBERS / (t->dim + nf_flow_context_size(t->flow));
    const size_t rows = fit > MOST_ROWS ? MOST_ROWS : fit < FEWEST_ROWS ? FEWEST_ROWS : fit;
    return rows < t->n_train ? rows : t->n_train;
}

/* A row of each of as many equal parts of the training rows. */
static ad_status read_sample(const nf__training *t, size_t rows, double *x, double *context, ad_error *error)
{
    const size_t columns = nf_flow_context_size(t->flow);
    const double each = (double)t->n_train / (double)rows;
    for (size_t i = 0; i < rows; i++) {
        const size_t drawn = (size_t)(((double)i + ad_random_uniform(t->o.seed, NF__SAMPLE_STREAM, i)) * each);
        const size_t place = rows == t->n_train ? i : drawn < t->n_train ? drawn : t->n_train - 1;
        const ad_status status = nf__stream_read(t->stream, NF__TRAINING, place, 1, x + i * t->dim,
                                                 context ? context + i * columns : NULL, error);
        if (status) return status;
    }
    return AD_OK;
}

ad_status nf__stream_fit_bijectors(nf__training *t, ad_error *error)
{
    const size_t rows = sample_rows(t), columns = nf_flow_context_size(t->flow);
    double *x = ad_alloc(rows, (t->dim + columns) * sizeof *x), *context = x && columns ? x + rows * t->dim : NULL;
    if (!x) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a sample of %zu rows", rows);
    ad_status status = read_sample(t, rows, x, context, error);
    if (!status && nf_flow_dtype(t->flow) == AD_F32) status = nf__check_rounding(t, x, context, rows, error);
    if (!status) status = fit_to_sample(t, x, context, rows, error);
    ad_free(x);
    return status;
}
