/* Columns: what is encoded is decoded again, samples are inside the support, and JSON loses nothing. */
#include "models/column_tools.h"

static char *cities[] = {"Köln", "Oslo", "Rome", NULL};

/* All kinds in eight columns, some of them with missing values and atoms. */
enum { ROWS = 800, COLUMNS = 8 };

static const char given[] = "c4:angle, c7:[0,inf)";

static nf_table *all_kinds(void)
{
    nf_table *table = make_table(
        ROWS, COLUMNS,
        (cell_function[]){sometimes, share, sometimes_poisson, degrees, three, amount, log_normal, wide_count});
    set_labels(4, cities);
    for (size_t r = 0; r < ROWS; r += 9) table->values[r * COLUMNS + 4] = NAN;
    for (size_t r = 3; r < ROWS; r += 7) table->values[r * COLUMNS + 3] = NAN;
    for (size_t r = 5; r < ROWS; r += 100) table->values[r * COLUMNS + 6] = 0; /* at the end, too few for an atom */
    return table;
}

static void assert_same_tables(const nf_table *table, const nf_table *other, double tolerance)
{
    ck_assert_uint_eq(other->rows, table->rows);
    ck_assert_uint_eq(other->columns, table->columns);
    for (size_t c = 0; c < table->columns; c++) {
        const bool exact = (table->labels && table->labels[c]) || c == 2 || c == 7;
        for (size_t r = 0; r < table->rows; r++) {
            double a = table->values[r * table->columns + c], b = other->values[r * table->columns + c];
            ck_assert_msg((isnan(a) && isnan(b)) || fabs(a - b) <= (exact ? 0 : tolerance * fabs(a)),
                          "row %zu, column %zu: %.17g, and was %.17g", r + 1, c + 1, b, a);
        }
    }
}

/* ---- There and back ---------------------------------------------------------------------------------------------- */

START_TEST(decoding_undoes_encoding)
{
    nf_table *table = all_kinds(), back;
    nf_columns *columns = learned(table, given);
    const size_t size = nf_columns_features(columns);
    double *features = malloc(ROWS * size * sizeof *features), log_weight[ROWS];
    ck_assert(nf_columns_noisy(columns));
    ck_assert_uint_eq(face(columns, 5)->atoms, 1);
    ck_assert_uint_eq(face(columns, 6)->atoms, 0);
    for (uint64_t draw = 0; draw < 20; draw++) {
        ASSERT_OK(nf_columns_encode(columns, table, 3, draw, features, log_weight, &error));
        for (size_t i = 0; i < ROWS * size; i++) ck_assert(isfinite(features[i]));
        for (size_t r = 0; r < ROWS; r++) ck_assert(isfinite(log_weight[r]));
        ASSERT_OK(nf_columns_decode(columns, features, ROWS, &back, &error));
        assert_same_tables(table, &back, 1e-9);
        ck_assert(back.missing);
        for (size_t c = 0; c < COLUMNS; c++) ck_assert_str_eq(back.names[c], table->names[c]);
        ck_assert_ptr_null(back.labels[0]);
        for (size_t k = 0; k <= 3; k++)
            if (cities[k])
                ck_assert_str_eq(back.labels[4][k], cities[k]);
            else
                ck_assert_ptr_null(back.labels[4][k]);
        nf_table_free(&back);
    }
    free(features);
    nf_columns_free(columns);
}
END_TEST

static double seven_times(size_t r)
{
    return 7 * poisson(r) - 3;
}
static double celsius(size_t r)
{
    return normal_cell(r) * 8 + 12;
}
static double fahrenheit(size_t r)
{
    return 1.8 * celsius(r) + 32;
}

/* Constants and duplicates, which have no features, come back as well; what is dropped doesn't. */
START_TEST(columns_without_features_come_back)
{
    nf_table *table = make_table(
        400, 8, (cell_function[]){celsius, seven, poisson, fahrenheit, seven_times, log_normal, three, three});
    nf_table back;
    set_labels(6, cities);
    set_labels(7, cities);
    nf_columns *columns = learned(table, "c6:drop");
    ck_assert_uint_eq(nf_columns_features(columns), 3);
    double features[1200];
    ASSERT_OK(nf_columns_encode(columns, table, 1, 0, features, NULL, &error));
    ASSERT_OK(nf_columns_decode(columns, features, 400, &back, &error));
    ck_assert_uint_eq(back.columns, 7);
    ck_assert_str_eq(back.names[5], "c7");
    ck_assert(!back.missing);
    ck_assert_ptr_eq(back.labels[4], NULL);
    for (size_t k = 0; k < 3; k++) ck_assert_str_eq(back.labels[6][k], cities[k]);
    for (size_t r = 0; r < 400; r++) {
        const double *a = table->values + r * 8, *b = back.values + r * 7;
        ck_assert_double_eq_tol(b[0], a[0], 1e-12);
        ck_assert_double_eq(b[1], 7);
        ck_assert_double_eq(b[2], a[2]);
        ck_assert_double_eq_tol(b[3], a[3], 1e-9);
        ck_assert_double_eq(b[4], a[4]);
        ck_assert_double_eq(b[5], a[6]);
        ck_assert_double_eq(b[6], a[7]);
    }
    nf_table_free(&back);
    nf_columns_free(columns);
}
END_TEST

