/* Mistakes in the data and options of a fit, and when memory runs out. */
#include "models/training_tools.h"

#include <malloc.h>

START_TEST(scores_that_are_none)
{
    double *x = normals(2 * ROWS, 1, 9), nll;
    nf_flow *flow = new_flow("loc", 2, AD_F64);
    x[2 * 6 + 1] = NAN;
    ASSERT_FAILS(nf_nll(flow, x, NULL, ROWS, &nll, NULL, NULL, &error), AD_ERROR_NUMERIC, "row 7 is NaN");
    nf_flow_free(flow);
    free(x);
}
END_TEST

START_TEST(columns_that_float32_blurs)
{
    static const struct {
        double offset, scale;
        bool blurred;
    } cases[] = {{1e9, 10, true},  {1e9, 1e5, true},  {1e9, 1e6, false},
                 {0, 1e-44, true}, {0, 1e-30, false}, {1e9, 0, false}};
    double *noise = normals(2 * ROWS, 1, 9), *x = normals(2 * ROWS, 1, 9);
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t r = 0; r < ROWS; r++) x[2 * r + 1] = cases[i].offset + cases[i].scale * noise[2 * r + 1];
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            nf_flow *flow = new_flow("loc-standardize", 2, dtype);
            ad_status status = nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 1}, NULL, &error);
            if (cases[i].blurred && dtype == AD_F32)
                ASSERT_FAILS(status, AD_ERROR_ARGUMENT, "column 2 goes from");
            else
                ASSERT_OK(status);
            nf_flow_free(flow);
        }
    }
    free(noise);
    free(x);
}
END_TEST

START_TEST(data_are_checked)
{
    double *x = normals(2 * ROWS, 1, 9);
    const double bad[] = {NAN, -NAN, INFINITY, -INFINITY, 1e39};
    for (size_t i = 0; i < COUNT(bad); i++) {
        x[2 * 6 + 1] = bad[i];
        nf_flow *flow = new_flow("loc-standardize", 2, AD_F32);
        ASSERT_FAILS(nf_fit(flow, x, ROWS, NULL, NULL, &error), AD_ERROR_ARGUMENT, "row 7, column 2");
        if (isnan(bad[i])) ck_assert_ptr_nonnull(strstr(error.message, "not finite: nan"));
        nf_flow_free(flow);
    }
    nf_flow *flow = new_flow("loc-standardize", 2, AD_F64);
    ASSERT_OK(nf_fit(flow, x, ROWS, &(nf_fit_options){.epochs = 1}, NULL, &error)); /* 1e39 is a float64 */
    nf_flow_free(flow);
    free(x);
}
END_TEST

START_TEST(options_are_checked)
{
    static const struct {
        nf_fit_options o;
        const char *name;
    } cases[] = {
        {{.optimizer.learning_rate = -1}, "learning rate"},
        {{.optimizer.name = "adam(beta2=1)"}, "beta2"},
        {{.val_fraction = 1}, "validation fraction"},
        {{.val_fraction = NAN}, "validation fraction"},
        {{.optimizer.clip = NAN}, "clip"},
        {{.optimizer.name = "77"}, "unknown optimizer"},
        {{.ema = 1}, "ema"},
        {{.ema = -0.1}, "ema"},
        {{.ema = NAN}, "ema"},
        {{.schedule = "sine"}, "unknown schedule"},
    };
    double *x = normals(2 * ROWS, 1, 10);
    nf_flow *flow = new_flow("loc", 2, AD_F32);
    for (size_t i = 0; i < COUNT(cases); i++) {
        ASSERT_FAILS(nf_fit(flow, x, ROWS, &cases[i].o, NULL, &error), AD_ERROR_ARGUMENT, cases[i].name);
        ck_assert_int_eq(nf_fit(flow, x, ROWS, &cases[i].o, NULL, NULL), AD_ERROR_ARGUMENT);
    }
    ASSERT_FAILS(nf_fit(flow, x, 0, NULL, NULL, &error), AD_ERROR_ARGUMENT, "rows");
    for (size_t j = 0; j < 2; j++) ck_assert_double_eq(parameter_at(flow, j), 0);
    nf_flow_free(flow);
    free(x);
}
END_TEST

