/* Plans and runs: bits that don't depend on threads and tiles, options and mistakes, print-outs, faults, memory. */
#include "autodiff/engine.h"
#include "scratch.h"

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

/* ---- Outputs, options and mistakes ---------------------------------------------------------------------------- */

/* Leaves, the same value twice, a number for each row, and what is not wanted. */
START_TEST(any_value_can_be_an_output)
{
    problem p = problem_new(20, 4);
    ad_var x = bind_random(&p, true, AD_SHAPE(2), -1, 1), w = bind_random(&p, false, AD_SHAPE(2), -1, 1);
    ad_var s = ad_scalar(p.tape, 7), y = ad_mul(x, w);
    ad_var output[] = {x, w, s, y, y, ad_to_rows(w), ad_sum_rows(w), ad_sum_rows(w), ad_slice(y, 0, 1, 2)};
    double *value[COUNT(output)];
    evaluate(&p, output, COUNT(output), AD_F64, value);
    ck_assert_mem_eq(value[0], p.value[0], 40 * sizeof(double));
    ck_assert_mem_eq(value[1], p.value[1], 2 * sizeof(double));
    ck_assert(*value[2] == 7);
    ck_assert_mem_eq(value[3], value[4], 40 * sizeof(double));
    for (size_t i = 0; i < 40; i++) {
        ck_assert(value[3][i] == p.value[0][i] * p.value[1][i % 2] && value[5][i] == p.value[1][i % 2]);
        ck_assert(i % 2 == 0 || value[8][i / 2] == value[3][i]);
    }
    for (int i = 0; i < 2; i++) ck_assert(value[6][i] == 20 * p.value[1][i] && value[7][i] == value[6][i]);

    ad_plan *plan = ad_plan_new((ad_var[]){y, ad_sum_rows(y)}, 2, &(ad_plan_options){.dtype = AD_F64}, NULL);
    double sum[2];
    ad_plan_set_input(plan, x, p.value[0]);
    ad_plan_set_input(plan, w, p.value[1]);
    ad_plan_set_input(plan, s, p.value[1]);
    ad_plan_set_output(plan, 1, sum);
    ad_plan_set_output(plan, 2, sum);
    ad_plan_set_output(plan, -1, sum);
    ad_tape_free(p.tape); /* the plan has all it needs */
    p.tape = NULL;
    ck_assert_int_eq(ad_plan_run(plan, &p.run, NULL), AD_OK);
    double expected[2] = {0};
    for (size_t i = 0; i < 40; i++) expected[i % 2] += value[3][i];
    for (int i = 0; i < 2; i++) ck_assert_double_eq_tol(sum[i], expected[i], 1e-14);
    ad_plan_free(plan);
    problem_free(&p);
}
END_TEST

/* An op that may overwrite its argument, of which another argument is a part. */
START_TEST(arguments_that_overlap)
{
    enum { N = 4, ROWS = 17 };
    for (size_t part = 0; part < N; part++)
        for (int swapped = 0; swapped < 2; swapped++) {
            problem p = problem_new(ROWS, part);
            ad_var x = bind_random(&p, true, AD_SHAPE(N), -1, 1), h = ad_neg(x), one = ad_slice(h, 0, part, part + 1);
            double *value = value_of(&p, swapped ? ad_sub(one, h) : ad_sub(h, one), AD_F64);
            for (size_t i = 0; i < ROWS * N; i++) {
                double difference = p.value[0][i / N * N + part] - p.value[0][i];
                ck_assert(value[i] == (swapped ? -difference : difference));
            }
            problem_free(&p);
        }
}
END_TEST

