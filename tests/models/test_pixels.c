/* Columns that are pixels of images: one kind for all, uniform noise, probabilities. */
#include "models/column_tools.h"

enum { ROWS = 3, PIXELS = 4 };

static nf_columns *learned_pixels(double *values, size_t rows)
{
    const nf_table table = {.rows = rows, .columns = PIXELS, .values = values, .dtype = AD_F64};
    return nf_columns_learn(&table, NULL, &(nf_columns_options){.pixels = true}, &error);
}

/* Constant ones, and ones that others are twice of, too: the noise is theirs alone. */
START_TEST(all_are_features)
{
    double values[ROWS * PIXELS] = {0, 1, 2, 7, 0, 0, 0, 7, 0, 2, 4, 7}, features[ROWS * PIXELS], weight[ROWS];
    nf_columns *columns = learned_pixels(values, ROWS);
    ck_assert_msg(columns != NULL, "%s", error.message);
    ck_assert_uint_eq(nf_columns_features(columns), PIXELS);
    ck_assert(nf_columns_noisy(columns));
    for (size_t c = 0; c < PIXELS; c++) {
        const nf_column *column = nf_columns_column(columns, c);
        ck_assert_int_eq(column->kind, NF_COLUMN_INTEGER);
        ck_assert(column->low == 0 && column->high == 7 && column->least == 0 && column->most == 7);
    }
    nf_table table = {.rows = ROWS, .columns = PIXELS, .values = values, .dtype = AD_F64}, back;
    ASSERT_OK(nf_columns_encode(columns, &table, 1, 0, features, weight, &error));
    for (size_t r = 0; r < ROWS; r++) {
        double expected = 0;
        for (size_t c = 0; c < PIXELS; c++) {
            const double t = 8 / (1 + exp(-features[r * PIXELS + c])); /* x + u */
            ck_assert_double_eq(floor(t), values[r * PIXELS + c]);
            expected += log(8 / (t * (8 - t)));
        }
        ck_assert_double_eq_tol(weight[r], expected, 1e-10);
    }
    ASSERT_OK(nf_columns_decode(columns, features, ROWS, &back, &error));
    ck_assert_mem_eq(back.values, values, sizeof values);
    nf_table_free(&back);
    nf_columns_free(columns);
}
END_TEST

/* Under a flow of which each pixel is uniform, a row has probability 1 / 8^4: log p of the logistic, and no noise left.
 */
START_TEST(probability)
{
    double values[ROWS * PIXELS] = {0, 1, 2, 7, 0, 0, 0, 7, 0, 2, 4, 7}, log_prob[ROWS];
    nf_columns *columns = learned_pixels(values, ROWS);
    nf_flow *flow = nf_flow_parse("logistic:loc", PIXELS, 0, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    const nf_table table = {.rows = ROWS, .columns = PIXELS, .values = values, .dtype = AD_F64};
    ASSERT_OK(nf_columns_log_prob(columns, flow, NULL, &table, 2, 1, log_prob, NULL, &error));
    for (size_t r = 0; r < ROWS; r++) ck_assert_double_eq_tol(log_prob[r], -PIXELS * log(8), 1e-9);
    nf_flow_free(flow);
    nf_columns_free(columns);
}
END_TEST

START_TEST(kept_in_a_file)
{
    double values[ROWS * PIXELS] = {0, 1, 2, 7, 0, 0, 0, 7, 0, 2, 4, 7}, features[2][ROWS * PIXELS];
    const nf_table table = {.rows = ROWS, .columns = PIXELS, .values = values, .dtype = AD_F64};
    nf_columns *columns = learned_pixels(values, ROWS);
    char *text = nf_columns_text(columns, &error);
    nf_columns *same = nf_columns_parse(text, &error);
    ck_assert_msg(same != NULL, "%s", error.message);
    ASSERT_OK(nf_columns_encode(columns, &table, 1, 3, features[0], NULL, &error));
    ASSERT_OK(nf_columns_encode(same, &table, 1, 3, features[1], NULL, &error));
    ck_assert_mem_eq(features[0], features[1], sizeof features[0]);
    ad_free(text);
    nf_columns_free(same);
    nf_columns_free(columns);
}
END_TEST

/* Others have no noise; below 0 the range begins with the least. */
START_TEST(other_pixels)
{
    double real[PIXELS * 2] = {0.5, 1, 0, 0, 0.25, 1, 0, 0}, features[PIXELS * 2];
    double negative[PIXELS * 2] = {-2, 1, 3, 0, 0, 0, 0, 0};
    const nf_table table = {.rows = 2, .columns = PIXELS, .values = real, .dtype = AD_F64};
    nf_columns *columns = learned_pixels(real, 2);
    ck_assert(!nf_columns_noisy(columns));
    ASSERT_OK(nf_columns_encode(columns, &table, 1, 0, features, NULL, &error));
    ck_assert_mem_eq(features, real, sizeof real);
    nf_columns_free(columns);
    for (size_t i = 0; i < 2 * PIXELS; i++) real[i] += 5;
    columns = learned_pixels(real, 2);
    ck_assert(nf_columns_column(columns, 0)->least == 5 && nf_columns_column(columns, 0)->most == 6);
    nf_columns_free(columns);
    columns = learned_pixels(negative, 2);
    ck_assert(nf_columns_column(columns, 3)->low == -2 && nf_columns_column(columns, 3)->high == 3);
    nf_columns_free(columns);
}
END_TEST

/* One image tells what pixels are. */
START_TEST(one_image)
{
    double values[PIXELS] = {3, 1, 7, 0};
    nf_columns *columns = learned_pixels(values, 1);
    ck_assert_msg(columns != NULL, "%s", error.message);
    ck_assert_int_eq(nf_columns_column(columns, 3)->kind, NF_COLUMN_INTEGER);
    ck_assert(nf_columns_column(columns, 3)->low == 0 && nf_columns_column(columns, 3)->high == 7);
    nf_columns_free(columns);
    ck_assert_ptr_null(learned_pixels(values, 0));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "from one image or more, but there are 0");
}
END_TEST

START_TEST(missing_pixels)
{
    double values[PIXELS * 2] = {1, 2, 3, 4, 5, NAN, 7, 8};
    ck_assert_ptr_null(learned_pixels(values, 2));
    ASSERT_FAILS(error.status, AD_ERROR_FORMAT, "row 2, pixel 2: nan is no value");
    values[5] = INFINITY;
    ck_assert_ptr_null(learned_pixels(values, 2));
    ASSERT_FAILS(error.status, AD_ERROR_FORMAT, "row 2, pixel 2: inf is no value");
}
END_TEST

Suite *pixels_suite(void)
{
    Suite *suite = suite_create("pixels");
    TCase *all = tcase_create("all");
    tcase_add_test(all, all_are_features);
    tcase_add_test(all, probability);
    tcase_add_test(all, kept_in_a_file);
    tcase_add_test(all, other_pixels);
    tcase_add_test(all, one_image);
    tcase_add_test(all, missing_pixels);
    suite_add_tcase(suite, all);
    return suite;
}
