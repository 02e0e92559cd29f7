/* The data of a fit: taken in the flow's dtype, split into rows for training and for validation, made anew before an
 * epoch, and shown to the bijectors and base distributions that want to see them. */
#include "training/fit.h"
#include "training/stream.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Taking them --------------------------------------------------------------------------------------------- */

/* Numbers of the caller's: so many columns of the rows, and of the validation rows where they are of their own. */
typedef struct {
    const char *what; /* one of them, in messages */
    size_t columns;
    const double *rows, *val;
    double blur; /* by how much float32 may move values at most, as a part of what their column spans */
} given;

/* A column such as seconds since 1970 may vary less than float32 can tell. Draws of a column are of float32 numbers:
 * where rounding is 1e-5 of what it spans there are 50,000 of them, and of 2,000 draws 1 in 25 repeats another. As a
 * condition it has to be told apart only. */
static const double column_blur = 1e-5, context_blur = 1e-2;

static given columns_of(const nf__training *t)
{
    return (given){"column", t->dim, t->given, t->o.val_x, column_blur};
}

static given context_of(const nf__training *t)
{
    return (given){"number of the context", nf_flow_context_size(t->flow), t->o.row_context, t->o.val_context,
                   context_blur};
}

static ad_status check_rounding(const given *from, const double *values, size_t rows, ad_error *error)
{
    for (size_t c = 0; c < from->columns; c++) {
        double low = values[c], high = low, rounding = 0;
        for (size_t r = 0; r < rows; r++) {
            double value = values[r * from->columns + c];
            low = fmin(low, value);
            high = fmax(high, value);
            /* No fmax(): at a third one here gcc 12 breaks off, for arm64. */
            const double lost = fabs(value - (double)(float)value);
            if (lost > rounding) rounding = lost;
        }
        if (low < high && rounding > from->blur * (high - low))
            return ad_error_set(
                error, AD_ERROR_ARGUMENT,
                "fit: %s %zu goes from %.9g to %.9g, which float32 cannot tell apart well enough; subtract an offset "
                "such as %.9g from it, or train in float64",
                from->what, c + 1, low, high, low);
    }
    return AD_OK;
}

ad_status nf__check_rounding(const nf__training *t, const double *x, const double *context, size_t rows,
                             ad_error *error)
{
    const given columns = columns_of(t), conditions = context_of(t);
    const ad_status status = check_rounding(&columns, x, rows, error);
    return status == AD_OK && context ? check_rounding(&conditions, context, rows, error) : status;
}

ad_status nf__check_values(const char *what, const char *of, const double *values, size_t first, size_t rows,
                           size_t columns, ad_dtype dtype, ad_error *error)
{
    for (size_t i = 0; i < rows * columns; i++) {
        if (fabs(values[i]) <= (dtype == AD_F32 ? FLT_MAX : DBL_MAX)) continue;
        const size_t row = first + i / columns + 1, column = i % columns + 1;
        return isfinite(values[i])
                   ? ad_error_set(error, AD_ERROR_ARGUMENT,
                                  "fit: %srow %zu, %s %zu is too large for float32: %g; train in float64", of, row,
                                  what, column, values[i])
                   : ad_error_set(error, AD_ERROR_ARGUMENT, "fit: %srow %zu, %s %zu is not finite: %g", of, row, what,
                                  column, values[i]);
    }
    return AD_OK;
}

/* In the flow's dtype, all of it finite: the rows, and behind them the validation rows. */
static ad_status take(nf__training *t, const given *from, void **taken, ad_error *error)
{
    const ad_dtype dtype = nf_flow_dtype(t->flow);
    const size_t size = from->columns * ad_dtype_size(dtype), own = from->val ? t->o.val_rows : 0;
    *taken = ad_alloc_aligned(t->rows + own, size);
    if (!*taken) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", t->rows + own);
    ad_status status = nf__check_values(from->what, "", from->rows, 0, t->rows, from->columns, dtype, error);
    if (status == AD_OK && own)
        status = nf__check_values(from->what, "validation ", from->val, 0, own, from->columns, dtype, error);
    if (status != AD_OK) return status;
    ad_from_double(dtype, from->rows, *taken, t->rows * from->columns);
    if (own) ad_from_double(dtype, from->val, (char *)*taken + t->rows * size, own * from->columns);
    return dtype == AD_F32 ? check_rounding(from, from->rows, t->rows, error) : AD_OK;
}

/* ---- Weights ------------------------------------------------------------------------------------------------- */

ad_status nf__check_weights(const char *what, const double *w, size_t rows, ad_error *error)
{
    double sum = 0;
    for (size_t i = 0; w && i < rows; i++) {
        if (!(w[i] >= 0) || !isfinite(w[i]))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: expected 0 or more of row %zu, got %g", what, i + 1,
                                w[i]);
        sum += w[i];
    }
    if (w && !(sum > 0 && isfinite(sum)))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: expected a positive sum, got %g", what, sum);
    return AD_OK;
}

static double weight_of(const nf__training *t, size_t row)
{
    const double *w = row < t->rows ? t->o.row_weights : t->o.val_weights;
    return !w ? 1 : row < t->rows ? w[row] : w[row - t->rows];
}

