/* Columns: what they are recognised as, what a user says they are, and what can't be. */
#include "models/column_tools.h"

/* ---- More cells -------------------------------------------------------------------------------------------------- */

static double far_normal(size_t r)
{
    return 100 + 3 * normal_cell(r);
}
static double fahrenheit(size_t r)
{
    return 1.8 * far_normal(r) + 32;
}
static double negated(size_t r)
{
    return 2 - three(r);
}
static double half_steps(size_t r)
{
    return three(r) / 2;
}
static double row_number(size_t r)
{
    return (double)r + 1;
}
static double row_label(size_t r)
{
    return (double)r;
}
static double flag(size_t r)
{
    return uniform_cell(r) < 0.3;
}
static double percentage(size_t r)
{
    return 100 * share(r);
}
static double always_missing(size_t r)
{
    (void)r;
    return NAN;
}
static double seven_or_missing(size_t r)
{
    return uniform_cell(r) < 0.2 ? NAN : 7;
}
static double gamma_4(size_t r)
{
    double sum = 0;
    for (uint64_t i = 0; i < 4; i++) sum -= log(ad_random_uniform(12, i, r));
    return sum;
}
static double negative_log_normal(size_t r)
{
    return -log_normal(r);
}
/* A scale of .01, some values of which are frequent, but not out of proportion: as of a measured acidity. */
static double rounded(size_t r)
{
    return round(100 * (0.33 + 0.04 * normal_cell(r))) / 100;
}
static double two_atoms(size_t r)
{
    double u = ad_random_uniform(11, 8, r);
    return u < 0.2 ? 0 : u < 0.4 ? 1 : share(r);
}
static double large(size_t r)
{
    return round(ldexp(1 + uniform_cell(r), 50));
}

static const struct {
    const char *what;
    cell_function cell;
    nf_column_kind kind;
    size_t features;
    const char *why;
} recognised[] = {
    {"a normal", normal_cell, NF_COLUMN_REAL, 1, "real"},
    {"a normal far from 0", far_normal, NF_COLUMN_REAL, 1, "measured numbers"},
    {"a log-normal", log_normal, NF_COLUMN_POSITIVE, 1, "by the logarithm"},
    {"an exponential", exponential, NF_COLUMN_POSITIVE, 1, "positive"},
    {"a gamma", gamma_4, NF_COLUMN_POSITIVE, 1, "positive"},
    {"negative numbers", negative_log_normal, NF_COLUMN_REAL, 1, "real"},
    {"a share", share, NF_COLUMN_BOUNDED, 1, "from 0 to 1"},
    {"a uniform", uniform_cell, NF_COLUMN_BOUNDED, 1, "from 0 to 1"},
    {"a percentage", percentage, NF_COLUMN_BOUNDED, 1, "from 0 to 100"},
    {"a timestamp", timestamp, NF_COLUMN_REAL, 1, "relative to 17000"},
    {"rounded numbers", rounded, NF_COLUMN_REAL, 1, "are different"},
    {"a count", poisson, NF_COLUMN_INTEGER, 1, "whole numbers, 0 to"},
    {"a flag", flag, NF_COLUMN_INTEGER, 1, "whole numbers, 0 to 1"},
    {"a wide count", wide_count, NF_COLUMN_INTEGER, 1, "by the logarithm"},
    {"row numbers", row_number, NF_COLUMN_INTEGER, 1, "drop"},
    {"whole numbers that are too large", large, NF_COLUMN_REAL, 1, "real"},
    {"half steps", half_steps, NF_COLUMN_CATEGORY, 1, "3 different numbers"},
    {"an amount", amount, NF_COLUMN_POSITIVE, 2, "0 itself in"},
    {"a share with atoms at both ends", two_atoms, NF_COLUMN_BOUNDED, 2, "1 itself in"},
    {"missing values", sometimes, NF_COLUMN_REAL, 2, "missing in"},
    {"missing counts", sometimes_poisson, NF_COLUMN_INTEGER, 1, "missing in"},
    {"one value or none", seven_or_missing, NF_COLUMN_CATEGORY, 1, "one value, or missing"},
    {"a constant", seven, NF_COLUMN_CONSTANT, 0, "one value"},
    {"nothing", always_missing, NF_COLUMN_CONSTANT, 0, "always missing"},
};

