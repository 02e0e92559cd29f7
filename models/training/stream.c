/* Rows of a fit that are read when they are needed. */
#include "training/stream.h"
#include "training/windows.h"

#include <weir/rows.h>

#include <string.h>

/* What a plan's source is of. */
typedef struct {
    nf__stream *stream;
    bool context;
    ad_dtype dtype;
} part;

struct nf__stream {
    nf_rows from;
    size_t dim, context;
    ad_dtype dtype;
    const double *val_x, *val_context; /* of their own, or NULL */
    nf__order order;
    nf__windows *windows;
    part part[3]; /* x, the context, and x in float64, for its moments */
    ad_source source[3];
    nf__list list; /* which is being read, from this place on */
    size_t first;
};

/* ---- Arrays as a source --------------------------------------------------------------------------------------- */

static ad_status redraw(const nf__training *t, size_t epoch, size_t first, size_t rows, double *x, ad_error *error)
{
    uint32_t *number = ad_alloc(rows, sizeof *number);
    if (!number) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to make %zu rows anew", rows);
    for (size_t i = 0; i < rows; i++) number[i] = (uint32_t)(first + i);
    t->o.redraw(t->o.context, epoch, number, rows, x);
    ad_free(number);
    return AD_OK;
}

static ad_status read_arrays(void *data, size_t epoch, size_t first, size_t rows, double *x, double *context,
                             ad_error *error)
{
    const nf__training *t = data;
    const size_t size = nf_flow_context_size(t->flow);
    memcpy(x, t->given + first * t->dim, rows * t->dim * sizeof *x);
    if (context) memcpy(context, t->o.row_context + first * size, rows * size * sizeof *context);
    return epoch > 0 && t->o.redraw ? redraw(t, epoch, first, rows, x, error) : AD_OK;
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

static ad_status read_some(const nf__stream *s, nf__list list, size_t place, size_t rows, double *x, double *context,
                           ad_error *error)
{
    size_t row;
    for (size_t done = 0, n; done < rows; done += n) {
        n = nf__order_run(&s->order, list == NF__VALIDATION, place + done, rows - done, &row);
        double *given = context ? context + done * s->context : NULL;
        ad_status status = s->from.read(s->from.data, 0, row, n, x + done * s->dim, given, error);
        if (!status) status = nf__check_values("column", "", x + done * s->dim, row, n, s->dim, s->dtype, error);
        if (!status && given)
            status = nf__check_values("number of the context", "", given, row, n, s->context, s->dtype, error);
        if (status) return status;
    }
    return AD_OK;
}

ad_status nf__stream_read(const nf__stream *s, nf__list list, size_t place, size_t rows, double *x, double *context,
                          ad_error *error)
{
    if (list != NF__VALIDATION || !s->val_x) return read_some(s, list, place, rows, x, context, error);
    memcpy(x, s->val_x + place * s->dim, rows * s->dim * sizeof *x);
    if (context) memcpy(context, s->val_context + place * s->context, rows * s->context * sizeof *context);
    return AD_OK;
}

/* values (rows, numbers) to the tile, [number][stride]. */
static void transpose(ad_dtype dtype, const double *values, size_t numbers, size_t rows, void *to, size_t stride)
{
    for (size_t i = 0; i < numbers; i++)
        for (size_t r = 0; r < rows; r++) {
            const double value = values[r * numbers + i];
            if (dtype == AD_F32)
                ((float *)to)[i * stride + r] = (float)value;
            else
                ((double *)to)[i * stride + r] = value;
        }
}

/* A block that begins is announced a block ahead. */
static void announce(const nf__stream *s, size_t place)
{
    const size_t block = (size_t)1 << s->order.bits, next = place + block;
    const bool validation = s->list == NF__VALIDATION;
    size_t row;
    if (!s->from.will_read || place % block != 0 || next >= (validation ? s->order.n_val : s->order.n_train)) return;
    const size_t rows = nf__order_run(&s->order, validation, next, block, &row);
    s->from.will_read(s->from.data, row, rows);
}

static ad_status read_list(const part *of, size_t place, size_t rows, void *to, size_t stride, ad_error *error)
{
    const nf__stream *s = of->stream;
    double *x = ad_alloc(rows, (s->dim + s->context) * sizeof *x);
    if (!x) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to read %zu rows", rows);
    double *context = s->context ? x + rows * s->dim : NULL;
    if (!of->context) announce(s, place);
    const ad_status status = nf__stream_read(s, s->list, place, rows, x, context, error);
    if (!status) transpose(of->dtype, of->context ? context : x, of->context ? s->context : s->dim, rows, to, stride);
    ad_free(x);
    return status;
}

static ad_status read_tile(void *data, size_t first, const uint32_t *index, size_t rows, void *to, size_t stride,
                           ad_error *error)
{
    const part *of = data;
    nf__stream *s = of->stream;
    (void)index; /* a list's rows follow one another */
    if (s->list != NF__EPOCH) return read_list(of, s->first + first, rows, to, stride, error);
    return nf__windows_read(s->windows, &s->order, of->context, s->first + first, rows, to, stride, error);
}

/* ---- Opening ------------------------------------------------------------------------------------------------- */

static ad_status check_options(const nf__training *t, ad_error *error)
{
    const nf_fit_options *o = &t->o;
    if (o->row_weights || o->val_weights)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "fit: rows with weights are in memory: expected no %s with a source or shuffles by blocks",
                            o->row_weights ? "row_weights" : "val_weights");
    if (o->source && (t->given || t->rows || o->row_context || o->redraw))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "fit: expected either x or a source, which gives the context and redraws rows too");
    if (o->source && (!o->source->read || o->source->rows == 0))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: expected a source that reads, and has rows; got %s",
                            o->source->read ? "0 rows" : "none that reads");
    return AD_OK;
}

