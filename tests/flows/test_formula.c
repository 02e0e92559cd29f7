/* Formulas: what they mean, and how they are printed. */
#include "flows/formula_tools.h"

START_TEST(prints_canonically)
{
    char *text = round_trip(canonical[_i][0], 3);
    ck_assert_str_eq(text, canonical[_i][1]);
    ad_free(text);
}
END_TEST

START_TEST(listed_from_code)
{
    const nf_bijector_type *realnvp = NULL;
    for (const nf_bijector_type *const *type = nf_bijector_types(); *type; type++)
        if (strcmp((*type)->name, "realnvp") == 0) realnvp = *type;
    const size_t some[] = {3, 0, 2}, all[] = {0, 1, 2, 3, 4}, far[] = {5}, twice[] = {1, 1};
    const size_t hidden = 4;
    nf_arguments given = {.size = &hidden, .n_size = 1, .feature = some, .n_feature = 3};
    nf_bijector *made = nf_bijector_new(realnvp, 5, 0, &given, &error);
    ck_assert_msg(made != NULL, "%s", error.message);
    char *text = nf_formula(made);
    ck_assert_str_eq(text, "realnvp(4,mask=[1,3-4])");
    ck_assert(ad_shape_equal(made->parameter[0].spec.shape, AD_SHAPE(4, 3)));
    ad_free(text);
    nf_bijector_free(made);
    const struct {
        const size_t *feature;
        size_t count;
        const char *message;
    } wrong[] = {
        {all, 5, "none is left to map"}, {far, 1, "no feature 6, an event has 5"}, {twice, 2, "2 is listed twice"}};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        given = (nf_arguments){.feature = wrong[i].feature, .n_feature = wrong[i].count};
        ck_assert_ptr_null(nf_bijector_new(realnvp, 5, 0, &given, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, wrong[i].message);
    }
    given = (nf_arguments){.feature = some, .n_feature = 3};
    ck_assert_ptr_null(nf_bijector_new(nf_bijector_types()[0], 5, 0, &given, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "takes no list");
    given = (nf_arguments){.value = (double[]){0, 3, 0, NF_LISTED, 0, 0}};
    ck_assert_ptr_null(nf_bijector_new(realnvp, 5, 0, &given, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "'mask' can't be -1");
}
END_TEST

START_TEST(defaults)
{
    for (const nf_bijector_type *const *type = nf_bijector_types(); *type; type++) {
        nf_bijector *made = nf_bijector_new(*type, 3, 0, NULL, &error);
        ck_assert_msg(made != NULL, "%s", error.message);
        char *expected = nf_formula(made), *got = round_trip((*type)->name, 3);
        ck_assert_str_eq(got, expected);
        ad_free(expected);
        ad_free(got);
        nf_bijector_free(made);
    }
}
END_TEST

START_TEST(copies_have_their_own_parameters)
{
    nf_bijector *bijector = parsed("(maf(4)-loc)*2", 3, 1);
    parameter_list list = {.count = 0};
    nf_each_parameter(bijector, collect, &list);
    static const char *const expected[] = {
        "0.maf.weight0", "0.maf.bias0", "0.maf.weight1", "0.maf.bias1", "1.loc.loc",
        "2.maf.weight0", "2.maf.bias0", "2.maf.weight1", "2.maf.bias1", "3.loc.loc",
    };
    ck_assert_uint_eq(list.count, COUNT(expected));
    for (size_t i = 0; i < list.count; i++) ck_assert_str_eq(list.item[i].name, expected[i]);
    ck_assert_double_ne(list.item[0].parameter->value[0], list.item[5].parameter->value[0]);
    nf_bijector *other = parsed("(maf(4)-loc)*2", 3, 2);
    ck_assert_double_ne(nf_parameter_value(bijector->child[0], "weight0")[0],
                        nf_parameter_value(other->child[0], "weight0")[0]);
    list_free(&list);
    nf_bijector_free(other);
    nf_bijector_free(bijector);
}
END_TEST

/* A random formula of the grammar that writes no default out. */
static void append_random(char *text, int depth)
{
    static const char *const simple[] = {"loc", "scale", "flip", "maf(2)", "maf(3,bound=0.5)", "permute(seed=4)"};
    for (unsigned terms = 1 + below(3); terms > 0; terms--) {
        unsigned kind = depth > 0 ? below(5) : 0;
        if (kind < 3) {
            strcat(text, simple[below(COUNT(simple))]);
        } else {
            strcat(text, kind == 3 ? "(" : "invert(");
            append_random(text, depth - 1);
            strcat(text, ")");
        }
        if (below(3) == 0) sprintf(text + strlen(text), "*%u", 1 + below(4));
        if (terms > 1) strcat(text, "-");
    }
}

START_TEST(random_formulas_round_trip)
{
    srandom(1);
    for (int i = 0; i < 300; i++) {
        char formula[8192] = "";
        append_random(formula, 2);
        char *text = round_trip(formula, 2);
        ck_assert_msg(strlen(text) <= strlen(formula), "%s became %s", formula, text);
        ad_free(text);
    }
}
END_TEST

START_TEST(long_chains)
{
    static const char *const formulas[] = {"flip*1000", "flip-permute*999", "permute*500-(flip-permute(seed=1)*3)*200",
                                           "((flip-permute)*3-flip)*500-permute-flip", "invert(flip*500)*2"};
    char *text;
    for (size_t i = 0; i < COUNT(formulas); i++) {
        text = round_trip(formulas[i], 2);
        ck_assert_uint_le(strlen(text), strlen(formulas[i]) + 12);
        ad_free(text);
    }
    text = round_trip("flip*1000", 2);
    ck_assert_str_eq(text, "flip*1000");
    ad_free(text);
    text = round_trip("((((loc-flip)*3-scale)*2-flip)*2-loc)*4", 1);
    ck_assert_str_eq(text, "((((loc-flip)*3-scale)*2-flip)*2-loc)*4");
    ad_free(text);
}
END_TEST

Suite *formula_suite(void)
{
    Suite *suite = suite_create("formula");
    TCase *printing = tcase_create("printing");
    tcase_set_timeout(printing, 60);
    tcase_add_loop_test(printing, prints_canonically, 0, COUNT(canonical));
    tcase_add_test(printing, listed_from_code);
    tcase_add_test(printing, defaults);
    tcase_add_test(printing, copies_have_their_own_parameters);
    tcase_add_test(printing, random_formulas_round_trip);
    tcase_add_test(printing, long_chains);
    suite_add_tcase(suite, printing);
    return suite;
}
