/* Tables a part at a time: as they are whole. */
#include "models/data_tools.h"

#include <weir/stream.h>

#include <fcntl.h>
#include <math.h>
#include <sys/resource.h>
#include <sys/stat.h>

static const nf_read_options usual = {.labels = true, .missing = true};

static nf_table read_whole(const char *path)
{
    nf_table table;
    ck_assert_msg(nf_table_read_with(path, &usual, &table, &error) == AD_OK, "%s", error.message);
    return table;
}

static nf_table_reader *open_table(const char *path)
{
    nf_table_reader *reader = nf_table_open(path, &usual, &error);
    ck_assert_msg(reader != NULL, "%s", error.message);
    return reader;
}

/* The text or number of a cell, bit for bit. */
static void assert_same_cell(const nf_table *one, const nf_table *other, size_t r, size_t s, size_t c)
{
    const double a = one->values[r * one->columns + c], b = other->values[s * other->columns + c];
    char **labels = one->labels ? one->labels[c] : NULL;
    if (labels && !isnan(a))
        ck_assert_str_eq(labels[(size_t)a], other->labels[c][(size_t)b]);
    else
        ck_assert_msg(memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b)), "row %zu, column %zu: %a, %a", r, c, a,
                      b);
}

/* Read in parts of so many rows. */
static void assert_as_whole(const char *path, size_t most)
{
    nf_table whole = read_whole(path);
    nf_table_reader *reader = open_table(path);
    const nf_table *head = nf_table_reader_head(reader), *part;
    ck_assert_uint_eq(head->columns, whole.columns);
    ck_assert_int_eq(head->dtype, whole.dtype);
    ck_assert_int_eq(head->missing, whole.missing);
    ck_assert_int_eq(head->names != NULL, whole.names != NULL);
    for (size_t c = 0; head->names && c < head->columns; c++) ck_assert_str_eq(head->names[c], whole.names[c]);
    ck_assert_str_eq(head->remarks ? head->remarks : "", whole.remarks ? whole.remarks : "");
    size_t rows = 0;
    for (;;) {
        ck_assert_msg(nf_table_next(reader, most, &part, &error) == AD_OK, "%s", error.message);
        ck_assert_uint_eq(part->rows, whole.rows - rows < most ? whole.rows - rows : most);
        ck_assert_uint_eq(part->first_row, rows);
        if (part->rows == 0) break;
        for (size_t r = 0; r < part->rows; r++, rows++)
            for (size_t c = 0; c < part->columns; c++) assert_same_cell(part, &whole, r, rows, c);
    }
    ck_assert_uint_eq(rows, whole.rows);
    ck_assert(!nf_table_again(reader));
    nf_table_close(reader);
    nf_table_free(&whole);
}

static void assert_as_whole_in_parts(const char *path)
{
    static const size_t parts[] = {1, 2, 3, 1000};
    for (size_t i = 0; i < COUNT(parts); i++) assert_as_whole(path, parts[i]);
}

/* ---- Reading --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *text;
} small[] = {
    {"numbers.csv", "1,2\n3,4\n5,6\n"},
    {"no_end.csv", "a,b\n1,2\n3,4"},
    {"names.csv", "\xef\xbb\xbf"
                  "a,a\r\n1,2\r\n\r\n3,4\r\n"},
    {"old.csv", "a,b\r1,2\r3,4\r"},
    {"text.csv", "city,x\nUlm,1\n\"Bad \"\"Ems\"\"\",2\nUlm,NA\n,4\n"},
    {"lines.csv", "text,x\n\"one\ntwo\n\nthree\",1\n\"\",2\n\"a,b\n\",3\n"},
    {"mixed.csv", "a,b\n1,2\nx,3\n4,-\n"},
    {"semicolons.csv", "a;b\n1,5;2\n2,25;3\n"},
    {"comments.txt", "# made by hand\n# a b\n 1 2\n\t3   4\n# between\n5 6 \n"},
    {"latin.csv", "Gr\xf6\xdf"
                  "e,y\n\x80,1\n\xe9,2\n"},
    {"tabs.tsv", "a\tb\n1\t\n\t2\n"},
};

/* Also behind the last row, where nobody reads on. */
START_TEST(npy_that_changes_on_the_way)
{
    double values[10] = {1, 2};
    const nf_table table = {.rows = 10, .columns = 1, .values = values, .dtype = AD_F64}, *part;
    const file_path path = scratch_path("t.npy");
    const struct timespec other[2] = {{1, 0}, {1, 0}};
    ck_assert_int_eq(nf_table_write(path.text, &table, &error), AD_OK);
    nf_table_reader *reader = open_table(path.text);
    ck_assert_int_eq(nf_table_next(reader, 6, &part, &error), AD_OK);
    ck_assert_int_eq(utimensat(AT_FDCWD, path.text, other, 0), 0);
    ck_assert_int_eq(nf_table_next(reader, 6, &part, &error), AD_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "changed by another program"));
    nf_table_close(reader);
}
END_TEST

