/* Every pointer that may be NULL is, for each public function of the engine that takes one. */
#include "autodiff/engine.h"

START_TEST(errors_and_memory)
{
    ck_assert_int_eq(ad_error_set(NULL, AD_ERROR_FORMAT, "%d", 1), AD_ERROR_FORMAT);

    ad_set_allocator(NULL);
    ad_free(NULL);
    ad_free_aligned(NULL);
    ck_assert_ptr_null(ad_strdup(NULL));
    char *grown = ad_realloc(NULL, 3, 1);
    ck_assert_ptr_nonnull(grown);
    ad_free(grown);

    ad_object *object = ad_object_new(NULL, NULL);
    ck_assert_ptr_nonnull(object);
    ck_assert_ptr_null(ad_object_data(object));
    ad_object_release(object);
    ad_object_release(NULL);
    ck_assert_ptr_null(ad_object_data(NULL));
}
END_TEST

static void count_job(void *context, size_t i, int worker)
{
    (void)context, (void)i;
    ck_assert_int_eq(worker, 0);
}

START_TEST(pools)
{
    ck_assert_ptr_null(ad_pool_new(-1, NULL));
    ad_pool *pool = ad_pool_new(1, NULL);
    ck_assert_ptr_nonnull(pool);
    ad_pool_run(pool, 2, count_job, NULL);
    ad_pool_free(pool);
    ad_pool_free(NULL);
    ck_assert_int_eq(ad_pool_threads(NULL), 1);
    ad_pool_run(NULL, 2, count_job, NULL);
}
END_TEST

/* What is recorded on no tape is no value, and reads as one of shape () without a name. */
START_TEST(no_tape)
{
    ad_tape_free(NULL);
    ck_assert_ptr_nonnull(ad_tape_error(NULL));
    ad_tape_fail(NULL, AD_ERROR_ARGUMENT, "nobody hears");
    ad_tape_enter(NULL, "scope");
    ad_tape_enter(NULL, NULL);
    ad_tape_leave(NULL);
    ad_tape_print(NULL, stdout);
    ck_assert_ptr_null(ad_tape_alloc(NULL, 1, 1));

    const double value = 1;
    const ad_var recorded[] = {
        ad_input(NULL, "x", AD_SHAPE(2)),
        ad_param(NULL, NULL, AD_SHAPE(2)),
        ad_constant(NULL, AD_SCALAR, &value),
        ad_constant(NULL, AD_SCALAR, NULL),
        ad_scalar(NULL, 1),
        ad_row_count(NULL),
        ad_normal(NULL, AD_SHAPE(2), 0),
        ad_uniform(NULL, AD_SHAPE(2), 0),
        ad_concat(NULL, 2, 0),
        ad_apply(op_named("neg"), NULL, 0, NULL, 0, NULL),
        ad_apply_object(op_named("neg"), NULL, 0, NULL, 0, NULL, NULL),
    };
    for (size_t i = 0; i < COUNT(recorded); i++) {
        ck_assert(!ad_is_valid(recorded[i]) && !ad_is_per_row(recorded[i]));
        ck_assert_int_eq(ad_shape_of(recorded[i]).rank, 0);
        ck_assert_str_eq(ad_name_of(recorded[i]), "");
    }
    const ad_var none = {0};
    ad_grad(none, NULL, 0, NULL);
    ck_assert(!ad_is_valid(ad_grad1(none, none)));
}
END_TEST

START_TEST(names)
{
    ad_tape *tape = ad_tape_new();
    ad_tape_enter(tape, NULL);
    ad_tape_enter(tape, "net");
    ad_var x = ad_input(tape, NULL, AD_SHAPE(2)), w = ad_param(tape, NULL, AD_SHAPE(2));
    ad_tape_leave(tape);
    ad_tape_leave(tape);
    ck_assert(ad_is_valid(x) && ad_is_valid(w));
    ck_assert_str_eq(ad_name_of(x), "");
    ck_assert_str_eq(ad_name_of(w), "");
    FILE *to = tmpfile();
    ad_tape_print(tape, to);
    fclose(to);
    ad_grad(ad_sum(w), NULL, 0, NULL);
    ck_assert_ptr_null(ad_tape_error(tape));

    ad_plan *plan = ad_plan_new(&x, 1, NULL, NULL);
    ck_assert_ptr_nonnull(plan);
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 1}, NULL), AD_ERROR_ARGUMENT); /* not bound, and no name */
    ad_plan_free(plan);
    ad_tape_free(tape);
}
END_TEST

static ad_var identity_map(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner, (void)captured;
    return ad_mul_scalar(z, 2);
}