/* What numbers do on either side: those that change nothing are skipped, and only those. */
START_TEST(numbers_on_either_side)
{
    ad_var (*const record[])(ad_var, ad_var) = {ad_add, ad_sub, ad_mul, ad_div};
    static const ad_shape shapes[] = {{.rank = 0}, {.rank = 1, .dim = {1}}, {.rank = 2, .dim = {1, 1}}};
    for (int per_row = 0; per_row < 2; per_row++)
        for (int i = 0; i < 4 * 3 * 4; i++) {
            problem p = problem_new(5, 0);
            const double number = i / 4 % 3;
            ad_var x = bind_random(&p, per_row, i / 12 == 3 ? AD_SCALAR : AD_SHAPE(3), 1, 2);
            ad_var c = ad_constant(p.tape, shapes[i / 12 % 3], &number);
            ad_var y[] = {record[i % 4](x, c), record[i % 4](c, x)};
            double *value[2];
            evaluate(&p, y, 2, AD_F64, value);
            for (size_t k = 0; k < extent_of(&p, y[0]); k++) {
                const double a = p.value[0][k], b = number;
                const double forward[] = {a + b, a - b, a * b, a / b}, backward[] = {b + a, b - a, b * a, b / a};
                ck_assert(value[0][k] == forward[i % 4] && value[1][k] == backward[i % 4]);
            }
            problem_free(&p);
        }
}
END_TEST

/* No rows are needed where nothing is per-row. */
START_TEST(shared_values_alone)
{
    problem p = problem_new(0, 0);
    ad_var w = bind_random(&p, false, AD_SHAPE(3, 3), -1, 1);
    double *value = value_of(&p, ad_add(ad_sum(ad_matmul(w, w)), ad_row_count(p.tape)), AD_F64), expected = 0;
    for (int i = 0; i < 27; i++) expected += p.value[0][i / 9 * 3 + i % 3] * p.value[0][i % 3 * 3 + i / 3 % 3];
    ck_assert_double_eq_tol(*value, expected, 1e-13);
    problem_free(&p);
}
END_TEST

static void assert_message(const ad_error *error, ad_status status, const char *part)
{
    ck_assert_int_eq(error->status, status);
    ck_assert_msg(strstr(error->message, part) != NULL, "'%s' is not in: %s", part, error->message);
}

START_TEST(mistakes)
{
    ad_error error;
    ad_tape *tape = ad_tape_new(), *other = ad_tape_new();
    ad_var x = ad_input(tape, "points", AD_SHAPE(2)), w = ad_param(tape, "weights", AD_SHAPE(2));
    ad_var y[] = {ad_mul(x, w), ad_scalar(other, 1), {tape, -1}};
    ck_assert_ptr_null(ad_plan_new(y, 0, NULL, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "at least one output, got 0");
    ck_assert_ptr_null(ad_plan_new(y, 2, NULL, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "output 1 is not a value of the first output's tape");
    ck_assert_ptr_null(ad_plan_new(y + 2, 1, NULL, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "output 0 is not a value");
    ck_assert_ptr_null(ad_plan_new(&(ad_var){0}, 1, NULL, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "output 0 is not a value");
    ck_assert_ptr_null(ad_plan_new(y, 1, &(ad_plan_options){.dtype = (ad_dtype)7}, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "AD_F32 or AD_F64");
    ck_assert_ptr_null(ad_plan_new(y, 1, &(ad_plan_options){.tile_rows = 40}, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "multiple of 16 and at most 1048576, got 40");
    ck_assert_ptr_null(ad_plan_new(y, 1, &(ad_plan_options){.tile_rows = (size_t)1 << 60}, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "tile_rows");
    ck_assert_ptr_null(ad_plan_new(y, 0, NULL, NULL));

    ad_plan *plan = ad_plan_new(y, 1, NULL, &error);
    ck_assert_ptr_nonnull(plan);
    float data[6] = {0}, result[6];
    ad_plan_set_output(plan, 0, result);
    ad_plan_set_input(plan, x, data);
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 3}, &error), AD_ERROR_ARGUMENT);
    assert_message(&error, AD_ERROR_ARGUMENT, "'weights' is not bound; give its data with ad_plan_set_input()");
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 3}, NULL), AD_ERROR_ARGUMENT);
    ad_plan_set_input(plan, w, data);
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 0}, &error), AD_ERROR_ARGUMENT);
    assert_message(&error, AD_ERROR_ARGUMENT, "at least 1 row, got 0");
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 3, .step = 1ull << 32}, &error), AD_ERROR_ARGUMENT);
    assert_message(&error, AD_ERROR_ARGUMENT, "below 2^32, got 4294967296");
    ad_plan_set_input(plan, ad_param(tape, "new", AD_SHAPE(2)), data); /* not in the plan: does nothing */
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 3}, &error), AD_OK);
    ad_plan_free(plan);
    ad_plan_free(NULL);
    ad_tape_free(other);
    ad_tape_free(tape);
}
END_TEST

