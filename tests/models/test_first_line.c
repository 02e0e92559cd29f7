/* The first line of a text file: names of columns, or a row. */
#include "models/data_tools.h"

#include <math.h>

/* Rows of numbers below a first line. */
static const char *const bodies[] = {
    "5.25,4.5,6.125\n4.75,5.5,3.25\n6.5,4.25,5.75\n5.5,5.125,4.25\n", /* normal, mean 5, no whole number */
    "12,7,9\n3,8,11\n6,10,4\n9,5,8\n",                                /* counts */
    "1,2,3\n2,3,4\n3,4,5\n4,5,6\n5,6,7\n",                            /* of one series, shifted */
    "0,0,0\n0,0,0\n0,0,0\n0,0,0\n",
    "0.5,0.25\n-0.25,0.75\n1.5,-0.125\n0.75,-1.5\n0.5,0.25\n-0.25,0.75\n1.5,-0.125\n0.75,-1.5\n",
    "0,0.5,0.25,1.5\n1,-0.25,0.75,2.5\n2,1.5,-0.125,0.5\n3,0.25,0.5,-1.5\n", /* with an index */
    "\"5\",4,6\n4,5,3\n6,4,5\n",
};
enum { FLOATS, COUNTS, SHIFTED, ZEROS, PLANE, INDEXED, QUOTED };

typedef struct {
    const char *first;
    int body;
    bool names;
    const char *remark; /* part of it, or NULL: there is none */
} first_line;

#define AS_NAMES "' is taken for the names of columns; if it is a row, say header no"
#define AS_ROW   "' is taken for a row; if it is the names of columns, say header yes"

static const first_line first_lines[] = {
    {"x,y,z", FLOATS, true, NULL},
    {"x,0,1", FLOATS, true, NULL},
    {"2019,2020,2021", FLOATS, true, "a.csv:1: '2019,2020,2021" AS_NAMES},
    {"0,1,2", FLOATS, true, "'0,1,2" AS_NAMES},
    {"10, 20 ,30", FLOATS, true, "'10, 20 ,30" AS_NAMES},
    {"30,20,10", FLOATS, true, "'30,20,10" AS_NAMES},
    {"2019,2020,2025", FLOATS, true, "'2019,2020,2025" AS_NAMES},
    {"3,5,4", FLOATS, false, NULL},
    {"5.5,5.25,4.75", FLOATS, false, NULL},
    {"2019.0,2020.0,2021.0", FLOATS, false, NULL},
    {"4,5,7", FLOATS, false, "'4,5,7" AS_ROW},
    {"1990,1991,1992", COUNTS, true, "'1990,1991,1992" AS_NAMES},
    {"1990,1995,2000", COUNTS, true, "'1990,1995,2000" AS_NAMES},
    {"1990,1990,1990", COUNTS, false, NULL},
    {"30,50,40", COUNTS, false, NULL},
    {"5,6,7", COUNTS, false, NULL},
    {"0,1,2", SHIFTED, false, NULL},
    {"1,2,3", ZEROS, false, "'1,2,3" AS_ROW},
    {"1,0,0", ZEROS, false, NULL},
    {"0,1", PLANE, false, "'0,1" AS_ROW},
    {"2019,2020", PLANE, true, "'2019,2020" AS_NAMES},
    {",0,1,2", INDEXED, true, "',0,1,2" AS_NAMES},
    {"\"2019\",\"2020\",\"2021\"", FLOATS, true, NULL},
    {"\"4\",\"9\",\"8\"", COUNTS, true, NULL},
    {"\"4\",9,8", COUNTS, false, NULL},
    {"\"5\",\"4\",\"6\"", QUOTED, false, NULL},
    {"sample,850,852.5", FLOATS, true, "'sample,850,852.5" AS_NAMES},
    {"4.5x,5.25,4.75", FLOATS, true, "'4.5x,5.25,4.75" AS_NAMES},
};

static nf_table read_with(const char *text, nf_read_options options)
{
    nf_table table;
    file_path path = scratch_write("a.csv", text, strlen(text));
    ck_assert_msg(nf_table_read_with(path.text, &options, &table, &error) == AD_OK, "%s", error.message);
    return table;
}

static void assert_remark(const nf_table *table, const char *part)
{
    ck_assert_msg(!part == !table->remarks, "%s", table->remarks ? table->remarks : part);
    if (part) ck_assert_msg(strstr(table->remarks, part) != NULL, "'%s' is not in '%s'", part, table->remarks);
}

