/* For tests with NULL: making descriptors known. */
#ifndef WEIR_TESTS_NULL_REGISTRIES_H
#define WEIR_TESTS_NULL_REGISTRIES_H

#include "null_cases.h"

#include <weir/models.h>

/* What is known already is no other. */
static inline void call_registries(void)
{
    CASE(nf_register_optimizer)
    good(nf_register_optimizer(HARMLESS(type, nf_optimizer_types()[0]), ERROR) == AD_ERROR_ARGUMENT);
    CASE(nf_register_schedule)
    good(nf_register_schedule(HARMLESS(type, nf_schedule_types()[0]), ERROR) == AD_ERROR_ARGUMENT);
    CASE(nf_register_objective)
    good(nf_register_objective(HARMLESS(type, nf_objective_types()[0]), ERROR) == AD_ERROR_ARGUMENT);
    CASE(nf_register_prior)
    good(nf_register_prior(HARMLESS(type, nf_prior_types()[0]), ERROR) == AD_ERROR_ARGUMENT);
}

#endif