static void height_evaluate(const ad_tile *tile)
{
    for (size_t i = 0; i < tile->rows; i++) ((float *)tile->out.data)[i] = (float)tile->rows;
}

static const ad_op height_op = {.name = "height", .n_in = 1, .flags = AD_OP_ELEMENTWISE, .evaluate = {height_evaluate}};

/* Rows that fit one tile are run as two, for two threads, where that is work enough: a wide value, or none. */
START_TEST(halves_of_a_tile)
{
    static const struct {
        size_t width, rows, first, last; /* heights of the first and last row's tiles */
    } cases[] = {
        {1, 100, 112, 112}, {4000, 100, 64, 48}, {4000, 128, 64, 64}, {4000, 200, 128, 80}, {4000, 60, 64, 64}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        problem p = problem_new(cases[i].rows, 1);
        p.tile_rows = 0;
        ad_var x = ad_sum(bind_random(&p, true, AD_SHAPE(cases[i].width), -1, 1));
        double *height = value_of(&p, ad_apply(&height_op, &x, 1, NULL, 0, p.tape), AD_F32);
        ck_assert(height[0] == (double)cases[i].first && height[cases[i].rows - 1] == (double)cases[i].last);
        problem_free(&p);
    }
}
END_TEST

START_TEST(tile_rows)
{
    problem p = problem_new(100, 1);
    ad_var y = ad_exp(bind_random(&p, true, AD_SHAPE(2), -1, 1)), wide = ad_input(p.tape, "wide", AD_SHAPE(4000));
    static const size_t sizes[] = {16, 48, 1024};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        ad_plan *plan = ad_plan_new(&y, 1, &(ad_plan_options){.tile_rows = sizes[i]}, NULL);
        ck_assert_uint_eq(ad_plan_tile_rows(plan), sizes[i]);
        ad_plan_free(plan);
    }
    /* By itself: smaller for what is wide, so that a tile stays in the cache. */
    ad_plan *small = ad_plan_new(&y, 1, NULL, NULL), *large = ad_plan_new(&wide, 1, NULL, NULL);
    ck_assert_uint_eq(ad_plan_tile_rows(small), 256);
    ck_assert_uint_eq(ad_plan_tile_rows(large), 128);
    ad_plan_free(large);
    ad_plan_free(small);
    problem_free(&p);
}
END_TEST

static char *print_to_string(const ad_plan *plan)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    ad_plan_print(plan, to);
    fclose(to);
    return text;
}

static int count_text(const char *text, const char *part)
{
    int count = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) count++;
    return count;
}

