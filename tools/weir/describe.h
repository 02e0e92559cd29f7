/* What is told of the kinds of columns. */
#ifndef WEIR_COMMAND_DESCRIBE_H
#define WEIR_COMMAND_DESCRIBE_H

#include <weir/models.h>

#include <jansson.h>

/* Into the result, where there are columns: "column_kinds", a list of {"name" (or its number), "kind", "why",
 * "missing": the share of values}, and "context_column_kinds" of those of the context. Either may be NULL. */
void describe_columns(json_t *result, const nf_columns *features, const nf_columns *given);

/* A line for each that isn't a plain number. */
void describe_print(const json_t *result, FILE *to);

#endif
