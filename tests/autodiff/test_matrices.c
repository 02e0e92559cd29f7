/* Matrices: products with and without blocks of zeros, triangular and general systems, determinants. */
#include "autodiff/reference.h"

/* ---- Matrix products ----------------------------------------------------------------------------------------- */

enum { MOST_BLOCKS = 5 };

typedef struct {
    size_t row_end[MOST_BLOCKS], begin[MOST_BLOCKS], end[MOST_BLOCKS], count;
} block_list;

/* Some blocks without rows, some without columns. */
static block_list random_blocks(problem *p, size_t m, size_t k)
{
    block_list list = {.count = 1 + draw_below(p, MOST_BLOCKS)};
    for (size_t b = 0, row = 0; b < list.count; b++) {
        row += b + 1 == list.count ? m - row : draw_below(p, m - row + 1);
        size_t i = draw_below(p, k + 1), j = draw_below(p, k + 1);
        list.row_end[b] = row;
        list.begin[b] = i < j ? i : j;
        list.end[b] = i < j ? j : i;
    }
    return list;
}

/* Small whole numbers: sums of their products are exact in any order, in float32 too. */
static ad_var bind_whole(problem *p, bool per_row, ad_shape shape)
{
    ad_var v = bind_random(p, per_row, shape, -3, 4);
    double *value = (double *)(uintptr_t)p->value[p->n_leaf - 1];
    for (size_t i = 0; i < extent_of(p, v); i++) value[i] = floor(value[i]);
    return v;
}

static void assert_exact(const double *got, const double *expected, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(got[i] == expected[i], "%s: element %zu is %g, not %g", what, i, got[i], expected[i]);
}

/* C = A B and the gradients of Σ W∘C, which are W Bᵀ and Aᵀ W, by plain loops. */
START_TEST(products)
{
    const bool a_per_row = _i & 1, b_per_row = _i & 2, blocked = _i & 4;
    for (uint64_t seed = 0; seed < 10; seed++) {
        const size_t most = seed % 3 == 0 ? 8 : seed % 3 == 1 ? 40 : 70;
        problem p = problem_new(1 + (size_t)seed * 3 % 37, 100 * seed + (uint64_t)_i);
        size_t m = 1 + draw_below(&p, most), k = 1 + draw_below(&p, most), n = 1 + draw_below(&p, most);
        if (seed % 4 == 0) n = 1;
        const bool vector = n == 1 && seed % 8 == 0;
        ad_var a = bind_whole(&p, a_per_row, AD_SHAPE(m, k));
        ad_var b = bind_whole(&p, b_per_row, vector ? AD_SHAPE(k) : AD_SHAPE(k, n));
        ad_var w = bind_whole(&p, false, vector ? AD_SHAPE(m) : AD_SHAPE(m, n));
        block_list list = random_blocks(&p, m, k);
        const ad_blocks blocks = {list.count, list.row_end, list.begin, list.end};
        ad_var c = blocked ? ad_matmul_blocks(a, b, &blocks) : ad_matmul(a, b), y[3] = {c};
        ad_var loss = ad_sum(ad_mul(w, c));
        ad_grad(ad_is_per_row(loss) ? ad_sum_rows(loss) : loss, (ad_var[]){a, b}, 2, y + 1);

        double *expected[3];
        for (int i = 0; i < 3; i++) expected[i] = problem_array(&p, extent_of(&p, y[i]));
        for (size_t r = 0; r < (ad_is_per_row(c) ? p.run.rows : 1); r++)
            for (size_t i = 0, block = 0; i < m; i++) {
                while (i >= list.row_end[block]) block++;
                for (size_t q = 0; q < k; q++)
                    for (size_t j = 0; j < n; j++) {
                        if (blocked && (q < list.begin[block] || q >= list.end[block])) continue;
                        size_t at_a = (a_per_row ? r * m * k : 0) + i * k + q;
                        size_t at_b = (b_per_row ? r * k * n : 0) + q * n + j;
                        expected[0][r * m * n + i * n + j] += p.value[0][at_a] * p.value[1][at_b];
                        expected[1][at_a] += p.value[2][i * n + j] * p.value[1][at_b];
                        expected[2][at_b] += p.value[2][i * n + j] * p.value[0][at_a];
                    }
            }
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            double *value[3];
            evaluate(&p, y, 3, dtype, value);
            for (int i = 0; i < 3; i++) {
                char what[160];
                snprintf(what, sizeof what, "(%zu,%zu)(%zu,%zu), %zu rows, per-row %d %d, blocked %d, %s, %s", m, k, k,
                         n, p.run.rows, a_per_row, b_per_row, blocked, ad_dtype_name(dtype),
                         i == 0   ? "product"
                         : i == 1 ? "gradient of A"
                                  : "gradient of B");
                assert_exact(value[i], expected[i], extent_of(&p, y[i]), what);
            }
        }
        problem_free(&p);
    }
}
END_TEST