START_TEST(print_out)
{
    ad_tape *tape = ad_tape_new();
    ad_var x = ad_input(tape, "points", AD_SHAPE(4)), w = ad_param(tape, "weights", AD_SHAPE(4)), unused = ad_sin(x);
    ad_tape_enter(tape, "layer[0]");
    ad_var c = ad_cos(w), e = ad_exp(ad_mul(x, c)), again = ad_exp(ad_mul(x, c)), part = ad_slice(e, 0, 1, 3);
    ad_tape_leave(tape);
    ad_var sum = ad_sum_rows(ad_mul(e, ad_add_scalar(again, 0))), centred = ad_sub(part, ad_sum(sum));
    ck_assert(ad_is_valid(unused));
    ad_plan *plan = ad_plan_new((ad_var[]){centred, sum}, 2, &(ad_plan_options){AD_F64, 64}, NULL);
    char *text = print_to_string(plan);
    static const struct {
        const char *part;
        int times;
    } parts[] = {{"plan: float64, tiles of 64 rows", 1},
                 {"stage 0", 1},
                 {"stage 1", 1},
                 {"rows of 'points'", 2}, /* once in each pass */
                 {"1 loads", 2},
                 {"0 stores", 1},
                 {"1 stores", 1},
                 {" = cos ", 1},   /* shared: once for all passes */
                 {" = exp ", 2},   /* equal nodes are one */
                 {" = sin ", 0},   /* what isn't needed is gone */
                 {" = slice ", 0}, /* a view */
                 {" = add ", 0},   /* of 0 */
                 {" += sum_rows ", 1},
                 {" layer[0]\n", 5}};
    for (size_t i = 0; i < COUNT(parts); i++)
        ck_assert_msg(count_text(text, parts[i].part) == parts[i].times, "'%s' is not there %d times:\n%s",
                      parts[i].part, parts[i].times, text);
    free(text);
    ad_plan_free(plan);
    ad_tape_free(tape);
}
END_TEST

/* A weight's gradient is summed over rows by the product itself: there is no matrix for each row. */
START_TEST(sums_of_products)
{
    static const size_t row_end[] = {3, 7}, begin[] = {0, 2}, end[] = {2, 5};
    for (int blocked = 0; blocked < 2; blocked++) {
        ad_tape *tape = ad_tape_new();
        ad_var x = ad_input(tape, "x", AD_SHAPE(5)), w = ad_param(tape, "w", AD_SHAPE(7, 5));
        ad_var y = blocked ? ad_matmul_blocks(w, x, &(ad_blocks){2, row_end, begin, end}) : ad_matmul(w, x);
        ad_var gradient = ad_grad1(ad_sum(ad_tanh(y)), w);
        ad_plan *plan = ad_plan_new(&gradient, 1, NULL, NULL);
        char *text = print_to_string(plan);
        ck_assert_msg(count_text(text, " += matmul_rows ") == 1 && count_text(text, "+= sum_rows") == 0, "%s", text);
        free(text);
        ad_plan_free(plan);
        ad_tape_free(tape);
    }
}
END_TEST

static char *plan_text(ad_var y)
{
    ad_plan *plan = ad_plan_new(&y, 1, NULL, NULL);
    char *text = print_to_string(plan);
    ad_plan_free(plan);
    return text;
}

/* A product for one addition or sum is done with it, where the factors have its shape; else it stays. */
START_TEST(products_and_sums_in_one_pass)
{
    static const double w[] = {2, -3}, x[] = {5, 7}, c[] = {1, 10};
    problem p = problem_new(1, 1);
    ad_var a = bind(&p, false, AD_SHAPE(2), w), b = bind(&p, true, AD_SHAPE(2), x), d = bind(&p, true, AD_SHAPE(2), c);
    ad_var product = ad_mul(a, b), squares = ad_mul(b, b), stretched = ad_reshape(d, AD_SHAPE(2, 1));
    const struct {
        ad_var y;
        const char *fused;
        int times;
        double first;
    } cases[] = {
        {ad_add(product, d), " = mul_add ", 1, 2 * 5 + 1},
        {ad_add(d, product), " = mul_add ", 1, 2 * 5 + 1},
        {ad_sum(product), " = mul_sum ", 1, 2 * 5 - 3 * 7},
        {ad_add(product, stretched), " = mul_add ", 0, 2 * 5 + 1},          /* each product is for two sums */
        {ad_add(squares, ad_exp(squares)), " = mul_add ", 0, 25 + exp(25)}, /* for other ops too */
        {ad_sum(ad_mul(ad_to_rows(a), ad_broadcast(ad_scalar(p.tape, 3), AD_SHAPE(2)))), " = mul_sum ", 0, 3 * (2 - 3)},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = plan_text(cases[i].y);
        ck_assert_msg(count_text(text, cases[i].fused) == cases[i].times, "case %zu:\n%s", i, text);
        ck_assert_double_eq_tol(value_of(&p, cases[i].y, AD_F64)[0], cases[i].first, 1e-15 * fabs(cases[i].first));
        free(text);
    }
    problem_free(&p);
}
END_TEST

