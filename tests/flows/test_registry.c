/* Registries: what can be added, how it is found, and what is said where there is no such name. */
#include "flows/flow_tools.h"

#include <weir/registry.h>

typedef struct {
    const char *name, *help;
    const nf_argument *argument;
} colour;

static const nf_argument shades[] = {
    {.name = "depth", .kind = NF_NUMBER, .value = 0.5, .low = 0, .high = 1},
    {.name = "layers", .kind = NF_COUNT, .value = 3, .low = 1, .high = 9},
    {0},
};
static const colour red = {"red", NULL, NULL}, blue = {"blue", "as the sky", shades};

START_TEST(descriptors_are_added_and_found)
{
    const colour *list[4] = {&red}, second = {"_2nd", NULL, NULL}, third = {"third", NULL, NULL};
    const nf_registry registry = {"colour", list, 3};
    ASSERT_OK(nf_registry_add(&registry, &blue, &error));
    ASSERT_OK(nf_registry_add(&registry, &second, &error));
    ck_assert(list[0] == &red && list[1] == &blue && list[2] == &second && !list[3]);
    ck_assert_ptr_eq(nf_registry_find(&registry, "blue", 4), &blue);
    ck_assert_ptr_null(nf_registry_find(&registry, "blue", 3));
    ck_assert_ptr_null(nf_registry_find(&registry, "bluer", 5));
    ASSERT_FAILS(nf_registry_add(&registry, &third, &error), AD_ERROR_ARGUMENT, "room for 3");
    ck_assert_ptr_null(list[3]);
}
END_TEST

START_TEST(bad_names_are_refused)
{
    const colour *list[4] = {&red};
    const nf_registry registry = {"colour", list, 3};
    static const char *const bad[] = {NULL, "", "2nd", "a-b", "a b", "a("};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const colour made = {bad[i], NULL, NULL};
        ASSERT_FAILS(nf_registry_add(&registry, &made, &error), AD_ERROR_ARGUMENT, "registering a colour");
        ck_assert_ptr_null(list[1]);
    }
    const colour again = {"red", NULL, NULL};
    ASSERT_FAILS(nf_registry_add(&registry, &again, &error), AD_ERROR_ARGUMENT, "'red' is taken");
    ASSERT_FAILS(nf_registry_add(&registry, NULL, &error), AD_ERROR_ARGUMENT, "isn't a name");
    ck_assert_int_eq(nf_registry_add(&registry, &again, NULL), AD_ERROR_ARGUMENT);
}
END_TEST

/* Lists of features and other descriptors are for formulas' arguments; and nothing has room for any number. */
START_TEST(arguments_are_checked)
{
    static nf_argument many[NF_MOST_ARGUMENTS + 2];
    for (size_t i = 0; i <= NF_MOST_ARGUMENTS; i++) many[i] = (nf_argument){.name = "one", .kind = NF_NUMBER};
    static const nf_argument listed[] = {{.name = "mask", .kind = NF_FEATURES, .choices = "none"}, {0}};
    const colour too_many = {"many", NULL, many}, lists = {"lists", NULL, listed};
    const colour *list[4] = {NULL};
    nf_registry registry = {"colour", list, 3};
    ASSERT_FAILS(nf_registry_add(&registry, &too_many, &error), AD_ERROR_ARGUMENT, "65 arguments; expected at most 64");
    ASSERT_FAILS(nf_registry_add(&registry, &lists, &error), AD_ERROR_ARGUMENT, "'mask' isn't a number or a choice");
    static const nf_argument no_range[] = {{.name = "depth", .kind = NF_NUMBER, .value = 0.5}, {0}};
    static const nf_argument beyond[] = {{.name = "layers", .kind = NF_COUNT, .low = 1, .high = 9}, {0}};
    const colour rangeless = {"rangeless", NULL, no_range}, low = {"low", NULL, beyond};
    ASSERT_FAILS(nf_registry_add(&registry, &rangeless, &error), AD_ERROR_ARGUMENT,
                 "the default of its argument 'depth', 0.5, isn't from low to high, which are 0 and 0");
    ASSERT_FAILS(nf_registry_add(&registry, &low, &error), AD_ERROR_ARGUMENT, "'layers', 0, isn't from low to high");
    registry.wide = true;
    ASSERT_OK(nf_registry_add(&registry, &lists, &error));
}
END_TEST

START_TEST(texts_are_a_name_and_arguments)
{
    const colour *list[] = {&red, &blue, NULL};
    const nf_registry registry = {"colour", list, 2};
    double value[2] = {0};
    ck_assert_ptr_eq(nf_registry_parse(&registry, "red", value, &error), &red);
    ck_assert_ptr_eq(nf_registry_parse(&registry, "blue (layers=4)", value, &error), &blue);
    ck_assert_double_eq(value[0], 0.5);
    ck_assert_double_eq(value[1], 4);
    static const struct {
        const char *text, *part;
    } bad[] = {{"green", "unknown colour 'green'; expected one of red, blue"},
               {"", "unknown colour ''"},
               {"blue(depth=2)", "from 0 to 1"},
               {"blue(hue=1)", "no argument 'hue'"},
               {"red(1)", "takes no argument"}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        ck_assert_ptr_null(nf_registry_parse(&registry, bad[i].text, value, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, bad[i].part);
        ck_assert_ptr_null(nf_registry_parse(&registry, bad[i].text, value, NULL));
    }
}
END_TEST

/* More names than a message has room for. */
START_TEST(long_lists_are_cut)
{
    enum { MANY = 200 };
    static colour made[MANY];
    static char name[MANY][16];
    const colour *list[MANY + 1] = {NULL};
    const nf_registry registry = {"colour", list, MANY};
    for (int i = 0; i < MANY; i++) {
        snprintf(name[i], sizeof name[i], "colour%d", i);
        made[i].name = name[i];
        ASSERT_OK(nf_registry_add(&registry, &made[i], &error));
    }
    ck_assert_ptr_null(nf_registry_parse(&registry, "green", NULL, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "expected one of colour0, colour1");
}
END_TEST

Suite *registry_suite(void);

Suite *registry_suite(void)
{
    Suite *suite = suite_create("registry");
    TCase *tests = tcase_create("registry");
    tcase_add_test(tests, descriptors_are_added_and_found);
    tcase_add_test(tests, bad_names_are_refused);
    tcase_add_test(tests, arguments_are_checked);
    tcase_add_test(tests, texts_are_a_name_and_arguments);
    tcase_add_test(tests, long_lists_are_cut);
    suite_add_tcase(suite, tests);
    return suite;
}
