/* Inputs whose rows come from a source. */
#include "autodiff/engine.h"

#include <stdatomic.h>

enum { MOST_ROWS = 3001, SIZE = 3 };

static ad_error error;

/* Rows of an array, which are counted, and of which one may not be there. */
struct table {
    ad_dtype dtype;
    const void *data;
    size_t missing; /* SIZE_MAX: none */
    atomic_size_t read;
};

static ad_status read_table_rows(void *context, size_t first, const uint32_t *index, size_t rows, void *to,
                                 size_t stride, ad_error *why)
{
    struct table *table = context;
    const size_t bytes = ad_dtype_size(table->dtype);
    atomic_fetch_add(&table->read, rows);
    for (size_t r = 0; r < rows; r++) {
        const size_t row = index ? index[r] : first + r;
        if (row == table->missing) return ad_error_set(why, AD_ERROR_IO, "row %zu is lost", row);
        for (size_t i = 0; i < SIZE; i++)
            memcpy((char *)to + (i * stride + r) * bytes, (const char *)table->data + (row * SIZE + i) * bytes, bytes);
    }
    return AD_OK;
}

/* Two passes over x, a sum over rows and a value for each,. */
struct recorded {
    ad_tape *tape;
    ad_var x, out[2];
};

static struct recorded record(void)
{
    struct recorded r = {.tape = ad_tape_new()};
    r.x = ad_input(r.tape, "x", AD_SHAPE(SIZE));
    ad_var mean = ad_div(ad_sum_rows(r.x), ad_row_count(r.tape));
    r.out[0] = ad_sum_rows(ad_exp(ad_sub(r.x, mean)));
    r.out[1] = ad_mul(r.x, ad_sub(r.x, mean));
    return r;
}

static size_t index_of(size_t r, size_t rows)
{
    return r * 7919 % rows;
}

START_TEST(source_is_as_an_array)
{
    static const size_t counts[] = {1, 15, 16, 17, 255, 1000, MOST_ROWS};
    static double numbers[2][MOST_ROWS * SIZE], result[2][2 + MOST_ROWS][SIZE];
    static uint32_t index[MOST_ROWS];
    const ad_dtype dtype = _i % 2 ? AD_F64 : AD_F32;
    const size_t rows = counts[_i / 2];
    for (size_t i = 0; i < rows * SIZE; i++) {
        const double value = ad_random_normal(1, 2, i);
        ad_from_double(dtype, &value, (char *)numbers[0] + i * ad_dtype_size(dtype), 1);
    }
    for (size_t r = 0; r < rows; r++) index[r] = (uint32_t)index_of(r, rows);
    for (int threads = 1; threads <= 3; threads += 2)
        for (int indexed = 0; indexed < 2; indexed++) {
            struct recorded r = record();
            ad_pool *pool = ad_pool_new(threads, &error);
            ad_plan *plan = ad_plan_new(r.out, 2, &(ad_plan_options){.dtype = dtype}, &error);
            ck_assert_msg(pool && plan, "%s", error.message);
            struct table table = {.dtype = dtype, .data = numbers[0], .missing = SIZE_MAX};
            const ad_source source = {&table, read_table_rows};
            for (int from_source = 0; from_source < 2; from_source++) {
                memset(result[from_source], 0, sizeof *result);
                ad_plan_set_output(plan, 0, result[from_source][0]);
                ad_plan_set_output(plan, 1, result[from_source][2]);
                ad_plan_set_input(plan, r.x, numbers[0]);
                if (from_source) ad_plan_set_source(plan, r.x, &source);
                const ad_run run = {.rows = rows, .index = indexed ? index : NULL, .pool = pool};
                ck_assert_msg(ad_plan_run(plan, &run, &error) == AD_OK, "%s", error.message);
            }
            ck_assert_mem_eq(result[0], result[1], sizeof *result);
            ck_assert_uint_eq(table.read, 2 * rows);
            ad_plan_set_input(plan, r.x, numbers[0]); /* an array again */
            ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = rows, .pool = pool}, &error), AD_OK);
            ck_assert_uint_eq(table.read, 2 * rows);
            ad_plan_free(plan);
            ad_pool_free(pool);
            ad_tape_free(r.tape);
        }
}
END_TEST

START_TEST(source_fails)
{
    static double numbers[MOST_ROWS * SIZE], sum[SIZE];
    struct recorded r = record();
    ad_pool *pool = ad_pool_new(3, &error);
    ad_plan *plan = ad_plan_new(r.out, 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    struct table table = {.dtype = AD_F64, .data = numbers, .missing = 1234};
    const ad_source source = {&table, read_table_rows};
    ad_plan_set_source(plan, r.x, &source);
    ad_plan_set_output(plan, 0, sum);
    for (int find_nan = 0; find_nan < 2; find_nan++) {
        const ad_run run = {.rows = MOST_ROWS, .pool = pool, .find_nan = find_nan};
        ck_assert_int_eq(ad_plan_run(plan, &run, &error), AD_ERROR_IO);
        ck_assert_str_eq(error.message, "row 1234 is lost");
    }
    table.missing = SIZE_MAX;
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = MOST_ROWS, .pool = pool}, &error), AD_OK);
    numbers[SIZE * 70] = NAN;
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = MOST_ROWS, .find_nan = true}, &error), AD_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(error.message, "row 70"));
    ad_plan_set_source(plan, r.x, NULL);
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = MOST_ROWS}, &error), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "'x' is not bound"));
    ad_plan_free(plan);
    ad_pool_free(pool);
    ad_tape_free(r.tape);
}
END_TEST

START_TEST(source_of_what_has_no_rows)
{
    static const char *const message[] = {"'a' is a parameter", "'x' has no function to read"};
    double out[SIZE];
    ad_tape *tape = ad_tape_new();
    ad_var x = ad_input(tape, "x", AD_SHAPE(SIZE)), a = ad_param(tape, "a", AD_SHAPE(SIZE)), y = ad_mul(x, a);
    ad_plan *plan = ad_plan_new(&y, 1, NULL, &error);
    const ad_source source = {NULL, _i ? NULL : read_table_rows};
    ad_plan_set_source(plan, _i ? x : a, &source);
    ad_plan_set_output(plan, 0, out);
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 1}, &error), AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, message[_i]));
    ad_plan_free(plan);
    ad_tape_free(tape);
}
END_TEST

Suite *source_suite(void)
{
    Suite *suite = suite_create("source");
    TCase *source = tcase_create("source");
    tcase_add_loop_test(source, source_is_as_an_array, 0, 14);
    tcase_add_test(source, source_fails);
    tcase_add_loop_test(source, source_of_what_has_no_rows, 0, 2);
    suite_add_tcase(suite, source);
    return suite;
}
