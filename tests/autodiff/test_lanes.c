/* How the lanes of sums over rows are added, and the squares of what comes of it. */
#include "autodiff/engine.h"
#include "scratch.h"

/* ---- The order in which they are added ------------------------------------------------------------------------- */

enum { TILE = 16, M = 5 };

/* Of so many tiles: each is a lane of its own, up to 16; of more than 64, four are, up to 1,024 lanes. */
static size_t lanes_of(size_t tiles)
{
    if (tiles <= 64) return tiles < 16 ? tiles : 16;
    return tiles / 4 < 1024 ? tiles / 4 : 1024;
}

/* The node's lanes, tile by tile, and two nodes by two; false: it has no lanes. value[tile * stride]. */
static bool node_of(size_t lanes, size_t tiles, int depth, size_t node, const float *value, size_t stride, float *sum)
{
    const size_t begin = (node * lanes) >> depth, end = ((node + 1) * lanes) >> depth;
    float left, right;
    if (begin == end) return false;
    if (begin + 1 == end) {
        *sum = 0;
        for (size_t t = begin * tiles / lanes; t < end * tiles / lanes; t++) *sum += value[t * stride];
        return true;
    }
    const bool is_left = node_of(lanes, tiles, depth + 1, 2 * node, value, stride, &left);
    const bool is_right = node_of(lanes, tiles, depth + 1, 2 * node + 1, value, stride, &right);
    *sum = is_left && is_right ? left + right : is_left ? left : right;
    return true;
}

/* Each tile has one row that counts; a factor is a power of two, so that products are exact. */
START_TEST(lanes_are_added_in_a_tree)
{
    static const size_t widths[] = {5, 16, 23}, count[] = {1,  2,  3,  4,  5,  7,  8,   11,  13,   15,   16,
                                                           17, 40, 64, 65, 68, 71, 100, 259, 1500, 4099, 5000};
    for (size_t i = 0; i < COUNT(count) * COUNT(widths); i++) {
        const size_t tiles = count[i / COUNT(widths)], n = widths[i % COUNT(widths)];
        problem p = problem_new(TILE * tiles, i);
        p.tile_rows = TILE;
        ad_var x = bind_random(&p, true, AD_SHAPE(M), -1, 1), y = bind_random(&p, true, AD_SHAPE(n), -1, 1);
        ad_var w = bind_random(&p, false, AD_SHAPE(M, n), -1, 1);
        double *a = (double *)(uintptr_t)p.value[0], *b = (double *)(uintptr_t)p.value[1];
        float *value = calloc(tiles, sizeof *value), expected;
        for (size_t r = 0; r < p.run.rows; r++)
            for (size_t k = 0; k < M; k++) a[r * M + k] = r % TILE ? 0 : ldexp(1, (int)((r + k) % 7) * 3);
        const double *sum = value_of(&p, ad_grad1(ad_sum(ad_mul(x, ad_matmul(w, y))), w), AD_F32);
        for (size_t k = 0; k < M * n; k++) {
            for (size_t t = 0; t < tiles; t++)
                value[t] = (float)a[t * TILE * M + k / n] * (float)b[t * TILE * n + k % n];
            ck_assert(node_of(lanes_of(tiles), tiles, 0, 0, value, 1, &expected));
            ck_assert_msg(sum[k] == (double)expected, "%zu tiles of (%d,%zu): %a, not %a", tiles, M, n, sum[k],
                          (double)expected);
        }
        free(value);
        problem_free(&p);
    }
}
END_TEST

/* ---- Squares --------------------------------------------------------------------------------------------------- */

/* A sum in a wider type, one in the plan's, what is made of that, a leaf, and the second again, elsewhere or nowhere.
 */
enum { OUTPUTS = 5 };

typedef struct {
    double *value[OUTPUTS]; /* room for either dtype */
    double squares[OUTPUTS];
} result;

static size_t bytes_of(const ad_var *y, int i, ad_dtype dtype)
{
    return size_of(y[i]) * ad_dtype_size(dtype);
}