/* Beside a normal, so that there is always a feature; of which negated ones are the duplicate of none. */
START_TEST(kinds_are_recognised)
{
    const char *what = recognised[_i].what;
    nf_table *table = make_table(2000, 2, (cell_function[]){other_normal, recognised[_i].cell});
    nf_columns *columns = learned(table, NULL);
    const nf_column *column = face(columns, 1);
    ck_assert_msg(column->kind == recognised[_i].kind, "%s: %s", what, column->why);
    ck_assert_msg(column->features == recognised[_i].features, "%s: %zu", what, column->features);
    ck_assert_msg(strstr(column->why, recognised[_i].why) != NULL, "%s: %s", what, column->why);
    ck_assert_msg(strstr(column->why, nf_column_kind_name(column->kind)) == column->why, "%s", column->why);
    ck_assert_str_eq(column->name, "c2");
    ck_assert_uint_eq(column->rows, 2000);
    ck_assert_uint_eq(nf_columns_features(columns), 1 + column->features);
    nf_columns_free(columns);
}
END_TEST

/* A few rows are no reason for bold guesses. */
START_TEST(few_rows_are_taken_as_they_are)
{
    nf_columns *columns = learned(one_column(5, exponential), NULL);
    ck_assert_int_eq(face(columns, 0)->kind, NF_COLUMN_REAL);
    nf_columns_free(columns);
    columns = learned(make_table(6, 2, (cell_function[]){normal_cell, row_label}), NULL);
    ck_assert_int_eq(face(columns, 1)->kind, NF_COLUMN_INTEGER);
    nf_columns_free(columns);
}
END_TEST

START_TEST(duplicates_are_recognised)
{
    nf_table *table = make_table(1000, 5, (cell_function[]){far_normal, three, far_normal, fahrenheit, negated});
    nf_columns *columns = learned(table, NULL);
    ck_assert_uint_eq(nf_columns_features(columns), 2);
    static const struct {
        size_t source;
        double slope, intercept;
    } expected[] = {{0, 1, 0}, {0, 1.8, 32}, {1, -1, 2}};
    for (size_t i = 0; i < COUNT(expected); i++) {
        const nf_column *column = face(columns, 2 + i);
        ck_assert_int_eq(column->kind, NF_COLUMN_DUPLICATE);
        ck_assert_uint_eq(column->source, expected[i].source);
        ck_assert_double_eq_tol(column->slope, expected[i].slope, 1e-9);
        ck_assert_double_eq_tol(column->intercept, expected[i].intercept, 1e-6);
    }
    nf_columns_free(columns);
    table->values[7 * 5 + 3] += 0.001; /* one row is enough */
    columns = learned(table, "c3:real");
    ck_assert_int_eq(face(columns, 2)->kind, NF_COLUMN_REAL);
    ck_assert_int_eq(face(columns, 3)->kind, NF_COLUMN_REAL);
    nf_columns_free(columns);
}
END_TEST

static char *cities[] = {"Köln", "Oslo", "Rome", "Ulm", NULL};

START_TEST(labels_are_categories)
{
    nf_table *table = make_table(1000, 3, (cell_function[]){three, normal_cell, three});
    set_labels(0, cities);
    set_labels(2, cities);
    nf_columns *columns = learned(table, NULL);
    const nf_column *column = face(columns, 0);
    ck_assert_int_eq(column->kind, NF_COLUMN_CATEGORY);
    ck_assert_uint_eq(column->categories, 3); /* nobody is from Ulm */
    for (size_t k = 0; k < 3; k++) ck_assert_str_eq(column->labels[k], cities[k]);
    ck_assert_ptr_null(column->codes);
    ck_assert_int_eq(face(columns, 2)->kind, NF_COLUMN_DUPLICATE);
    nf_columns_free(columns);
    assert_not_learned(table, "c1:positive", AD_ERROR_FORMAT, "column 'c1' holds text, 'Köln' for one");
}
END_TEST

