/* The engine's public functions, with NULL for each pointer that they take, and with vars of no tape and of another. */
#include "null_cases.h"

#include <weir/environment.h>
#include <weir/gradcheck.h>
#include <weir/op.h>
#include <weir/plan.h>

static ad_tape *tape;
static ad_var x, w;
static ad_plan *plan;
static ad_object *object;
static double in[6] = {1, 2, 3, 4, 5, 6}, out[6];

static void set_up(void)
{
    tape = null_call.tape = ad_tape_new();
    x = ad_input(tape, "x", AD_SHAPE(2));
    w = ad_param(tape, "w", AD_SHAPE(2, 2));
    ad_var y = ad_exp(x);
    plan = ad_plan_new(&y, 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    object = ad_object_new(NULL, NULL);
    ad_plan_set_input(plan, x, in);
    ad_plan_set_output(plan, 0, out);
}

static void tear_down(void)
{
    ad_object_release(object);
    ad_plan_free(plan);
    ad_tape_free(tape);
}

static void kept(void *memory)
{
    (void)memory;
}

static void release_object(void *made)
{
    ad_object_release(made);
}

static void free_plan(void *made)
{
    ad_plan_free(made);
}

static ad_status read_rows(void *context, size_t first, const uint32_t *index, size_t rows, void *to, size_t stride,
                           ad_error *why)
{
    (void)context, (void)first, (void)index, (void)rows, (void)to, (void)stride, (void)why;
    return AD_OK;
}

static void job(void *context, size_t i, int worker)
{
    (void)context, (void)i, (void)worker;
}

static void destroy(void *data)
{
    (void)data;
}

static ad_var twice(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)captured;
    return ad_mul_scalar(z, 2);
}

static ad_var growth(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)t, (void)captured;
    return z;
}

static void call_base(void)
{
    static const size_t end[] = {2}, begin[] = {0};
    CASE(ad_error_set) status(ad_error_set(ERROR, AD_OK, HARMLESS(format, "%d"), 1));
    CASE(ad_printable) QUIET(ad_printable(HARMLESS(text, (char[]){"a"})));
    CASE(ad_environment_leave)
    {
        const ad_environment environment = ad_environment_enter();
        QUIET(ad_environment_leave(HARMLESS(environment, &environment)));
    }
    CASE(ad_all_finite) good(ad_all_finite(AD_F64, HARMLESS(values, in), 6));
    CASE(ad_from_double) QUIET(ad_from_double(AD_F64, HARMLESS(from, in), HARMLESS(to, out), 6));
    CASE(ad_to_double) QUIET(ad_to_double(AD_F64, HARMLESS(from, in), HARMLESS(to, out), 6));
    CASE(ad_element) QUIET(ad_element(AD_F64, HARMLESS(values, in), 1));
    CASE(ad_set_element) QUIET(ad_set_element(AD_F64, HARMLESS(values, out), 1, 2));
    CASE(ad_shape_text) QUIET(ad_shape_text(AD_SHAPE(2), HARMLESS(buffer, (char[128]){0})));
    CASE(ad_set_allocator) QUIET(ad_set_allocator(OPTIONAL(allocator, (&(ad_allocator){malloc, realloc, free}))));
    CASE(ad_free_aligned) QUIET(ad_free_aligned(OPTIONAL(memory, ad_alloc_aligned(1, 1))));
    CASE(ad_realloc) MADE(ad_free, ad_realloc(OPTIONAL(memory, ad_alloc(1, 1)), 2, 1));
    CASE(ad_free) QUIET(ad_free(OPTIONAL(memory, ad_alloc(1, 1))));
    CASE(ad_strdup) MADE(ad_free, ad_strdup(HARMLESS(text, "a")));
    CASE(ad_object_new) MADE(release_object, ad_object_new(OPTIONAL(data, in), OPTIONAL(destroy, destroy)));
    CASE(ad_object_release) QUIET(ad_object_release(OPTIONAL(object, ad_object_new(NULL, NULL))));
    CASE(ad_object_data) QUIET(ad_object_data(HARMLESS(object, object)));
    CASE(ad_pool_new) MADE(kept, (ad_pool_free(ad_pool_new(1, ERROR)), plan));
    CASE(ad_pool_free) QUIET(ad_pool_free(OPTIONAL(pool, ad_pool_new(1, NULL))));
    CASE(ad_pool_threads) QUIET(ad_pool_threads(HARMLESS(pool, (ad_pool *)NULL)));
    CASE(ad_pool_communicator) QUIET(ad_pool_communicator(HARMLESS(pool, (ad_pool *)NULL)));
    CASE(ad_pool_set_communicator)
    {
        ad_pool *alone = ad_pool_new(1, NULL);
        status(ad_pool_set_communicator(NEEDED(pool, alone), OPTIONAL(communicator, (const ad_communicator *)NULL),
                                        ERROR));
        ad_pool_free(alone);
    }
    CASE(ad_pool_run) QUIET(ad_pool_run(OPTIONAL(pool, (ad_pool *)NULL), 1, HARMLESS(job, job), OPTIONAL(context, in)));
    CASE(ad_random_bits) QUIET(ad_random_bits(1, 2, 3, HARMLESS(bits, (uint32_t[4]){0})));
    CASE(ad_permutation_image)
    {
        const ad_permutation order = ad_permutation_of(1, 2, 3);
        QUIET(ad_permutation_image(HARMLESS(permutation, &order), 0));
    }
    CASE(ad_matmul_blocks)
    {
        const ad_blocks blocks = {1, end, begin, end};
        recorded(ad_matmul_blocks(w, x, NEEDED(blocks, &blocks)));
    }
}