/* Gradients of gradients of blocked products: what is a block of A is one of its transpose, of C, … */
START_TEST(product_gradients)
{
    const bool a_per_row = _i & 1, b_per_row = _i & 2;
    for (uint64_t seed = 0; seed < 6; seed++) {
        problem p = problem_new(4, 100 * seed + (uint64_t)_i);
        size_t m = 1 + draw_below(&p, 12), k = 1 + draw_below(&p, 12), n = 1 + draw_below(&p, seed % 3 ? 10 : 1);
        ad_var a = bind_random(&p, a_per_row, AD_SHAPE(m, k), -1, 1);
        ad_var b = bind_random(&p, b_per_row, AD_SHAPE(k, n), -1, 1);
        block_list list = random_blocks(&p, m, k);
        ad_var c = ad_matmul_blocks(a, b, &(ad_blocks){list.count, list.row_end, list.begin, list.end});
        ad_error error;
        ck_assert_msg(check_gradient(&p, c, &error) == AD_OK, "%s", error.message);
        ad_var second = gradient_of_squares(&p, c);
        ck_assert_msg(check_gradient(&p, second, &error) == AD_OK, "second: %s", error.message);
        ad_var third[2];
        ad_grad(second, p.leaf, 2, third);
        ad_var both = ad_add(project(&p, third[0]), project(&p, third[1]));
        ck_assert_msg(check_gradient(&p, both, &error) == AD_OK, "third: %s", error.message);
        problem_free(&p);
    }
}
END_TEST

/* Zeros outside the blocks are known, whatever is there: a NaN, say. */
START_TEST(blocks_hide_what_is_outside)
{
    static const size_t row_end[] = {1, 3}, begin[] = {0, 1}, end[] = {0, 2};
    static const double a[] = {NAN, NAN, NAN, 2, NAN, 3}, b[] = {5, 7};
    for (int per_row = 0; per_row < 2; per_row++) {
        problem p = problem_new(1, 0);
        ad_var w = bind(&p, false, AD_SHAPE(3, 2), a), x = bind(&p, per_row, AD_SHAPE(2), b), y[3];
        y[0] = ad_matmul_blocks(w, x, &(ad_blocks){2, row_end, begin, end});
        ad_grad(ad_sum(ad_square(y[0])), (ad_var[]){w, x}, 2, y + 1);
        double *value[3];
        evaluate(&p, y, 3, AD_F64, value);
        assert_exact(value[0], (double[]){0, 14, 21}, 3, "product");
        assert_exact(value[1], (double[]){0, 0, 0, 2 * 14 * 7, 0, 2 * 21 * 7}, 6, "gradient of the matrix");
        assert_exact(value[2], (double[]){0, 2 * 14 * 2 + 2 * 21 * 3}, 2, "gradient of the vector");
        problem_free(&p);
    }
}
END_TEST

/* As masked networks have them, with NaN beyond the steps: blocks that are computed in parts, and gradients that are
 * added up from many lanes, at sizes where each of these happens, in tiles of many rows and of few. */
