/* The table that a target is of, as its functions read it. */
#ifndef WEIR_TARGET_TABLE_H
#define WEIR_TARGET_TABLE_H

#include <weir/target.h>

/* A copy of what a family's targets can read of a table, for nf__target_table_free(); NULL with *error, which may not
 * be NULL: there is no table, or it isn't as the family needs it. */
struct nf_target_table *nf__target_table_new(const nf_target_type *type, const nf_table *table, ad_error *error);
void nf__target_table_free(const struct nf_target_table *table);

#endif