/* The gradient of what was cut in slices is put together without zeros, in place. */
START_TEST(gradients_of_slices)
{
    ad_tape *tape = ad_tape_new();
    ad_var x = ad_input(tape, "x", AD_SHAPE(9)), part[3];
    for (size_t i = 0; i < 3; i++) part[i] = ad_slice(x, 0, 3 * i, 3 * i + 3);
    ad_var middle = ad_reshape(ad_exp(ad_reshape(part[1], AD_SHAPE(1, 3))), AD_SHAPE(3));
    ad_var y = ad_sum(ad_mul(ad_mul(ad_tanh(part[0]), middle), ad_sin(part[2])));
    char *text = plan_text(ad_grad1(y, x));
    ck_assert_msg(count_text(text, " = pad ") == 0 && count_text(text, " = concat ") == 2, "%s", text);
    free(text);
    ad_tape_free(tape);
}
END_TEST

/* ---- Faults -------------------------------------------------------------------------------------------------- */

/* Runs float32 with find_nan, of x and w (2). */
static ad_status look(ad_var (*record)(ad_tape *, ad_var, ad_var), const float *x, const float *w, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    ad_var v[] = {ad_input(tape, "points", AD_SHAPE(2)), ad_param(tape, "weights", AD_SHAPE(2))};
    ad_tape_enter(tape, "outer");
    ad_tape_enter(tape, "inner");
    ad_var y = record(tape, v[0], v[1]);
    ad_plan *plan = ad_plan_new(&y, 1, &(ad_plan_options){AD_F32, 16}, error);
    ad_plan_set_input(plan, v[0], x);
    ad_plan_set_input(plan, v[1], w);
    ad_status status = ad_plan_run(plan, &(ad_run){.rows = 50, .first_row = 9, .find_nan = true}, error);
    ad_plan_free(plan);
    ad_tape_free(tape);
    return status;
}

#define RECORD(name, recorded)                                                                                         \
    static ad_var name(ad_tape *tape, ad_var x, ad_var w)                                                              \
    {                                                                                                                  \
        (void)tape, (void)x, (void)w;                                                                                  \
        return recorded;                                                                                               \
    }
RECORD(log_of_points, ad_mul(ad_exp(ad_log(ad_mul(x, w))), w))
RECORD(log_of_weights, ad_add(x, ad_log(w)))
RECORD(masked, ad_add(x, ad_exp(ad_where(ad_greater(x, ad_scalar(tape, 0)), x, ad_scalar(tape, -INFINITY)))))
RECORD(masked_log,
       ad_add(ad_log(x), ad_exp(ad_where(ad_greater(x, ad_scalar(tape, 0)), x, ad_scalar(tape, -INFINITY)))))
RECORD(masked_sum, ad_sum_rows(ad_where(ad_greater(x, ad_scalar(tape, 0)), x, ad_scalar(tape, -INFINITY))))
RECORD(sum_of_points, ad_mul(ad_sum_rows(ad_mul(x, w)), w))
RECORD(product_of_points, ad_sum_rows(ad_matmul(ad_reshape(x, AD_SHAPE(2, 1)), ad_reshape(x, AD_SHAPE(1, 2)))))

