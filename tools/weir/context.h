/* Context vectors on the command line: what conditions a flow. */
#ifndef WEIR_COMMAND_CONTEXT_H
#define WEIR_COMMAND_CONTEXT_H

#include <weir/models.h>

#include <jansson.h>

struct context {
    double *values; /* (rows, size) */
    size_t size;
};

/* Move columns of a table, "age,dose" or "3,4" (names, or numbers from 1), to the context. NULL: none. path names the
 * table in messages. */
ad_status context_take(const char *columns, const char *path, nf_table *table, struct context *context,
                       ad_error *error);
/* Read points of a flow: its features, and as the other columns its context; which they are is said by `columns` or,
 * where that is NULL, by the record of its training. Free both. */
ad_status context_read_points(const char *path, const char *columns, const nf_flow *flow, const json_t *record,
                              const char *model, nf_table *points, struct context *context, ad_error *error);
/* For so many rows, from numbers, "0.5,1", the same for all, or from a file, whose rows are used in turn. NULL text
 * where the size is 0. */
ad_status context_read(const char *text, size_t size, size_t rows, struct context *context, ad_error *error);
/* For so many rows, the same numbers. What a picture can show is one context. */
ad_status context_repeat(const char *text, size_t size, size_t rows, struct context *context, ad_error *error);
void context_free(struct context *context);

#endif