/* The weights of these rows in the flow's dtype, with a mean of 1; returns their sum. */
static double scale_weights(nf__training *t, const uint32_t *row, size_t rows)
{
    const ad_dtype dtype = nf_flow_dtype(t->flow);
    double sum = 0;
    for (size_t i = 0; i < rows; i++) sum += weight_of(t, row[i]);
    for (size_t i = 0; i < rows; i++) {
        double scaled = weight_of(t, row[i]) / sum * (double)rows;
        ad_from_double(dtype, &scaled, (char *)t->weight + row[i] * ad_dtype_size(dtype), 1);
    }
    return sum;
}

static ad_status take_weights(nf__training *t, ad_error *error)
{
    const size_t all = t->rows + t->o.val_rows;
    t->counted = (double)t->n_train;
    if (!t->o.row_weights && !t->o.val_weights) return AD_OK;
    t->weight = ad_alloc_aligned(all, ad_dtype_size(nf_flow_dtype(t->flow)));
    if (!t->weight) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the weights of %zu rows", all);
    t->counted = scale_weights(t, t->train, t->n_train);
    scale_weights(t, t->val, t->n_val);
    return AD_OK;
}

/* ---- The split ----------------------------------------------------------------------------------------------- */

/* The rows first … first+rows-1 that count, and how many those are. */
static size_t list_rows(const nf__training *t, size_t first, size_t rows, uint32_t *list)
{
    size_t n = 0;
    for (size_t i = first; i < first + rows; i++)
        if (weight_of(t, i) > 0) list[n++] = (uint32_t)i;
    return n;
}

/* The rows at the first places of a random permutation are for validation, where it has none of its own. */
static ad_status split(nf__training *t, ad_error *error)
{
    uint32_t *list = ad_alloc(t->rows, sizeof *list);
    t->val = ad_alloc(t->rows > t->o.val_rows ? t->rows : t->o.val_rows, sizeof *t->val);
    t->train = ad_alloc(t->rows, sizeof *t->train);
    t->order = ad_alloc(t->rows, sizeof *t->order);
    if (!list || !t->val || !t->train || !t->order) {
        ad_free(list);
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", t->rows);
    }
    const size_t rows = list_rows(t, 0, t->rows, list);
    const size_t taken = t->o.val_x ? 0 : (size_t)llround(t->o.val_fraction * (double)rows);
    t->n_val = taken == rows ? rows - 1 : taken;
    t->n_train = rows - t->n_val;
    const ad_permutation shuffled = ad_permutation_of(t->o.seed, NF__SPLIT_STREAM, rows);
    for (size_t i = 0; i < rows; i++) {
        uint32_t row = list[ad_permutation_image(&shuffled, i)];
        if (i < t->n_val)
            t->val[i] = row;
        else
            t->train[i - t->n_val] = row;
    }
    ad_free(list);
    if (t->o.val_x) t->n_val = list_rows(t, t->rows, t->o.val_rows, t->val);
    return AD_OK;
}

static ad_status check_validation(const nf__training *t, ad_error *error)
{
    const nf_fit_options *o = &t->o;
    if (!o->val_x != !o->val_rows || (!o->val_x && (o->val_context || o->val_weights)))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "fit: validation rows of their own: expected val_x and val_rows, got %s and %zu",
                            o->val_x ? "val_x" : "NULL", o->val_rows);
    if (o->val_x && nf_flow_context_size(t->flow) && !o->val_context)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "fit: this flow is conditional: expected val_context, of %zu numbers a validation row",
                            nf_flow_context_size(t->flow));
    if (!o->source && (t->rows == 0 || t->rows >= UINT32_MAX - o->val_rows))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: expected between 1 and 2^32 rows, got %zu", t->rows);
    return AD_OK;
}

static ad_status take_arrays(nf__training *t, ad_error *error)
{
    const given columns = columns_of(t), context = context_of(t);
    ad_status status = nf__check_weights("row_weights", t->o.row_weights, t->rows, error);
    if (status == AD_OK) status = nf__check_weights("val_weights", t->o.val_weights, t->o.val_rows, error);
    if (status == AD_OK) status = take(t, &columns, &t->data, error);
    if (status == AD_OK && context.columns) status = take(t, &context, &t->context, error);
    if (status == AD_OK) status = split(t, error);
    return status == AD_OK ? take_weights(t, error) : status;
}

ad_status nf__take_data(nf__training *t, ad_error *error)
{
    const bool streamed = t->o.source || t->o.shuffle == NF_SHUFFLE_BLOCKS;
    ad_status status = check_validation(t, error);
    if (status == AD_OK) status = (streamed ? nf__stream_open : take_arrays)(t, error);
    if (t->o.batch > t->n_train) t->o.batch = t->n_train;
    return status;
}

/* ---- Which are read ------------------------------------------------------------------------------------------- */

static const uint32_t *index_of(const nf__training *t, nf__list list)
{
    return list == NF__TRAINING ? t->train : list == NF__VALIDATION ? t->val : t->order;
}

