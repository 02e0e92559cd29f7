/* Rows in the base distribution and back, and those that lie where few do. */
#include "tools/mixed.h"

enum { ROWS = 400 };

static void read_numbers(const char *name, nf_table *table)
{
    ad_error error;
    ad_status status = nf_table_read(scratch_path(name).text, table, &error);
    ck_assert_msg(status == AD_OK, "%s", error.message);
}

/* Of a normal that is scaled by twice the standard deviation, and shifted, z is known, and log p with it. */
START_TEST(to_the_base)
{
    static char text[1 << 14];
    size_t filled = (size_t)snprintf(text, sizeof text, "a,b\n");
    for (int r = 0; r < ROWS; r++)
        filled += (size_t)snprintf(text + filled, sizeof text - filled, "%.9f,%.9f\n", 3 + 2 * sin(7.7 * r),
                                   cos(3.1 * r) - 1);
    write_text("data.csv", text);
    SUCCEED("fit", "data.csv", "--columns", "a:real,b:real", "--flow", "standardize", "--val-fraction", "0", "--epochs",
            "1", "--dtype", "float64", "-o", "m.st");
    json_t *result = SUCCEED_JSON("transform", "m.st", "data.csv", "-o", "z.csv");
    ck_assert_double_eq(number_in(result, "rows"), ROWS);
    ck_assert_double_eq(number_in(result, "columns"), 2);
    json_decref(result);
    SUCCEED("logprob", "m.st", "data.csv", "-o", "l.npy");
    nf_table data, z, log_prob, back;
    read_numbers("data.csv", &data);
    read_numbers("z.csv", &z);
    read_numbers("l.npy", &log_prob);
    ck_assert_str_eq(z.names[0], "z1");
    ck_assert_str_eq(z.names[1], "z2");
    double mean[2] = {0}, sd[2] = {0};
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < 2; c++) mean[c] += data.values[2 * r + c] / ROWS;
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < 2; c++) sd[c] += pow(data.values[2 * r + c] - mean[c], 2) / ROWS;
    for (size_t r = 0; r < ROWS; r++) {
        double expected = -log(2 * acos(-1));
        for (size_t c = 0; c < 2; c++) {
            double standard = (data.values[2 * r + c] - mean[c]) / (2 * sqrt(sd[c]));
            ck_assert_double_eq_tol(z.values[2 * r + c], standard, 1e-12);
            expected -= 0.5 * (standard * standard + log(4 * sd[c]));
        }
        ck_assert_double_eq_tol(log_prob.values[r], expected, 1e-12);
    }
    SUCCEED("transform", "m.st", "z.csv", "--inverse", "-o", "back.csv");
    read_numbers("back.csv", &back);
    ck_assert_str_eq(back.names[0], "a");
    for (size_t i = 0; i < 2 * ROWS; i++) ck_assert_double_eq_tol(back.values[i], data.values[i], 1e-12);
    nf_table_free(&back);
    nf_table_free(&log_prob);
    nf_table_free(&z);
    nf_table_free(&data);
    write_text("z.csv", "z2\n0\n");
    ck_assert_int_eq(RUN("transform", "m.st", "z.csv", "--inverse", "-o", "back.csv"), 1);
    assert_contains(complaint, "missing: 'z1'");
    write_text("z.csv", "0,x\n");
    ck_assert_int_eq(RUN("transform", "m.st", "z.csv", "--inverse", "--header", "no", "-o", "back.csv"), 1);
    assert_contains(complaint, "points of the base are numbers");
}
END_TEST