static void call_tape(void)
{
    CASE(ad_tape_free) QUIET(ad_tape_free(OPTIONAL(tape, ad_tape_new())));
    CASE(ad_tape_error) QUIET(ad_tape_error(HARMLESS(tape, tape)));
    CASE(ad_tape_fail) QUIET(ad_tape_fail(OPTIONAL(tape, tape), AD_ERROR_NUMERIC, HARMLESS(format, "%d"), 1));
    CASE(ad_tape_enter) QUIET(ad_tape_enter(OPTIONAL(tape, tape), OPTIONAL(name, "a")));
    CASE(ad_tape_leave) QUIET(ad_tape_leave(OPTIONAL(tape, tape)));
    CASE(ad_tape_alloc) MADE(kept, ad_tape_alloc(HARMLESS(tape, tape), 1, 1));
    CASE(ad_tape_print)
    {
        FILE *to = tmpfile();
        QUIET(ad_tape_print(OPTIONAL(tape, tape), HARMLESS(to, to)));
        fclose(to);
    }
    CASE(ad_input) recorded(ad_input(HARMLESS(tape, tape), OPTIONAL(name, "a"), AD_SHAPE(2)));
    CASE(ad_param) recorded(ad_param(HARMLESS(tape, tape), OPTIONAL(name, "a"), AD_SHAPE(2)));
    CASE(ad_constant) recorded(ad_constant(HARMLESS(tape, tape), AD_SHAPE(2), NEEDED(values, in)));
    CASE(ad_scalar) recorded(ad_scalar(HARMLESS(tape, tape), 1));
    CASE(ad_row_count) recorded(ad_row_count(HARMLESS(tape, tape)));
    CASE(ad_normal) recorded(ad_normal(HARMLESS(tape, tape), AD_SHAPE(2), 0));
    CASE(ad_tape_shift_streams) QUIET(ad_tape_shift_streams(HARMLESS(tape, tape), 0));
    CASE(ad_uniform) recorded(ad_uniform(HARMLESS(tape, tape), AD_SHAPE(2), 0));
    CASE(ad_concat) recorded(ad_concat(HARMLESS(parts, &x), 1, 0)); /* there is no tape to tell */
    CASE(ad_gather) recorded(ad_gather(x, NEEDED(index, (&(size_t){0})), 1));
    CASE(ad_scatter) recorded(ad_scatter(x, NEEDED(index, ((size_t[]){0, 1})), 2, 3));
    CASE(ad_root)
    recorded(ad_root(x, NEEDED(captured, &w), 1, AD_ROOT_TRIANGULAR, OPTIONAL(order, ((size_t[]){0, 1})),
                     NEEDED(f, twice), OPTIONAL(context, in)));
    CASE(ad_ode)
    recorded(ad_ode(x, ad_scalar(tape, 0), ad_scalar(tape, 1), NEEDED(captured, &w), 1,
                    OPTIONAL(options, &(ad_ode_options){0}), NEEDED(f, growth), OPTIONAL(context, in)));
    CASE(ad_grad)
    {
        ad_var gradient = {tape, -1};
        ad_grad(ad_sum(ad_exp(x)), NEEDED(wrt, &x), 1, NEEDED(gradient, &gradient));
        if (ad_tape_error(tape)) gradient.id = -1;
        recorded(null_call.mark == IS_NEEDED && !ad_tape_error(tape) ? x : gradient);
    }
    CASE(ad_apply)
    {
        const ad_op *op = NULL;
        for (const ad_op *const *o = ad_all_ops(); *o; o++)
            if (strcmp((*o)->name, "leaky_relu") == 0) op = *o;
        recorded(ad_apply(NEEDED(op, op), NEEDED(in, &x), 1, NEEDED(attribute, in), 1, OPTIONAL(tape, tape)));
    }
    CASE(ad_apply_object)
    {
        const ad_op *op = NULL;
        for (const ad_op *const *o = ad_all_ops(); *o; o++)
            if (strcmp((*o)->name, "leaky_relu") == 0) op = *o;
        recorded(ad_apply_object(NEEDED(op, op), NEEDED(in, &x), 1, NEEDED(attribute, in), 1, OPTIONAL(object, object),
                                 OPTIONAL(tape, tape)));
    }
}

