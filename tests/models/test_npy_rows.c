/* Rows of .npy files that are read when they are needed. */
#include "models/data_tools.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 1000, COLUMNS = 3 };

static nf_npy *open_npy(const char *path)
{
    nf_npy *npy = nf_npy_open(path, &error);
    ck_assert_msg(npy != NULL, "%s", error.message);
    return npy;
}

static void put_header(char header[128], const char *descr, bool fortran, int rows, int columns)
{
    memset(header, ' ', 128);
    memcpy(header, "\x93NUMPY\1\0v\0", 10);
    int length = snprintf(header + 10, 118, "{'descr': '%s', 'fortran_order': %s, 'shape': (%d, %d), }", descr,
                          fortran ? "True" : "False", rows, columns);
    header[10 + length] = ' ';
}

/* A file of one kind of elements, in one order, of numbers that all kinds have. */
static file_path write_kind(const char *descr, bool fortran)
{
    static char content[128 + ROWS * COLUMNS * 8];
    const size_t size = (size_t)(descr[2] - '0');
    put_header(content, descr, fortran, ROWS, COLUMNS);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        const uint64_t value = i % 100;
        const float single = (float)value;
        const double number = (double)value;
        unsigned char bytes[8] = {0};
        uint64_t bits = value;
        uint32_t half;
        if (descr[1] == 'f' && size == 8) memcpy(&bits, &number, 8);
        if (descr[1] == 'f' && size == 4) {
            memcpy(&half, &single, 4);
            bits = half;
        }
        for (size_t b = 0; b < size; b++) bytes[descr[0] == '>' ? size - 1 - b : b] = (unsigned char)(bits >> 8 * b);
        memcpy(content + 128 + i * size, bytes, size);
    }
    return scratch_write("kind.npy", content, 128 + ROWS * COLUMNS * size);
}

static const char *const kinds[] = {"<f4", ">f4", "<f8", ">f8", "|i1", "<i2", ">i2", "<i4",
                                    ">i4", "<i8", ">i8", "|u1", "<u2", ">u4", "<u8", ">u8"};

START_TEST(npy_rows_are_those_of_the_table)
{
    static const size_t parts[][2] = {{0, ROWS}, {0, 1}, {ROWS - 1, 1}, {17, 300}, {ROWS, 0}};
    const file_path path = write_kind(kinds[_i / 2], _i % 2);
    nf_table table = read_table(path.text);
    nf_npy *npy = open_npy(path.text);
    ck_assert_uint_eq(nf_npy_rows(npy), ROWS);
    ck_assert_uint_eq(nf_npy_columns(npy), COLUMNS);
    ck_assert_int_eq(nf_npy_dtype(npy), table.dtype);
    for (size_t p = 0; p < COUNT(parts); p++) {
        double values[ROWS * COLUMNS + 1];
        values[parts[p][1] * COLUMNS] = -1;
        nf_npy_will_read(npy, parts[p][0], parts[p][1]);
        ck_assert_int_eq(nf_npy_read(npy, parts[p][0], parts[p][1], values, &error), AD_OK);
        ck_assert_mem_eq(values, table.values + parts[p][0] * COLUMNS, parts[p][1] * COLUMNS * sizeof *values);
        ck_assert_double_eq(values[parts[p][1] * COLUMNS], -1);
    }
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        const size_t at = _i % 2 ? i % COLUMNS * ROWS + i / COLUMNS : i;
        ck_assert_double_eq(table.values[i], (double)(at % 100));
    }
    ck_assert_int_eq(nf_npy_check(npy, &error), AD_OK);
    nf_npy_close(npy);
    nf_table_free(&table);
}
END_TEST

