/* Tables that ranks make together: in order, and with one outcome. */
#include "parts.h"
#include "ranks.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { NARROW = 1 << 21, ROUNDS = 3 }; /* numbers of a row: parts are as short as they can be */

static struct {
    size_t all;          /* rows */
    size_t fails_at;     /* the part whose making fails, */
    size_t full_at;      /* and the row at which the first rank can take no more */
    atomic_size_t wrong; /* rows that came out of turn */
    atomic_size_t taken; /* rows */
    atomic_int statuses; /* how many ranks failed, */
    char message[8][64]; /* and with what */
} job;

static ad_status take(void *context, const nf_table *part, ad_error *error)
{
    (void)context;
    if (job.taken + part->rows > job.full_at) return ad_error_set(error, AD_ERROR_IO, "the disk is full");
    for (size_t r = 0; r < part->rows; r++) {
        job.wrong += part->values[r] != (double)(job.taken + r);
        job.wrong += part->first_row != job.taken;
    }
    job.taken += part->rows;
    return AD_OK;
}

static void make_parts(const ad_communicator *ranks, void *context)
{
    (void)context;
    struct parts parts = parts_begin(ranks, job.all, NARROW);
    double *values = calloc(parts.rows, sizeof *values);
    ad_error error = {AD_OK, ""};
    ad_status status = AD_OK;
    bool more = true;
    while (!status && more) {
        const size_t first = parts_first(&parts), rest = first < job.all ? job.all - first : 0;
        nf_table part = {
            .rows = rest < parts.rows ? rest : parts.rows, .columns = 1, .values = values, .first_row = first};
        for (size_t r = 0; r < part.rows; r++) values[r] = (double)(first + r);
        if (first / parts.rows == job.fails_at)
            status = ad_error_set(&error, AD_ERROR_NUMERIC, "part %zu", job.fails_at);
        status = parts_next(&parts, status, &part, take, NULL, &more, &error);
    }
    free(values);
    if (!status) return;
    job.statuses++;
    strcpy(job.message[parts.rank], error.message);
}

static void run(int size, size_t all, size_t fails_at, size_t full_at)
{
    memset(&job, 0, sizeof job);
    job.all = all;
    job.fails_at = fails_at;
    job.full_at = full_at;
    on_ranks(size, make_parts, NULL);
    ck_assert_uint_eq(job.wrong, 0);
}

START_TEST(in_order)
{
    const size_t rows = parts_begin(NULL, 0, NARROW).rows;
    for (int size = 1; size <= 4; size++)
        for (size_t all = ROUNDS * rows - 1; all <= ROUNDS * rows + 1; all++) {
            run(size, all, SIZE_MAX, SIZE_MAX);
            ck_assert_uint_eq(job.taken, all);
            ck_assert_int_eq(job.statuses, 0);
        }
}
END_TEST

START_TEST(one_outcome)
{
    const size_t rows = parts_begin(NULL, 0, NARROW).rows;
    run(3, 9 * rows, 4, SIZE_MAX);
    ck_assert_int_eq(job.statuses, 3);
    for (int r = 0; r < 3; r++) ck_assert_str_eq(job.message[r], "part 4");
    run(3, 9 * rows, SIZE_MAX, 5 * rows);
    ck_assert_int_eq(job.statuses, 3);
    for (int r = 0; r < 3; r++) ck_assert_str_eq(job.message[r], "the disk is full");
}
END_TEST

/* Wide rows and many ranks take shorter parts. */
START_TEST(rows_of_parts)
{
    ck_assert_uint_eq(parts_begin(NULL, 0, 1).rows, 65536);
    ck_assert_uint_eq(parts_begin(NULL, 0, 64).rows, 32768);
    ck_assert_uint_eq(parts_begin(NULL, 0, NARROW).rows, 1024);
    const ad_communicator many = {.size = 1024};
    ck_assert_uint_eq(parts_begin(&many, 0, 1).rows, 1024);
}
END_TEST

Suite *parts_suite(void)
{
    Suite *suite = suite_create("parts");
    TCase *parts = tcase_create("parts");
    tcase_add_test(parts, in_order);
    tcase_add_test(parts, one_outcome);
    tcase_add_test(parts, rows_of_parts);
    suite_add_tcase(suite, parts);
    return suite;
}
