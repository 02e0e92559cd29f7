/* Columns by their names: those of a table that a model scores are the ones it was trained on, in whatever order. */
#ifndef WEIR_COMMAND_COLUMNS_H
#define WEIR_COMMAND_COLUMNS_H

#include <weir/models.h>

#include <jansson.h>

/* The names on a model's record of its features, and of the columns that were its context: count of them, or NULL.
 * Release with ad_free(). */
char **feature_names(const json_t *record, size_t count);
char **context_names(const json_t *record, size_t count);

/* order[i]: the column of a table with names that is names[i]. taken[c]: is column c something else already? Afterwards
 * every column is taken; where some are left, or some are missing, that is AD_ERROR_FORMAT, and both are listed. path
 * and model are for the message. */
ad_status columns_match(const nf_table *table, const char *path, const char *model, char *const *names, size_t count,
                        bool *taken, size_t *order, ad_error *error);

#endif
