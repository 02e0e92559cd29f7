/* Rows of a file that a model is asked about. */
#ifndef WEIR_COMMAND_POINTS_H
#define WEIR_COMMAND_POINTS_H

#include "model.h"

#include <weir/communicator.h>

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

/* The same of a file of any length, a part at a time. */
struct points_reader {
    const char *path;
    const struct model *model;
    nf_table_reader *file;
    struct places *places; /* of the model's columns in the file */
    struct points part;
    bool told; /* the file's remarks */
    /* What warnings will tell of: rows that have density 0, and contexts that training hadn't. */
    struct oddities {
        size_t rows, part; /* how many there are, and the first row of the part in which the first of them is */
        char first[NF_COLUMNS_TEXT];
    } impossible, outside;
};

ad_status points_open(const char *path, const char *columns, nf_header header, const struct model *model,
                      struct points_reader *reader, ad_error *error);
/* The next rows, as nf_table_next() has them, in reader->part until the next call. */
ad_status points_next(struct points_reader *reader, size_t most, ad_error *error);
/* From the first row on, once more, as nf_table_again(). */
bool points_again(struct points_reader *reader);
/* What ranks that read different rows have found, to all. */
ad_status points_gather(struct points_reader *reader, const ad_communicator *ranks, ad_error *error);
/* Warn of what was found in all the rows that were read. */
void points_warn(const struct points_reader *reader);
void points_close(struct points_reader *reader);

/* The columns of `table` that a model's are, by their names or position as above: order[i] for column i of `columns`,
 * SIZE_MAX for one that is dropped. For a file of contexts alone. */
ad_status points_find(const nf_table *table, const char *path, const char *model, const nf_columns *columns,
                      size_t *order, ad_error *error);
/* AD_ERROR_FORMAT when a value of a table of such columns is a mistake. place: of each in the file. */
ad_status points_check(const nf_table *table, const size_t *place, const nf_columns *columns, const char *path,
                       ad_error *error);

#endif