/* As many as a size_t of 32 bits can count in bytes, which with the header are more. */
START_TEST(npy_rows_beyond_4_GiB)
{
    enum { MANY = (1 << 29) - 1 };
    const off_t last = 128 + (off_t)(MANY - 1) * 8;
    char header[128];
    double value = 0;
    put_header(header, "<i8", _i, MANY, 1);
    const file_path path = scratch_write("long.npy", header, sizeof header);
    const int fd = open(path.text, O_WRONLY);
    ck_assert_int_eq(pwrite(fd, (const char[8]){42}, 8, last), 8);
    close(fd);
    nf_npy *npy = open_npy(path.text);
    nf_npy_will_read(npy, MANY - 1, 1);
    ck_assert_int_eq(nf_npy_read(npy, MANY - 1, 1, &value, &error), AD_OK);
    ck_assert_double_eq(value, 42);
    nf_npy_close(npy);
}
END_TEST

START_TEST(npy_rows_beyond_the_last)
{
    double values[COLUMNS];
    nf_npy *npy = open_npy(write_kind("<f4", false).text);
    ck_assert_int_eq(nf_npy_read(npy, ROWS, 1, values, &error), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_npy_read(npy, SIZE_MAX, 2, values, &error), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "1000 rows"));
    nf_npy_close(npy);
}
END_TEST

/* Neither other numbers nor a signal. */
START_TEST(npy_that_shrinks)
{
    double values[COLUMNS];
    const file_path path = write_kind("<f4", _i);
    nf_npy *npy = open_npy(path.text);
    ck_assert_int_eq(truncate(path.text, 128 + (ROWS - 1) * COLUMNS * 4), 0);
    ck_assert_int_eq(nf_npy_read(npy, 0, 1, values, &error), AD_OK);
    ck_assert_int_eq(nf_npy_read(npy, ROWS - 1, 1, values, &error), AD_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "changed by another program"));
    ck_assert_int_eq(nf_npy_check(npy, &error), AD_ERROR_IO);
    nf_npy_close(npy);
}
END_TEST

START_TEST(npy_that_changes)
{
    const file_path path = write_kind("<f8", false);
    nf_npy *npy = open_npy(path.text);
    const struct timespec other[2] = {{1, 0}, {1, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path.text, other, 0), 0);
    ck_assert_int_eq(nf_npy_check(npy, &error), AD_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "changed by another program"));
    nf_npy_close(npy);
}
END_TEST

START_TEST(npy_that_cannot_be_opened)
{
    ck_assert_ptr_null(nf_npy_open(scratch_path("none.npy").text, &error));
    ck_assert_int_eq(error.status, AD_ERROR_IO);
    ck_assert_ptr_null(nf_npy_open("/dev/null", &error));
    ck_assert_int_eq(error.status, AD_ERROR_IO);
    ck_assert_ptr_null(nf_npy_open(scratch_write("a.npy", "1,2\n", 4).text, &error));
    ck_assert_int_eq(error.status, AD_ERROR_FORMAT);
    const file_path path = write_kind("<f8", false);
    ck_assert_int_eq(truncate(path.text, 1000), 0);
    ck_assert_ptr_null(nf_npy_open(path.text, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "cut short"));
    /* To 32 bits, this size is the right one. */
    ck_assert_int_eq(truncate(path.text, ((off_t)1 << 32) + 128 + ROWS * COLUMNS * 8), 0);
    ck_assert_ptr_null(nf_npy_open(path.text, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "too long: 24000 bytes of data expected"));
    ck_assert_ptr_nonnull(strstr(error.message, "got 4294991296"));
}
END_TEST

Suite *npy_rows_suite(void)
{
    Suite *suite = suite_create("npy_rows");
    TCase *rows = tcase_create("npy_rows");
    tcase_add_checked_fixture(rows, scratch_begin, scratch_end);
    tcase_add_loop_test(rows, npy_rows_are_those_of_the_table, 0, 2 * COUNT(kinds));
    tcase_add_loop_test(rows, npy_rows_beyond_4_GiB, 0, 2);
    tcase_add_test(rows, npy_rows_beyond_the_last);
    tcase_add_loop_test(rows, npy_that_shrinks, 0, 2);
    tcase_add_test(rows, npy_that_changes);
    tcase_add_test(rows, npy_that_cannot_be_opened);
    suite_add_tcase(suite, rows);
    return suite;
}
