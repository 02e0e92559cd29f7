/* A run that is under way. */
#ifndef WEIR_AUTODIFF_PLAN_EXECUTION_H
#define WEIR_AUTODIFF_PLAN_EXECUTION_H

#include "plan/lanes.h"

typedef struct ad__execution {
    ad_plan *plan;
    const ad_run *run;
    ad_pool *pool;                       /* NULL: this thread only */
    const ad_communicator *communicator; /* NULL: there is one rank */
    const ad__stage *stage;
    const ad__instruction *wave; /* first of the shared instructions that run at once */
    ad__lanes lanes;
    ad__cut cut;
    size_t first_row, rows; /* of this rank, in a pass */
    /* Of the round of a wide pass: the node, its leaf, and the tile of each lane. */
    size_t first_node, leaf, first_tile;
    ad_error *error;
    ad_status status;   /* other than AD_OK: the run is at its end */
    bool sums_faults;   /* a sum of this pass has arguments that are not finite */
    atomic_bool unread; /* rows of a source, which has told why in *error, and failed with: */
    ad_status why;
} ad__execution;

/* Rows first … first + valid - 1 of the run from a source to the tile, the padding copied from the last of them. False:
 * they can't be read, or others couldn't be before. */
bool ad__read_source(ad__execution *e, const ad_source *source, size_t first, size_t valid, size_t rows,
                     const ad_tensor *to);

/* Run the pass on rows first … first + valid - 1, which may be a part of a tile; sums go to an accumulator, or are
 * kept. */
void ad__run_rows(ad__execution *e, size_t first, size_t valid, size_t accumulator, bool accumulate,
                  const ad__keeping *keeping, ad__worker *worker);
/* Run the stage's pass, on all of its rows. */
void ad__run_pass(ad__execution *e);

#endif
