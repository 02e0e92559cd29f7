/* Memory: runs allocate nothing, every allocation may fail, and sizes may overflow. */
#include "autodiff/engine.h"
#include "base/gemm.h"
#include "sanitized.h"
#include "scratch.h"

#include <sys/resource.h>
#include <sys/wait.h>

/* Counts calls, bytes in use, which are kept before each block, and all bytes ever asked for. A pool's threads release
 * what they were started with. */
static struct {
    _Atomic size_t calls, bytes, asked;
} counted;

enum { HEADER = 16 };

static void *count_allocate(size_t bytes)
{
    size_t *block = malloc(bytes + HEADER);
    if (!block) return NULL;
    *block = bytes;
    counted.calls++;
    counted.bytes += bytes;
    counted.asked += bytes;
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

/* A run allocates once, and little more for many rows than for some; nothing is left behind. */
START_TEST(memory_of_runs)
{
    enum { MANY = 1000000, D = 5, HIDDEN = 20 };
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
    ck_assert_uint_lt(counted.bytes - small, 16 * (sizeof gradient + 128)); /* 16 accumulators */
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = MANY, .pool = pool}, NULL), AD_OK);
    const size_t calls = counted.calls, bytes = counted.bytes;
    ck_assert_uint_lt(bytes - small, 16 * 7 * (sizeof gradient + 128)); /* 16 nodes of 64 lanes */
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

static ad_var stretch(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner;
    return ad_add(z, ad_mul(ad_exp(captured[0]), z));
}

/* What the gradient of so many roots, one behind the other, asks for. */
static size_t asked_for_roots(int count)
{
    enum { MOST = 800 };
    ad_tape *tape = ad_tape_new();
    ad_var z = ad_input(tape, "x", AD_SHAPE(2)), w[MOST], gradient[MOST];
    for (int i = 0; i < count; i++) {
        w[i] = ad_param(tape, "w", AD_SHAPE(2));
        z = ad_root(z, &w[i], 1, AD_ROOT_GENERAL, NULL, stretch, NULL);
    }
    const ad_var loss = ad_sum_rows(ad_sum(z));
    const size_t before = counted.asked;
    ad_grad(loss, w, count, gradient);
    ck_assert(!ad_tape_error(tape) && ad_is_valid(gradient[0]));
    const size_t asked = counted.asked - before;
    ad_tape_free(tape);
    return asked;
}

/* Roots' gradients make sweeps of their own, each of which goes through one root's nodes and not through the tape. */
START_TEST(gradients_of_long_chains)
{
    ad_set_allocator(&(ad_allocator){count_allocate, count_reallocate, count_release});
    const size_t few = asked_for_roots(200), many = asked_for_roots(800);
    ad_set_allocator(NULL);
    ck_assert_msg(many < 8 * few, "%zu bytes for 200 roots, %zu for 800", few, many);
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
    h = ad_add(h, ad_cholesky_solve(ad_cholesky(v[1]), ad_mul(h, ad_diagonal(v[1]))));
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

/* ---- Buffers of matrix products --------------------------------------------------------------------------------- */

/* Sanitizers have their own use for the address space. */
#if !SANITIZED

static size_t address_space(void)
{
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm || fscanf(statm, "%zu", &pages) != 1) abort();
    fclose(statm);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

enum { LITTLE = 6 << 20 }; /* bytes; less than the buffers of a few products take on any CPU */

/* No more address space than there is now, and a little. */
static void limit_memory(bool limited)
{
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = limited ? address_space() + LITTLE : limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
}

/* In a process of its own; the number of the line where it went wrong. */
static int run_short_of_memory(ad_tape *tape)
{
    enum { ROWS = 4096, WIDTH = 24, THREADS = 6 };
    static float x[ROWS * WIDTH], w[WIDTH * WIDTH], sum, again;
    for (size_t i = 0; i < COUNT(x); i++) x[i] = sinf((float)i);
    for (size_t i = 0; i < COUNT(w); i++) w[i] = cosf((float)i);
    ad_var in = ad_input(tape, "x", AD_SHAPE(WIDTH)), weight = ad_param(tape, "w", AD_SHAPE(WIDTH, WIDTH));
    ad_var y = ad_sum_rows(ad_sum(ad_tanh(ad_matmul(weight, in))));
    ad_pool *pool = ad_pool_new(THREADS, NULL);
    ad_error error = {AD_OK, ""};

    limit_memory(true); /* the library may have been started before */
    ad_plan *plan = ad_plan_new(&y, 1, NULL, &error);
    if (!plan && error.status != AD_ERROR_MEMORY) return __LINE__;
    limit_memory(false);
    if (!plan) plan = ad_plan_new(&y, 1, NULL, &error);
    if (!plan) return __LINE__;
    ad_plan_set_input(plan, in, x);
    ad_plan_set_input(plan, weight, w);
    ad_plan_set_output(plan, 0, &sum);

    const bool takes_buffers = strcmp(ad_gemm_name(), "blis") == 0; /* LIBXSMM's kernels take none */
    limit_memory(true);
    for (int i = 0; i < 2; i++) {
        ad_status status = ad_plan_run(plan, &(ad_run){.rows = ROWS, .pool = pool}, &error);
        if (status != (takes_buffers ? AD_ERROR_MEMORY : AD_OK)) return __LINE__;
        if (status && !strstr(error.message, "out of memory for the buffers of matrix products")) return __LINE__;
    }
    limit_memory(false);
    if (ad_plan_run(plan, &(ad_run){.rows = ROWS}, &error) != AD_OK) return __LINE__;
    ad_plan_set_output(plan, 0, &again);
    if (ad_plan_run(plan, &(ad_run){.rows = ROWS, .pool = pool}, &error) != AD_OK || again != sum) return __LINE__;
    ad_plan_free(plan);
    ad_pool_free(pool);
    return 0;
}

/* What multiplies matrices would abort. */
START_TEST(memory_of_products)
{
    ad_tape *tape = ad_tape_new();
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        const int line = run_short_of_memory(tape);
        if (line) fprintf(stderr, "line %d\n", line);
        _exit(line ? 1 : 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ad_tape_free(tape);
}
END_TEST

#endif

Suite *memory_suite(void)
{
    Suite *suite = suite_create("memory");
    TCase *memory_case = tcase_create("memory");
    tcase_set_timeout(memory_case, 60);
    tcase_add_test(memory_case, memory_of_runs);
    tcase_add_test(memory_case, gradients_of_long_chains);
    tcase_add_test(memory_case, every_allocation_fails);
    tcase_add_test(memory_case, overflowing_sizes);
#if !SANITIZED
    tcase_add_test(memory_case, memory_of_products);
#endif
    suite_add_tcase(suite, memory_case);
    return suite;
}