START_TEST(staircases)
{
    static const size_t steps[][2] = {{1, 3}, {2, 12}, {4, 4}, {12, 12}, {23, 4}, {60, 1}}, rows[] = {33, 150, 1500};
    enum { M = 131, K = 157 };
    const size_t height = steps[_i / 3][0], width = steps[_i / 3][1];
    problem p = problem_new(rows[_i % 3], (uint64_t)_i);
    ad_var a = bind_whole(&p, false, AD_SHAPE(M, K)), x = bind_whole(&p, true, AD_SHAPE(K)),
           w = bind_whole(&p, false, AD_SHAPE(M)), y[3];
    size_t row_end[M], begin[M] = {0}, end[M], count = 0;
    for (size_t i = 0; i < M; count++) {
        i = i + height < M ? i + height : M;
        row_end[count] = i;
        end[count] = count * width < K ? count * width : K;
    }
    y[0] = ad_matmul_blocks(a, x, &(ad_blocks){count, row_end, begin, end});
    ad_grad(ad_sum_rows(ad_sum(ad_mul(w, y[0]))), (ad_var[]){a, x}, 2, y + 1);
    double *expected[3], *matrix = (double *)(uintptr_t)p.value[0];
    for (int i = 0; i < 3; i++) expected[i] = problem_array(&p, extent_of(&p, y[i]));
    for (size_t i = 0; i < M; i++)
        for (size_t q = 0; q < K; q++) {
            if (q >= end[i / height]) matrix[i * K + q] = NAN;
            for (size_t r = 0; r < p.run.rows && q < end[i / height]; r++) {
                expected[0][r * M + i] += matrix[i * K + q] * p.value[1][r * K + q];
                expected[1][i * K + q] += p.value[2][i] * p.value[1][r * K + q];
                expected[2][r * K + q] += p.value[2][i] * matrix[i * K + q];
            }
        }
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        double *value[3];
        evaluate(&p, y, 3, dtype, value);
        for (int i = 0; i < 3; i++)
            assert_exact(value[i], expected[i], extent_of(&p, y[i]), i == 0 ? "product" : i == 1 ? "dA" : "dx");
    }
    problem_free(&p);
}
END_TEST

/* ---- Triangular systems -------------------------------------------------------------------------------------- */

static bool is_read(size_t i, size_t j, unsigned triangle)
{
    if (i == j) return !(triangle & AD_UNIT_DIAGONAL);
    return triangle & AD_UPPER ? j > i : j < i;
}

/* A x gives b again; what lies outside of the triangle, NaN, is not read, nor by the gradient. */
START_TEST(triangular_systems)
{
    const unsigned triangle = (unsigned)_i & 3;
    const bool a_per_row = _i & 4, b_per_row = _i & 8;
    for (uint64_t seed = 0; seed < 8; seed++) {
        problem p = problem_new(1 + 7 * (size_t)seed, seed);
        size_t n = 1 + draw_below(&p, 20), m = 1 + draw_below(&p, 5);
        ad_var a = bind_random(&p, a_per_row, AD_SHAPE(n, n), -0.3, 0.3);
        ad_var b = bind_random(&p, b_per_row, m == 1 ? AD_SHAPE(n) : AD_SHAPE(n, m), -2, 2);
        double *matrix = (double *)(uintptr_t)p.value[0];
        for (size_t i = 0; i < extent_of(&p, a); i++) {
            size_t row = i / n % n, column = i % n;
            if (row == column) matrix[i] += matrix[i] < 0 ? -1 : 1;
            if (!is_read(row, column, triangle)) matrix[i] = NAN;
        }
        ad_var y[3] = {ad_solve_triangular(a, b, triangle)};
        ad_grad(project(&p, ad_square(y[0])), (ad_var[]){a, b}, 2, y + 1);
        double *x[3];
        evaluate(&p, y, 3, AD_F64, x);
        for (size_t r = 0; r < (ad_is_per_row(y[0]) ? p.run.rows : 1); r++)
            for (size_t i = 0; i < n; i++)
                for (size_t c = 0; c < m; c++) {
                    const double *of_a = row_of(matrix, a, r), *of_x = row_of(x[0], y[0], r);
                    double sum = triangle & AD_UNIT_DIAGONAL ? of_x[i * m + c] : 0, scale = 1;
                    for (size_t j = 0; j < n; j++) {
                        if (!is_read(i, j, triangle)) continue;
                        sum += of_a[i * n + j] * of_x[j * m + c];
                        scale += fabs(of_a[i * n + j] * of_x[j * m + c]);
                    }
                    ck_assert_double_lt(fabs(sum - row_of(p.value[1], b, r)[i * m + c]), 1e-14 * scale);
                }
        for (size_t i = 0; i < extent_of(&p, a); i++) {
            ck_assert(isfinite(x[1][i]));
            ck_assert(is_read(i / n % n, i % n, triangle) || x[1][i] == 0);
        }
        for (size_t i = 0; i < extent_of(&p, b); i++) ck_assert(isfinite(x[2][i]));
        problem_free(&p);
    }
}
END_TEST