void nf__show(nf__training *t, nf__list list, size_t first, ad_run *run)
{
    if (t->stream)
        nf__stream_show(t, list, first);
    else
        run->index = index_of(t, list) + first;
}

size_t nf__row_number(const nf__training *t, nf__list list, size_t place)
{
    if (t->stream) return nf__stream_row(t->stream, list, place);
    const size_t row = index_of(t, list)[place];
    return row < t->rows ? row : row - t->rows;
}

bool nf__row_at(const nf__training *t, nf__list list, size_t place, double *x, double *context)
{
    const size_t columns = nf_flow_context_size(t->flow);
    ad_error unwanted;
    if (t->stream) return nf__stream_read(t->stream, list, place, 1, x, columns ? context : NULL, &unwanted) == AD_OK;
    const ad_dtype dtype = nf_flow_dtype(t->flow);
    const size_t row = index_of(t, list)[place], bytes = ad_dtype_size(dtype);
    ad_to_double(dtype, (const char *)t->data + row * t->dim * bytes, x, t->dim);
    if (columns) ad_to_double(dtype, (const char *)t->context + row * columns * bytes, context, columns);
    return true;
}

/* ---- Rows made anew ------------------------------------------------------------------------------------------ */

enum { REDRAWN_AT_ONCE = 1024 };

static void redraw_part(void *context, size_t part, int worker)
{
    nf__training *t = context;
    const ad_dtype dtype = nf_flow_dtype(t->flow);
    const size_t begin = part * REDRAWN_AT_ONCE, left = t->n_train - begin;
    const size_t rows = left < REDRAWN_AT_ONCE ? left : REDRAWN_AT_ONCE;
    double *x = t->redrawn + (size_t)worker * REDRAWN_AT_ONCE * t->dim;
    t->o.redraw(t->o.context, t->now.epoch + 1, t->train + begin, rows, x);
    for (size_t i = 0; i < rows; i++)
        ad_from_double(dtype, x + i * t->dim, (char *)t->data + t->train[begin + i] * t->dim * ad_dtype_size(dtype),
                       t->dim);
}

ad_status nf__redraw(nf__training *t, ad_error *error)
{
    if (!t->o.redraw || t->stream) return AD_OK;
    const size_t room = (size_t)ad_pool_threads(t->o.pool) * REDRAWN_AT_ONCE;
    if (!t->redrawn) t->redrawn = ad_alloc(room, t->dim * sizeof *t->redrawn);
    if (!t->redrawn) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to make %zu rows anew", room);
    ad_pool_run(t->o.pool, (t->n_train + REDRAWN_AT_ONCE - 1) / REDRAWN_AT_ONCE, redraw_part, t);
    return AD_OK;
}

/* ---- Bijectors that see them --------------------------------------------------------------------------------- */

static uint32_t place(const uint32_t *row, size_t i)
{
    return row ? row[i] : (uint32_t)i;
}

/* Systematic draws of rows in proportion to their weights. */
static void draw_rows(const double *weights, const uint32_t *row, size_t rows, uint32_t *drawn, size_t draws)
{
    double sum = 0, so_far = 0, n = (double)draws;
    size_t next = 0;
    for (size_t i = 0; i < rows; i++) sum += weights[place(row, i)];
    for (size_t i = 0; i < rows; i++) {
        so_far += weights[place(row, i)];
        while (next < draws && ((double)next + 0.5) / n * sum <= so_far) drawn[next++] = place(row, i);
    }
    while (next < draws) drawn[next++] = place(row, rows - 1);
}

static double *rows_of(const double *x, size_t columns, const uint32_t *row, size_t rows)
{
    double *seen = ad_alloc(rows, columns * sizeof *seen);
    for (size_t i = 0; seen && i < rows; i++)
        memcpy(seen + i * columns, x + place(row, i) * columns, columns * sizeof *seen);
    return seen;
}

ad_status nf__fit_rows(nf_flow *flow, const double *x, const double *context, const double *weights,
                       const uint32_t *row, size_t rows, size_t fewest, ad_error *error)
{
    const size_t columns = nf_flow_context_size(flow), draws = weights && rows < fewest ? fewest : rows;
    uint32_t *drawn = weights ? ad_alloc(draws, sizeof *drawn) : NULL;
    if (drawn) draw_rows(weights, row, rows, drawn, draws);
    if (drawn) row = drawn;
    double *seen = drawn || !weights ? rows_of(x, nf_flow_dim(flow), row, draws) : NULL;
    double *conditions = seen && columns ? rows_of(context, columns, row, draws) : NULL;
    ad_status status = AD_ERROR_MEMORY;
    if (seen && (conditions || !columns))
        status = nf_flow_fit_data(flow, seen, conditions, draws, error);
    else
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", draws);
    ad_free(conditions);
    ad_free(seen);
    ad_free(drawn);
    return status;
}

ad_status nf__fit_bijectors(nf__training *t, ad_error *error)
{
    enum { FEWEST_DRAWS = 10000 };
    if (t->stream) return nf__stream_fit_bijectors(t, error);
    return nf__fit_rows(t->flow, t->given, t->o.row_context, t->o.row_weights, t->train, t->n_train, FEWEST_DRAWS,
                        error);
}