/* Arrays that are missing are mistakes, which stick to the tape. */
START_TEST(arrays)
{
    for (int mistake = 0; mistake < 6; mistake++) {
        ad_tape *tape = ad_tape_new();
        ad_var x = ad_input(tape, "x", AD_SHAPE(2)), w = ad_param(tape, "w", AD_SHAPE(2, 2));
        ck_assert(ad_is_valid(ad_root(x, NULL, 0, AD_ROOT_TRIANGULAR, NULL, identity_map, NULL)));
        const ad_var y = mistake == 0   ? ad_constant(tape, AD_SHAPE(2), NULL)
                         : mistake == 1 ? ad_gather(x, NULL, 1)
                         : mistake == 2 ? ad_scatter(x, NULL, 2, 3)
                         : mistake == 3 ? ad_matmul_blocks(w, x, NULL)
                         : mistake == 4 ? ad_root(x, NULL, 0, AD_ROOT_ELEMENTWISE, NULL, NULL, NULL)
                                        : ad_root(x, NULL, 1, AD_ROOT_ELEMENTWISE, NULL, identity_map, NULL);
        ck_assert(!ad_is_valid(y));
        ck_assert_ptr_nonnull(ad_tape_error(tape));
        ck_assert_int_eq(ad_tape_error(tape)->status, AD_ERROR_ARGUMENT);
        ad_tape_free(tape);
    }
}
END_TEST

START_TEST(plans)
{
    ad_plan_free(NULL);
    ad_plan_print(NULL, stdout);
    ck_assert_uint_eq(ad_plan_tile_rows(NULL), 0);
    ad_plan_set_input(NULL, (ad_var){0}, NULL);
    ad_plan_set_output(NULL, 0, NULL);
    ck_assert_int_eq(ad_plan_run(NULL, &(ad_run){.rows = 1}, NULL), AD_ERROR_ARGUMENT);
    ck_assert_ptr_null(ad_plan_new(NULL, 1, NULL, NULL));
    ck_assert_ptr_null(ad_plan_new(&(ad_var){0}, 1, NULL, NULL));

    ad_tape *tape = ad_tape_new();
    ad_var w = ad_param(tape, "w", AD_SHAPE(2)), y = ad_sum(w);
    ck_assert_ptr_null(ad_plan_new(&y, 0, NULL, NULL));
    ad_plan *plan = ad_plan_new(&y, 1, NULL, NULL);
    ck_assert_ptr_nonnull(plan);
    ck_assert_int_eq(ad_plan_run(plan, NULL, NULL), AD_ERROR_ARGUMENT); /* w is not bound */
    const float value[] = {3, 4};
    float sum = 0;
    ad_plan_set_input(plan, w, value);
    ad_plan_set_output(plan, 0, NULL);
    ck_assert_int_eq(ad_plan_run(plan, NULL, NULL), AD_OK);
    ad_plan_set_output(plan, 0, &sum);
    ck_assert_int_eq(ad_plan_run(plan, NULL, NULL), AD_OK);
    ck_assert(sum == 7);
    ad_plan_set_input(plan, w, NULL);
    ck_assert_int_eq(ad_plan_run(plan, NULL, NULL), AD_ERROR_ARGUMENT);
    ad_plan_free(plan);
    ad_tape_free(tape);
}
END_TEST

START_TEST(analyses)
{
    ad_tape *tape = ad_tape_new();
    ad_var x = ad_input(tape, "x", AD_SHAPE(2)), y = ad_exp(x);
    bool depends[4];
    ck_assert_int_eq(ad_dependence(y, x, depends, NULL), AD_OK);
    ck_assert(depends[0] && !depends[1] && !depends[2] && depends[3]);
    ck_assert_int_eq(ad_dependence((ad_var){0}, x, depends, NULL), AD_ERROR_ARGUMENT);

    const double point[] = {1, 2, 3, 4, 5, 6}, *const points[] = {point};
    ck_assert_int_eq(ad_gradcheck(y, &x, 1, &x, points, 1, NULL, NULL, NULL), AD_OK);
    ck_assert_int_eq(ad_gradcheck(y, NULL, 0, NULL, NULL, 0, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    ck_assert_int_eq(ad_gradcheck(y, &x, 1, NULL, NULL, 0, NULL, NULL, NULL), AD_ERROR_ARGUMENT);
    ad_tape_free(tape);
}
END_TEST

Suite *optional_suite(void)
{
    Suite *suite = suite_create("optional");
    TCase *null = tcase_create("null");
    tcase_add_test(null, errors_and_memory);
    tcase_add_test(null, pools);
    tcase_add_test(null, no_tape);
    tcase_add_test(null, names);
    tcase_add_test(null, arrays);
    tcase_add_test(null, plans);
    tcase_add_test(null, analyses);
    suite_add_tcase(suite, null);
    return suite;
}
