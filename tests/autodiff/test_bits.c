/* The bits of results: the same on any number of threads, and of a row alone as of one among many. */
#include "autodiff/engine.h"

/* ---- Bits ---------------------------------------------------------------------------------------------------- */

enum { D = 5, HIDDEN = 20 };

/* A small network, x (D) to y (D), with leaves x, W1, W2, b. */
static ad_var network(problem *p)
{
    ad_var x = bind_random(p, true, AD_SHAPE(D), -2, 2), w1 = bind_random(p, false, AD_SHAPE(HIDDEN, D), -1, 1);
    ad_var w2 = bind_random(p, false, AD_SHAPE(D, HIDDEN), -1, 1), b = bind_random(p, false, AD_SHAPE(HIDDEN), -1, 1);
    ad_tape_enter(p->tape, "network");
    ad_var h = ad_tanh(ad_add(ad_matmul(w1, x), b)), s = ad_matmul(w2, ad_sin(ad_mul_scalar(h, 30)));
    ad_var y = ad_add(ad_mul(x, ad_exp(s)), ad_normal(p->tape, AD_SHAPE(D), 3));
    ad_tape_leave(p->tape);
    return y;
}

/* Its y and what is made of it: per-row values, a sum over rows and gradients of that. */
enum { RESULTS = 7 };
static void results_of(problem *p, ad_var result[RESULTS])
{
    result[0] = network(p);
    result[1] = ad_logsumexp(result[0]);
    result[2] = ad_sum_rows(ad_sum(ad_log1p(ad_square(result[0]))));
    ad_grad(result[2], p->leaf, 4, result + 3);
}

START_TEST(bits_do_not_depend_on_threads)
{
    static const size_t rows[] = {1, 15, 16, 17, 63, 64, 65, 257, 1000, 5000};
    static const int threads[] = {1, 2, 3, 8};
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++)
        for (size_t i = 0; i < COUNT(rows); i++) {
            problem p = problem_new(rows[i], 1);
            p.tile_rows = i % 2 ? 0 : 32;
            p.run.seed = 5;
            ad_var y[RESULTS];
            results_of(&p, y);
            double *first[RESULTS], *value[RESULTS];
            evaluate(&p, y, RESULTS, dtype, first);
            for (size_t t = 0; t < COUNT(threads); t++) {
                p.run.pool = ad_pool_new(threads[t], NULL);
                ck_assert_int_eq(ad_pool_threads(p.run.pool), threads[t]);
                evaluate(&p, y, RESULTS, dtype, value);
                for (int k = 0; k < RESULTS; k++)
                    ck_assert_msg(memcmp(value[k], first[k], extent_of(&p, y[k]) * sizeof(double)) == 0,
                                  "%s, %zu rows, %d threads: result %d differs", ad_dtype_name(dtype), rows[i],
                                  threads[t], k);
                ad_pool_free(p.run.pool);
            }
            problem_free(&p);
        }
}
END_TEST

/* Rows of a batch, alone and in batches of other sizes: y, and the gradient with respect to x. */
START_TEST(bits_depend_on_a_row_alone)
{
    enum { ROWS = 1000 };
    static const size_t batches[] = {1, 2, 15, 16, 17, 31, 33, 48, 63, 64, 65, 80, 96, 112, 257, 999};
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        problem p = problem_new(ROWS, 2);
        p.tile_rows = 0;
        ad_var y[RESULTS];
        results_of(&p, y);
        const double *x = p.value[0];
        const ad_var wanted[] = {y[0], y[1], y[3]};
        double *all[3], *some[3];
        evaluate(&p, wanted, 3, dtype, all);
        for (size_t b = 0; b < COUNT(batches); b++)
            for (size_t first = b; first + batches[b] <= ROWS; first += 377) {
                p.value[0] = x + first * D;
                p.run.rows = batches[b];
                p.run.first_row = first;
                evaluate(&p, wanted, 3, dtype, some);
                for (int k = 0; k < 3; k++)
                    ck_assert_msg(memcmp(some[k], all[k] + first * size_of(wanted[k]),
                                         batches[b] * size_of(wanted[k]) * sizeof(double)) == 0,
                                  "%s: value %d of rows %zu … %zu differs", ad_dtype_name(dtype), k, first,
                                  first + batches[b] - 1);
            }
        problem_free(&p);
    }
}
END_TEST

/* Products of many widths, a row alone against a batch. */
START_TEST(bits_of_products)
{
    static const size_t widths[] = {1, 2, 3, 5, 8, 15, 16, 17, 33, 64, 70, 130};
    enum { N = COUNT(widths), ROWS = 100 };
    for (size_t i = 0; i < N * N; i++) {
        const size_t m = widths[i / N], k = widths[i % N];
        problem p = problem_new(ROWS, i);
        p.tile_rows = 256;
        ad_var w = bind_random(&p, false, AD_SHAPE(m, k), -1, 1), x = bind_random(&p, true, AD_SHAPE(k), -1, 1);
        ad_var y = ad_matmul(w, x);
        const double *rows = p.value[1];
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            p.run.rows = ROWS;
            p.value[1] = rows;
            const double *all = value_of(&p, y, dtype);
            static const size_t batches[] = {1, 20, 40, 70, 85};
            for (size_t b = 0; b < COUNT(batches); b++) {
                size_t first = 7 + b;
                p.run.rows = batches[b];
                p.value[1] = rows + first * k;
                ck_assert_msg(memcmp(value_of(&p, y, dtype), all + first * m, batches[b] * m * sizeof(double)) == 0,
                              "(%zu,%zu), %s: %zu rows differ from the same in a batch", m, k, ad_dtype_name(dtype),
                              batches[b]);
            }
        }
        problem_free(&p);
    }
}
END_TEST

