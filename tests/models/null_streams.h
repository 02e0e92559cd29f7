/* Of the public functions of models, those of streams: with NULL for each pointer that they take. */
#ifndef WEIR_TESTS_NULL_STREAMS_H
#define WEIR_TESTS_NULL_STREAMS_H

#include "null_cases.h"
#include "scratch.h"

#include <weir/stream.h>

static inline void close_reader(void *reader)
{
    nf_table_close(reader);
}

static inline void abort_writer(void *writer)
{
    nf_table_abort(writer);
}

/* A writer that has rows. */
static inline nf_table_writer *begun_writer(const nf_table *rows)
{
    nf_table_writer *writer = nf_table_create(scratch_path("new.npy").text, rows, &error);
    ck_assert_msg(writer != NULL && nf_table_append(writer, rows, &error) == AD_OK, "%s", error.message);
    return writer;
}

static inline void call_streams(const nf_table *table)
{
    const file_path path = scratch_write("stream.csv", "a,b\n1,2\n3,4\n", 12);
    const bool gone = strcmp(null_call.parameter, "writer") == 0 || strcmp(null_call.parameter, "reader") == 0;
    const nf_table *part = NULL;
    nf_table_reader *reader = nf_table_open(path.text, NULL, NULL);
    ck_assert_ptr_nonnull(reader);
    CASE(nf_table_open)
    MADE(close_reader, nf_table_open(NEEDED(path, path.text), OPTIONAL(options, (&(nf_read_options){0})), ERROR));
    CASE(nf_table_close) QUIET(nf_table_close(OPTIONAL(reader, (nf_table_reader *)NULL)));
    CASE(nf_table_reader_head) QUIET(nf_table_reader_head(HARMLESS(reader, reader)));
    CASE(nf_table_reader_fraction) QUIET(nf_table_reader_fraction(HARMLESS(reader, reader)));
    CASE(nf_table_reader_is_text) QUIET(nf_table_reader_is_text(HARMLESS(reader, reader), 0));
    CASE(nf_table_next) status(nf_table_next(NEEDED(reader, reader), 1, NEEDED(part, &part), ERROR));
    CASE(nf_table_skip) status(nf_table_skip(NEEDED(reader, reader), 1, ERROR));
    CASE(nf_table_again) QUIET(nf_table_again(HARMLESS(reader, reader)));
    nf_table_close(reader);
    CASE(nf_npy_event)
    {
        const file_path array = scratch_path("event.npy");
        nf_npy *npy = nf_table_write(array.text, table, NULL) == AD_OK ? nf_npy_open(array.text, NULL) : NULL;
        good(nf_npy_event(OPTIONAL(npy, npy)).rank == 0);
        nf_npy_close(npy);
    }
    CASE(nf_table_create)
    MADE(abort_writer, nf_table_create(NEEDED(path, scratch_path("new.csv").text), NEEDED(head, table), ERROR));
    CASE(nf_table_append)
    {
        nf_table_writer *writer = begun_writer(table);
        status(nf_table_append(NEEDED(writer, writer), NEEDED(rows, table), ERROR));
        nf_table_abort(writer);
    }
    CASE(nf_table_commit) status(nf_table_commit(NEEDED(writer, begun_writer(table)), ERROR));
    CASE(nf_table_abort) QUIET(nf_table_abort(OPTIONAL(writer, gone ? NULL : begun_writer(table))));
}

#endif
