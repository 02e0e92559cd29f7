/* For tests with NULL: the public functions that check bijectors and base distributions. */
#ifndef WEIR_TESTS_NULL_CHECKS_H
#define WEIR_TESTS_NULL_CHECKS_H

#include "null_cases.h"

#include <weir/models.h>

static inline void call_checks(void)
{
    nf_check_result result[NF_MOST_CHECKS];
    int count;
    nf_bijector *loc = parsed("loc", 1, 1), *base = nf_bijector_new(nf_distribution_types()[0], 3, 0, NULL, &error);
    CASE(nf_check_bijector)
    status(nf_check_bijector(NEEDED(bijector, loc), 1, NEEDED(result, result), NEEDED(count, &count), ERROR));
    CASE(nf_check_distribution)
    status(nf_check_distribution(NEEDED(base, base), 1, NEEDED(result, result), NEEDED(count, &count), ERROR));
    nf_bijector_free(base);
    nf_bijector_free(loc);
}

#endif