static void call_plan(void)
{
    const double *points[] = {in};
    const ad_var y = ad_exp(x);
    bool depends[4];
    CASE(ad_dependence) status(ad_dependence(y, x, NEEDED(depends, depends), ERROR));
    CASE(ad_tape_size) QUIET(ad_tape_size(HARMLESS(tape, tape)));
    CASE(ad_tape_node) QUIET(ad_tape_node(HARMLESS(tape, tape), 0, HARMLESS(node, &(ad_node){0})));
    CASE(ad_needed)
    {
        bool *needed = calloc(ad_tape_size(tape), sizeof *needed);
        status(ad_needed(NEEDED(outputs, &y), 1, NEEDED(needed, needed), ERROR));
        free(needed);
    }
    CASE(ad_gradcheck)
    status(ad_gradcheck(y, NEEDED(wrt, &x), 1, NEEDED(inputs, &x), NEEDED(values, points), 1,
                        OPTIONAL(options, (&(ad_gradcheck_options){.rows = 3})),
                        OPTIONAL(report, &(ad_gradcheck_report){0}), ERROR));
    CASE(ad_plan_new)
    MADE(free_plan,
         ad_plan_new(NEEDED(outputs, &y), 1, OPTIONAL(options, (&(ad_plan_options){.dtype = AD_F64})), ERROR));
    CASE(ad_plan_free)
    {
        ad_plan *given = OPTIONAL(plan, plan);
        QUIET(ad_plan_free(given));
        if (given) plan = NULL;
    }
    CASE(ad_plan_print)
    {
        FILE *to = tmpfile();
        QUIET(ad_plan_print(OPTIONAL(plan, plan), HARMLESS(to, to)));
        fclose(to);
    }
    CASE(ad_plan_tile_rows) QUIET(ad_plan_tile_rows(HARMLESS(plan, plan)));
    CASE(ad_plan_set_source)
    QUIET(ad_plan_set_source(OPTIONAL(plan, plan), x, OPTIONAL(source, (&(ad_source){NULL, read_rows}))));
    CASE(ad_plan_set_input) QUIET(ad_plan_set_input(OPTIONAL(plan, plan), x, OPTIONAL(data, in)));
    CASE(ad_plan_set_output) QUIET(ad_plan_set_output(OPTIONAL(plan, plan), 0, OPTIONAL(data, out)));
    CASE(ad_plan_set_squares) QUIET(ad_plan_set_squares(OPTIONAL(plan, plan), 0, OPTIONAL(squares, out)));
    CASE(ad_plan_run) status(ad_plan_run(NEEDED(plan, plan), HARMLESS(run, (&(ad_run){.rows = 3})), ERROR));
}

static void call(void)
{
    call_base();
    call_tape();
    call_plan();
}

START_TEST(pointers)
{
    call_with_null("autodiff", (size_t)_i, set_up, call, tear_down);
}
END_TEST

Suite *null_suite(void)
{
    Suite *suite = suite_create("null");
    TCase *tcase = tcase_create("null");
    tcase_add_loop_test(tcase, pointers, 0, functions_of("autodiff"));
    suite_add_tcase(suite, tcase);
    return suite;
}