START_TEST(small_texts)
{
    assert_as_whole_in_parts(scratch_write(small[_i].name, small[_i].text, strlen(small[_i].text)).text);
}
END_TEST

START_TEST(utf16)
{
    static const char text[] = "\xff\xfe"
                               "a\0,\0y\0\n\0\xac\x20,\0\x31\0\n\0b\0,\0\x32\0\n";
    assert_as_whole_in_parts(scratch_write("t.csv", text, sizeof text).text);
}
END_TEST

START_TEST(arrays)
{
    static const char *const names[] = {"little_f4_c",   "big_f8_fortran", "little_u8",
                                        "one_dimension", "bool",           "version_3"};
    for (size_t i = 0; i < COUNT(names); i++) assert_as_whole_in_parts(numpy_path(names[i]).text);
}
END_TEST

/* Many times what is read at once, with all that a part could be cut in: characters, numbers, quotes, line ends. */
static file_path write_long(const char *name, size_t rows, bool foreign)
{
    const file_path path = scratch_path(name);
    FILE *file = fopen(path.text, "wb");
    ck_assert_ptr_nonnull(file);
    fputs("x,y,text\r\n", file);
    uint64_t state = 5;
    for (size_t r = 0; r < rows; r++) {
        const uint64_t random = next_random(&state);
        fprintf(file, "%.17g,%d,", (double)(int64_t)random * 0x1p-60, (int)(random % 1000));
        static const char *const texts[] = {"Ulm", "\"a\r\nb\"",   "\"a \"\"b\"\", c\"",
                                            "",    "\xe2\x82\xac", "\"\n\n\n\""};
        fputs(foreign && random % 7 == 0 ? "\xe9\xe9\x80" : texts[random % COUNT(texts)], file);
        fputs(random % 5 == 0 ? "\n" : "\r\n", file);
    }
    fclose(file);
    return path;
}

START_TEST(long_texts)
{
    const file_path path = write_long("long.csv", 80000, _i);
    assert_as_whole(path.text, 65536);
    assert_as_whole(path.text, 777);
}
END_TEST

/* A line is whole, however long. */
START_TEST(long_lines)
{
    enum { LONG = 3 << 20 };
    char *text = malloc(LONG + 100);
    ck_assert_ptr_nonnull(text);
    char *to = stpcpy(text, "x,y\n1,\"");
    memset(to, '\n', LONG);
    strcpy(to + LONG, "\"\n2,b\n");
    assert_as_whole(scratch_write("t.csv", text, strlen(text)).text, 10);
    free(text);
}
END_TEST