START_TEST(identifiers_are_dropped)
{
    static char text[100][8], *ids[101];
    for (size_t i = 0; i < 100; i++) {
        snprintf(text[i], sizeof text[i], "id%02zu", i);
        ids[i] = text[i];
    }
    nf_table *table = make_table(100, 2, (cell_function[]){row_label, normal_cell});
    set_labels(0, ids);
    nf_columns *columns = learned(table, NULL);
    ck_assert_int_eq(face(columns, 0)->kind, NF_COLUMN_DROPPED);
    ck_assert_uint_eq(nf_columns_features(columns), 1);
    nf_columns_free(columns);
    columns = learned(table, "c1:category");
    ck_assert_uint_eq(face(columns, 0)->categories, 100);
    nf_columns_free(columns);
}
END_TEST

/* ---- What is told ------------------------------------------------------------------------------------------------ */

static const struct {
    cell_function cell;
    const char *given;
    nf_column_kind kind;
    double low, high;
} told[] = {
    {log_normal, "c2:real", NF_COLUMN_REAL, -INFINITY, INFINITY},
    {log_normal, "2 : (-inf, inf)", NF_COLUMN_REAL, -INFINITY, INFINITY},
    {uniform_cell, "c2:positive", NF_COLUMN_POSITIVE, 0, INFINITY},
    {amount, "c2:[0,inf)", NF_COLUMN_POSITIVE, 0, INFINITY},
    {uniform_cell, "\"c2\":[-1, 1.5)", NF_COLUMN_BOUNDED, -1, 1.5},
    {two_atoms, "c2:[0,1]", NF_COLUMN_BOUNDED, 0, 1},
    {uniform_cell, "c1:real, c2:[-2,inf),", NF_COLUMN_POSITIVE, -2, INFINITY},
    {poisson, "c2:real", NF_COLUMN_REAL, -INFINITY, INFINITY},
    {poisson, "c2:auto", NF_COLUMN_INTEGER, 0, 20},
    {poisson, "c2:count", NF_COLUMN_INTEGER, 0, 20},
    {poisson, "c2:integer[-3,100]", NF_COLUMN_INTEGER, -3, 100},
    {wide_count, "c2:count", NF_COLUMN_INTEGER, 0, INFINITY},
    {wide_count, "c2:integer[0,10000000]", NF_COLUMN_INTEGER, 0, 1e7},
    {poisson, "c2:category", NF_COLUMN_CATEGORY, 0, 10},
    {degrees, "c2:angle", NF_COLUMN_ANGLE, 0, 360},
    {uniform_cell, "c2:angle", NF_COLUMN_ANGLE, 0, 2 * M_PI},
    {uniform_cell, "c2:angle(1)", NF_COLUMN_ANGLE, 0, 1},
    {uniform_cell, "c2:drop", NF_COLUMN_DROPPED, NAN, NAN},
};

START_TEST(kinds_are_told)
{
    nf_table *table = make_table(2000, 2, (cell_function[]){other_normal, told[_i].cell});
    nf_columns *columns = learned(table, told[_i].given);
    const nf_column *column = face(columns, 1);
    ck_assert_msg(column->kind == told[_i].kind, "%s: %s", told[_i].given, column->why);
    if (!isnan(told[_i].low) && column->kind != NF_COLUMN_CATEGORY && told[_i].high != 20) {
        ck_assert_msg(column->low == told[_i].low, "%s: %g", told[_i].given, column->low);
        ck_assert_msg(column->high == told[_i].high, "%s: %g", told[_i].given, column->high);
    }
    nf_columns_free(columns);
}
END_TEST

START_TEST(names_may_have_anything)
{
    nf_table *table = make_table(50, 3, (cell_function[]){uniform_cell, log_normal, exponential});
    made.names[0] = "a, \"b\": c";
    made.names[1] = "3"; /* a name goes before a number */
    nf_columns *columns = learned(table, "\"a, \"\"b\"\": c\":real, 3:[0,inf), c3:real");
    ck_assert_int_eq(face(columns, 0)->kind, NF_COLUMN_REAL);
    ck_assert_int_eq(face(columns, 1)->kind, NF_COLUMN_POSITIVE);
    ck_assert_int_eq(face(columns, 2)->kind, NF_COLUMN_REAL);
    nf_columns_free(columns);
    table->names = NULL;
    columns = learned(table, "2:real");
    ck_assert_int_eq(face(columns, 1)->kind, NF_COLUMN_REAL);
    ck_assert_ptr_null(face(columns, 1)->name);
    nf_columns_free(columns);
}
END_TEST

