/* Rows of a large .npy file that stand for all of them. */
#ifndef WEIR_COMMAND_SURVEY_H
#define WEIR_COMMAND_SURVEY_H

#include <weir/models.h>

/* A sample of `rows` rows, all if there are no more, drawn evenly from all over the file, in its order; names and
 * labels there are none. For nf_table_free(). */
ad_status survey_sample(const nf_npy *npy, size_t rows, uint64_t seed, ad_pool *pool, nf_table *table, ad_error *error);

/* Go through the file, and add to a table of its columns those rows that tell what the others don't: of each column the
 * one with the smallest value, the one with the largest, the first that is no whole number, and the first with a NaN.
 * AD_ERROR_FORMAT for an infinity. */
ad_status survey_extremes(const nf_npy *npy, const char *path, ad_pool *pool, nf_table *table, ad_error *error);

#endif