START_TEST(faults_are_found)
{
    static const struct {
        ad_var (*record)(ad_tape *, ad_var, ad_var);
        float x23, w; /* of row 23's second element; of the second weight. The rest is 1. */
        const char *words[4];
    } cases[] = {
        {log_of_points, 1, 1, {NULL}},
        {log_of_points, -1, 1, {"op 'log'", "in outer/inner", "row 23", "NaN"}},
        {log_of_points, 0, 1, {"op 'log'", "row 23"}},
        {log_of_points, NAN, 1, {"input 'points'", "row 23"}},
        {log_of_points, 1, INFINITY, {"parameter 'weights'"}},
        {log_of_points, 3e38f, 2, {"op 'mul'", "row 23"}},
        {log_of_weights, 1, 0, {"op 'log'", "in outer/inner", "a shared value"}},
        {masked, -1, 1, {NULL}}, /* an infinity that the program wants */
        {masked_sum, -1, 1, {NULL}},
        {masked_log, -1, 1, {"op 'log'", "row 23"}},
        {sum_of_points, 1, 3e38f, {"op 'sum_rows'", "sum over finite rows"}},
        {product_of_points, 1e30f, 1, {"op 'matmul", "row"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        float x[100], w[] = {1, cases[i].w};
        for (int k = 0; k < 100; k++) x[k] = k == 47 ? cases[i].x23 : 1;
        ad_error error = {AD_OK, ""};
        ck_assert_int_eq(look(cases[i].record, x, w, &error), *cases[i].words ? AD_ERROR_NUMERIC : AD_OK);
        for (size_t k = 0; k < COUNT(cases[i].words) && cases[i].words[k]; k++)
            assert_message(&error, AD_ERROR_NUMERIC, cases[i].words[k]);
    }
}
END_TEST

/* ---- Threads ------------------------------------------------------------------------------------------------- */

static void count_job(void *context, size_t i, int worker)
{
    (void)worker;
    __atomic_fetch_add(&((int *)context)[i], 1, __ATOMIC_RELAXED);
}

START_TEST(pools)
{
    ad_error error;
    ck_assert_ptr_null(ad_pool_new(-1, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "got -1");
    ck_assert_ptr_null(ad_pool_new(5000, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "got 5000");
    ck_assert_int_eq(ad_pool_threads(NULL), 1);
    ad_pool_free(NULL);
    for (int threads = 0; threads <= 8; threads++) {
        ad_pool *pool = ad_pool_new(threads, NULL);
        ck_assert_int_ge(ad_pool_threads(pool), 1);
        for (size_t jobs = 0; jobs < 300; jobs = 2 * jobs + 1) {
            int done[300] = {0};
            ad_pool_run(pool, jobs, count_job, done);
            for (size_t i = 0; i < COUNT(done); i++) ck_assert_int_eq(done[i], i < jobs);
        }
        ad_pool_free(pool);
    }
}
END_TEST

/* ---- Memory -------------------------------------------------------------------------------------------------- */

/* Counts calls, and bytes in use, which are kept before each block. A pool's threads release what they were started
 * with. */
static struct {
    _Atomic size_t calls, bytes;
} counted;

enum { HEADER = 16 };

static void *count_allocate(size_t bytes)
{
    size_t *block = malloc(bytes + HEADER);
    if (!block) return NULL;
    *block = bytes;
    counted.calls++;
    counted.bytes += bytes;
    return (char *)block + HEADER;
}

static void count_release(void *address)
{
    size_t *block = (void *)((char *)address - HEADER);
    counted.bytes -= *block;
    free(block);
}

static void *count_reallocate(void *old, size_t bytes)
{
    void *new = count_allocate(bytes);
    if (!new) return NULL;
    if (old) {
        size_t before = *(size_t *)(void *)((char *)old - HEADER);
        memcpy(new, old, before < bytes ? before : bytes);
        count_release(old);
    }
    return new;
}

/* A run allocates once, and no more for many rows than for some; nothing is left behind. */
START_TEST(memory_of_runs)
{
    enum { MANY = 1000000 };
    float *x = calloc(MANY * D, sizeof *x), w[HIDDEN * D] = {0.1f}, loss, gradient[HIDDEN * D];
    ad_set_allocator(&(ad_allocator){count_allocate, count_reallocate, count_release});
    ad_tape *tape = ad_tape_new();
    ad_var v[] = {ad_input(tape, "x", AD_SHAPE(D)), ad_param(tape, "w", AD_SHAPE(HIDDEN, D))};
    ad_var y = ad_sum_rows(ad_sum(ad_square(ad_tanh(ad_matmul(v[1], v[0])))));
    ad_plan *plan = ad_plan_new((ad_var[]){y, ad_grad1(y, v[1])}, 2, &(ad_plan_options){AD_F32, 64}, NULL);
    ad_tape_free(tape);
    ad_pool *pool = ad_pool_new(2, NULL);
    ad_plan_set_input(plan, v[0], x);
    ad_plan_set_input(plan, v[1], w);
    ad_plan_set_output(plan, 0, &loss);
    ad_plan_set_output(plan, 1, gradient);
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 100, .pool = pool}, NULL), AD_OK);
    const size_t small = counted.bytes;
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 2000, .pool = pool}, NULL), AD_OK);
    const size_t calls = counted.calls, bytes = counted.bytes;
    ck_assert_uint_lt(bytes - small, 16 * (sizeof gradient + 128)); /* 16 accumulators */
    static const size_t rows[] = {2000, 1, 77, 2000, MANY, 100};
    for (size_t i = 0; i < COUNT(rows); i++) {
        ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = rows[i], .pool = i % 2 ? pool : NULL}, NULL), AD_OK);
        ck_assert_uint_eq(counted.calls, calls);
        ck_assert_uint_eq(counted.bytes, bytes);
    }
    ad_pool_free(pool);
    ad_plan_free(plan);
    ck_assert_uint_eq(counted.bytes, 0);
    ad_set_allocator(NULL);
    free(x);
}
END_TEST

