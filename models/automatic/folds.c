/* Folds: which rows a candidate is fitted to, and which it is scored on. */
#include "automatic/search.h"
#include "training/fit.h"

#include <weir/memory.h>
#include <weir/random.h>

#include <math.h>
#include <string.h>

enum { ONE_FOLD_FROM = 4000, FOLDS = 5, MOST_HELD = 20000, DEALING_STREAM = 7 };

/* Rows of the caller's x, scaled. */
static double *scaled_rows(const nf__search *s, const double *x, const uint32_t *row, size_t rows)
{
    double *out = ad_alloc(rows, s->dim * sizeof *out);
    for (size_t r = 0; out && r < rows; r++)
        for (size_t d = 0; d < s->dim; d++) out[r * s->dim + d] = (x[row[r] * s->dim + d] - s->mean[d]) / s->scale[d];
    return out;
}

/* Rows of an array that may be NULL; false where memory is out. */
static bool take_rows(const double *x, size_t columns, const uint32_t *row, size_t rows, double **out)
{
    *out = NULL;
    if (!x || columns == 0) return true;
    if (!(*out = ad_alloc(rows, columns * sizeof **out))) return false;
    for (size_t r = 0; r < rows; r++) memcpy(*out + r * columns, x + row[r] * columns, columns * sizeof **out);
    return true;
}

static bool fill(nf__search *s, nf__fold *f)
{
    const nf_automatic_options *o = &s->o;
    const bool own = o->val_x;
    f->x = scaled_rows(s, s->given, f->train, f->n_train);
    f->held_x = scaled_rows(s, own ? o->val_x : s->given, f->held, f->n_held);
    return f->x && f->held_x && take_rows(o->row_context, s->context, f->train, f->n_train, &f->context) &&
           take_rows(o->row_weights, 1, f->train, f->n_train, &f->weights) &&
           take_rows(own ? o->val_context : o->row_context, s->context, f->held, f->n_held, &f->held_context) &&
           take_rows(own ? o->val_weights : o->row_weights, 1, f->held, f->n_held, &f->held_weights);
}

/* The rows whose weight isn't 0, and how many they are; into row, unless that is NULL. */
static size_t list_counted(const double *weights, size_t rows, uint32_t *row)
{
    size_t count = 0;
    for (size_t r = 0; r < rows; r++) {
        if (weights && weights[r] == 0) continue;
        if (row) row[count] = (uint32_t)r;
        count++;
    }
    return count;
}

/* Fold number i has rows i, i + n_fold, … of a random order, or the first of them where there is one fold. */
static bool deal(nf__search *s, size_t i, size_t held)
{
    nf__fold *f = &s->fold[i];
    const bool own = s->o.val_x;
    f->n_held = held;
    f->n_train = own ? s->rows : s->rows - held;
    f->train = ad_alloc(f->n_train, sizeof *f->train);
    f->held = ad_alloc(held, sizeof *f->held);
    if (!f->train || !f->held) return false;
    size_t trained = 0, out = 0;
    for (size_t r = 0; r < s->rows; r++) {
        uint32_t row = s->row[own ? r : ad_random_permutation(s->o.seed, DEALING_STREAM, s->rows, r)];
        bool is_held = !own && (s->n_fold == 1 ? r < held : r % s->n_fold == i);
        if (is_held)
            f->held[out++] = row;
        else
            f->train[trained++] = row;
    }
    if (own) list_counted(s->o.val_weights, s->o.val_rows, f->held);
    return fill(s, f);
}

/* The part of each held-out row in scores, and what scaling has changed of its log p. */
static bool weigh(nf__search *s)
{
    double sum = 0, log_scale = 0;
    const double *log_weight = s->o.val_x ? s->o.val_log_weights : s->o.row_log_weights;
    s->held_weight = ad_alloc(s->n_held, sizeof *s->held_weight);
    s->held_offset = ad_alloc(s->n_held, sizeof *s->held_offset);
    if (!s->held_weight || !s->held_offset) return false;
    for (size_t d = 0; d < s->dim; d++) log_scale += log(s->scale[d]);
    for (size_t i = 0; i < s->n_fold; i++)
        for (size_t r = 0; r < s->fold[i].n_held; r++) {
            const nf__fold *f = &s->fold[i];
            sum += s->held_weight[f->first + r] = f->held_weights ? f->held_weights[r] : 1;
            s->held_offset[f->first + r] = (log_weight ? log_weight[f->held[r]] : 0) - log_scale;
        }
    for (size_t r = 0; r < s->n_held; r++) s->held_weight[r] /= sum;
    return true;
}

/* Whether the formula that is given is of angles, whose units are radians and whose origin is theirs. */
static bool is_of_angles(const nf__search *s)
{
    nf_flow *flow = s->o.formula ? nf_flow_parse(s->o.formula, s->dim, s->context, s->o.dtype, 0, NULL) : NULL;
    const bool angles = nf_flow_is_circular(flow);
    nf_flow_free(flow);
    return angles;
}

