/* Labels and missing values: read, written, and read again. */
#include "models/data_tools.h"

#include <math.h>

static nf_table read_with(const char *name, const char *text, size_t length, nf_read_options options)
{
    nf_table table;
    file_path path = scratch_write(name, text, length);
    ck_assert_msg(nf_table_read_with(path.text, &options, &table, &error) == AD_OK, "%s", error.message);
    return table;
}

static nf_table read_text(const char *text, nf_read_options options)
{
    return read_with("a.csv", text, strlen(text), options);
}

/* The value of a field as text: "-" where it is missing. */
static const char *shown(const nf_table *table, size_t r, size_t c)
{
    static char number[32];
    double value = table->values[r * table->columns + c];
    if (isnan(value)) return "~";
    if (table->labels && table->labels[c]) return table->labels[c][(size_t)value];
    snprintf(number, sizeof number, "%g", value);
    return number;
}

static void assert_fields(const nf_table *table, const char *const *expected)
{
    for (size_t r = 0; r < table->rows; r++)
        for (size_t c = 0; c < table->columns; c++) ck_assert_str_eq(shown(table, r, c), *expected++);
    ck_assert_ptr_null(*expected);
}

START_TEST(labels_are_sorted)
{
    nf_table table =
        read_text("city,n,code\nRome,1,7\n\"New \"\"York\"\"\",2,x\nAthens,3,0x1p4\nRome,4,07\n\xc3\x96lberg,5,7\n",
                  (nf_read_options){.labels = true});
    static const char *const fields[] = {"Rome", "1", "7",  "New \"York\"",  "2", "x", "Athens", "3", "0x1p4",
                                         "Rome", "4", "07", "\xc3\x96lberg", "5", "7", NULL};
    assert_fields(&table, fields);
    ck_assert_ptr_null(table.labels[1]);
    static const char *const cities[] = {"Athens", "New \"York\"", "Rome", "\xc3\x96lberg"};
    for (size_t i = 0; i < COUNT(cities); i++) ck_assert_str_eq(table.labels[0][i], cities[i]);
    ck_assert_ptr_null(table.labels[0][COUNT(cities)]);
    ck_assert_ptr_null(table.labels[2][4]);
    ck_assert(!table.missing);
    nf_table_free(&table);
    table = read_text("1,2\n3,4\n", (nf_read_options){.labels = true, .missing = true});
    ck_assert_ptr_null(table.labels);
    ck_assert(table.missing);
    nf_table_free(&table);
}
END_TEST

START_TEST(missing_values)
{
    nf_table table =
        read_text("a,b,c\n1,,x\nNA,N/A,?\nn/a,NaN,\"\"\nnan,NULL,None\nnull,?,-\n.,-,.\nNone,<NA>,#N/A\n2,3,y\n",
                  (nf_read_options){.labels = true, .missing = true});
    static const char *const fields[] = {"1", "~", "x", "~", "~", "~", "~", "~", "~", "~", "~", "None", "~",
                                         "~", "-", "~", "~", ".", "~", "~", "~", "2", "3", "y", NULL};
    assert_fields(&table, fields);
    ck_assert_ptr_null(table.labels[0]);
    ck_assert_ptr_null(table.remarks);
    nf_table_free(&table);
    table = read_text("a\nnan\nx\nnan\ny\nnan\n", (nf_read_options){.labels = true, .missing = true});
    ck_assert_str_eq(shown(&table, 2, 0), "~");
    ck_assert_ptr_null(table.remarks);
    nf_table_free(&table);
    table = read_with("a.txt", "1 NA\n\"\" 2\n", 10, (nf_read_options){.missing = true});
    static const char *const few[] = {"1", "~", "~", "2", NULL};
    assert_fields(&table, few);
    nf_table_free(&table);
}
END_TEST

