/* Processes that work on one job together: ranks, on one machine or on many.
 *
 * A pool that has a communicator is the threads of every rank. Each rank calls the same functions with the same
 * arguments, as if it were alone; ad_plan_run(), and all that goes through it (training, inference, log-densities),
 * then runs a part of the rows on each rank and puts the results together, so that all ranks have the whole, with the
 * bits that one rank would have. What a plan reads of rows that are another rank's is never looked at: they may be in a
 * mapped file.
 *
 * What must be the same on all ranks: data, options and seeds, the parameters of flows, plug-ins, this library and the
 * instruction set it has chosen. What may differ: the number of threads; pointers, and `context`, the data of the
 * caller's functions; and what these say. Those that watch (progress, interrupted, callbacks) are called on every rank
 * that has them. Where one wants to stop, on whichever rank, all ranks stop at the same step. Limits on time go by
 * rank 0's clock, so that all come to the same results there too. Those that compute (a target's density, redraw) must
 * give the same bits everywhere.
 *
 * A communicator is a descriptor like others: the engine knows this struct and no MPI. */
#ifndef WEIR_COMMUNICATOR_H
#define WEIR_COMMUNICATOR_H

#include <weir/pool.h>

WEIR_BEGIN_DECLARATIONS

/* How ranks talk. All functions but abort are collective: each rank calls the same ones in the same order, from one
 * thread at a time, and sizes that are another rank's must be as that rank says. A failure is AD_ERROR_IO, and what was
 * received is undefined; the others may then wait for ever, so that who meets one ends the job with abort. error may be
 * NULL everywhere. */
typedef struct ad_communicator ad_communicator;
struct ad_communicator {
    const char *name; /* "mpi" */
    int rank, size;   /* 0 <= rank < size */
    int local_size;   /* ranks on this machine, this one included: they share its cores */
    void *data;       /* the functions' own */
    /* To each rank its part of `send`, where the parts lie one behind the other, send_bytes[rank] each; from each rank,
     * likewise, its part for this one. What is for this rank itself is copied too. */
    ad_status (*exchange)(const ad_communicator *c, const void *send, const size_t *send_bytes, void *receive,
                          const size_t *receive_bytes, ad_error *error);
    /* The parts of all ranks, bytes[rank] each, one behind the other, to every rank. This rank's part is at its place
     * in `all` already. */
    ad_status (*gather)(const ad_communicator *c, void *all, const size_t *bytes, ad_error *error);
    /* From rank `root` to all. */
    ad_status (*broadcast)(const ad_communicator *c, void *data, size_t bytes, int root, ad_error *error);
    /* Wait until all ranks are here, but not longer than so many seconds (INFINITY: as long as it takes): then it is
     * AD_ERROR_INTERRUPTED, and no more than abort may follow. */
    ad_status (*barrier)(const ad_communicator *c, double seconds, ad_error *error);
    /* End all ranks' processes, with this exit status. Doesn't return. */
    void (*abort)(const ad_communicator *c, int exit_status);
};

/* Give the pool a communicator, which must outlive it, or take it away: NULL. AD_ERROR_ARGUMENT where one of its
 * members is missing or wrong, or there is no pool. A pool with a communicator is one thread's at a time. error may be
 * NULL. */
ad_status ad_pool_set_communicator(ad_pool *pool, const ad_communicator *communicator, ad_error *error);
/* NULL for a NULL pool, and for one without. */
const ad_communicator *ad_pool_communicator(const ad_pool *pool);

WEIR_END_DECLARATIONS

#endif
