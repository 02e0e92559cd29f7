/* Of the public functions of models, those of targets with tables and log-likelihoods: with NULL for each pointer that
 * they take. */
#ifndef WEIR_TESTS_NULL_TARGET_TABLES_H
#define WEIR_TESTS_NULL_TARGET_TABLES_H

#include "null_cases.h"

#include <weir/models.h>

static inline void free_made_target(void *made)
{
    nf_target_free(made);
}

static inline void call_target_tables(const nf_target *target, const char *record)
{
    enum { DIMENSION = 10, SCHOOLS = 8 };
    const double z[DIMENSION] = {1, 0.5};
    double each[SCHOOLS];
    size_t count;
    nf_target *schools = target_of("eight_schools"), *found = NULL;
    CASE(nf_find_start)
    {
        nf_start start = {0};
        status(nf_find_start(NEEDED(target, target), OPTIONAL(options, (&(nf_start_options){.searches = 2})),
                             NEEDED(start, &start), ERROR));
        nf_start_free(&start);
    }
    CASE(nf_target_observations) QUIET(nf_target_observations(HARMLESS(target, schools)));
    CASE(nf_target_log_likelihoods)
    status(nf_target_log_likelihoods(NEEDED(target, schools), NEEDED(z, z), 1, SCHOOLS, NEEDED(log_likelihood, each),
                                     OPTIONAL(pool, (ad_pool *)NULL), ERROR));
    CASE(nf_target_parse_with)
    MADE(free_made_target, nf_target_parse_with(NEEDED(text, "banana"), OPTIONAL(table, (nf_table *)NULL), ERROR));
    CASE(nf_target_rows) QUIET(nf_target_rows(HARMLESS(target, schools)));
    CASE(nf_target_column_name) QUIET(nf_target_column_name(HARMLESS(target, schools), 0));
    CASE(nf_target_column) QUIET(nf_target_column(HARMLESS(target, schools), HARMLESS(name, "y")));
    CASE(nf_target_groups)
    QUIET(nf_target_groups(HARMLESS(target, schools), HARMLESS(name, "y"), OPTIONAL(count, &count)));
    CASE(nf_record_target)
    {
        status(nf_record_target(OPTIONAL(record, record), NEEDED(target, &found), ERROR));
        nf_target_free(found);
    }
    nf_target_free(schools);
}

#endif