/* ---- Samples ----------------------------------------------------------------------------------------------------- */

/* Whatever the features, a table of them has a density: also far out, and at the end of every map's range. */
START_TEST(samples_are_inside_the_support)
{
    static const double far[] = {0, 1, 8, 40, 300, 800, 1e5, 1e300, INFINITY};
    nf_table *table = all_kinds(), back;
    nf_columns *columns = learned(table, given);
    const size_t size = nf_columns_features(columns), rows = 2000;
    double *features = malloc(rows * size * sizeof *features), log_weight[2000];
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < size; i++) {
            double sign = ad_random_uniform(4, i, r) < 0.5 ? -1 : 1, normal = 3 * ad_random_normal(5, i, r);
            features[r * size + i] =
                r % 2 ? sign * far[ad_random_permutation(6, i, COUNT(far), r % COUNT(far))] : normal;
        }
    ASSERT_OK(nf_columns_decode(columns, features, rows, &back, &error));
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < COLUMNS; c++) {
            double value = back.values[r * COLUMNS + c];
            const nf_column *column = face(columns, c);
            if (isnan(value) || isinf(value)) /* real columns have no ends, and exp(1e5) is what it is */
                ck_assert(column->missing > 0 || isinf(column->high));
            else if (!column->labels)
                ck_assert_msg(value >= column->low && value <= column->high, "column %zu: %g", c, value);
        }
    for (size_t r = 0; r < rows; r += 2) /* the normal ones */
        for (size_t c = 0; c < COLUMNS; c++) back.values[(r / 2) * COLUMNS + c] = back.values[r * COLUMNS + c];
    back.rows = rows / 2;
    ASSERT_OK(nf_columns_check(columns, &back, "samples", &error));
    ASSERT_OK(nf_columns_encode(columns, &back, 1, 0, features, log_weight, &error));
    for (size_t r = 0; r < back.rows; r++) ck_assert(isfinite(log_weight[r]));
    nf_table_free(&back);
    free(features);
    nf_columns_free(columns);
}
END_TEST

/* A NaN is not taken for a value. */
START_TEST(nan_stays_nan)
{
    nf_table *table = make_table(100, 2, (cell_function[]){three, degrees}), back;
    nf_columns *columns = learned(table, "c2:angle");
    double features[] = {NAN, 1, 0, 0, NAN, 1};
    ASSERT_OK(nf_columns_decode(columns, features, 2, &back, &error));
    ck_assert_double_nan(back.values[0]);
    ck_assert_double_eq(back.values[1], 0);
    ck_assert(isfinite(back.values[2]));
    ck_assert_double_nan(back.values[3]);
    nf_table_free(&back);
    nf_columns_free(columns);
}
END_TEST

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* In float32 too, draws of a column far from 0 are all different. */
START_TEST(an_offset_keeps_digits)
{
    nf_table *table = one_column(2000, timestamp), back;
    nf_columns *columns = learned(table, NULL);
    double features[2000];
    ASSERT_OK(nf_columns_encode(columns, table, 1, 0, features, NULL, &error));
    for (size_t r = 0; r < 2000; r++) features[r] = (float)features[r];
    ASSERT_OK(nf_columns_decode(columns, features, 2000, &back, &error));
    for (size_t r = 0; r < 2000; r++) ck_assert_double_eq_tol(back.values[r], table->values[r], 0.01);
    qsort(back.values, 2000, sizeof *back.values, ascending);
    for (size_t r = 1; r < 2000; r++) ck_assert_double_lt(back.values[r - 1], back.values[r]);
    nf_table_free(&back);
    nf_columns_free(columns);
}
END_TEST

/* ---- What features are ------------------------------------------------------------------------------------------- */

static double mean_of(const double *features, size_t size, size_t i, size_t rows, double power)
{
    double sum = 0;
    for (size_t r = 0; r < rows; r++) sum += pow(features[r * size + i], power);
    return sum / (double)rows;
}

