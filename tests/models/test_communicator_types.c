/* Kinds of communicators: none is Weir's own, and what is registered is checked. */
#include "flows/flow_tools.h"

#include <weir/communicator_type.h>

static const ad_communicator *open_none(const nf_communicator_type *self, ad_error *why)
{
    (void)self;
    ad_error_set(why, AD_ERROR_IO, "there are no others");
    return NULL;
}

static void close_none(const nf_communicator_type *self)
{
    (void)self;
}

START_TEST(registering_is_checked)
{
    static const nf_communicator_type own = {.name = "none", .open = open_none, .close = close_none};
    nf_communicator_type type = own;
    ck_assert_ptr_null(nf_communicator_types()[0]);
    ASSERT_OK(nf_register_communicator(&own, &error));
    ck_assert_ptr_eq(nf_communicator_types()[0], &own);
    ck_assert_ptr_null(nf_communicator_types()[1]);
    ASSERT_FAILS(nf_register_communicator(&type, &error), AD_ERROR_ARGUMENT, "'none' is taken");
    type.name = NULL;
    ASSERT_FAILS(nf_register_communicator(&type, &error), AD_ERROR_ARGUMENT, "isn't a name");
    type.name = "other";
    type.close = NULL;
    ASSERT_FAILS(nf_register_communicator(&type, &error), AD_ERROR_ARGUMENT, "'other': it has no close");
    type.open = NULL;
    ASSERT_FAILS(nf_register_communicator(&type, &error), AD_ERROR_ARGUMENT, "'other': it has no open");
    ASSERT_FAILS(nf_register_communicator(NULL, &error), AD_ERROR_ARGUMENT, "type is NULL");
}
END_TEST

Suite *communicator_types_suite(void)
{
    Suite *suite = suite_create("communicator_types");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, registering_is_checked);
    suite_add_tcase(suite, tcase);
    return suite;
}
