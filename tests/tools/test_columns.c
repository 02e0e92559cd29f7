/* Columns of tables that a model scores: by their names where there are some, by position otherwise. */
#include "tools/command.h"

#include <math.h>

enum { ROWS = 300 };

/* Independent normals of means 0, 100, …, each column on a scale of its own, so that one taken for another shows. */
static double value_of(int row, int column)
{
    return 100 * column + (1 + column) * (sin(7.3 * (row + 1) * (column + 1)) + cos(3.1 * (row + 2)) * (column + 1));
}

/* The columns "a", "b", "c", "d" that are in `columns`, in this order, with those names or without any. */
static void write_columns(const char *name, const char *columns, bool names)
{
    static char text[1 << 16];
    size_t filled = 0;
    for (int r = names ? -1 : 0; r < ROWS; r++)
        for (const char *at = columns; *at; at++) {
            if (r < 0)
                filled += (size_t)snprintf(text + filled, sizeof text - filled, "%c", *at);
            else
                filled += (size_t)snprintf(text + filled, sizeof text - filled, "%.17g", value_of(r, *at - 'a'));
            text[filled++] = at[1] ? ',' : '\n';
        }
    text[filled] = '\0';
    write_text(name, text);
}

static double nll_of(const char *model, const char *points)
{
    json_t *score = SUCCEED_JSON("logprob", model, points);
    double nll = number_in(score, "nll");
    json_decref(score);
    return nll;
}

/* A refusal that tells these. */
static void assert_refused(const char *const words[], int expected, const char *first, const char *second)
{
    int status = run_words(words);
    ck_assert_msg(status == expected, "exit status %d: %s", status, complaint);
    ck_assert_uint_eq(lines(complaint), 1);
    assert_contains(complaint, first);
    assert_contains(complaint, second);
}

START_TEST(in_any_order)
{
    write_columns("abc.csv", "abc", true);
    write_columns("cab.csv", "cab", true);
    write_columns("none.csv", "abc", false);
    SUCCEED("fit", "abc.csv", "--flow", "affine", "--epochs", "10", "-o", "m.st");
    double nll = nll_of("m.st", "abc.csv");
    ck_assert_double_eq(nll_of("m.st", "cab.csv"), nll);
    ck_assert_double_eq(nll_of("m.st", "none.csv"), nll);
    write_columns("none.csv", "cab", false); /* without names there is nothing to go by but the position */
    ck_assert_double_gt(nll_of("m.st", "none.csv"), nll + 100);
    /* and so it is where the training had none. */
    write_columns("none.csv", "abc", false);
    SUCCEED("fit", "none.csv", "--flow", "affine", "--epochs", "10", "-o", "none.st");
    ck_assert_double_eq(nll_of("none.st", "abc.csv"), nll);
}
END_TEST

START_TEST(names_that_do_not_match)
{
    write_columns("abc.csv", "abc", true);
    write_columns("adb.csv", "adb", true);
    write_columns("abcd.csv", "abcd", true);
    write_columns("aabc.csv", "aabc", true);
    write_columns("ab.csv", "ab", true);
    SUCCEED("fit", "abc.csv", "--flow", "affine", "--epochs", "1", "-o", "m.st");
    assert_refused(WORDS("logprob", "m.st", "adb.csv"), 1, "adb.csv hasn't the columns that m.st was trained on",
                   "missing: 'c'; unknown: 'd'");
    ck_assert_double_eq(nll_of("m.st", "abcd.csv"), nll_of("m.st", "abc.csv")); /* one more is of no account */
    double nll = nll_of("m.st", "abc.csv");
    ck_assert_double_eq(nll_of("m.st", "aabc.csv"), nll);
    assert_contains(complaint, "columns 1 and 2 are both named 'a'");
    assert_refused(WORDS("logprob", "m.st", "ab.csv"), 1, "missing: 'c'", "unknown: none");
    assert_refused(WORDS("plot", "m.st", "--data", "adb.csv", "-o", "p.svg"), 1, "missing: 'c'", "unknown: 'd'");
    ck_assert(!exists("p.svg"));
    /* Of many names those that there is room for. */
    static char many[1 << 14];
    size_t filled = 0;
    for (int c = 0; c < 1000; c++) filled += (size_t)snprintf(many + filled, sizeof many - filled, "name%d,", c);
    many[filled - 1] = '\n';
    for (int c = 0; c < 1000; c++) filled += (size_t)snprintf(many + filled, sizeof many - filled, "0,");
    many[filled - 1] = '\n';
    write_text("many.csv", many);
    assert_refused(WORDS("logprob", "m.st", "many.csv"), 1, "missing: 'a', 'b', 'c'; unknown: 'name0', 'name1'",
                   " more; name them");
}
END_TEST

