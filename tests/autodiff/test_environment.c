/* The floating-point environment, which numbers don't depend on; and products of matrices, whose bits are one element's
 * own. */
#include "autodiff/engine.h"
#include "base/gemm.h"
#include "environments.h"

#include <unistd.h>

/* ---- Environments ----------------------------------------------------------------------------------------------- */

/* The control bits, and the exceptions that were raised. */
typedef struct {
    int rounding, traps, raised;
    unsigned control;
} state;

static state now(void)
{
    state s = {fegetround(), fegetexcept(), fetestexcept(FE_ALL_EXCEPT), 0};
#if defined(__SSE2__)
    s.control = __builtin_ia32_stmxcsr();
#elif defined(__aarch64__)
    unsigned long control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    s.control = (unsigned)control;
#endif
    return s;
}

/* But for exceptions, which MXCSR has in its first bits. */
static void assert_same_control(state a, state b)
{
    ck_assert_int_eq(a.rounding, b.rounding);
    ck_assert_int_eq(a.traps, b.traps);
    ck_assert_uint_eq(a.control & ~0x3fu, b.control & ~0x3fu);
}

/* Sums, products, functions, a quotient by 0, and numbers too small to be normal. */
enum { ROWS = 500, N = 20, OUTPUTS = 5 };

typedef struct {
    double sum[1], gradient[N * N], row[ROWS], small[ROWS], infinite[ROWS];
} results;

static ad_plan *make_plan(problem *p, ad_dtype dtype, results *out)
{
    ad_var a = bind_random(p, true, AD_SHAPE(N), -1, 1), b = bind_random(p, false, AD_SHAPE(N, N), -1, 1);
    ad_var h = ad_tanh(ad_matmul(b, a)), row = ad_sum(ad_exp(ad_log(ad_add_scalar(ad_square(h), 0.1))));
    ad_var sum = ad_sum_rows(row), small = ad_mul_scalar(row, dtype == AD_F32 ? 1e-41 : 1e-312);
    ad_var output[OUTPUTS] = {sum, ad_grad1(sum, b), row, small, ad_div(row, ad_sub(row, row))};
    void *to[OUTPUTS] = {out->sum, out->gradient, out->row, out->small, out->infinite};
    ad_plan *plan = ad_plan_new(output, OUTPUTS, &(ad_plan_options){.dtype = dtype, .tile_rows = 64}, NULL);
    for (int i = 0; i < OUTPUTS; i++) ad_plan_set_output(plan, i, to[i]);
    for (int i = 0; i < p->n_leaf; i++) {
        const size_t n = extent_of(p, p->leaf[i]);
        void *data = problem_array(p, n);
        ad_from_double(dtype, p->value[i], data, n);
        ad_plan_set_input(plan, p->leaf[i], data);
    }
    return plan;
}

/* A run changes neither the environment nor the exceptions that were raised. */
static void run_in(void (*set)(void), ad_plan *plan, ad_pool *pool)
{
    fenv_t own;
    feholdexcept(&own);
    set();
    const state before = now();
    ad_status status = ad_plan_run(plan, &(ad_run){.rows = ROWS, .pool = pool}, NULL);
    const state after = now();
    fesetenv(&own);
    ck_assert_int_eq(status, AD_OK);
    ck_assert_mem_eq(&before, &after, sizeof before);
}

/* Pools are made before it is set, and after: threads take it over. */
START_TEST(bits_in_any_environment)
{
    static results expected, got;
    const ad_dtype dtype = _i % 2 ? AD_F64 : AD_F32;
    problem p = problem_new(ROWS, 3);
    ad_plan *plan = make_plan(&p, dtype, &got);
    memset(&got, 0, sizeof got);
    run_in(leave_as_it_is, plan, NULL);
    expected = got;
    for (int threads = 0; threads <= 4; threads++)
        for (int late = 0; late < 2; late++) {
            fenv_t own;
            fegetenv(&own);
            if (late) environments[_i / 2]();
            ad_pool *pool = threads ? ad_pool_new(threads, NULL) : NULL;
            fesetenv(&own);
            memset(&got, 0, sizeof got);
            run_in(environments[_i / 2], plan, pool);
            ck_assert_mem_eq(&got, &expected, sizeof got);
            ad_pool_free(pool);
        }
    ad_plan_free(plan);
    problem_free(&p);
}
END_TEST

/* What jobs find. */
static void look(void *context, size_t i, int worker)
{
    (void)worker;
    ((state *)context)[i] = now();
}

START_TEST(jobs_have_the_default_environment)
{
    enum { JOBS = 50 };
    const state normal = now();
    state found[JOBS];
    for (int threads = 0; threads <= 3; threads++) {
        fenv_t own;
        feholdexcept(&own);
        environments[_i]();
        ad_pool *pool = threads ? ad_pool_new(threads, NULL) : NULL;
        ad_pool_run(pool, JOBS, look, found);
        ad_pool_free(pool);
        fesetenv(&own);
        for (int i = 0; i < JOBS; i++) {
            assert_same_control(found[i], normal);
            ck_assert_int_eq(found[i].raised, 0);
        }
    }
}
END_TEST