/* ---- General systems ----------------------------------------------------------------------------------------- */

/* a (n,n) = P L U for a random permutation, unit triangular L and U; returns log|det a|. */
static double draw_matrix(problem *p, size_t n, double *a)
{
    double lower[20][20] = {{0}}, upper[20][20] = {{0}}, log_det = 0;
    size_t row[20];
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) *(j < i ? &lower[i][j] : &upper[i][j]) = draw(p, -0.5, 0.5);
        lower[i][i] = 1;
        upper[i][i] = draw(p, 0.5, 2) * (draw(p, 0, 1) < 0.5 ? -1 : 1);
        log_det += log(fabs(upper[i][i]));
        row[i] = i;
    }
    for (size_t i = n; i-- > 1;) {
        size_t j = draw_below(p, i + 1), saved = row[i];
        row[i] = row[j];
        row[j] = saved;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            long double sum = 0;
            for (size_t k = 0; k < n; k++) sum += (long double)lower[i][k] * upper[k][j];
            a[row[i] * n + j] = (double)sum;
        }
    return log_det;
}

/* A x gives b again, the determinant is that of the factors, and a row's bits are its own, whatever pivots others want.
 */
START_TEST(general_systems)
{
    const bool a_per_row = _i & 1, b_per_row = _i & 2;
    for (uint64_t seed = 0; seed < 12; seed++) {
        problem p = problem_new(1 + 7 * (size_t)seed, seed);
        size_t n = 1 + draw_below(&p, 20), m = 1 + draw_below(&p, 5);
        ad_var a = bind_random(&p, a_per_row, AD_SHAPE(n, n), 0, 1);
        ad_var b = bind_random(&p, b_per_row, m == 1 ? AD_SHAPE(n) : AD_SHAPE(n, m), -2, 2);
        ad_var y[] = {ad_solve(a, b), ad_log_abs_det(a)};
        double *matrix = (double *)(uintptr_t)p.value[0], *log_det = problem_array(&p, p.run.rows), *x[2];
        for (size_t r = 0; r < (a_per_row ? p.run.rows : 1); r++) log_det[r] = draw_matrix(&p, n, matrix + r * n * n);
        evaluate(&p, y, 2, AD_F64, x);
        for (size_t r = 0; r < extent_of(&p, y[1]); r++) ck_assert_double_eq_tol(x[1][r], log_det[r], 1e-12);
        for (size_t r = 0; r < (ad_is_per_row(y[0]) ? p.run.rows : 1); r++)
            for (size_t i = 0; i < n; i++)
                for (size_t c = 0; c < m; c++) {
                    const double *of_a = row_of(matrix, a, r), *of_x = row_of(x[0], y[0], r);
                    double sum = 0, scale = 1;
                    for (size_t j = 0; j < n; j++) {
                        sum += of_a[i * n + j] * of_x[j * m + c];
                        scale += fabs(of_a[i * n + j] * of_x[j * m + c]);
                    }
                    ck_assert_double_lt(fabs(sum - row_of(p.value[1], b, r)[i * m + c]), 1e-14 * scale);
                }
        for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
            double *all[2], *alone[2];
            const double *of_a = p.value[0], *of_b = p.value[1];
            const size_t rows = p.run.rows, last = rows - 1;
            evaluate(&p, y, 2, dtype, all);
            p.value[0] = row_of(of_a, a, last);
            p.value[1] = row_of(of_b, b, last);
            p.run.rows = 1;
            evaluate(&p, y, 2, dtype, alone);
            for (int i = 0; i < 2; i++)
                ck_assert_mem_eq(alone[i], row_of(all[i], y[i], last), size_of(y[i]) * sizeof(double));
            p.run.rows = rows;
            p.value[0] = of_a;
            p.value[1] = of_b;
        }
        problem_free(&p);
    }
}
END_TEST

