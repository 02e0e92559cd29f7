/* Rows of a file that a model is asked about. */
#ifndef WEIR_COMMAND_POINTS_H
#define WEIR_COMMAND_POINTS_H

#include "model.h"

struct points {
    nf_table features;   /* the columns that the model has, in its order; NaN for those that are dropped */
    nf_table conditions; /* and those of its context; none where it has none */
    double *context;     /* these as the flow takes them: (rows, nf_flow_context_size()), or NULL */
    nf_table file;       /* whose names and labels these are */
};

/* Read points of a model. Where the file and the model have names, columns are found by these; otherwise by their
 * position, in the order of the training. The context's are said by `columns` (names or numbers) or, where that is
 * NULL, by the model. Values that are missing, infinite or text are mistakes where the training had no such; others
 * that a model can't have (outside of its support) have density 0, and a warning tells of them. */
ad_status points_read(const char *path, const char *columns, nf_header header, const struct model *model,
                      struct points *points, ad_error *error);
void points_free(struct points *points);

/* The columns of `table` that a model's are, by their names or position as above: order[i] for column i of `columns`,
 * SIZE_MAX for one that is dropped. For a file of contexts alone. */
ad_status points_find(const nf_table *table, const char *path, const char *model, const nf_columns *columns,
                      size_t *order, ad_error *error);
/* AD_ERROR_FORMAT when a value of a table of such columns is a mistake. place: of each in the file. */
ad_status points_check(const nf_table *table, const size_t *place, const nf_columns *columns, const char *path,
                       ad_error *error);

#endif