/* Record, differentiate, plan and run something of everything. */
static ad_status do_everything(ad_error *error)
{
    static const size_t index[] = {2, 0, 1, 1}, row_end[] = {2, 3}, begin[] = {0, 1}, end[] = {1, 3};
    static const double x[20][3], w[9] = {1, 2, 3, 0, 2, 1, 0, 0, 3};
    double loss, gradient[9], own[20][3];
    ad_tape *tape = ad_tape_new();
    if (!tape) return AD_ERROR_MEMORY;
    ad_tape_enter(tape, "scope");
    ad_var v[] = {ad_input(tape, "x", AD_SHAPE(3)), ad_param(tape, "w", AD_SHAPE(3, 3))}, g[2];
    ad_var h = ad_matmul_blocks(v[1], v[0], &(ad_blocks){2, row_end, begin, end});
    h = ad_add(h, ad_solve_triangular(v[1], ad_normal(tape, AD_SHAPE(3), 1), AD_UPPER));
    h = ad_mul(h, ad_log_abs_det(v[1]));
    h = ad_add(h, ad_solve(v[1], h));
    h = ad_add(h, ad_matmul(ad_transpose(v[1]), ad_leaky_relu(v[0], 0.1)));
    h = ad_slice(ad_concat((ad_var[]){ad_gather(h, index, 4), ad_scatter(h, index, 3, 4)}, 2, 0), 0, 2, 5);
    h = ad_sub(h, ad_div(ad_sum_rows(h), ad_row_count(tape)));
    ad_var y = ad_sum_rows(ad_logsumexp(ad_cumsum(h, 0, true)));
    ad_grad(y, v, 2, g);
    ad_tape_leave(tape);
    ad_plan *plan = ad_plan_new((ad_var[]){y, g[0], g[1]}, 3, &(ad_plan_options){AD_F64, 16}, error);
    ad_status status = plan ? AD_OK : error->status;
    ad_pool *pool = plan ? ad_pool_new(2, error) : NULL;
    if (plan && !pool) status = error->status;
    if (pool) {
        for (int i = 0; i < 2; i++) ad_plan_set_input(plan, v[i], i ? (const void *)w : x);
        ad_plan_set_output(plan, 0, &loss);
        ad_plan_set_output(plan, 1, own);
        ad_plan_set_output(plan, 2, gradient);
        status = ad_plan_run(plan, &(ad_run){.rows = 20, .pool = pool}, error);
    }
    ad_pool_free(pool);
    if (pool && status != AD_OK) { /* a plan that found no memory works when there is some */
        memory_unlimited();
        ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 20}, NULL), AD_OK);
    }
    ad_plan_free(plan);
    ad_tape_free(tape);
    return status;
}

