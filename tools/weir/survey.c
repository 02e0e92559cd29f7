/* Rows of a large .npy file that stand for all of them. */
#include "survey.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- A sample -------------------------------------------------------------------------------------------------- */

struct sampling {
    const nf_npy *npy;
    nf_table *table;
    uint64_t seed;
    ad_error *errors; /* of each thread */
};

enum { AT_ONCE = 256 };

/* One row of each of as many equal parts of the file. */
static void sample_part(void *context, size_t part, int worker)
{
    const struct sampling *s = context;
    const size_t all = nf_npy_rows(s->npy), rows = s->table->rows, columns = s->table->columns;
    const double each = (double)all / (double)rows;
    for (size_t i = part * AT_ONCE; i < rows && i < (part + 1) * AT_ONCE && !s->errors[worker].status; i++) {
        const double at = ((double)i + ad_random_uniform(s->seed, 0, i)) * each;
        const size_t row = rows == all ? i : at < (double)(all - 1) ? (size_t)at : all - 1;
        nf_npy_read(s->npy, row, 1, s->table->values + i * columns, &s->errors[worker]);
    }
}

static ad_status first_error(const ad_error *errors, ad_pool *pool, ad_error *error)
{
    for (int i = 0; i < ad_pool_threads(pool); i++)
        if (errors[i].status) return ad_error_set(error, errors[i].status, "%s", errors[i].message);
    return AD_OK;
}

ad_status survey_sample(const nf_npy *npy, size_t rows, uint64_t seed, ad_pool *pool, nf_table *table, ad_error *error)
{
    const size_t all = nf_npy_rows(npy), columns = nf_npy_columns(npy);
    if (rows > all) rows = all;
    *table = (nf_table){.rows = rows, .columns = columns, .dtype = nf_npy_dtype(npy), .missing = true};
    table->values = ad_alloc(rows, columns * sizeof *table->values);
    struct sampling s = {npy, table, seed, ad_alloc((size_t)ad_pool_threads(pool), sizeof *s.errors)};
    ad_status status = table->values && s.errors
                           ? AD_OK
                           : ad_error_set(error, AD_ERROR_MEMORY, "no memory for a sample of %zu rows", rows);
    if (!status) ad_pool_run(pool, (rows + AT_ONCE - 1) / AT_ONCE, sample_part, &s);
    if (!status) status = first_error(s.errors, pool, error);
    ad_free(s.errors);
    if (status) nf_table_free(table);
    return status;
}

/* ---- What a sample may not have -------------------------------------------------------------------------------- */

enum tale { SMALLEST, LARGEST, FRACTION, MISSING, TALES };

/* Of a column, as far as one thread knows. */
struct extremes {
    size_t row[TALES]; /* SIZE_MAX: none */
    double value[TALES];
};

struct survey {
    const nf_npy *npy;
    const char *path;
    size_t at_once;
    double *values;            /* room of each thread */
    struct extremes *extremes; /* (threads, columns) */
    ad_error *errors;
};

/* Of equal ones the first, whichever thread has met it. */
static void note(struct extremes *e, enum tale tale, size_t row, double value)
{
    const bool better = tale == SMALLEST ? value < e->value[tale] : tale == LARGEST && value > e->value[tale];
    const bool as_good = tale == FRACTION || tale == MISSING || value == e->value[tale];
    if (e->row[tale] != SIZE_MAX && !better && !(as_good && row < e->row[tale])) return;
    e->row[tale] = row;
    e->value[tale] = value;
}

static ad_status look_at(const struct survey *s, struct extremes *e, const double *values, size_t first, size_t rows,
                         ad_error *error)
{
    const size_t columns = nf_npy_columns(s->npy);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const double value = values[r * columns + c];
            struct extremes *of = &e[c];
            if (isinf(value))
                return ad_error_set(error, AD_ERROR_FORMAT,
                                    "%s: row %zu, column %zu is infinite; mend it, or remove the row", s->path,
                                    first + r + 1, c + 1);
            if (isnan(value)) {
                note(of, MISSING, first + r, value);
                continue;
            }
            if (!(value > of->value[SMALLEST])) note(of, SMALLEST, first + r, value);
            if (!(value < of->value[LARGEST])) note(of, LARGEST, first + r, value);
            if (first + r < of->row[FRACTION] && value != floor(value)) note(of, FRACTION, first + r, value);
        }
    return AD_OK;
}

