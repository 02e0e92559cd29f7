/* Rows of data that are read when they are needed, and never all in memory. */
#ifndef WEIR_ROWS_H
#define WEIR_ROWS_H

#include <weir/error.h>

WEIR_BEGIN_DECLARATIONS

/* Where rows come from: a file, or what makes them. The functions are called from several threads at once. */
typedef struct {
    size_t rows;
    void *data; /* the functions' own */
    /* Rows first … first + rows - 1 as a flow takes them: x (rows, dim) and, where the flow is conditional, context
     * (rows, context size). epoch 0: as they are to be scored; from 1 on: as that epoch of a training is to see them,
     * which may be with other noise, the same each time. */
    ad_status (*read)(void *data, size_t epoch, size_t first, size_t rows, double *x, double *context, ad_error *error);
    /* They will be read soon, and may be fetched meanwhile. NULL: nothing is to be done. */
    void (*will_read)(void *data, size_t first, size_t rows);
    /* Are the rows still what they were when they were first read? Asked after each epoch. NULL: they always are. */
    ad_status (*check)(void *data, ad_error *error);
} nf_rows;

WEIR_END_DECLARATIONS

#endif
