/* Tables in text files: .csv, .tsv and .txt. */
#include "models/data_tools.h"

#include <float.h>
#include <math.h>
#include <sys/resource.h>

typedef struct {
    const char *extension, *text;
    size_t rows, columns;
    double values[6];
    const char *names[3];
} text_table;

static const text_table text_tables[] = {
    {".csv", "1,2\n3,4\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "1,2\n3,4", 2, 2, {1, 2, 3, 4}, {0}},
    {".CSV", "1,2\r\n3,4\r\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "1,2\r3,4\r", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "\xef\xbb\xbf\"1\",2\n3,4\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "\n\r\n  \t\n1,2\n\n3,4\n\n \n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", " 1 ,\t2\n3  , 4 \n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "x,y\n1,2\n", 1, 2, {1, 2}, {"x", "y"}},
    {".csv", "\xef\xbb\xbfx,y\n1,2\n", 1, 2, {1, 2}, {"x", "y"}},
    {".csv", " x 1 , y\n1,2\n", 1, 2, {1, 2}, {"x 1", "y"}},
    {".csv", ",0,x\n1,2,3\n", 1, 3, {1, 2, 3}, {"", "0", "x"}},
    {".csv", "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\n1,2,3", 1, 3, {1, 2, 3}, {"a,b", "say \"x\"", "two\nlines"}},
    {".csv", "\"1\",\"-2.5\" \n\" 3 \",4\n", 2, 2, {1, -2.5, 3, 4}, {0}},
    {".csv", "-1.5e3,+.25\n1E-2,0x1p4\n", 2, 2, {-1500, 0.25, 0.01, 16}, {0}},
    {".csv", "inf,-Infinity\n\" +INF\",-1e-999\n", 2, 2, {INFINITY, -INFINITY, INFINITY, -0.0}, {0}},
    {".csv", "7", 1, 1, {7}, {0}},
    {".csv", "size\n7\n\n8\n", 2, 1, {7, 8}, {"size"}},
    {".tsv", "a b\tc\n1\t2\n 3 \t4\n", 2, 2, {1, 2, 3, 4}, {"a b", "c"}},
    {".txt", "1 2\n3 4\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".txt", "  1\t  2 \n\t3 4\t\r\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".txt", "\"a b\" c\n1 2\n3 4\n", 2, 2, {1, 2, 3, 4}, {"a b", "c"}},
    {".txt", "# x y\n1 2\n3 4\n", 2, 2, {1, 2, 3, 4}, {"x", "y"}},
    {".csv", "# made by hand\n#x,y\n1,2\n # between\n3,4\n#", 2, 2, {1, 2, 3, 4}, {"x", "y"}},
    {".csv", "# one, two\n# x, \"y\n1,2\n3,4\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "# of 1, 2\r\na,b\r\n1,2\r\n3,4\r\n", 2, 2, {1, 2, 3, 4}, {"a", "b"}},
    {".csv", "#1,2\n3,4\n#x,y\n5,6\n", 2, 2, {3, 4, 5, 6}, {0}},
    {".csv", "1;2\n3;4\n", 2, 2, {1, 2, 3, 4}, {0}},
    {".csv", "\"x\";\"y, z\"\n1;2\n3;4\n", 2, 2, {1, 2, 3, 4}, {"x", "y, z"}},
    {".csv", "x\ty\n1\t2\n3\t4\n", 2, 2, {1, 2, 3, 4}, {"x", "y"}},
    {".csv", "x;y\n1;2,5\n-3,25;4e1\n", 2, 2, {1, 2.5, -3.25, 40}, {"x", "y"}},
    {".csv", "1,5;2,5\n3,5;4,5\n", 2, 2, {1.5, 2.5, 3.5, 4.5}, {0}},
    {".csv", "1,5\t2,5\n\"3,5\"\t-4,5E+1\n", 2, 2, {1.5, 2.5, 3.5, -45}, {0}},
    {".csv", "1;123456789,123456789\n3;4\n", 2, 2, {1, 123456789.123456789, 3, 4}, {0}},
    {".csv", "1.5;2\n3;4.5\n", 2, 2, {1.5, 2, 3, 4.5}, {0}},
    {".csv", "a;b\n1\n2\n", 2, 1, {1, 2}, {"a;b"}},
    {".csv", "x;y,z\n1,2\n3,4\n", 2, 2, {1, 2, 3, 4}, {"x;y", "z"}},
    {".csv", "x,y;z\n1,2\n3,4\n", 2, 2, {1, 2, 3, 4}, {"x", "y;z"}},
};

static void assert_text_table(const char *path, const text_table *expected)
{
    nf_table table = read_table(path);
    ck_assert_uint_eq(table.rows, expected->rows);
    ck_assert_uint_eq(table.columns, expected->columns);
    for (size_t i = 0; i < table.rows * table.columns; i++) ck_assert_double_eq(table.values[i], expected->values[i]);
    ck_assert_int_eq(table.names != NULL, expected->names[0] != NULL);
    for (size_t i = 0; table.names && i < table.columns; i++) ck_assert_str_eq(table.names[i], expected->names[i]);
    ck_assert_int_eq(table.dtype, AD_F64);
    nf_table_free(&table);
}

START_TEST(text_reads)
{
    const text_table *expected = &text_tables[_i];
    char name[16];
    snprintf(name, sizeof name, "a%s", expected->extension);
    file_path path = scratch_write(name, expected->text, strlen(expected->text));
    assert_text_table(path.text, expected);
}
END_TEST

static const struct {
    const char *extension, *text, *message;
} text_faults[] = {
    {".csv", "", "a.csv' is empty"},
    {".csv", "\n \r\n", "nothing but empty lines"},
    {".csv", "# x,y\n\n#", "nothing but empty lines and comments"},
    {".csv", "# a\n1,2\n# b\n3,4#\n", "a.csv:4:2: '4#' is not a number"},
    {".csv", "x,y\n\n", "names of columns but no rows"},
    {".csv", "x,y\n1,2\n3,abc\n", "a.csv:3:2: 'abc' is not a number"},
    {".csv", "1,2\n\n\n3,4x\n", "a.csv:4:2: '4x' is not a number"},
    {".csv", "1,2\r\n\r\n\r\n3,4 x\r\n", "a.csv:4:2: '4 x' is not a number"},
    {".csv", "1,2\n3,\xff\xfe\033[2J\n", "a.csv:2:2: '\xc3\xbf\xc3\xbe?[2J' is not a number"},
    {".csv", "x,y\n1,2\n,4\n", "a.csv:3:1: this field is empty"},
    {".csv", "1,\n", "a.csv:1:2: this field is empty"},
    {".csv", "1,2\n3,\"\"\n", "a.csv:2:2: this field is empty"},
    {".csv", "1,2\n3\n", "a.csv:2:2: this line has 1 column where line 1 has 2"},
    {".csv", "\nx,y\n1,2\n3,4,5\n", "a.csv:4:3: this line has 3 columns where line 2 has 2"},
    {".csv", "\"a\nb\",y\n1\n", "a.csv:3:2: this line has 1 column where line 1 has 2"},
    {".csv", "x,y\n1,\"2\n3,4\n", "a.csv:2:2: this field's quote is never closed"},
    {".csv", "x,y\n1,\"2\" 3\n", "a.csv:2:2: there is text after the closing quote"},
    {".csv", "1,2\n3,\v\n4\n", "a.csv:2:2: '?' is not a number"},
    {".csv", "1 2\n3 4\n", "a.csv:2:1: '3 4' is not a number; commas separate the fields of a .csv file"},
    {".tsv", "1 2\n3 4\n", "a.tsv:2:1: '3 4' is not a number; tabs separate"},
    {".txt", "1,2\n3,4\n", "a.txt:2:1: '3,4' is not a number; blanks separate"},
    {".tsv", "1\t2\n3\t\n", "a.tsv:2:2: this field is empty"},
    {".txt", "1 2\n3 4 5\n", "a.txt:2:3: this line has 3 columns where line 1 has 2"},
    {".txt", "1 2\n3 \"4\"5\n", "a.txt:2:2: there is text after"},
    {".csv", "1;2,5\n3;4.5\n", "a.csv:2:2: '4.5' is not a number; others of this file have a decimal comma"},
    {".csv", "1;2,5\n3;.5\n", "a.csv:2:2: '.5' is not a number; others of this file have a decimal comma"},
    {".csv", "1;2.5\n3;4,5\n", "a.csv:2:2: '4,5' is not a number; semicolons separate"},
    {".csv", "1;2\n3;4\n5;\n", "a.csv:3:2: this field is empty"},
    {".csv", "1,2\n3,NULL\n", "a.csv:2:2: 'NULL' is not a number but stands for a missing value; fill it in"},
};

START_TEST(text_refuses)
{
    char name[16];
    snprintf(name, sizeof name, "a%s", text_faults[_i].extension);
    const char *text = text_faults[_i].text;
    assert_refused(scratch_write(name, text, strlen(text)).text, AD_ERROR_FORMAT, text_faults[_i].message);
}
END_TEST

START_TEST(text_with_nul)
{
    assert_refused(scratch_write("a.csv", "1,2\n3,4\0005\n", 10).text, AD_ERROR_FORMAT, "a.csv:2:2: '4?5' is not");
}
END_TEST

/* A file cut anywhere is read as far as it goes, or refused with a message: never more than that. */
START_TEST(text_of_every_length)
{
    const char *text = "\xef\xbb\xbf\"a\"\"b\",c\r\n1.5e-3, \"2\"\r\n\n-4,nan\n";
    for (size_t length = 0; length <= strlen(text); length++) {
        nf_table table;
        memset(&error, 0, sizeof error);
        ad_status status = nf_table_read(scratch_write("a.csv", text, length).text, &table, &error);
        ck_assert(status == AD_OK || (status == AD_ERROR_FORMAT && error.message[0] != '\0'));
        if (!status) ck_assert(table.rows >= 1 && table.rows <= 2 && table.columns == 2);
        nf_table_free(&table);
    }
}
END_TEST

START_TEST(text_many_rows)
{
    enum { ROWS = 1000 };
    static char text[ROWS * 16];
    size_t length = 0;
    for (int i = 0; i < ROWS; i++) length += (size_t)sprintf(text + length, "%d,%d\n", i, -2 * i);
    nf_table table = read_table(scratch_write("a.csv", text, length).text);
    ck_assert_uint_eq(table.rows, ROWS);
    for (int i = 0; i < ROWS; i++) {
        ck_assert_double_eq(table.values[2 * i], i);
        ck_assert_double_eq(table.values[2 * i + 1], -2 * i);
    }
    nf_table_free(&table);
}
END_TEST

START_TEST(text_line_too_long)
{
    static char text[100000] = "1,2\n3";
    size_t length = strlen(text);
    for (int i = 0; i < 20000; i++) length += (size_t)sprintf(text + length, ",4");
    assert_refused(scratch_write("a.csv", text, length).text, AD_ERROR_FORMAT,
                   "a.csv:2:3: this line has 20001 columns where line 1 has 2");
}
END_TEST

START_TEST(text_writes)
{
    double values[] = {0.1, -1, 1.0 / 3, 1e300, NAN, -INFINITY};
    char *names[] = {"#x", "a \"b\""};
    char text[256];
    file_path path = scratch_path("a.csv");
    ck_assert_int_eq(nf_table_write(path.text, &(nf_table){3, 2, values, names, AD_F64}, &error), AD_OK);
    slurp(path.text, text, sizeof text);
    ck_assert_str_eq(text, "\"#x\",\"a \"\"b\"\"\"\n0.1,-1\n0.3333333333333333,1e+300\nnan,-inf\n");
    values[3] = 3;
    ck_assert_int_eq(nf_table_write(path.text, &(nf_table){2, 2, values, NULL, AD_F32}, &error), AD_OK);
    slurp(path.text, text, sizeof text);
    ck_assert_str_eq(text, "0.1,-1\n0.33333334,3\n");
    path = scratch_path("a.txt");
    ck_assert_int_eq(nf_table_write(path.text, &(nf_table){2, 2, values, NULL, AD_F64}, &error), AD_OK);
    slurp(path.text, text, sizeof text);
    ck_assert_str_eq(text, "0.1 -1\n0.3333333333333333 3\n");
}
END_TEST

Suite *text_suite(void)
{
    Suite *suite = suite_create("text");
    TCase *text = tcase_create("text");
    tcase_add_checked_fixture(text, scratch_begin, scratch_end);
    tcase_add_loop_test(text, text_reads, 0, COUNT(text_tables));
    tcase_add_loop_test(text, text_refuses, 0, COUNT(text_faults));
    tcase_add_test(text, text_with_nul);
    tcase_add_test(text, text_of_every_length);
    tcase_add_test(text, text_many_rows);
    tcase_add_test(text, text_line_too_long);
    tcase_add_test(text, text_writes);
    suite_add_tcase(suite, text);
    return suite;
}
