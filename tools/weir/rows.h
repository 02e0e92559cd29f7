/* Rows of tables as a fit takes them. */
#ifndef WEIR_COMMAND_ROWS_H
#define WEIR_COMMAND_ROWS_H

#include "points.h"

/* What there is to fit to. Only the first two must be there. */
struct training_data {
    const char *name;                /* the file's, for the record */
    const nf_table *table;           /* the columns that are modelled */
    const nf_table *conditions;      /* those of the context; NULL: none */
    const nf_columns *features;      /* what the columns are; NULL: plain numbers */
    const nf_columns *given;         /* and those of the context */
    const double *weights;           /* of the rows; NULL: all alike */
    const struct points *validation; /* rows of their own to validate with; NULL: a part of the table */
    const double *validation_weights;
    const nf_rows *streamed;   /* all the rows, of which the table is a sample; NULL: it has them all */
    nf_checkpoint *checkpoint; /* of the training; NULL: none */
    ad_shape images;           /* what the rows are, (height, width, channels); rank 0: no images */
    size_t levels;             /* of these, whose dequantization is to be learned; 0: it isn't */
};

/* Rows as the flow takes them. */
struct rows {
    const struct training_data *data;
    const double *x;    /* (rows, features) */
    double *encoded;    /* that, unless it is the table's own; NULL */
    double *context;    /* (rows, context size), or NULL */
    double *log_weight; /* of each, what is added to the flow's log p for that of the columns; NULL: nothing */
    double *val_x, *val_log_weight; /* of rows of their own; NULL: none */
    double *val_weights;            /* of these, 0 where a value contradicts its column; NULL: all alike */
    bool plain;                     /* x are the very values of the table: nothing is to be redrawn */
    bool *trained; /* which rows nf_fit() took for training, as rows_redraw() finds out; all if plain, or a sample */
    uint64_t seed;
};

ad_status rows_make(const struct training_data *data, uint64_t seed, struct rows *rows, ad_error *error);
void rows_free(struct rows *rows);

/* For nf_fit(), where columns are no plain numbers: the rows that train, with other noise in each epoch; these are
 * noted down. A row where memory is out keeps what is in x. */
void rows_redraw(struct rows *rows, size_t epoch, const uint32_t *row, size_t count, double *x);

/* The mean log-weight of the rows that trained, or that validated: what the flow's mean negative log p is larger by
 * than that of the columns. 0 where there are no weights. Of a sample, that of all its rows. */
double rows_offset(const struct rows *rows, bool trained);
/* That of a row of their own. */
double rows_val_weight(const struct rows *rows, size_t r);
/* Which of the table's rows trained, or validated: their numbers from 0, evenly taken where there are more than `most`,
 * for ad_free(); NULL where memory is out. */
uint32_t *rows_numbers(const struct rows *rows, bool trained, size_t most, size_t *count);
/* log p of these rows, in the units of their columns, from `draws` draws of noise (0: the default). */
ad_status rows_score(const struct rows *rows, const nf_flow *flow, const uint32_t *number, size_t count, size_t draws,
                     double *log_prob, ad_pool *pool, ad_error *error);

#endif
