/* Long tables, made a part at a time. With ranks, each makes every so-manieth part, and the first has them all, in
 * order. */
#ifndef WEIR_COMMAND_PARTS_H
#define WEIR_COMMAND_PARTS_H

#include "meter.h"

#include <weir/communicator.h>
#include <weir/models.h>

struct parts {
    const ad_communicator *ranks; /* NULL: this process is alone */
    size_t rank, size, rows;      /* rows of a part, but for the last */
    size_t round;                 /* each rank makes one part in it */
    struct meter meter;
    size_t done, all;            /* rows; all is 0 where it isn't known, */
    const nf_table_reader *from; /* and then what they are read from tells how far that is; NULL */
};

/* The ranks that a pool works with; NULL: this process is alone. From here on the pool works for this process alone. */
const ad_communicator *parts_ranks(ad_pool *pool);
/* Of so many rows, 0: unknown, that take so many numbers each. */
struct parts parts_begin(const ad_communicator *ranks, size_t all, size_t numbers);
void parts_end(struct parts *parts); /* takes the meter away */
/* The first row of this rank's part of this round. */
size_t parts_first(const struct parts *parts);

/* To the next round: with this rank's part, or what its making has failed with, a part from each rank in order for
 * `take`, which the first calls. Returns what failed first, the same on all ranks, of which the first may fail in take.
 * *more: all parts were full. */
ad_status parts_next(struct parts *parts, ad_status status, const nf_table *part,
                     ad_status (*take)(void *context, const nf_table *part, ad_error *error), void *context, bool *more,
                     ad_error *error);
/* What the first rank's work came to, for all. */
ad_status parts_agree(const ad_communicator *ranks, ad_status status, ad_error *error);

#endif
