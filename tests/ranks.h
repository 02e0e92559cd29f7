/* Ranks for tests: threads of this process, and a communicator between them.
 *
 * A call in which the ranks differ, by the function or by a size, fails with AD_ERROR_IO on all of them and says how;
 * so does one that a rank can't take part in any more, since its body has returned or called abort. Nobody waits for
 * ever, but for ranks that are busy. */
#ifndef WEIR_TESTS_RANKS_H
#define WEIR_TESTS_RANKS_H

#include <weir/communicator.h>

typedef struct {
    size_t calls; /* collective calls that came to an end */
    size_t bytes; /* what went from one rank to another in them */
    int aborted;  /* the status that abort was called with; -1: it wasn't */
} ranks_seen;

/* Call body on `size` ranks at once, and wait for all of them. It may not assert: Check knows one thread only. */
ranks_seen on_ranks(int size, void (*body)(const ad_communicator *c, void *context), void *context);

#endif
