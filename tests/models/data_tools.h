/* For tests of tables and files. */
#ifndef WEIR_TESTS_DATA_TOOLS_H
#define WEIR_TESTS_DATA_TOOLS_H

#include "scratch.h"

#include <weir/data.h>
#include <weir/file.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static ad_error error;

static inline void assert_message(const char *part)
{
    ck_assert_msg(strstr(error.message, part) != NULL, "'%s' is not in the message: %s", part, error.message);
}

static inline void assert_refused(const char *path, ad_status status, const char *part)
{
    nf_table table;
    memset(&error, 0, sizeof error);
    ck_assert_int_eq(nf_table_read(path, &table, &error), status);
    ck_assert_int_eq(error.status, status);
    assert_message(part);
    ck_assert_ptr_null(table.values);
    ck_assert_ptr_null(table.names);
    ck_assert_uint_eq(table.rows, 0);
    ck_assert_int_eq(nf_table_read(path, &table, NULL), status);
}

static inline nf_table read_table(const char *path)
{
    nf_table table;
    ck_assert_msg(nf_table_read(path, &table, &error) == AD_OK, "%s", error.message);
    return table;
}

static inline uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* One of those that golden/npy.py wrote. */
static inline file_path numpy_path(const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "npy/%s.npy", name);
    return golden_path(file);
}

#endif