START_TEST(singular_systems)
{
    static const double a[][9] = {{0},
                                  {1, 2, 3, 2, 4, 6, 0, 1, 1},
                                  {0, 1, 2, 0, 3, 4, 0, 5, 7},
                                  {1, 2, 3, 4, 5, 6, 2, 4, 6},
                                  {2, 0, 0, 0, 0, 3, 0, 4, 0},
                                  {1, 0, 0, 0, NAN, 0, 0, 0, 1}};
    static const double b[] = {1, 2, 3};
    problem p = problem_new(COUNT(a), 0);
    ad_var matrix = bind(&p, true, AD_SHAPE(3, 3), *a), right = bind(&p, false, AD_SHAPE(3), b);
    ad_var y[] = {ad_log_abs_det(matrix), ad_solve(matrix, right)};
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) {
        double *value[2];
        evaluate(&p, y, 2, dtype, value);
        for (size_t r = 0; r < 4; r++) {
            ck_assert(value[0][r] == -INFINITY);
            ck_assert(!isfinite(value[1][3 * r]) || !isfinite(value[1][3 * r + 1]) || !isfinite(value[1][3 * r + 2]));
        }
        ck_assert_double_eq_tol(value[0][4], log(24), 1e-6);
        for (int i = 0; i < 3; i++) ck_assert_double_eq_tol(value[1][12 + i], ((double[]){0.5, 0.75, 2. / 3})[i], 1e-7);
        ck_assert(isnan(value[0][5]));
    }
    problem_free(&p);
}
END_TEST

/* Parts of very different scale, turned into one another: the determinant of what float32 holds of them is what
 * Leibniz' formula makes of it in long double. The bits of a row are its own. */
START_TEST(determinants_of_far_scales)
{
    enum { COUNT_OF = 48 };
    problem p = problem_new(COUNT_OF, 1);
    double *value = problem_array(&p, COUNT_OF * 9), expected[COUNT_OF];
    for (size_t r = 0; r < COUNT_OF; r++) {
        const double scale[] = {1, pow(10, -(double)(r % 6)), pow(10, -1.5 * (double)(r % 6))};
        double *a = value + 9 * r;
        for (size_t i = 0; i < 3; i++)
            for (size_t j = 0; j < 3; j++) {
                a[3 * i + j] = 0;
                for (size_t k = 0; k < 3; k++)
                    a[3 * i + j] += ad_random_normal(1, r, 3 * i + k) * scale[k] * ad_random_normal(2, r, 3 * k + j);
                a[3 * i + j] = (float)a[3 * i + j];
            }
        long double det = 0;
        for (size_t k = 0; k < 3; k++) {
            const size_t l = (k + 1) % 3, m = (k + 2) % 3;
            det += (long double)a[k] * ((long double)a[3 + l] * a[6 + m] - (long double)a[3 + m] * a[6 + l]);
        }
        expected[r] = (double)logl(fabsl(det));
    }
    ad_var matrix = bind(&p, true, AD_SHAPE(3, 3), value);
    const double *together = value_of(&p, ad_log_abs_det(matrix), AD_F32);
    for (size_t r = 0; r < COUNT_OF; r++) {
        ck_assert_double_eq_tol(together[r], expected[r], 2e-4 * fmax(1, fabs(expected[r])));
        problem one = problem_new(1, 1);
        ad_var alone = bind(&one, r % 2, AD_SHAPE(3, 3), value + 9 * r);
        ck_assert_double_eq(*value_of(&one, ad_log_abs_det(alone), AD_F32), together[r]);
        problem_free(&one);
    }
    problem_free(&p);
}
END_TEST

Suite *matrices_suite(void)
{
    Suite *suite = suite_create("matrices");
    TCase *matrices = tcase_create("matrices");
    tcase_set_timeout(matrices, 60);
    tcase_add_loop_test(matrices, products, 0, 8);
    tcase_add_loop_test(matrices, product_gradients, 0, 4);
    tcase_add_test(matrices, blocks_hide_what_is_outside);
    tcase_add_loop_test(matrices, staircases, 0, 18);
    tcase_add_loop_test(matrices, triangular_systems, 0, 16);
    tcase_add_loop_test(matrices, general_systems, 0, 4);
    tcase_add_test(matrices, singular_systems);
    tcase_add_test(matrices, determinants_of_far_scales);
    suite_add_tcase(suite, matrices);
    return suite;
}