START_TEST(every_allocation_fails)
{
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        ad_error error = {AD_OK, ""};
        memory_limit(allowed);
        ad_status status = do_everything(&error);
        denied = memory.denied;
        memory_unlimited();
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu allocations: %s", allowed,
                      error.message);
    }
}
END_TEST

START_TEST(overflowing_sizes)
{
    ck_assert_ptr_null(ad_alloc(SIZE_MAX, 2));
    ck_assert_ptr_null(ad_alloc_aligned(SIZE_MAX / 2, 4));
    ck_assert_ptr_null(ad_alloc_aligned(SIZE_MAX - 8, 1));
    char *block = ad_alloc(3, 5);
    for (int i = 0; i < 15; i++) ck_assert_int_eq(block[i], 0);
    ck_assert_ptr_null(ad_realloc(block, SIZE_MAX / 2, 3));
    block = ad_realloc(block, 100, 1);
    ad_free(block);
    for (size_t n = 0; n < 200; n += 13) {
        char *aligned = ad_alloc_aligned(n, 3);
        ck_assert_uint_eq((uintptr_t)aligned % 64, 0);
        for (size_t i = 0; i < 3 * n; i++) ck_assert_int_eq(aligned[i], 0);
        ad_free_aligned(aligned);
    }
    ad_free(NULL);
    ad_free_aligned(NULL);
    char *copy = ad_strdup("text");
    ck_assert_str_eq(copy, "text");
    ad_free(copy);
}
END_TEST

Suite *plan_suite(void)
{
    Suite *suite = suite_create("plan");
    TCase *bits = tcase_create("bits");
    tcase_set_timeout(bits, 120);
    tcase_add_test(bits, bits_do_not_depend_on_threads);
    tcase_add_test(bits, bits_depend_on_a_row_alone);
    tcase_add_test(bits, bits_of_products);
    tcase_add_test(bits, index_of_rows);
    tcase_add_test(bits, sums_over_many_tiles);
    tcase_add_test(bits, shared_values_on_threads);
    suite_add_tcase(suite, bits);
    TCase *use = tcase_create("use");
    tcase_add_test(use, any_value_can_be_an_output);
    tcase_add_test(use, arguments_that_overlap);
    tcase_add_test(use, numbers_on_either_side);
    tcase_add_test(use, shared_values_alone);
    tcase_add_test(use, mistakes);
    tcase_add_test(use, tile_rows);
    tcase_add_test(use, halves_of_a_tile);
    tcase_add_test(use, print_out);
    tcase_add_test(use, sums_of_products);
    tcase_add_test(use, products_and_sums_in_one_pass);
    tcase_add_test(use, gradients_of_slices);
    tcase_add_test(use, faults_are_found);
    tcase_add_test(use, pools);
    suite_add_tcase(suite, use);
    TCase *memory_case = tcase_create("memory");
    tcase_set_timeout(memory_case, 60);
    tcase_add_test(memory_case, memory_of_runs);
    tcase_add_test(memory_case, every_allocation_fails);
    tcase_add_test(memory_case, overflowing_sizes);
    suite_add_tcase(suite, memory_case);
    return suite;
}
