/* Columns by their names: those of a table that a model scores are the ones it was trained on, in whatever order, among
 * whatever others. */
#ifndef WEIR_COMMAND_COLUMNS_H
#define WEIR_COMMAND_COLUMNS_H

#include <weir/models.h>

#include <jansson.h>

/* The names on a model's record of its features, and of the columns that were its context: count of them, or NULL.
 * Release with ad_free(). */
char **feature_names(const json_t *record, size_t count);
char **context_names(const json_t *record, size_t count);

/* Is all of a text, a label say, a number? */
bool columns_text_is_number(const char *text);

/* Which columns of a table a text lists: "age,dose" or "3,4", names (which may have commas of their own) or numbers
 * from 1. order: those that it lists; taken[c]: is c one of them, or was it before? That is a mistake, and so is a
 * column that there isn't: AD_ERROR_ARGUMENT, about this option. path is for the message. */
ad_status columns_parse(const char *text, const char *option, const char *path, const nf_table *table, size_t *order,
                        bool *taken, size_t *count, ad_error *error);

/* order[i]: the column of a table with names that is names[i]. taken[c]: is column c something else already? Those that
 * are found are taken afterwards; the others are of no account. Where some are missing, that is
 * AD_ERROR_FORMAT. path and model are for the message. */
ad_status columns_match(const nf_table *table, const char *path, const char *model, char *const *names, size_t count,
                        bool *taken, size_t *order, ad_error *error);

/* These columns of a table as one of their own, all NaN for SIZE_MAX, whose names and labels are still those of the
 * other, which must outlive it. For nf_table_free(). */
ad_status columns_select(const nf_table *from, const size_t *order, size_t count, nf_table *to, ad_error *error);

#endif