/* Without the option, a field that says so is text in a column of labels, and an empty one a mistake. */
START_TEST(missing_values_not_asked_for)
{
    nf_table table = read_text("a,b\nx,1\nNA,2\n", (nf_read_options){.labels = true});
    ck_assert_str_eq(shown(&table, 1, 0), "NA");
    nf_table_free(&table);
    static const struct {
        const char *text, *message;
        nf_read_options options;
    } faults[] = {
        {"a,b\nx,1\n,2\n", "a.csv:3:1: this field is empty", {.labels = true}},
        {"a,b\n1,1\nx,2\n", "a.csv:3:1: 'x' is not a number", {.missing = true}},
        {"a,b\nx,1\n\"x\ny\",2,3\n", "a.csv:3:3: this line has 3 columns where line 1 has 2", {.labels = true}},
        {"a,b\nx,1\ny\n", "a.csv:3:2: this line has 1 column where line 1 has 2", {.labels = true}},
        {"a,b\n", "holds names of columns but no rows", {.labels = true}},
    };
    for (size_t i = 0; i < COUNT(faults); i++) {
        file_path path = scratch_write("a.csv", faults[i].text, strlen(faults[i].text));
        ck_assert_int_eq(nf_table_read_with(path.text, &faults[i].options, &table, &error), AD_ERROR_FORMAT);
        assert_message(faults[i].message);
        ck_assert_ptr_null(table.labels);
    }
    file_path path = scratch_write("a.csv", "a,b\nx\0y,1\nz,2\n", 14);
    ck_assert_int_eq(nf_table_read_with(path.text, &faults[0].options, &table, &error), AD_ERROR_FORMAT);
    assert_message("a.csv:2:1: 'x?y' holds a byte that is 0");
}
END_TEST

/* ---- There and back ------------------------------------------------------------------------------------------- */

START_TEST(labels_round_trip)
{
    static const char *const names[] = {"a.csv", "a.tsv", "a.txt"};
    char *texts[] = {"", " x", "#", "a,b;c\td e", "say \"x\"", "two\r\nlines", "7", "\xc3\xa9", NULL};
    char **labels[] = {texts, NULL, texts};
    double values[3 * (COUNT(texts) - 1)];
    for (size_t r = 0; r < COUNT(texts) - 1; r++)
        for (size_t c = 0; c < 3; c++) values[3 * r + c] = (double)(c == 2 ? 7 - r : r);
    values[5] = NAN; /* of labels; in its place, between blanks, stand two quotes */
    values[4] = NAN;
    nf_table table = {.rows = COUNT(texts) - 1,
                      .columns = 3,
                      .values = values,
                      .names = (char *[]){"x", "y", "z"},
                      .dtype = AD_F64,
                      .labels = labels,
                      .missing = true};
    table.values += 3; /* without the label that is empty: it would be missing */
    table.rows -= 2;
    file_path path = scratch_path(names[_i]);
    ck_assert_int_eq(nf_table_write(path.text, &table, &error), AD_OK);
    nf_table back;
    nf_read_options options = {.labels = true, .missing = true};
    ck_assert_msg(nf_table_read_with(path.text, &options, &back, &error) == AD_OK, "%s", error.message);
    ck_assert_uint_eq(back.rows, table.rows);
    for (size_t r = 0; r < back.rows; r++)
        for (size_t c = 0; c < 3; c++) {
            char text[64];
            strcpy(text, shown(&table, r, c));
            ck_assert_str_eq(shown(&back, r, c), text);
        }
    nf_table_free(&back);
}
END_TEST