/* ---- Mistakes ---------------------------------------------------------------------------------------------------- */

static const struct {
    cell_function cell;
    const char *given;
    ad_status status;
    const char *part;
} mistakes[] = {
    {normal_cell, "c3:real", AD_ERROR_ARGUMENT, "there is no 'c3'; there are: c1, c2"},
    {normal_cell, "0:real", AD_ERROR_ARGUMENT, "there is no '0'"},
    {normal_cell, "3:real", AD_ERROR_ARGUMENT, "there is no '3'"},
    {normal_cell, "c2", AD_ERROR_ARGUMENT, "'c2' has no kind; expected is NAME:KIND"},
    {normal_cell, ":real", AD_ERROR_ARGUMENT, "has no kind"},
    {normal_cell, "\"c2:real", AD_ERROR_ARGUMENT, "quote is never closed"},
    {normal_cell, "c2:gaussian", AD_ERROR_ARGUMENT, "'gaussian' of column 'c2' is no kind; known are real, positive"},
    {normal_cell, "c2:", AD_ERROR_ARGUMENT, "is no kind"},
    {normal_cell, "c2:[0,1", AD_ERROR_ARGUMENT, "is no kind"},
    {normal_cell, "c2:[1,0]", AD_ERROR_ARGUMENT, "is no kind"},
    {normal_cell, "c2:(-inf,0]", AD_ERROR_ARGUMENT, "is no kind"},
    {normal_cell, "c2:[0,one]", AD_ERROR_ARGUMENT, "is no kind"},
    {normal_cell, "c2:angle(0)", AD_ERROR_ARGUMENT, "is no kind"},
    {normal_cell, "c2:angle(360", AD_ERROR_ARGUMENT, "is no kind"},
    {normal_cell, "c2:integer(0,5)", AD_ERROR_ARGUMENT, "is no kind"},
    {normal_cell, "c2:integer[0,2.5]", AD_ERROR_ARGUMENT, "is no kind"},
    {normal_cell, "c2:realer", AD_ERROR_ARGUMENT, "is no kind"},
    {normal_cell, "c2:real, c2:positive", AD_ERROR_ARGUMENT, "column 'c2' is there twice"},
    {normal_cell, "c2:positive", AD_ERROR_FORMAT, "is outside, but the column was to be positive"},
    {normal_cell, "c2:integer", AD_ERROR_FORMAT, "is no whole number, but the column was to be integer"},
    {poisson, "c2:integer[0,5]", AD_ERROR_FORMAT, "6 is outside, but the column was to be integer[0,5]"},
    {poisson, "c2:(0,inf)", AD_ERROR_FORMAT, "0 is an end that is left out"},
    {large, "c2:integer", AD_ERROR_FORMAT, "too large to be counted"},
    {percentage, "c2:angle(50)", AD_ERROR_FORMAT, "is outside 0 to 50, one turn"},
    {seven, "c1:drop", AD_ERROR_FORMAT, "none of the 2 columns is kept and varies"},
};

START_TEST(mistakes_are_told)
{
    nf_table *table = make_table(2000, 2, (cell_function[]){other_normal, mistakes[_i].cell});
    assert_not_learned(table, mistakes[_i].given, mistakes[_i].status, mistakes[_i].part);
}
END_TEST

START_TEST(the_row_is_told)
{
    nf_table *table = make_table(100, 2, (cell_function[]){other_normal, exponential});
    table->values[12 * 2 + 1] = -0.5;
    assert_not_learned(table, "c2:positive", AD_ERROR_FORMAT, "row 13, column 'c2': -0.5 is outside");
    table->values[12 * 2 + 1] = INFINITY;
    assert_not_learned(table, NULL, AD_ERROR_FORMAT, "row 13, column 'c2': inf is no value");
    table->rows = 1;
    assert_not_learned(table, NULL, AD_ERROR_ARGUMENT, "two rows or more");
    assert_not_learned(NULL, NULL, AD_ERROR_ARGUMENT, "two rows or more");
}
END_TEST