START_TEST(skipping)
{
    static const char *const names[] = {"t.csv", "t.npy"};
    nf_table whole = {.rows = 10000, .columns = 1, .values = malloc(10000 * sizeof(double)), .dtype = AD_F64};
    for (size_t r = 0; r < whole.rows; r++) whole.values[r] = (double)r;
    for (size_t i = 0; i < COUNT(names); i++) {
        const nf_table *part;
        ck_assert_int_eq(nf_table_write(scratch_path(names[i]).text, &whole, &error), AD_OK);
        nf_table_reader *reader = open_table(scratch_path(names[i]).text);
        ck_assert_int_eq(nf_table_skip(reader, 9000, &error), AD_OK);
        ck_assert_int_eq(nf_table_next(reader, 2, &part, &error), AD_OK);
        ck_assert_double_eq(part->values[0], 9000);
        ck_assert_uint_eq(part->first_row, 9000);
        ck_assert_int_eq(nf_table_skip(reader, 100000, &error), AD_OK);
        ck_assert_int_eq(nf_table_next(reader, 2, &part, &error), AD_OK);
        ck_assert_uint_eq(part->rows, 0);
        nf_table_close(reader);
    }
    free(whole.values);
}
END_TEST

/* ---- What turns out later -------------------------------------------------------------------------------------- */

static size_t read_all(nf_table_reader *reader, ad_status *status)
{
    const nf_table *part;
    size_t rows = 0;
    while (!(*status = nf_table_next(reader, 1000, &part, &error)) && part->rows > 0) rows += part->rows;
    return rows;
}

static file_path write_turning(void)
{
    enum { ROWS = 150000 };
    const file_path path = scratch_path("turning.csv");
    FILE *file = fopen(path.text, "wb");
    for (size_t r = 0; r < ROWS; r++) fprintf(file, "%zu,%s\n", r, r == ROWS - 2 ? "x" : r % 2 ? "007" : "-");
    fclose(file);
    return path;
}

START_TEST(a_column_that_turns_to_text)
{
    const file_path path = write_turning();
    nf_table_reader *reader = open_table(path.text);
    ad_status status;
    ck_assert(!nf_table_reader_is_text(reader, 1));
    ck_assert(!nf_table_again(reader));
    ck_assert_uint_lt(read_all(reader, &status), 150000);
    ck_assert_int_eq(status, AD_ERROR_FORMAT);
    assert_message("turning.csv:149999:2: 'x' is text");
    ck_assert(nf_table_again(reader));
    ck_assert(nf_table_reader_is_text(reader, 1));
    const nf_table *part;
    ck_assert_int_eq(nf_table_next(reader, 4, &part, &error), AD_OK);
    ck_assert_str_eq(part->labels[1][(size_t)part->values[3]], "007");
    ck_assert_str_eq(part->labels[1][(size_t)part->values[1]], "-");
    ck_assert_uint_eq(read_all(reader, &status), 150000 - 4);
    ck_assert_int_eq(status, AD_OK);
    ck_assert(!nf_table_again(reader));
    nf_table_close(reader);
}
END_TEST

/* Mistakes are told as they are of the whole table, wherever they are. */
START_TEST(mistakes)
{
    static const struct {
        const char *line, *message;
    } wrong[] = {{"1,2,3", "this line has 3 columns where line 1 has 2"},
                 {"1", "this line has 1 column where line 1 has 2"},
                 {"1,\"2\"3", "there is text after the closing quote"},
                 {"1,\"2", "this field's quote is never closed"}};
    for (size_t i = 0; i < COUNT(wrong); i++)
        for (size_t before = 3; before < 40000; before += 39000) {
            const file_path path = scratch_path("t.csv");
            FILE *file = fopen(path.text, "wb");
            fputs("a,b\n", file);
            for (size_t r = 0; r < before; r++) fputs("1.000000000000000000000000000000000,2\n", file);
            fprintf(file, "%s\n3,4\n", wrong[i].line);
            fclose(file);
            nf_table table;
            ck_assert_int_eq(nf_table_read_with(path.text, &usual, &table, &error), AD_ERROR_FORMAT);
            char expected[sizeof error.message];
            strcpy(expected, error.message);
            assert_message(wrong[i].message);
            ad_status status = AD_ERROR_FORMAT;
            error.message[0] = '\0';
            nf_table_reader *reader = nf_table_open(path.text, &usual, &error);
            if (reader) read_all(reader, &status);
            ck_assert_int_eq(status, AD_ERROR_FORMAT);
            ck_assert_str_eq(error.message, expected);
            nf_table_close(reader);
        }
}
END_TEST

