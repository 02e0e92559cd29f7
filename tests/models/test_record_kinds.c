/* What columns are, in a record that C has made. */
#include "flows/flow_tools.h"
#include "scratch.h"
#include <weir/models.h>

#include <check.h>
#include <stdio.h>

/* What columns are, with every digit; and of another number of features they can't be. */
START_TEST(kinds_come_back)
{
    double values[] = {1.5, 0, 2.25, 1, 3.375, 0, 0.1, 1, 0.7, 1, 5.3, 0};
    char *labels[] = {"no", "yes", NULL}, **lists[] = {NULL, labels}, *columns[] = {"size", "ripe"};
    const nf_table table = {
        .rows = 6, .columns = 2, .values = values, .names = columns, .labels = lists, .dtype = AD_F64};
    nf_columns *kinds = nf_columns_learn(&table, "size:positive", NULL, &error), *back;
    ck_assert_msg(kinds != NULL, "%s", error.message);
    nf_flow *flow = moved_flow("affine", nf_columns_features(kinds), AD_F64);
    char *record = nf_record_text(flow, &(nf_record){.kinds = kinds}, &error), *before = nf_columns_text(kinds, &error),
         *after;
    ASSERT_OK(nf_record_kinds(record, &back, &error));
    after = nf_columns_text(back, &error);
    ck_assert_str_eq(after, before);
    nf_columns_free(back);
    ASSERT_OK(nf_record_context_kinds(record, &back, &error));
    ck_assert_ptr_null(back);
    /* The command goes by them. */
    static char text[1 << 12], line[4 * PATH_MAX];
    file_path path = scratch_path("fruit.safetensors"), csv = scratch_path("draws.csv");
    ASSERT_OK(nf_save(flow, record, path.text, &error));
    snprintf(line, sizeof line, "%s sample %s -n 9 -o %s >%s", WEIR_COMMAND, path.text, csv.text,
             scratch_path("told").text);
    ck_assert_int_eq(system(line), 0);
    slurp(csv.text, text, sizeof text);
    ck_assert_msg(strncmp(text, "size,ripe\n", 10) == 0 && (strstr(text, ",yes\n") || strstr(text, ",no\n")), "%s",
                  text);
    nf_flow *other = moved_flow("affine", 5, AD_F64);
    ck_assert_ptr_null(nf_record_text(other, &(nf_record){.kinds = kinds}, &error));
    ck_assert_int_eq(error.status, AD_ERROR_ARGUMENT);
    ASSERT_FAILS(nf_record_kinds("{\"kinds\": \"{}\"}", &back, &error), AD_ERROR_FORMAT, "columns");
    nf_flow_free(other);
    nf_flow_free(flow);
    nf_columns_free(kinds);
    ad_free(after);
    ad_free(before);
    ad_free(record);
}
END_TEST

Suite *record_kinds_suite(void)
{
    Suite *suite = suite_create("record_kinds");
    TCase *tests = tcase_create("record_kinds");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_add_test(tests, kinds_come_back);
    suite_add_tcase(suite, tests);
    return suite;
}