ad_status nf__stream_open(nf__training *t, ad_error *error)
{
    const nf_fit_options *o = &t->o;
    ad_status status = check_options(t, error);
    if (status) return status;
    nf__stream *s = t->stream = ad_alloc(1, sizeof *s);
    if (!s) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to train");
    const nf_rows arrays = {.rows = t->rows, .data = t, .read = read_arrays};
    *s = (nf__stream){.from = o->source ? *o->source : arrays,
                      .dim = t->dim,
                      .context = nf_flow_context_size(t->flow),
                      .dtype = nf_flow_dtype(t->flow),
                      .val_x = o->val_x,
                      .val_context = o->val_context};
    for (int i = 0; i < 3; i++) {
        s->part[i] = (part){s, i == 1, i == 2 ? AD_F64 : s->dtype};
        s->source[i] = (ad_source){&s->part[i], read_tile};
    }
    s->order = nf__order_of(s->from.rows, s->dim + s->context, o->val_x ? 0 : o->val_fraction, o->seed);
    t->rows = s->from.rows;
    t->n_train = s->order.n_train;
    t->n_val = o->val_x ? o->val_rows : s->order.n_val;
    if (o->val_x) status = nf__check_values("column", "validation ", o->val_x, 0, o->val_rows, s->dim, s->dtype, error);
    if (o->val_x && !status && s->context)
        status = nf__check_values("number of the context", "validation ", o->val_context, 0, o->val_rows, s->context,
                                  s->dtype, error);
    return status;
}

ad_status nf__stream_begin(nf__training *t, ad_error *error)
{
    nf__stream *s = t->stream;
    s->order.batches = t->batches;
    s->windows = nf__windows_new(&s->from, s->dim, s->context, s->dtype, &s->order);
    return s->windows ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for blocks of rows");
}

void nf__stream_free(nf__stream *s)
{
    if (!s) return;
    nf__windows_free(s->windows);
    ad_free(s);
}

/* ---- For the fit --------------------------------------------------------------------------------------------- */

const ad_source *nf__stream_source(const nf__stream *s, bool context)
{
    return s && (!context || s->context) ? &s->source[context] : NULL;
}

const ad_source *nf__stream_exact_source(const nf__stream *s)
{
    return &s->source[2];
}

void nf__stream_show(nf__training *t, nf__list list, size_t first)
{
    nf__stream *s = t->stream;
    s->list = list;
    s->first = first;
    if (list != NF__EPOCH) return;
    s->order.epoch = t->now.epoch;
    nf__windows_prepare(s->windows, &s->order, nf__batch_at(&t->batches, first));
}

size_t nf__stream_row(const nf__stream *s, nf__list list, size_t place)
{
    size_t row = place;
    if (list != NF__VALIDATION || !s->val_x) nf__order_run(&s->order, list == NF__VALIDATION, place, 1, &row);
    return row;
}

ad_status nf__stream_check(const nf__stream *s, ad_error *error)
{
    return s->from.check ? s->from.check(s->from.data, error) : AD_OK;
}
