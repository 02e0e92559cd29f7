/* Plans: outputs, options and mistakes, what is fused and laid out, and the search for the first NaN. */
#include "autodiff/engine.h"
#include "scratch.h"

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
    ad_plan_set_output(plan, 2, NULL); /* not there, and not wanted */
    ad_tape_free(p.tape);              /* the plan has all it needs */
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
    ad_var nowhere = ad_input(NULL, "x", AD_SHAPE(2)); /* as where memory for a tape was out */
    ck_assert_ptr_null(ad_plan_new((ad_var[]){ad_sum(ad_exp(nowhere))}, 1, NULL, &error));
    assert_message(&error, AD_ERROR_MEMORY, "output 0 is on no tape");
    ck_assert_ptr_null(ad_plan_new(y, 1, &(ad_plan_options){.dtype = (ad_dtype)7}, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "AD_F32 or AD_F64");
    ck_assert_ptr_null(ad_plan_new(y, 1, &(ad_plan_options){.tile_rows = 40}, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "multiple of 16 and at most 1048576, got 40");
    ck_assert_ptr_null(ad_plan_new(y, 1, &(ad_plan_options){.tile_rows = SIZE_MAX / 32 * 16}, &error));
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

/* Vars of another tape, be it at the address of one that was freed, and outputs that aren't there: the first such
 * mistake sticks to the plan, and a run reports it. What isn't a var at all, or not read, does nothing. */
START_TEST(foreign_inputs_and_outputs)
{
    float value[] = {1, 2}, sum[2] = {0};
    ad_error error;
    for (int mistake = 0; mistake < 5; mistake++) {
        ad_tape *tape = ad_tape_new(), *other = ad_tape_new();
        ad_var w = ad_param(tape, "w", AD_SHAPE(2)), foreign = ad_param(other, "w", AD_SHAPE(2));
        ad_plan *plan = ad_plan_new(&w, 1, NULL, &error);
        ck_assert_ptr_nonnull(plan);
        ad_plan_set_input(plan, w, value);
        ad_plan_set_output(plan, 0, sum);
        ad_plan_set_input(plan, (ad_var){other, -1}, value);
        ad_plan_set_input(plan, (ad_var){0}, value);
        ad_tape_free(tape);
        if (mistake == 1) {
            ad_tape *again = ad_tape_new(); /* often where the first was */
            foreign = ad_param(again, "w", AD_SHAPE(2));
            ad_tape_free(again);
        }
        ad_tape_free(other);
        if (mistake < 2) ad_plan_set_input(plan, foreign, value);
        if (mistake == 2) ad_plan_set_output(plan, 1, sum);
        if (mistake == 3) ad_plan_set_output(plan, -1, sum);
        if (mistake == 4) ad_plan_set_output(plan, 1, NULL);
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(ad_plan_run(plan, NULL, &error), mistake == 4 ? AD_OK : AD_ERROR_ARGUMENT);
            if (mistake < 2) assert_message(&error, AD_ERROR_ARGUMENT, "set_input: var %0 is of another tape");
            if (mistake == 2) assert_message(&error, AD_ERROR_ARGUMENT, "there is no output 1; this plan has 1");
            if (mistake == 3) assert_message(&error, AD_ERROR_ARGUMENT, "there is no output -1; this plan has 1");
            ad_plan_set_input(plan, w, value);
            if (mistake < 4) ad_plan_set_output(plan, 7, sum); /* the first one stays */
        }
        ck_assert(sum[1] == (mistake == 4 ? 2 : 0));
        ad_plan_free(plan);
    }
}
END_TEST

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

Suite *plan_suite(void)
{
    Suite *suite = suite_create("plan");
    TCase *use = tcase_create("use");
    tcase_add_test(use, any_value_can_be_an_output);
    tcase_add_test(use, arguments_that_overlap);
    tcase_add_test(use, numbers_on_either_side);
    tcase_add_test(use, shared_values_alone);
    tcase_add_test(use, mistakes);
    tcase_add_test(use, foreign_inputs_and_outputs);
    tcase_add_test(use, tile_rows);
    tcase_add_test(use, halves_of_a_tile);
    tcase_add_test(use, print_out);
    tcase_add_test(use, sums_of_products);
    tcase_add_test(use, products_and_sums_in_one_pass);
    tcase_add_test(use, gradients_of_slices);
    tcase_add_test(use, faults_are_found);
    suite_add_tcase(suite, use);
    return suite;
}
