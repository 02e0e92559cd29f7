/* Inner programs of roots: roots within roots, lifetimes, memory and mistakes. */
#include "autodiff/maps.h"
#include "scratch.h"

/* ---- Roots within roots, lifetimes, memory ---------------------------------------------------------------------- */

/* The inverse of a ripple, as f. */
static ad_var inner_root(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner;
    return ad_root(z, captured, 1, AD_ROOT_ELEMENTWISE, NULL, ripple_record, NULL);
}

START_TEST(roots_within_roots)
{
    problem p = problem_new(50, 4);
    ad_var x = bind_random(&p, true, AD_SHAPE(2), -3, 3), a = bind_random(&p, true, AD_SHAPE(2), -1, 1);
    ad_var z = ad_root(x, &a, 1, AD_ROOT_ELEMENTWISE, NULL, inner_root, NULL),
           ripple = ripple_record(NULL, NULL, x, &a);
    double *value[2];
    evaluate(&p, (ad_var[]){z, ripple}, 2, AD_F64, value);
    for (size_t i = 0; i < 100; i++) ck_assert_double_eq_tol(value[0][i], value[1][i], 2e-14);
    problem_free(&p);
}
END_TEST

/* Counts calls, and blocks in use. */
static struct {
    _Atomic size_t calls, blocks;
} counted_memory;

static void *count_allocate(size_t bytes)
{
    counted_memory.calls++;
    counted_memory.blocks++;
    return malloc(bytes);
}

static void count_release(void *address)
{
    counted_memory.blocks--;
    free(address);
}

static void *count_reallocate(void *old, size_t bytes)
{
    counted_memory.calls++;
    if (!old) counted_memory.blocks++;
    return realloc(old, bytes);
}

/* Plans outlive the tape, and the last of them takes the inner programs along; runs after the first allocate nothing.
 */
START_TEST(lifetimes)
{
    enum { ROWS = 100 };
    static double x[ROWS * 5], b[ROWS * 5], w[25], z[2][ROWS * 5];
    staircase s = {5, {4, 2, 0, 1, 3}};
    for (int i = 0; i < ROWS * 5; i++) {
        x[i] = sin(i);
        b[i] = cos(i);
        w[i % 25] = sin(2 * i);
    }
    ad_set_allocator(&(ad_allocator){count_allocate, count_reallocate, count_release});
    problem p = problem_new(ROWS, 0);
    ad_var root = three_roots(&p, &s);
    ad_plan *plan[2];
    for (int i = 0; i < 2; i++) plan[i] = ad_plan_new(&root, 1, &(ad_plan_options){AD_F64, 16}, NULL);
    const void *values[] = {x, w, b};
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 3; k++) ad_plan_set_input(plan[i], p.leaf[k], values[k]);
        ad_plan_set_output(plan[i], 0, z[i]);
    }
    ad_tape_free(p.tape);
    p.tape = NULL;
    ad_pool *pool = ad_pool_new(3, NULL);
    ck_assert_int_eq(ad_plan_run(plan[0], &(ad_run){.rows = ROWS, .pool = pool}, NULL), AD_OK);
    ad_plan_free(plan[0]);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(ad_plan_run(plan[1], &(ad_run){.rows = ROWS, .pool = pool}, NULL), AD_OK);
    ck_assert_mem_eq(z[0], z[1], sizeof z[0]);
    const size_t calls = counted_memory.calls;
    static const size_t rows[] = {1, ROWS, 17, ROWS};
    for (size_t i = 0; i < COUNT(rows); i++)
        ck_assert_int_eq(ad_plan_run(plan[1], &(ad_run){.rows = rows[i], .pool = i % 2 ? pool : NULL}, NULL), AD_OK);
    ck_assert_uint_eq(counted_memory.calls, calls);
    ad_pool_free(pool);
    ad_plan_free(plan[1]);
    ck_assert_uint_eq(counted_memory.blocks, 0);
    ad_set_allocator(NULL);
    problem_free(&p);
}
END_TEST