static void survey_part(void *context, size_t part, int worker)
{
    const struct survey *s = context;
    const size_t all = nf_npy_rows(s->npy), columns = nf_npy_columns(s->npy), first = part * s->at_once;
    const size_t rows = all - first < s->at_once ? all - first : s->at_once;
    double *values = s->values + (size_t)worker * s->at_once * columns;
    ad_error *error = &s->errors[worker];
    if (error->status) return;
    nf_npy_will_read(s->npy, first + s->at_once, s->at_once * 8);
    if (!nf_npy_read(s->npy, first, rows, values, error))
        look_at(s, s->extremes + (size_t)worker * columns, values, first, rows, error);
}

/* Those of all threads as the first's. */
static void put_together(const struct survey *s, ad_pool *pool)
{
    const size_t columns = nf_npy_columns(s->npy);
    for (size_t i = columns; i < (size_t)ad_pool_threads(pool) * columns; i++)
        for (int tale = 0; tale < TALES; tale++) {
            const struct extremes *e = &s->extremes[i];
            if (e->row[tale] != SIZE_MAX)
                note(&s->extremes[i % columns], (enum tale)tale, e->row[tale], e->value[tale]);
        }
}

static int ascending(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static ad_status add_rows(const struct survey *s, nf_table *table, ad_error *error)
{
    const size_t columns = table->columns;
    size_t count = 0, *row = ad_alloc(columns * TALES, sizeof *row);
    double *values = ad_realloc(table->values, table->rows + columns * TALES, columns * sizeof *values);
    if (values) table->values = values;
    ad_status status = row && values ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu rows", columns);
    for (size_t i = 0; i < columns * TALES && !status; i++) {
        const size_t r = s->extremes[i / TALES].row[i % TALES];
        if (r != SIZE_MAX) row[count++] = r;
    }
    if (!status) qsort(row, count, sizeof *row, ascending);
    for (size_t i = 0; i < count && !status; i++) {
        if (i > 0 && row[i] == row[i - 1]) continue;
        status = nf_npy_read(s->npy, row[i], 1, table->values + table->rows * columns, error);
        table->rows += !status;
    }
    ad_free(row);
    return status;
}

ad_status survey_extremes(const nf_npy *npy, const char *path, ad_pool *pool, nf_table *table, ad_error *error)
{
    enum { BYTES = 1 << 20 };
    const size_t columns = nf_npy_columns(npy), threads = (size_t)ad_pool_threads(pool);
    const size_t most = BYTES / (columns * sizeof(double));
    struct survey s = {.npy = npy, .path = path, .at_once = most > 0 ? most : 1};
    s.values = ad_alloc(threads * s.at_once, columns * sizeof *s.values);
    s.extremes = ad_alloc(threads * columns, sizeof *s.extremes);
    s.errors = ad_alloc(threads, sizeof *s.errors);
    ad_status status = s.values && s.extremes && s.errors
                           ? AD_OK
                           : ad_error_set(error, AD_ERROR_MEMORY, "no memory to look at %zu columns", columns);
    for (size_t i = 0; !status && i < threads * columns * TALES; i++) {
        s.extremes[i / TALES].row[i % TALES] = SIZE_MAX;
        s.extremes[i / TALES].value[i % TALES] = NAN;
    }
    if (!status) ad_pool_run(pool, (nf_npy_rows(npy) - 1) / s.at_once + 1, survey_part, &s);
    if (!status) status = first_error(s.errors, pool, error);
    if (!status) put_together(&s, pool);
    if (!status) status = add_rows(&s, table, error);
    ad_free(s.errors);
    ad_free(s.extremes);
    ad_free(s.values);
    return status;
}