/* A mini-batch reads the rows that the index names. */
START_TEST(index_of_rows)
{
    enum { ALL = 300, ROWS = 101 };
    problem p = problem_new(ALL, 3);
    ad_var y[RESULTS];
    results_of(&p, y);
    uint32_t index[ROWS];
    double *gathered = problem_array(&p, ROWS * D), *direct[RESULTS], *indexed[RESULTS];
    const double *x = p.value[0];
    for (size_t r = 0; r < ROWS; r++) {
        index[r] = (uint32_t)draw_below(&p, ALL);
        memcpy(gathered + r * D, x + index[r] * D, D * sizeof *gathered);
    }
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        p.run = (ad_run){.rows = ROWS};
        p.value[0] = gathered;
        evaluate(&p, y, RESULTS, dtype, direct);
        p.run.index = index;
        p.value[0] = x;
        evaluate(&p, y, RESULTS, dtype, indexed);
        for (int i = 0; i < RESULTS; i++) ck_assert_mem_eq(indexed[i], direct[i], extent_of(&p, y[i]) * sizeof(double));
    }
    problem_free(&p);
}
END_TEST

/* More tiles than accumulators, in sums that are exact: of values, and of products with few columns and many. */
START_TEST(sums_over_many_tiles)
{
    static const size_t rows[] = {16 * 16, 16 * 17, 16 * 31 + 5, 1000};
    static const size_t widths[] = {3, 20};
    ad_pool *pool = ad_pool_new(3, NULL);
    for (size_t i = 0; i < COUNT(rows) * COUNT(widths); i++) {
        const size_t n = widths[i % COUNT(widths)];
        problem p = problem_new(rows[i / COUNT(widths)], i);
        ad_var x = bind_random(&p, true, AD_SHAPE(n), -3, 3), w = bind_random(&p, false, AD_SHAPE(n, n), -1, 1);
        double *value = (double *)(uintptr_t)p.value[0], *sum[2], *expected[2];
        for (size_t k = 0; k < p.run.rows * n; k++) value[k] = round(value[k]);
        for (int k = 0; k < 2; k++) expected[k] = problem_array(&p, n * n);
        for (size_t r = 0; r < p.run.rows; r++)
            for (size_t k = 0; k < n * n; k++) {
                expected[0][k / n] += k % n == 0 ? value[r * n + k / n] : 0;
                expected[1][k] += value[r * n + k / n] * value[r * n + k % n];
            }
        ad_var y[] = {ad_sum_rows(x), ad_grad1(ad_sum(ad_mul(x, ad_matmul(w, x))), w)};
        for (int run = 0; run < 4; run++) {
            p.run.pool = run & 1 ? pool : NULL;
            evaluate(&p, y, 2, run & 2 ? AD_F64 : AD_F32, sum);
            ck_assert_mem_eq(sum[0], expected[0], n * sizeof(double));
            ck_assert_mem_eq(sum[1], expected[1], n * n * sizeof(double));
        }
        problem_free(&p);
    }
    ad_pool_free(pool);
}
END_TEST

/* Shared values large enough for threads, some of which need others. */
START_TEST(shared_values_on_threads)
{
    problem p = problem_new(1, 0);
    ad_var w = bind_random(&p, false, AD_SHAPE(150, 150), -0.1, 0.1), v = bind_random(&p, false, AD_SHAPE(150), -1, 1);
    ad_var a = ad_matmul(w, w), b = ad_exp(ad_matmul(a, w)), c = ad_tanh(ad_mul(a, b));
    const ad_var y[] = {ad_matmul(c, v), ad_sum(b), ad_transpose(c)};
    double *alone[3], *together[3];
    evaluate(&p, y, 3, AD_F32, alone);
    p.run.pool = ad_pool_new(3, NULL);
    for (int i = 0; i < 20; i++) {
        evaluate(&p, y, 3, AD_F32, together);
        for (int k = 0; k < 3; k++) ck_assert_mem_eq(together[k], alone[k], size_of(y[k]) * sizeof(double));
    }
    ad_pool_free(p.run.pool);
    problem_free(&p);
}
END_TEST

Suite *bits_suite(void)
{
    Suite *suite = suite_create("bits");
    TCase *bits = tcase_create("bits");
    tcase_set_timeout(bits, 120);
    tcase_add_test(bits, bits_do_not_depend_on_threads);
    tcase_add_test(bits, bits_depend_on_a_row_alone);
    tcase_add_test(bits, bits_of_products);
    tcase_add_test(bits, index_of_rows);
    tcase_add_test(bits, sums_over_many_tiles);
    tcase_add_test(bits, shared_values_on_threads);
    suite_add_tcase(suite, bits);
    return suite;
}
