/* What plans refuse: memory that is bound twice, and ops that can't be evaluated. */
#include "autodiff/engine.h"

/* Memory of what is bound: of a, shared, and of x, per-row; outputs y = x a, its sum over rows, and what that makes of
 * x in a second pass. */
START_TEST(bound_memory)
{
    enum { ROWS = 5 };
    static const struct {
        int output[3], a, x; /* where in memory, in elements; -1: not wanted */
        bool index;
        const char *message; /* NULL: right */
    } cases[] = {
        {{20, 40, 60}, 0, 10, false, NULL},
        {{10, 40, 60}, 0, 10, false, "output 0 is bound to memory of 'x'"}, /* read again by the second pass */
        {{20, 40, 10}, 0, 10, false, NULL},                                 /* in its place */
        {{20, 40, 11}, 0, 10, false, "output 2 is bound to memory of 'x'"},
        {{20, 40, 3}, 0, 10, false, "output 2 is bound to memory of 'x'"},
        {{50, 64, 10}, 0, 10, true, "output 2 is bound to memory of 'x'"},
        {{50, 64, 27}, 0, 10, true, "output 2 is bound to memory of 'x'"}, /* which row 9 of x is in */
        {{50, 64, 66}, 0, 10, true, NULL},
        {{20, 0, 60}, 0, 10, false, "output 1 is bound to memory of 'a'"},
        {{20, 1, 60}, 0, 10, false, "output 1 is bound to memory of 'a'"},
        {{20, 15, 60}, 0, 10, false, "output 1 is bound to memory of 'x'"},
        {{20, 40, 29}, 0, 10, false, "outputs 0 and 2 are bound to the same memory"},
        {{20, 29, 60}, 0, 10, false, "outputs 0 and 1 are bound to the same memory"},
        {{20, 20, 60}, 0, 10, false, "outputs 0 and 1 are bound to the same memory"},
        {{-1, 29, 60}, 0, 10, false, NULL},
        {{20, 40, 30}, 0, 10, false, NULL}, /* neighbours */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ad_tape *tape = ad_tape_new();
        ad_var a = ad_param(tape, "a", AD_SHAPE(2)), x = ad_input(tape, "x", AD_SHAPE(2)), y = ad_mul(x, a);
        ad_var output[] = {y, ad_sum_rows(y), ad_add(x, ad_sum_rows(y))};
        ad_error error = {AD_OK, ""};
        ad_plan *plan = ad_plan_new(output, 3, &(ad_plan_options){.dtype = AD_F64}, &error);
        double memory_of[80], expected[80];
        for (int k = 0; k < 80; k++) memory_of[k] = k;
        const uint32_t index[ROWS] = {0, 9, 3, 4, 1};
        double *at = memory_of + cases[i].a, *from = memory_of + cases[i].x, total[2] = {0, 0};
        memcpy(expected, memory_of, sizeof expected);
        for (size_t r = 0; r < 2 * ROWS; r++)
            total[r % 2] += at[r % 2] * from[(cases[i].index ? index[r / 2] : r / 2) * 2 + r % 2];
        for (size_t r = 0; r < 2 * ROWS; r++) {
            double read = from[(cases[i].index ? index[r / 2] : r / 2) * 2 + r % 2];
            if (cases[i].output[0] >= 0) expected[(size_t)cases[i].output[0] + r] = at[r % 2] * read;
            expected[(size_t)cases[i].output[2] + r] = read + total[r % 2];
        }
        for (size_t k = 0; k < 2; k++) expected[(size_t)cases[i].output[1] + k] = total[k];
        ad_plan_set_input(plan, a, at);
        ad_plan_set_input(plan, x, from);
        for (int k = 0; k < 3; k++)
            ad_plan_set_output(plan, k, cases[i].output[k] < 0 ? NULL : memory_of + cases[i].output[k]);
        const ad_run run = {.rows = ROWS, .index = cases[i].index ? index : NULL};
        if (cases[i].message) {
            const ad_run few = {.rows = 1};
            ad_plan_run(plan, &few, NULL); /* what is apart with fewer rows isn't with more */
            assert_message(&error, ad_plan_run(plan, &run, &error), cases[i].message);
            ck_assert_int_eq(error.status, AD_ERROR_ARGUMENT);
        } else {
            ck_assert_msg(ad_plan_run(plan, &run, &error) == AD_OK, "%zu: %s", i, error.message);
            for (int k = 0; k < 80; k++) ck_assert_msg(memory_of[k] == expected[k], "%zu: at %d", i, k);
        }
        ad_plan_free(plan);
        ad_tape_free(tape);
    }
}
END_TEST

static ad_var height_map(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)captured;
    return ad_add(z, ad_apply(&height_op, &z, 1, NULL, 0, inner));
}

/* A plan for a dtype that an op from outside has no function for is refused, be the op inside of a root. */
START_TEST(op_without_a_dtype)
{
    ad_tape *tape = ad_tape_new();
    ad_var x = ad_input(tape, "x", AD_SHAPE(2)), y = ad_exp(ad_apply(&height_op, &x, 1, NULL, 0, tape));
    ad_error error;
    ck_assert_ptr_null(ad_plan_new(&y, 1, &(ad_plan_options){.dtype = AD_F64}, &error));
    assert_message(&error, AD_ERROR_ARGUMENT, "op 'height' (%1) has no function that evaluates it in float64");
    ck_assert_ptr_null(ad_plan_new(&y, 1, &(ad_plan_options){.dtype = AD_F64}, NULL));
    ad_plan *plan = ad_plan_new(&y, 1, NULL, &error);
    ck_assert_ptr_nonnull(plan);
    ad_plan_free(plan);
    ad_var other[] = {x, y}; /* of which the one that isn't needed doesn't matter */
    plan = ad_plan_new(other, 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    ck_assert_ptr_nonnull(plan);
    ad_plan_free(plan);
    ad_var root = ad_root(x, NULL, 0, AD_ROOT_ELEMENTWISE, NULL, height_map, NULL);
    plan = ad_plan_new(&root, 1, &(ad_plan_options){.dtype = AD_F64}, &error);
    double value[] = {1, 2};
    ad_plan_set_input(plan, x, value);
    ck_assert_int_eq(ad_plan_run(plan, &(ad_run){.rows = 1}, &error), AD_ERROR_ARGUMENT);
    assert_message(&error, AD_ERROR_ARGUMENT, "op 'height'");
    ad_plan_free(plan);
    ad_tape_free(tape);
}
END_TEST

Suite *bound_suite(void)
{
    Suite *suite = suite_create("bound");
    TCase *tcase = tcase_create("bound");
    tcase_add_test(tcase, bound_memory);
    tcase_add_test(tcase, op_without_a_dtype);
    suite_add_tcase(suite, tcase);
    return suite;
}