/* That of `standardize`, of all rows: units and origins are no secret that held-out rows could tell. */
static ad_status scale_of(nf__search *s, ad_error *error)
{
    s->last = nf_bijector_parse("standardize", s->dim, s->context, 0, error);
    if (!s->last) return error->status;
    double *x;
    if (!take_rows(s->given, s->dim, s->row, s->rows, &x))
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", s->rows);
    ad_status status = is_of_angles(s) ? AD_OK : nf_bijector_fit(s->last, x, NULL, s->rows, error);
    ad_free(x);
    s->mean = nf_parameter_value(s->last, "mean");
    s->scale = nf_parameter_value(s->last, "scale");
    if (!s->mean) { /* a chain of one step */
        s->mean = nf_parameter_value(s->last->child[0], "mean");
        s->scale = nf_parameter_value(s->last->child[0], "scale");
    }
    return status;
}

/* Rows that are given, and rows to validate with. */
static ad_status check_numbers(const char *what, const double *x, size_t rows, size_t columns, ad_error *error)
{
    for (size_t i = 0; x && i < rows * columns; i++)
        if (!isfinite(x[i]))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "automatic fit: %s %zu, column %zu is not finite: %g", what,
                                i / columns + 1, i % columns + 1, x[i]);
    return AD_OK;
}

static ad_status check(const nf__search *s, ad_error *error)
{
    const nf_automatic_options *o = &s->o;
    if (!s->given && s->rows > 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "automatic fit: expected from 2 to 2^32 rows of 1 feature or more, but x is NULL");
    if (s->rows == 1 && s->dim > 0)
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "automatic fit: one row says nothing of how far others are from it: expected from 2 to 2^32 rows");
    if (s->rows < 2 || s->rows >= UINT32_MAX || s->dim == 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "automatic fit: expected from 2 to 2^32 rows of 1 feature or more, got %zu of %zu", s->rows,
                            s->dim);
    if (!o->val_x != !o->val_rows || o->val_rows >= UINT32_MAX)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "automatic fit: held-out rows of their own: expected val_x and val_rows, got %s and %zu",
                            o->val_x ? "val_x" : "NULL", o->val_rows);
    if (s->context && (!o->row_context || (o->val_x && !o->val_context)))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "automatic fit: expected a context of %zu numbers a row, got none%s", s->context,
                            o->row_context ? " of the held-out rows" : "");
    ad_status status = check_numbers("row", s->given, s->rows, s->dim, error);
    if (status == AD_OK) status = check_numbers("held-out row", o->val_x, o->val_rows, s->dim, error);
    if (status == AD_OK && s->context)
        status = check_numbers("context of row", o->row_context, s->rows, s->context, error);
    if (status == AD_OK && s->context)
        status = check_numbers("context of held-out row", o->val_context, o->val_rows, s->context, error);
    if (status == AD_OK) status = nf__check_weights("row_weights", o->row_weights, s->rows, error);
    return status == AD_OK ? nf__check_weights("val_weights", o->val_weights, o->val_rows, error) : status;
}

static ad_status count(nf__search *s, ad_error *error)
{
    s->row = ad_alloc(s->rows, sizeof *s->row);
    if (!s->row) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", s->rows);
    s->rows = list_counted(s->o.row_weights, s->rows, s->row);
    if (s->rows >= 2) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "automatic fit: expected 2 rows or more whose weight isn't 0, got %zu", s->rows);
}

ad_status nf__folds_make(nf__search *s, ad_error *error)
{
    ad_status status = check(s, error);
    if (status == AD_OK) status = count(s, error);
    if (status == AD_OK) status = scale_of(s, error);
    if (status != AD_OK) return status;
    size_t held = s->o.val_x ? list_counted(s->o.val_weights, s->o.val_rows, NULL) : s->rows < 10 ? 1 : s->rows / 10;
    /* A flow that is named is one flow: there is no mixing those of several folds. */
    s->n_fold = s->o.val_x || s->o.formula || s->rows >= ONE_FOLD_FROM ? 1 : s->rows < FOLDS ? s->rows : FOLDS;
    if (!s->o.val_x && held > MOST_HELD) held = MOST_HELD;
    s->fold = ad_alloc(s->n_fold, sizeof *s->fold);
    bool good = s->fold;
    if (good) memset(s->fold, 0, s->n_fold * sizeof *s->fold);
    for (size_t i = 0; i < s->n_fold && good; i++) {
        s->fold[i].first = s->n_held;
        size_t n = s->n_fold == 1 ? held : (s->rows + s->n_fold - 1 - i) / s->n_fold;
        good = deal(s, i, n);
        s->n_held += n;
    }
    if (good && weigh(s)) return AD_OK;
    return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of data", s->rows);
}

void nf__folds_free(nf__search *s)
{
    for (size_t i = 0; s->fold && i < s->n_fold; i++) {
        nf__fold *f = &s->fold[i];
        ad_free(f->train);
        ad_free(f->held);
        ad_free(f->x);
        ad_free(f->context);
        ad_free(f->weights);
        ad_free(f->held_x);
        ad_free(f->held_context);
        ad_free(f->held_weights);
    }
    ad_free(s->fold);
    ad_free(s->row);
    ad_free(s->held_weight);
    ad_free(s->held_offset);
}