START_TEST(every_allocation_fails)
{
    static const double x[5] = {1, 2, 3, 4, 5}, w[25] = {0.5};
    staircase s = {5, {4, 2, 0, 1, 3}};
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        double z[5];
        problem p = problem_new(1, 0);
        ad_error fault = {AD_OK, ""};
        memory_limit(allowed);
        ad_var root = three_roots(&p, &s);
        ad_plan *plan = ad_plan_new(&root, 1, &(ad_plan_options){.dtype = AD_F64}, &fault);
        const void *values[] = {x, w, x};
        if (plan) {
            for (int k = 0; k < 3; k++) ad_plan_set_input(plan, p.leaf[k], values[k]);
            ad_plan_set_output(plan, 0, z);
            fault.status = ad_plan_run(plan, &(ad_run){.rows = 1}, &fault);
        }
        denied = memory.denied;
        memory_unlimited();
        ck_assert_msg(fault.status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu allocations: %s", allowed,
                      fault.message);
        if (plan && denied) ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 1}, NULL), AD_OK);
        ad_plan_free(plan);
        problem_free(&p);
    }
}
END_TEST

/* ---- Mistakes --------------------------------------------------------------------------------------------------- */

static ad_var wrong_shape(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)captured;
    return ad_sum(z);
}

static ad_var wrong_tape(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)inner, (void)z, (void)captured;
    return *(ad_var *)context;
}

static ad_var wrong_op(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)captured;
    return ad_slice(z, 0, 2, 9);
}

static ad_var mixes_rows(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)captured;
    return ad_sub(z, ad_sum_rows(z));
}

static ad_var draws(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)captured;
    return ad_add(z, ad_normal(inner, AD_SHAPE(2), 0));
}

START_TEST(mistakes)
{
    static const size_t twice[] = {1, 1}, beyond[] = {0, 2};
    ad_tape *other = ad_tape_new();
    ad_var foreign = ad_scalar(other, 1);
    for (int i = 0;; i++) {
        ad_tape *tape = ad_tape_new();
        ad_var x = ad_input(tape, "x", AD_SHAPE(2)), m = ad_param(tape, "m", AD_SHAPE(2, 2)), outer = x;
        const struct {
            ad_var x, captured;
            ad_root_kind kind;
            const size_t *order;
            recorder *f;
            const char *words;
        } cases[] = {
            {m, x, AD_ROOT_GENERAL, NULL, identity_map, "root: x has shape (2,2): takes (D)"},
            {x, x, (ad_root_kind)7, NULL, identity_map, "no kind 7"},
            {x, foreign, AD_ROOT_GENERAL, NULL, identity_map, "argument 2 is not a value of this tape"},
            {(ad_var){0}, x, AD_ROOT_GENERAL, NULL, identity_map, "argument 1 is not a value of this tape"},
            {x, x, AD_ROOT_TRIANGULAR, twice, identity_map, "order[1] is 1: expected each of 0 … 1 once"},
            {x, x, AD_ROOT_TRIANGULAR, beyond, identity_map, "order[1] is 2"},
            {x, x, AD_ROOT_GENERAL, NULL, NULL, "f is NULL"},
            {x, x, AD_ROOT_GENERAL, NULL, wrong_shape,
             "root_general: f must give a value of the inner tape, of shape "
             "(2); got ()"},
            {x, x, AD_ROOT_GENERAL, NULL, wrong_tape, "got none"},
            {x, x, AD_ROOT_ELEMENTWISE, NULL, wrong_op, "root_elementwise: slice: elements 2 to 9"},
            {x, x, AD_ROOT_ELEMENTWISE, NULL, mixes_rows, "f may not use 'sum_rows'"},
            {x, x, AD_ROOT_GENERAL, NULL, draws, "f may not use 'normal'"},
        };
        if (i == COUNT(cases)) {
            ad_tape_free(tape);
            break;
        }
        ad_tape_enter(tape, "outer");
        ad_var z = ad_root(cases[i].x, &cases[i].captured, 1, cases[i].kind, cases[i].order, cases[i].f, &outer);
        ck_assert(!ad_is_valid(z));
        const ad_error *fault = ad_tape_error(tape);
        ck_assert_msg(fault && strstr(fault->message, cases[i].words) && strstr(fault->message, "in outer: "),
                      "'%s' is not in: %s", cases[i].words, fault ? fault->message : "");
        /* On a tape that failed, f is not asked again. */
        ck_assert(!ad_is_valid(ad_root(x, NULL, 0, AD_ROOT_GENERAL, NULL, NULL, NULL)));
        ad_tape_free(tape);
    }
    ad_tape_free(other);
}
END_TEST

Suite *inner_suite(void)
{
    Suite *suite = suite_create("inner");
    TCase *use = tcase_create("use");
    tcase_set_timeout(use, 60);
    tcase_add_test(use, roots_within_roots);
    tcase_add_test(use, lifetimes);
    tcase_add_test(use, every_allocation_fails);
    tcase_add_test(use, mistakes);
    suite_add_tcase(suite, use);
    return suite;
}