START_TEST(environments_nest)
{
    fenv_t own;
    fegetenv(&own);
    const state normal = now();
    environments[_i]();
    const state set = now();
    ad_environment outer = ad_environment_enter();
    const state within = now();
    ad_environment inner = ad_environment_enter();
    ad_environment_leave(&inner);
    const state between = now();
    ad_environment_leave(&outer);
    const state left = now();
    fesetenv(&own);
    ck_assert_mem_eq(&left, &set, sizeof set);
    ck_assert_mem_eq(&between, &within, sizeof within);
    assert_same_control(within, normal);
}
END_TEST

/* ---- Products of matrices -----------------------------------------------------------------------------------------
 */

/* Element (i,j) has the bits that it has with column j alone, which is asked for with a step between columns that no
 * kernel is made for: where there are kernels, it is calculated without. */
#define DEFINE_PRODUCTS(real, suffix)                                                                                  \
    static void compare_##suffix(size_t m, size_t n, size_t k, bool transpose_b, real beta)                            \
    {                                                                                                                  \
        const size_t step = (size_t)1 << (sizeof(size_t) > 4 ? 40 : 28);                                               \
        real *a = calloc(m * k, sizeof *a), *b = calloc(n * k, sizeof *b), *column = calloc(k, sizeof *b);             \
        real *c = calloc(m * n, sizeof *c), *alone = calloc(m * n, sizeof *c);                                         \
        for (size_t i = 0; i < m * k; i++) a[i] = (real)sin((double)i);                                                \
        for (size_t i = 0; i < n * k; i++) b[i] = (real)cos((double)i);                                                \
        for (size_t i = 0; i < m * n; i++) alone[i] = c[i] = (real)i / 3;                                              \
        ad__gemm_##suffix(m, n, k, a, m, b, transpose_b ? n : k, transpose_b, beta, c, m);                             \
        for (size_t j = 0; j < n; j++) {                                                                               \
            for (size_t p = 0; p < k; p++) column[p] = transpose_b ? b[p * n + j] : b[j * k + p];                      \
            ad__gemm_##suffix(m, 1, k, a, m, column, step, false, beta, alone + j * m, m);                             \
        }                                                                                                              \
        ck_assert_msg(memcmp(c, alone, m *n * sizeof *c) == 0, "%zu x %zu x %zu", m, n, k);                            \
        free(alone);                                                                                                   \
        free(c);                                                                                                       \
        free(column);                                                                                                  \
        free(b);                                                                                                       \
        free(a);                                                                                                       \
    }
DEFINE_PRODUCTS(float, f32)
DEFINE_PRODUCTS(double, f64)

START_TEST(elements_of_products_by_themselves)
{
    static const size_t rows[] = {16, 32, 48, 64, 80, 144}, columns[] = {1, 2, 3, 7, 15, 16, 17, 40},
                        terms[] = {1, 2, 3, 8, 17, 70};
    ck_assert_int_eq(ad__gemm_start(NULL), AD_OK);
    for (size_t i = 0; i < COUNT(rows) * COUNT(columns) * COUNT(terms) * 4; i++) {
        const size_t m = rows[i / 4 % COUNT(rows)], n = columns[i / 4 / COUNT(rows) % COUNT(columns)];
        const size_t k = terms[i / 4 / COUNT(rows) / COUNT(columns)];
        compare_f32(m, n, k, i % 2, (float)(i / 2 % 2));
        compare_f64(m, n, k, i % 2, (double)(i / 2 % 2));
    }
}
END_TEST

/* Of any height: kernels differ by how many vectors of rows there are, and by what is left of the last. */
START_TEST(elements_of_products_of_any_height)
{
    static const size_t columns[] = {1, 2, 5, 11, 12, 17, 31};
    ck_assert_int_eq(ad__gemm_start(NULL), AD_OK);
    for (size_t m = 1; m <= 144; m++)
        for (size_t j = 0; j < COUNT(columns); j++) {
            compare_f32(m, columns[j], 7, m % 2, 0);
            compare_f64(m, columns[j], 7, m % 2, 0);
        }
}
END_TEST

/* LIBXSMM's own start opens a file of a known name there. */
START_TEST(no_file_in_tmp)
{
    ck_assert_int_eq(ad__gemm_start(NULL), AD_OK);
    compare_f32(64, 5, 5, false, 0);
    char name[64], target[256] = "";
    for (int descriptor = 0; descriptor < 256; descriptor++) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
        ssize_t length = readlink(name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        ck_assert_msg(!strstr(target, "xsmm"), "%s is open", target);
    }
}
END_TEST

Suite *environment_suite(void)
{
    Suite *suite = suite_create("environment");
    TCase *numbers = tcase_create("numbers"), *products = tcase_create("products");
    tcase_add_loop_test(numbers, bits_in_any_environment, 0, 2 * (int)COUNT(environments));
    tcase_add_loop_test(numbers, jobs_have_the_default_environment, 0, (int)COUNT(environments));
    tcase_add_loop_test(numbers, environments_nest, 0, (int)COUNT(environments));
    tcase_add_test(products, elements_of_products_by_themselves);
    tcase_add_test(products, elements_of_products_of_any_height);
    tcase_add_test(products, no_file_in_tmp);
    tcase_set_timeout(products, 60);
    suite_add_tcase(suite, numbers);
    suite_add_tcase(suite, products);
    return suite;
}