/* ---- Other tables ------------------------------------------------------------------------------------------------ */

static ad_status check_one(const nf_columns *columns, nf_table *table, size_t column, double value)
{
    double old = table->values[3 * table->columns + column], log_weight[MOST_ROWS], *features;
    table->values[3 * table->columns + column] = value;
    ad_status status = nf_columns_check(columns, table, "new.csv", &error);
    features = malloc(sizeof *features * table->rows * nf_columns_features(columns));
    ASSERT_OK(nf_columns_encode(columns, table, 1, 0, features, log_weight, NULL));
    for (size_t i = 0; i < table->rows * nf_columns_features(columns); i++) ck_assert(isfinite(features[i]));
    for (size_t r = 0; r < table->rows; r++) ck_assert_int_eq(isfinite(log_weight[r]), r != 3 || status == AD_OK);
    free(features);
    table->values[3 * table->columns + column] = old;
    return status;
}

START_TEST(what_cannot_be_has_no_density)
{
    nf_table *table = make_table(500, 6, (cell_function[]){log_normal, poisson, three, far_normal, fahrenheit, seven});
    set_labels(2, cities);
    nf_columns *columns = learned(table, NULL);
    ASSERT_OK(nf_columns_check(columns, table, "new.csv", &error));
    ASSERT_OK(check_one(columns, table, 0, 1e9));
    ASSERT_FAILS(check_one(columns, table, 0, -1), AD_ERROR_FORMAT,
                 "new.csv: row 4, column 'c1': -1 is outside of its support (positive, 0 to inf)");
    ASSERT_FAILS(check_one(columns, table, 0, NAN), AD_ERROR_FORMAT, "column 'c1': missing where nothing was");
    ASSERT_FAILS(check_one(columns, table, 0, INFINITY), AD_ERROR_FORMAT, "column 'c1': inf is outside");
    ASSERT_FAILS(check_one(columns, table, 1, 1.5), AD_ERROR_FORMAT, "1.5 is no whole number");
    ASSERT_FAILS(check_one(columns, table, 1, -1), AD_ERROR_FORMAT, "-1 is outside");
    ASSERT_FAILS(check_one(columns, table, 1, 1000), AD_ERROR_FORMAT, "1000 is outside");
    ASSERT_FAILS(check_one(columns, table, 2, 3), AD_ERROR_FORMAT, "column 'c3': 'Ulm' is not among the values");
    ASSERT_FAILS(check_one(columns, table, 4, 0), AD_ERROR_FORMAT, "duplicate of");
    ASSERT_FAILS(check_one(columns, table, 5, 8), AD_ERROR_FORMAT, "8 is another value than the only one");
    table->values[10 * 6] = table->values[20 * 6] = -1;
    ASSERT_FAILS(nf_columns_check(columns, table, "new.csv", &error), AD_ERROR_FORMAT,
                 "so that the row has density 0; so it is with a value in 2 rows");
    nf_columns_free(columns);
}
END_TEST

START_TEST(a_table_must_have_such_columns)
{
    nf_table *table = make_table(100, 2, (cell_function[]){normal_cell, three});
    nf_columns *columns = learned(table, NULL);
    double features[200];
    set_labels(1, cities);
    ASSERT_FAILS(nf_columns_encode(columns, table, 1, 0, features, NULL, &error), AD_ERROR_FORMAT,
                 "column 'c2' is of kind integer, and 'Köln' is not a number");
    table->values[5] = 4;
    ASSERT_FAILS(nf_columns_encode(columns, table, 1, 0, features, NULL, &error), AD_ERROR_ARGUMENT,
                 "row 3, column 'c2': 4 is no index of its 4 labels");
    assert_not_learned(table, NULL, AD_ERROR_ARGUMENT, "row 3, column 'c2': 4 is no index of its 4 labels");
    table->columns = 1;
    ASSERT_FAILS(nf_columns_encode(columns, table, 1, 0, features, NULL, &error), AD_ERROR_FORMAT,
                 "the table has 1 columns, but 2 were learned");
    ASSERT_FAILS(nf_columns_encode(NULL, table, 1, 0, features, NULL, &error), AD_ERROR_ARGUMENT, "columns is NULL");
    ASSERT_FAILS(nf_columns_encode(columns, NULL, 1, 0, features, NULL, &error), AD_ERROR_ARGUMENT, "table is NULL");
    ck_assert_uint_eq(nf_columns_outside(columns, table, NULL), 0);
    nf_columns_free(columns);
    ck_assert_uint_eq(nf_columns_features(NULL) + nf_columns_count(NULL), 0);
    ck_assert(!nf_columns_noisy(NULL) && !nf_columns_is_context(NULL));
    ck_assert_ptr_null(nf_columns_column(NULL, 0));
}
END_TEST