static result run(problem *p, const ad_var *y, ad_dtype dtype, ad_pool *pool, bool squared)
{
    ad_error error = {AD_OK, ""};
    result r = {0};
    ad_plan *plan = ad_plan_new(y, OUTPUTS, &(ad_plan_options){.dtype = dtype, .tile_rows = 16}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    for (int i = 0; i < p->n_leaf; i++) {
        const size_t n = size_of(p->leaf[i]) * (ad_is_per_row(p->leaf[i]) ? p->run.rows : 1);
        double *data = problem_array(p, n);
        for (size_t k = 0; k < n; k++) ad_set_element(dtype, data, k, p->value[i][k]);
        ad_plan_set_input(plan, p->leaf[i], data);
    }
    for (int i = 0; i < OUTPUTS; i++) {
        r.value[i] = problem_array(p, size_of(y[i]));
        ad_plan_set_output(plan, i, i < OUTPUTS - 1 || p->seed % 2 ? r.value[i] : NULL);
    }
    p->run.pool = pool;
    for (int again = 0; again < 2; again++) { /* what the first run left is no part of the second */
        for (int i = 0; i < OUTPUTS; i++) {
            r.squares[i] = -1;
            ad_plan_set_squares(plan, i, squared ? &r.squares[i] : NULL);
        }
        ck_assert_msg(ad_plan_run(plan, &p->run, &error) == AD_OK, "%s", error.message);
    }
    ad_plan_free(plan);
    return r;
}

static void assert_squares(const result *r, const ad_var *y, ad_dtype dtype)
{
    for (int i = 0; i < OUTPUTS; i++) {
        double squares = 0;
        for (size_t k = 0; k < size_of(y[i]); k++) {
            const double element = ad_element(dtype, r->value[i < OUTPUTS - 1 ? i : 1], k);
            squares += element * element;
        }
        ck_assert_msg(fabs(r->squares[i] - squares) <= 1e-13 * squares, "%s, output %d: %.17g, not %.17g",
                      ad_dtype_name(dtype), i, r->squares[i], squares);
    }
}

/* Fewer elements than a vector, some more than a part of a sum, and several parts; one lane to sixteen. */
START_TEST(squares_on_any_threads)
{
    static const struct {
        size_t m, n, rows;
    } sizes[] = {{1, 1, 1},    {1, 1, 40},    {3, 5, 16},     {16, 16, 33},   {33, 31, 100},
                 {64, 128, 9}, {64, 128, 40}, {91, 91, 1000}, {150, 151, 16}, {150, 151, 70}};
    static const int threads[] = {1, 2, 3, 8};
    for (size_t i = 0; i < COUNT(sizes) * 2; i++) {
        const ad_dtype dtype = i % 2 ? AD_F64 : AD_F32;
        const size_t m = sizes[i / 2].m, n = sizes[i / 2].n;
        problem p = problem_new(sizes[i / 2].rows, i / 2);
        ad_var x = bind_random(&p, true, AD_SHAPE(n), -1, 1), w = bind_random(&p, false, AD_SHAPE(m, n), -1, 1);
        ad_var h = ad_matmul(w, x), y[OUTPUTS];
        y[0] = ad_sum_rows(h);
        y[1] = ad_grad1(ad_sum_rows(ad_sum(ad_square(h))), w);
        y[2] = ad_mul(y[1], ad_sin(w));
        y[3] = w;
        y[4] = y[1];
        const result alone = run(&p, y, dtype, NULL, true), unsquared = run(&p, y, dtype, NULL, false);
        assert_squares(&alone, y, dtype);
        for (int k = 0; k < OUTPUTS; k++) {
            ck_assert_mem_eq(unsquared.value[k], alone.value[k], bytes_of(y, k, dtype));
            ck_assert(unsquared.squares[k] == -1);
        }
        for (size_t t = 0; t < COUNT(threads); t++) {
            ad_pool *pool = ad_pool_new(threads[t], NULL);
            const result r = run(&p, y, dtype, pool, true);
            for (int k = 0; k < OUTPUTS; k++) ck_assert_mem_eq(r.value[k], alone.value[k], bytes_of(y, k, dtype));
            ck_assert_mem_eq(r.squares, alone.squares, sizeof r.squares);
            ad_pool_free(pool);
        }
        problem_free(&p);
    }
}
END_TEST

START_TEST(squares_of_what_has_none)
{
    for (int i = -1; i < 3; i++) {
        ad_error error;
        double squares;
        const float value[] = {3, 4};
        ad_tape *tape = ad_tape_new();
        ad_var w = ad_param(tape, "w", AD_SHAPE(2)), y[] = {w, ad_to_rows(w)};
        ad_plan *plan = ad_plan_new(y, 2, NULL, &error);
        ad_plan_set_input(plan, w, value);
        ad_plan_set_squares(plan, i, NULL); /* of no output either */
        ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 1}, &error), AD_OK);
        ad_plan_set_squares(plan, i, &squares);
        const ad_status status = ad_plan_run(plan, &(ad_run){.rows = 1}, &error);
        if (i == 0)
            ck_assert(status == AD_OK && squares == 25);
        else
            assert_message(&error, AD_ERROR_ARGUMENT, i == 1 ? "per-row" : "not there");
        ad_plan_free(plan);
        ad_tape_free(tape);
    }
    ad_plan_set_squares(NULL, 0, NULL);
}
END_TEST

/* A gradient's rows are added up in float32, but only as many one behind the other as a tile has vectors. */
START_TEST(gradients_of_shared_values)
{
    const size_t rows[] = {1, 15, 100, 1000, 100000};
    for (size_t i = 0; i < COUNT(rows); i++) {
        problem p = problem_new(rows[i], i);
        p.tile_rows = 0;
        const ad_var x = bind_random(&p, true, AD_SCALAR, -1, 1), w = bind_random(&p, false, AD_SCALAR, 1, 2);
        const double *gradient = value_of(&p, ad_grad1(ad_sum_rows(ad_mul(w, x)), w), AD_F32);
        double exact = 0, size = 0;
        for (size_t r = 0; r < rows[i]; r++) {
            const double rounded = (double)(float)p.value[0][r];
            exact += rounded;
            size += fabs(rounded);
        }
        ck_assert_msg(fabs(*gradient - exact) <= 0x1p-24 * size, "%zu rows: %.17g, not %.17g", rows[i], *gradient,
                      exact);
        problem_free(&p);
    }
}
END_TEST

Suite *lanes_suite(void)
{
    Suite *suite = suite_create("lanes");
    TCase *lanes = tcase_create("lanes");
    tcase_add_test(lanes, lanes_are_added_in_a_tree);
    tcase_add_test(lanes, gradients_of_shared_values);
    tcase_add_test(lanes, squares_on_any_threads);
    tcase_add_test(lanes, squares_of_what_has_none);
    suite_add_tcase(suite, lanes);
    return suite;
}
