/* Context vectors on the command line: what samples and pictures of a flow are conditioned on. */
#ifndef WEIR_COMMAND_CONTEXT_H
#define WEIR_COMMAND_CONTEXT_H

#include "model.h"

struct context {
    nf_table table; /* the context's columns: one row, or those of the file, which are used in turn */
    nf_table file;  /* whose names and labels these may be */
    double *once;   /* its rows as the flow takes them: (table.rows, nf_flow_context_size()); NULL: none */
    double *values; /* and so of each row to draw; NULL: none */
};

/* For so many rows of a model, 0 where context_rows() is to give them: values, "0.5,Oslo" or by name in any order,
 * "city=Oslo,age=0.5", the same for all; or, where `may_be_file`, a file whose columns are found by name where it and
 * the model have names. NULL text where the flow has no context. A warning tells of what is beyond the training. */
ad_status context_read(const char *text, const struct model *model, bool may_be_file, size_t rows,
                       struct context *context, ad_error *error);
/* Rows number `first` on, into values (rows, nf_flow_context_size()); nothing where there is no context. */
void context_rows(const struct context *context, size_t size, size_t first, size_t rows, double *values);
void context_free(struct context *context);

#endif