START_TEST(how_tables_are_written)
{
    char text[256], *colours[] = {"dark red", "#1", "a,b", NULL};
    char **labels[] = {colours, NULL};
    double values[] = {0, 1.5, 1, NAN, NAN, 2, 2, -1};
    nf_table table = {.rows = 4,
                      .columns = 2,
                      .values = values,
                      .names = (char *[]){"the colour", "y"},
                      .dtype = AD_F64,
                      .labels = labels,
                      .missing = true};
    file_path path = scratch_path("a.csv");
    ck_assert_int_eq(nf_table_write(path.text, &table, &error), AD_OK);
    slurp(path.text, text, sizeof text);
    ck_assert_str_eq(text, "the colour,y\ndark red,1.5\n\"#1\",\n,2\n\"a,b\",-1\n");
    table.missing = false;
    ck_assert_int_eq(nf_table_write(path.text, &table, &error), AD_OK);
    slurp(path.text, text, sizeof text);
    ck_assert_str_eq(text, "the colour,y\ndark red,1.5\n\"#1\",nan\n,2\n\"a,b\",-1\n");
    path = scratch_path("b.npy");
    ck_assert_int_eq(nf_table_write(path.text, &table, &error), AD_OK);
    nf_table back = read_table(path.text);
    ck_assert_double_eq(back.values[6], 2);
    ck_assert(isnan(back.values[4]));
    nf_table_free(&back);
    /* A blank line would be skipped. */
    table = (nf_table){.rows = 2, .columns = 1, .values = (double[]){NAN, 1}, .dtype = AD_F64, .missing = true};
    path = scratch_path("c.csv");
    ck_assert_int_eq(nf_table_write(path.text, &table, &error), AD_OK);
    slurp(path.text, text, sizeof text);
    ck_assert_str_eq(text, "\"\"\n1\n");
}
END_TEST

START_TEST(values_that_are_no_labels)
{
    char *texts[] = {"x", "y", NULL};
    char **labels[] = {NULL, texts};
    static const double wrong[] = {2, -1, 0.5, INFINITY};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        double values[] = {7, 1, 8, wrong[i]};
        nf_table table = {.rows = 2, .columns = 2, .values = values, .dtype = AD_F64, .labels = labels};
        ck_assert_int_eq(nf_table_write(scratch_path("a.csv").text, &table, &error), AD_ERROR_ARGUMENT);
        assert_message("row 2, column 2 is ");
        assert_message(", but this column has labels number 0 to 1");
    }
    ck_assert_int_eq(scratch_files(false), 0);
}
END_TEST

/* ---- Size, memory, and bytes at random ------------------------------------------------------------------------- */

START_TEST(many_labels)
{
    enum { ROWS = 5000, LONG = 1 << 20 };
    size_t length = 0;
    char *text = malloc(ROWS * 32 + 2 * LONG);
    length += (size_t)sprintf(text, "id,group\n");
    for (int r = 0; r < ROWS; r++) length += (size_t)sprintf(text + length, "n%d,g%d\n", r * 7919 % ROWS, r % 3);
    memset(text + length, 'z', LONG);
    length += LONG;
    length += (size_t)sprintf(text + length, ",g0\n");
    nf_table table = read_with("a.csv", text, length, (nf_read_options){.labels = true});
    ck_assert_uint_eq(table.rows, ROWS + 1);
    for (int r = 0; r < ROWS; r++) {
        char expected[32];
        sprintf(expected, "n%d", r * 7919 % ROWS);
        ck_assert_str_eq(shown(&table, (size_t)r, 0), expected);
    }
    for (size_t i = 1; i <= ROWS; i++) ck_assert_int_lt(strcmp(table.labels[0][i - 1], table.labels[0][i]), 0);
    ck_assert_uint_eq(strlen(table.labels[0][ROWS]), LONG);
    ck_assert_ptr_null(table.labels[1][3]);
    nf_table_free(&table);
    free(text);
}
END_TEST

START_TEST(labels_without_memory)
{
    static const char text[] = "x,x,z,2\n\"a\"\"\",1.5x,\xe9,1\n1,2,c,2\n3,4,d,3\n";
    file_path path = scratch_write("a.csv", text, strlen(text));
    nf_read_options options = {.labels = true, .missing = true};
    for (size_t allowed = 0;; allowed++) {
        nf_table table;
        memory_limit(allowed);
        ad_status status = nf_table_read_with(path.text, &options, &table, &error);
        bool denied = memory.denied;
        memory_unlimited();
        ck_assert(status == AD_ERROR_MEMORY || (status == AD_OK && table.labels && table.remarks));
        nf_table_free(&table);
        if (!denied) break;
    }
}
END_TEST

/* Whatever the bytes are, they are a table, all of whose parts can be used and which comes back, or a mistake with a
 * message. */