static size_t live, peak;

static void *allocate_counted(size_t bytes)
{
    void *block = malloc(bytes);
    live += malloc_usable_size(block);
    if (live > peak) peak = live;
    return block;
}

static void release_counted(void *block)
{
    live -= malloc_usable_size(block);
    free(block);
}

static void *reallocate_counted(void *old, size_t bytes)
{
    live -= malloc_usable_size(old);
    void *block = realloc(old, bytes);
    live += malloc_usable_size(block);
    if (live > peak) peak = live;
    return block;
}

/* Bytes at most at once, in a fit of one epoch on so many rows. */
static size_t peak_of_fit(size_t rows, size_t batch)
{
    double *x = normals(2 * rows, 1, 11);
    ad_set_allocator(&(ad_allocator){allocate_counted, reallocate_counted, release_counted});
    live = peak = 0;
    nf_flow *flow = new_flow("maf(32,32)-flip", 2, AD_F32);
    nf_fit_options o = {.epochs = 1, .batch = batch, .val_fraction = -1};
    ASSERT_OK(nf_fit(flow, x, rows, &o, NULL, &error));
    nf_flow_free(flow);
    ck_assert_uint_eq(live, 0);
    free(x);
    return peak;
}

START_TEST(memory_of_a_step_does_not_grow_with_the_batch)
{
    enum { MANY = 200000 };
    size_t small = peak_of_fit(MANY, 100), large = peak_of_fit(MANY, MANY), fewer = peak_of_fit(MANY / 2, MANY / 2);
    size_t data = MANY * 2 * sizeof(float); /* one hidden layer's activations alone would be 16 times this */
    ck_assert_msg(large < small + data / 8, "%zu bytes with batches of 100, %zu with one of %d", small, large, MANY);
    ck_assert_msg(large - fewer < 4 * data, "%zu bytes more for %zu more of data", large - fewer, data / 2);
}
END_TEST

static void same_rows(void *context, size_t epoch, const uint32_t *row, size_t rows, double *x)
{
    (void)epoch;
    for (size_t i = 0; i < rows; i++) memcpy(x + 2 * i, (double *)context + 2 * row[i], 2 * sizeof *x);
}

START_TEST(memory_runs_out)
{
    double *x = normals(2 * 20, 1, 12), weight[20];
    for (int i = 0; i < 20; i++) weight[i] = i;
    nf_fit_options o[] = {{.epochs = 2},
                          {.epochs = 2,
                           .row_weights = weight,
                           .val_x = x,
                           .val_rows = 20,
                           .val_weights = weight,
                           .redraw = same_rows,
                           .context = x}};
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(SIZE_MAX);
        nf_flow *flow = new_flow(_i ? "maf(3)-batchnorm-standardize" : "maf(3)-scale-standardize", 2, AD_F32);
        memory_limit(allowed);
        ad_status status = nf_fit(flow, x, 20, &o[_i], NULL, &error);
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu: %d: %s", allowed, status,
                      error.message);
        nf_flow_free(flow);
    }
    free(x);
}
END_TEST

Suite *fit_mistakes_suite(void);

Suite *fit_mistakes_suite(void)
{
    Suite *suite = suite_create("fit_mistakes");
    TCase *tests = tcase_create("fit mistakes");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, scores_that_are_none);
    tcase_add_test(tests, columns_that_float32_blurs);
    tcase_add_test(tests, data_are_checked);
    tcase_add_test(tests, options_are_checked);
    tcase_add_test(tests, memory_of_a_step_does_not_grow_with_the_batch);
    tcase_add_loop_test(tests, memory_runs_out, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
