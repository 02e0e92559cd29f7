/* What a user says of the kinds of columns, "income:positive, \"a, b\":category", of those of one table that goes to
 * two: features and context. */
#ifndef WEIR_COMMAND_KINDS_H
#define WEIR_COMMAND_KINDS_H

#include <weir/models.h>

/* As nf_columns_learn() takes them. */
struct kinds {
    char *features, *conditions;
};

/* features and conditions: the columns of the file that become each. dropped: of those that are features, the ones that
 * are "drop" besides. What can't be understood goes to the features, so that it is complained of there. text may be
 * NULL. */
ad_status kinds_split(const char *text, const nf_table *file, const size_t *features, size_t n_features,
                      const size_t *conditions, size_t n_conditions, const size_t *dropped, size_t n_dropped,
                      struct kinds *kinds, ad_error *error);
void kinds_free(struct kinds *kinds);

/* Does the text say something of this column? */
bool kinds_names(const char *text, const nf_table *file, size_t column);

#endif