/* Labels, whole numbers and what is missing come back as they were. */
START_TEST(columns_of_kinds)
{
    mixed_write("mixed.csv", 1, ROWS);
    SUCCEED("fit", "mixed.csv", "--columns", "phase:angle", "--flow", "(rqs(8)-flip)*2", "--epochs", "3", "--dtype",
            "float64", "-o", "m.st");
    SUCCEED("transform", "m.st", "mixed.csv", "--seed", "4", "-o", "z.npy");
    SUCCEED("transform", "m.st", "z.npy", "--inverse", "-o", "back.csv");
    nf_table data, back;
    ad_error error;
    const nf_read_options options = {.labels = true, .missing = true};
    ck_assert_int_eq(nf_table_read_with(scratch_path("mixed.csv").text, &options, &data, &error), AD_OK);
    ck_assert_int_eq(nf_table_read_with(scratch_path("back.csv").text, &options, &back, &error), AD_OK);
    ck_assert_uint_eq(back.columns, MIXED_COLUMNS);
    for (size_t i = 0; i < ROWS * MIXED_COLUMNS; i++) {
        double expected = data.values[i], got = back.values[i];
        bool exact = i % MIXED_COLUMNS == AGE || i % MIXED_COLUMNS == VISITS || i % MIXED_COLUMNS == CITY;
        ck_assert_msg(isnan(expected) ? isnan(got) : fabs(got - expected) <= (exact ? 0 : 1e-6 * (1 + fabs(expected))),
                      "row %zu, column %zu: %g, not %g", i / MIXED_COLUMNS, i % MIXED_COLUMNS, got, expected);
    }
    nf_table_free(&back);
    nf_table_free(&data);
}
END_TEST

/* Percentiles are among the rows of the fit, which these are. */
START_TEST(the_lowest_rows)
{
    static char text[1 << 14];
    size_t filled = 0;
    for (int r = 0; r < ROWS; r++)
        filled += (size_t)snprintf(text + filled, sizeof text - filled, "%.9f,%.9f\n", 5 * sin(7.7 * r) * sin(3.3 * r),
                                   cos(3.1 * r));
    write_text("data.csv", text);
    SUCCEED("fit", "data.csv", "--flow", "standardize", "--epochs", "1", "--val-fraction", "0", "-o", "m.st");
    json_t *score = SUCCEED_JSON("logprob", "m.st", "data.csv", "--outliers", "400"), *row;
    json_t *lowest = member(score, "outliers");
    ck_assert_uint_eq(json_array_size(lowest), ROWS);
    double last = -INFINITY;
    size_t i;
    json_array_foreach(lowest, i, row)
    {
        double log_prob = number_in(row, "log_prob");
        ck_assert_double_ge(log_prob, last);
        last = log_prob;
        ck_assert_double_eq_tol(number_in(row, "percentile"), 100.0 * (double)i / (ROWS - 1), 2);
    }
    json_decref(score);
    write_text("far.csv", "0,0\n1,0\n1000,0\n0,0.5\n");
    score = SUCCEED_JSON("logprob", "m.st", "far.csv", "--outliers", "2");
    lowest = member(score, "outliers");
    ck_assert_uint_eq(json_array_size(lowest), 2);
    ck_assert_double_eq(number_in(json_array_get(lowest, 0), "row"), 3);
    ck_assert_double_eq(number_in(json_array_get(lowest, 0), "percentile"), 0);
    ck_assert_double_gt(number_in(json_array_get(lowest, 1), "percentile"), 10);
    json_decref(score);
    SUCCEED("logprob", "m.st", "far.csv");
    assert_contains(output, "below all");
    /* A model that doesn't tell of its rows has no percentiles. */
    score = SUCCEED_JSON("logprob", golden_path("version_0.1/maf.safetensors").text,
                         golden_path("version_0.1/maf.csv").text);
    ck_assert_uint_eq(json_array_size(member(score, "outliers")), 5);
    ck_assert(json_is_null(member(json_array_get(member(score, "outliers"), 0), "percentile")));
    json_decref(score);
}
END_TEST

Suite *transform_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("transform", &tests);
    tcase_add_test(tests, to_the_base);
    tcase_add_test(tests, columns_of_kinds);
    tcase_add_test(tests, the_lowest_rows);
    return suite;
}