static void read_anything(const char *name, const char *bytes, size_t length, nf_read_options options)
{
    nf_table table, again;
    memset(&error, 0, sizeof error);
    ad_status status = nf_table_read_with(scratch_write(name, bytes, length).text, &options, &table, &error);
    if (status) {
        ck_assert_int_eq(status, AD_ERROR_FORMAT);
        ck_assert_uint_gt(strlen(error.message), 0);
        return;
    }
    ck_assert(table.rows > 0 && table.columns > 0);
    for (size_t r = 0; r < table.rows; r++)
        for (size_t c = 0; c < table.columns; c++) ck_assert_uint_lt(strlen(shown(&table, r, c)), length + 32);
    options.header = table.names ? NF_HEADER_YES : NF_HEADER_NO;
    ck_assert_int_eq(nf_table_write(scratch_path("back.tsv").text, &table, &error), AD_OK);
    ck_assert_msg(nf_table_read_with(scratch_path("back.tsv").text, &options, &again, &error) == AD_OK, "%s",
                  error.message);
    ck_assert_uint_eq(again.rows, table.rows);
    ck_assert_uint_eq(again.columns, table.columns);
    nf_table_free(&again);
    nf_table_free(&table);
}

START_TEST(bytes_at_random)
{
    static const char *const pieces[] = {"1",    "2.5", ",",   ",", ";",  "\t", "\n",   "\n", "\r\n", "\"",
                                         "\"\"", "NA",  "x",   "-", " ",  "#",  "\xe9", "?",  "1,5",  "\xc3\xa9",
                                         "\0",   "inf", "a b", "7", "0x", "1e", ".",    "nan"};
    static const char *const names[] = {"a.csv", "a.tsv", "a.txt"};
    uint64_t state = (uint64_t)_i + 1;
    for (int round = 0; round < 300; round++) {
        char text[512];
        size_t length = 0, count = 1 + (size_t)(next_random(&state) % 40);
        for (size_t i = 0; i < count; i++) {
            const char *piece = pieces[next_random(&state) % COUNT(pieces)];
            size_t piece_length = *piece ? strlen(piece) : 1;
            memcpy(text + length, piece, piece_length);
            length += piece_length;
        }
        read_anything(names[_i], text, length,
                      (nf_read_options){.labels = next_random(&state) % 2, .missing = next_random(&state) % 2});
    }
}
END_TEST

/* A file cut anywhere, as UTF-8 and as UTF-16. */
START_TEST(cut_anywhere)
{
    static const char text[] = "city;n\r\n\"New \"\"York\"\"\";1,5\r\n\xc3\x96lberg;\r\n\r\nNA;7\r\n";
    char wide[2 * sizeof text] = "\xff\xfe";
    size_t length = sizeof text - 1, filled = 2;
    for (size_t i = 0; i < length; i++, filled += 2) wide[filled] = text[i] == '\xc3' ? 'A' : text[i];
    for (int missing = 0; missing < 2; missing++) {
        nf_read_options options = {.labels = true, .missing = missing};
        for (size_t cut = 1; cut <= length; cut++) read_anything("a.csv", text, cut, options);
        for (size_t cut = 1; cut <= filled; cut++) read_anything("a.csv", wide, cut, options);
    }
}
END_TEST

Suite *labels_suite(void)
{
    Suite *suite = suite_create("labels");
    TCase *labels = tcase_create("labels");
    tcase_add_checked_fixture(labels, scratch_begin, scratch_end);
    tcase_add_test(labels, labels_are_sorted);
    tcase_add_test(labels, missing_values);
    tcase_add_test(labels, missing_values_not_asked_for);
    tcase_add_loop_test(labels, labels_round_trip, 0, 3);
    tcase_add_test(labels, how_tables_are_written);
    tcase_add_test(labels, values_that_are_no_labels);
    tcase_add_test(labels, many_labels);
    tcase_add_test(labels, labels_without_memory);
    tcase_add_loop_test(labels, bytes_at_random, 0, 3);
    tcase_add_test(labels, cut_anywhere);
    suite_add_tcase(suite, labels);
    return suite;
}