/* Cells are as wide as they are probable: their features are standard normals, to start with. */
START_TEST(cells_make_normals)
{
    nf_table *table = make_table(4000, 3, (cell_function[]){poisson, three, sometimes_poisson});
    set_labels(1, cities);
    nf_columns *columns = learned(table, NULL);
    double *features = malloc(12000 * sizeof *features);
    ASSERT_OK(nf_columns_encode(columns, table, 1, 0, features, NULL, &error));
    for (size_t i = 0; i < 3; i++) {
        ck_assert_double_eq_tol(mean_of(features, 3, i, 4000, 1), 0, 0.05);
        ck_assert_double_eq_tol(mean_of(features, 3, i, 4000, 2), 1, 0.1);
        ck_assert_double_eq_tol(mean_of(features, 3, i, 4000, 4), 3, 0.6);
    }
    free(features);
    nf_columns_free(columns);
}
END_TEST

/* A row's features are its own, and each draw has others. */
START_TEST(noise_is_of_seed_draw_and_row)
{
    nf_table *table = all_kinds();
    nf_columns *columns = learned(table, given);
    const size_t size = nf_columns_features(columns);
    double *a = malloc(2 * ROWS * size * sizeof *a), *b = a + ROWS * size;
    ASSERT_OK(nf_columns_encode(columns, table, 3, 5, a, NULL, &error));
    table->rows = 10;
    ASSERT_OK(nf_columns_encode(columns, table, 3, 5, b, NULL, &error));
    ck_assert_mem_eq(a, b, 10 * size * sizeof *a);
    ASSERT_OK(nf_columns_encode(columns, table, 3, 6, b, NULL, &error));
    ck_assert_mem_ne(a, b, 10 * size * sizeof *a);
    ASSERT_OK(nf_columns_encode(columns, table, 4, 5, b, NULL, &error));
    ck_assert_mem_ne(a, b, 10 * size * sizeof *a);
    free(a);
    nf_columns_free(columns);
}
END_TEST

START_TEST(features_have_names)
{
    static const char *const expected[] = {"c1 state", "c1",       "c2", "c3", "c4 state", "c4 cos", "c4 sin",
                                           "c5",       "c6 state", "c6", "c7", "c8",       ""};
    nf_table *table = all_kinds();
    char text[128];
    nf_columns *columns = learned(table, given);
    ck_assert_uint_eq(nf_columns_features(columns), COUNT(expected) - 1);
    for (size_t i = 0; i < COUNT(expected); i++)
        ck_assert_str_eq(nf_columns_feature_name(columns, i, text), expected[i]);
    nf_columns_free(columns);
    table->names = NULL;
    columns = learned(table, "4:angle");
    ck_assert_str_eq(nf_columns_feature_name(columns, 5, text), "x[4] cos");
    nf_columns_free(columns);
}
END_TEST

/* ---- Plain columns ----------------------------------------------------------------------------------------------- */

START_TEST(plain_columns_change_nothing)
{
    double values[] = {0.1, -0.0, NAN, INFINITY, 1e300, 3}, features[6], log_weight[3];
    nf_table table = {.rows = 3, .columns = 2, .values = values}, back;
    nf_columns *columns = nf_columns_plain(2, (const char *[]){"a", "b"}, &error);
    ck_assert_ptr_nonnull(columns);
    ck_assert(!nf_columns_noisy(columns));
    ASSERT_OK(nf_columns_check(columns, &table, "t", &error));
    ck_assert_uint_eq(nf_columns_outside(columns, &table, NULL), 0);
    ASSERT_OK(nf_columns_encode(columns, &table, 1, 0, features, log_weight, &error));
    ck_assert_mem_eq(features, values, sizeof values);
    for (size_t r = 0; r < 3; r++) ck_assert_double_eq(log_weight[r], 0);
    ASSERT_OK(nf_columns_decode(columns, features, 3, &back, &error));
    ck_assert_mem_eq(back.values, values, sizeof values);
    ck_assert_str_eq(back.names[1], "b");
    nf_table_free(&back);
    char *text = nf_columns_text(columns, &error);
    nf_columns *again = nf_columns_parse(text, &error);
    ASSERT_OK(nf_columns_encode(again, &table, 1, 0, features, log_weight, &error));
    ck_assert_mem_eq(features, values, sizeof values);
    ad_free(text);
    nf_columns_free(again);
    nf_columns_free(columns);
}
END_TEST

Suite *column_maps_suite(void)
{
    Suite *suite = suite_create("column_maps");
    TCase *tcase = tcase_create("column_maps");
    tcase_add_test(tcase, decoding_undoes_encoding);
    tcase_add_test(tcase, columns_without_features_come_back);
    tcase_add_test(tcase, samples_are_inside_the_support);
    tcase_add_test(tcase, nan_stays_nan);
    tcase_add_test(tcase, an_offset_keeps_digits);
    tcase_add_test(tcase, cells_make_normals);
    tcase_add_test(tcase, noise_is_of_seed_draw_and_row);
    tcase_add_test(tcase, features_have_names);
    tcase_add_test(tcase, plain_columns_change_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}