START_TEST(refusals)
{
    ck_assert_ptr_null(nf_table_open(scratch_path("none.csv").text, NULL, &error));
    ck_assert_int_eq(error.status, AD_ERROR_IO);
    static const char *const empty[] = {"e.csv", "e.npy", "e"};
    for (size_t i = 0; i < COUNT(empty); i++) {
        ck_assert_ptr_null(nf_table_open(scratch_write(empty[i], "", 0).text, NULL, &error));
        ck_assert_int_eq(error.status, AD_ERROR_FORMAT);
        assert_message("is empty");
    }
    ck_assert_ptr_null(nf_table_open(scratch_write("t.csv", "a,b\n1,x\n", 8).text, NULL, &error));
    assert_message("'x' is not a number");
    ck_assert_ptr_null(nf_table_open(scratch_path("t.xls").text, NULL, &error));
    assert_message("no known extension");
    nf_table_reader *reader = open_table(scratch_write("t.csv", "1,2\n", 4).text);
    const nf_table *part;
    ck_assert_int_eq(nf_table_next(reader, 0, &part, &error), AD_ERROR_ARGUMENT);
    nf_table_close(reader);
}
END_TEST

/* ---- Writing --------------------------------------------------------------------------------------------------- */

static void assert_same_files(const char *one, const char *other)
{
    char *a, *b;
    size_t a_bytes, b_bytes;
    ck_assert_int_eq(nf_file_read(one, &a, &a_bytes, &error), AD_OK);
    ck_assert_int_eq(nf_file_read(other, &b, &b_bytes, &error), AD_OK);
    ck_assert_uint_eq(a_bytes, b_bytes);
    ck_assert_mem_eq(a, b, a_bytes);
    ad_free(a);
    ad_free(b);
}

/* By parts, with the rows known or not, and whole. */
START_TEST(written_as_whole)
{
    static const char *const names[] = {"%s.npy", "%s.csv", "%s.tsv", "%s.txt"};
    nf_table whole = read_whole(write_long("long.csv", 5000, false).text);
    if (_i == 0) whole.columns = 2; /* an array has no place for text: other numbers, then, in rows of two */
    if (_i == 0) whole.labels[0] = whole.labels[1] = NULL;
    for (int known = 0; known < 2; known++)
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            char one[32], other[32];
            snprintf(one, sizeof one, names[_i], "one");
            snprintf(other, sizeof other, names[_i], "other");
            const file_path first = scratch_path(one), second = scratch_path(other);
            whole.dtype = dtype;
            ck_assert_int_eq(nf_table_write(first.text, &whole, &error), AD_OK);
            nf_table head = whole, part = whole;
            if (!known) head.rows = 0;
            nf_table_writer *writer = nf_table_create(second.text, &head, &error);
            ck_assert_msg(writer != NULL, "%s", error.message);
            for (size_t r = 0; r < whole.rows; r += 1000) {
                part.rows = 1000;
                part.values = whole.values + r * whole.columns;
                ck_assert_msg(nf_table_append(writer, &part, &error) == AD_OK, "%s", error.message);
            }
            ck_assert_int_eq(scratch_files(false), 2 + (known || dtype == AD_F64));
            ck_assert_msg(nf_table_commit(writer, &error) == AD_OK, "%s", error.message);
            assert_same_files(first.text, second.text);
        }
    nf_table_free(&whole);
}
END_TEST

