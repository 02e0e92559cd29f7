/* Tables in files of either kind: there and back, in any locale, without memory. */
#include "models/data_tools.h"

#include <float.h>
#include <locale.h>
#include <math.h>

/* Numbers of every size come back as the same bits. */
static void assert_round_trip(const char *name, ad_dtype dtype)
{
    enum { ROWS = 4000, COLUMNS = 2 };
    static double values[ROWS * COLUMNS];
    uint64_t state = 1;
    for (size_t i = 0; i < COUNT(values); i++) {
        uint64_t bits = next_random(&state);
        uint32_t half = (uint32_t)bits;
        float value;
        memcpy(&value, &half, sizeof value);
        memcpy(&values[i], &bits, sizeof bits);
        if (dtype == AD_F32) values[i] = (double)value;
        if (!isfinite(values[i])) values[i] = 0;
    }
    double edges[] = {-0.0, DBL_MAX, DBL_MIN, DBL_TRUE_MIN, -DBL_EPSILON, 0.1 + 0.2, 9007199254740993.0};
    double float_edges[] = {-0.0, (double)FLT_MAX, (double)FLT_MIN, (double)FLT_TRUE_MIN};
    if (dtype == AD_F64)
        memcpy(values, edges, sizeof edges);
    else
        memcpy(values, float_edges, sizeof float_edges);
    file_path path = scratch_path(name);
    ck_assert_int_eq(nf_table_write(path.text, &(nf_table){ROWS, COLUMNS, values, NULL, dtype}, &error), AD_OK);
    nf_table table = read_table(path.text);
    ck_assert_uint_eq(table.rows, ROWS);
    ck_assert_uint_eq(table.columns, COLUMNS);
    for (size_t i = 0; i < COUNT(values); i++) {
        if (dtype == AD_F32) table.values[i] = (double)(float)table.values[i];
        ck_assert_mem_eq(&table.values[i], &values[i], sizeof(double));
    }
    nf_table_free(&table);
}

START_TEST(round_trips)
{
    static const char *const names[] = {"a.npy", "a.csv", "a.tsv", "a.txt", "no_extension"};
    assert_round_trip(names[_i], AD_F64);
    assert_round_trip(names[_i], AD_F32);
}
END_TEST

/* Where the system has a locale with a decimal comma. */
START_TEST(locale_changes_nothing)
{
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "es_ES.UTF-8"};
    const char *locale = NULL;
    for (size_t i = 0; i < COUNT(locales) && !locale; i++) locale = setlocale(LC_ALL, locales[i]);
    assert_round_trip("a.csv", AD_F64);
    const char text[] = "-1.5e3,+.25\n1E-2,0x1p4\n";
    nf_table table = read_table(scratch_write("b.csv", text, strlen(text)).text);
    ck_assert_uint_eq(table.rows, 2);
    ck_assert_mem_eq(table.values, ((double[]){-1500, 0.25, 0.01, 16}), 4 * sizeof *table.values);
    nf_table_free(&table);
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(finite_values)
{
    nf_table table = read_table(numpy_path("not_finite").text);
    ck_assert(isnan(table.values[2]));
    ck_assert_int_eq(nf_table_check_finite(&table, "data.npy", &error), AD_ERROR_FORMAT);
    assert_message("data.npy: row 2, column 1 is NaN");
    table.values[2] = 0;
    char *names[] = {"x", "y"};
    table.names = names;
    ck_assert_int_eq(nf_table_check_finite(&table, "data.npy", &error), AD_ERROR_FORMAT);
    assert_message("data.npy: row 2, column 2 ('y') is infinite");
    table.names = NULL;
    table.values[3] = 0;
    ck_assert_int_eq(nf_table_check_finite(&table, "data.npy", &error), AD_OK);
    nf_table_free(&table);
}
END_TEST

START_TEST(bad_paths)
{
    assert_refused(scratch_path("none.csv").text, AD_ERROR_IO, "none.csv': No such file or directory");
    assert_refused(scratch, AD_ERROR_IO, "Is a directory");
    assert_refused("/dev/null", AD_ERROR_FORMAT, "is empty");
    assert_refused(scratch_write("a.dat", "1,2", 3).text, AD_ERROR_ARGUMENT, "extension '.dat'; known are .npy, .csv");
    ck_assert_int_eq(nf_table_write(scratch_path("b.dat").text, &(nf_table){0}, &error), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(nf_table_write(scratch_path("none/b.npy").text, &(nf_table){0}, &error), AD_ERROR_IO);
    assert_message("none/b.npy': No such file or directory");
}
END_TEST

START_TEST(every_allocation_fails)
{
    static char text[8192] = "name,other\n";
    for (int i = 0; i < 100; i++) strcat(text, "1,2\n");
    scratch_write("a.csv", text, strlen(text));
    scratch_write("b.csv", text + 11, strlen(text) - 11);
    const file_path sources[] = {scratch_path("a.csv"), scratch_path("b.csv"), numpy_path("version_1"),
                                 numpy_path("big_f4_c")};
    int files = scratch_files(false);
    for (size_t i = 0; i < COUNT(sources); i++) {
        for (size_t allowed = 0;; allowed++) {
            nf_table table;
            memory_limit(allowed);
            ad_status status = nf_table_read(sources[i].text, &table, &error);
            bool denied = memory.denied;
            memory_unlimited();
            ck_assert(status == AD_ERROR_MEMORY || status == AD_OK);
            nf_table_free(&table);
            if (!denied) break;
        }
    }
    double value = 1;
    memory_limit(0);
    ad_status status = nf_table_write(scratch_path("c.npy").text, &(nf_table){1, 1, &value, NULL, AD_F64}, &error);
    memory_unlimited();
    ck_assert_int_eq(status, AD_ERROR_MEMORY);
    ck_assert_int_eq(scratch_files(false), files);
}
END_TEST

Suite *tables_suite(void)
{
    Suite *suite = suite_create("tables");
    TCase *both = tcase_create("both");
    tcase_add_checked_fixture(both, scratch_begin, scratch_end);
    tcase_add_loop_test(both, round_trips, 0, 5);
    tcase_add_test(both, locale_changes_nothing);
    tcase_add_test(both, finite_values);
    tcase_add_test(both, bad_paths);
    tcase_add_test(both, every_allocation_fails);
    suite_add_tcase(suite, both);
    return suite;
}