static size_t lines_of(const char *text)
{
    size_t lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

START_TEST(first_lines_of_numbers)
{
    const first_line *given = &first_lines[_i];
    const char *body = bodies[given->body];
    char text[512];
    snprintf(text, sizeof text, "%s\n%s", given->first, body);
    for (int labels = 0; labels < 2; labels++) {
        nf_table table = read_with(text, (nf_read_options){.labels = labels});
        ck_assert_msg((table.names != NULL) == given->names, "%s", given->first);
        ck_assert_uint_eq(table.rows, lines_of(body) + !given->names);
        assert_remark(&table, given->remark);
        nf_table_free(&table);
    }
}
END_TEST

/* What the user says goes without a remark. */
START_TEST(header_as_told)
{
    nf_table table = read_with("2019,2020\n1,2\n", (nf_read_options){.header = NF_HEADER_YES});
    ck_assert_uint_eq(table.rows, 1);
    ck_assert_str_eq(table.names[1], "2020");
    assert_remark(&table, NULL);
    nf_table_free(&table);
    table = read_with("# a,a\n1.5,2.5\n1,2\n", (nf_read_options){.header = NF_HEADER_YES});
    ck_assert_str_eq(table.names[0], "1.5");
    assert_remark(&table, NULL);
    nf_table_free(&table);
    table = read_with("# a,a\nb,c\n1,2\n", (nf_read_options){0});
    ck_assert_str_eq(table.names[0], "b");
    assert_remark(&table, NULL);
    nf_table_free(&table);
    char text[512];
    snprintf(text, sizeof text, "2019,2020,2021\n%s", bodies[FLOATS]);
    table = read_with(text, (nf_read_options){.header = NF_HEADER_NO});
    ck_assert_uint_eq(table.rows, 5);
    ck_assert_double_eq(table.values[2], 2021);
    ck_assert_ptr_null(table.names);
    assert_remark(&table, NULL);
    nf_table_free(&table);
    file_path path = scratch_write("b.csv", "x,1\n2,3\n", 8);
    nf_read_options no = {.header = NF_HEADER_NO};
    ck_assert_int_eq(nf_table_read_with(path.text, &no, &table, &error), AD_ERROR_FORMAT);
    assert_message("b.csv:1:1: 'x' is not a number");
}
END_TEST

/* A comment that names the columns leaves no doubt about the line below. */
START_TEST(header_in_a_comment)
{
    char text[512];
    snprintf(text, sizeof text, "# a,b,c\n2019,2020,2021\n%s", bodies[FLOATS]);
    nf_table table = read_with(text, (nf_read_options){0});
    ck_assert_uint_eq(table.rows, 5);
    ck_assert_str_eq(table.names[2], "c");
    assert_remark(&table, NULL);
    nf_table_free(&table);
}
END_TEST

/* A first line with missing values is a row: one that can be read, or a mistake. */
START_TEST(missing_in_the_first_line)
{
    file_path path = scratch_write("a.csv", "NA,1\n2,3\n", 9);
    nf_table table;
    ck_assert_int_eq(nf_table_read(path.text, &table, &error), AD_ERROR_FORMAT);
    assert_message("a.csv:1:1: 'NA' is not a number but stands for a missing value; fill it in or remove the line");
    table = read_with("NA,1\n2,3\n", (nf_read_options){.missing = true});
    ck_assert_uint_eq(table.rows, 2);
    ck_assert(isnan(table.values[0]));
    ck_assert_ptr_null(table.names);
    nf_table_free(&table);
    table = read_with("NA,EU\n2,3\n", (nf_read_options){.missing = true});
    ck_assert_str_eq(table.names[0], "NA");
    nf_table_free(&table);
}
END_TEST

typedef struct {
    const char *text;
    size_t rows;
    const char *name; /* of the first column */
    const char *remark;
} text_line;

static const text_line text_lines[] = {
    {"city,size\nParis,2\nRome,3\n", 2, "city", NULL},
    {"city,land\nParis,France\nRome,Italy\n", 2, "city", NULL},
    {"red,1\nblue,2\nred,3\n", 3, NULL, NULL},
    {"red,1.5\nblue,2\n", 2, NULL, NULL},
    {"red,1\nblue,2\n", 2, NULL, "'red,1" AS_ROW},
    {"red,wool\nblue,silk\nred,silk\n", 3, NULL, "'red,wool" AS_ROW},
    {"red,wool\nblue,silk\nred,wool\n", 3, NULL, NULL},
    {"city,1990,1991,1992\nParis,5.5,6.5,4.25\nRome,7.5,3.5,5.5\nOslo,7.5,3.5,5.5\n", 3, "city",
     "'city,1990,1991,1992" AS_NAMES},
    {"# name,n\nred,1\nblue,2\n", 2, "name", NULL},
    {"ticket,fare\nA 5,7\n113,8\n114,9\n", 3, "ticket", "a.csv:2:1: 'A 5' makes labels of this column, of which 2"},
};

START_TEST(first_lines_of_text)
{
    const text_line *given = &text_lines[_i];
    nf_table table = read_with(given->text, (nf_read_options){.labels = true});
    ck_assert_uint_eq(table.rows, given->rows);
    ck_assert_int_eq(table.names != NULL, given->name != NULL);
    if (given->name) ck_assert_str_eq(table.names[0], given->name);
    assert_remark(&table, given->remark);
    nf_table_free(&table);
}
END_TEST

/* ---- Names ---------------------------------------------------------------------------------------------------- */

START_TEST(names_given_twice)
{
    nf_table table = read_with("x,y,x,x.2,x,y,\"\",\"\"\n1,2,3,4,5,6,7,8\n", (nf_read_options){0});
    static const char *const names[] = {"x", "y", "x.3", "x.2", "x.4", "y.2", "", ""};
    for (size_t c = 0; c < COUNT(names); c++) ck_assert_str_eq(table.names[c], names[c]);
    ck_assert_str_eq(strstr(table.remarks, "a.csv:1: "),
                     strstr(table.remarks, "a.csv:1: columns 1 and 3 are both named 'x'; the later is called 'x.3'\n"));
    assert_remark(&table, "columns 1 and 5 are both named 'x'; the later is called 'x.4'\n");
    assert_remark(&table, "columns 2 and 6 are both named 'y'; the later is called 'y.2'");
    nf_table_free(&table);
}
END_TEST

START_TEST(a_name_given_often)
{
    enum { COLUMNS = 3000 };
    static char text[4 * COLUMNS + 1];
    for (size_t i = 0; i < COLUMNS; i++) memcpy(text + 2 * i, i + 1 < COLUMNS ? "x," : "x\n", 2);
    for (size_t i = 0; i < COLUMNS; i++) memcpy(text + 2 * (COLUMNS + i), i + 1 < COLUMNS ? "7," : "7\n", 2);
    nf_table table = read_with(text, (nf_read_options){0});
    ck_assert_uint_eq(table.columns, COLUMNS);
    ck_assert_str_eq(table.names[COLUMNS - 1], "x.3000");
    ck_assert_uint_eq(lines_of(table.remarks), 3);
    assert_remark(&table, "so it is with 2996 columns more");
    nf_table_free(&table);
}
END_TEST

START_TEST(names_with_nul)
{
    nf_table table;
    file_path path = scratch_write("a.csv", "x,y\0z\n2,3\n", 10);
    ck_assert_int_eq(nf_table_read(path.text, &table, &error), AD_ERROR_FORMAT);
    assert_message("a.csv:1:2: 'y?z' holds a byte that is 0");
}
END_TEST

/* Whatever they are, they come back. */
START_TEST(names_round_trip)
{
    static const char *const files[] = {"b.csv", "b.tsv", "b.txt"};
    char *given[][3] = {{"a,b", "say \"x\"", "two\nlines"},
                        {"2019", "2020", "2021"},
                        {"#", " x ", "é;\t"},
                        {"4", "", "1e3"},
                        {"\xef\xbb\xbfx", "", "y"}};
    double values[] = {5, 4, 6, 4, 5, 3};
    for (size_t g = 0; g < COUNT(given); g++) {
        nf_table table = {.rows = 2, .columns = 3, .values = values, .names = given[g], .dtype = AD_F64};
        file_path path = scratch_path(files[_i]);
        ck_assert_int_eq(nf_table_write(path.text, &table, &error), AD_OK);
        nf_table back = read_table(path.text);
        ck_assert_uint_eq(back.rows, 2);
        for (size_t c = 0; c < 3; c++) ck_assert_str_eq(back.names[c], given[g][c]);
        assert_remark(&back, NULL);
        nf_table_free(&back);
    }
}
END_TEST

Suite *first_line_suite(void)
{
    Suite *suite = suite_create("first_line");
    TCase *lines = tcase_create("lines");
    tcase_add_checked_fixture(lines, scratch_begin, scratch_end);
    tcase_add_loop_test(lines, first_lines_of_numbers, 0, COUNT(first_lines));
    tcase_add_test(lines, header_as_told);
    tcase_add_test(lines, header_in_a_comment);
    tcase_add_test(lines, missing_in_the_first_line);
    tcase_add_loop_test(lines, first_lines_of_text, 0, COUNT(text_lines));
    suite_add_tcase(suite, lines);
    TCase *names = tcase_create("names");
    tcase_add_checked_fixture(names, scratch_begin, scratch_end);
    tcase_add_test(names, names_given_twice);
    tcase_add_test(names, a_name_given_often);
    tcase_add_test(names, names_with_nul);
    tcase_add_loop_test(names, names_round_trip, 0, 3);
    suite_add_tcase(suite, names);
    return suite;
}
