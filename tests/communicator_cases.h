/* What every communicator must do, whatever it is made of: each case is called on all ranks at once, and returns NULL
 * or what is wrong on this one. */
#ifndef WEIR_TESTS_COMMUNICATOR_CASES_H
#define WEIR_TESTS_COMMUNICATOR_CASES_H

#include <weir/communicator.h>

typedef struct {
    const char *name;
    const char *(*run)(const ad_communicator *c);
} communicator_case;

/* Ended by a name that is NULL. */
extern const communicator_case communicator_cases[];

#endif
