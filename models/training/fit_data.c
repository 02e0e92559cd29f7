/* The data of a fit: taken in the flow's dtype, split into rows for training and for validation, and shown to the
 * bijectors and base distributions that want to see them. */
#include "training/fit.h"

#include <float.h>
#include <math.h>
#include <string.h>

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
    const ad_dtype dtype = nf_flow_dtype(t->flow);
    *taken = ad_alloc_aligned(rows, columns * ad_dtype_size(dtype));
    if (!*taken) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", rows);
    for (size_t i = 0; i < rows * columns; i++) {
        if (!isfinite(x[i]))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: row %zu, %s %zu is not finite: %g", i / columns + 1,
                                what, i % columns + 1, x[i]);
        if (dtype == AD_F32 && fabs(x[i]) > FLT_MAX)
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "fit: row %zu, %s %zu is too large for float32: %g; train in float64", i / columns + 1,
                                what, i % columns + 1, x[i]);
    }
    ad_from_double(dtype, x, *taken, rows * columns);
    return dtype == AD_F32 ? check_rounding(what, x, rows, columns, error) : AD_OK;
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
        uint32_t row = (uint32_t)ad_random_permutation(t->o.seed, NF__SPLIT_STREAM, rows, i);
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
    size_t columns = nf_flow_context_size(t->flow);
    double *seen = training_rows(t, t->given, t->dim);
    double *context = columns ? training_rows(t, t->o.row_context, columns) : NULL;
    ad_status status = AD_ERROR_MEMORY;
    if (seen && (context || !columns))
        status = nf_flow_fit_data(t->flow, seen, context, t->n_train, error);
    else
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", t->n_train);
    ad_free(context);
    ad_free(seen);
    return status;
}

ad_status nf__take_data(nf__training *t, size_t rows, ad_error *error)
{
    size_t context = nf_flow_context_size(t->flow);
    ad_status status = take(t, "column", t->given, rows, t->dim, &t->data, error);
    if (status == AD_OK && context)
        status = take(t, "number of the context", t->o.row_context, rows, context, &t->context, error);
    return status == AD_OK ? split(t, rows, error) : status;
}