/* Columns of one name are told apart by their order. */
START_TEST(names_that_are_the_same)
{
    write_text("xyx.csv", "x,y,x\n0,50,100\n1,51,103\n-1,49,98\n0.5,50.5,99\n");
    write_text("xxy.csv", "x,x,y\n0,100,50\n1,103,51\n-1,98,49\n0.5,99,50.5\n");
    SUCCEED("fit", "xyx.csv", "--flow", "scale-loc", "--epochs", "3", "--val-fraction", "0", "-o", "m.st");
    ck_assert_double_eq(nll_of("m.st", "xxy.csv"), nll_of("m.st", "xyx.csv"));
}
END_TEST

START_TEST(the_context_too)
{
    write_columns("dabc.csv", "dabc", true);
    write_columns("cbda.csv", "cbda", true);
    write_columns("abce.csv", "abce", true);
    /* by name, and by number */
    static const char *const given[] = {"d,b", "1,3"};
    double nll = 0;
    for (size_t i = 0; i < COUNT(given); i++) {
        SUCCEED("fit", "dabc.csv", "--context", given[i], "--flow", "maf(8)", "--epochs", "3", "-o", "m.st");
        if (i == 0) nll = nll_of("m.st", "dabc.csv");
        ck_assert_double_eq(nll_of("m.st", "dabc.csv"), nll);
        ck_assert_double_eq(nll_of("m.st", "cbda.csv"), nll);
        json_t *score = SUCCEED_JSON("logprob", "m.st", "cbda.csv", "--context", "d,b");
        ck_assert_double_eq(number_in(score, "nll"), nll);
        json_decref(score);
        assert_refused(WORDS("logprob", "m.st", "abce.csv"), 1, "missing: 'd'", "unknown: 'e'");
        /* What is said to be the context may have another name; the features may not. */
        SUCCEED("logprob", "m.st", "abce.csv", "--context", "e,b");
        assert_refused(WORDS("logprob", "m.st", "abce.csv", "--context", "e,a"), 1, "missing: 'a'", "unknown: 'b'");
        assert_refused(WORDS("logprob", "m.st", "abce.csv", "--context", "e"), 2, "--context names 1 column",
                       "m.st needs 2");
    }
}
END_TEST

START_TEST(a_file_of_contexts)
{
    char expected[1 << 14], got[1 << 14];
    write_columns("abc.csv", "abc", true);
    write_columns("cb.csv", "cb", true);
    write_columns("bc.csv", "bc", true);
    write_columns("bd.csv", "bd", true);
    write_columns("none.csv", "cb", false);
    SUCCEED("fit", "abc.csv", "--context", "c,b", "--flow", "maf(8)", "--epochs", "3", "-o", "m.st");
    SUCCEED("sample", "m.st", "--context", "none.csv", "-n", "40", "-o", "s.csv");
    slurp(scratch_path("s.csv").text, expected, sizeof expected);
    ck_assert_mem_eq(expected, "a,c,b\n", 6);
    static const char *const files[] = {"cb.csv", "bc.csv"};
    for (size_t i = 0; i < COUNT(files); i++) {
        SUCCEED("sample", "m.st", "--context", files[i], "-n", "40", "-o", "s.csv");
        slurp(scratch_path("s.csv").text, got, sizeof got);
        ck_assert_str_eq(got, expected);
    }
    /* The first steps of a chain see the same. */
    char first[2][1 << 14];
    for (size_t i = 0; i < COUNT(files); i++) {
        SUCCEED("sample", "m.st", "--context", files[i], "--steps", "1", "-n", "40", "-o", "s.csv");
        slurp(scratch_path("s.csv").text, first[i], sizeof first[i]);
    }
    ck_assert_str_eq(first[0], first[1]);
    assert_refused(WORDS("sample", "m.st", "--context", "bd.csv", "-o", "s.csv"), 1, "missing: 'c'", "unknown: 'd'");
    SUCCEED("sample", "m.st", "--context", "abc.csv", "-n", "40", "-o", "s.csv"); /* a is of no account */
    slurp(scratch_path("s.csv").text, got, sizeof got);
    ck_assert_str_eq(got, expected);
}
END_TEST

Suite *columns_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("columns", &tests);
    tcase_add_test(tests, in_any_order);
    tcase_add_test(tests, names_that_do_not_match);
    tcase_add_test(tests, names_that_are_the_same);
    tcase_add_test(tests, the_context_too);
    tcase_add_test(tests, a_file_of_contexts);
    return suite;
}
