/* Long tables, made a part at a time. */
#include "parts.h"
#include "gather.h"
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Rows ------------------------------------------------------------------------------------------------------ */

/* A part is large enough for all threads, and small enough for wide rows and many ranks. */
static size_t rows_of_a_part(size_t numbers, size_t ranks)
{
    enum { MOST = 1 << 16, LEAST = 1 << 10, NUMBERS = 1 << 21 };
    uint64_t rows = MOST; /* times the others, more than a size_t of 32 bits */
    while (rows > LEAST && rows * ranks > MOST * 4) rows /= 2;
    while (rows > LEAST && rows * numbers > NUMBERS) rows /= 2;
    return (size_t)rows;
}

const ad_communicator *parts_ranks(ad_pool *pool)
{
    const ad_communicator *ranks = ad_pool_communicator(pool);
    if (ranks) ad_pool_set_communicator(pool, NULL, NULL);
    return ranks;
}

struct parts parts_begin(const ad_communicator *ranks, size_t all, size_t numbers)
{
    const size_t size = ranks ? (size_t)ranks->size : 1;
    return (struct parts){.ranks = ranks,
                          .rank = ranks ? (size_t)ranks->rank : 0,
                          .size = size,
                          .rows = rows_of_a_part(numbers, size),
                          .meter = meter_start(),
                          .all = all};
}

void parts_end(struct parts *parts)
{
    meter_end(&parts->meter);
}

size_t parts_first(const struct parts *parts)
{
    return (parts->round * parts->size + parts->rank) * parts->rows;
}

/* "12.5M rows  3.1M rows/s  0:07 left" */
static void show(struct parts *parts, size_t rows)
{
    char count[32], rate[32], left[32], text[128];
    parts->done += rows;
    const double done = (double)parts->done;
    const double known = parts->all ? done / (double)parts->all : nf_table_reader_fraction(parts->from);
    const double fraction = isnan(known) ? 0 : known;
    if (!meter_is_due(&parts->meter, fraction)) return;
    const double seconds = meter_seconds(&parts->meter);
    int length = snprintf(text, sizeof text, "%s rows  %s rows/s", report_rate(done, count),
                          report_rate(done / fmax(seconds, 1e-9), rate));
    if (!isnan(known))
        snprintf(text + length, sizeof text - (size_t)length, "  %s left",
                 report_duration(seconds / fmax(fraction, 1e-9) * (1 - fraction), left));
    meter_show(&parts->meter, fraction, text);
}

/* ---- Ranks ----------------------------------------------------------------------------------------------------- */

/* What ranks tell of their parts. */
struct told {
    ad_status status;
    bool missing;
    size_t rows;
};

/* The message of the first that failed, if any did. */
static ad_status first_failure(const struct parts *parts, const struct told *told, ad_error *error)
{
    size_t failed = 0;
    while (failed < parts->size && !told[failed].status) failed++;
    if (failed == parts->size) return AD_OK;
    ad_error message = *error;
    if (parts->ranks->broadcast(parts->ranks, &message, sizeof message, (int)failed, error)) return error->status;
    *error = message;
    return told[failed].status;
}

/* Parts from all ranks to the first, one behind the other. `own` has the other members that they need. */
static ad_status take_all(const struct parts *parts, const struct told *told, const nf_table *own, double *all,
                          ad_status (*take)(void *context, const nf_table *part, ad_error *error), void *context,
                          ad_error *error)
{
    ad_status status = AD_OK;
    nf_table part = *own;
    part.values = all;
    for (size_t r = 0; r < parts->size && !status && told[r].rows > 0; r++) {
        part.rows = told[r].rows;
        part.missing = told[r].missing;
        status = take(context, &part, error);
        part.values += part.rows * part.columns;
        part.first_row += part.rows;
    }
    return status;
}

static ad_status exchange(const struct parts *parts, const struct told *told, const nf_table *own, size_t *send,
                          size_t *receive, ad_status (*take)(void *context, const nf_table *part, ad_error *error),
                          void *context, ad_error *error)
{
    const ad_communicator *ranks = parts->ranks;
    const size_t row = own->columns * sizeof *own->values;
    size_t rows = 0;
    for (size_t r = 0; r < parts->size; r++) {
        send[r] = r == 0 ? own->rows * row : 0;
        receive[r] = parts->rank == 0 ? told[r].rows * row : 0;
        rows += told[r].rows;
    }
    double *all = ad_alloc(parts->rank == 0 ? rows : 0, row);
    ad_status status = all ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for the rows of all ranks");
    if (!status) status = ranks->exchange(ranks, own->values, send, all, receive, error);
    if (!status && parts->rank == 0) status = take_all(parts, told, own, all, take, context, error);
    ad_free(all);
    return status;
}

static ad_status next_of_ranks(struct parts *parts, ad_status status, const nf_table *part,
                               ad_status (*take)(void *context, const nf_table *part, ad_error *error), void *context,
                               size_t *rows, bool *more, ad_error *error)
{
    struct told *told = ad_alloc(parts->size, sizeof *told);
    size_t *send = ad_alloc(parts->size, 2 * sizeof *send);
    if (!told || !send) {
        ad_free(told);
        ad_free(send);
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu ranks", parts->size);
    }
    told[parts->rank] = (struct told){.status = status, .missing = part->missing, .rows = status ? 0 : part->rows};
    status = gather_from_all(parts->ranks, told, sizeof *told, error);
    if (!status) status = first_failure(parts, told, error);
    *more = true;
    for (size_t r = 0; r < parts->size && !status; r++) {
        *rows += told[r].rows;
        *more = *more && told[r].rows == parts->rows;
    }
    if (!status) status = exchange(parts, told, part, send, send + parts->size, take, context, error);
    ad_free(send);
    ad_free(told);
    return parts_agree(parts->ranks, status, error);
}

ad_status parts_next(struct parts *parts, ad_status status, const nf_table *part,
                     ad_status (*take)(void *context, const nf_table *part, ad_error *error), void *context, bool *more,
                     ad_error *error)
{
    size_t rows = part->rows;
    if (parts->ranks) {
        rows = 0;
        status = next_of_ranks(parts, status, part, take, context, &rows, more, error);
    } else {
        *more = rows == parts->rows;
        if (!status && rows > 0) status = take(context, part, error);
    }
    parts->round++;
    if (!status) show(parts, rows);
    return status;
}

ad_status parts_agree(const ad_communicator *ranks, ad_status status, ad_error *error)
{
    if (!ranks) return status;
    ad_error first = {AD_OK, ""};
    if (status) first = *error;
    first.status = status;
    if (ranks->broadcast(ranks, &first, sizeof first, 0, error)) return error->status;
    if (first.status) *error = first;
    return first.status;
}
