#include <check.h>
Suite *automatic_fits_suite(void);
Suite *automatic_fits_suite(void)
{
    return suite_create("automatic_fits");
}
