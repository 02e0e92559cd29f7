/* Context vectors on the command line: what conditions a flow. */
#ifndef WEIR_COMMAND_CONTEXT_H
#define WEIR_COMMAND_CONTEXT_H

#include <weir/models.h>

#include <jansson.h>

struct context {
    double *values; /* (rows, size) */
    size_t size;
    char **names; /* where it was columns of a table that has names; it is the table's memory */
};

/* Move columns of a table, "age,dose" or "3,4" (names, or numbers from 1), to the context. NULL: none. path names the
 * table in messages. */
ad_status context_take(const char *columns, const char *path, nf_table *table, struct context *context,
                       ad_error *error);
/* Read points of a flow: its features, and as the other columns its context; which they are is said by `columns` or,
 * where that is NULL, by the record of its training. Where the table and the record have names, features are found by
 * theirs, and the context by its own unless `columns` is given; otherwise by position. Free both. */
ad_status context_read_points(const char *path, const char *columns, const nf_flow *flow, const json_t *record,
                              const char *model, nf_table *points, struct context *context, ad_error *error);
/* For so many rows of a flow, from numbers, "0.5,1", the same for all, or from a file, whose rows are used in turn and
 * whose columns are found by name where it and the record have names. NULL text where the flow has no context. */
ad_status context_read(const char *text, const nf_flow *flow, const json_t *record, const char *model, size_t rows,
                       struct context *context, ad_error *error);
/* For so many rows, the same numbers. What a picture can show is one context. */
ad_status context_repeat(const char *text, size_t size, size_t rows, struct context *context, ad_error *error);
void context_free(struct context *context);

#endif