START_TEST(writing_refuses)
{
    double values[4] = {0, 1, 2, 3};
    char *list[] = {(char[]){"a"}, NULL}, **labels[] = {NULL, list};
    nf_table rows = {.rows = 2, .columns = 2, .values = values, .dtype = AD_F64}, head = rows;
    const file_path path = scratch_path("t.npy");
    nf_table_writer *writer = nf_table_create(path.text, &rows, &error);
    ck_assert_int_eq(nf_table_commit(writer, &error), AD_ERROR_ARGUMENT);
    assert_message("would have no rows");
    head.rows = 3;
    writer = nf_table_create(path.text, &head, &error);
    ck_assert_int_eq(nf_table_append(writer, &rows, &error), AD_OK);
    ck_assert_int_eq(nf_table_commit(writer, &error), AD_ERROR_ARGUMENT);
    assert_message("was to have 3 rows, and got 2");
    writer = nf_table_create(path.text, &rows, &error);
    rows.columns = 1;
    ck_assert_int_eq(nf_table_append(writer, &rows, &error), AD_ERROR_ARGUMENT);
    assert_message("has 2 columns, and rows of 1");
    rows.columns = 2;
    rows.labels = labels;
    ck_assert_int_eq(nf_table_append(writer, &rows, &error), AD_ERROR_ARGUMENT);
    assert_message("column 2 has labels");
    nf_table_abort(writer);
    writer = nf_table_create(scratch_path("t.csv").text, &rows, &error);
    ck_assert_int_eq(nf_table_append(writer, &rows, &error), AD_ERROR_ARGUMENT);
    assert_message("this column has labels number 0 to 0");
    nf_table_abort(writer);
    ck_assert_ptr_null(nf_table_create(scratch_path("t.xls").text, &rows, &error));
    ck_assert_int_eq(scratch_files(false), 0);
}
END_TEST

/* Memory that is limited to little more than there is already is enough for any number of rows. */
START_TEST(memory_is_constant)
{
    enum { ROWS = 1000000, AT_ONCE = 10000 };
    nf_table part = {.rows = AT_ONCE, .columns = 2, .values = malloc(2 * AT_ONCE * sizeof(double)), .dtype = AD_F64};
    struct rlimit before, limit;
    char line[256];
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    ck_assert(statm && fgets(line, sizeof line, statm) && sscanf(line, "%lu", &pages) == 1);
    fclose(statm);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (6 << 20); /* less than the rows */
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    const char *path = _i ? scratch_path("t.csv").text : scratch_path("t.npy").text;
    nf_table_writer *writer = nf_table_create(path, &(nf_table){.columns = 2, .dtype = AD_F64}, &error);
    for (size_t r = 0; r < ROWS; r += AT_ONCE) {
        for (size_t i = 0; i < 2 * AT_ONCE; i++) part.values[i] = (double)(2 * r + i);
        ck_assert_msg(nf_table_append(writer, &part, &error) == AD_OK, "%s", error.message);
    }
    ck_assert_msg(nf_table_commit(writer, &error) == AD_OK, "%s", error.message);
    nf_table_reader *reader = open_table(path);
    const nf_table *next;
    double expected = 0;
    while (nf_table_next(reader, AT_ONCE, &next, &error) == AD_OK && next->rows > 0)
        for (size_t i = 0; i < 2 * next->rows; i++) ck_assert(next->values[i] == expected++);
    ck_assert_double_eq(expected, 2.0 * ROWS);
    nf_table_close(reader);
    setrlimit(RLIMIT_AS, &before);
    free(part.values);
}
END_TEST

Suite *stream_suite(void)
{
    Suite *suite = suite_create("stream");
    TCase *stream = tcase_create("stream");
    tcase_add_checked_fixture(stream, scratch_begin, scratch_end);
    tcase_set_timeout(stream, 120);
    tcase_add_loop_test(stream, small_texts, 0, COUNT(small));
    tcase_add_test(stream, npy_that_changes_on_the_way);
    tcase_add_test(stream, utf16);
    tcase_add_test(stream, arrays);
    tcase_add_loop_test(stream, long_texts, 0, 2);
    tcase_add_test(stream, long_lines);
    tcase_add_test(stream, skipping);
    tcase_add_test(stream, a_column_that_turns_to_text);
    tcase_add_test(stream, mistakes);
    tcase_add_test(stream, refusals);
    tcase_add_loop_test(stream, written_as_whole, 0, 4);
    tcase_add_test(stream, writing_refuses);
    tcase_add_loop_test(stream, memory_is_constant, 0, 2);
    suite_add_tcase(suite, stream);
    return suite;
}