START_TEST(values_outside_of_training_are_told)
{
    nf_table *table = make_table(100, 3, (cell_function[]){normal_cell, three, poisson});
    char text[512];
    set_labels(1, cities);
    nf_columns *columns = learned(table, NULL);
    ck_assert_uint_eq(nf_columns_outside(columns, table, text), 0);
    ck_assert_str_eq(text, "");
    table->values[4 * 3] = 130;
    table->values[9 * 3 + 1] = 3;
    ck_assert_uint_eq(nf_columns_outside(columns, table, text), 2);
    ck_assert_msg(strstr(text, "row 5, column 'c1': 130, and was -") == text, "%s", text);
    table->values[4 * 3] = 0;
    ck_assert_uint_eq(nf_columns_outside(columns, table, text), 1);
    ck_assert_str_eq(text, "row 10, column 'c2': 'Ulm' was not among the 3 of training");
    table->values[9 * 3 + 2] = NAN;
    ck_assert_uint_eq(nf_columns_outside(columns, table, NULL), 1);
    nf_columns_free(columns);
}
END_TEST

/* The same labels in another order, and numbers that were text, are the same values. */
START_TEST(labels_are_compared_as_text)
{
    static char *digits[] = {"1", "2", "x", NULL}, *mixed[] = {"x", "2", "1", NULL};
    nf_table *table = make_table(100, 1, (cell_function[]){three});
    double features[100], again[100];
    set_labels(0, digits);
    nf_columns *columns = learned(table, NULL);
    ASSERT_OK(nf_columns_encode(columns, table, 1, 0, features, NULL, &error));
    set_labels(0, mixed);
    for (size_t r = 0; r < 100; r++) table->values[r] = 2 - table->values[r];
    ASSERT_OK(nf_columns_encode(columns, table, 1, 0, again, NULL, &error));
    ck_assert_mem_eq(features, again, sizeof features);
    table->labels = NULL;
    for (size_t r = 0; r < 100; r++) table->values[r] = 2 + (double)(r % 2) / 2; /* 2, and 2.5, which it never was */
    double log_weight[100];
    ASSERT_OK(nf_columns_encode(columns, table, 1, 0, again, log_weight, &error));
    for (size_t r = 0; r < 100; r++) ck_assert_int_eq(isfinite(log_weight[r]), r % 2 == 0);
    nf_columns_free(columns);
}
END_TEST

Suite *column_kinds_suite(void)
{
    Suite *suite = suite_create("column_kinds");
    TCase *tcase = tcase_create("column_kinds");
    tcase_add_loop_test(tcase, kinds_are_recognised, 0, (int)COUNT(recognised));
    tcase_add_test(tcase, few_rows_are_taken_as_they_are);
    tcase_add_test(tcase, duplicates_are_recognised);
    tcase_add_test(tcase, labels_are_categories);
    tcase_add_test(tcase, identifiers_are_dropped);
    tcase_add_loop_test(tcase, kinds_are_told, 0, (int)COUNT(told));
    tcase_add_test(tcase, names_may_have_anything);
    tcase_add_loop_test(tcase, mistakes_are_told, 0, (int)COUNT(mistakes));
    tcase_add_test(tcase, the_row_is_told);
    tcase_add_test(tcase, what_cannot_be_has_no_density);
    tcase_add_test(tcase, a_table_must_have_such_columns);
    tcase_add_test(tcase, values_outside_of_training_are_told);
    tcase_add_test(tcase, labels_are_compared_as_text);
    suite_add_tcase(suite, tcase);
    return suite;
}
